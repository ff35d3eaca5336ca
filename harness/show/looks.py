"""How the things of a figure are told apart: colour, hatch, marker and line, one thing alike in every figure. No torch.

Colours are Okabe and Ito's, distinct to colour-blind readers; hatches, markers and lines say the same in a grey print.
The subject of a benchmark and what it is compared with have a colour each that nothing else has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

INK = "#222222"
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
SKY, VERMILION, YELLOW, GREY = "#56B4E9", "#D55E00", "#F0E442", "#999999"
COLOURS = (ORANGE, GREEN, PINK, SKY, GREY)
"""Of whatever is neither the subject nor the baseline. Yellow cannot be seen as a line on white."""
HATCHES = ("....", "xxxx", "\\\\\\\\", "----", "++++", "oooo")
MARKERS = ("^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = (
    (0, (1, 1.4)),
    (0, (5, 1.5, 1, 1.5)),
    (0, (8, 2, 2, 2)),
    (0, (3, 1.2)),
    (0, (6, 1.5, 1, 1.5, 1, 1.5)),
    (0, (10, 2)),
)
PALE = 0.6
"""Luminance above which a colour needs an outline on white."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Bars take colour and hatch, lines take colour, marker and dashes.

    Example::

        Look(colour="#D55E00", hatch="", marker="o", dashes="solid")
    """

    colour: str
    """``#RRGGBB``."""
    hatch: str = ""
    marker: str = "o"
    dashes: Any = "solid"
    """matplotlib's line style."""

    @property
    def is_pale(self) -> bool:
        """Whether a line of it is lost on white without an outline."""
        return luminance(self.colour) > PALE

    @property
    def ink(self) -> str:
        """Black or white, whichever is read better on its colour (WCAG 2.2, contrast ratio)."""
        light = luminance(self.colour) + 0.05
        return "black" if light / 0.05 > 1.05 / light else "white"


SUBJECT = Look(colour=VERMILION)
BASELINE = Look(colour=BLUE, hatch="////", marker="s", dashes=(0, (5, 2)))
UNTRAINED = Look(colour=INK, marker="d")


class Role(StrEnum):
    """What a reference line stands for."""

    STUDENT = "student"
    """Where training starts."""
    TEACHER = "teacher"
    """What it is distilled from."""
    MARK = "mark"
    """Any other level."""


REFERENCES: Mapping[Role, Look] = {
    Role.STUDENT: Look(colour=INK, dashes=(0, (4, 2))),
    Role.TEACHER: Look(colour=INK, dashes=(0, (1, 1.5))),
    Role.MARK: Look(colour=INK, dashes=(0, (7, 2, 1, 2))),
}
"""The lines of references, whatever figure they cross and in whatever order they come."""


def other(place: int) -> Look:
    """The look at a place in a list without end, of which the first 180 differ, as bars and as lines.

    Colours and kinds of the first 25 are two orthogonal Latin squares, so that neighbours differ in both.
    """
    turn, rest = divmod(place, len(COLOURS) * len(HATCHES))
    row, column = divmod(rest, len(COLOURS))
    colour = (column + row) % len(COLOURS)
    kind = (column + 2 * row) % len(COLOURS) if row < len(COLOURS) else len(COLOURS)
    return Look(
        colour=COLOURS[colour],
        hatch=HATCHES[kind] * (turn + 1),
        marker=MARKERS[(kind + turn) % len(MARKERS)],
        dashes=DASHES[kind],
    )


def assigned(things: Iterable[tuple[str, Look | None]]) -> dict[str, Look]:
    """A look for each name: its own, or the first of ``other`` that nothing else in the figure has."""
    known: dict[str, Look | None] = {}
    for name, look in things:
        known[name] = known.get(name) or look
    taken = {look for look in known.values() if look}
    looks: dict[str, Look] = {}
    place = 0
    for name, look in known.items():
        while look is None:
            look = None if (free := other(place)) in taken else free
            place += 1
        looks[name] = look
    return looks


def luminance(colour: str) -> float:
    """Relative luminance of ``#RRGGBB``, from 0 (black) to 1 (WCAG 2.2)."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
