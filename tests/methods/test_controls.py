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
from methods.demopsd import DisagreementModulatedDistillation
from methods.eopd import EntropyAwareDistillation
from methods.iw_opd import ImportanceWeightedDistillation
from methods.no_teacher import NoTeacher
from suites.kit.cells import listed_methods

CONTROLS = ("eopd_one_update", "no_teacher", "iw_opd", "demopsd")
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


# No teacher


def test_no_teacher_pushes_down_what_the_sampler_found_improbable() -> None:
    """tau .1 is strict: 1/10 itself stays, 1/16 and 1/20 do not."""
    method = NoTeacher(penalty=2.0)
    a = method.assign(pool([[log(1 / 2), log(1 / 16)], [log(1 / 20)]]), progress=0.0)
    close(a.fields["advantage"], [[0.0, -2.0], [-2.0, 0.0]])
    assert a.mask_BT.tolist() == [[True, True], [True, False]], "every token stays in |y|"
    assert a.metrics["acted"] == pytest.approx(2 / 3, rel=1e-6)
    border = NoTeacher(below=0.5).assign(pool([[log(1 / 2), log(0.49)]]), progress=0.0)
    close(border.fields["advantage"], [[0.0, -1.0]])


def test_no_teacher_has_the_gradient_of_a_fixed_advantage() -> None:
    """-A log q = c log q: c (e_0 - q) in the logits, so descent lowers the sampled token's; nothing at A = 0."""
    rows, method = [[1 / 16, 15 / 16], HALVES], NoTeacher()
    close(loss_of(method, rows, advantage=f64([-1.0, 0.0])), [log(1 / 16), 0.0])
    close(gradient_of(method, rows, advantage=f64([-1.0, 0.0])), [[15 / 16, -15 / 16], [0.0, 0.0]])
    assert not method.terms[0].sources and method.reduction is Reduction.SEQ_MEAN


@pytest.mark.parametrize("wrong", [{"penalty": 0.0}, {"below": 0.0}, {"below": 1.1}])
def test_no_teacher_refuses_settings_that_do_nothing_or_cannot_be(wrong: Mapping[str, float]) -> None:
    with pytest.raises(HarnessError, match=r"penalty above 0 and a probability in \(0, 1\]"):
        NoTeacher(**wrong)


# IW-OPD


def test_iw_opd_weighs_by_the_discrepancy_still_to_come() -> None:
    # A = 1, -2, 1: of |A| 4 in all 0, 1, 3 lie before: w = 1 + 1/2 (1, 3/4, 1/4). The other rollout by itself: 3/2 A.
    method = ImportanceWeightedDistillation()
    p = pool([[-2.0, -1.0, -3.0], [-2.0]], [[-1.0, -3.0, -2.0], [-5.0]], method=method)
    a = method.assign(p, progress=0.0)
    close(a.fields["advantage"], [[1.5, -2 * 1.375, 1.125], [-4.5, 0.0, 0.0]])
    assert torch.equal(a.mask_BT, p.mask_BT)
    close(coefficients(method.reduction, p, a), [[1 / 4] * 3, [1 / 4, 0.0, 0.0]])
    assert [(v.policy, v.context) for v in method.terms[0].sources] == [(Policy.TEACHER, PLAIN)]


def test_iw_opd_without_gamma_or_discrepancy_is_on_policy_distillation() -> None:
    plain = ImportanceWeightedDistillation(gamma=0.0)
    a = plain.assign(pool([[-2.0, -1.0]], [[-1.0, -3.0]], method=plain), progress=0.0)
    close(a.fields["advantage"], [[1.0, -2.0]])
    same = ImportanceWeightedDistillation()
    close(same.assign(pool([[-2.0, -1.0]], [[-2.0, -1.0]], method=same), progress=0.0).fields["advantage"], [[0.0] * 2])


def test_iw_opd_leaves_out_what_the_teacher_calls_impossible() -> None:
    """A = 1, none, -1: the third has 1 of 2 before it, as if the second were not there; the mean is over two."""
    method = ImportanceWeightedDistillation()
    p = pool([[-2.0, -1.0, -1.0]], [[-1.0, NEVER, -2.0]], method=method)
    a = method.assign(p, progress=0.0)
    assert a.mask_BT.tolist() == [[True, False, True]]
    close(a.fields["advantage"], [[1.5, 0.0, -1.25]])
    close(coefficients(method.reduction, p, a), [[0.5, 0.0, 0.5]])
    nothing = pool([[-2.0]], [[NEVER]], method=method)
    assert not bool(method.assign(nothing, progress=0.0).mask_BT.any())


def test_iw_opd_has_the_policy_gradient_of_its_weighted_advantage() -> None:
    method, half = ImportanceWeightedDistillation(), [HALVES]
    close(loss_of(method, half, half, advantage=f64([3.0])), [3 * log(2)])
    close(gradient_of(method, half, half, advantage=f64([3.0])), [[-1.5, 1.5]])
    with pytest.raises(HarnessError, match=r"gamma=-0\.5: give 0 or more"):
        ImportanceWeightedDistillation(gamma=-0.5)


# DemoPSD


def test_demopsd_leans_towards_the_average_without_p_where_the_two_disagree() -> None:
    """T (9/10, 1/10) and S (1/10, 9/10): JS = ln 2 + 9/10 ln(9/10) + 1/10 ln(1/10) = .368064; beta is set to
    ln 3 / JS, so that the sigmoid is 3/4 and alpha is 2 alpha_max / 4 = 1/2 at alpha_max 1: the target is (1/2, 1/2).
    """
    js = log(2) + 9 / 10 * log(9 / 10) + 1 / 10 * log(1 / 10)
    told, plain = [[9 / 10, 1 / 10]], [[1 / 10, 9 / 10]]
    method = DisagreementModulatedDistillation(beta=log(3) / js, alpha_max=1.0)
    close(method.alpha(f64(told).log(), f64(plain).log()), [1 / 2])
    same = f64([log(3 / 4)])
    # Student (3/4, 1/4): 3/4 ln(3/2) + 1/4 ln(1/2); the ratio is 1.
    close(loss_of(method, [QUARTERS], told, plain, sampler_logp=same), [3 / 4 * log(3 / 2) + 1 / 4 * log(1 / 2)])
    # alpha 1/4: T^3/4 S^1/4 is 9^1/2 : 1 = 3 : 1, so the student (3/4, 1/4) has arrived.
    quarter = DisagreementModulatedDistillation(beta=log(3) / js, alpha_max=0.5)
    close(loss_of(quarter, [QUARTERS], told, plain, sampler_logp=same), [0.0])
    term, views, _ = views_of(quarter, [QUARTERS], told, plain)
    close(quarter.diagnostics(term, views, {})["alpha"], [1 / 4])


def test_demopsd_without_disagreement_is_reverse_kl_to_the_average_at_a_capped_ratio() -> None:
    """Ratios 1/2 over 1/2, over 1/8 (4, capped at 2) and over 1 (1/2)."""
    method = DisagreementModulatedDistillation()
    rows, source = [HALVES] * 3, [QUARTERS] * 3
    sampler = f64([log(1 / 2), log(1 / 8), 0.0])
    close(loss_of(method, rows, source, source, sampler_logp=sampler), [REVERSE, 2 * REVERSE, REVERSE / 2])
    told, plain = method.terms[0].sources
    assert [(v.policy, v.context, v.rate) for v in (told, plain)] == [
        (Policy.EMA, PRIVILEGED, 0.05),
        (Policy.EMA, PLAIN, 0.05),
    ]
    assert (method.beta, method.alpha_max, method.ratio_cap, method.floor) == (50.0, 0.15, 2.0, 1e-8)


def test_demopsd_passes_no_gradient_through_ratio_weight_or_target() -> None:
    """q_j (log(q_j/t_j) - KL), times the ratio, here 2."""
    found = gradient_of(
        DisagreementModulatedDistillation(), [HALVES], [QUARTERS], [QUARTERS], sampler_logp=f64([log(1 / 4)])
    )
    close(found, [[2 * 1 / 2 * (log(2 / 3) - REVERSE), 2 * 1 / 2 * (log(2) - REVERSE)]])


def test_demopsd_floors_what_is_possible_and_gives_nothing_to_what_is_not() -> None:
    """T (1/2, 1/2 - tiny, tiny, 0, 0), S without the second word and with the fifth: these and the fourth have no mass,
    the third is lifted to the floor 1/8, and 1/2 : 1/8 is 4 : 1.
    """
    method, tiny = DisagreementModulatedDistillation(alpha_max=0.0, floor=1 / 8), 2.0**-40
    told, plain = f64([[1 / 2, 1 / 2 - tiny, tiny, 0.0, 0.0]]).log(), f64([[1 / 2 - tiny, 0.0, tiny, 0.0, 1 / 2]]).log()
    close(method.target(told, plain).softmax(-1), [[4 / 5, 0.0, 1 / 5, 0.0, 0.0]])
    # A student that gives those words nothing either has a finite loss and gradient.
    rows = [[1 / 2, 0.0, 1 / 2, 0.0, 0.0]], told.exp().tolist(), plain.exp().tolist()
    close(loss_of(method, *rows, sampler_logp=f64([log(1 / 2)])), [1 / 2 * log(5 / 8) + 1 / 2 * log(5 / 2)])
    assert bool(gradient_of(method, *rows, sampler_logp=f64([log(1 / 2)])).isfinite().all())


def test_demopsd_masks_rollouts_without_p() -> None:
    method = DisagreementModulatedDistillation()
    p = pool([[0.0] * 2, [0.0] * 3], present_B={PRIVILEGED: torch.tensor([True, False])})
    a = method.assign(p, progress=0.0)
    assert a.mask_BT.int().tolist() == [[1, 1, 0], [0, 0, 0]]
    assert coefficients(method.reduction, p, a)[0].tolist() == [0.5, 0.5, 0.0]


@pytest.mark.parametrize(
    "wrong", [{"beta": -1.0}, {"alpha_max": 1.1}, {"ratio_cap": 0.0}, {"floor": 0.0}, {"rate": 0.0}]
)
def test_demopsd_refuses_settings_out_of_range(wrong: Mapping[str, float]) -> None:
    with pytest.raises(HarnessError, match=r"beta of 0 or more|EMA rate 0\.0"):
        DisagreementModulatedDistillation(**wrong)
