"""How much of the probability a top-k loss does not see: ``support``."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from harness import registry
from harness.evaluation.audits import Findings, Subject, routing
from harness.evaluation.audits.routing import distributions, sampled
from harness.losses.divergences import support_mass
from harness.losses.objectives import Support
from harness.losses.tokens import chunks
from harness.method import untrained_views
from harness.models.forward import logits_layer, undisturbed, vocabulary_size
from harness.models.prompts import Prompts, render
from harness.models.sampler import RolloutBatch
from harness.types import PLAIN, HarnessError, Policy, Privilege


def support(subject: Subject) -> Findings:
    """Over the response tokens of rollouts as many as those of ``audits.routing``: the student's, from x.

    ``student_outside`` and ``source_outside``: mean probability outside the top-k of the run's method (its ``k`` and
    ``support``) under the student, and under the teacher as the method reads it, with p or from x. Where hardly any
    lies there under both, a loss on the top-k is close to the loss on the full vocabulary, on average over tokens. A
    source that is the student itself is not read.

    Raises:
        HarnessError: the run has no teacher, or its method no ``k``.
    """
    spec = subject.folder.spec
    method = registry.build_method(spec.method) if spec.method else None
    k = getattr(method, "k", None)
    if method is None or k is None:
        raise HarnessError(f"audit support needs a method with a top-k, {spec.id} has none: leave it out")
    whose = getattr(method, "support", Support.STUDENT)
    student, teacher, rollouts = sampled(
        subject, problems=routing.PROBLEMS, rollouts=routing.ROLLOUTS, audit="support", routes=False
    )
    assert spec.data is not None
    views = untrained_views(method)
    reads_p = any(view.policy is Policy.TEACHER and view.context != PLAIN for view in views)
    with undisturbed(student):
        student.eval()
        kind = spec.data.privilege if reads_p else Privilege.NONE
        told = render(subject.reader, rollouts.examples, kind, device=student.device)
        prompts = {student: rollouts.prompts, teacher: told.continued_by(rollouts.prompt_of_B)}
        hidden = [_hidden(model, given, rollouts) for model, given in prompts.items()]
        student_N, source_N = masses(list(prompts), hidden, k=k, support=whose)
    values = {"student_outside": student_N, "source_outside": source_N}
    return Findings(
        values={name: min(max(1 - float(mass_N.mean()), 0.0), 1.0) for name, mass_N in values.items()},
        n=len(rollouts.finish) // routing.ROLLOUTS,
    )


def _hidden(model: PreTrainedModel, prompts: Prompts, rollouts: RolloutBatch) -> Tensor:
    """[N, D] of all response tokens."""
    scores = distributions(model, prompts, rollouts)
    assert scores.hidden_BTD is not None
    return scores.hidden_BTD[rollouts.mask_BT]


@torch.no_grad()
def masses(
    models: Sequence[PreTrainedModel], hidden: Sequence[Tensor], *, k: int, support: Support
) -> tuple[Tensor, Tensor]:
    """float64 [N] each, on the CPU: probability on the support under student and source, from their hidden states."""
    found = list[tuple[Tensor, Tensor]]()
    for part in chunks(len(hidden[0]), vocabulary_size(models[0])):
        q_NV, t_NV = (
            logits_layer(model)(hidden_ND[part]).double().log_softmax(-1)
            for model, hidden_ND in zip(models, hidden, strict=True)
        )
        found.append(support_mass(q_NV, t_NV, k=k, support=support))
    student, source = zip(*found, strict=True)
    return torch.cat(student).cpu(), torch.cat(source).cpu()
