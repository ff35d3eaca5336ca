"""Reference traces token by token, for audits that judge single tokens.

A world's facts are spans of characters. A token takes the fact of the first span it overlaps; one that overlaps none,
like the blank between two words, is format. So words may be one token or several, whatever the tokenizer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from harness.config import DataSpec
from harness.models.reader import Reader
from harness.models.sampler import RolloutBatch
from harness.types import Example, Fact, HarnessError, Span
from harness.worlds.world import World, graded

ANY = "anything"
"""A word that is no right one: where the grader accepts it, it accepts any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the reference traces say of the tokens of some rollouts. [B, T] each, on the CPU."""

    target_BT: Tensor
    """int64: the right token; -1 where nothing decides it, or where the trace is over."""
    judged_BT: Tensor
    """bool: tokens that have a target and follow a prefix without an error. After an error the reference no longer
    says what is right, so nothing is judged there."""
    information_BT: Tensor
    """bool: tokens at places that only p decides, after a prefix without an error."""
    first_error_BT: Tensor
    """bool, at most one in a row: the first token by which the grader would refuse the trace. A response that ends
    where any word would do errs there, though that place has no target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A reference trace in tokens, end of response included."""

    ids: tuple[int, ...]
    free: tuple[Span | None, ...]
    """The span of each token, where the grader takes any text in its place; elsewhere None. A blank before the span
    belongs to it: a tokenizer may merge the blank with one word and not with another."""
    information: tuple[bool, ...]
    """Tokens of a span that only p decides."""


def each_once(world: World, data: DataSpec, n: int) -> list[Example]:
    """``n`` test problems, or as many as there are: a file begins anew after its last, and none counts twice."""
    return list({example.id: example for example in world.examples(data, "test", n)}.values())


def span_of_tokens(places: Sequence[tuple[int, int]], spans: Sequence[Span]) -> list[Span | None]:
    """The first span that each token overlaps; None if it overlaps none.

    ``places`` are first and last character (exclusive) of each token.
    """
    return [next((s for s in spans if s.start < end and start < s.end), None) for start, end in places]


def trace_of(reader: Reader, world: World, example: Example) -> Trace:
    """The example's reference trace.

    Raises:
        HarnessError: the example has no trace, or its world does not grade one; the tokenizer does not tell which
            characters a token stands for, or has no end.
    """
    if example.trace is None or reader.eos_id is None:
        raise HarnessError(
            f"example {example.id} has no reference trace, or the tokenizer no end: single tokens need both"
        )
    free = [span for span in example.facts if _takes_anything(world, example, example.trace, span)]
    (ids,) = reader.encode([example.trace])
    spans = span_of_tokens(reader.places(example.trace), example.facts)
    for i, following in enumerate(spans[1:]):
        if spans[i] is None and following in free:
            spans[i] = following
    return Trace(
        ids=(*ids, reader.eos_id),
        free=(*(span if span in free else None for span in spans), None),
        information=(*(span is not None and span.kind is Fact.INFORMATION for span in spans), False),
    )


def _takes_anything(world: World, example: Example, trace: str, span: Span) -> bool:
    return graded(world, example, trace[: span.start] + ANY + trace[span.end :]).trace


def judge(reader: Reader, world: World, rollouts: RolloutBatch) -> Verdict:
    """Compares every rollout with the reference trace of its problem, token by token.

    The right token is the one of the reference's own encoding, so another split of the same text counts as an error.
    Where the grader takes any text, a word of any number of tokens stands for the reference's.
    """
    ids_BT, mask_BT = rollouts.response_ids_BT.cpu(), rollouts.mask_BT.cpu()
    special = frozenset(reader.tokenizer.all_special_ids)
    traces = [trace_of(reader, world, example) for example in rollouts.examples]
    begins = _begins_a_word(reader, special)
    target_BT = torch.full_like(ids_BT, -1)
    information_BT = torch.zeros_like(mask_BT)
    for b, p in enumerate(rollouts.prompt_of_B.tolist()):
        trace = traces[p]
        for t, at in enumerate(_aligned(trace, ids_BT[b][mask_BT[b]].tolist(), begins)):
            target_BT[b, t] = trace.ids[at] if trace.free[at] is None else -1
            information_BT[b, t] = trace.information[at]
    # No word, so it is refused even where any word would do.
    special_BT = torch.isin(ids_BT, torch.tensor(sorted(special)))
    wrong_BT = mask_BT & torch.where(target_BT >= 0, ids_BT != target_BT, special_BT)
    clean_BT = wrong_BT.cumsum(-1) - wrong_BT.long() == 0
    return Verdict(
        target_BT=target_BT,
        judged_BT=(target_BT >= 0) & clean_BT,
        information_BT=information_BT & clean_BT,
        first_error_BT=wrong_BT & clean_BT,
    )


def _aligned(trace: Trace, ids: Sequence[int], begins: Callable[[int, int], bool]) -> list[int]:
    """The place in the trace of each token of a response, as far as the trace goes."""
    at, out = 0, list[int]()
    for token, following in zip(ids, [*ids[1:], None], strict=True):
        if at == len(trace.ids):
            break
        out.append(at)
        span = trace.free[at]
        if span is None:
            at += 1
        elif following is not None and begins(token, following):
            at = next(place for place in range(at, len(trace.ids)) if trace.free[place] != span)
    return out


def _begins_a_word(reader: Reader, special: frozenset[int]) -> Callable[[int, int], bool]:
    """Whether the second of two neighbouring tokens begins a new word, or is none."""

    @cache
    def begins(token: int, following: int) -> bool:
        if following in special:
            return True
        alone, both = reader.decode([[token], [token, following]])
        return both[len(alone) :][:1].isspace()

    return begins
