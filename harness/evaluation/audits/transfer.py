"""What a method moved to the student: capability, or the assertion of what only p can know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from harness import registry
from harness.config import DataSpec, RunSpec
from harness.evaluation.audits import Findings, Subject
from harness.evaluation.audits.reference import token_ids
from harness.losses.tokens import TokenView
from harness.models.forward import output_layer, score, undisturbed
from harness.models.prompts import render
from harness.models.reader import Reader
from harness.models.sampler import from_texts
from harness.training.writers import references
from harness.types import Example, Fact, Privilege, Want
from harness.worlds import slots, world_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PROBLEMS = 384
"""Test problems, the domains of the profile in turn."""
MICROBATCH = 128
"""Responses per forward pass. Changes memory, never the numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Every token of the reference responses, laid flat: [N]."""

    facts: tuple[Fact, ...]
    """What decides it."""
    target_N: Tensor
    """int64: the best token without p."""
    told_N: Tensor
    """int64: what p says there, the code; where it says nothing, the same."""

    def of(self, fact: Fact) -> Tensor:
        """bool [N]."""
        return torch.tensor([each is fact for each in self.facts])


def transfer(subject: Subject) -> Findings:
    """Reads the student token by token along the best responses without p, on the same problems for every run.

    Those responses (``harness.worlds.world.HasReferences``) write ``_``, unknown, for each code that only p holds;
    every prefix is one of theirs, so it names no code. Means over tokens:

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
    examples = world.examples(source, "test", PROBLEMS)
    texts = references(world, examples)
    places = places_of(reader.tokenizer, examples, texts)
    student = subject.student()
    with undisturbed(student):
        student.eval()
        values = without_p(logp(student, reader, examples, texts, Privilege.NONE), places, reader.tokenizer)
        if source.privilege != Privilege.NONE:
            values |= with_p(logp(student, reader, examples, texts, source.privilege), places)
    return Findings(values=values, n=PROBLEMS)


def audited_data(spec: RunSpec) -> DataSpec:
    """The run's data over all domains of its profile; a model that was never trained has the profile's."""
    usual = registry.profile(spec.profile).data
    return usual if spec.data is None else replace(spec.data, domains=usual.domains)


def places_of(tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], texts: Sequence[str]) -> Places:
    """The reference responses, end of sequence included.

    Raises:
        HarnessError: words of the data are not tokens of the tokenizer.
    """
    facts: list[Fact] = []
    target: list[int] = []
    told: list[int] = []
    end: Any = tokenizer.eos_token_id
    for example, text in zip(examples, texts, strict=True):
        assert example.trace is not None
        facts += [*example.facts, Fact.FORMAT]
        target += [*token_ids(tokenizer, text.split()), end]
        told += [*token_ids(tokenizer, example.trace.split()), end]
    return Places(facts=tuple(facts), target_N=torch.tensor(target), told_N=torch.tensor(told))


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
    return TokenView(tokens_N=tokens_N, hidden_ND=hidden_ND, head=output_layer(student)).logp_NV.cpu()


def without_p(logp_NV: Tensor, places: Places, tokenizer: PreTrainedTokenizerBase) -> dict[str, float]:
    """What the student says from x alone."""
    p_NV = logp_NV.double().exp()
    capability_N, information_N = places.of(Fact.CAPABILITY), places.of(Fact.INFORMATION)
    codes = token_ids(tokenizer, slots.CODES)
    abstained_N = _mass(p_NV, places.target_N)
    asserted_N = p_NV[:, codes].sum(-1)
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
