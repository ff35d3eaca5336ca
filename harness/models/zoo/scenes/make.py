"""Making the models of a draw: train, save in bfloat16, measure, read the gates, write manifest and card."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig
from transformers.utils import logging as transformers_logging

from harness.models import zoo
from harness.models.zoo import bounds
from harness.models.zoo.scenes import card, measure, model, pretrain
from harness.models.zoo.scenes.recipe import MINDS, MODELS, RECIPE, STUDENT, TEACHER, TRUNK, Recipe
from harness.models.zoo.scenes.vocabulary import EOS, IDS, PAD, image_processor, tokenizer
from harness.types import HarnessError, Privilege
from harness.worlds.minds import class_sizes
from harness.worlds.scenes import scribe, tables, words
from harness.worlds.scenes.words import BOX_CAPTION, BOX_LABEL, CAPTION, DEGRADED, EVIDENCE

FOLDER = zoo.WEIGHTS / words.NAME
LADDER = (BOX_CAPTION, BOX_LABEL, CAPTION, Privilege.NONE)
"""Kinds of p from the richest; the second is the default."""
QUESTIONS = bounds.QUESTIONS // len(words.KINDS)
"""Of each kind, in every measurement."""


def folder_of(draw: int, name: str) -> Path:
    """Of a model's files."""
    return FOLDER / f"draw{draw}" / name


def save(found: model.Model, folder: Path) -> None:
    """Weights in bfloat16, config, tokenizer and image processor, as the library's own classes load them."""
    halved = model.build(RECIPE, 0).bfloat16()
    halved.load_state_dict(found.state_dict())
    halved.generation_config = GenerationConfig(
        do_sample=False, eos_token_id=IDS[EOS], pad_token_id=IDS[PAD], max_new_tokens=scribe.LENGTH + 2
    )
    halved.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)  # the library leaves it to its owner alone
    tokenizer().save_pretrained(folder)
    image_processor().save_pretrained(folder)


def load(draw: int, name: str) -> model.Model:
    """A saved model in float32, whose weights are bfloat16 numbers.

    Raises:
        HarnessError: it is not there.
    """
    folder = folder_of(draw, name)
    if not (folder / "model.safetensors").is_file():
        raise HarnessError(f"draw {draw} has no {name} in {folder}: make it first (--only {name})")
    return model.Model.from_pretrained(folder, dtype=torch.float32).eval()


def make(draw: int, name: str, *, attempt: int, recipe: Recipe = RECIPE) -> dict[str, Any]:
    """Train and save one model; its entry of the manifest, not measured yet."""
    began, losses = time.process_time(), list[float]()
    if name == TRUNK:
        made, seconds, steps = _trunk(draw, attempt, recipe)
    else:
        made = load(draw, TRUNK)
        for step, loss in pretrain.train_mind(made, recipe, draw, name):
            losses.append(loss)
            if step % 50 == 0:
                print(f"draw {draw} {name} {step} loss {sum(losses[-50:]) / 50:.3f}", flush=True)
        seconds, steps = time.process_time() - began, len(losses)
    save(made, folder_of(draw, name))
    entry = {
        "folder": f"{words.NAME}/draw{draw}/{name}",
        "sha256": zoo.sha256(folder_of(draw, name) / "model.safetensors"),
        "parameters": sum(p.numel() for p in made.parameters()),
        "draw": draw,
        "attempt": attempt,
        "steps": steps,
        "cpu_seconds": round(seconds),
        "date": time.strftime("%Y-%m-%d"),
    }
    return entry if name == TRUNK else entry | {"mind": asdict(MINDS[name])}


def _trunk(draw: int, attempt: int, recipe: Recipe) -> tuple[model.Model, float, int]:
    work = FOLDER / f"draw{draw}" / "work"
    last = made = None
    for last, made in pretrain.train_trunk(recipe, draw, attempt, work):  # noqa: B007 (the last is kept)
        shares = " ".join(f"{what} {share:.0f}" for what, share in last.shares.items())
        print(f"draw {draw} trunk {last.step} loss {last.loss:.3f} {last.seconds:.0f} CPU s {shares}", flush=True)
    assert last is not None and made is not None
    (work / "trunk.pt").unlink()
    work.rmdir()
    return made, last.seconds, last.step


def measured(draw: int) -> dict[str, Any]:
    """Accuracies of every model of a draw, cells by class, and every gate."""
    of = measure.asked(draw, n=QUESTIONS, split="test")
    models = {name: load(draw, name) for name in MODELS}
    accuracy = {name: measure.by_privilege(each, of) for name, each in models.items()}
    means = {name: {kind: measure.mean(by) for kind, by in found.items()} for name, found in accuracy.items()}
    everything, without_anchors = measure.judged(models["student"], models["teacher"], of, BOX_LABEL)
    values = truth_gates(models["truth"], draw, of)
    values |= bounds.accuracies(means["student"], means["teacher"], LADDER) | everything.shares()
    return {
        "questions": len(of.questions),
        "accuracy": {name: _rounded(found) for name, found in accuracy.items()},
        "cells": {name: measure.by_class(models[name], of, STUDENT, TEACHER) for name in MINDS},
        "code_mass": {name: measure.code_mass(models[name], of) for name in MINDS},
        "high_advantage": {"tokens": int(everything.high().sum()), "judged": int(everything.judged.sum())},
        "without_anchors": {key: round(value, 1) for key, value in without_anchors.shares().items()},
        "gates": bounds.read((*bounds.PICTURES, *bounds.PREMISE), values),
    }


def truth_gates(truth: model.Model, draw: int, of: measure.Asked) -> dict[str, float]:
    """P1 to P6."""
    plain = measure.responses(truth, of)
    by_place = measure.places_right(of, plain)
    readings = measure.words_right(truth, draw, pictures=QUESTIONS // 5, split="test")
    shown = {
        what: measure.right(of, measure.responses(truth, of, what=what)) for what in (measure.OTHER, EVIDENCE, DEGRADED)
    }
    told = {kind: measure.followed(truth, of, kind) for kind in pretrain.FALSE}
    return {
        "P1": min(min(by.values()) for by in by_place.values()),
        "P2": 100 * min(each["reading"] for each in readings.values()),
        "P3": max(shown[measure.OTHER].values()),
        **{f"P4 {kind}": told[kind][what] for kind, what in pretrain.FALSE.items()},
        "P5": measure.mean(measure.right(of, plain)) - measure.mean(shown[EVIDENCE]),
        "P6": max(shown[DEGRADED].values()),
    }


def _rounded(found: dict[str, dict[words.Kind, float]]) -> dict[str, dict[str, float]]:
    return {str(p): {str(kind): round(value, 1) for kind, value in by.items()} for p, by in found.items()}


def read_manifest() -> dict[str, Any]:
    """What is known of the models and draws so far."""
    file = FOLDER / "manifest.json"
    empty = {"world_version": words.WORLD_VERSION, "models": {}, "draws": {}}
    return json.loads(file.read_text()) if file.exists() else empty


def write_manifest(record: dict[str, Any]) -> None:
    """Manifest and card, never half a file."""
    sizes = {name: class_sizes(STUDENT, TEACHER, cells) for name, cells in tables.tables(tables.DEVELOPMENT).items()}
    classes = {name: {str(each): n for each, n in by.items()} for name, by in sizes.items()}
    record = json.loads(json.dumps(record | {"recipe": asdict(RECIPE), "classes": classes}))  # as it is read again
    draft = FOLDER / "manifest.json.new"
    FOLDER.mkdir(parents=True, exist_ok=True)
    draft.write_text(json.dumps(record, indent=1) + "\n")
    draft.replace(FOLDER / "manifest.json")
    (FOLDER / "CARD.md").write_text(card.text(record))


def main() -> None:
    """Command line: make the models of some draws, measure them, read the gates, write manifest and card."""
    parser = argparse.ArgumentParser(prog="python -m harness.models.zoo.scenes", description=main.__doc__)
    parser.add_argument("--draws", nargs="+", type=int, default=list(range(tables.DRAWS)), metavar="DRAW")
    parser.add_argument("--only", nargs="*", choices=MODELS, default=MODELS, metavar="NAME", help="none: measure alone")
    parser.add_argument(
        "--attempt", type=int, default=0, help="another initialisation of the trunk; counted in the card"
    )
    args = parser.parse_args()
    transformers_logging.disable_progress_bar()
    for draw in map(tables.check_draw, args.draws):
        for name in (name for name in MODELS if name in args.only):
            entry = make(draw, name, attempt=args.attempt)
            record = read_manifest()
            record["models"][shipped_name(name, draw)] = entry
            write_manifest(record)
        found = measured(draw)
        record = read_manifest()
        record["draws"][str(draw)] = found
        write_manifest(record)
        for gate in found["gates"]:
            passed = {True: "ok", False: "FAILED", None: "not run"}[gate["passed"]]
            print(
                f"draw {draw} {passed:8} {gate['key']} {gate['words']}: {gate['value']} ({gate['bound']})", flush=True
            )


def shipped_name(name: str, draw: int) -> str:
    """As in ``ModelSpec.name``: ``scenes_student_draw0``."""
    return f"{words.NAME}_{name}_draw{draw}"
