"""DOPD's routing and loss, worked by hand (arXiv:2606.30626, section 3)."""

from __future__ import annotations

import math

import pytest
import torch
from support.dual import pool, token_view
from support.small import fixed_batch, policies, small_method, tiny

from harness.training.step import build_pool, optimiser_losses, score_views
from harness.types import PRIVILEGED, HarnessError, Policy
from methods.dopd import HS, HT, LH, LL, REGIMES, DualOnPolicyDistillation, Normalisation, Trim


def test_four_regimes_by_hand() -> None:
    method = DualOnPolicyDistillation(trim_quantile=1.0)
    # A = |log q_T - log q_S|: 0, 0, log 8, log 8; mean A = log(8)/2 = 1.0397.
    # q_T mean = (.8 + .2 + .8 + .1)/4 = .475, q_S mean = (.8 + .2 + .1 + .8)/4 = .475, sum .95.
    # token 0: A 0 < mean, 1.6 >= .95: LH. token 1: .4 < .95: LL. token 2: A >= mean, .8 >= .1: HT. token 3: HS.
    a = method.assign(pool([0.8, 0.2, 0.8, 0.1], [0.8, 0.2, 0.1, 0.8], method), progress=0.0)
    assert a.labels_BT is not None and a.weight_BT is not None
    assert a.labels_BT.tolist() == [[LH, LL, HT, HS]]
    assert a.weight_BT.tolist() == [[0.6, 0.3, 1.0, 0.6]]
    assert a.metrics["threshold/gap"] == pytest.approx(math.log(8) / 2, rel=1e-12)
    assert a.metrics["threshold/q_teacher"] == pytest.approx(0.475, rel=1e-12)
    assert a.metrics["threshold/q_student"] == pytest.approx(0.475, rel=1e-12)


def test_trimmed_tokens_leave_all_averages_and_are_still_routed() -> None:
    method = DualOnPolicyDistillation(trim_quantile=0.5)
    # A = 0, log 2, log 8. The median is log 2; log 8 lies above it and leaves the averages:
    # mean A = log(2)/2, q_T mean = (.5 + .4)/2 = .45, q_S mean = (.5 + .2)/2 = .35.
    a = method.assign(pool([0.5, 0.4, 0.8], [0.5, 0.2, 0.1], method), progress=0.0)
    assert a.metrics["threshold/gap"] == pytest.approx(math.log(2) / 2, rel=1e-12)
    assert a.metrics["threshold/q_teacher"] == pytest.approx(0.45, rel=1e-12)
    assert a.metrics["threshold/q_student"] == pytest.approx(0.35, rel=1e-12)
    assert a.labels_BT is not None and a.labels_BT.tolist() == [[LH, HT, HT]]
    assert bool(a.mask_BT.all())


def test_trim_each_cuts_every_quantity_at_its_own_quantile() -> None:
    method = DualOnPolicyDistillation(trim=Trim.EACH, trim_quantile=0.5)
    # q_T = .5 .4 .8: median .5, kept .5 .4, mean .45. q_S = .5 .2 .1: median .2, kept .2 .1, mean .15.
    a = method.assign(pool([0.5, 0.4, 0.8], [0.5, 0.2, 0.1], method), progress=0.0)
    assert a.metrics["threshold/q_teacher"] == pytest.approx(0.45, rel=1e-12)
    assert a.metrics["threshold/q_student"] == pytest.approx(0.15, rel=1e-12)


def test_separate_normalisation_moves_tokens_and_a_common_one_would_not() -> None:
    # q_T is .9 or .8 throughout, q_S .2 or .1: unnormalised, q_T wins everywhere.
    qt, qs = [0.9, 0.8, 0.9, 0.8], [0.1, 0.2, 0.2, 0.1]
    plain = DualOnPolicyDistillation(trim_quantile=1.0)
    separate = DualOnPolicyDistillation(trim_quantile=1.0, q_normalisation=Normalisation.SEPARATE)
    routed = [m.assign(pool(qt, qs, m), progress=0.0).labels_BT for m in (plain, separate)]
    assert routed[0] is not None and routed[1] is not None
    # A = log 9, log 4, log 4.5, log 8; mean 1.790; above: tokens 0 and 3, both HT since q_T >= q_S.
    assert routed[0][0, [0, 3]].tolist() == [HT, HT]
    # Standardised, token 0 is (1, -1): HT. Token 3 is (-1, -1): a tie, HT; token 1 is (-1, 1), low gap.
    assert routed[1][0, [0, 3]].tolist() == [HT, HT]
    # Sums: plain .9+.1, .8+.2, .9+.2, .8+.1 against .85+.15 = 1.0; separate 0, 0, 2, -2 against 0.
    assert routed[0][0, [1, 2]].tolist() == [LH, LH]
    assert routed[1][0, [1, 2]].tolist() == [LH, LH]
    # q_S of token 0 raised so that only the separate map sees the student ahead on token 3.
    qs = [0.1, 0.1, 0.1, 0.15]
    routed = [m.assign(pool(qt, qs, m), progress=0.0).labels_BT for m in (plain, separate)]
    assert routed[0] is not None and routed[1] is not None
    # A = log 9, log 8, log 9, log 5.33: token 1 high: plain HT (.8 >= .1), separate (-1, -.58): HS.
    assert routed[0][0, 1] == HT and routed[1][0, 1] == HS


def test_equality_goes_to_the_teacher() -> None:
    """A = mean and q_T = q_S are HT, the sum at its mean is LH: the paper's >= signs."""
    method = DualOnPolicyDistillation(trim_quantile=1.0)
    a = method.assign(pool([0.5, 0.5], [0.5, 0.5], method), progress=0.0)
    assert a.labels_BT is not None and a.labels_BT.tolist() == [[HT, HT]]


def test_regimes_partition_the_response_tokens() -> None:
    method, models = small_method("dopd"), policies()
    batch = fixed_batch(models[Policy.STUDENT])
    local = build_pool(method, models, batch, score_views(method, models, batch, microbatch=64))
    labels_BT = method.assign(local, progress=0.0).labels_BT
    assert labels_BT is not None
    counts = [int((labels_BT == r).sum()) for r in range(len(REGIMES))]
    assert sum(counts) == int(local.mask_BT.sum())
    assert bool((labels_BT[~local.mask_BT] == -1).all())
    assert min(counts) > 0, "the fixed batch should reach every regime"


def test_the_gap_uses_both_policies_under_the_same_privileged_context() -> None:
    """With one model as teacher and student the gap is exactly 0, which an unprivileged student would spoil."""
    method = small_method("dopd")
    assert {v.context for v in method.terms[0].sources} == {PRIVILEGED}
    models = policies() | {Policy.TEACHER: tiny(0).requires_grad_(False)}
    batch = fixed_batch(models[Policy.STUDENT])
    local = build_pool(method, models, batch, score_views(method, models, batch, microbatch=64))
    assert method.assign(local, progress=0.0).metrics["threshold/gap"] == 0.0


def test_loss_of_each_regime_by_hand() -> None:
    method = DualOnPolicyDistillation(k=2)
    term = method.terms[0]
    q, t, s = [0.5, 0.25, 0.25], [0.25, 0.25, 0.5], [0.25, 0.5, 0.25]
    views = dict(zip((term.trained, *term.sources), (token_view([r] * 4) for r in (q, t, s)), strict=True))
    loss = method.token_loss(term, views, {"regime": torch.tensor([LH, LL, HT, HS])})
    ln2, ln3 = math.log(2), math.log(3)
    # LH, teacher, k = 2, tail: the student's top two are 0 and one of the tied 1, 2. With {0, 1} the buckets are
    # q .5 .25 .25 and t .25 .25 .5: .5 ln 2 + 0 - .25 ln 2 = .25 ln 2; with {0, 2} the same numbers permuted.
    # LL and HS, privileged student: .5 ln 2 - .25 ln 2 + 0 = .25 ln 2.
    # HT, JS over all: m = .375 .25 .375; KL(t||m) = .25 ln(2/3) + .5 ln(4/3); KL(q||m) = .5 ln(4/3) + .25 ln(2/3)
    #   so JS = .25 (ln 2 - ln 3) + .5 (2 ln 2 - ln 3) = 1.25 ln 2 - .75 ln 3.
    want = [0.25 * ln2, 0.25 * ln2, 1.25 * ln2 - 0.75 * ln3, 0.25 * ln2]
    torch.testing.assert_close(loss, torch.tensor(want, dtype=torch.float64), rtol=1e-12, atol=1e-14)


def test_each_regime_is_supervised_by_its_own_source_only() -> None:
    method = DualOnPolicyDistillation(k=2)
    term = method.terms[0]
    q, base, other = [[0.5, 0.3, 0.2]] * 4, [[0.2, 0.3, 0.5]] * 4, [[0.1, 0.1, 0.8]] * 4
    regimes = {"regime": torch.tensor([LH, LL, HT, HS])}

    def loss(teacher: list, own: list) -> torch.Tensor:
        views = [token_view(r) for r in (q, teacher, own)]
        return method.token_loss(term, dict(zip((term.trained, *term.sources), views, strict=True)), regimes)

    moved_teacher = (loss(other, base) != loss(base, base)).tolist()
    moved_own = (loss(base, other) != loss(base, base)).tolist()
    assert moved_teacher == [True, False, True, False]
    assert moved_own == [False, True, False, True]


def test_self_sources_name_their_policy() -> None:
    own = {n: small_method(n).terms[0].sources[1] for n in ("dopd", "dopd_initial_self", "dopd_ema_self")}
    assert [v.policy for v in own.values()] == [Policy.STUDENT, Policy.INITIAL, Policy.EMA]
    assert own["dopd_ema_self"].rate == 0.05


def test_regime_shares_and_losses_are_logged() -> None:
    models = policies()
    batch = fixed_batch(models[Policy.STUDENT])
    (record,) = optimiser_losses(small_method("dopd"), models, batch, progress=0.0, microbatch=64)
    shares = [record.metrics[f"share/{r}"] for r in REGIMES]
    assert sum(shares) == pytest.approx(1.0, rel=1e-12)
    assert all(record.metrics[f"loss/{r}"] > 0 for r in REGIMES)


@pytest.mark.parametrize("quantile", [0.0, -0.1, 1.1])
def test_impossible_trim_is_refused(quantile: float) -> None:
    with pytest.raises(HarnessError, match="trim_quantile"):
        DualOnPolicyDistillation(trim_quantile=quantile)


def test_k_larger_than_the_vocabulary_is_refused_before_compute() -> None:
    with pytest.raises(HarnessError, match="k=128 with a vocabulary of 24"):
        DualOnPolicyDistillation().check_vocabulary(24)
