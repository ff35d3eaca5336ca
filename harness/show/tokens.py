"""Responses as strips of coloured tokens with numbers below each. No torch.

Colours come with the letters of their labels, so that a grey print reads; words are dark or white, as their ground
asks. Saved by ``harness.show.bars``.

Example::

    token = Token(text="+3", label="HT", gap=2.1, q_teacher=0.93, q_student=0.11, right=False)
    strips([Strip(title="step 50", tokens=(token,), threshold=0.2)], looks={"HT": Look(colour="#009E73")},
           title="Figure 9", caption="One rollout.")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.show.looks import INK, Look
from harness.show.page import sheet_of
from harness.show.style import SMALL, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOKEN_INCHES, STRIP_INCHES = 0.46, 0.95
"""Width of a token's place, and height of a strip."""
FEWEST = 16
"""Places a strip has at least, so that the caption has room."""
GAP_TOP = 5.0
"""Nats at which a bar of the gap is full; beyond it is cut and marked."""
UNPRINTABLE = "·"
"""In the place of a character that no font draws, as single bytes of a tokenizer are."""
BOX, GAP, Q = (0.62, 1.0), (0.32, 0.56), (0.02, 0.26)
"""Lower and upper edge of the tokens, of the bars and of the probabilities, in shares of a strip's height."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token of a response."""

    text: str
    label: str
    """Key of its look."""
    gap: float
    """Nats, 0 or more."""
    q_teacher: float
    q_student: float
    """Both in [0, 1]."""
    right: bool | None
    """None where nothing decides it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """One response."""

    title: str
    tokens: tuple[Token, ...]
    """Empty: there is none, and the title says why."""
    threshold: float = 0.0
    """Of the gap, a dashed line."""


def strips(shown: Sequence[Strip], *, looks: Mapping[str, Look], quiet: str = "", title: str, caption: str) -> Figure:
    """Strips below one another: tokens in their colour with their label, bars of the gap, both probabilities.

    A wrong token has a thick frame and a cross. ``caption`` is printed below.

    Args:
        quiet: label of the tokens that are left white, so that the others are seen.
    """
    from matplotlib.figure import Figure

    with styled():
        places = max([FEWEST, *(len(strip.tokens) for strip in shown)])
        size = (TOKEN_INCHES * places, STRIP_INCHES * len(shown) + 0.3 * (len(shown) - 1))
        sheet = sheet_of(1, size, left=0.62, right=0.15, above=0.25, below=0.1, title=title, caption=caption)
        figure = Figure(figsize=(sheet.width, sheet.height))
        left, bottom, width, height = sheet.boxes[0]
        each = STRIP_INCHES / sheet.height
        step = (STRIP_INCHES + 0.3) / sheet.height
        for i, strip in enumerate(shown):
            ax = figure.add_axes((left, bottom + height - each - i * step, width, each))
            _draw_strip(
                ax, strip, places, {**looks, **({quiet: replace(looks[quiet], colour="#FFFFFF")} if quiet else {})}
            )
        sheet.write(figure)
    return figure


def _draw_strip(ax: Axes, strip: Strip, places: int, looks: Mapping[str, Look]) -> None:
    ax.set_xlim(0, places)
    ax.set_ylim(0, 1)
    ax.axis("off")
    ax.set_title(strip.title, fontsize=SMALL + 0.5, loc="left", pad=3)
    if not strip.tokens:
        return
    end = len(strip.tokens)
    for name, most, (low, high) in (("A, nats", GAP_TOP, GAP), ("q", 1, Q)):
        ax.text(-0.35, (low + high) / 2, name, fontsize=SMALL, ha="right", va="center", color=INK)
        for value, y, inside in ((0, low, "bottom"), (most, high, "top")):
            ax.text(-0.1, y, f"{value:g}", fontsize=5, ha="right", va=inside, color=INK)
        ax.plot([0, end], [low, low], color=INK, linewidth=0.6)
    ax.plot([0, end], [Q[1], Q[1]], color="#BBBBBB", linewidth=0.4)
    at = GAP[0] + (GAP[1] - GAP[0]) * min(strip.threshold / GAP_TOP, 1)
    ax.plot([0, end], [at, at], color=INK, linewidth=0.7, linestyle=(0, (3, 2)))
    for x, token in enumerate(strip.tokens):
        _draw_box(ax, x, token, looks[token.label])
        _draw_numbers(ax, x, token)


def _draw_box(ax: Axes, x: int, token: Token, look: Look) -> None:
    """The token on its colour, its label below it."""
    from matplotlib.patches import Rectangle

    low, high = BOX
    wrong = token.right is False
    width, above = (1.8, 3) if wrong else (0.5, 2)
    place, size = (x + 0.05, low), (0.9, high - low)
    ax.add_patch(Rectangle(place, *size, facecolor=look.colour, edgecolor=INK, linewidth=width, zorder=above))
    sign = f"{token.label} ×" if wrong else token.label
    written = "".join(each if each.isprintable() else UNPRINTABLE for each in token.text)
    for said, share, points in ((written, 0.68, 8), (sign, 0.22, 5.5)):
        y = low + share * (high - low)
        ax.text(x + 0.5, y, said, fontsize=points, ha="center", va="center", color=look.ink, zorder=4)


def _draw_numbers(ax: Axes, x: int, token: Token) -> None:
    """A bar of the gap, its number where it can be read, and the two probabilities as a triangle and a circle."""
    low, high = GAP
    full = high - low
    ax.bar(x + 0.5, full * min(token.gap / GAP_TOP, 1), 0.5, bottom=low, color="#777777", linewidth=0)
    if token.gap >= 0.1:
        ax.text(x + 0.78, low + 0.55 * full, f"{token.gap:.1f}", fontsize=5, ha="left", va="center", color=INK)
    low, high = Q
    for dx, q, marker, face in ((0.36, token.q_teacher, "^", INK), (0.64, token.q_student, "o", "white")):
        ax.plot(
            x + dx,
            low + (high - low) * q,
            marker,
            markersize=3.6,
            color=face,
            markeredgecolor=INK,
            markeredgewidth=0.7,
            clip_on=False,
        )
