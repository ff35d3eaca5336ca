"""Forward KL, reverse KL and JS at the sampled token, on a top-k support and over the full vocabulary.

Pure functions. ``q`` is the student's log-probability and carries the gradient; ``t`` is the source's and is
detached here. Both come from a log-softmax over the whole vocabulary, in float32 or float64. Results are in
nats, one per token, unreduced. Zero probabilities (-inf) contribute nothing, in value and in gradient; a KL
is +inf only where it truly is, when its second argument gives no mass to what its first one can say.

Shapes: N response tokens laid flat, K support, V vocabulary.
"""

from __future__ import annotations

import math
from typing import assert_never

import torch
from torch import Tensor

from harness.losses.objectives import Divergence, Support, Tail, check
from harness.method import check_k


def full(q_NV: Tensor, t_NV: Tensor, divergence: Divergence, *, beta: float = 0.5) -> Tensor:
    """Divergence over the last axis, [N].

    JS is beta KL(t || m) + (1 - beta) KL(q || m), m = beta t + (1 - beta) q; beta weighs the source (GKD,
    arXiv:2306.13649) and is ignored by the KLs.

    Raises:
        HarnessError: see ``harness.losses.objectives.check``. ValueError: unequal shapes.
    """
    check(divergence, beta=beta)
    _same_shape(q_NV, t_NV)
    t_NV = t_NV.detach()
    match divergence:
        case Divergence.FORWARD_KL:
            return forward_kl_entries(q_NV, t_NV).sum(-1)
        case Divergence.REVERSE_KL:
            return _expectation(q_NV, q_NV - t_NV)
        case Divergence.JS:
            m_NV = _log_mixture(q_NV, t_NV, beta)
            return beta * _expectation(t_NV, t_NV - m_NV) + (1 - beta) * _expectation(q_NV, q_NV - m_NV)
        case _:
            assert_never(divergence)


def forward_kl_entries(q_NV: Tensor, t_NV: Tensor) -> Tensor:
    """t (log t - log q) of every entry, [N, V]: forward KL before its sum, for losses that cap or weigh the entries."""
    t_NV = t_NV.detach()
    return _weigh(t_NV.exp(), t_NV - q_NV)


def top_k(
    q_NV: Tensor,
    t_NV: Tensor,
    divergence: Divergence,
    *,
    k: int,
    support: Support = Support.STUDENT,
    tail: Tail = Tail.TAIL,
    beta: float = 0.5,
) -> Tensor:
    """Divergence on a top-k support, [N]: ``full`` between what ``tail`` leaves of q and t.

    For reverse KL, with S the support, Q and T the mass on it, r = log(q/t) and D = sum_S q r:

    ==============  ===========================  ======================================================
    tail            value                        gradient in student logit j
    ==============  ===========================  ======================================================
    tail            D + (1-Q) log((1-Q)/(1-T))   q_j (r_j - value); outside S, r_j is log((1-Q)/(1-T))
    renorm          KL(q/Q || t/T)               (q_j/Q) (r_j - D/Q) in S, 0 outside
    raw             D, may be negative           q_j (1_S r_j - D) + q_j (1_S - Q)
    score_function  D                            q_j (1_S r_j - D)
    ==============  ===========================  ======================================================

    Descent on raw's second term lowers every logit in S and raises the others: mass leaks out. ``renorm`` is
    undefined where a side has no mass on the support.

    Raises:
        HarnessError: k outside 1..V; or see ``harness.losses.objectives.check``. ValueError: unequal shapes.
    """
    check(divergence, tail=tail, beta=beta)
    ids_NK, fresh_NK = support_ids(q_NV, t_NV, k=k, support=support)
    q_NS, t_NS = (on_support(logp_NV, ids_NK, fresh_NK, tail) for logp_NV in (q_NV, t_NV))
    return between(q_NS, t_NS, divergence, tail=tail, beta=beta)


def between(q_NS: Tensor, t_NS: Tensor, divergence: Divergence, *, tail: Tail, beta: float = 0.5) -> Tensor:
    """The divergence of what ``on_support`` left of both sides, [N]."""
    if tail == Tail.RENORM:
        q_NS, t_NS = (logp_NS - _log_mass(logp_NS) for logp_NS in (q_NS, t_NS))
    if tail == Tail.SCORE_FUNCTION:
        return _expectation(q_NS, (q_NS - t_NS).detach())
    return full(q_NS, t_NS, divergence, beta=beta)


def sampled(
    q_N: Tensor, t_N: Tensor, divergence: Divergence, *, beta: float = 0.5, clip: float | None = None
) -> Tensor:
    """Single-sample estimate, [N]; value and gradient are unbiased for y ~ student at its current weights.

    With D = sum_v d(q_v), the gradient is E_y[h_y grad log q_y], h = dD/dq up to a constant, which drops out:

    ==========  ===========================================  ======================
    divergence  value                                        h
    ==========  ===========================================  ======================
    forward KL  (t/q) log(t/q)                               -t/q
    reverse KL  log(q/t)                                     log(q/t)
    JS          beta (t/q) log(t/m) + (1 - beta) log(q/m)    (1 - beta) log(q/m)
    ==========  ===========================================  ======================

    Differentiating the value itself would be wrong: for reverse KL that is grad log q_y, whose mean is 0.

    Args:
        q_N, t_N: log-probabilities of y; q_N is finite, for y was sampled. Where t_N is -inf reverse KL is
            infinite, and its gradient nan.
        clip: upper bound on the weight t/q. It has no bound of its own, so forward KL can have a very large
            variance; a bound trades that for bias. None keeps the estimate unbiased.

    Raises:
        HarnessError: see ``harness.losses.objectives.check``. ValueError: unequal shapes.
    """
    check(divergence, beta=beta)
    _same_shape(q_N, t_N)
    t_N, fixed_q_N = t_N.detach(), q_N.detach()
    ratio_N = (t_N - fixed_q_N).exp()
    if clip is not None:
        ratio_N = ratio_N.clamp_max(clip)
    match divergence:
        case Divergence.FORWARD_KL:
            value_N, h_N = _weigh(ratio_N, t_N - fixed_q_N), -ratio_N
        case Divergence.REVERSE_KL:
            value_N = h_N = fixed_q_N - t_N
        case Divergence.JS:
            m_N = _log_mixture(fixed_q_N, t_N, beta)
            h_N = (1 - beta) * (fixed_q_N - m_N)
            value_N = beta * _weigh(ratio_N, t_N - m_N) + h_N
        case _:
            assert_never(divergence)
    return value_N + h_N * (q_N - fixed_q_N)


def policy_gradient(q_N: Tensor, t_N: Tensor) -> Tensor:
    """Vanilla OPD's surrogate -A log q_y with A = sg[log t_y - log q_y], [N] (Thinking Machines Lab, 2025).

    Its gradient is that of ``sampled`` reverse KL, unbiased for y ~ student; its value means nothing.
    """
    _same_shape(q_N, t_N)
    return -(t_N - q_N).detach() * q_N


def entropy(logp_NV: Tensor) -> Tensor:
    """Shannon entropy in nats, [N]."""
    return -_expectation(logp_NV, logp_NV)


@torch.no_grad()
def support_ids(q_NV: Tensor, t_NV: Tensor, *, k: int, support: Support) -> tuple[Tensor, Tensor]:
    """Token ids of the support, ascending, and which of them are no repetition: int64 and bool, [N, K].

    K is 2k for ``union``, else k.

    Raises:
        HarnessError: k outside 1..V. ValueError: unequal shapes.
    """
    _same_shape(q_NV, t_NV)
    check_k(k, q_NV.shape[-1])
    match support:
        case Support.STUDENT:
            ranked = (q_NV,)
        case Support.TEACHER:
            ranked = (t_NV,)
        case Support.UNION:
            ranked = (q_NV, t_NV)
        case _:
            assert_never(support)
    ids_NK = torch.cat([logp_NV.topk(k).indices for logp_NV in ranked], dim=-1).sort().values
    before_first = ids_NK.new_full((len(ids_NK), 1), -1)
    return ids_NK, ids_NK.diff(prepend=before_first) > 0


@torch.no_grad()
def support_mass(q_NV: Tensor, t_NV: Tensor, *, k: int, support: Support) -> tuple[Tensor, Tensor]:
    """Probability of the support under student and source, Q and T, [N] each: what a top-k loss sees."""
    ids_NK, fresh_NK = support_ids(q_NV, t_NV, k=k, support=support)
    q_NK, t_NK = (on_support(logp_NV, ids_NK, fresh_NK, Tail.RAW) for logp_NV in (q_NV, t_NV))
    return q_NK.exp().sum(-1), t_NK.exp().sum(-1)


def on_support(logp_NV: Tensor, ids_NK: Tensor, fresh_NK: Tensor, tail: Tail) -> Tensor:
    """Log-probabilities on the support, [N, K], repeated ids at -inf; [N, K+1] if the rest is kept."""
    inside_NK = logp_NV.gather(-1, ids_NK).masked_fill(~fresh_NK, -math.inf)
    if tail != Tail.TAIL:
        return inside_NK
    # Summing what remains is exact also where 1 - mass would cancel.
    return torch.cat([inside_NK, _log_mass(logp_NV.scatter(-1, ids_NK, -math.inf))], dim=-1)


def _weigh(weight: Tensor, x: Tensor) -> Tensor:
    """weight times x, where 0 times anything is 0 and passes no gradient to x."""
    return weight * x.masked_fill(weight == 0, 0.0)


def _expectation(logp_NV: Tensor, x_NV: Tensor) -> Tensor:
    """sum_v p_v x_v, [N]."""
    return _weigh(logp_NV.exp(), x_NV).sum(-1)


def _log_mixture(q: Tensor, t: Tensor, beta: float) -> Tensor:
    """log(beta t + (1 - beta) q); kept finite where both are 0, as logaddexp(-inf, -inf) has gradient nan."""
    floor = torch.finfo(q.dtype).min
    return torch.logaddexp(t.clamp_min(floor) + math.log(beta), q.clamp_min(floor) + math.log1p(-beta))


def _log_mass(logp_NK: Tensor) -> Tensor:
    """log sum_v p_v, [N, 1]; -inf without gradient where all are 0, as logsumexp there has gradient nan."""
    floor = torch.finfo(logp_NK.dtype).min
    mass_N1 = logp_NK.clamp_min(floor).logsumexp(-1, keepdim=True)
    return mass_N1.masked_fill(mass_N1 == floor, -math.inf)


def _same_shape(q: Tensor, t: Tensor) -> None:
    """Broadcasting would hide a misaligned source."""
    if q.shape != t.shape:
        raise ValueError(f"student {tuple(q.shape)} and source {tuple(t.shape)} must have equal shapes")
