"""A picture of each kind of question with every kind of p, for the docs: ``python -m harness.worlds.scenes.gallery``.

Writes ``docs/pictures/`` and the tables of ``docs/scenes.md``. Equal bytes with one version of Pillow. No torch.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.types import HarnessError, Privilege
from harness.worlds.scenes import pointing, questions, scribe, tables, words
from harness.worlds.scenes.picture import PIXELS, draw
from harness.worlds.scenes.questions import Question, Told
from harness.worlds.scenes.words import ITEMS, SLOT, STRIDE
from harness.worlds.scenes.world import example, question_of

if TYPE_CHECKING:
    from PIL.Image import Image

ZOOM = 3
"""Factor of the picture."""
BOX, EDGE = (255, 255, 255), (0, 0, 0)
"""A box is light with a dark edge, to be seen on any colour."""
COLOURS = 128
"""Of a file: no pixel is further from its own than the picture's noise, which is most of the bytes else."""
TITLES = {
    words.BOX_LABEL: "box and label",
    words.BOX_CAPTION: "box and caption",
    words.CAPTION: "caption",
    words.FINAL_ANSWER: "final answer",
}
PAGE, PICTURES = Path("scenes.md"), Path("pictures")
"""In the folder of the docs."""


def questions_shown(which: int = tables.DEVELOPMENT) -> dict[words.Kind, Question]:
    """The first test question of each kind."""
    return {
        kind: question_of(example(which, domain, "test", index))
        for domain, kinds in words.GROUPS.items()
        for index, kind in enumerate(kinds)
    }


def boxed(asked: Question, know: tables.Know) -> Image:
    """The picture with the boxes that p tells, numbered by item."""
    from PIL import Image, ImageDraw, ImageFont

    side = ZOOM * PIXELS
    out = Image.fromarray(draw(asked.scene)).resize((side, side), Image.Resampling.NEAREST)
    pen, font = ImageDraw.Draw(out), ImageFont.load_default_imagefont()  # bitmaps: the same wherever it is drawn
    for region in pointing.regions(asked, questions.honest(asked, words.BOX_LABEL, know)):
        left, top, right, bottom = (ZOOM * edge for edge in region.box)
        for away, colour in ((3, EDGE), (2, BOX), (1, BOX), (0, EDGE)):
            pen.rectangle((left - away, top - away, right - 1 + away, bottom - 1 + away), outline=colour)
        pen.rectangle((left - 3, top - 14, left + 6, top - 3), fill=EDGE)
        pen.text((left - 1, top - 14), region.label, fill=BOX, font=font)
    return out.quantize(COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


def table(asked: Question, know: tables.Know) -> str:
    """x, the best responses and every kind of p, item by item, as a table in Markdown."""
    header = ["", *(f"item {number + 1}" for number in range(ITEMS)), "then"]
    lines = [header, ["---"] * len(header), *_lines(asked, know)]
    return "".join(f"| {' | '.join(line)} |\n".replace("|  |", "| |") for line in lines)


def _lines(asked: Question, know: tables.Know) -> Iterator[list[str]]:
    yield ["x", *(_code(item.words) for item in asked.items), ""]
    told = {kind: questions.honest(asked, kind, know) for kind in TITLES}
    for kind, tells in told.items():
        header, *given = questions.privileged_text(asked, tells).split()
        slots = [given[SLOT * i : SLOT * (i + 1)] for i in range(ITEMS)]
        yield [f"p, {TITLES[kind]}: `{header}` and", *map(_code, slots), ""]
    for response, kinds in _responses(asked, know, told).items():
        items = [response[STRIDE * i : STRIDE * (i + 1)] for i in range(ITEMS)]
        yield [f"best response, {' or '.join(kinds)}", *map(_code, items), _code(response[STRIDE * ITEMS :])]


def _responses(asked: Question, know: tables.Know, told: Mapping[str, Told]) -> dict[tuple[str, ...], list[str]]:
    """Each best response, and the kinds of p after which it is the best."""
    found: dict[tuple[str, ...], list[str]] = {}
    for kind, tells in {Privilege.NONE.value: questions.NOTHING, **told}.items():
        found.setdefault(tuple(scribe.write(asked, know, tells)), []).append(TITLES.get(kind, "no p"))
    return found


def _code(text: Sequence[str]) -> str:
    return f"`{' '.join(text)}`"


def with_tables(page: str, which: int = tables.DEVELOPMENT) -> str:
    """The page, whose table after each picture is that of the picture.

    Raises:
        HarnessError: a kind of question has no picture with a table on it.
    """
    for kind, asked in questions_shown(which).items():
        name = PICTURES / file_of(kind)
        place = rf"(\({re.escape(name.as_posix())}\)\n\n)(?:\|.*\n)+"
        made = table(asked, tables.truth(which))
        page, count = re.subn(place, lambda match, made=made: match[1] + made, page)
        if count != 1:
            raise HarnessError(f"{PAGE} shows {name} with a table after it {count} times: let it stand there once")
    return page


def file_of(kind: words.Kind) -> str:
    """Of its picture."""
    return f"{words.NAME}_{kind}.png"


def write(docs: Path, which: int = tables.DEVELOPMENT) -> list[Path]:
    """Writes the picture of each kind of question and the page's tables; returns the files.

    Raises:
        HarnessError: see ``with_tables``.
    """
    (docs / PICTURES).mkdir(parents=True, exist_ok=True)
    out: list[Path] = []
    for kind, asked in questions_shown(which).items():
        out.append(docs / PICTURES / file_of(kind))
        boxed(asked, tables.truth(which)).save(out[-1], optimize=True)
    page = docs / PAGE
    page.write_text(with_tables(page.read_text(encoding="utf-8"), which), encoding="utf-8")
    return [*out, page]


def main() -> None:
    """Command line: write the pictures and the tables."""
    parser = argparse.ArgumentParser(prog="python -m harness.worlds.scenes.gallery", description=main.__doc__)
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="folder of the docs (default: docs)")
    for path in write(parser.parse_args().docs):
        print(path)


if __name__ == "__main__":
    main()
