"""Divergences: values by hand, closed-form gradients, identities, every top-k mode against its formula."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from harness.losses.divergences import (
    entropy,
    forward_kl_entries,
    full,
    policy_gradient,
    sampled,
    support_ids,
    support_mass,
    top_k,
)
from harness.losses.objectives import Divergence, Support, Tail
from harness.types import HarnessError

FORWARD, REVERSE, JS = Divergence.FORWARD_KL, Divergence.REVERSE_KL, Divergence.JS
LN2 = math.log(2)
EVERY_DIVERGENCE = pytest.mark.parametrize("divergence", list(Divergence))
EVERY_SUPPORT = pytest.mark.parametrize("support", list(Support))
EVERY_CELL = pytest.mark.parametrize(
    ("divergence", "tail"),
    [(d, m) for d in Divergence for m in Tail if d == REVERSE or m != Tail.SCORE_FUNCTION],
)

Q = (1 / 2, 1 / 4, 1 / 8, 1 / 8)
"""The student of the hand-worked values."""
T = (1 / 8, 1 / 2, 1 / 4, 1 / 8)
"""The source of the hand-worked values."""


def log(*p: float) -> Tensor:
    """One distribution's log-probabilities, float64 [1, V]."""
    return torch.tensor([p], dtype=torch.float64).log()


def logits(*, seed: int, n: int = 3, v: int = 7, scale: float = 2.0) -> Tensor:
    """Random logits, float64 [n, v]."""
    return scale * torch.randn(n, v, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def gradient(loss: Callable[[Tensor], Tensor], z_NV: Tensor) -> Tensor:
    """Gradient of the summed loss in the student's logits."""
    z_NV = z_NV.detach().requires_grad_()
    return torch.autograd.grad(loss(z_NV.log_softmax(-1)).sum(), z_NV)[0]


def agree(a: Tensor, b: Tensor | float, tolerance: float = 1e-12) -> None:
    """a equals b, nan never."""
    b = torch.as_tensor(b, dtype=a.dtype).expand_as(a)
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


# ---- full vocabulary


def test_full_values_by_hand() -> None:
    q, t = log(*Q), log(*T)
    # 1/8 ln(1/4) + 1/2 ln 2 + 1/4 ln 2 + 0 = (-1/4 + 1/2 + 1/4) ln 2
    agree(full(q, t, FORWARD), LN2 / 2)
    # 1/2 ln 4 + 1/4 ln(1/2) + 1/8 ln(1/2) + 0 = (1 - 1/4 - 1/8) ln 2
    agree(full(q, t, REVERSE), 5 / 8 * LN2)
    # beta 1/2: m = (5, 6, 3, 2)/16, t/m = (2/5, 4/3, 4/3, 1), q/m = (8/5, 2/3, 2/3, 1)
    kl_t = math.log(2 / 5) / 8 + 3 / 4 * math.log(4 / 3)
    kl_q = math.log(8 / 5) / 2 + 3 / 8 * math.log(2 / 3)
    agree(full(q, t, JS), (kl_t + kl_q) / 2)
    # beta 1/4 weighs the source: m = t/4 + 3q/4 = (13, 10, 5, 4)/32,
    # t/m = (4/13, 8/5, 8/5, 1), q/m = (16/13, 4/5, 4/5, 1)
    kl_t = math.log(4 / 13) / 8 + 3 / 4 * math.log(8 / 5)
    kl_q = math.log(16 / 13) / 2 + 3 / 8 * math.log(4 / 5)
    agree(full(q, t, JS, beta=0.25), kl_t / 4 + 3 / 4 * kl_q)


def test_entropy_by_hand() -> None:
    # 1/2 ln 2 + 1/4 ln 4 + 2/8 ln 8 = (1/2 + 1/2 + 3/4) ln 2
    agree(entropy(log(*Q)), 7 / 4 * LN2)
    agree(entropy(log(1.0, 0.0, 0.0)), 0.0)


@EVERY_DIVERGENCE
def test_zero_between_equals_positive_otherwise(divergence: Divergence) -> None:
    q, t = logits(seed=0).log_softmax(-1), logits(seed=1).log_softmax(-1)
    agree(full(q, q, divergence), 0.0)
    assert (full(q, t, divergence) > 0.01).all()


def test_js_is_symmetric_at_one_half_and_at_most_ln_2() -> None:
    q, t = logits(seed=0, scale=4).log_softmax(-1), logits(seed=1, scale=4).log_softmax(-1)
    agree(full(q, t, JS), full(t, q, JS))
    assert (full(q, t, JS) < LN2).all()
    agree(full(log(1, 0), log(0, 1), JS), LN2)
    # Swapping the sides swaps the weights.
    agree(full(q, t, JS, beta=0.2), full(t, q, JS, beta=0.8))


@pytest.mark.parametrize(("end", "limit"), [(0, FORWARD), (1, REVERSE)])
def test_scaled_js_tends_to_the_kl_of_each_end(end: int, limit: Divergence) -> None:
    q, t = logits(seed=0, scale=0.5).log_softmax(-1), logits(seed=1, scale=0.5).log_softmax(-1)

    def error(step: float) -> Tensor:
        return (full(q, t, JS, beta=abs(end - step)) / step - full(q, t, limit)).abs()

    # The error is of first order: half the step, half the error.
    ratio = error(0.1) / error(0.05)
    assert ((ratio > 1.8) & (ratio < 2.2)).all()


def test_closed_form_gradients() -> None:
    z, t = logits(seed=0), logits(seed=1).log_softmax(-1)
    q = z.log_softmax(-1)
    agree(gradient(lambda q: full(q, t, FORWARD), z), q.exp() - t.exp())
    kl = full(q, t, REVERSE)[:, None]
    agree(gradient(lambda q: full(q, t, REVERSE), z), q.exp() * (q - t - kl))
    beta = 0.3
    m = (beta * t.exp() + (1 - beta) * q.exp()).log()
    kl_qm = full(q, m, REVERSE)[:, None]
    agree(gradient(lambda q: full(q, t, JS, beta=beta), z), (1 - beta) * q.exp() * (q - m - kl_qm))
    h = entropy(q)[:, None]
    agree(gradient(entropy, z), -q.exp() * (q + h))


@EVERY_DIVERGENCE
def test_full_gradcheck(divergence: Divergence) -> None:
    z, t = logits(seed=0).requires_grad_(), logits(seed=1).log_softmax(-1)
    assert torch.autograd.gradcheck(lambda z: full(z.log_softmax(-1), t, divergence, beta=0.3), z)


# ---- top-k


def test_top_k_values_by_hand() -> None:
    q, t = log(*Q), log(*T)

    def value(support: Support, tail: Tail, divergence: Divergence = REVERSE) -> Tensor:
        return top_k(q, t, divergence, k=2, support=support, tail=tail)

    # Student's top 2 is {0, 1}: Q = 3/4, T = 5/8. 1/2 ln 4 + 1/4 ln(1/2) = 3/4 ln 2
    agree(value(Support.STUDENT, Tail.RAW), 3 / 4 * LN2)
    agree(value(Support.STUDENT, Tail.SCORE_FUNCTION), 3 / 4 * LN2)
    agree(value(Support.STUDENT, Tail.TAIL), 3 / 4 * LN2 + 1 / 4 * math.log((1 / 4) / (3 / 8)))
    # q/Q = (2/3, 1/3), t/T = (1/5, 4/5)
    agree(value(Support.STUDENT, Tail.RENORM), 2 / 3 * math.log(10 / 3) + 1 / 3 * math.log(5 / 12))
    # Forward KL on the same support: 1/8 ln(1/4) + 1/2 ln 2 = 1/4 ln 2, and 3/8 ln((3/8)/(1/4)) for the rest
    agree(value(Support.STUDENT, Tail.RAW, FORWARD), LN2 / 4)
    agree(value(Support.STUDENT, Tail.TAIL, FORWARD), LN2 / 4 + 3 / 8 * math.log(3 / 2))
    # Teacher's top 2 is {1, 2}: Q = 3/8, T = 3/4. 1/4 ln(1/2) + 1/8 ln(1/2), below zero
    agree(value(Support.TEACHER, Tail.RAW), -3 / 8 * LN2)
    agree(value(Support.TEACHER, Tail.TAIL), -3 / 8 * LN2 + 5 / 8 * math.log((5 / 8) / (1 / 4)))


def test_union_counts_a_shared_id_once() -> None:
    q, t = log(*Q), log(*T)
    ids, fresh = support_ids(q, t, k=2, support=Support.UNION)
    assert ids[fresh].tolist() == [0, 1, 2]
    # {0, 1} and {1, 2}: 1/2 ln 4 + 1/4 ln(1/2) + 1/8 ln(1/2); token 1 twice would take off 1/4 ln 2 more.
    # Q = T = 7/8, so the rest adds nothing and renormalising only divides by 7/8.
    for tail in (Tail.RAW, Tail.SCORE_FUNCTION, Tail.TAIL):
        agree(top_k(q, t, REVERSE, k=2, support=Support.UNION, tail=tail), 5 / 8 * LN2)
    agree(top_k(q, t, REVERSE, k=2, support=Support.UNION, tail=Tail.RENORM), 5 / 7 * LN2)


def test_support_mass_by_hand() -> None:
    q, t = log(*Q), log(*T)
    for support, (mass_q, mass_t) in {
        Support.STUDENT: (3 / 4, 5 / 8),
        Support.TEACHER: (3 / 8, 3 / 4),
        Support.UNION: (7 / 8, 7 / 8),
    }.items():
        Q_N, T_N = support_mass(q.requires_grad_(), t, k=2, support=support)
        agree(Q_N, mass_q)
        agree(T_N, mass_t)
        assert not Q_N.requires_grad


@EVERY_SUPPORT
@EVERY_CELL
def test_whole_vocabulary_as_support_is_the_full_divergence(
    divergence: Divergence, tail: Tail, support: Support
) -> None:
    z, t = logits(seed=0), logits(seed=1).log_softmax(-1)

    def whole(q: Tensor) -> Tensor:
        return top_k(q, t, divergence, k=z.shape[-1], support=support, tail=tail, beta=0.3)

    agree(whole(z.log_softmax(-1)), full(z.log_softmax(-1), t, divergence, beta=0.3))
    agree(gradient(whole, z), gradient(lambda q: full(q, t, divergence, beta=0.3), z))


@EVERY_SUPPORT
@EVERY_DIVERGENCE
def test_tail_is_a_lower_bound_that_grows_with_k(divergence: Divergence, support: Support) -> None:
    q, t = logits(seed=0, n=50).log_softmax(-1), logits(seed=1, n=50).log_softmax(-1)
    values = [top_k(q, t, divergence, k=k, support=support) for k in range(1, 8)]
    assert (values[0] >= 0).all()
    assert all((a <= b + 1e-12).all() for a, b in pairwise([*values, full(q, t, divergence)]))
    assert (values[1] < values[-1]).any()


def test_top_k_gradients_of_reverse_kl() -> None:
    z, t = logits(seed=0), logits(seed=1).log_softmax(-1)
    q = z.log_softmax(-1)
    p, rho = q.exp(), q - t
    inside = torch.zeros_like(q).scatter(-1, q.topk(3).indices, 1.0)
    Q_N1, T_N1 = (inside * p).sum(-1, keepdim=True), (inside * t.exp()).sum(-1, keepdim=True)
    D_N1 = (inside * p * rho).sum(-1, keepdim=True)

    def of(tail: Tail) -> Tensor:
        return gradient(lambda q: top_k(q, t, REVERSE, k=3, tail=tail), z)

    agree(of(Tail.SCORE_FUNCTION), p * (inside * rho - D_N1))
    leak = of(Tail.RAW) - of(Tail.SCORE_FUNCTION)
    agree(leak, p * (inside - Q_N1))
    # Descent lowers every logit in the support and raises every logit outside: mass leaks out.
    assert (leak[inside == 1] > 0).all() and (leak[inside == 0] < 0).all()
    agree(of(Tail.RENORM), inside * p / Q_N1 * (rho - D_N1 / Q_N1))
    rest = ((1 - Q_N1) / (1 - T_N1)).log()
    value = D_N1 + (1 - Q_N1) * rest
    agree(of(Tail.TAIL), p * (torch.where(inside == 1, rho, rest) - value))


@EVERY_DIVERGENCE
def test_renorm_gradient_is_zero_outside_the_support(divergence: Divergence) -> None:
    z, t = logits(seed=0), logits(seed=1).log_softmax(-1)
    g = gradient(lambda q: top_k(q, t, divergence, k=3, tail=Tail.RENORM), z)
    outside = torch.ones_like(z, dtype=torch.bool).scatter(-1, z.topk(3).indices, False)
    agree(g[outside], 0.0)
    assert (g[~outside].abs() > 1e-4).all()


@pytest.mark.parametrize("tail", [Tail.TAIL, Tail.RENORM, Tail.RAW])
@EVERY_DIVERGENCE
def test_top_k_gradcheck(divergence: Divergence, tail: Tail) -> None:
    """score_function is left out: its gradient is meant not to be its value's."""
    z, t = logits(seed=0).requires_grad_(), logits(seed=1).log_softmax(-1)
    assert torch.autograd.gradcheck(
        lambda z: top_k(z.log_softmax(-1), t, divergence, k=2, support=Support.UNION, tail=tail, beta=0.3), z
    )


# ---- sampled token


def test_sampled_values_by_hand() -> None:
    q, t = log(1 / 2)[0], log(1 / 8)[0]
    # t/q = 1/4
    agree(sampled(q, t, FORWARD), 1 / 4 * math.log(1 / 4))
    agree(sampled(q, t, REVERSE), math.log(4))
    # beta 1/4: m = 1/32 + 3/8 = 13/32, t/m = 4/13, q/m = 16/13
    agree(sampled(q, t, JS, beta=0.25), 1 / 16 * math.log(4 / 13) + 3 / 4 * math.log(16 / 13))


@pytest.mark.parametrize("beta", [0.5, 0.2])
@EVERY_DIVERGENCE
def test_sampled_is_unbiased_in_value_and_gradient(divergence: Divergence, beta: float) -> None:
    """The expectation is exact: every token once, weighted by its fixed probability under the student."""
    z, t = logits(seed=0), logits(seed=1).log_softmax(-1)

    def expected(q: Tensor) -> Tensor:
        return (q.detach().exp() * sampled(q, t, divergence, beta=beta)).sum(-1)

    agree(expected(z.log_softmax(-1)), full(z.log_softmax(-1), t, divergence, beta=beta))
    agree(gradient(expected, z), gradient(lambda q: full(q, t, divergence, beta=beta), z))


def test_policy_gradient_is_unbiased_for_reverse_kl() -> None:
    z, t = logits(seed=0), logits(seed=1).log_softmax(-1)
    expected = gradient(lambda q: (q.detach().exp() * policy_gradient(q, t)).sum(-1), z)
    agree(expected, gradient(lambda q: full(q, t, REVERSE), z))
    # -A log q with A = ln(1/8) - ln(1/2) = -ln 4 and log q = -ln 2
    agree(policy_gradient(log(1 / 2), log(1 / 8)), -math.log(4) * LN2)


def test_clip_bounds_the_weight_of_the_source() -> None:
    q, t = log(1 / 8)[0].requires_grad_(), log(1 / 2)[0]
    # t/q = 4, capped at 2: value 2 ln 4, gradient -2
    estimate = sampled(q, t, FORWARD, clip=2.0)
    agree(estimate, 2 * math.log(4))
    agree(torch.autograd.grad(estimate.sum(), q)[0], -2.0)
    agree(sampled(q, t, FORWARD, clip=5.0), 4 * math.log(4))


# ---- all of them


@EVERY_DIVERGENCE
def test_no_gradient_reaches_the_source(divergence: Divergence) -> None:
    modes = [m for m in Tail if divergence == REVERSE or m != Tail.SCORE_FUNCTION]
    losses: list[Callable[[Tensor, Tensor], Tensor]] = [
        lambda q, t: full(q, t, divergence),
        lambda q, t: sampled(q[:, 0], t[:, 0], divergence),
        lambda q, t: policy_gradient(q[:, 0], t[:, 0]),
    ]
    losses += [lambda q, t, s=s, m=m: top_k(q, t, divergence, k=2, support=s, tail=m) for s in Support for m in modes]
    for loss in losses:
        q, t = (logits(seed=i).log_softmax(-1).requires_grad_() for i in (0, 1))
        loss(q, t).sum().backward()
        assert t.grad is None
        assert q.grad is not None and (q.grad != 0).any()


@EVERY_SUPPORT
@EVERY_CELL
def test_order_of_the_vocabulary_is_irrelevant(divergence: Divergence, tail: Tail, support: Support) -> None:
    z, t = logits(seed=0), logits(seed=1).log_softmax(-1)
    order = torch.randperm(z.shape[-1], generator=torch.Generator().manual_seed(3))

    def loss(q: Tensor, t: Tensor) -> Tensor:
        return top_k(q, t, divergence, k=3, support=support, tail=tail) + full(q, t, divergence)

    agree(loss(z.log_softmax(-1)[:, order], t[:, order]), loss(z.log_softmax(-1), t))
    permuted = gradient(lambda q: loss(q, t[:, order]), z[:, order])
    agree(permuted, gradient(lambda q: loss(q, t), z)[:, order])


@EVERY_SUPPORT
@EVERY_CELL
def test_impossible_tokens_change_nothing(divergence: Divergence, tail: Tail, support: Support) -> None:
    """Ids masked on both sides (padded vocabulary), few and then more than the support leaves over."""
    z, t_z = logits(seed=0), logits(seed=1)
    dead = torch.full((3, 2), -math.inf, dtype=z.dtype)
    t, padded_t = t_z.log_softmax(-1), torch.cat([t_z, dead], -1).log_softmax(-1)
    padded_z = torch.cat([z, dead], -1)
    for k in (3, 7):

        def loss(q: Tensor, t: Tensor, k: int = k) -> Tensor:
            part = top_k(q, t, divergence, k=k, support=support, tail=tail)
            return part + full(q, t, divergence) + entropy(q)

        agree(loss(padded_z.log_softmax(-1), padded_t), loss(z.log_softmax(-1), t))
        g = gradient(lambda q, loss=loss: loss(q, padded_t), padded_z)
        agree(g[:, :-2], gradient(lambda q, loss=loss: loss(q, t), z))
        agree(g[:, -2:], 0.0)
        # A support wider than the possible tokens.
        wide = gradient(lambda q: top_k(q, padded_t, divergence, k=8, support=support, tail=tail), padded_z)
        assert wide.isfinite().all()


def test_a_token_impossible_on_one_side() -> None:
    q, t = log(1 / 2, 1 / 2, 0), log(1 / 2, 0, 1 / 2)
    agree(full(q, t, FORWARD), math.inf)
    agree(full(q, t, REVERSE), math.inf)
    # m = (1/2, 1/4, 1/4): half of [1/2 ln 1 + 1/2 ln 2], twice
    agree(full(q, t, JS), LN2 / 2)
    # The rest of the support {0} is possible for the student only; -inf must survive the sum over the rest.
    agree(top_k(log(1 / 2, 1 / 2, 0), log(1, 0, 0), REVERSE, k=1), math.inf)
    # Reverse KL ignores what the student cannot say, forward KL what the source cannot.
    agree(full(log(1, 0), log(1 / 2, 1 / 2), REVERSE), LN2)
    agree(full(log(1 / 2, 1 / 2), log(1, 0), FORWARD), LN2)
    agree(sampled(log(1 / 2)[0], log(0.0)[0], FORWARD), 0.0)
    agree(sampled(log(1 / 2)[0], log(0.0)[0], JS), LN2 / 2)


ABSENT = (3 / 4, 1 / 4, 0.0, 0.0)
"""A student that cannot say the last two; the last is padding, which nobody says."""
THERE = (1 / 4, 1 / 4, 1 / 2, 0.0)
"""Its source."""
LN3 = math.log(3)
WHOLE = [lambda q, t, d: full(q, t, d)] + [
    lambda q, t, d, s=s, m=m: top_k(q, t, d, k=4, support=s, tail=m)
    for s in Support
    for m in (Tail.TAIL, Tail.RENORM, Tail.RAW)
]


def row(*values: float) -> Tensor:
    """float64 [1, V]."""
    return torch.tensor([values], dtype=torch.float64)


@pytest.mark.parametrize("loss", WHOLE)
def test_zero_probabilities_contribute_nothing_by_hand(loss: Callable[..., Tensor]) -> None:
    q, t = ABSENT, THERE

    def both(divergence: Divergence, student: tuple[float, ...], source: tuple[float, ...]) -> tuple[Tensor, Tensor]:
        of = partial(loss, t=log(*source), d=divergence)
        return of(log(*student)), gradient(of, log(*student))

    # Reverse KL: r = (ln 3, 0), value 3/4 ln 3, gradient q (r - value).
    value, slope = both(REVERSE, q, t)
    agree(value, 3 / 4 * LN3)
    agree(slope, row(3 / 16 * LN3, -3 / 16 * LN3, 0.0, 0.0))
    # Forward KL with the sides swapped is the same sum; its gradient is q - t.
    value, slope = both(FORWARD, t, q)
    agree(value, 3 / 4 * LN3)
    agree(slope, row(-1 / 2, 0.0, 1 / 2, 0.0))
    # JS: m = (1/2, 1/4, 1/4, 0); KL(t || m) = 1/4 ln 1/2 + 1/2 ln 2 = 1/4 ln 2, KL(q || m) = 3/4 ln 3/2. Its gradient
    # is half of q (log q/m - KL(q || m)).
    kl_q = 3 / 4 * math.log(3 / 2)
    value, slope = both(JS, q, t)
    agree(value, (LN2 / 4 + kl_q) / 2)
    agree(slope, row(3 / 8 * (math.log(3 / 2) - kl_q), -1 / 8 * kl_q, 0.0, 0.0))
    # What the source says and the student cannot is infinitely far, and nan is never a value.
    agree(both(FORWARD, q, t)[0], math.inf)
    agree(both(REVERSE, t, q)[0], math.inf)


@EVERY_DIVERGENCE
@pytest.mark.parametrize("y", [0, 1])
def test_sampled_where_other_tokens_have_no_mass(divergence: Divergence, y: int) -> None:
    """Only y is read: the value of a vocabulary without the two, the gradient h (1_y - q) in its logits."""
    h = {
        FORWARD: -THERE[y] / ABSENT[y],
        REVERSE: math.log(ABSENT[y] / THERE[y]),
        JS: math.log(ABSENT[y] / ((ABSENT[y] + THERE[y]) / 2)) / 2,
    }[divergence]
    slope = gradient(lambda q: sampled(q[:, y], log(*THERE)[:, y], divergence), log(*ABSENT))
    agree(slope, row(*(h * ((v == y) - ABSENT[v]) for v in range(4))))


def test_score_function_and_entries_by_hand() -> None:
    # The value of raw, here the whole reverse KL; D = 3/4 ln 3, gradient q (r - D).
    slope = gradient(lambda q: top_k(q, log(*THERE), REVERSE, k=4, tail=Tail.SCORE_FUNCTION), log(*ABSENT))
    agree(slope, row(3 / 16 * LN3, -3 / 16 * LN3, 0.0, 0.0))
    entries = forward_kl_entries(log(*ABSENT), log(*THERE))
    agree(entries, row(-LN3 / 4, 0.0, math.inf, 0.0))
    agree(forward_kl_entries(log(*THERE), log(*ABSENT)), row(3 / 4 * LN3, 0.0, 0.0, 0.0))
    agree(entropy(log(*ABSENT)), 3 / 4 * math.log(4 / 3) + LN2 / 2)


def test_a_capped_sum_of_entries_by_hand() -> None:
    """OPSD's and DAPD's: -1/4 ln 3, 0, the cap, 0. What is capped has no gradient."""

    def of(q: Tensor) -> Tensor:
        return forward_kl_entries(q, log(*THERE)).clamp(max=0.05).sum(-1)

    agree(of(log(*ABSENT)), -LN3 / 4 + 0.05)
    # Half of the source's mass is below the cap: q / 2 - t.
    agree(gradient(of, log(*ABSENT)), row(1 / 8, -1 / 8, 0.0, 0.0))


@EVERY_CELL
def test_peaked_distributions_stay_finite_in_float32(divergence: Divergence, tail: Tail) -> None:
    """Both sides sure of themselves, agreeing in row 0 and at odds in row 1; 300 nats underflow exp."""
    z = torch.tensor([[300.0, 0.0, -50.0, 3.0], [300.0, 0.0, -50.0, 3.0]])
    t = torch.tensor([[250.0, 1.0, 0.0, -2.0], [1.0, 0.0, 250.0, -2.0]]).log_softmax(-1)
    for loss in (
        lambda q: full(q, t, divergence),
        lambda q: top_k(q, t, divergence, k=2, tail=tail),
        lambda q: top_k(q, t, divergence, k=2, support=Support.UNION, tail=tail),
        lambda q: sampled(q[:, 0], t[:, 0], divergence),
    ):
        value = loss(z.log_softmax(-1))
        assert value.dtype == torch.float32
        assert value.isfinite().all() and gradient(loss, z).isfinite().all()
    q = z.log_softmax(-1)
    if divergence == JS:
        agree(full(q, t, JS), torch.tensor([0.0, LN2]), 1e-6)
    else:
        # log q = (0, -300, ...), log t = (-249, ..., 0): 249 one way, 350 the other
        agree(full(q, t, divergence), torch.tensor([0.0, 249.0 if divergence == REVERSE else 350.0]), 1e-6)


def test_tail_is_exact_where_the_support_holds_almost_everything() -> None:
    """The student leaves 2e-9 to the rest, so 1 - Q is 0 in float32, the source 5e-5."""
    z, t = torch.tensor([[20.0, 0.0, -1.0]]), torch.tensor([[10.0, 0.0, -1.0]])
    value = top_k(z.log_softmax(-1), t.log_softmax(-1), FORWARD, k=1)
    # Both split the rest alike, so nothing is lost by pooling it.
    exact = full(z.double().log_softmax(-1), t.double().log_softmax(-1), FORWARD)
    torch.testing.assert_close(value.double(), exact, rtol=1e-3, atol=0)


def test_no_tokens() -> None:
    empty = torch.zeros(0, 4)
    assert full(empty, empty, JS).shape == (0,)
    assert top_k(empty, empty, JS, k=2, support=Support.UNION).shape == (0,)
    assert sampled(empty[:, 0], empty[:, 0], JS).shape == (0,)


@pytest.mark.parametrize("beta", [0.0, 0.04, 0.96, 1.0, math.nan])
def test_beta_outside_its_range_is_refused_for_js_only(beta: float) -> None:
    q, t = log(*Q), log(*T)
    for loss in (
        lambda d: full(q, t, d, beta=beta),
        lambda d: top_k(q, t, d, k=2, beta=beta),
        lambda d: sampled(q[0], t[0], d, beta=beta),
    ):
        with pytest.raises(HarnessError, match=r"0\.05 <= beta <= 0\.95"):
            loss(JS)
        assert loss(REVERSE).isfinite().all()
    assert full(q, t, JS, beta=0.05).isfinite().all() and full(q, t, JS, beta=0.95).isfinite().all()


def test_score_function_is_refused_beyond_reverse_kl() -> None:
    for divergence in (FORWARD, JS):
        with pytest.raises(HarnessError, match="reverse_kl only"):
            top_k(log(*Q), log(*T), divergence, k=2, tail=Tail.SCORE_FUNCTION)


@EVERY_SUPPORT
@pytest.mark.parametrize("k", [0, 5, 128])
def test_k_outside_the_vocabulary_is_refused_with_both_numbers(k: int, support: Support) -> None:
    with pytest.raises(HarnessError, match=rf"k={k} with a vocabulary of 4"):
        top_k(log(*Q), log(*T), REVERSE, k=k, support=support)


def test_misaligned_sources_are_refused() -> None:
    q, t = log(*Q).expand(3, -1), log(*T)
    for loss in (
        lambda: full(q, t, JS),
        lambda: top_k(q, t, JS, k=2),
        lambda: sampled(q[:, 0], t[:, 0], JS),
        lambda: policy_gradient(q[:, 0], t[:, 0]),
    ):
        with pytest.raises(ValueError, match="equal shapes"):
            loss()
