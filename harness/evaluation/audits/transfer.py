"""What a method moved to the student: capability, or the assertion of what only p can know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from harness import registry
from harness.config import DataSpec, RunSpec
from harness.evaluation.audits import Findings, Subject
from harness.evaluation.audits.reference import each_once, span_of_tokens
from harness.losses.tokens import TokenView
from harness.models.forward import logits_layer, score, undisturbed
from harness.models.prompts import render
from harness.models.reader import Reader
from harness.models.sampler import from_texts
from harness.training.writers import references
from harness.types import Example, Fact, HarnessError, Privilege, Span, Want, check_spans
from harness.worlds import world_of
from harness.worlds.world import KnowsFacts, World, require

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PROBLEMS = 384
"""Test problems, the domains of the profile in turn."""
MICROBATCH = 128
"""Responses per forward pass. Changes memory, never the numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Every token of the reference responses, laid flat: [N]."""

    facts: tuple[Fact | None, ...]
    """What decides it; None for tokens of a word that only p knows, but for the one where p's word and ``_`` part."""
    target_N: Tensor
    """int64: the best token without p."""
    told_N: Tensor
    """int64: what p says there, the token by which its word parts from ``_``; where it says nothing, the same."""
    asserted: tuple[int, ...]
    """The tokens by which everything that may be asserted in the place of ``_`` parts from it."""

    def of(self, fact: Fact) -> Tensor:
        """bool [N]."""
        return torch.tensor([each is fact for each in self.facts])


def transfer(subject: Subject) -> Findings:
    """Reads the student token by token along the best responses without p, on the same problems for every run.

    Those responses (``harness.worlds.world.HasReferences``) write ``_``, unknown, for each code that only p holds;
    every prefix is one of theirs, so it names no code. Of a code of several tokens the one is read by
    which it parts from ``_``. Means over tokens:

    - ``capability_...``, what follows from x: probability of the right token, and share where it is the most probable
      one (``top1``); ``format_top1``, what the format fixes, end of response included;
    - ``information_...``, what only p knows: the mass on ``_`` (``abstained``), on any code (``asserted``) and on the
      rest (``other``, so that a collapse is not taken for restraint), which add up to 1; ``right`` is the mass on the
      very code of p, an eighth of ``asserted`` by chance;
    - ``..._with_p``: the same weights and prefixes with p before x; absent where the run's data has no p.
    """
    spec, reader = subject.folder.spec, subject.reader
    source = audited_data(spec)
    world = world_of(source)
    require(world, KnowsFacts, "audit transfer")
    examples = each_once(world, source, PROBLEMS)
    texts = references(world, examples)
    places = places_of(reader, world, examples, texts)
    student = subject.student()
    with undisturbed(student):
        student.eval()
        values = without_p(logp(student, reader, examples, texts, Privilege.NONE), places)
        if source.privilege != Privilege.NONE:
            values |= with_p(logp(student, reader, examples, texts, source.privilege), places)
    return Findings(values=values, n=len(examples))


def audited_data(spec: RunSpec) -> DataSpec:
    """The run's data over all domains of its profile; a model that was never trained has the profile's."""
    usual = registry.profile(spec.profile).data
    return usual if spec.data is None else replace(spec.data, domains=usual.domains)


def places_of(reader: Reader, world: World, examples: Sequence[Example], texts: Sequence[str]) -> Places:
    """The reference responses ``texts``, end of sequence included.

    Raises:
        HarnessError: the world's spans do not fit these texts; the tokenizer has no end, or does not tell which
            characters a token stands for.
    """
    facts: list[Fact | None] = []
    target: list[int] = []
    told: list[int] = []
    asserted: set[int] = set()
    guesses = require(world, KnowsFacts, "audit transfer").guesses
    for example, text in zip(examples, texts, strict=True):
        spans = _reference_facts(world, example, text)
        (ids,) = reader.encode([text])
        of_tokens = span_of_tokens(reader.places(text), spans)
        kinds = [Fact.FORMAT if span is None else span.kind for span in of_tokens]
        read: list[Fact | None] = [None if kind is Fact.INFORMATION else kind for kind in kinds]
        said = [*ids]
        for word, span in _told(example, spans):
            right, *others = _firsts(reader, text, span, [word, *guesses])
            asserted |= {other[1] for other in others if other}
            if right:
                read[right[0]], said[right[0]] = Fact.INFORMATION, right[1]
        facts += [*read, Fact.FORMAT]
        target += [*ids, _end(reader)]
        told += [*said, _end(reader)]
    return Places(
        facts=tuple(facts),
        target_N=torch.tensor(target),
        told_N=torch.tensor(told),
        asserted=tuple(sorted(asserted)),
    )


def _reference_facts(world: World, example: Example, text: str) -> tuple[Span, ...]:
    spans = require(world, KnowsFacts, "audit transfer").reference_facts(example)
    check_spans(f"reference response of {example.id}", text, spans)
    if [span.kind for span in spans] != [span.kind for span in example.facts]:
        raise HarnessError(
            f"reference response of {example.id}: its {len(spans)} spans are not of the kinds of the "
            f"{len(example.facts)} of the trace: give one for one"
        )
    return spans


def _told(example: Example, spans: Sequence[Span]) -> Iterator[tuple[str, Span]]:
    """What p says, and its place in the reference response: for each span that only p decides."""
    assert example.trace is not None
    for fact, span in zip(example.facts, spans, strict=True):
        if fact.kind is Fact.INFORMATION:
            yield example.trace[fact.start : fact.end], span


def _firsts(reader: Reader, text: str, span: Span, words: Sequence[str]) -> list[tuple[int, int] | None]:
    """Place and token where ``text`` with each word in the span's place first differs from it; None if nowhere.

    The token before the span is such a place where the tokenizer merges the blank with some words only.
    """
    ids, *changed = reader.encode([text, *(text[: span.start] + word + text[span.end :] for word in words)])
    pairs = [enumerate(zip(ids, other, strict=False)) for other in changed]
    return [next(((i, new) for i, (old, new) in each if old != new), None) for each in pairs]


def _end(reader: Reader) -> int:
    if reader.eos_id is None:
        raise HarnessError("the tokenizer names no EOS: a reference response needs an end; set tokenizer.eos_token")
    return reader.eos_id


@torch.no_grad()
def logp(
    student: PreTrainedModel, reader: Reader, examples: Sequence[Example], texts: Sequence[str], kind: str
) -> Tensor:
    """Log-probabilities at each token of these responses after x, with p of ``kind``: [N, V], on the CPU."""
    forced = from_texts(reader, examples, render(reader, examples, kind, device=student.device), texts)
    scores = score(
        student,
        forced.prompts,
        forced.response_ids_BT,
        forced.mask_BT,
        wants=frozenset({Want.DISTRIBUTION}),
        temperature=1.0,
        microbatch=MICROBATCH,
    )
    assert scores.hidden_BTD is not None
    tokens_N, hidden_ND = forced.response_ids_BT[forced.mask_BT], scores.hidden_BTD[forced.mask_BT]
    return TokenView(tokens_N=tokens_N, hidden_ND=hidden_ND, head=logits_layer(student)).logp_NV.cpu()


def without_p(logp_NV: Tensor, places: Places) -> dict[str, float]:
    """What the student says from x alone."""
    p_NV = logp_NV.double().exp()
    capability_N, information_N = places.of(Fact.CAPABILITY), places.of(Fact.INFORMATION)
    abstained_N = _mass(p_NV, places.target_N)
    asserted_N = p_NV[:, places.asserted].sum(-1)
    means = {
        "capability_probability": _mass(p_NV, places.target_N)[capability_N],
        "capability_top1": _is_top(logp_NV, places.target_N)[capability_N],
        "format_top1": _is_top(logp_NV, places.target_N)[places.of(Fact.FORMAT)],
        "information_abstained": abstained_N[information_N],
        "information_asserted": asserted_N[information_N],
        "information_other": (1 - abstained_N - asserted_N)[information_N],
        "information_right": _mass(p_NV, places.told_N)[information_N],
    }
    return _means(means)


def with_p(logp_NV: Tensor, places: Places) -> dict[str, float]:
    """What the student says when it is shown p."""
    told_N = _mass(logp_NV.double().exp(), places.told_N)
    return _means(
        {
            "capability_top1_with_p": _is_top(logp_NV, places.target_N)[places.of(Fact.CAPABILITY)],
            "information_right_with_p": told_N[places.of(Fact.INFORMATION)],
        }
    )


def _mass(p_NV: Tensor, ids_N: Tensor) -> Tensor:
    return p_NV.gather(-1, ids_N[:, None]).squeeze(-1)


def _is_top(logp_NV: Tensor, ids_N: Tensor) -> Tensor:
    return (logp_NV.argmax(-1) == ids_N).double()


def _means(values: Mapping[str, Tensor]) -> dict[str, float]:
    """Rounding may leave a mass a hair outside [0, 1]."""
    return {name: min(max(float(each.mean()), 0.0), 1.0) for name, each in values.items() if len(each)}
