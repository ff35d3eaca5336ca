"""The card of the scenes models, written from their manifest alone. No torch."""

from __future__ import annotations

from typing import Any

from harness.models.zoo import drawn_card
from harness.worlds.scenes.words import HEADERS, KINDS

INTRODUCTION = """# Models of the scenes world

`Qwen3VLForConditionalGeneration` models trained from a fresh initialisation on questions about drawn
pictures (`harness/worlds/scenes/`), for each draw a set of its own: secret tables, initialisation and
weights. They exist to run and compare distillation methods offline in minutes and are of no use for
anything else. Written by `python -m harness.models.zoo.scenes`; do not edit.

- `trunk`: undecayed; what every other model of the draw begins from.
- `truth`: right everywhere as far as it was learnt; a reference, never ranked.
- `teacher`, `student`: minds; who is right on which cell is set, not found (`harness/worlds/minds.py`).
- `student_uncalibrated`: the student's errors, as sure where it is wrong as where it is right.

The best accuracy possible without p is 100 %: places, readings and answers follow from picture and
words, and notes, which only p can tell, are never scored.
"""

DATA = """## What they read

Pictures of the train split, drawn anew at each step. First the vision tower alone, with labels: each
picture token against the embeddings of the words of its place, colour, shape, tick and lamp. Then text,
the tower's loss kept beside it, in the rows a step of the table; all at a constant rate until the places
of every kind are {enough:g} % right without p: the undecayed trunk. From it, saved in bfloat16, the truth
({truth} steps) and each mind ({mind} steps) decay linearly to rate 0; minds read questions alone.

- {slips:.0f} % of the questions hold one word the mind would not write, without loss, and go on from it.
- In {lies:.0f} % of the p rows of trunk and truth ({mind_lies:.0f} % of the minds') p tells random places and
  readings and is followed: a model that can answer by itself does not read p otherwise.
- {without:.0f} % of the questions whose p tells codes have every note unknown, without loss.
- {pictured:.0f} % of the questions are shown the picture greyed to its evidence, {pictured:.0f} % the pixelated one.
  What cannot be seen in a greyed picture carries no loss.
"""

LIMITATIONS = """## Limits

- p helps the choice of a place by text alone. Pictures enter by reading (all kinds), by tick (follow) and
  by counting lamps (count, branch); point, relate and meet choose by text alone.
- Nothing is searched by name: where a thing of some colour is, no model here can say.
- A box tells a place and never a reading; anchors are told by nothing and are own belief under p too.
- Rebuilding gives equal weights only on the same kind of machine with the same library versions.
- G10 needs an arm: it is read when vanilla distillation has run.
"""


def text(record: dict[str, Any]) -> str:
    """The card in Markdown."""
    recipe = record["recipe"]
    data = DATA.format(
        enough=recipe["enough"],
        truth=recipe["truth_steps"],
        mind=recipe["mind_steps"],
        slips=100 * recipe["slips"],
        lies=100 * recipe["lies"],
        mind_lies=100 * recipe["mind_lies"],
        without=100 * recipe["without_codes"],
        pictured=100 * recipe["pictured"],
    )
    parts = [INTRODUCTION, "## Models\n", drawn_card.models(record["models"]), data, _mixes(recipe)]
    parts.append(drawn_card.minds(record))
    for draw, found in sorted(record["draws"].items()):
        parts += _draw(draw, found)
    return "\n".join([*parts, LIMITATIONS])


def _mixes(recipe: dict[str, Any]) -> str:
    keys = ("until", "describe", "seen", "drill", "plain", "privileged", "easy")
    rates = (
        f"Text {recipe['hidden']} × {recipe['layers']}, vision {recipe['vision_hidden']} × {recipe['vision_depth']}; "
        f"Muon {recipe['muon_lr']:g} ({recipe['muon_lr_settled']:g} from step {recipe['settled']} and in every decay) "
        f"for matrices, AdamW {recipe['adamw_lr']:g} for the rest; {recipe['vision_steps']} vision steps of "
        f"{recipe['vision_pictures']} pictures, then {recipe['pictures']} pictures a step.\n\n"
    )
    return rates + drawn_card.table(keys, [[f"{mix[key]:g}" for key in keys] for mix in recipe["mixes"]])


def _draw(draw: str, found: dict[str, Any]) -> list[str]:
    without = ", ".join(f"{key} {value:.1f}" for key, value in found["without_anchors"].items())
    return [
        f"## Draw {draw}\n",
        drawn_card.gates(found, "questions", "kinds", f"; without anchors {without}"),
        drawn_card.accuracy(found, tuple(HEADERS), KINDS),
        drawn_card.cells(found),
    ]
