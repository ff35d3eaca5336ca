"""Making the models of a draw: train, save in bfloat16, measure, read the gates, write manifest and card."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig
from transformers.utils import logging as transformers_logging

from harness.models import zoo
from harness.models.zoo import bounds, descent
from harness.models.zoo.scenes import card, measure, model, pretrain
from harness.models.zoo.scenes.recipe import MINDS, MODELS, RECIPE, STUDENT, TEACHER, TRUNK, Recipe
from harness.models.zoo.scenes.vocabulary import EOS, IDS, PAD, image_processor, tokenizer
from harness.models.zoo.shelf import Making, Shelf, run
from harness.types import Privilege
from harness.worlds.minds import class_sizes
from harness.worlds.scenes import scribe, tables, words
from harness.worlds.scenes.words import BOX_CAPTION, BOX_LABEL, CAPTION, DEGRADED, EVIDENCE

FOLDER = zoo.WEIGHTS / words.NAME
LADDER = (BOX_CAPTION, BOX_LABEL, CAPTION, Privilege.NONE)
"""Kinds of p from the richest; the second is the default."""
QUESTIONS = bounds.QUESTIONS // len(words.KINDS)
"""Of each kind, in every measurement."""
GATES = (*bounds.PICTURES, *bounds.PREMISE)
"""In the order of the card."""


def shelf() -> Shelf:
    """Where the models lie."""
    return Shelf(world=words.NAME, version=words.WORLD_VERSION, folder=FOLDER)


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
    return model.Model.from_pretrained(shelf().there(draw, name), dtype=torch.float32).eval()


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
    save(made, shelf().folder_of(draw, name))
    return shelf().entry(
        draw,
        name,
        mind=MINDS.get(name),
        recipe=asdict(recipe),
        trunk=None if name == TRUNK else TRUNK,
        parameters=sum(p.numel() for p in made.parameters()),
        attempt=attempt,
        steps=steps,
        cpu_seconds=round(seconds),
    )


def _trunk(draw: int, attempt: int, recipe: Recipe) -> tuple[model.Model, float, int]:
    work = FOLDER / f"draw{draw}" / "work"
    last = made = None
    for last, made in pretrain.train_trunk(recipe, draw, attempt, work):  # noqa: B007 (the last is kept)
        shares = " ".join(f"{what} {share:.0f}" for what, share in last.shares.items())
        print(f"draw {draw} trunk {last.step} loss {last.loss:.3f} {last.seconds:.0f} CPU s {shares}", flush=True)
    assert last is not None and made is not None
    descent.forget(work)
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
    read = code_read(models, of)
    values |= {"P7": min(read["teacher"], read["student"])}
    return {
        "questions": len(of.questions),
        "accuracy": {name: _rounded(found) for name, found in accuracy.items()},
        "cells": {name: measure.by_class(models[name], of, STUDENT, TEACHER) for name in MINDS},
        "code_mass": {name: measure.code_mass(models[name], of) for name in MINDS},
        "code_read": read,
        "high_advantage": {"tokens": int(everything.high().sum()), "judged": int(everything.judged.sum())},
        "without_anchors": {key: round(value, 1) for key, value in without_anchors.shares().items()},
        "gates": bounds.read(GATES, values),
    }


def code_read(models: Mapping[str, model.Model], of: measure.Asked) -> dict[str, float]:
    """Of every mind, with the default p."""
    return {name: round(measure.code_read(models[name], of, BOX_LABEL), 1) for name in MINDS}


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


def cells(draw: int, weights: Mapping[str, torch.Tensor]) -> dict[str, dict[str, float]]:
    """By class, of the draw's student with other weights."""
    other = load(draw, "student")
    other.load_state_dict(weights)
    return measure.by_class(other, measure.asked(draw, n=QUESTIONS, split="test"), STUDENT, TEACHER)


def write_manifest(record: dict[str, Any]) -> None:
    """Manifest and card."""
    sizes = {name: class_sizes(STUDENT, TEACHER, cells) for name, cells in tables.tables(tables.DEVELOPMENT).items()}
    shelf().write(record, recipe=asdict(RECIPE), classes=sizes, card=card.text)


def main() -> None:
    """Command line, see ``harness.models.zoo.shelf.run``."""
    transformers_logging.disable_progress_bar()
    run(
        Making(
            shelf=shelf(),
            models=MODELS,
            minds=MINDS,
            recipe=asdict(RECIPE),
            draws=tables.DRAWS,
            check_draw=tables.check_draw,
            make=lambda draw, name, attempt: make(draw, name, attempt=attempt),
            measured=measured,
            write=write_manifest,
            cells=cells,
            alone="reading, student_only",
            gates=GATES,
        )
    )
