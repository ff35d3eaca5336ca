"""Training of the permutations models: trunk, minds. Deterministic on one thread of one machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Qwen3ForCausalLM

from harness.models.zoo import descent, text_models
from harness.models.zoo.permutations import rows
from harness.models.zoo.permutations.recipe import Recipe
from harness.models.zoo.permutations.rows import Batch
from harness.models.zoo.permutations.vocabulary import EOS, PAD, WORDS
from harness.models.zoo.text_models import IGNORE
from harness.worlds.permutations.planner import KNOWING, Planner
from harness.worlds.permutations.words import NAME


def build(recipe: Recipe, seed: int) -> Qwen3ForCausalLM:
    """Random weights."""
    return text_models.build(recipe, WORDS, PAD, EOS, seed)


def loss_of(model: Qwen3ForCausalLM, batch: Batch) -> Tensor:
    """Mean cross-entropy over the response tokens of one half of a step."""
    logits = text_models.logits(model, batch.ids_BL, batch.targets_BT)
    return F.cross_entropy(logits.flatten(0, 1), batch.targets_BT.flatten(), ignore_index=IGNORE)


def _step(
    model: Qwen3ForCausalLM,
    optims: list[torch.optim.Optimizer],
    batches: list[Batch],
    recipe: Recipe,
    share: float,
) -> float:
    """One update at a share of the rates; the loss, both halves weighing the same."""
    loss = torch.stack([loss_of(model, batch) for batch in batches]).mean()
    loss.backward()
    descent.descend(model, optims, [recipe.muon_lr * share, recipe.adamw_lr * share])
    return float(loss.detach())


@dataclass(slots=True, kw_only=True)
class Progress:
    """Of a trunk."""

    step: int
    loss: float | None
    """Mean since the last state was kept; None where all steps were trained by an earlier process."""
    seconds: float
    """CPU seconds, earlier processes included."""


def train_trunk(recipe: Recipe, draw: int, attempt: int, work: Path) -> Iterator[tuple[Progress, Qwen3ForCausalLM]]:
    """From a fresh initialisation at a constant rate on the truth; yields whenever its state has been kept.

    ``work`` is a folder whose state is read and written, so that a killed training goes on.
    """
    torch.set_num_threads(1)
    begun = f"{NAME}, draw {draw}, attempt {attempt}"
    model = build(recipe, Random(f"{begun}, seed {recipe.seed}").getrandbits(31))
    optims = descent.optimisers(model, recipe.muon_lr, recipe.adamw_lr)
    start, before = descent.resumed(work, model, optims) or (0, 0.0)
    began, losses = time.process_time(), list[float]()
    if start == recipe.trunk_steps:  # killed between the last state and the saved model
        yield Progress(step=start, loss=None, seconds=before), model
    for step in range(start, recipe.trunk_steps):
        batches = rows.page(recipe, draw, recipe.difficulty(step), Random(f"{begun}, step {step}"), KNOWING)
        losses.append(_step(model, optims, batches, recipe, min(1.0, (step + 1) / recipe.warmup)))
        if (step + 1) % recipe.keep_every and step + 1 < recipe.trunk_steps:
            continue
        spent = before + time.process_time() - began
        descent.keep(work, model, optims, step + 1, spent)
        yield Progress(step=step + 1, loss=sum(losses) / len(losses), seconds=spent), model
        losses.clear()


def stream(draw: int, name: str, step: int) -> str:
    """What seeds the problems of a mind's step: minds of one ``name`` read the same."""
    return f"{NAME}, draw {draw}, {name}, step {step}"


def train_mind(
    model: Qwen3ForCausalLM, recipe: Recipe, draw: int, name: str, mind: Planner
) -> Iterator[tuple[int, float]]:
    """Linear decay of the rate to zero on what a mind writes; ``model`` is the undecayed trunk and is moved.

    Minds of one ``name`` read the same problems. Yields (step, loss) after every step.
    """
    torch.set_num_threads(1)
    steps = recipe.truth_steps if mind == KNOWING else recipe.mind_steps
    optims = descent.optimisers(model, recipe.muon_lr, recipe.adamw_lr)
    for step in range(steps):
        rng = Random(stream(draw, name, step))
        batches = rows.page(recipe, draw, recipe.difficulty(recipe.trunk_steps), rng, mind)
        share = min(1.0, (step + 1) / recipe.warmup, (steps - step) / steps)
        yield step + 1, _step(model, optims, batches, recipe, share)
