"""Controls that newer work asks for, worked by hand; what words and rollouts that cannot be read do to them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from math import log

import pytest
import torch
from support import language
from support.by_hand import HALVES, QUARTERS, REVERSE, close, f64, loss_of, pool, views_of
from support.drive_run import short_run
from support.small import example, fixed_batch, policies, small_method

from harness import registry
from harness.losses.tokens import TokenView
from harness.method import Method
from harness.suite import Options
from harness.training.loop import written_batch
from harness.training.reduce import coefficients
from harness.training.step import optimiser_losses
from harness.training.trainer import prepare
from harness.types import (
    PLAIN,
    PRIVILEGED,
    Alone,
    FirstHalf,
    HarnessError,
    Policy,
    Privilege,
    Reduction,
    Source,
    text_of,
)
from methods.ar_opd import HALF, ResidualDistillation
from methods.demopsd import DisagreementModulatedDistillation
from methods.eopd import EntropyAwareDistillation
from methods.iw_opd import ImportanceWeightedDistillation
from methods.no_teacher import NoTeacher
from methods.purified_opsd import ALONE, PurifiedSelfDistillation
from suites.kit.chosen import listed_methods

CONTROLS = ("eopd_one_update", "no_teacher", "iw_opd", "demopsd", "ar_opd", "purified_opsd")
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


# AR-OPD


def test_ar_opd_moves_the_half_by_a_share_of_what_the_rest_adds() -> None:
    """Half (1/2, 1/2), whole (2/3, 1/3): differences ln(4/3) and ln(2/3), whose distance is ln 2; at lambda 2 the
    target is 4 : 1, at 1 the whole's 2 : 1, at 0 the half's 1 : 1.
    """
    whole, half = f64([[2 / 3, 1 / 3]]).log(), f64([HALVES]).log()
    for strength, first in ((2.0, 4 / 5), (1.0, 2 / 3), (0.0, 1 / 2)):
        close(ResidualDistillation(strength=strength).target(whole, half).softmax(-1), [[first, 1 - first]])
    # Reverse KL of (1/2, 1/2) to (4/5, 1/5).
    method = ResidualDistillation(strength=2.0)
    rows = [HALVES], whole.exp().tolist(), [HALVES]
    want = 1 / 2 * log(5 / 8) + 1 / 2 * log(5 / 2)
    close(loss_of(method, *rows), [want])
    close(gradient_of(method, *rows), [[1 / 2 * (log(5 / 8) - want), 1 / 2 * (log(5 / 2) - want)]])
    sources = [(v.policy, v.context, v.rate) for v in method.terms[0].sources]
    assert sources == [(Policy.EMA, PRIVILEGED, 0.05), (Policy.EMA, HALF, 0.05)]
    assert (ResidualDistillation().strength, ResidualDistillation().bound) == (0.8, 5.0)


def test_ar_opd_bounds_each_difference_and_gives_nothing_to_the_impossible() -> None:
    """Differences ln(1/2 / 1/8) = 2 ln 2, held at ln 2, and ln(1/4 / 1/2) = -ln 2: 1/4 and 1/4; the third word is
    impossible after half of p, the fourth after all of it.
    """
    whole, half = f64([[1 / 2, 1 / 4, 1 / 4, 0.0]]).log(), f64([[1 / 8, 1 / 2, 0.0, 3 / 8]]).log()
    target = ResidualDistillation(strength=1.0, bound=log(2)).target(whole, half)
    close(target.softmax(-1), [[1 / 2, 1 / 2, 0.0, 0.0]])
    with pytest.raises(HarnessError, match="strength of 0 or more and a bound above 0"):
        ResidualDistillation(bound=0.0)


# Purified OPSD


def test_purified_opsd_adds_to_the_initial_policy_what_p_says_of_this_problem() -> None:
    """log T(x, p) - log T(p) of (1/2, 1/2) over (4/5, 1/5): ln(5/8) and ln(5/2), centred -ln 2 and ln 2; with c so that
    the tanh is 3/5 (c = 1 nat: tanh ln 2 = 3/5), the target of base (1/2, 1/2) is e^-3/5 : e^3/5.
    """
    told, alone, base = (f64([row]).log() for row in (HALVES, [4 / 5, 1 / 5], HALVES))
    target = PurifiedSelfDistillation(bound=1.0).target(told, alone, base)
    close(target - base, [[-3 / 5, 3 / 5]])
    close(PurifiedSelfDistillation(bound=1.0, beta=2.0).target(told, alone, base) - base, [[-3 / 10, 3 / 10]])
    # p that says the same of every problem moves nothing.
    close(PurifiedSelfDistillation().target(told, told, base), base.tolist())
    method = PurifiedSelfDistillation(bound=1.0)
    rows = [HALVES], [HALVES], [[4 / 5, 1 / 5]], [HALVES]
    # KL of (1/2, 1/2) to e^-a : e^a is ln(e^a + e^-a) - ln 2.
    want = log(math.exp(3 / 5) + math.exp(-3 / 5)) - log(2)
    close(loss_of(method, *rows), [want])
    close(gradient_of(method, *rows), [[1 / 2 * 3 / 5, -1 / 2 * 3 / 5]])
    sources = [(v.policy, v.context) for v in method.terms[0].sources]
    assert sources == [(Policy.EMA, PRIVILEGED), (Policy.EMA, ALONE), (Policy.INITIAL, PLAIN)]
    assert (PurifiedSelfDistillation().beta, PurifiedSelfDistillation().bound) == (1.0, 10.0)


def test_purified_opsd_centres_over_the_words_that_all_three_know() -> None:
    """Words 0 and 1 are known to all: differences 0 and 2 ln 2, centred -ln 2 and ln 2. The others are each impossible
    once; a mean over five words would be 2/5 ln 2.
    """
    told = f64([[1 / 8, 1 / 2, 0.0, 1 / 8, 1 / 4]]).log()
    alone = f64([[1 / 8, 1 / 8, 1 / 4, 0.0, 1 / 2]]).log()
    base = f64([[1 / 4, 1 / 4, 1 / 4, 1 / 4, 0.0]]).log()
    target = PurifiedSelfDistillation(bound=1.0).target(told, alone, base)
    close((target - base)[:, :2], [[-3 / 5, 3 / 5]])
    assert target[0, 2:].tolist() == [NEVER] * 3
    with pytest.raises(HarnessError, match="both must be above 0"):
        PurifiedSelfDistillation(beta=0.0)


@pytest.mark.parametrize(("name", "context", "noun"), [("ar_opd", HALF, FirstHalf), ("purified_opsd", ALONE, Alone)])
def test_each_reads_p_in_its_own_way_and_leaves_out_rollouts_without(name: str, context: str, noun: type) -> None:
    method = small_method(name)
    assert method.contexts([example(0)] * 2, ["", ""], None) == {context: [noun()] * 2}
    p = pool([[0.0] * 2, [0.0] * 3], present_B={context: torch.tensor([True, False])})
    a = method.assign(p, progress=0.0)
    assert a.mask_BT.int().tolist() == [[1, 1, 0], [0, 0, 0]]
    assert coefficients(method.reduction, p, a)[0].tolist() == [0.5, 0.5, 0.0]
    assert method.shows == (noun,)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["demopsd", "ar_opd", "purified_opsd"])
def test_it_trains_on_the_embedded_world_and_reads_what_it_says(name: str) -> None:
    """One batch from the rollouts on: the prompts of its own contexts are those of the world."""
    made = prepare(short_run(name, 2))
    batch = written_batch(made)
    for context, text in {HALF: language.WORLD.first_half, ALONE: lambda e, k: e.privileged[k]}.items():
        if context in batch.contexts:
            prompts = batch.contexts[context]
            assert len(prompts.ids_QL) == len(batch.rollouts.examples), "one for all rollouts of a problem"
            (read,) = made.reader.decode([prompts.ids_QL[0][prompts.mask_QL[0]].tolist()])
            problem = batch.rollouts.examples[0]
            assert str(text(problem, Privilege.HINTS)) in read
            assert (text_of(problem.messages[0]) in read) == (context == HALF)
    (record,) = optimiser_losses(made.method, made.policies, batch, progress=0.0, microbatch=8)
    assert math.isfinite(record.loss) and record.loss > 0
