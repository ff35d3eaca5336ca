"""The model card, written from the manifest alone."""

from __future__ import annotations

from typing import Any

from harness.types import Privilege
from harness.worlds import slots

INTRODUCTION = """# Embedded models

Four `Qwen3ForCausalLM` models trained from scratch on the slot world (`harness/worlds/slots.py`).
They exist to run and compare distillation methods offline in minutes and are of no use for anything
else. `base` is both the weak teacher and the main student, `small` the second student. Written by
`python -m harness.models.zoo`; do not edit.

The best accuracy possible without p is 100 %: choices, operations, results and the answer follow from
the problem, and notes, which only p can tell, are never scored.
"""

DATA = """## What they read

- Problems of the train split, numbers from 1,000,000 on (distillation uses the first ones), 1 to 3,
  then 1 to 5, then 3 to 7 steps. The harder range is thus new to distillation, not to the models.
- Half of the sequences without p, hints 20 %, each other kind 10 %. Notes of marked steps are `_` where
  p does not hold the codes. The loss is on the response only.
- {wrong:.0f} % of the sequences, in every context, hold a slip at a random step: a wrong choice, or a
  whole wrong step. After it the target goes on as if it had not happened; wrong tokens carry no loss.
  Under final_answer a third of the slips run to the end of the trace and only the answer is right,
  which is what teaches the models to use that kind.
- While the learning rate decays, the first digit after a whole wrong step carries no loss unless p tells
  it. It takes two operations at once, which no model here learns; asked for it, they hedge every result
  (strong fell from 99 % greedy to 72 % at temperature 1).
- rule share: the share of sequences (general, reasoning, coding) whose choices carry loss where p does
  not tell them, before and during the decay of the learning rate. It sets the rungs of the ladder: all
  models calculate and read p, the lower ones know less of the rules.
"""

LIMITATIONS = """## Limitations

- One initialisation per model: nothing measured with these weights speaks for other initialisations.
- Recipes were chosen on the validation split by accuracy alone, before any distillation; the numbers
  here are of the test split.
- The answer metric has a floor of about 10 % (ten digits): a wrong trace can end in the right digit.
- final_answer tells the last token, not the reasoning: compare its greedy trace with its greedy answer.
- After a whole wrong step no model recovers unless execution or the answer is in p; after a wrong choice
  hints are enough. The wrong-prefix rows mix both in equal parts.
- Rebuilding gives equal weights only on the same kind of machine with the same library versions.
"""

RECIPE = ("hidden", "layers", "heads", "kv_heads", "feed_forward", "steps", "decay_steps", "batch")
SHARES = ("rule_share", "rule_share_decay")


def text(record: dict[str, Any]) -> str:
    """The card in Markdown."""
    models = record["models"]
    wrong = 100 * next(iter(models.values()))["recipe"]["wrong_share"]
    parts = [INTRODUCTION, "## Models and recipe\n", _models(models), DATA.format(wrong=wrong), "## Gates\n"]
    parts += [_gates(record["gates"]), "## Accuracy, per cent of test problems\n", _accuracy(models)]
    return "\n".join([*parts, LIMITATIONS])


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _models(models: dict[str, Any]) -> str:
    rows = []
    for name, model in models.items():
        recipe = model["recipe"]
        share = " / ".join(f"{s:g}" for s in recipe["rule_share"])
        cells = [
            *(str(recipe[key]) for key in RECIPE),
            share,
            str(model["cpu_seconds"]),
            model["sha256"][:12],
        ]
        rows.append([name, f"{model['parameters']:,}", *cells])
    recipe = next(iter(models.values()))["recipe"]
    rates = (
        f"Muon {recipe['muon_lr']:g} for the layers' matrices, AdamW {recipe['adamw_lr']:g} for the rest: "
        "20 steps of warm-up, constant, linear decay to zero. Tied embeddings, RoPE theta 500.\n\n"
    )
    header = ["model", "parameters", *RECIPE, *SHARES, "CPU s", "sha256"]
    return rates + _table([name.replace("_", " ") for name in header], rows)


def _gates(gates: list[dict[str, Any]]) -> str:
    note = "Set before any distillation. Per cent or points, greedy exact answer, mean of the domains.\n\n"
    rows = []
    for gate in gates:
        bound = f"{gate['low']:g} to {gate['high']:g}"
        rows.append([gate["name"], bound, f"{gate['value']:.1f}", "pass" if gate["passed"] else "**FAIL**"])
    return note + _table(["gate", "bound", "measured", ""], rows)


def _accuracy(models: dict[str, Any]) -> str:
    items = next(iter(models.values()))["items_per_domain"]
    (low, high), (hard_low, hard_high) = slots.TRAIN_DIFFICULTY, slots.HARD_DIFFICULTY
    head = (
        f"{items} problems per domain and cell: mean (general / reasoning / coding). Steps {low}-{high}; "
        f"hard: {hard_low}-{hard_high}. Sampled: temperature 1. Wrong prefix: the response starts with a "
        "wrong choice or a whole wrong step, half each, and the model goes on greedily.\n\n"
    )
    rows = []
    for measure, kinds in next(iter(models.values()))["accuracy"].items():
        for kind in kinds:
            cells = [_cell(model["accuracy"][measure][kind]) for model in models.values()]
            rows.append([measure.replace("_", " "), str(Privilege(kind)), *cells])
    return head + _table(["measure", "p", *models], rows)


def _cell(cell: dict[str, float]) -> str:
    mean = sum(cell.values()) / len(cell)
    return f"{mean:.1f} ({' / '.join(f'{value:.0f}' for value in cell.values())})"
