"""The card of the scenes models, written from their manifest alone. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.types import Privilege
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
    parts = [INTRODUCTION, "## Models\n", _models(record["models"]), data, _mixes(recipe), _minds(record)]
    for draw, found in sorted(record["draws"].items()):
        parts += [f"## Draw {draw}\n", _gates(found), _accuracy(found), _cells(found)]
    return "\n".join([*parts, LIMITATIONS])


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def _models(models: dict[str, Any]) -> str:
    keys = ("parameters", "attempt", "steps", "cpu_seconds", "date")
    rows = [[name, *(entry[key] for key in keys), entry["sha256"][:12]] for name, entry in sorted(models.items())]
    return _table(["model", *(key.replace("_", " ") for key in keys), "sha256"], rows)


def _mixes(recipe: dict[str, Any]) -> str:
    keys = ("until", "describe", "seen", "drill", "plain", "privileged", "easy")
    rates = (
        f"Text {recipe['hidden']} × {recipe['layers']}, vision {recipe['vision_hidden']} × {recipe['vision_depth']}; "
        f"Muon {recipe['muon_lr']:g} ({recipe['muon_lr_settled']:g} from step {recipe['settled']} and in every decay) "
        f"for matrices, AdamW {recipe['adamw_lr']:g} for the rest; {recipe['vision_steps']} vision steps of "
        f"{recipe['vision_pictures']} pictures, then {recipe['pictures']} pictures a step.\n\n"
    )
    return rates + _table(keys, [[f"{mix[key]:g}" for key in keys] for mix in recipe["mixes"]])


def _minds(record: dict[str, Any]) -> str:
    minds = {e["folder"].rsplit("/")[-1]: e["mind"] for _, e in sorted(record["models"].items()) if e.get("mind")}
    keys = ("mistaken", "hard", "right", "wrong", "guesses", "misreads")
    said = "## Minds\n\nIntervals of secret orders of the cells; confidences are drawn per cell from a range.\n\n"
    shown = [[name, *(_said(mind[key]) for key in keys)] for name, mind in minds.items()]
    classes = record["classes"]
    sizes = [[name, *by.values()] for name, by in classes.items()]
    heads = [each.replace("_", " ") for each in next(iter(classes.values()))]
    return said + _table(["mind", *keys], shown) + "\nCells by who is right:\n\n" + _table(["cell set", *heads], sizes)


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} [{low:g}, {high:g})" for name, (low, high) in value.items()) or "nothing"
    if isinstance(value, list):
        return " to ".join(dict.fromkeys(f"{each:g}" for each in value))
    return f"{value:g}"


def _gates(found: dict[str, Any]) -> str:
    missed = [gate["key"] for gate in found["gates"] if gate["passed"] is False]
    high = found["high_advantage"]
    said = (
        f"Gates, on {found['questions']} questions of the test split; per cent or points, greedy exact answer, mean of "
        f"the kinds. Missed: {', '.join(missed) or 'none'}. G6 to G8 are of {high['tokens']} tokens with A >= mean, of "
        f"{high['judged']} judged; without anchors "
        f"{', '.join(f'{key} {value:.1f}' for key, value in found['without_anchors'].items())}.\n\n"
    )
    words = {True: "pass", False: "**FAIL**", None: "not run"}
    rows = [
        [g["key"], g["words"], g["bound"], "" if g["value"] is None else g["value"], words[g["passed"]]]
        for g in found["gates"]
    ]
    return said + _table(["gate", "", "bound", "measured", ""], rows)


def _accuracy(found: dict[str, Any]) -> str:
    said = "Greedy exact answers, mean (" + " / ".join(KINDS) + "):\n\n"
    rows = [[name, *(_cell(by[kind]) for kind in (Privilege.NONE, *HEADERS))] for name, by in found["accuracy"].items()]
    return said + _table(["model", *map(str, (Privilege.NONE, *HEADERS))], rows)


def _cell(by_kind: dict[str, float]) -> str:
    mean = sum(by_kind.values()) / len(by_kind)
    return f"{mean:.1f} ({' / '.join(f'{by_kind[kind]:.0f}' for kind in KINDS)})"


def _cells(found: dict[str, Any]) -> str:
    said = (
        "Along right traces without p: probability of the right word / per cent by argmax, by who of the pair is "
        "right on its cell (cells, words seen). Mass on codes at marked notes without p: "
        + ", ".join(f"{name} {mass:.1e}" for name, mass in found["code_mass"].items())
        + ".\n\n"
    )
    models = list(found["cells"])
    rows = [
        [
            f"{key} ({about['cells']}, {about['n']})",
            *(f"{found['cells'][m][key]['probability']} / {found['cells'][m][key]['argmax']}" for m in models),
        ]
        for key, about in found["cells"][models[0]].items()
    ]
    return said + _table(["cells", *models], rows)
