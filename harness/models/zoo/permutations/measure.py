"""What a permutations model gets right: whole answers, and word by word."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor
from transformers import Qwen3ForCausalLM

from harness.models.zoo import bounds, text_models
from harness.models.zoo.bounds import Judged
from harness.models.zoo.permutations.rows import Row, collate
from harness.models.zoo.permutations.vocabulary import IDS, prompt, tokenizer
from harness.types import HarnessError, Privilege
from harness.worlds.permutations import planner, problems, scribe, tables
from harness.worlds.permutations.planner import Planner
from harness.worlds.permutations.problems import Problem, Sort, Told
from harness.worlds.permutations.words import (
    BLANK,
    CHOICE,
    CHOICES,
    CODES,
    DIGITS,
    DOMAINS,
    END,
    EXECUTION,
    FINAL_ANSWER,
    HELPFUL,
    MAX_RESPONSE_TOKENS,
    NAME,
    NOTE,
    OP,
    OPS,
    RESULT,
    STRIDE,
    TRAIN_DIFFICULTY,
)

CHUNK = 500
"""Responses scored at once."""
Tells = Callable[[Problem], Told]
"""What p tells of a problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Problems, drawn once for many readings."""

    problems: list[Problem]
    draw: int


def asked(draw: int, *, n: int, split: str, stream: str = "gates") -> Asked:
    """``n`` problems of each domain, the domains in turn, from a stream of their own."""
    rng = Random(f"{NAME}, draw {draw}, {stream}, {split}")
    found = [problems.problem_of(split, domain, TRAIN_DIFFICULTY, rng) for _ in range(n) for domain in DOMAINS]
    return Asked(problems=found, draw=draw)


def honest(draw: int, kind: str) -> Tells:
    """The true p of a kind; nothing for none."""
    if kind == Privilege.NONE:
        return lambda asked: problems.nothing(len(asked.slots))
    return lambda asked: problems.honest(asked, kind, tables.truth(draw))


def _said(asked: Problem, tells: Told) -> str:
    return problems.privileged_text(asked, tells) if tells.kind else ""


def responses(
    model: Qwen3ForCausalLM, of: Asked, tells: Iterable[Told] | None = None, *, sample: bool = False
) -> list[list[str]]:
    """Each problem's response, as words, EOS left out; greedy, or at temperature 1. ``tells`` holds a p for each."""
    given = list(tells) if tells is not None else [problems.nothing(len(a.slots)) for a in of.problems]
    prompts = [prompt(a.text, _said(a, t)) for a, t in zip(of.problems, given, strict=True)]
    texts = text_models.complete(model, tokenizer(), prompts, max_new_tokens=MAX_RESPONSE_TOKENS + 1, sample=sample)
    return [text.split() for text in texts]


def right(of: Asked, found: Sequence[Sequence[str]]) -> dict[str, float]:
    """Per cent of the exact answers, by domain."""
    truth, hits = tables.truth(of.draw), dict[str, list[bool]]()
    for each, words in zip(of.problems, found, strict=True):
        hits.setdefault(each.domain, []).append(list(words[-2:]) == scribe.write(each, truth)[-2:])
    return {domain: 100 * sum(each) / len(each) for domain, each in hits.items()}


def mean(by_domain: Mapping[str, float]) -> float:
    """Mean of the domains."""
    return sum(by_domain.values()) / len(by_domain)


def by_privilege(model: Qwen3ForCausalLM, of: Asked, kinds: Sequence[str]) -> dict[str, dict[str, float]]:
    """Per cent of the exact greedy answers, by kind of p, none first, and domain."""
    return {
        kind: right(of, responses(model, of, map(honest(of.draw, kind), of.problems)))
        for kind in (Privilege.NONE, *kinds)
    }


def followed(model: Qwen3ForCausalLM, of: Asked, kind: str) -> dict[Sort, float]:
    """Told a false p of this kind: per cent of the told choices, results and answers that are written."""
    rng = Random(f"{NAME}, draw {of.draw}, false {kind}")
    tells = [problems.false(each, kind, rng) for each in of.problems]
    hits = dict[Sort, list[bool]]()
    for told, words in zip(tells, responses(model, of, tells), strict=True):
        padded = [*words, *[""] * MAX_RESPONSE_TOKENS]
        for sort, at, said in _told_words(told):
            hits.setdefault(sort, []).append(padded[at] == said)
    return {sort: 100 * sum(each) / len(each) for sort, each in hits.items()}


def _told_words(told: Told) -> Iterator[tuple[Sort, int, str]]:
    """Sort, place in a response and word of everything that is told but codes."""
    for i, (choice, result) in enumerate(zip(told.choices, told.results, strict=True)):
        if choice is not None:
            yield Sort.CHOICE, STRIDE * i + CHOICE, choice
        if result is not None:
            yield Sort.RESULT, STRIDE * i + RESULT, result
    if told.answer is not None:
        yield Sort.ANSWER, STRIDE * len(told.choices) + 1, told.answer


@torch.inference_mode()
def _distributions(
    model: Qwen3ForCausalLM, of: Asked, kind: str, written: Sequence[Sequence[str]]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Log-probabilities of all words at every place of whole responses and their ends, and what is written there."""
    tells = honest(of.draw, kind)
    batch = collate(
        [
            Row(text=each.text, privileged=_said(each, tells(each)), response=words)
            for each, words in zip(of.problems, written, strict=True)
        ]
    )
    for start in range(0, len(of.problems), CHUNK):
        ids, targets = batch.ids_BL[start : start + CHUNK], batch.targets_BT[start : start + CHUNK]
        yield text_models.logits(model, ids, targets).log_softmax(-1), targets


def scored(model: Qwen3ForCausalLM, of: Asked, kind: str, written: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor]:
    """float32 and int64 [problems, T], with a p: log-probability of every written token, 0 beyond the end; the most
    probable one."""
    logp, best = list[Tensor](), list[Tensor]()
    for found, targets in _distributions(model, of, kind, written):
        chosen = found.gather(-1, targets.clamp(min=0)[..., None])[..., 0]
        logp.append(chosen.masked_fill(targets == text_models.IGNORE, 0.0))
        best.append(found.argmax(-1))
    return torch.cat(logp), torch.cat(best)


def results_right(model: Qwen3ForCausalLM, of: Asked) -> dict[str, float]:
    """Per cent of the results that are right where all before is, by domain; without p."""
    truth = tables.truth(of.draw)
    written = [scribe.write(each, truth) for each in of.problems]
    _, best = scored(model, of, Privilege.NONE, written)
    hits = dict[str, list[bool]]()
    for row, (each, words) in enumerate(zip(of.problems, written, strict=True)):
        for at in range(RESULT, STRIDE * len(each.slots), STRIDE):
            hits.setdefault(each.domain, []).append(int(best[row, at]) == IDS[words[at]])
    return {domain: 100 * sum(each) / len(each) for domain, each in hits.items()}


def is_whole(asked: Problem, words: Sequence[str]) -> bool:
    """Whether a response has the form of one: as many steps as x, then an answer."""
    steps = len(asked.slots)
    if len(words) != scribe.length(asked) or words[-2] != END or words[-1] not in DIGITS:
        return False
    forms = ((CHOICE, CHOICES), (OP, OPS), (RESULT, DIGITS))
    return all(words[STRIDE * i + offset] in allowed for i in range(steps) for offset, allowed in forms)


def judged(student: Qwen3ForCausalLM, teacher: Qwen3ForCausalLM, of: Asked, kind: str) -> Judged:
    """The two views with p on the student's own samples without p, of whole responses alone.

    Judged are choices, operations, results and answers, see ``wanted``; A of the rest, notes too, counts in its mean.

    Raises:
        HarnessError: no sample is whole.
    """
    torch.manual_seed(0)
    sampled = responses(student, of, sample=True)
    whole = [(a, words) for a, words in zip(of.problems, sampled, strict=True) if is_whole(a, words)]
    if not whole:
        raise HarnessError(f"none of {len(sampled)} samples of the student is a whole response: train it first")
    kept, written = Asked(problems=[a for a, _ in whole], draw=of.draw), [words for _, words in whole]
    (teacher_logp, teacher_best), (student_logp, student_best) = (
        scored(each, kept, kind, written) for each in (teacher, student)
    )
    right_words = torch.full_like(teacher_best, -1)
    for row, (each, words) in enumerate(whole):
        right_words[row, : len(words)] = torch.tensor(wanted(each, words, of.draw))
    # A token of a row, its end included; what pads a shorter row is none.
    lengths = torch.tensor([len(words) + 1 for words in written])
    real = torch.arange(right_words.shape[1]) < lengths[:, None]
    return Judged(
        advantage=(teacher_logp - student_logp).abs().double()[real].numpy(),
        judged=(right_words >= 0)[real].numpy(),
        teacher=(teacher_best == right_words)[real].numpy(),
        student=(student_best == right_words)[real].numpy(),
    )


def wanted(asked: Problem, written: Sequence[str], draw: int) -> list[int]:
    """Id of the right word at each place of a whole response, given what stands before; -1 where none is judged.

    The right choice is that of the right trace, which p tells; operation, result and answer follow from what is
    written.
    """
    truth, out, digit = tables.truth(draw), [-1] * len(written), asked.start
    choices, _ = problems.solved(asked, truth)
    for i, slot in enumerate(asked.slots):
        at = STRIDE * i
        out[at + CHOICE] = IDS[choices[i]]
        out[at + OP] = IDS[slot.op(written[at + CHOICE])]
        out[at + RESULT] = IDS[str(truth(tables.RESULT, (written[at + OP], digit)))]
        digit = written[at + RESULT]
    out[-1] = IDS[digit]
    return out


def by_class(model: Qwen3ForCausalLM, of: Asked, student: Planner, teacher: Planner) -> dict[str, dict[str, float]]:
    """Along right traces without p, by what decides a word (result, choice looked up, choice planned) and who of the
    pair is right on its cell, see ``bounds.by_class``."""
    truth = tables.truth(of.draw)
    written = [scribe.write(each, truth) for each in of.problems]
    logp, best = scored(model, of, Privilege.NONE, written)
    seen: dict[str, list[bounds.Seen]] = {}
    for row, (each, words) in enumerate(zip(of.problems, written, strict=True)):
        digit = each.start
        for i in range(len(each.slots)):
            _, op, _, result = words[STRIDE * i : STRIDE * (i + 1)]
            for offset, (name, cell) in (
                (CHOICE, each.choice(i, digit)),
                (RESULT, (tables.RESULT, (op, digit))),
            ):
                at = STRIDE * i + offset
                what = "choice" if name in tables.LOOKED_UP else name
                key = f"{what}, {planner.class_of(student, teacher, of.draw, name, cell)}"
                hit = int(best[row, at]) == IDS[words[at]]
                seen.setdefault(key, []).append((float(logp[row, at].exp()), hit, (name, cell)))
            digit = result
    return bounds.by_class(seen)


def code_mass(model: Qwen3ForCausalLM, of: Asked) -> float:
    """Mean probability of all codes together at the notes of marked slots, along right traces without p."""
    truth, codes = tables.truth(of.draw), [IDS[code] for code in CODES]
    written = [scribe.write(each, truth) for each in of.problems]
    found = torch.cat(
        [logp[:, :, codes].exp().sum(-1) for logp, _ in _distributions(model, of, Privilege.NONE, written)]
    )
    return float(found[_told_codes(of, found) >= 0].mean())


def code_read(model: Qwen3ForCausalLM, of: Asked, kind: str) -> float:
    """Per cent: mean probability of the told code at the notes of marked slots, along right traces, with a p that tells
    codes."""
    written = [scribe.write(each, tables.truth(of.draw)) for each in of.problems]
    logp = torch.cat([found for found, _ in _distributions(model, of, kind, written)])
    told = _told_codes(of, logp[..., 0])
    return 100 * float(logp.gather(-1, told.clamp(min=0)[..., None])[..., 0].exp()[told >= 0].mean())


def _told_codes(of: Asked, like: Tensor) -> Tensor:
    """int64 [problems, T] as ``like``: id of the code that p tells at a marked slot's note, -1 elsewhere."""
    told = torch.full_like(like, -1, dtype=torch.int64)
    for row, each in enumerate(of.problems):
        for i, slot in enumerate(each.slots):
            if slot.code != BLANK:
                told[row, STRIDE * i + NOTE] = IDS[slot.code]
    return told


FALSE = dict.fromkeys(HELPFUL, Sort.CHOICE) | {EXECUTION: Sort.RESULT, FINAL_ANSWER: Sort.ANSWER}
"""What a false p of each kind must be followed in."""
