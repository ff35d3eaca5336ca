"""Controls that newer work asks for, worked by hand; what words and rollouts that cannot be read do to them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from math import log

import pytest
import torch
from support.by_hand import HALVES, QUARTERS, REVERSE, close, f64, loss_of, pool, views_of
from support.small import fixed_batch, policies, small_method

from harness import registry
from harness.losses.tokens import TokenView
from harness.method import Method
from harness.suite import Options
from harness.training.reduce import coefficients
from harness.training.step import optimiser_losses
from harness.types import PLAIN, PRIVILEGED, HarnessError, Policy, Reduction, Source
from methods.eopd import EntropyAwareDistillation
from suites.kit.cells import listed_methods

CONTROLS = ("eopd_one_update")
NEVER = -math.inf


def gradient_of(method: Method, *rows: list[list[float]], **fields: torch.Tensor) -> torch.Tensor:
    """Of the trained logits; no other view may have any."""
    term, views, logits = views_of(method, *rows)
    others = [views[view].logp_NV.detach().requires_grad_() for view in term.sources]
    heads = {
        v: TokenView(tokens_N=views[v].tokens_N, hidden_ND=z, head=lambda h: h)
        for v, z in zip(term.sources, others, strict=True)
    }
    method.token_loss(term, {**views, **heads}, fields).sum().backward()
    assert all(z.grad is None for z in others), "a source is detached"
    assert logits.grad is not None
    return logits.grad


# What they have in common


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_is_asked_for_by_name_and_is_in_no_default_plan(name: str) -> None:
    assert name not in listed_methods(Options(suite="methods"))
    assert listed_methods(Options(suite="methods", methods=(name,))) == (name,)
    assert small_method(name).sampling == {Source.STUDENT: 1.0}, "samples are the deployed student's"
    assert {term.trained.context for term in small_method(name).terms} == {PLAIN}


# EOPD at one update


def test_eopd_at_one_update_is_eopd_but_for_how_often_it_steps() -> None:
    """While the weights hold still, the one loss is the mean of the four over their tokens."""
    one, four = small_method("eopd_one_update"), small_method("eopd")
    assert isinstance(one, EntropyAwareDistillation) and (one.updates, four.updates) == (1, 4)
    assert vars(one) == vars(four)
    models = policies()
    batch = fixed_batch(models[Policy.STUDENT], method=four)
    parts = list(optimiser_losses(four, models, batch, progress=0.0, microbatch=64))
    (whole,) = optimiser_losses(one, models, batch, progress=0.0, microbatch=64)
    assert len(parts) == 4
    tokens = sum(part.tokens for part in parts)
    assert whole.loss == pytest.approx(sum(part.loss * part.tokens for part in parts) / tokens, rel=1e-12)


def test_the_profile_opens_both_gates_alike() -> None:
    profile = registry.profile("embedded")
    assert profile.method("eopd_one_update").settings == profile.method("eopd").settings
