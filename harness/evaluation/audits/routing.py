"""How dual distillation would route a student's rollouts, and which policy was right: ``regimes`` and ``trajectory``.

Whatever a run was trained by, its student answers held-out problems at one checkpoint, as it does in training: from x
alone, at the run's temperature. The rollouts are scored by the two policies that see p, the teacher and the student
itself, and routed as one batch by the method that labels tokens with the regimes. p is the right one, also where it
was corrupted in training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from harness import registry, seeds
from harness.evaluation.audits import SOURCE_OF, Findings, Subject
from harness.evaluation.audits.reference import Verdict, each_once, judge
from harness.losses.tokens import chunks
from harness.method import Method
from harness.models import load, vocabulary
from harness.models.forward import Scores, logits_layer, score, undisturbed, vocabulary_size
from harness.models.prompts import Prompts, render
from harness.models.sampler import RolloutBatch, sample
from harness.training.contexts import build_batch
from harness.training.step import build_pool, score_views
from harness.types import PLAIN, PRIVILEGED, Assignment, HarnessError, Policy, Privilege, View, Want, text_of
from harness.worlds import world_of
from harness.worlds.privilege import told
from harness.worlds.world import KnowsFacts, graded, require

PROBLEMS, ROLLOUTS = 96, 4
"""Of the audit ``regimes``: problems, and rollouts of each."""
SHOWN = 12
"""Rollouts of the audit ``trajectory``: the first of each of the first problems, domains in turn."""
MICROBATCH = 128
"""Rollouts per forward pass. Changes memory, never the numbers."""
DIGITS = 6
"""Decimals of the numbers in a record: more than is read, few enough to be published."""
READERS = ("student", "plain_teacher", "teacher", "self")
"""Who may say a token: student and teacher from x; teacher and, as ``self``, student from x and p."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """Rollouts with what is known of each token. Tensors [B, T], on the CPU."""

    rollouts: RolloutBatch
    assignment: Assignment
    logp_BT: Mapping[str, Tensor]
    """Of the sampled token, by the two that see p: teacher and self."""
    top_BT: Mapping[str, Tensor]
    """The most probable token by each of ``READERS``; -1 where padded."""
    verdict: Verdict

    @property
    def mask_BT(self) -> Tensor:
        """bool: response tokens."""
        return self.rollouts.mask_BT.cpu()

    @property
    def label_BT(self) -> Tensor:
        """int64: index of the regime."""
        assert self.assignment.labels_BT is not None
        return self.assignment.labels_BT


def regimes(subject: Subject) -> Findings:
    """Per regime R, over ``PROBLEMS`` test problems of the run's domains with ``ROLLOUTS`` rollouts each.

    - ``R/share`` of the response tokens; ``R/first_error`` of the first errors, one for each rollout that errs;
      ``R/information`` of the tokens that only p decides: each adds up to 1 over the regimes;
    - ``R/right``: share of tokens that were the right ones; ``R/student_right``, ``R/plain_teacher_right``,
      ``R/teacher_right``, ``R/self_right``: share where the most probable token of that policy (``READERS``) is the
      right one; ``R/source_right``: that of the policy which supervises the regime.

    Right is what the reference trace has, so the second kind is over tokens that the grader looks at and whose prefix
    holds no error so far (``Verdict.judged_BT``); a regime without such tokens has none of it.
    """
    routed = route(subject, problems=PROBLEMS, rollouts=ROLLOUTS, audit="regimes")
    return Findings(values=regime_values(routed), n=len(routed.rollouts.finish) // ROLLOUTS)


def regime_values(routed: Routed) -> dict[str, float]:
    """The metrics of ``regimes``."""
    return {
        f"{regime}/{name}": value
        for label, regime in enumerate(routed.assignment.label_names)
        for name, value in _of_regime(routed, label, SOURCE_OF[regime])
    }


def trajectory(subject: Subject) -> Findings:
    """The first rollout of each of ``SHOWN`` problems, token by token, out of a batch as large as in training.

    The thresholds are those of the whole batch. ``right`` is the share of the shown with the right answer, the others
    are the shares of their tokens by regime.
    """
    spec = subject.folder.spec
    routed = route(subject, problems=spec.prompts_per_step, rollouts=spec.rollouts_per_prompt, audit="trajectory")
    rows = list(range(0, len(routed.rollouts.finish), spec.rollouts_per_prompt))[:SHOWN]
    records = [{"run": spec.id, "step": subject.step, **record(subject, routed, row)} for row in rows]
    shown_N = routed.label_BT[rows][routed.mask_BT[rows]]
    names = map(str, routed.assignment.label_names)
    shares = {regime: float((shown_N == label).double().mean()) for label, regime in enumerate(names)}
    right = fmean(bool(each["right"]) for each in records)
    return Findings(values={"right": right, **shares}, n=len(records), records=records)


def route(subject: Subject, *, problems: int, rollouts: int, audit: str) -> Routed:
    """Samples, scores and routes, see ``sampled``."""
    student, teacher, batch = sampled(subject, problems=problems, rollouts=rollouts, audit=audit)
    with undisturbed(student):
        student.eval()
        return routed(subject, routing_method(subject.folder.spec.profile), student, teacher, batch)


def sampled(
    subject: Subject, *, problems: int, rollouts: int, audit: str, routes: bool = True
) -> tuple[PreTrainedModel, PreTrainedModel, RolloutBatch]:
    """Student and teacher in one vocabulary, and the student's rollouts; the stream of random numbers is the audit's
    own, by seed and step.

    Args:
        routes: tokens will be routed and judged, which needs p and a world that knows facts.

    Raises:
        HarnessError: the run has no teacher; no p to route by; its world does not know facts.
    """
    spec, reader = subject.folder.spec, subject.reader
    if spec.data is None or spec.teacher is None or (routes and spec.data.privilege == Privilege.NONE):
        needs = "a teacher and privileged input" if routes else "a teacher"
        raise HarnessError(f"audit {audit} needs {needs}, {spec.id} lacks one: leave it out")
    world = world_of(spec.data)
    if routes:
        require(world, KnowsFacts, f"audit {audit}")
    student = subject.student()
    with undisturbed(student):
        student.eval()
        teacher = load.load(spec.teacher, dtype=spec.dtype, device=student.device, root=subject.folder.root)
        vocabulary.cut_to_common(student, teacher)
        examples = each_once(world, spec.data, problems)
        batch = sample(
            student,
            reader,
            examples,
            render(reader, examples, device=student.device),
            rollouts_per_prompt=rollouts,
            max_new_tokens=spec.max_response_tokens,
            temperature=spec.temperature,
            top_p=spec.top_p,
            generator=seeds.generator(spec.seed, f"audit/{audit}", subject.step),
        )
    return student, teacher, batch


def routing_method(profile: str) -> Method:
    """The first method of the registry that labels tokens with the regimes, with the profile's settings.

    Raises:
        HarnessError: there is none.
    """
    regimes = tuple(SOURCE_OF)
    name = next((name for name in registry.methods() if registry.method_class(name).labels == regimes), None)
    if name is None:
        raise HarnessError(f"no method labels tokens with {', '.join(regimes)}: register one, or leave the audit out")
    return registry.build_method(registry.profile(profile).method(name))


def routed(
    subject: Subject, method: Method, student: PreTrainedModel, teacher: PreTrainedModel, rollouts: RolloutBatch
) -> Routed:
    """Rollouts, scored by both policies that see p and labelled by the method as it would label a training batch."""
    spec = subject.folder.spec
    assert spec.data is not None
    world, kind = world_of(spec.data), spec.data.privilege
    batch = build_batch(method, subject.reader, world, rollouts, kind, seed=spec.seed, step=subject.step)
    policies = {Policy.STUDENT: student, Policy.TEACHER: teacher}
    scores = score_views(method, policies, batch, microbatch=MICROBATCH)
    sees_p = {"teacher": _view(scores, Policy.TEACHER), "self": _view(scores, Policy.STUDENT)}
    top_BT = {name: most_probable(policies[view.policy], scores[view], rollouts) for name, view in sees_p.items()}
    for name, policy in {"student": student, "plain_teacher": teacher}.items():
        top_BT[name] = most_probable(policy, distributions(policy, batch.contexts[PLAIN], rollouts), rollouts)
    pool = build_pool(method, policies, batch, scores)
    return Routed(
        rollouts=rollouts,
        assignment=method.assign(pool, progress=0.0),
        logp_BT={name: pool.logp_BT[view] for name, view in sees_p.items()},
        top_BT=top_BT,
        verdict=judge(subject.reader, world, rollouts),
    )


def record(subject: Subject, routed: Routed, row: int) -> dict[str, Any]:
    """One rollout for a reader: each token with its regime, the gap and both probabilities.

    A token's ``right`` is null where nothing judges it; the rollout's is that of its answer.
    """
    rollouts, kept_T = routed.rollouts, routed.mask_BT[row]
    example = rollouts.examples[int(rollouts.prompt_of_B[row])]
    ids = rollouts.response_ids_BT[row].cpu()[kept_T]
    teacher, own = (routed.logp_BT[name][row][kept_T].double() for name in ("teacher", "self"))
    columns = (
        subject.reader.decode(ids[:, None].tolist(), special=True),
        [routed.assignment.label_names[label] for label in routed.label_BT[row][kept_T].tolist()],
        (teacher - own).abs().tolist(),
        teacher.exp().tolist(),
        own.exp().tolist(),
        _right(routed, row, kept_T),
    )
    spec = subject.folder.spec
    assert spec.data is not None
    (text,) = subject.reader.decode([ids.tolist()])
    return {
        "id": example.id,
        "prompt": text_of(example.messages[-1]),
        "privileged": told(example.privileged[spec.data.privilege]),
        "right": graded(world_of(spec.data), example, text).answer,
        "tokens": [
            {
                "text": text,
                "regime": str(regime),
                "gap": round(gap, DIGITS),
                "q_teacher": round(q_teacher, DIGITS),
                "q_student": round(q_student, DIGITS),
                "right": right,
            }
            for text, regime, gap, q_teacher, q_student, right in zip(*columns, strict=True)
        ],
        "thresholds": {
            name.removeprefix("threshold/"): round(value, DIGITS) for name, value in routed.assignment.metrics.items()
        },
    }


def _right(routed: Routed, row: int, kept_T: Tensor) -> list[bool | None]:
    ids_T = routed.rollouts.response_ids_BT[row].cpu()
    right = (ids_T == routed.verdict.target_BT[row])[kept_T].tolist()
    judged = routed.verdict.judged_BT[row][kept_T].tolist()
    return [r if j else None for r, j in zip(right, judged, strict=True)]


def _of_regime(routed: Routed, label: int, source: str) -> Iterator[tuple[str, float]]:
    mask_BT, verdict = routed.mask_BT, routed.verdict
    here_BT = mask_BT & (routed.label_BT == label)
    yield "share", share_of(here_BT, mask_BT)
    for name, of_BT in {"first_error": verdict.first_error_BT, "information": verdict.information_BT}.items():
        if of_BT.any():
            yield name, share_of(here_BT, of_BT)
    judged_BT = here_BT & verdict.judged_BT
    if not judged_BT.any():
        return
    yield "right", share_of(routed.rollouts.response_ids_BT.cpu() == verdict.target_BT, judged_BT)
    by_reader = {name: share_of(routed.top_BT[name] == verdict.target_BT, judged_BT) for name in READERS}
    yield from ((f"{name}_right", value) for name, value in by_reader.items())
    yield "source_right", by_reader[source]


def share_of(what_BT: Tensor, of_BT: Tensor) -> float:
    """Mean of a quantity over the tokens of a mask."""
    return float(what_BT[of_BT].double().mean())


def _view(scores: Mapping[View, Scores], policy: Policy) -> View:
    return next(view for view in scores if (view.policy, view.context) == (policy, PRIVILEGED))


def distributions(model: PreTrainedModel, prompts: Prompts, rollouts: RolloutBatch) -> Scores:
    """The hidden states from which a policy's distribution at every response token follows."""
    return score(
        model,
        prompts,
        rollouts.response_ids_BT,
        rollouts.mask_BT,
        wants=frozenset({Want.DISTRIBUTION}),
        temperature=1.0,
        microbatch=MICROBATCH,
    )


@torch.no_grad()
def most_probable(model: PreTrainedModel, scores: Scores, rollouts: RolloutBatch) -> Tensor:
    """int64 [B, T], on the CPU: the policy's most probable token at every response token; -1 where padded."""
    assert scores.hidden_BTD is not None
    hidden_ND, head = scores.hidden_BTD[rollouts.mask_BT], logits_layer(model)
    tops = [head(hidden_ND[part]).argmax(-1) for part in chunks(len(hidden_ND), vocabulary_size(model))]
    return torch.full(rollouts.mask_BT.shape, -1).masked_scatter(rollouts.mask_BT.cpu(), torch.cat(tops).cpu())
