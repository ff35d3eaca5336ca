"""Training of the scenes models: vision tower, trunk, minds. Deterministic on one thread of one machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Qwen3VLForConditionalGeneration

from harness.models.zoo import descent
from harness.models.zoo.scenes import measure, rows
from harness.models.zoo.scenes import model as models
from harness.models.zoo.scenes.recipe import MINDS, Mix, Recipe
from harness.models.zoo.scenes.rows import Batch, Page
from harness.models.zoo.scenes.vocabulary import IDS
from harness.models.zoo.text_models import IGNORE
from harness.types import HarnessError
from harness.worlds.minds import KNOWING
from harness.worlds.scenes import questions
from harness.worlds.scenes.picture import Scene, draw
from harness.worlds.scenes.words import (
    BOX_CAPTION,
    BOX_LABEL,
    CAPTION,
    COLOURS,
    FINAL_ANSWER,
    LAMPS,
    LOOKS,
    PLACES,
    SHAPES,
)

SHARPNESS = 16.0
"""Factor on the cosine between a picture token and a word."""
LABELS: dict[str, tuple[tuple[str, ...], Callable[[Scene], Sequence[str]]]] = {
    "place": (PLACES, lambda scene: PLACES),
    "colour": (COLOURS, lambda scene: scene.colours),
    "shape": (SHAPES, lambda scene: scene.shapes),
    "look": (LOOKS, lambda scene: [rows.look(scene, place) for place in PLACES]),
    "lamp": (LAMPS, lambda scene: scene.lamps),
}
"""What each picture token must say of its place, and in which words."""
Model = Qwen3VLForConditionalGeneration


def label_losses(model: Model, features_NKD: Tensor, scenes: Sequence[Scene]) -> tuple[Tensor, dict[str, float]]:
    """Sum over labels of the cross-entropy of picture tokens against the embeddings of the label's words, which are
    not moved; and the share that is right of each."""
    embeddings = model.model.language_model.embed_tokens.weight.detach()
    tokens = F.normalize(features_NKD[: len(scenes)].flatten(0, 1), dim=-1)
    loss, right = torch.zeros(()), dict[str, float]()
    for name, (choices, of) in LABELS.items():
        directions = F.normalize(embeddings[[IDS[word] for word in choices]], dim=-1)
        logits = SHARPNESS * tokens @ directions.T
        wanted = torch.tensor([choices.index(word) for scene in scenes for word in of(scene)])
        loss = loss + F.cross_entropy(logits, wanted)
        right[name] = float((logits.argmax(-1) == wanted).float().mean())
    return loss, right


def train_vision(model: Model, recipe: Recipe, stream: str) -> dict[str, float]:
    """The tower alone, with labels; returns the share right of each label in the last step."""
    optims = descent.optimisers(model, recipe.vision_muon_lr, recipe.adamw_lr, only="model.visual")
    right: dict[str, float] = {}
    for step in range(recipe.vision_steps):
        rng = Random(f"{stream}, vision {step}")
        scenes = [questions.scene_of("train", rng) for _ in range(recipe.vision_pictures)]
        seen = models.see(model, [draw(scene) for scene in scenes])
        loss, right = label_losses(model, seen.features_NKD, scenes)
        loss.backward()
        left = (recipe.vision_steps - step) / (0.3 * recipe.vision_steps)
        share = min(1.0, (step + 1) / 10, left)
        descent.descend(model, optims, [recipe.vision_muon_lr * share, recipe.adamw_lr * share])
    return right


def loss_of(model: Model, page: Page, vision_weight: float) -> Tensor:
    """Mean cross-entropy over all response tokens of a step, and the labels' of its own pictures."""
    seen = models.see(model, page.pictures)
    losses = [_summed(model, batch, seen) for batch in page.batches]
    count = sum(int((batch.targets_BT != IGNORE).sum()) for batch in page.batches)
    labels, _ = label_losses(model, seen.features_NKD, page.scenes)
    return torch.stack(losses).sum() / count + vision_weight * labels


def _summed(model: Model, batch: Batch, seen: models.Seen) -> Tensor:
    states = models.hidden(model, batch.ids_BL[:, :-1], seen.rows(batch.picture_B), batch.at)
    logits = model.lm_head(states[:, batch.prompt - 1 :])
    return F.cross_entropy(logits.flatten(0, 1), batch.targets_BT.flatten(), ignore_index=IGNORE, reduction="sum")


@dataclass(slots=True, kw_only=True)
class Progress:
    """Of a trunk."""

    step: int
    loss: float
    """Mean since the last check."""
    seconds: float
    """CPU seconds, earlier processes included."""
    shares: Mapping[str, float]
    """Per cent right, see ``checked``; empty before the first check."""
    done: bool = False


def train_trunk(recipe: Recipe, draw_of_world: int, attempt: int, work: Path) -> Iterator[tuple[Progress, Model]]:
    """From a fresh initialisation at a constant rate until all that is checked is right enough; yields at each check.

    ``work`` is a folder whose ``trunk.pt`` is read and written, so that a killed training goes on.

    Raises:
        HarnessError: the CPU minutes of the recipe are over.
    """
    torch.set_num_threads(1)
    stream = f"scenes, draw {draw_of_world}, attempt {attempt}"
    model = models.build(recipe, Random(stream).getrandbits(31))
    optims = descent.optimisers(model, recipe.muon_lr, recipe.adamw_lr)
    start, before, began, losses = descent.resumed(work, model, optims), 0.0, time.process_time(), list[float]()
    if start is None:
        train_vision(model, recipe, stream)
        step = 0
    else:
        step, before = start
    while True:
        rng = Random(f"{stream}, step {step}")
        page = rows.page(recipe, draw_of_world, recipe.mix(step), rng, KNOWING, recipe.lies)
        loss = loss_of(model, page, recipe.vision_weight)
        loss.backward()
        share = min(1.0, (step + 1) / recipe.warmup)
        muon = recipe.muon_lr if step < recipe.settled else recipe.muon_lr_settled
        descent.descend(model, optims, [muon * share, recipe.adamw_lr * share])
        losses.append(float(loss.detach()))
        step += 1
        if step % recipe.check_every:
            continue
        spent = before + time.process_time() - began
        found = checked(model, recipe, draw_of_world) if step >= recipe.check_from else {}
        done = bool(found) and min(found.values()) >= recipe.enough
        descent.keep(work, model, optims, step, spent)
        yield Progress(step=step, loss=sum(losses) / len(losses), seconds=spent, shares=found, done=done), model
        losses.clear()
        if done:
            return
        if spent > 60 * recipe.cpu_minutes:
            raise HarnessError(
                f"the trunk of draw {draw_of_world}, attempt {attempt}, is not done after {recipe.cpu_minutes:g} CPU "
                f"minutes ({found}): give another attempt, or let all draws share one perception trunk"
            )


FALSE = {BOX_LABEL: "place", CAPTION: "place", BOX_CAPTION: "reading", FINAL_ANSWER: "answer"}
"""What a false p of each kind must be followed in."""


def checked(model: Model, recipe: Recipe, draw_of_world: int) -> dict[str, float]:
    """Per cent of the places right by kind, without p; and of what each kind of p told falsely that is written."""
    found = measure.words_right(model, draw_of_world, pictures=recipe.check_pictures, split="validation")
    places = {str(kind): 100 * right["place"] for kind, right in found.items()}
    of = measure.asked(draw_of_world, n=recipe.check_pictures // 3, split="validation", stream="checks")
    return places | {f"false {kind}": measure.followed(model, of, kind)[what] for kind, what in FALSE.items()}


def train_mind(model: Model, recipe: Recipe, draw_of_world: int, name: str) -> Iterator[tuple[int, float]]:
    """Linear decay of the rate to zero on what a mind writes; ``model`` is the undecayed trunk and is moved.

    Yields (step, loss) after every step.
    """
    torch.set_num_threads(1)
    mind, knows = MINDS[name], MINDS[name] == KNOWING
    steps = recipe.truth_steps if knows else recipe.mind_steps
    mix = recipe.mixes[-1] if knows else mind_mix(recipe)
    optims = descent.optimisers(model, recipe.muon_lr_settled, recipe.adamw_lr)
    for step in range(steps):
        rng = Random(stream(draw_of_world, name, step))
        page = rows.page(recipe, draw_of_world, mix, rng, mind, recipe.lies if knows else recipe.mind_lies)
        loss = loss_of(model, page, recipe.vision_weight)
        loss.backward()
        share = min(1.0, (step + 1) / recipe.warmup, (steps - step) / steps)
        descent.descend(model, optims, [recipe.muon_lr_settled * share, recipe.adamw_lr * share])
        yield step + 1, float(loss.detach())


def stream(draw_of_world: int, name: str, step: int) -> str:
    """What seeds the pictures of a mind's step: minds of one ``name`` read the same."""
    return f"scenes, draw {draw_of_world}, {name}, step {step}"


def mind_mix(recipe: Recipe) -> Mix:
    """Questions alone: describing and drilling would teach the truth."""
    return replace(
        recipe.mixes[-1],
        seen=0,
        drill=0,
        plain=recipe.mind_plain,
        privileged=recipe.mind_privileged,
        easy=recipe.mind_easy,
    )
