"""Fixed rollouts both sides of a comparison read, and the harness's side of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace

import torch
from support.small import SMALL, fixed_batch, plain_logp, small_method
from torch import Tensor
from transformers import PreTrainedModel

from harness import registry
from harness.method import Method
from harness.training.reduce import gather_pool
from harness.training.step import Batch, build_pool, optimiser_losses, score_views
from harness.types import Policy, Reduction

Models = Mapping[Policy, PreTrainedModel]
Record = Callable[[str, str, float, float], None]
"""What was compared, against what, difference of value, difference of gradient."""


def method_with(name: str, settings: Mapping[str, object]) -> Method:
    """A registered method with settings of its own over those that fit the test vocabulary."""
    known = registry.method_class(name).__dataclass_fields__
    small = {k: v for k, v in SMALL.items() if k in known}
    return registry.build_method(registry.method_spec(name, small | dict(settings))) if settings else small_method(name)


def reduced(method: Method, reduction: Reduction) -> Method:
    """The same method with its token losses averaged otherwise."""
    subclass = type("Reduced", (type(method),), {"reduction": reduction})
    return subclass(**{f.name: getattr(method, f.name) for f in fields(method)})


def on_policy(method: Method, student: PreTrainedModel) -> Batch:
    """Four prompts of two rollouts, sampled by the student as it is: every importance ratio is 1."""
    return fixed_batch(student, method=method)


def off_policy(method: Method, student: PreTrainedModel) -> Batch:
    """Sampled by a student that has moved since, so ratios lie on both sides of every clip.

    Two prompts of four rollouts: three right and one wrong, and the reverse, so that a 1:1 balance drops two of
    each. A method with several optimiser steps keeps four prompts, one for each.
    """
    batch = fixed_batch(student, method=method)
    r, contexts = batch.rollouts, batch.contexts
    of_B = r.prompt_of_B
    if method.updates == 1:
        of_B = of_B // 2 * 2
        contexts = {n: p if p.present_B is not None else replace(p, row_of_B=of_B) for n, p in contexts.items()}
    noise_BT = torch.randn(r.mask_BT.shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    prompts = r.prompts.continued_by(of_B)
    ids_BL, mask_BL = prompts.ids_QL[of_B], prompts.mask_QL[of_B]
    logp_BT = plain_logp(student, ids_BL, mask_BL, r.response_ids_BT, r.mask_BT)
    reward_B = torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0]).repeat(len(of_B) // 8)
    return replace(
        batch,
        rollouts=replace(r, prompts=prompts, logp_BT=logp_BT + 0.8 * noise_BT * r.mask_BT),
        contexts=contexts,
        reward_B=reward_B,
    )


BATCHES = {"on-policy": on_policy, "off-policy": off_policy}


def kept_rollouts(method: Method, models: Models, batch: Batch) -> Tensor:
    """bool [B]: rollouts that a random balance left in."""
    method = replace(method, outlier=float("inf"))
    pool, _ = gather_pool(build_pool(method, models, batch, score_views(method, models, batch, microbatch=64)))
    return method.assign(pool, progress=0.25).mask_BT.any(-1)


def losses_and_gradients(method: Method, models: Models, batch: Batch) -> tuple[list[float], list[Tensor]]:
    """The harness's loss and flat gradient of each optimiser step; the student does not move."""
    student = models[Policy.STUDENT]
    losses, gradients = [], []
    for record in optimiser_losses(method, models, batch, progress=0.25, microbatch=3):
        losses.append(record.loss)
        gradients.append(flat_gradient(student))
    return losses, gradients


def flat_gradient(student: PreTrainedModel) -> Tensor:
    """The student's gradient in one vector; it is cleared."""
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in student.parameters()]
    student.zero_grad()
    return torch.cat([p.flatten() for p in parts])
