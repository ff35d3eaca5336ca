"""Losses and assignments of every compared method, worked by hand.

Probabilities are small fractions, so every wanted value is a logarithm one can check on paper. Where a
comment says ``two-word KL`` it means student (1/2, 1/2) against source (3/4, 1/4):

    forward  3/4 ln(3/2) + 1/4 ln(1/2)                                    reverse  1/2 ln(2/3) + 1/2 ln 2
    JS       1/2 [3/4 ln(6/5) + 1/4 ln(2/3)] + 1/2 [1/2 ln(4/5) + 1/2 ln(4/3)], the mixture being (5/8, 3/8)
"""

from __future__ import annotations

import dataclasses
import importlib
import math
import re
from collections.abc import Mapping
from fractions import Fraction
from math import log
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from support import language
from support.by_hand import FORWARD, HALVES, JS, QUARTERS, REVERSE, close, f64, loss_of, pool, views_of
from support.pages import tables
from support.protocol import declared, sketch_text
from support.small import example, fixed_batch, policies, small_method
from torch import Tensor

from harness import registry
from harness.losses.objectives import Divergence, Granularity
from harness.method import Method
from harness.profile import DEVELOPMENT_SEEDS
from harness.suite import Options, training_run
from harness.training.masters import Masters
from harness.training.reduce import coefficients
from harness.training.step import Batch, optimiser_losses
from harness.training.trainer import build_policies, own_weights, refresh_copies
from harness.types import (
    PLAIN,
    PRIVILEGED,
    Completion,
    Demonstration,
    HarnessError,
    Policy,
    Privilege,
    Reduction,
    Shown,
    Source,
    Term,
    View,
)
from harness.worlds.needs import check_data, check_world
from harness.worlds.permutations.world import PermutationsWorld
from methods.dapd import ROLLOUT, SOLUTION, DualAnchorDistillation
from methods.eopd import EntropyAwareDistillation
from methods.exopd import ExtrapolatedDistillation
from methods.gkd import GeneralisedDistillation
from methods.grpo import GroupRelativePolicyOptimisation
from methods.minillm import MiniLLM
from methods.opcd import OnPolicyContextDistillation
from methods.opd import OnPolicyDistillation
from methods.opsd import OnPolicySelfDistillation
from methods.sdft import SelfDistillationFineTuning
from methods.sdpo import FEEDBACK, SelfDistillationPolicyOptimisation
from methods.seqkd import SequenceLevelDistillation
from methods.sft import SupervisedFineTuning
from methods.surrogate import clipped_surrogate
from methods.tip import TokenImportance
from methods.uni_opd import UniversalDistillation

ROOT = Path(__file__).resolve().parents[2]
NAMES = list(registry.methods())


# One supervising view: on-policy distillation and its arms


@pytest.mark.parametrize(
    ("divergence", "granularity", "want"),
    [
        # The sampled token 0 has q = 1/2, t = 3/4, m = 5/8.
        (Divergence.FORWARD_KL, Granularity.SAMPLED, 3 / 2 * log(3 / 2)),
        (Divergence.REVERSE_KL, Granularity.SAMPLED, log(2 / 3)),
        (Divergence.JS, Granularity.SAMPLED, 1 / 2 * 3 / 2 * log(6 / 5) + 1 / 2 * log(4 / 5)),
        # k = 1: the student's best is token 0, the tail bucket holds q 1/2 and t 1/4: the two-word KLs.
        (Divergence.FORWARD_KL, Granularity.TOP_K, FORWARD),
        (Divergence.REVERSE_KL, Granularity.TOP_K, REVERSE),
        (Divergence.JS, Granularity.TOP_K, JS),
        # All three: q/t = 2/3, 4/3, 4 and m = 5/8, 7/32, 5/32.
        (
            Divergence.FORWARD_KL,
            Granularity.FULL,
            3 / 4 * log(3 / 2) + 3 / 16 * log(3 / 4) + 1 / 16 * log(1 / 4),
        ),
        (Divergence.REVERSE_KL, Granularity.FULL, 1 / 2 * log(2 / 3) + 1 / 4 * log(4 / 3) + 1 / 4 * log(4)),
        (
            Divergence.JS,
            Granularity.FULL,
            (3 / 4 * log(6 / 5) + 3 / 16 * log(6 / 7) + 1 / 16 * log(2 / 5)) / 2
            + (1 / 2 * log(4 / 5) + 1 / 4 * log(8 / 7) + 1 / 4 * log(8 / 5)) / 2,
        ),
    ],
)
def test_opd_every_cell_of_table_7(divergence: Divergence, granularity: Granularity, want: float) -> None:
    method = OnPolicyDistillation(divergence=divergence, granularity=granularity, k=1)
    close(loss_of(method, [[1 / 2, 1 / 4, 1 / 4]], [[3 / 4, 3 / 16, 1 / 16]]), [want])


def test_opd_sampled_has_the_policy_gradient() -> None:
    """-A grad log q_y with A = log t_y - log q_y = ln(3/2): logits (1 - 1/2, -1/4, -1/4) times ln(2/3)."""
    method = OnPolicyDistillation(granularity=Granularity.SAMPLED)
    term, views, logits = views_of(method, [[1 / 2, 1 / 4, 1 / 4]], [[3 / 4, 3 / 16, 1 / 16]])
    method.token_loss(term, views, {}).sum().backward()
    assert logits.grad is not None
    close(logits.grad, [[1 / 2 * log(2 / 3), -1 / 4 * log(2 / 3), -1 / 4 * log(2 / 3)]])


def test_the_privilege_arms_differ_in_their_two_views_only() -> None:
    arms = {
        "vanilla_opd": (PLAIN, Policy.TEACHER, PLAIN),
        "privileged_teacher": (PLAIN, Policy.TEACHER, PRIVILEGED),
        "privileged_student": (PLAIN, Policy.STUDENT, PRIVILEGED),
        "privileged_both": (PRIVILEGED, Policy.TEACHER, PRIVILEGED),
        "student_privileged": (PRIVILEGED, Policy.TEACHER, PLAIN),
    }
    for name, (trained, policy, context) in arms.items():
        method = small_method(name)
        (term,) = method.terms
        (source,) = term.sources
        assert (term.trained.policy, term.trained.context) == (Policy.STUDENT, trained), name
        assert (source.policy, source.context) == (policy, context), name
        assert method.sampling == {Source.STUDENT: 1.0}, name
        assert method.reduction is Reduction.SEQ_MEAN, name


def test_opcd_is_raw_on_the_students_best() -> None:
    method = OnPolicyContextDistillation(k=2)
    # The student's two best are 0 and 1: 1/2 ln(1/2 / 1/4) + 3/8 ln(3/8 / 1/4); token 2 is dropped.
    close(
        loss_of(method, [[1 / 2, 3 / 8, 1 / 8]], [[1 / 4, 1 / 4, 1 / 2]]),
        [1 / 2 * log(2) + 3 / 8 * log(3 / 2)],
    )
    assert (OnPolicyContextDistillation().k, method.reduction) == (256, Reduction.TOKEN_MEAN)
    assert method.terms[0].sources[0].context == PRIVILEGED


def test_opcd_lets_mass_leak_even_at_agreement() -> None:
    """With q = t only the leak q_j (1_S - Q) is left, Q = 7/8: 1/2 1/8, 3/8 1/8, -1/8 7/8."""
    method = OnPolicyContextDistillation(k=2)
    term, views, logits = views_of(method, [[1 / 2, 3 / 8, 1 / 8]], [[1 / 2, 3 / 8, 1 / 8]])
    method.token_loss(term, views, {}).sum().backward()
    assert logits.grad is not None
    close(logits.grad, [[1 / 16, 3 / 64, -7 / 64]])


# The clipped surrogate, and what advantage each method gives it


@pytest.mark.parametrize(
    ("ratio", "advantage", "want", "slope"),
    [
        (1.0, 2.0, -2.0, -2.0),  # one step a batch: gradient -A
        (1.5, 2.0, -1.28 * 2, 0.0),  # gained enough: held at 1 + high
        (0.5, 2.0, -0.5 * 2, -0.5 * 2),  # too low for a good token: never clipped
        (1.5, -2.0, 1.5 * 2, 1.5 * 2),  # too high for a bad token: never clipped
        (0.5, -2.0, 0.8 * 2, 0.0),  # fell enough: held at 1 - low
        (1.25, 2.0, -1.25 * 2, -1.25 * 2),  # inside 1 + high, beyond 1 + low
    ],
)
def test_clipped_surrogate(ratio: float, advantage: float, want: float, slope: float) -> None:
    """-min(r A, clip(r) A); its slope in log q is -r A where the clip does not hold."""
    logp = f64([log(ratio) - 1.0]).requires_grad_()
    loss = clipped_surrogate(logp, f64([-1.0]), f64([advantage]), low=0.2, high=0.28)
    loss.sum().backward()
    close(loss, [want])
    assert logp.grad is not None
    close(logp.grad, [slope])


def test_exopd_extrapolates() -> None:
    """A = lambda (log t - log ref) - (log old - log ref)."""
    ln2, method = log(2), ExtrapolatedDistillation()
    # Token 0: t 1/2, ref 1/4, old 1/8: 1.25 ln 2 - (-ln 2) = 2.25 ln 2.
    # Token 1: t 1/4, ref 1/2, old 1/2: 1.25 (-ln 2) - 0. Token 2: t 1/8, ref 1/2, old 1/4: -2.5 ln 2 + ln 2.
    scores = [[-3 * ln2, -ln2, -2 * ln2]], [[-ln2, -2 * ln2, -3 * ln2]], [[-2 * ln2, -ln2, -ln2]]
    a = method.assign(pool(*scores, method=method), progress=0.0)
    close(a.fields["advantage"], [[2.25 * ln2, -1.25 * ln2, -1.5 * ln2]])
    assert [v.policy for v in method.terms[0].sources] == [Policy.TEACHER, Policy.REFERENCE]
    assert (method.extrapolation, method.reduction) == (1.25, Reduction.TOKEN_MEAN)
    # lambda 1 is on-policy distillation: log t - log old, whatever the reference says.
    plain = ExtrapolatedDistillation(extrapolation=1.0)
    close(plain.assign(pool(*scores, method=plain), progress=0.0).fields["advantage"], [[2 * ln2, -ln2, -ln2]])


def test_exopd_loss_is_the_surrogate() -> None:
    """Sampled probability 1/2; old 1/2 gives ratio 1; old 1/4 ratio 2, held at 1.2 for a good token."""
    half = [HALVES] * 2
    loss = loss_of(
        ExtrapolatedDistillation(), half, half, half, advantage=[3.0, 3.0], sampler_logp=f64([log(1 / 2), log(1 / 4)])
    )
    close(loss, [-3.0, -3.6])


# Uni-OPD


def uni(a: list[list[float]], reward: list[float], method: UniversalDistillation | None = None, **rest: Any):
    """The assignment where log t - log old is ``a``."""
    method = method or UniversalDistillation(balance=False)
    zero = [[0.0] * len(row) for row in a]
    return method.assign(pool(zero, a, method=method, reward=reward, **rest), progress=0.0)


def test_uni_opd_shifts_both_sides_by_half_of_what_is_missing() -> None:
    # Means: right .1, .3 and wrong .0, .2, so the gap is .2 - .1 = .1, .3 short of .4: +.15 and -.15.
    a = uni([[0.0, 0.2], [0.3], [0.0], [0.1, 0.3]], [1.0, 1.0, 0.0, 0.0])
    got = a.fields["advantage"][:, 0].tolist() + a.fields["advantage"][[0, 3], 1].tolist()
    assert got == pytest.approx([0.15, 0.45, -0.15, -0.05, 0.35, 0.15], rel=1e-12)
    assert a.metrics["acted"] == 1.0


def test_uni_opd_leaves_a_wide_enough_margin_alone() -> None:
    a = uni([[0.6], [0.1]], [1.0, 0.0])
    assert a.fields["advantage"].flatten().tolist() == [0.6, 0.1]
    assert a.metrics["acted"] == 0.0


def test_uni_opd_measures_the_gap_within_a_group() -> None:
    # Group 0 lacks .4 - .2 = .2; group 1 has .9. Over both groups the gap would be .55: no shift at all.
    a = uni([[0.3], [0.1], [1.0], [0.1]], [1.0, 0.0, 1.0, 0.0], group=[0, 0, 1, 1])
    assert a.fields["advantage"].flatten().tolist() == pytest.approx([0.4, 0.0, 1.0, 0.1], rel=1e-12, abs=1e-15)
    assert a.metrics["acted"] == 0.5


@pytest.mark.parametrize("outcome", [0.0, 1.0], ids=["all wrong", "all right"])
def test_uni_opd_leaves_groups_of_one_outcome_untouched(outcome: float) -> None:
    a = uni([[0.3], [-0.2], [0.1]], [outcome] * 3, UniversalDistillation())
    assert a.fields["advantage"].flatten().tolist() == [0.3, -0.2, 0.1]
    assert bool(a.mask_BT.all())
    assert a.metrics == {"acted": 0.0, "rollouts_kept": 1.0}


def test_uni_opd_balances_right_and_wrong_by_the_draws() -> None:
    # Three right, one wrong: of the right ones row 1 has the smallest draw and stays.
    a = uni([[0.9], [0.1], [0.9], [0.0]], [1.0, 1.0, 1.0, 0.0], UniversalDistillation(), draw=[0.9, 0.2, 0.5, 0.7])
    assert a.mask_BT.flatten().tolist() == [False, True, False, True]
    # The gap is that of the two that stay: .1, so .3 are missing. All four would have .633.
    assert a.fields["advantage"][[1, 3], 0].tolist() == pytest.approx([0.25, -0.15], rel=1e-12)
    assert a.metrics["rollouts_kept"] == 0.5
    assert a.weight_BT is not None and a.weight_BT.unique().tolist() == [2.0]  # mean over 2 of 4


def test_uni_opd_balance_thins_the_wrong_side_too_and_other_groups_not() -> None:
    a = uni(
        [[0.0]] * 6,
        [1.0, 0.0, 0.0, 1.0, 0.0, 1.0],
        UniversalDistillation(),
        group=[0, 0, 0, 1, 1, 2],
        draw=[0.9, 0.8, 0.1, 0.5, 0.5, 0.5],
    )
    assert a.mask_BT.flatten().tolist() == [True, False, True, True, True, True]


def test_uni_opd_is_a_mean_over_the_rollouts_that_stay() -> None:
    """A constant loss of 1 gives 1, whatever was dropped."""
    method = UniversalDistillation()
    p = pool([[0.0] * 3, [0.0], [0.0] * 2], [[0.0] * 3, [0.0], [0.0] * 2], method=method, reward=[1.0, 1.0, 0.0])
    factor_BT = coefficients(method.reduction, p, method.assign(p, progress=0.0))
    assert method.reduction is Reduction.SEQ_MEAN
    assert float(factor_BT.sum()) == pytest.approx(1.0, rel=1e-6)


def test_uni_opd_drops_outliers_but_counts_them() -> None:
    a = uni([[10.0, -10.0, 9.99, -9.99]], [1.0])
    assert a.mask_BT.tolist() == [[False, False, True, True]]
    assert a.weight_BT is not None and a.weight_BT.unique().tolist() == [1.0]  # they stay in |y|


def test_uni_opd_clips_asymmetrically() -> None:
    """Ratio 2 with A 1 is held at 1.28, ratio 1/2 with A -1 at .8."""
    half = [HALVES] * 2
    loss = loss_of(UniversalDistillation(), half, half, advantage=[1.0, -1.0], sampler_logp=f64([log(1 / 4), log(1.0)]))
    close(loss, [-1.28, 0.8])


# Self-distillation: SDFT, OPSD, SDPO


def test_sdft_is_forward_kl_from_the_moving_average_with_p() -> None:
    method = SelfDistillationFineTuning()
    close(loss_of(method, [HALVES], [QUARTERS]), [FORWARD])
    (source,) = method.terms[0].sources
    assert (source.policy, source.context, source.rate) == (Policy.EMA, PRIVILEGED, 0.01)
    reverse = SelfDistillationFineTuning(divergence=Divergence.REVERSE_KL)  # the paper's equation 1
    close(loss_of(reverse, [HALVES], [QUARTERS]), [REVERSE])


def test_sdft_skips_the_opening_and_averages_over_the_rest() -> None:
    method = SelfDistillationFineTuning()
    p = pool([[0.0] * 5, [0.0] * 4, [0.0] * 3, [0.0] * 2])
    a = method.assign(p, progress=0.0)
    assert a.mask_BT.int().tolist() == [[0, 0, 0, 1, 1], [0, 0, 0, 1, 0], [0] * 5, [0] * 5]
    # Four sequences: 1/2 of each of two tokens, all of the one; short ones have nothing and still count.
    factor_BT = coefficients(method.reduction, p, a)
    assert factor_BT[0, 3:].tolist() == pytest.approx([1 / 8, 1 / 8], rel=1e-12)
    assert float(factor_BT[1, 3]) == pytest.approx(1 / 4, rel=1e-12)
    assert float(factor_BT.sum()) == pytest.approx(1 / 2, rel=1e-12)
    assert bool(p.mask_BT[2, 2]), "the pool's own mask must not be written to"


def test_opsd_caps_every_entry_from_above_and_can_be_negative() -> None:
    method = OnPolicySelfDistillation()
    # Entries 3/4 ln(3/2) = .304 -> .05 and 1/4 ln(1/2) = -.173, which no cap from above holds.
    loss = loss_of(method, [HALVES, HALVES], [QUARTERS, HALVES])
    close(loss, [0.05 + 1 / 4 * log(1 / 2), 0.0])
    assert float(loss[0].detach()) < 0
    (source,) = method.terms[0].sources
    assert (source.policy, source.context, method.reduction) == (Policy.INITIAL, PRIVILEGED, Reduction.TOKEN_MEAN)


def test_opsd_passes_no_gradient_through_a_capped_entry() -> None:
    """Only -t_1 log q_1 is left: t_1 (q - e_1) = 1/4 (1/2, -1/2)."""
    method = OnPolicySelfDistillation()
    term, views, logits = views_of(method, [HALVES], [QUARTERS])
    method.token_loss(term, views, {}).sum().backward()
    assert logits.grad is not None
    close(logits.grad, [[1 / 8, -1 / 8]])


def test_opsd_without_a_cap_is_forward_kl_and_version_1_is_js() -> None:
    close(loss_of(OnPolicySelfDistillation(entry_clip=None), [HALVES], [QUARTERS]), [FORWARD])
    first = small_method("opsd_v1")
    close(loss_of(first, [HALVES], [QUARTERS]), [JS])


def test_opsd_says_how_often_the_cap_acted() -> None:
    method = OnPolicySelfDistillation()
    term, views, _ = views_of(method, [HALVES, HALVES], [QUARTERS, HALVES])
    assert method.diagnostics(term, views, {})["acted"].tolist() == [1.0, 0.0]


def test_opsd_divides_both_sides_by_its_temperature() -> None:
    (term,) = OnPolicySelfDistillation(temperature=1.1).terms
    assert [v.temperature for v in (term.trained, *term.sources)] == [1.1, 1.1]


def test_opsd_caps_forward_kl_only() -> None:
    with pytest.raises(HarnessError, match=r"entry_clip=0\.05 with js"):
        OnPolicySelfDistillation(divergence=Divergence.JS)


def sibling_examples(rewards: list[float], method: SelfDistillationPolicyOptimisation | None = None):
    """What each rollout of one prompt is shown; its own texts are r0, r1, ..."""
    problem = dataclasses.replace(example(0), privileged={Privilege.HINTS: "the hint"})
    texts = [f"r{i}" for i in range(len(rewards))]
    method = method or SelfDistillationPolicyOptimisation()
    shown = method.contexts([problem] * len(rewards), texts, rewards)[FEEDBACK]
    told: dict[Shown, str] = {Demonstration(text): text for text in texts} | {Privilege.HINTS: "p"}
    return [None if what is None else told[what] for what in shown]


def test_sdpo_shows_another_success_never_itself() -> None:
    assert sibling_examples([0.0, 1.0, 1.0, 0.0]) == ["r1", "r2", "r1", "r1"]
    assert sibling_examples([1.0, 1.0]) == ["r1", "r0"]  # all right: each teaches the other


def test_sdpo_a_lone_success_gets_nothing_and_teaches_the_others() -> None:
    assert sibling_examples([0.0, 1.0, 0.0]) == ["r1", None, "r1"]


def test_sdpo_all_wrong_falls_back_to_p_or_to_nothing() -> None:
    assert sibling_examples([0.0, 0.0]) == ["p", "p"]
    without = SelfDistillationPolicyOptimisation(fallback=Privilege.NONE)
    assert sibling_examples([0.0, 0.0], without) == [None, None]


def test_sdpo_siblings_are_of_the_same_prompt() -> None:
    problems = [dataclasses.replace(example(i), privileged={}) for i in (0, 0, 1, 1)]
    method = SelfDistillationPolicyOptimisation()
    shown = method.contexts(problems, ["a", "b", "c", "d"], [1.0, 0.0, 0.0, 0.0])[FEEDBACK]
    assert [turns is None for turns in shown] == [True, False, True, True]


def test_sdpo_masks_rollouts_without_a_teacher_and_does_not_count_them() -> None:
    method = SelfDistillationPolicyOptimisation()
    p = pool([[0.0] * 2, [0.0] * 3], present_B={FEEDBACK: torch.tensor([True, False])})
    a = method.assign(p, progress=0.0)
    assert a.mask_BT.int().tolist() == [[1, 1, 0], [0, 0, 0]]
    assert a.metrics["acted"] == 0.5
    assert coefficients(method.reduction, p, a)[0].tolist() == [0.5, 0.5, 0.0]


def test_sdpo_loss_is_js_with_a_tail_times_a_capped_ratio() -> None:
    """k = 1: the buckets are (1/2, 1/2) and (3/4, 1/4). Ratios 1/2 over 1/8 -> 4 -> 2, and 1/2 over 5/8 = .8."""
    method = SelfDistillationPolicyOptimisation(k=1)
    student, own = [[1 / 2, 1 / 4, 1 / 4]] * 2, [[3 / 4, 1 / 8, 1 / 8]] * 2
    sampler = f64([log(1 / 8), log(5 / 8)])
    close(loss_of(method, student, own, sampler_logp=sampler), [2 * JS, 0.8 * JS])
    (source,) = method.terms[0].sources
    assert (source.policy, source.context, source.rate) == (Policy.EMA, FEEDBACK, 0.05)


def test_sdpo_passes_no_gradient_through_the_ratio() -> None:
    """Ratios 1 and .8 scale the gradient of JS and add nothing of their own."""
    method = SelfDistillationPolicyOptimisation(k=1)
    gradients = []
    for sampler in (log(1 / 2), log(5 / 8)):  # ratios 1 and .8
        term, views, logits = views_of(method, [[1 / 2, 1 / 4, 1 / 4]], [[3 / 4, 1 / 8, 1 / 8]])
        method.token_loss(term, views, {"sampler_logp": f64([sampler])}).sum().backward()
        assert logits.grad is not None
        gradients.append(logits.grad)
    torch.testing.assert_close(gradients[1], 0.8 * gradients[0], rtol=1e-12, atol=1e-15)
    # JS in a student logit: (1 - beta) q_j [log(q_j/m_j) - KL(q||m)], here q 1/2 and m 5/8.
    kl = 1 / 2 * log(4 / 5) + 1 / 2 * log(4 / 3)
    assert float(gradients[0][0, 0]) == pytest.approx(1 / 2 * 1 / 2 * (log(4 / 5) - kl), rel=1e-12)


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.1])
@pytest.mark.parametrize("method", [SelfDistillationFineTuning, SelfDistillationPolicyOptimisation])
def test_an_average_that_never_moves_or_overshoots_is_refused(method: type[Method], rate: float) -> None:
    with pytest.raises(HarnessError, match=rf"EMA rate {rate}.*\(0, 1\]"):
        method(rate=rate)
    method(rate=1.0)


# Adaptive: EOPD, TIP


def test_eopd_opens_the_gate_at_the_threshold() -> None:
    method = EntropyAwareDistillation()
    p = pool([[-1.0] * 3], [[-0.5, -2.0, -1.0]], method=method, entropy=[[0.8, 0.79, 1.5]])
    a = method.assign(p, progress=0.0)
    assert a.fields["open"].tolist() == [[True, False, True]]
    close(a.fields["advantage"], [[0.5, -1.0, 0.0]])
    assert a.metrics["acted"] == pytest.approx(2 / 3, rel=1e-6)


def test_eopd_adds_forward_kl_to_the_policy_gradient_of_every_token() -> None:
    """k = 1: the teacher's best is token 1, 1/2 ln(1/2 / 1/4), on the open token only; the student's is 0."""
    student, teacher = [[1 / 2, 1 / 4, 1 / 4]] * 2, [[3 / 8, 1 / 2, 1 / 8]] * 2
    fields = {"advantage": [2.0, 2.0], "sampler_logp": f64([log(1 / 2)] * 2), "open": [True, False]}
    close(loss_of(EntropyAwareDistillation(k=1), student, teacher, **fields), [-2.0 + log(2) / 2, -2.0])
    double = EntropyAwareDistillation(k=1, weight=2.0)
    close(loss_of(double, student, teacher, **fields), [-2.0 + log(2), -2.0])


def test_eopd_counts_all_tokens_gated_or_not() -> None:
    method = EntropyAwareDistillation()
    p = pool([[-1.0] * 3, [-1.0]], [[-1.0] * 3, [-1.0]], method=method, entropy=[[2.0, 0.0, 0.0], [0.0]])
    factor_BT = coefficients(method.reduction, p, method.assign(p, progress=0.0))
    assert factor_BT.tolist() == [[0.25, 0.25, 0.25], [0.25, 0.0, 0.0]]
    assert method.updates == 4


def test_eopd_with_every_gate_shut_is_on_policy_distillation() -> None:
    fields = {"advantage": [2.0], "sampler_logp": f64([log(1 / 2)]), "open": [False]}
    shut = loss_of(EntropyAwareDistillation(k=1), [HALVES], [QUARTERS], **fields)
    close(shut, [-2.0])


def test_tip_keeps_the_best_of_a_soft_or() -> None:
    """Entropies 0 1 2 4 -> 0 1/4 1/2 1, divergences 3 0 1.5 0 -> 1 0 1/2 0, scores 1 1/4 3/4 1."""
    stats = {"entropy": f64([[0.0, 1.0, 2.0, 4.0]]), "divergence": f64([[3.0, 0.0, 1.5, 0.0]])}
    for keep, want in (
        (0.5, [True, False, False, True]),
        (0.75, [True, False, True, True]),
        (0.6, [True, False, True, True]),  # ceil(2.4) = 3
        (0.25, [True, False, False, True]),  # one is asked, two tie at the border
        (1.0, [True] * 4),
    ):
        a = TokenImportance(keep=keep).assign(pool([[0.0] * 4], stats_BT=stats), progress=0.0)
        assert a.mask_BT.tolist() == [want], keep
        assert a.metrics["acted"] == sum(want) / 4
    assert TokenImportance().reduction is Reduction.SELECTED_MEAN


def test_tip_scales_over_the_response_tokens_of_the_whole_batch() -> None:
    """1 - score is (1 - entropy)(1 - divergence), both scaled: the minimum only stretches it, the maximum decides."""
    stats = {"entropy": f64([[2.0, 4.0], [3.5, 0.0]]), "divergence": f64([[1.2, 1.0], [2.0, 0.0]])}
    # Entropy 0, 1, 3/4; divergence .2, 0, 1: scores .2, 1, 1. A row at a time they would be 1, 1 and 0.
    a = TokenImportance(keep=0.5).assign(pool([[0.0, 0.0], [0.0]], stats_BT=stats), progress=0.0)
    assert a.mask_BT.tolist() == [[False, True], [True, False]]


def test_tip_scores_entropy_and_its_own_loss() -> None:
    method = TokenImportance()
    term, views, _ = views_of(method, [HALVES], [QUARTERS])
    stats = method.token_stats({method.scored[0]: views[term.trained], term.sources[0]: views[term.sources[0]]})
    close(stats["entropy"], [log(2)])
    close(stats["divergence"], [REVERSE])
    close(loss_of(method, [HALVES], [QUARTERS]), [REVERSE])


def test_tip_with_nothing_to_tell_tokens_apart_keeps_them_all() -> None:
    stats = {"entropy": f64([[1.0, 1.0]]), "divergence": f64([[0.5, 0.5]])}
    a = TokenImportance().assign(pool([[0.0, 0.0]], stats_BT=stats), progress=0.0)
    assert a.mask_BT.tolist() == [[True, True]]


@pytest.mark.parametrize("keep", [0.0, 1.5])
def test_tip_refuses_to_keep_nothing_or_too_much(keep: float) -> None:
    with pytest.raises(HarnessError, match="keep="):
        TokenImportance(keep=keep)


# DAPD


def test_dapd_has_the_six_terms_of_the_authors_code() -> None:
    y, r = Completion.ROLLOUT, Completion.REFERENCE
    want = [  # completion, anchor(context), trained context, weight
        (y, Policy.SNAPSHOT, SOLUTION, PLAIN, Fraction(2, 15)),
        (y, Policy.INITIAL, SOLUTION, ROLLOUT, Fraction(2, 15)),
        (y, Policy.INITIAL, PLAIN, ROLLOUT, Fraction(2, 5)),
        (r, Policy.INITIAL, PLAIN, SOLUTION, Fraction(2, 15)),
        (r, Policy.SNAPSHOT, ROLLOUT, PLAIN, Fraction(2, 5)),
        (r, Policy.INITIAL, ROLLOUT, SOLUTION, Fraction(4, 5)),
    ]
    got = [
        (t.completion, t.sources[0].policy, t.sources[0].context, t.trained.context, t.weight)
        for t in DualAnchorDistillation().terms
    ]
    assert got == [(*each[:4], pytest.approx(float(each[4]), rel=1e-15)) for each in want]
    for term in DualAnchorDistillation().terms:
        assert {v.temperature for v in (term.trained, *term.sources)} == {1.1}
        assert term.sources[0].every == (100 if term.sources[0].policy is Policy.SNAPSHOT else None)


@pytest.mark.parametrize("term", range(6))
def test_dapd_caps_every_entry(term: int) -> None:
    """As OPSD: .05 in place of 3/4 ln(3/2), and 1/4 ln(1/2)."""
    method = DualAnchorDistillation()
    chosen, views, _ = views_of(method, [HALVES], [QUARTERS], term=term)
    close(method.token_loss(chosen, views, {}), [0.05 + 1 / 4 * log(1 / 2)])


def test_dapd_shows_each_rollout_and_each_reference_the_pair_it_belongs_to() -> None:
    problems = [example(i) for i in (0, 1)] * 2  # rollouts of prompts 0 and 1, then their references
    shown = DualAnchorDistillation().contexts(problems, ["y0", "y1", "r0", "r1"], None)
    for name, texts in ((ROLLOUT, ["y0", "y1"] * 2), (SOLUTION, ["r0", "r1"] * 2)):
        assert shown[name] == [Demonstration(text) for text in texts]


@pytest.mark.slow
def test_dapd_weighs_each_term_over_its_own_completions() -> None:
    """The loss of a batch is the sum over terms of weight times the mean over that completion's tokens."""
    method, models = small_method("dapd"), policies()
    batch = fixed_batch(models[Policy.STUDENT], method=method)
    (record,) = optimiser_losses(method, models, batch, progress=0.0, microbatch=64)
    alone = 0.0
    for term in method.terms:
        alone += term.weight * mean_of_term(method, term, models, batch)
    assert record.loss == pytest.approx(alone, rel=1e-10)


def mean_of_term(method: Method, term: Term, models: Mapping[Policy, Any], batch: Batch) -> float:
    """The mean loss of one term by a plain pass over each response."""
    rows = (batch.reference_B == (term.completion is Completion.REFERENCE)).nonzero().flatten().tolist()
    total, tokens = 0.0, 0
    for b in rows:
        ids = batch.rollouts.response_ids_BT[b][batch.rollouts.mask_BT[b]]
        logp = [distribution(models[v.policy], v, batch, b, ids) for v in (term.trained, *term.sources)]
        q, t = logp
        total += float((t.exp() * (t - q)).clamp(max=0.05).sum())
        tokens += len(ids)
    return total / tokens


@torch.no_grad()
def distribution(model: Any, view: View, batch: Batch, b: int, ids: Tensor) -> Tensor:
    context = batch.contexts[view.context]
    row = context.row_of_B[b]
    prompt = context.ids_QL[row][context.mask_QL[row]]
    logits = model(input_ids=torch.cat([prompt, ids])[None]).logits[0, len(prompt) - 1 : -1]
    return (logits / view.temperature).log_softmax(-1)


# Classical comparators


def test_sft_is_the_negative_log_likelihood() -> None:
    method = SupervisedFineTuning()
    close(loss_of(method, [HALVES, QUARTERS], tokens=[0, 1]), [log(2), log(4)])
    assert method.sampling == {Source.VERIFIED_TEACHER: 1.0}


def test_sft_learns_from_verified_responses_only() -> None:
    p = pool([[0.0] * 2, [0.0] * 3, [0.0]], reward=[0.0, 1.0, 1.0])
    method = SupervisedFineTuning()
    a = method.assign(p, progress=0.0)
    assert a.mask_BT.int().tolist() == [[0, 0, 0], [1, 1, 1], [1, 0, 0]]
    assert a.metrics["verified"] == pytest.approx(2 / 3, rel=1e-6)
    # A refused response is no label: the mean is over the four tokens that stay, of six.
    assert coefficients(method.reduction, p, a).tolist() == [[0.0] * 3, [0.25] * 3, [0.25, 0.0, 0.0]]
    traces = SupervisedFineTuning(completions=Source.DATASET)
    assert torch.equal(traces.assign(p, progress=0.0).mask_BT, p.mask_BT)


def test_seqkd_learns_from_whatever_the_teacher_wrote() -> None:
    method = SequenceLevelDistillation()
    p = pool([[0.0] * 2, [0.0]], reward=[0.0, 1.0])
    assert torch.equal(method.assign(p, progress=0.0).mask_BT, p.mask_BT)
    close(loss_of(method, [HALVES, QUARTERS], tokens=[0, 1]), [log(2), log(4)])
    assert (method.sampling, method.needs_reward) == ({Source.TEACHER: 1.0}, False)


def test_gkd_mixes_who_writes() -> None:
    assert GeneralisedDistillation().sampling == {Source.STUDENT: 0.5, Source.TEACHER: 0.5}
    assert GeneralisedDistillation(student_share=0.25).sampling == {Source.STUDENT: 0.25, Source.TEACHER: 0.75}
    assert GeneralisedDistillation(student_share=0.0).sampling == {Source.TEACHER: 1.0}
    assert GeneralisedDistillation(student_share=1.0).sampling == {Source.STUDENT: 1.0}
    for share in (-0.1, 1.1):
        with pytest.raises(HarnessError, match="student_share"):
            GeneralisedDistillation(student_share=share)


def test_gkd_is_js_and_its_ends_are_the_two_kls() -> None:
    close(loss_of(GeneralisedDistillation(), [HALVES], [QUARTERS]), [JS])
    # beta .1: m = .1 (3/4, 1/4) + .9 (1/2, 1/2) = (.525, .475).
    js = 0.1 * (3 / 4 * log(0.75 / 0.525) + 1 / 4 * log(0.25 / 0.475))
    js += 0.9 * (1 / 2 * log(0.5 / 0.525) + 1 / 2 * log(0.5 / 0.475))
    close(loss_of(GeneralisedDistillation(beta=0.1), [HALVES], [QUARTERS]), [js])
    ends = {Divergence.FORWARD_KL: FORWARD, Divergence.REVERSE_KL: REVERSE}
    for divergence, want in ends.items():
        close(loss_of(GeneralisedDistillation(divergence=divergence), [HALVES], [QUARTERS]), [want])
    for beta in (0.0, 1.0):
        with pytest.raises(HarnessError, match=r"forward_kl \(0\) or reverse_kl \(1\)"):
            GeneralisedDistillation(beta=beta)


def test_minillm_return_is_the_mean_of_what_follows() -> None:
    # log(t/old) = 1 2 6: (2 + 6)/2, 6, nothing left. The short row: 6, nothing, padding.
    method = MiniLLM()
    p = pool([[-7.0] * 3, [-7.0] * 2], [[-6.0, -5.0, -1.0], [-3.0, -1.0]], method=method)
    a = method.assign(p, progress=0.0)
    close(a.fields["advantage"], [[4.0, 6.0, 0.0], [6.0, 0.0, 0.0]])


def test_minillm_terms_apart_and_together() -> None:
    fields = {"advantage": [3.0], "sampler_logp": f64([log(1 / 2)])}
    step, horizon = MiniLLM(long_horizon=False), MiniLLM(single_step=False)
    close(loss_of(step, [HALVES], [QUARTERS], **fields), [REVERSE])
    close(loss_of(horizon, [HALVES], [QUARTERS], **fields), [-3.0])
    close(loss_of(MiniLLM(), [HALVES], [QUARTERS], **fields), [REVERSE - 3.0])
    assert MiniLLM().reduction is Reduction.TOKEN_MEAN
    with pytest.raises(HarnessError, match="both off"):
        MiniLLM(single_step=False, long_horizon=False)


def test_grpo_normalises_by_mean_and_deviation_of_the_group() -> None:
    # Rewards 1 0 0 0: mean 1/4, sample deviation sqrt((9/16 + 3/16)/3) = 1/2: A = 3/2 and -1/2.
    p = pool([[0.0]] * 6, group=[0, 0, 0, 0, 1, 1], reward=[1.0, 0.0, 0.0, 0.0, 1.0, 1.0])
    a = GroupRelativePolicyOptimisation().assign(p, progress=0.0)
    close(a.fields["advantage"].flatten(), [3 / 2, -1 / 2, -1 / 2, -1 / 2, 0.0, 0.0])
    assert a.metrics["acted"] == 0.5
    centred = GroupRelativePolicyOptimisation(normalise_std=False).assign(p, progress=0.0)
    close(centred.fields["advantage"].flatten(), [3 / 4, -1 / 4, -1 / 4, -1 / 4, 0.0, 0.0])
    assert GroupRelativePolicyOptimisation().reduction is Reduction.SEQ_MEAN


def test_grpo_gives_every_token_of_a_rollout_the_same_advantage() -> None:
    p = pool([[0.0] * 3, [0.0] * 2], reward=[1.0, 0.0])
    advantage_BT = GroupRelativePolicyOptimisation().assign(p, progress=0.0).fields["advantage"]
    close(advantage_BT, [[math.sqrt(1 / 2)] * 3, [-math.sqrt(1 / 2)] * 3])  # deviation of (1, 0): sqrt(1/2)
    half = [HALVES]
    close(
        loss_of(GroupRelativePolicyOptimisation(), half, advantage=[2.0], sampler_logp=f64([log(1 / 4)])), [-2.4]
    )  # ratio 2, held at 1.2


# What all of them do when every rollout is wrong, or right


def rewarded(method: Method, models: Mapping[Policy, Any], reward: float) -> Batch:
    batch = fixed_batch(models[Policy.STUDENT], method=method)
    return dataclasses.replace(batch, reward_B=torch.full_like(batch.reward_B, reward))


@pytest.mark.parametrize("reward", [0.0, 1.0], ids=["all wrong", "all right"])
@pytest.mark.parametrize("name", [n for n in NAMES if registry.method_class(n).needs_reward])
def test_all_wrong_and_all_right_are_defined(name: str, reward: float) -> None:
    """GRPO learns nothing, SFT nothing from nothing verified; the others go on."""
    method, models = small_method(name), policies()
    (record,) = optimiser_losses(method, models, rewarded(method, models, reward), progress=0.0, microbatch=64)
    gradients = [p.grad for p in models[Policy.STUDENT].parameters() if p.grad is not None]
    largest = max((float(g.abs().max()) for g in gradients), default=0.0)
    assert math.isfinite(record.loss) and math.isfinite(largest)
    learns = not (name == "grpo" or (name == "sft" and reward == 0.0))
    assert (largest > 0) == learns
    if not learns:
        assert record.loss == pytest.approx(0.0, abs=1e-12)


def test_sdpo_without_any_teacher_learns_nothing_and_survives() -> None:
    method, models = small_method("sdpo"), policies()
    batch = fixed_batch(models[Policy.STUDENT], method=method)
    nobody = dataclasses.replace(batch.contexts[FEEDBACK], present_B=torch.zeros(8, dtype=torch.bool))
    batch = dataclasses.replace(batch, contexts={**batch.contexts, FEEDBACK: nobody})
    (record,) = optimiser_losses(method, models, batch, progress=0.0, microbatch=64)
    assert (record.loss, record.metrics["acted"]) == (0.0, 0.0)
    assert all(p.grad is None for p in models[Policy.STUDENT].parameters())


# Copies of the student


def copies(method: Method) -> Any:
    """A trainer of one-number policies: the student at 3, its copies at 1."""

    def number(value: float) -> torch.nn.Module:
        return torch.nn.ParameterList([f64([value])])

    names = {view.policy for term in method.terms for view in term.sources} | {Policy.TEACHER}
    named = dict.fromkeys(names) | {Policy.STUDENT: None}
    weights = {p: number(3.0 if p is Policy.STUDENT else 1.0) for p in named}
    student = weights[Policy.STUDENT]
    return SimpleNamespace(
        method=method, policies=weights, student=student, weights=Masters(student), copies={}, step=0
    )


def value(trainer: Any, policy: Policy) -> float:
    (parameter,) = trainer.policies[policy].parameters()
    return float(parameter.detach())


def test_the_moving_average_moves_by_its_rate() -> None:
    """From 1 towards 3 by a quarter: 1.5; then by a quarter of 1.5: 1.875."""
    trainer = copies(SelfDistillationFineTuning(rate=0.25))
    for want in (1.5, 1.875):
        refresh_copies(trainer)
        assert value(trainer, Policy.EMA) == want
    assert (value(trainer, Policy.STUDENT), value(trainer, Policy.TEACHER)) == (3.0, 1.0)
    whole = copies(SelfDistillationPolicyOptimisation(rate=1.0))
    refresh_copies(whole)
    assert value(whole, Policy.EMA) == 3.0


def test_a_snapshot_is_copied_at_its_interval_and_the_initial_policy_never() -> None:
    trainer = copies(DualAnchorDistillation(every=2))
    seen = []
    for trainer.step in (1, 2, 3, 4):
        with torch.no_grad():
            next(trainer.student.parameters()).fill_(10.0 * trainer.step)
        refresh_copies(trainer)
        seen.append(value(trainer, Policy.SNAPSHOT))
    assert seen == [1.0, 20.0, 20.0, 40.0]
    assert value(trainer, Policy.INITIAL) == 1.0


@pytest.mark.parametrize("moved", [Policy.EMA, Policy.SNAPSHOT])
def test_a_copy_that_moves_first_leaves_the_one_it_shared(moved: Policy) -> None:
    """One model for the initial, the reference and the moving policy; a second one from the first move on."""
    method = DualAnchorDistillation(every=2) if moved is Policy.SNAPSHOT else SelfDistillationFineTuning(rate=0.25)
    trainer = copies(method)
    shared = trainer.policies[moved]
    trainer.policies |= dict.fromkeys((moved, Policy.INITIAL, Policy.REFERENCE), shared)
    trainer.step = 1
    if moved is Policy.SNAPSHOT:
        refresh_copies(trainer)
        assert trainer.policies[moved] is shared, "not its turn: nothing is copied"
    trainer.step = 2
    refresh_copies(trainer)
    own = trainer.policies[moved]
    assert own is not shared and trainer.policies[Policy.INITIAL] is trainer.policies[Policy.REFERENCE] is shared
    assert (value(trainer, moved), value(trainer, Policy.INITIAL)) == (3.0 if moved is Policy.SNAPSHOT else 1.5, 1.0)
    own_weights(trainer, moved)
    assert trainer.policies[moved] is own, "copied once"


@pytest.mark.parametrize("name", ["sdft", "opsd", "exopd", "dapd"])
def test_every_copy_begins_as_the_student_and_is_frozen(name: str) -> None:
    models, method = policies(), small_method(name)
    student = models[Policy.STUDENT]
    made = build_policies(method, student, models[Policy.TEACHER])
    extra = set(made) - {Policy.STUDENT, Policy.TEACHER}
    assert extra == {v.policy for t in method.terms for v in t.sources} - {Policy.TEACHER}
    assert len({id(made[policy]) for policy in extra}) == 1, "one copy until one of them moves"
    for policy in extra:
        assert made[policy] is not student
        for copied, current in zip(made[policy].parameters(), student.parameters(), strict=True):
            assert torch.equal(copied, current) and not copied.requires_grad
            assert copied.data_ptr() != current.data_ptr(), "an update in place would move the copy too"


# Bad input


def data_check(name: str, rollouts: int = 4) -> None:
    """What ``trainer.prepare`` asks of world and data before any compute."""
    profile = registry.profile("embedded").in_draw(language.DRAW)
    spec = training_run(profile, Options(suite="ood"), method=name, domains=("coding",), seed=DEVELOPMENT_SEEDS)
    spec, method, world = dataclasses.replace(spec, rollouts_per_prompt=rollouts), small_method(name), language.WORLD
    check_world(spec, method, world)
    check_data(spec, method, world, [language.example("coding", "train", 0)])


READING = [name for name in NAMES if not registry.method_class(name).pictures]
"""That a world of text can hold; the others' refusals are in ``test_pictures.py``."""


@pytest.mark.parametrize("name", READING)
def test_a_group_of_one_is_refused_where_siblings_are_compared(name: str) -> None:
    data_check(name, rollouts=2)
    if name in ("grpo", "uni_opd", "sdpo"):
        with pytest.raises(HarnessError, match=r"rollouts_per_prompt=1.*at least 2"):
            data_check(name, rollouts=1)
    else:
        data_check(name, rollouts=1)


@pytest.mark.parametrize("name", READING)
def test_data_without_a_grader_is_refused_where_rewards_are_needed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PermutationsWorld, "grade", lambda *_: None)
    if registry.method_class(name).needs_reward or Source.VERIFIED_TEACHER in small_method(name).sampling:
        with pytest.raises(HarnessError, match="needs a verified reward and 'permutations' cannot verify"):
            data_check(name)
    else:
        data_check(name)


def test_who_reads_rewards() -> None:
    assert {n for n in NAMES if registry.method_class(n).needs_reward} - {"sft_oracle"} == {
        "sft",
        "grpo",
        "uni_opd",
        "sdpo",
    }


# The pages that describe them


def found(reference: str) -> Any:
    """The object behind ``file.py:name.name``; a field of a dataclass is its default, if it has one."""
    file, _, dotted = reference.partition(":")
    assert (ROOT / file).is_file(), reference
    thing: Any = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    for word in dotted.split("."):
        fields = getattr(thing, "__dataclass_fields__", {}) if isinstance(thing, type) else {}
        if word in fields and fields[word].default is not dataclasses.MISSING:
            thing = fields[word].default
        elif word in fields:
            thing = fields[word]
        else:
            assert hasattr(thing, word), f"{reference}: no {word}"
            thing = getattr(thing, word)
    return thing


def test_every_choice_names_a_field_that_exists_and_its_value() -> None:
    """``docs/choices.md``: the last column holds ``file:class.field``; a choice in backticks is its default."""
    rows = tables(ROOT / "docs" / "choices.md")
    assert len(rows) > 60
    for row in rows:
        references = re.findall(r"`([\w/]+\.py:[\w.]+)`", row["where"])
        assert references, row
        objects = [found(reference) for reference in references]
        stated = re.match(r"`([^`]+)`", row["ours"])
        assert stated is None or stated.group(1) == str(objects[0]), f"{row}: {objects[0]}"


def test_the_page_of_methods_lists_the_registry_in_its_order() -> None:
    rows = tables(ROOT / "methods" / "README.md")
    listed = [row["name"].strip("`") for row in rows]
    assert listed == NAMES, "`nox -s pages` writes the row of a new method in methods/README.md; mend the order"
    for row in rows:
        cited = registry.methods()[row["name"].strip("`")].citation
        for identifier in re.findall(r"arXiv:\d{4}\.\d{5}", cited):
            assert identifier.removeprefix("arXiv:") in row["paper"], row["name"]


def sketches() -> dict[str, dict[str, str]]:
    """The blocks of ``docs/protocol.md`` by registry name: first word of a line to the rest of it."""
    text = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    blocks = [block.splitlines() for block in re.findall(r"^```text\n(.*?)^```", text, flags=re.M | re.S)]
    made: dict[str, dict[str, str]] = {}
    for block in blocks:
        assert len(block) <= 10, block[0]
        made[block[0].split()[0]] = {line.split()[0]: line.partition(" ")[2].strip() for line in block}
    return made


LISTED = [(entry.target, name) for name, entry in registry.methods().items() if entry.listed]
SKETCHED = list(dict(reversed(LISTED)).values())
"""One name per class: the first that has it. A vehicle of ablations is no method of its own."""


@pytest.mark.parametrize("name", SKETCHED)
def test_the_sketch_is_what_the_method_declares(name: str) -> None:
    want = declared(name)
    sketch = sketches().get(name, {})
    assert {key: sketch.get(key, "") for key in want} == want, (
        "`nox -s pages` writes the block of a new method in docs/protocol.md; correct an old one:\n"
        + sketch_text(name, want)
    )
