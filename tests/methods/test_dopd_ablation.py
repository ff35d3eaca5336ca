"""The switches of Tables 6 and 8: defaults are DOPD, each switch moves what it names and nothing else."""

from __future__ import annotations

import math

import pytest
import torch
from support.dual import pool, token_view
from support.small import fixed_batch, loss_and_gradient, policies

from harness.losses.objectives import Divergence, Granularity
from harness.types import PLAIN, HarnessError, Policy
from methods.dopd import HS, HT, LH, LL, REGIMES, DualOnPolicyDistillation, Regime, Side
from methods.dopd_ablation import AblatedDistillation, Off, Removed

QT, QS = [0.8, 0.2, 0.8, 0.1], [0.8, 0.2, 0.1, 0.8]
"""One token of each regime, in order (test_dopd)."""


def ablated(**switches: object) -> AblatedDistillation:
    return AblatedDistillation(trim_quantile=1.0, **switches)  # type: ignore[arg-type]


def test_defaults_are_dopd_itself() -> None:
    models = policies()
    batch = fixed_batch(models[Policy.STUDENT])
    plain, switched = (
        loss_and_gradient(cls(k=5), batch, models=policies()) for cls in (DualOnPolicyDistillation, AblatedDistillation)
    )
    assert plain[0] == switched[0]
    assert all(torch.equal(a, b) for a, b in zip(plain[1], switched[1], strict=True))


def test_regimes_off_stay_in_the_length_or_leave_it() -> None:
    method = ablated(regimes=(Regime.HT, Regime.LH))
    a = method.assign(pool(QT, QS, method), progress=0.0)
    assert a.mask_BT.tolist() == [[True, False, True, False]]
    assert a.weight_BT is not None and a.weight_BT[0, [LH, HT]].tolist() == [0.6, 1.0]
    method = ablated(regimes=(Regime.HT, Regime.LH), off=Off.LEFT_OUT)
    a = method.assign(pool(QT, QS, method), progress=0.0)
    # 2 of 4 tokens are left: their weight doubles, so that 1/|y| becomes 1/2.
    assert a.weight_BT is not None and a.weight_BT[0, [LH, HT]].tolist() == [1.2, 2.0]


def test_not_adaptive_is_js_on_top_k_from_the_teacher_for_every_token() -> None:
    for s in ablated(adaptive=False).supervision():
        assert (s.source, s.divergence, s.granularity) == (Side.TEACHER, Divergence.JS, Granularity.TOP_K)
        assert s.weight == 1.0
    assert ablated(adaptive=False).terms[0].sources[0].context != PLAIN
    assert ablated(adaptive=False, uniform_context=PLAIN).terms[0].sources[0].context == PLAIN


def test_not_adaptive_loss_by_hand() -> None:
    method = AblatedDistillation(k=2, adaptive=False)
    term = method.terms[0]
    q, t, s = [0.5, 0.25, 0.25], [0.25, 0.25, 0.5], [0.25, 0.5, 0.25]
    views = dict(zip((term.trained, *term.sources), (token_view([r] * 4) for r in (q, t, s)), strict=True))
    loss = method.token_loss(term, views, {"regime": torch.tensor([LH, LL, HT, HS])})
    # k = 2 of 3 with a tail is the whole vocabulary: JS = 1.25 ln 2 - .75 ln 3 (test_dopd), for every regime.
    torch.testing.assert_close(loss, torch.full((4,), 1.25 * math.log(2) - 0.75 * math.log(3), dtype=torch.float64))


@pytest.mark.parametrize(
    ("removed", "sides"),
    [(Removed.STUDENT, [Side.TEACHER] * 4), (Removed.TEACHER, [Side.STUDENT] * 4)],
)
def test_a_removed_source_hands_its_tokens_over_at_their_own_weight(removed: Removed, sides: list[Side]) -> None:
    got = ablated(removed=removed).supervision()
    assert [s.source for s in got] == sides
    assert [s.weight for s in got] == [0.6, 0.3, 1.0, 0.6]


def test_a_removed_source_may_be_dropped_instead() -> None:
    assert dict(zip(REGIMES, ablated(removed=Removed.STUDENT, drop_removed=True).on(), strict=True)) == {
        "LH": True,
        "LL": False,
        "HT": True,
        "HS": False,
    }
    assert ablated(removed=Removed.STUDENT).on() == (True,) * 4


def test_uniform_objectives_and_uniform_strategies() -> None:
    assert {s.divergence for s in ablated(one_divergence=True).supervision()} == {Divergence.REVERSE_KL}
    assert ablated(one_divergence=True).supervision()[HT].granularity is Granularity.FULL
    assert {s.granularity for s in ablated(one_granularity=True).supervision()} == {Granularity.TOP_K}
    assert ablated(one_granularity=True).supervision()[HT].divergence is Divergence.JS


def test_nothing_on_is_refused() -> None:
    with pytest.raises(HarnessError, match="regimes is empty"):
        AblatedDistillation(regimes=())
    with pytest.raises(HarnessError, match="uniform_context"):
        AblatedDistillation(uniform_context="hints")


def test_uniform_without_p_routes_nothing() -> None:
    """Without p at the teacher |log q_T - log q_S| is not A, so no regime may be off by it."""
    assert ablated(adaptive=False, uniform_context=PLAIN).on() == (True,) * 4
    assert ablated(adaptive=False, regimes=(Regime.HT,)).on() == (False, False, True, False)
    with pytest.raises(HarnessError, match=r"uniform_context=plain with LH, LL, HS off: .*is not A"):
        ablated(adaptive=False, uniform_context=PLAIN, regimes=(Regime.HT,))
    with pytest.raises(HarnessError, match="uniform_context=plain with LL, HS off"):
        ablated(adaptive=False, uniform_context=PLAIN, removed=Removed.STUDENT, drop_removed=True)
