"""Making the models of a draw: train, save in bfloat16, measure, read the gates, write manifest and card."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen3ForCausalLM
from transformers.utils import logging as transformers_logging

from harness.models import zoo
from harness.models.zoo import bounds, descent, text_models
from harness.models.zoo.permutations import card, measure, pretrain
from harness.models.zoo.permutations.recipe import MINDS, MODELS, RECIPE, STUDENT, TEACHER, TRUNK, Recipe
from harness.models.zoo.permutations.vocabulary import tokenizer
from harness.models.zoo.shelf import Making, Shelf, run
from harness.types import Privilege
from harness.worlds.permutations import planner, tables, words
from harness.worlds.permutations.words import EXECUTION, HEADERS, HINTS, SUMMARY

FOLDER = zoo.WEIGHTS / words.NAME
LADDER = (EXECUTION, HINTS, SUMMARY, Privilege.NONE)
"""Kinds of p from the richest; the second is the default."""
PROBLEMS = bounds.QUESTIONS // len(words.DOMAINS)
"""Of each domain, in every measurement."""
GATES = (*bounds.LANGUAGE, *bounds.PREMISE)
"""In the order of the card."""


def shelf() -> Shelf:
    """Where the models lie."""
    return Shelf(world=words.NAME, version=words.WORLD_VERSION, folder=FOLDER)


def save(found: Qwen3ForCausalLM, draw: int, name: str, recipe: Recipe) -> None:
    """Weights in bfloat16, config and tokenizer, as the library's own classes load them."""
    halved = pretrain.build(recipe, 0).bfloat16()
    halved.load_state_dict(found.state_dict())
    folder = shelf().folder_of(draw, name)
    text_models.save(halved, tokenizer(), folder, max_new_tokens=words.MAX_RESPONSE_TOKENS + 1)


def load(draw: int, name: str) -> Qwen3ForCausalLM:
    """A saved model in float32, whose weights are bfloat16 numbers.

    Raises:
        HarnessError: it is not there.
    """
    return Qwen3ForCausalLM.from_pretrained(shelf().there(draw, name), dtype=torch.float32).eval()


def make(draw: int, name: str, *, attempt: int, recipe: Recipe = RECIPE) -> dict[str, Any]:
    """Train and save one model; its entry of the manifest, not measured yet."""
    began, losses = time.process_time(), list[float]()
    if name == TRUNK:
        made, seconds, steps = _trunk(draw, attempt, recipe)
    else:
        made = load(draw, TRUNK)
        for step, loss in pretrain.train_mind(made, recipe, draw, name, MINDS[name]):
            losses.append(loss)
            if step % 50 == 0:
                print(f"draw {draw} {name} {step} loss {sum(losses[-50:]) / 50:.3f}", flush=True)
        seconds, steps = time.process_time() - began, len(losses)
    save(made, draw, name, recipe)
    if name == TRUNK:
        descent.forget(_work(draw))
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


def _work(draw: int) -> Path:
    return FOLDER / f"draw{draw}" / "work"


def _trunk(draw: int, attempt: int, recipe: Recipe) -> tuple[Qwen3ForCausalLM, float, int]:
    last = made = None
    for last, made in pretrain.train_trunk(recipe, draw, attempt, _work(draw)):  # noqa: B007 (the last is kept)
        loss = "" if last.loss is None else f"loss {last.loss:.3f} "
        print(f"draw {draw} trunk {last.step} {loss}{last.seconds:.0f} CPU s", flush=True)
    assert last is not None and made is not None
    return made, last.seconds, last.step


def measured(draw: int) -> dict[str, Any]:
    """Accuracies of every model of a draw, cells by class, and every gate."""
    of = measure.asked(draw, n=PROBLEMS, split="test")
    models = {name: load(draw, name) for name in MODELS}
    accuracy = {name: measure.by_privilege(each, of, tuple(HEADERS)) for name, each in models.items()}
    means = {name: {kind: measure.mean(by) for kind, by in found.items()} for name, found in accuracy.items()}
    judged = measure.judged(models["student"], models["teacher"], of, HINTS)
    none = Privilege.NONE
    values = truth_gates(models["truth"], of) | {
        "L1": means["student"][none] - means["small"][none],
        "L3": abs(means["student"][none] - means["student_uncalibrated"][none]),
    }
    values |= bounds.accuracies(means["student"], means["teacher"], LADDER) | judged.shares()
    read = code_read(models, of)
    values |= {"P7": min(read["teacher"], read["student"])}
    return {
        "questions": len(of.problems),
        "accuracy": {name: _rounded(found) for name, found in accuracy.items()},
        "cells": {name: measure.by_class(models[name], of, STUDENT, TEACHER) for name in MINDS},
        "code_mass": {name: measure.code_mass(models[name], of) for name in MINDS},
        "code_read": read,
        "high_advantage": {"tokens": int(judged.high().sum()), "judged": int(judged.judged.sum())},
        "gates": bounds.read(GATES, values),
    }


def code_read(models: Mapping[str, Qwen3ForCausalLM], of: measure.Asked) -> dict[str, float]:
    """Of every mind, with the default p."""
    return {name: round(measure.code_read(models[name], of, HINTS), 1) for name in MINDS}


def truth_gates(truth: Qwen3ForCausalLM, of: measure.Asked) -> dict[str, float]:
    """P1, P2 and P4."""
    plain = measure.right(of, measure.responses(truth, of))
    return {
        "P1": min(plain.values()),
        "P2": min(measure.results_right(truth, of).values()),
        **{f"P4 {kind}": measure.followed(truth, of, kind)[what] for kind, what in measure.FALSE.items()},
    }


def _rounded(found: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    return {str(p): {domain: round(value, 1) for domain, value in by.items()} for p, by in found.items()}


def cells(draw: int, weights: Mapping[str, torch.Tensor]) -> dict[str, dict[str, float]]:
    """By class, of the draw's student with other weights."""
    other = load(draw, "student")
    other.load_state_dict(weights)
    return measure.by_class(other, measure.asked(draw, n=PROBLEMS, split="test"), STUDENT, TEACHER)


def write_manifest(record: dict[str, Any]) -> None:
    """Manifest and card."""
    shelf().write(record, recipe=asdict(RECIPE), classes=planner.class_sizes(STUDENT, TEACHER), card=card.text)


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
            alone="result, student_only",
            gates=GATES,
        )
    )
