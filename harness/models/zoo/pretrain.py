"""Pre-training of the embedded models: what they read, how they are trained. Deterministic on one thread."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.models.reader import TextReader
from harness.models.zoo import text_models
from harness.models.zoo import tokenizer as embedded_tokenizer
from harness.models.zoo.text_models import IGNORE
from harness.types import Privilege
from harness.worlds import privilege, slots

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

    from harness.models.zoo import Recipe

WORD_IDS = {word: i for i, word in enumerate(embedded_tokenizer.WORDS)}
PAD_ID, EOS_ID = WORD_IDS[embedded_tokenizer.PAD], WORD_IDS[embedded_tokenizer.EOS]
Sequence = tuple[list[int], list[str], list[bool]]
"""Prompt ids, response words, and which of the words carry no loss."""
FIRST_INDEX = 1_000_000
"""Problem numbers from here on: the training splits are shared, distillation's own problems are not."""
PRIVILEGED_CONTEXTS = (
    *(Privilege.HINTS,) * 2,
    *(Privilege.FINAL_ANSWER, Privilege.HINTS_WITH_EXECUTION, Privilege.SUMMARY),
)
"""Hints 2/5 of the privileged half, the other kinds 1/5 each."""

SLIPS = (slots.Slip.CHOICE, slots.Slip.STEP)
ANSWER_SLIPS = (*SLIPS, slots.Slip.TAIL)
"""Only with the answer in p can a trace that stays wrong end right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Sequences with prompts of one length, so that no attention mask is needed."""

    ids: Tensor
    """int64 [B, L], padded on the right."""
    targets: Tensor
    """int64 [B, L - prompt]: the response tokens; IGNORE where no loss is taken."""
    prompt: int
    """Tokens in every prompt."""


def build_model(recipe: Recipe) -> Qwen3ForCausalLM:
    """Random weights."""
    words = embedded_tokenizer
    return text_models.build(recipe, words.WORDS, words.PAD, words.EOS, recipe.seed)


def difficulty_at(step: int, recipe: Recipe) -> tuple[int, int]:
    """Short problems first."""
    if step < recipe.short_steps:
        return (1, 3)
    return (1, 5) if step < 2 * recipe.short_steps else (3, slots.SLOTS)


def batches(recipe: Recipe, step: int, tokenizer: PreTrainedTokenizerFast) -> list[Batch]:
    """The two halves of one step's batch: without p, and with some kind of p."""
    rng = random.Random(f"pre-training {step}")
    half = recipe.batch // 2
    kinds = [Privilege.NONE] * half + [rng.choice(PRIVILEGED_CONTEXTS) for _ in range(half)]
    rows = [_sequence(recipe, step, row, kind, rng, tokenizer) for row, kind in enumerate(kinds)]
    return [_collate(rows[:half]), _collate(rows[half:])]


def _sequence(
    recipe: Recipe,
    step: int,
    row: int,
    kind: Privilege,
    rng: random.Random,
    tokenizer: PreTrainedTokenizerFast,
) -> Sequence:
    decaying = step >= recipe.steps - recipe.decay_steps
    domain = row % len(slots.DOMAINS)
    index = FIRST_INDEX + step * recipe.batch + row
    example = slots.example(slots.DOMAINS[domain], "train", index, difficulty_at(step, recipe))
    trace = example.trace if slots.knows_codes(kind) else slots.plain_trace(example)
    assert trace is not None and example.difficulty is not None
    steps = example.difficulty
    words, silent = trace.split(), [False] * len(trace.split())
    if rng.random() < recipe.wrong_share:
        at = rng.randrange(steps)
        slip = rng.choice(ANSWER_SLIPS if kind is Privilege.FINAL_ANSWER else SLIPS)
        words, silent = slots.slip(example, words, at, slip, rng)
        if decaying and slip is slots.Slip.STEP:
            _silence_two_operations(silent, at, steps, kind)
    share = recipe.rule_share_decay if decaying else recipe.rule_share
    if rng.random() >= share[domain] and not slots.knows_codes(kind):
        silent[: slots.STRIDE * steps : slots.STRIDE] = [True] * steps
    return TextReader(tokenizer).ids(privilege.messages(example, kind)), words, silent


def _silence_two_operations(silent: list[bool], at: int, difficulty: int, kind: Privilege) -> None:
    """No loss on the first digit after a whole wrong step, unless p tells it.

    It takes the true result of that step, nowhere written, and one more operation. No model here learns
    that; asking for it only blurs every other result.
    """
    last = at + 1 == difficulty
    told = (Privilege.HINTS_WITH_EXECUTION, Privilege.FINAL_ANSWER if last else None)
    if kind not in told:
        silent[-1 if last else slots.STRIDE * (at + 2) - 1] = True


def _collate(rows: list[Sequence]) -> Batch:
    ids, targets = text_models.collate(
        [prompt for prompt, _, _ in rows],
        [[*map(WORD_IDS.__getitem__, words), EOS_ID] for _, words, _ in rows],
        [{i for i, skip in enumerate(silent) if skip} for _, _, silent in rows],
        PAD_ID,
    )
    return Batch(ids=ids, targets=targets, prompt=len(rows[0][0]))


def loss_of(model: Qwen3ForCausalLM, batch: Batch) -> Tensor:
    """Mean cross-entropy over the right response tokens of one half."""
    logits = text_models.logits(model, batch.ids, batch.targets)
    return F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORE)


def optimisers(model: Qwen3ForCausalLM, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for embeddings and norms."""
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    return [
        torch.optim.Muon(matrices, lr=recipe.muon_lr, weight_decay=0.0, momentum=0.95),
        torch.optim.AdamW(rest, lr=recipe.adamw_lr, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def lr_share(step: int, recipe: Recipe) -> float:
    """Linear warm-up, constant, linear decay to zero over the last ``decay_steps``."""
    return min(1.0, (step + 1) / 20, (recipe.steps - step) / recipe.decay_steps)


def train(recipe: Recipe, trunk: Path | None = None) -> Iterator[tuple[int, float, Qwen3ForCausalLM]]:
    """Train; yields (step, loss, model) after every step.

    ``trunk`` is a folder of states before the decay, shared by recipes that differ in length only: it is
    read and extended, and changes no number.
    """
    torch.set_num_threads(1)
    tokenizer = embedded_tokenizer.build()
    model = build_model(recipe)
    optims = optimisers(model, recipe)
    rates = [group["lr"] for optim in optims for group in optim.param_groups]
    start = _resume(trunk, recipe, model, optims)
    for step in range(start, recipe.steps):
        if trunk and step % 200 == 0 and step <= recipe.steps - recipe.decay_steps:
            state = {"model": model.state_dict(), "optims": [optim.state_dict() for optim in optims]}
            torch.save(state, trunk / f"{step:06d}.pt")
        share = lr_share(step, recipe)
        for optim, rate in zip(optims, rates, strict=True):
            optim.param_groups[0]["lr"] = rate * share
        total = 0.0
        for batch in batches(recipe, step, tokenizer):
            loss = loss_of(model, batch) / 2
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optim in optims:
            optim.step()
        model.zero_grad(set_to_none=True)
        yield step + 1, total, model


def _resume(trunk: Path | None, recipe: Recipe, model: Qwen3ForCausalLM, optims: list[torch.optim.Optimizer]) -> int:
    if trunk is None:
        return 0
    trunk.mkdir(parents=True, exist_ok=True)
    steps = [int(p.stem) for p in trunk.glob("*.pt") if int(p.stem) <= recipe.steps - recipe.decay_steps]
    if not steps:
        return 0
    state = torch.load(trunk / f"{max(steps):06d}.pt")
    model.load_state_dict(state["model"])
    for optim, saved in zip(optims, state["optims"], strict=True):
        optim.load_state_dict(saved)
    return max(steps)
