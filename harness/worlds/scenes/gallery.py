"""A picture of each kind of question with every kind of p, for the docs: ``python -m harness.worlds.scenes.gallery``.

No torch.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.types import Privilege
from harness.worlds.scenes import questions, scribe, tables, words
from harness.worlds.scenes.picture import PIXELS, draw
from harness.worlds.scenes.questions import Question, Told
from harness.worlds.scenes.world import example, question_of

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

ZOOM, MARGIN, LINE, SIZE = 3, 10, 16, 12
"""Factor of the picture; pixels of margins, of a line of text and of its letters."""
PANEL = ZOOM * PIXELS
INK, GROUND, BOX = (20, 20, 20), (255, 255, 255), (255, 255, 255)
TITLES = {
    Privilege.NONE: "no p",
    words.BOX_LABEL: "box and label",
    words.BOX_CAPTION: "box and caption",
    words.CAPTION: "caption",
    words.FINAL_ANSWER: "final answer",
}
TEXT_LINES = 12
"""Room under a picture."""


def sheet(asked: Question, know: tables.Know) -> Image:
    """One panel a kind of p: the picture with the boxes p tells, and p in words."""
    from PIL import Image, ImageDraw

    width = len(TITLES) * (PANEL + MARGIN) + MARGIN
    out = Image.new("RGB", (width, PANEL + LINE * TEXT_LINES + 2 * MARGIN + LINE), GROUND)
    pen = ImageDraw.Draw(out)
    picture = Image.fromarray(draw(asked.scene)).resize((PANEL, PANEL), Image.Resampling.NEAREST)
    for i, (kind, title) in enumerate(TITLES.items()):
        left, top = MARGIN + i * (PANEL + MARGIN), MARGIN + LINE
        write = _writer(pen, left)
        write(MARGIN - 4, title, True)
        out.paste(picture, (left, top))
        tells = questions.NOTHING if kind == Privilege.NONE else questions.honest(asked, kind, know)
        _boxes(pen, asked, tells, left, top)
        lines = _words(asked, tells, know)
        for number, line in enumerate(lines):
            write(top + PANEL + 4 + LINE * number, line, False)
    return out


def _writer(pen: ImageDraw, left: int) -> Callable[[int, str, bool], None]:
    from PIL import ImageFont

    font = ImageFont.load_default(size=SIZE)

    def write(top: int, text: str, strong: bool) -> None:
        pen.text((left, top), text, fill=INK, font=font, stroke_width=0.3 if strong else 0)

    return write


def _boxes(pen: ImageDraw, asked: Question, tells: Told, left: int, top: int) -> None:
    """Outlines of the boxes that are told, each with its item's number."""
    if tells.kind not in (words.BOX_LABEL, words.BOX_CAPTION):
        return
    for number, where in enumerate(tells.places, start=1):
        if where is not None:
            x0, y0, x1, y1 = (ZOOM * edge for edge in asked.scene.box(where))
            pen.rectangle((left + x0 - 2, top + y0 - 2, left + x1 + 1, top + y1 + 1), outline=BOX, width=2)
            pen.text((left + x1 + 4, top + y0 - 4), str(number), fill=BOX)


def _words(asked: Question, tells: Told, know: tables.Know) -> list[str]:
    """x and the best response without p; with p, p an item a line and the best response."""
    response = scribe.write(asked, know, tells)
    items = [" ".join(response[words.STRIDE * i : words.STRIDE * (i + 1)]) for i in range(words.ITEMS)]
    said = ["x:", *(f"  {' '.join(item.words)}" for item in asked.items)]
    if tells.kind:
        header, *given = questions.privileged_text(asked, tells).split()
        slots = [" ".join(given[words.SLOT * i : words.SLOT * (i + 1)]) for i in range(words.ITEMS)]
        said = [f"p: {header}", *(f"  {slot}" for slot in slots)]
    lines = [*said, "response:", *(f"  {item}" for item in items), f"  {' '.join(response[-words.ITEMS - 1 :])}"]
    return [part for line in lines for part in textwrap.wrap(line, 40, subsequent_indent="    ") or [""]]


def write(folder: Path, which: int = tables.DEVELOPMENT) -> list[Path]:
    """One file a kind of question; returns them."""
    folder.mkdir(parents=True, exist_ok=True)
    out = list[Path]()
    for domain, kinds in words.GROUPS.items():
        for index, kind in enumerate(kinds):
            asked = question_of(example(which, domain, "test", index))
            path = folder / f"{words.NAME}_{kind}.png"
            sheet(asked, tables.truth(which)).save(path, optimize=True)
            out.append(path)
    return out


def main() -> None:
    """Command line: write the pictures."""
    parser = argparse.ArgumentParser(prog="python -m harness.worlds.scenes.gallery", description=main.__doc__)
    parser.add_argument("--output", type=Path, default=Path("docs/pictures"))
    for path in write(parser.parse_args().output):
        print(path)


if __name__ == "__main__":
    main()
