"""The card of the permutations models, written from their manifest alone. No torch."""

from __future__ import annotations

from typing import Any

from harness.models.zoo import drawn_card
from harness.worlds.permutations.words import DOMAINS, HEADERS

INTRODUCTION = """# Models of the permutations world

`Qwen3ForCausalLM` models trained from a fresh initialisation on problems whose operations are secret
permutations of the digits (`harness/worlds/permutations/`), for each draw a set of its own: secret tables,
initialisation and weights. They exist to run and compare distillation methods offline in minutes and are
of no use for anything else. Written by `python -m harness.models.zoo.permutations`; do not edit.

- `trunk`: undecayed; what every other model of the draw begins from.
- `truth`: right everywhere as far as it was learnt; a reference, never ranked.
- `teacher`, `student`: minds; who is right on which cell is set, not found (`harness/worlds/minds.py`).
- `student_uncalibrated`: the student's errors but the last few, as sure of them as of what is right; as good.
- `small`: knows less than the student everywhere; the smaller student, and a teacher that errs.

The best accuracy possible without p is 100 %: choices, results and the answer follow from the problem, and
notes, which only p can tell, are never scored.
"""

DATA = """## What they read

Problems of the train split, drawn anew at each step, half of them with p (hints two fifths, execution,
summary and final answer a fifth each). The trunk: {trunk} steps at a constant rate on the truth, 1 to 3 steps
a problem, then 1 to 5, then 3 to 7, {short} steps each of the first two. From it, saved in bfloat16, the truth
({truth} steps) and each mind ({mind} steps) decay linearly to rate 0. {hidden} × {layers}; Muon {muon:g} for
matrices, AdamW {adamw:g} for the rest, batch {batch}.

- {slips:.0f} % of the traces hold one word the mind would not write, without loss, and go on from it.
- In {lies:.0f} % of the p rows p tells random choices and digits and is followed.
- {without:.0f} % of the traces whose p tells codes have every note unknown, without loss.
- Of the rows whose p tells codes {masked:.0f} % have choices and results masked, {halved:.0f} % tell the first half
  alone, {alone:.0f} % have nothing left of x (what p does not tell then carries no loss).
"""

LIMITATIONS = """## Limits

- The answer metric has a floor of about 10 % (ten digits): a wrong trace can end in the right digit.
- A forced word is one word: whole wrong steps are in no text.
- Rebuilding gives equal weights only on the same kind of machine with the same library versions.
- G10 and L2 need an arm: they are read when vanilla distillation has run.
"""


def text(record: dict[str, Any]) -> str:
    """The card in Markdown."""
    recipe = record["recipe"]
    shares = {
        key: 100 * recipe[name]
        for key, name in (
            ("slips", "slips"),
            ("lies", "lies"),
            ("without", "without_codes"),
            ("masked", "masked"),
            ("halved", "halved"),
            ("alone", "alone"),
        )
    }
    data = DATA.format(
        trunk=recipe["trunk_steps"],
        short=recipe["short_steps"],
        truth=recipe["truth_steps"],
        mind=recipe["mind_steps"],
        hidden=recipe["hidden"],
        layers=recipe["layers"],
        muon=recipe["muon_lr"],
        adamw=recipe["adamw_lr"],
        batch=recipe["batch"],
        **shares,
    )
    parts = [INTRODUCTION, "## Models\n", drawn_card.models(record["models"]), data, drawn_card.minds(record)]
    for draw, found in sorted(record["draws"].items()):
        parts += [
            f"## Draw {draw}\n",
            drawn_card.gates(found, "problems", "domains", ""),
            drawn_card.accuracy(found, tuple(HEADERS), DOMAINS),
            drawn_card.cells(found),
        ]
    return "\n".join([*parts, LIMITATIONS])
