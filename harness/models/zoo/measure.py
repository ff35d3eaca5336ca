"""Accuracy of an embedded model by context, domain and difficulty."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import torch

from harness.models.reader import TextReader
from harness.models.zoo import text_models
from harness.models.zoo.tokenizer import WORDS
from harness.types import Example, Privilege
from harness.worlds import privilege, slots

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Table = dict[str, dict[str, float]]
"""Context, then domain, then per cent right."""


def per_domain(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    kind: Privilege,
    *,
    items: int,
    split: str = "test",
    difficulty: tuple[int, int] = slots.TRAIN_DIFFICULTY,
    sample: bool = False,
    wrong: bool = False,
) -> dict[str, dict[str, float]]:
    """Per cent of ``items`` problems of each domain: ``{"answer": {domain: ...}, "trace": {domain: ...}}``.

    ``wrong`` starts every response with a wrong prefix, half of them a wrong choice, half a wrong step.
    """
    torch.manual_seed(0)
    scores: dict[str, dict[str, float]] = {"answer": {}, "trace": {}}
    for domain in slots.DOMAINS:
        examples = [slots.example(domain, split, i, difficulty) for i in range(items)]
        starts = [_wrong_start(e, kind, i) if wrong else "" for i, e in enumerate(examples)]
        prompts = [
            TextReader(tokenizer).ids(privilege.messages(e, kind)) + [WORDS.index(w) for w in s.split()]
            for e, s in zip(examples, starts, strict=True)
        ]
        texts = text_models.complete(
            model, tokenizer, prompts, max_new_tokens=slots.MAX_RESPONSE_TOKENS + 1, sample=sample
        )
        grades = [slots.grade(e, f"{s} {t}") for e, s, t in zip(examples, starts, texts, strict=True)]
        scores["answer"][domain] = round(100 * sum(g.answer for g in grades) / items, 2)
        scores["trace"][domain] = round(100 * sum(g.trace for g in grades) / items, 2)
    return scores


def _wrong_start(example: Example, kind: Privilege, i: int) -> str:
    assert example.difficulty is not None
    step = random.Random(f"wrong prefix {example.id}").randrange(example.difficulty)
    slip = (slots.Slip.CHOICE, slots.Slip.STEP)[i % 2]
    return slots.wrong_prefix(example, step, slip, codes=slots.knows_codes(kind))


def report(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, items: int) -> dict[str, Table]:
    """Everything the manifest says about accuracy; test split, ``items`` problems per domain and cell."""
    model.eval()
    greedy = {k: per_domain(model, tokenizer, k, items=items) for k in Privilege}
    return {
        "greedy": {k: v["answer"] for k, v in greedy.items()},
        "greedy_trace": {k: v["trace"] for k, v in greedy.items()},
        "sampled": {
            k: per_domain(model, tokenizer, k, items=items, sample=True)["answer"]
            for k in (Privilege.NONE, Privilege.HINTS)
        },
        "wrong_prefix": {k: per_domain(model, tokenizer, k, items=items, wrong=True)["answer"] for k in Privilege},
        "hard": {
            k: per_domain(model, tokenizer, k, items=items, difficulty=slots.HARD_DIFFICULTY)["answer"]
            for k in (Privilege.NONE, Privilege.HINTS)
        },
    }
