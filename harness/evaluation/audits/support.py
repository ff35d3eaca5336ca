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
from harness.models.forward import logits_layer, undisturbed, vocabulary_size
from harness.models.prompts import Prompts, render
from harness.models.sampler import RolloutBatch
from harness.types import HarnessError


def support(subject: Subject) -> Findings:
    """Over the response tokens of rollouts as many as those of ``audits.routing``: the student's, from x.

    ``student_outside`` and ``source_outside``: mean probability outside the top-k of the run's method (its ``k`` and
    ``support``) under the student, and under the teacher with the p of the run's data. Where hardly any lies there, a
    loss on the top-k is the loss on the full vocabulary.

    Raises:
        HarnessError: the run has no teacher, or its method no ``k``.
    """
    spec = subject.folder.spec
    method = registry.build_method(spec.method) if spec.method else None
    k = getattr(method, "k", None)
    if k is None:
        raise HarnessError(f"audit support needs a method with a top-k, {spec.id} has none: leave it out")
    whose = getattr(method, "support", Support.STUDENT)
    student, teacher, rollouts = sampled(
        subject, problems=routing.PROBLEMS, rollouts=routing.ROLLOUTS, audit="support", routes=False
    )
    assert spec.data is not None
    with undisturbed(student):
        told = render(subject.reader, rollouts.examples, spec.data.privilege, device=student.device)
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
