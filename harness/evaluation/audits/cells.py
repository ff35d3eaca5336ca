"""What a run learns, keeps and loses, by who of its untrained pair was right with p: ``cells`` and ``routes``.

The *class* of a token says which of the two policies that see p had its right word as the most probable one before
training: both, the teacher alone, the student alone, neither. The pair itself is asked, word by word, so no world has
to say what its models were meant to know, and a pair from anywhere has classes too. Not in the paper.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from harness.evaluation.audits import CLASSES, Findings, Subject, routing
from harness.evaluation.audits.reference import each_once
from harness.evaluation.audits.routing import (
    MICROBATCH,
    Routed,
    distributions,
    most_probable,
    routed,
    routing_method,
    sampled,
    share_of,
)
from harness.evaluation.audits.transfer import audited_data, places_of
from harness.losses.tokens import TokenView, chunks
from harness.models import load, vocabulary
from harness.models.forward import Scores, logits_layer, score, undisturbed, vocabulary_size
from harness.models.prompts import render
from harness.models.reader import Reader
from harness.models.sampler import RolloutBatch, from_texts
from harness.training.contexts import build_batch
from harness.training.writers import references
from harness.types import PLAIN, PRIVILEGED, Example, Fact, HarnessError, Privilege, Want
from harness.worlds import world_of

PROBLEMS = 192
"""Test problems of ``cells``, the domains of the profile in turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """The student, from x alone, at the words of reference responses that x decides. [N] each, on the CPU."""

    class_N: Tensor
    """int64: index into ``CLASSES``."""
    before_N: Tensor
    """bool: before training its most probable word was right."""
    right_N: Tensor
    """bool: it is now."""
    probability_N: Tensor
    """float64: of the right word, now."""


def cells(subject: Subject) -> Findings:
    """Per class C, along the best responses without p (``audits.transfer``), over the tokens that x decides.

    - ``C/share`` of these tokens, which add up to 1 over the classes and are the same at every step;
    - ``C/right``: the student's most probable token, from x alone, is the right one; ``C/probability`` of that one;
    - ``C/learnt``: right now, of those that were wrong before training; ``C/lost``: wrong now, of those then right.

    A class without such tokens has none of these.

    Raises:
        HarnessError: the run has no teacher; its world does not know facts or has no reference responses.
    """
    spec, reader = subject.folder.spec, subject.reader
    if spec.teacher is None:
        raise HarnessError(f"audit cells needs a teacher, {spec.id} has none: leave it out")
    source = audited_data(spec)
    world = world_of(source)
    examples = each_once(world, source, PROBLEMS)
    texts = references(world, examples)
    decided_N = places_of(reader, world, examples, texts).of(Fact.CAPABILITY)
    student = subject.student()
    with undisturbed(student):
        student.eval()
        teacher = load.load(spec.teacher, dtype=spec.dtype, device=student.device, root=subject.folder.root)
        vocabulary.cut_to_common(student, teacher)
        untrained = _untrained(subject, student)
        told = {
            name: along(model, reader, examples, texts, source.privilege)[0]
            for name, model in {"teacher": teacher, "student": untrained}.items()
        }
        before_N, _ = along(untrained, reader, examples, texts, Privilege.NONE)
        right_N, probability_N = along(student, reader, examples, texts, Privilege.NONE)
    read = Read(
        class_N=class_of(told["teacher"], told["student"])[decided_N],
        before_N=before_N[decided_N],
        right_N=right_N[decided_N],
        probability_N=probability_N[decided_N],
    )
    return Findings(values=dict(cell_values(read)), n=len(examples))


def cell_values(read: Read) -> Iterator[tuple[str, float]]:
    """The metrics of ``cells``."""
    every_N = torch.ones_like(read.right_N)
    for i, name in enumerate(CLASSES):
        here_N = read.class_N == i
        of = {
            "share": (here_N, every_N),
            "right": (read.right_N, here_N),
            "probability": (read.probability_N, here_N),
            "learnt": (read.right_N, here_N & ~read.before_N),
            "lost": (~read.right_N, here_N & read.before_N),
        }
        yield from ((f"{name}/{what}", share_of(*each)) for what, each in of.items() if each[1].any())


def routes(subject: Subject) -> Findings:
    """Rollouts of the student, routed as by ``regimes``, over tokens that are judged (``reference.Verdict``).

    - ``C/share`` of these tokens by class; ``C/LH``, ``C/LL``, ``C/HT``, ``C/HS``: of the class, add up to 1;
    - ``C/expected``: the student's own mass, from x alone, on the most probable word of the teacher with p. Before
      training, where the teacher alone is right, a rollout that follows it is HT and one that does not is not, so this
      predicts ``C/HT`` there; later the student with p, which the rule asks too, is no longer that of the class;
    - ``gap``: mean over all response tokens of the distance of both policies' log-probabilities, in nats.

    Raises:
        HarnessError: as ``routing.sampled``.
    """
    student, teacher, rollouts = sampled(subject, problems=routing.PROBLEMS, rollouts=routing.ROLLOUTS, audit="routes")
    spec, method = subject.folder.spec, routing_method(subject.folder.spec.profile)
    assert spec.data is not None
    with undisturbed(student):
        student.eval()
        found = routed(subject, method, student, teacher, rollouts)
        batch = build_batch(
            method,
            subject.reader,
            world_of(spec.data),
            rollouts,
            spec.data.privilege,
            seed=spec.seed,
            step=subject.step,
        )
        untrained = _untrained(subject, student)
        told = distributions(untrained, batch.contexts[PRIVILEGED], rollouts)
        untrained_BT = most_probable(untrained, told, rollouts)
        plain = distributions(student, batch.contexts[PLAIN], rollouts)
        expected_BT = mass_on(student, plain, rollouts, found.top_BT["teacher"])
    values = dict(route_values(found, untrained_BT, expected_BT))
    return Findings(values=values, n=len(rollouts.finish) // routing.ROLLOUTS)


def route_values(found: Routed, untrained_BT: Tensor, expected_BT: Tensor) -> Iterator[tuple[str, float]]:
    """The metrics of ``routes``.

    Args:
        untrained_BT: int64 [B, T], the most probable token of the untrained student with p.
        expected_BT: float64 [B, T], the student's mass, without p, on the teacher's most probable token with p.
    """
    target_BT, judged_BT = found.verdict.target_BT, found.verdict.judged_BT
    class_BT = class_of(found.top_BT["teacher"] == target_BT, untrained_BT == target_BT)
    for i, name in enumerate(CLASSES):
        here_BT = judged_BT & (class_BT == i)
        yield f"{name}/share", share_of(class_BT == i, judged_BT)
        if not here_BT.any():
            continue
        for label, regime in enumerate(found.assignment.label_names):
            yield f"{name}/{regime}", share_of(found.label_BT == label, here_BT)
        yield f"{name}/expected", share_of(expected_BT, here_BT)
    gap_BT = (found.logp_BT["teacher"].double() - found.logp_BT["self"].double()).abs()
    yield "gap", share_of(gap_BT, found.mask_BT)


def class_of(teacher: Tensor, student: Tensor) -> Tensor:
    """int64: index into ``CLASSES`` of words that teacher and student, both with p, have right or not."""
    return torch.where(student, torch.where(teacher, 0, 2), torch.where(teacher, 1, 3))


def along(
    model: PreTrainedModel, reader: Reader, examples: list[Example], texts: list[str], kind: str
) -> tuple[Tensor, Tensor]:
    """At each token of these responses after x, with p of ``kind``: whether it is the most probable one, and its
    probability. bool and float64 [N], on the CPU."""
    forced = from_texts(reader, examples, render(reader, examples, kind, device=model.device), texts)
    scores = score(
        model,
        forced.prompts,
        forced.response_ids_BT,
        forced.mask_BT,
        wants=frozenset({Want.DISTRIBUTION, Want.LOGP}),
        temperature=1.0,
        microbatch=MICROBATCH,
    )
    assert scores.logp_BT is not None
    mask_BT = forced.mask_BT.cpu()
    right_BT = most_probable(model, scores, forced) == forced.response_ids_BT.cpu()
    return right_BT[mask_BT], scores.logp_BT.detach().cpu().double().exp()[mask_BT]


@torch.no_grad()
def mass_on(model: PreTrainedModel, scores: Scores, rollouts: RolloutBatch, tokens_BT: Tensor) -> Tensor:
    """float64 [B, T], on the CPU: the probability of other tokens than were sampled; 0 where padded."""
    assert scores.hidden_BTD is not None
    hidden_ND, head = scores.hidden_BTD[rollouts.mask_BT], logits_layer(model)
    tokens_N = tokens_BT.to(hidden_ND.device)[rollouts.mask_BT]
    found = [
        TokenView(tokens_N=tokens_N[part], hidden_ND=hidden_ND[part], head=head).logp_N
        for part in chunks(len(hidden_ND), vocabulary_size(model))
    ]
    mask_BT = rollouts.mask_BT.cpu()
    return torch.zeros(mask_BT.shape, dtype=torch.float64).masked_scatter(
        mask_BT, torch.cat(found).cpu().double().exp()
    )


def _untrained(subject: Subject, student: PreTrainedModel) -> PreTrainedModel:
    """The student as it was before training, on the student's device and in its vocabulary."""
    spec = subject.folder.spec
    untrained = load.load(spec.student, dtype=spec.dtype, device=student.device, root=subject.folder.root)
    vocabulary.cut(untrained, vocabulary_size(student))
    return untrained
