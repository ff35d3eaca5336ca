"""A figure as SVG inside a page: no date, no foreign address, ids of its own, words as text. No torch."""

from __future__ import annotations

import html
import io
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from harness.registry import PROGRAM
from harness.show.style import styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

SETTINGS: dict[Any, str] = {"svg.fonttype": "none", "svg.hashsalt": PROGRAM}
"""Text stays text, to be found and selected; ids come from the content and this word, not from the clock."""
NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
FONTS = "'DejaVu Sans', Verdana, sans-serif"
"""Verdana has DejaVu's widths, so words fit where DejaVu is absent."""
PIXELS_PER_POINT = 96 / 72
LARGE_PATTERN = 20_000
"""Characters; only hatches of circles come near."""
INHERITED = 'style="stroke-linejoin:round;stroke-linecap:butt"'
"""What matplotlib's style sheet says of every element."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A figure with its words beside it, where a reader can enlarge them and a screen reader finds them."""

    anchor: str
    """Unique in the page; ids inside the SVG begin with it."""
    title: str
    caption: str
    svg: str
    """Labelled with title and caption; the numbers behind it stand in the tables."""
    width: int
    """CSS pixels at which its small text is as large as in print."""


def drawing(figure: Figure, anchor: str) -> Drawing:
    """A figure without its printed title and caption, which become the drawing's words; the figure stays as it was."""
    title = " ".join(figure.get_suptitle().split())
    words: list[Text] = [text for text in figure.texts if text.get_visible()]
    caption = " ".join(said for text in words if (said := " ".join(text.get_text().split())) != title)
    for text in words:
        text.set_visible(False)
    try:
        written = _svg(figure)
    finally:
        for text in words:
            text.set_visible(True)
    title = title or anchor
    svg = inline(written, anchor, f"{title}. {caption}".strip())
    return Drawing(anchor=anchor, title=title, caption=caption, svg=svg, width=_width(written))


def inline(svg: str, prefix: str, alt: str) -> str:
    """The ``<svg>`` element alone: matplotlib's style sheet would reach the whole page, its ids would meet others'."""
    alt = html.escape(alt).replace("\\", "\\\\")  # the latter for re.sub
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<style[^>]*>.*?</style>", "", svg, flags=re.S)
    svg = re.sub(r"<defs>\s*</defs>", "", svg)
    svg = re.sub(r"<pattern .*?</pattern>", _tile, svg, flags=re.S)
    svg = _prefixed(svg, prefix)
    svg = re.sub(r'\b(d|x|y|width|height|points)="([^"]*)"', _shortened, svg)
    svg = svg.replace("'DejaVu Sans'", FONTS)
    svg = re.sub(r'^<svg [^>]*?(viewBox="[^"]*")[^>]*>', rf'<svg role="img" aria-label="{alt}" {INHERITED} \1>', svg)
    return re.sub(r"\n\s*", "\n", svg)


def _svg(figure: Figure) -> str:
    import matplotlib as mpl

    buffer = io.StringIO()
    with styled(), mpl.rc_context(SETTINGS):
        figure.savefig(buffer, format="svg", bbox_inches="tight", pad_inches=0.05, metadata=NO_METADATA)
    return buffer.getvalue()


def _width(svg: str) -> int:
    found = re.search(r'<svg [^>]*\bwidth="([\d.]+)pt"', svg)
    return round(float(found.group(1)) * PIXELS_PER_POINT) if found else 0


def _prefixed(svg: str, prefix: str) -> str:
    """Ids that something refers to, under names of this figure; the others go."""
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg))
    svg = re.sub(r' id="([^"]+)"', lambda m: f' id="{prefix}-{m[1]}"' if m[1] in used else "", svg)
    return re.sub(r'(url\(#|href="#)', rf"\g<1>{prefix}-", svg)


def _tile(found: re.Match[str]) -> str:
    """One period of a hatch of circles: matplotlib repeats it a hundredfold within its own tile of 72 points."""
    pattern = found[0]
    circles = [(m[0], float(m[1]), float(m[2])) for m in re.finditer(r'M (-?[\d.]+) (-?[\d.]+)[^M"]*', pattern)]
    columns = sorted({round(x, 3) for _, x, _ in circles})
    if len(pattern) < LARGE_PATTERN or len(columns) < 2:
        return pattern
    step = min(b - a for a, b in pairwise(columns))  # every second row is shifted by half a column
    kept = "".join(text for text, x, y in circles if max(abs(x - 2 * step), abs(y - 2 * step)) <= 3 * step)
    pattern = re.sub(r'\bd="[^"]*"', f'd="{kept}"', pattern)
    return pattern.replace('width="72" height="72"', f'width="{4 * step:g}" height="{4 * step:g}"', 1)


def _shortened(attribute: re.Match[str]) -> str:
    """Hundredths of a point are enough."""
    return f'{attribute[1]}="' + re.sub(r"(\.\d\d)\d+", r"\1", attribute[2]).strip() + '"'
