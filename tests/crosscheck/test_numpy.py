"""Every registered method against its NumPy reference: value, and gradient along directions of the weights.

The harness reads a prompt once for all its rollouts, flattens tokens and differentiates; the reference gets each
distribution from a whole forward pass of one rollout, loops, and is differentiated by finite differences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial

import numpy as np
import pytest
import torch
from crosscheck.batches import (
    BATCHES,
    Models,
    Record,
    kept_rollouts,
    losses_and_gradients,
    method_with,
    off_policy,
)
from crosscheck.reference import METHODS, Distributions, Facts, Reference, cell
from support.small import SMALL, policies
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from transformers import PreTrainedModel

from harness import registry
from harness.method import Method
from harness.training.step import Batch, optimiser_losses
from harness.types import Policy

STEP = 1e-5
"""Of the finite difference, along a direction of length 1: a cap of 0.05 on an entry is a kink that it may straddle."""
VALUE = 1e-12
"""Largest relative difference of a value."""
GRADIENT = 1e-7
"""Largest difference of a directional derivative, relative to the gradient's norm; finite differences err as much."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A method with settings, and what of the batch's facts changes with them."""

    name: str
    settings: Mapping[str, object] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)
    reference: Reference | None = None
    kinds: tuple[str, ...] = tuple(BATCHES)
    """Batches to compare on; both, unless the sources part off-policy (docs/crosscheck.md says where)."""

    def __str__(self) -> str:
        return "-".join([self.name, *(f"{k}={v}" for k, v in self.settings.items())])


REGISTERED = [Case(name=name) for name in registry.methods()]
SETTINGS = [
    Case(name="opsd", settings={"temperature": 1.1}, facts={"temperature": 1.1}),
    Case(name="opsd_v1", settings={"temperature": 1.1}, facts={"temperature": 1.1}),
    Case(name="uni_opd", settings={"outlier": 1.5}, facts={"outlier": 1.5}, kinds=("on-policy",)),
    *(
        Case(
            name="vanilla_opd",
            settings={"divergence": divergence, "granularity": granularity} | more,
            reference=partial(cell, divergence=divergence, granularity=granularity, **more),
        )
        for divergence in ("forward_kl", "reverse_kl", "js")
        for granularity, more in (
            ("full", {}),
            ("top_k", {}),
            ("top_k", {"tail": "renorm"}),
            ("top_k", {"support": "teacher"}),
        )
    ),
]


def read(model: PreTrainedModel, batch: Batch, context: str, temperature: float) -> Distributions:
    """Log-probabilities that predict each response token: one forward pass per rollout, no cache, no padding."""
    prompts, out = batch.contexts[context], []
    for b, mask_T in enumerate(batch.rollouts.mask_BT):
        row = prompts.row_of_B[b]
        prompt = prompts.ids_QL[row][prompts.mask_QL[row]]
        response = batch.rollouts.response_ids_BT[b][mask_T]
        with torch.no_grad():
            logits = model(input_ids=torch.cat([prompt, response])[None], use_cache=False).logits[0]
        z = logits[len(prompt) - 1 : -1].numpy() / temperature
        z = z - z.max(-1, keepdims=True)
        out.append(z - np.log(np.exp(z).sum(-1, keepdims=True)))
    return out


def facts(method: Method, models: Models, batch: Batch, more: Mapping[str, object]) -> Facts:
    """The batch as the reference wants it; what is fixed is read at the student's present weights."""
    r = batch.rollouts
    frozen = {**models, Policy.STUDENT: policies()[Policy.STUDENT]}
    frozen[Policy.STUDENT].load_state_dict(models[Policy.STUDENT].state_dict())

    def rows(x_BT: Tensor) -> list[np.ndarray]:
        return [x_T[mask_T].numpy() for x_T, mask_T in zip(x_BT, r.mask_BT, strict=True)]

    # Which rollouts a random balance drops is the harness's draw; that it is 1:1 is tested below.
    drawn = "balance" in type(method).__dataclass_fields__
    return Facts(
        fixed=cache(lambda policy, context, t: read(frozen[Policy(policy)], batch, context, t)),
        live=lambda context, t: read(models[Policy.STUDENT], batch, context, t),
        tokens=rows(r.response_ids_BT),
        old=rows(r.logp_BT),
        group=r.prompt_of_B.numpy(),
        reward=batch.reward_B.double().numpy(),
        has={n: p.present_B.numpy() for n, p in batch.contexts.items() if p.present_B is not None},
        reference=batch.reference_B.numpy(),
        kept=kept_rollouts(method, models, batch).numpy() if drawn else np.ones(len(r.mask_BT), dtype=bool),
        **({"k": SMALL["k"], "tau": SMALL["threshold"]} | dict(more)),
    )


def slope(reference: Reference, f: Facts, student: PreTrainedModel, direction: Tensor) -> np.ndarray:
    """Derivative of the reference's losses along a direction, by the fourth-order central difference."""
    start, at = parameters_to_vector(student.parameters()).detach().clone(), {}
    for i in (-2, -1, 1, 2):
        vector_to_parameters(start + i * STEP * direction, student.parameters())
        at[i] = np.array(reference(f))
    vector_to_parameters(start, student.parameters())
    return (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * STEP)


def directions(gradients: list[Tensor]) -> list[Tensor]:
    """The gradient's own direction, along which the slope is its norm, and two random ones."""
    generator = torch.Generator().manual_seed(11)
    summed = torch.stack(gradients).sum(0)
    drawn = [torch.randn(summed.shape, generator=generator, dtype=summed.dtype) for _ in range(2)]
    return [d / d.norm() for d in (summed, *drawn)]


def compare(
    method: Method, reference: Reference, batch: Batch, models: Models, more: Mapping[str, object]
) -> tuple[float, float]:
    """Largest relative differences of value and of directional derivative over the batch's optimiser steps."""
    f = facts(method, models, batch, more)
    losses, gradients = losses_and_gradients(method, models, batch)
    value = max(abs(a - b) / max(abs(b), 1e-2) for a, b in zip(losses, reference(f), strict=True))
    apart = [
        abs(float(g @ direction) - s) / max(float(g.norm()), 1e-2)
        for direction in directions(gradients)
        for g, s in zip(gradients, slope(reference, f, models[Policy.STUDENT], direction), strict=True)
    ]
    return value, max(apart)


def reference_of(name: str) -> Reference:
    """The NumPy reference of a registered method."""
    assert name in METHODS, (
        f"method {name} has no NumPy reference: write its loss in tests/crosscheck/reference.py from its source's "
        f"text, def {name}(f: Facts) -> list[float], one number for each optimiser step of a batch, and add "
        f'"{name}": {name} to METHODS there'
    )
    return METHODS[name]


def test_a_method_without_a_reference_says_what_to_write() -> None:
    with pytest.raises(
        AssertionError, match=r"method mine has no NumPy reference: .*reference.py .*def mine\(f: Facts\)"
    ):
        reference_of("mine")


def test_no_reference_is_of_a_method_that_is_gone() -> None:
    assert set(METHODS) <= set(registry.methods())


@pytest.mark.parametrize(
    ("case", "kind"),
    [pytest.param(case, kind, id=f"{case}-{kind}") for case in REGISTERED + SETTINGS for kind in case.kinds],
)
def test_value_and_gradient(case: Case, kind: str, record: Record) -> None:
    """Value to the last bits; gradient to what a finite difference can tell."""
    models, method = policies(), method_with(case.name, case.settings)
    batch = BATCHES[kind](method, models[Policy.STUDENT])
    value, gradient = compare(method, case.reference or reference_of(case.name), batch, models, case.facts)
    record(str(case), "NumPy", value, gradient)
    assert value < VALUE
    assert gradient < GRADIENT


CHANGED = [
    ("gkd", {"beta": 0.4}),
    ("minillm", {"long_horizon": False}),
    ("minillm", {"clip": 0.1}),
    ("grpo", {"clip": 0.1}),
    ("grpo", {"normalise_std": False}),
    ("opcd", {"tail": "tail"}),
    ("exopd", {"extrapolation": 1.3}),
    ("exopd", {"clip": 0.1}),
    ("uni_opd", {"margin": 0.1}),
    ("uni_opd", {"clip_low": 0.1}),
    ("uni_opd", {"clip_high": 0.2}),
    ("uni_opd", {"outlier": 1.5}),
    ("sdft", {"skip": 2}),
    ("opsd", {"entry_clip": 0.06}),
    ("sdpo", {"k": 6}),
    ("sdpo", {"ratio_cap": 4.0}),
    ("vision_opd", {"k": 6}),
    ("vision_opd", {"ratio_cap": 4.0}),
    ("va_opd", {"temperature": 2.0}),
    ("va_opd", {"share": 0.5}),
    ("va_opd", {"high_weight": 0.3}),
    ("eopd", {"threshold": 0.0}),
    ("eopd", {"threshold": 9.0}),
    ("eopd", {"clip": 0.1}),
    ("eopd", {"k": 6}),
    ("eopd_one_update", {"threshold": 0.0}),
    ("eopd_one_update", {"clip": 0.1}),
    ("no_teacher", {"penalty": 2.0}),
    ("no_teacher", {"below": 0.2}),
    ("iw_opd", {"gamma": 0.4}),
    ("demopsd", {"beta": 5.0}),
    ("demopsd", {"alpha_max": 0.2}),
    ("demopsd", {"ratio_cap": 4.0}),
    ("demopsd", {"floor": 0.01}),
    ("ar_opd", {"strength": 0.7}),
    ("ar_opd", {"bound": 1.0}),
    ("purified_opsd", {"beta": 2.0}),
    ("purified_opsd", {"bound": 1.0}),
    ("tip", {"keep": 0.6}),
    ("dapd", {"entry_clip": 0.06}),
    ("dopd", {"k": 6}),
    ("dopd", {"beta_l": 0.5}),
    ("dopd", {"beta_w": 0.5}),
    ("dopd", {"trim_quantile": 1.0}),
    ("dopd", {"q_normalisation": "separate"}),
]


@pytest.mark.parametrize(("name", "settings"), CHANGED, ids=[str(Case(name=n, settings=s)) for n, s in CHANGED])
def test_every_part_of_a_method_is_seen(name: str, settings: Mapping[str, object]) -> None:
    """A setting moved off its source's value must show: otherwise that part of the method never acted here."""
    models, method = policies(), method_with(name, settings)
    seen = []
    for batch_of in BATCHES.values():
        batch = batch_of(method, models[Policy.STUDENT])
        losses, _ = losses_and_gradients(method, models, batch)
        expected = reference_of(name)(facts(method, models, batch, {}))
        seen.append(max(abs(a - b) for a, b in zip(losses, expected, strict=True)))
    assert max(seen) > 1e-6


def test_balance_leaves_as_many_right_rollouts_as_wrong_ones() -> None:
    """Of three against one, one each stays; over many draws every rollout of the larger side stays about as often."""
    models, method = policies(), method_with("uni_opd", {})
    batch = off_policy(method, models[Policy.STUDENT])
    right_B, group_B = batch.reward_B == 1, batch.rollouts.prompt_of_B
    generator, stayed = torch.Generator().manual_seed(0), torch.zeros(8)
    for _ in range(60):
        draw_B = torch.rand(8, generator=generator, dtype=torch.float64)
        kept_B = kept_rollouts(method, models, replace(batch, draw_B=draw_B))
        for group in group_B.unique():
            here = group_B == group
            assert [int((kept_B & here & side).sum()) for side in (right_B, ~right_B)] == [1, 1]
        stayed += kept_B
    alone = torch.tensor([False, True, False, False, False, True, False, False])
    assert (stayed[alone] == 60).all()
    assert ((stayed[~alone] > 8) & (stayed[~alone] < 34)).all()


def test_every_regime_of_dopd_occurs() -> None:
    """The routed comparison would be empty otherwise."""
    models, method = policies(), method_with("dopd", {})
    batch = off_policy(method, models[Policy.STUDENT])
    records = list(optimiser_losses(method, models, batch, progress=0.0, microbatch=8))
    assert all(records[0].metrics[f"share/{regime}"] > 0 for regime in ("LH", "LL", "HT", "HS"))
