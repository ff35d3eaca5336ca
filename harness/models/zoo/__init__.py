"""The embedded models: recipes, weights, gates. ``python -m harness.models.zoo`` rebuilds them.

Importing this module imports no torch.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.types import HarnessError, Privilege
from harness.worlds import slots

WEIGHTS = Path(__file__).parent / "weights"
ITEMS = 300
"""Test problems per domain in every cell of the manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides a model's weights, apart from the library versions and the processor."""

    hidden: int
    layers: int
    feed_forward: int
    steps: int
    decay_steps: int
    """Linear decay of the learning rate to zero over the last steps."""
    heads: int = 4
    kv_heads: int = 2
    batch: int = 64
    """Half without p, half with some kind of p."""
    muon_lr: float = 0.01
    adamw_lr: float = 0.004
    wrong_share: float = 0.4
    """Sequences with a wrong prefix that recovers."""
    rule_share: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Per domain, sequences whose choices enter the loss where p does not tell them. This, not arithmetic or
    reading p, is what the lower models lack."""
    rule_share_decay: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """The same, while the learning rate decays."""
    short_steps: int = 100
    """Steps of each of the two easier stages at the start."""
    seed: int = 0


RECIPES = {
    "strong": Recipe(hidden=96, layers=3, feed_forward=256, steps=1400, decay_steps=400),
    "mid": Recipe(
        hidden=96,
        layers=3,
        feed_forward=256,
        steps=1000,
        decay_steps=400,
        rule_share=(0.1, 0.13, 0.04),
        rule_share_decay=(0.8, 0.55, 0.13),
    ),
    "base": Recipe(
        hidden=64,
        layers=2,
        feed_forward=160,
        steps=1140,
        decay_steps=340,
        rule_share=(0.15, 0.15, 0.06),
        rule_share_decay=(0.118, 0.152, 0.046),
    ),
    "small": Recipe(
        hidden=48,
        layers=2,
        feed_forward=128,
        steps=1200,
        decay_steps=400,
        rule_share=(0.12, 0.15, 0.05),
        rule_share_decay=(0.179, 0.134, 0.0495),
    ),
}
"""The ladder. base is both the weak teacher and the main student; small is the other student."""


def _read() -> dict[str, Any]:
    file = WEIGHTS / "manifest.json"
    return json.loads(file.read_text()) if file.exists() else {"models": {}, "gates": []}


LADDER: dict[str, dict[str, Any]] = _read()["models"]
"""Of the slot world's models: name -> sha256 of model.safetensors, parameters, recipe, accuracy."""
MANIFEST: dict[str, dict[str, Any]] = LADDER | {
    name: entry
    for file in sorted(WEIGHTS.glob("*/manifest.json"))
    for name, entry in json.loads(file.read_text())["models"].items()
}
"""Of all shipped models, other worlds' too; each entry has its sha256 and, where that is not its name, its folder."""
GATES: list[dict[str, Any]] = _read()["gates"]
"""Each gate: name, bound, value, passed. Set before any distillation; failures stay on record."""


def path(name: str) -> Path:
    """Folder of an embedded model. Raises HarnessError for a name that is not in the zoo."""
    if name not in MANIFEST:
        raise HarnessError(f"no embedded model {name!r}; the zoo has: {', '.join(MANIFEST) or 'none'}")
    return WEIGHTS / MANIFEST[name].get("folder", name)


def names() -> str:
    """Of all shipped models, those of one kind in several draws once."""
    return ", ".join(sorted({re.sub(r"_draw\d+$", "_drawN", name) for name in MANIFEST}))


def mean(cell: dict[str, float]) -> float:
    """Mean of the domains, in per cent."""
    return sum(cell.values()) / len(cell)


def gates(models: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Every gate, computed from the accuracies of the four models."""
    accuracy = {name: entry["accuracy"] for name, entry in models.items()}
    plain = {name: mean(a["greedy"][Privilege.NONE]) for name, a in accuracy.items()}
    mid = accuracy["mid"]
    out = [
        _gate("strong teacher, no p", plain["strong"], low=90),
        _gate("mid teacher, no p", plain["mid"], low=65, high=80),
        _gate("weak teacher and student base, no p", plain["base"], low=30, high=50),
        _gate("student small, no p", plain["small"], low=30, high=50),
        _gate("ladder step strong - mid", plain["strong"] - plain["mid"], low=15),
        _gate("ladder step mid - base", plain["mid"] - plain["base"], low=15),
        _gate("ladder step base - small", plain["base"] - plain["small"], low=15),
        _gate("hints raise mid", mean(mid["greedy"][Privilege.HINTS]) - plain["mid"], low=12),
        _gate(
            "hints raise mid after a wrong prefix",
            mean(mid["wrong_prefix"][Privilege.HINTS]) - mean(mid["wrong_prefix"][Privilege.NONE]),
            low=8,
        ),
        _gate("strong teacher, harder range", mean(accuracy["strong"]["hard"][Privilege.NONE]), low=60),
    ]
    for kind in slots.HEADERS:
        moves = [abs(mean(a["greedy"][kind]) - plain[name]) for name, a in accuracy.items()]
        out.append(_gate(f"{kind} moves some model", max(moves), low=5))
    for domain in slots.DOMAINS:
        step = mid["greedy"][Privilege.NONE][domain] - accuracy["base"]["greedy"][Privilege.NONE][domain]
        out.append(_gate(f"mid - base in {domain}", step, low=8))
    return out


def _gate(name: str, value: float, low: float = 0.0, high: float = 100.0) -> dict[str, Any]:
    return {"name": name, "value": round(value, 1), "low": low, "high": high, "passed": low <= value <= high}


def sha256(file: Path) -> str:
    """Hex digest of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def build(name: str, *, items: int = ITEMS, trunk: Path | None = None) -> dict[str, Any]:
    """Train, save and measure one model; returns its manifest entry."""
    from harness.models.zoo import measure, pretrain, text_models, tokenizer

    recipe, began = RECIPES[name], time.process_time()
    model, losses = None, []
    for step, loss, model in pretrain.train(recipe, trunk):  # noqa: B007 (the last model is kept)
        losses.append(loss)
        if step % 100 == 0:
            print(f"{name} {step}/{recipe.steps} loss {loss:.3f}", flush=True)
    assert model is not None
    seconds, words = time.process_time() - began, tokenizer.build()
    text_models.save(model, words, WEIGHTS / name, max_new_tokens=slots.MAX_RESPONSE_TOKENS + 1)
    return {
        "sha256": sha256(WEIGHTS / name / "model.safetensors"),
        "parameters": sum(p.numel() for p in model.parameters()),
        "recipe": asdict(recipe),
        "loss": round(sum(losses[-100:]) / len(losses[-100:]), 4),
        "cpu_seconds": round(seconds / len(losses) * recipe.steps),
        "date": time.strftime("%Y-%m-%d"),
        "items_per_domain": items,
        "accuracy": measure.report(model, words, items),
    }


def write_manifest(models: dict[str, dict[str, Any]]) -> None:
    """Write manifest.json, and CARD.md once all four models are there."""
    from harness.models.zoo import card

    found = gates(models) if set(models) == set(RECIPES) else []
    record = {
        "world_version": slots.WORLD_VERSION,
        "models": {name: models[name] for name in RECIPES if name in models},
        "gates": found,
    }
    draft = WEIGHTS / "manifest.json.new"
    draft.write_text(json.dumps(record, indent=1) + "\n")
    draft.replace(WEIGHTS / "manifest.json")  # never half a file for those who import this module meanwhile
    if found:
        (WEIGHTS / "CARD.md").write_text(card.text(record))


def main() -> None:
    """Command line: rebuild some or all models, then the manifest, the gates and the card."""
    parser = argparse.ArgumentParser(prog="python -m harness.models.zoo", description=main.__doc__)
    parser.add_argument("--only", nargs="+", choices=tuple(RECIPES), default=tuple(RECIPES), metavar="NAME")
    parser.add_argument("--items", type=int, default=ITEMS, help="test problems per domain and cell")
    parser.add_argument("--trunk", type=Path, help="folder of states shared by recipes that differ in length")
    parser.add_argument("--card", action="store_true", help="rewrite gates and card from the manifest only")
    args = parser.parse_args()
    models = _read()["models"]
    for name in () if args.card else args.only:
        models[name] = build(name, items=args.items, trunk=args.trunk)
        write_manifest(models)
    write_manifest(models)
    for gate in _read()["gates"]:
        print(f"{'ok ' if gate['passed'] else 'FAILED'} {gate['name']}: {gate['value']}")
