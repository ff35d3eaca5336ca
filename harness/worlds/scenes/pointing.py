"""Where in the picture a p of the scenes world points, for whoever draws it. No torch."""

from __future__ import annotations

from harness.worlds.regions import Region
from harness.worlds.scenes import words
from harness.worlds.scenes.questions import Question, Told


def regions(asked: Question, tells: Told) -> tuple[Region, ...]:
    """The object's box of each item whose place is told in edges, the cell where it is told by a word.

    p tells edges in words of ``words.BIN`` pixels; drawn are the object's own, which these words are of.
    """
    boxed = tells.kind in (words.BOX_LABEL, words.BOX_CAPTION)
    return tuple(
        Region(
            box=asked.scene.box(where) if boxed else asked.scene.cell(where),
            label=str(number),
            words=" ".join(filter(None, (asked.scene.at(where)[0], tells.readings[number - 1]))),
            boxed=boxed,
        )
        for number, where in enumerate(tells.places, start=1)
        if where is not None
    )
