"""Token objectives from logits in closed form: value, entropy and gradient in one visit of the vocabulary.

An objective D(q, t) of one token has a gradient in the student's logits z that is as cheap as its value: with
a_j = dD / d log q_j, it is a_j - q_j sum_i a_i.

==============  =========================================  ==================================================
objective       value                                      gradient in logit j
==============  =========================================  ==================================================
reverse KL      sum q r, r = log q - log t                 q_j (r_j - value)
forward KL      sum t (log t - log q)                      q_j - t_j
JS              b KL(t || m) + (1 - b) KL(q || m)          (1 - b) q_j (log q_j - log m_j - KL(q || m))
log-likelihood  log q_y                                    1[j = y] - q_j
top-k           ``divergences.on_support``                 a_j - q_j A in S; q_j (a_rest / q_rest - A) outside
==============  =========================================  ==================================================

``through_head`` puts an objective behind the output layer as one autograd function: the logits are overwritten by
their gradient and nothing else of size [N, V] is kept. On a CPU rows are visited in blocks that stay in its cache
(``docs/speed.md`` says what that is worth).

Values and gradients are those of ``harness.losses.divergences``, to rounding; where a probability is zero they take
the same care. A row of logits that are all -inf is no distribution: its value is nan.

Shapes: N response tokens laid flat, b of them in one block, D hidden, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from harness.losses import divergences
from harness.losses.objectives import Divergence, Support, Tail
from harness.types import HarnessError

BLOCK = 2**16
"""Numbers of one block on a CPU: three such buffers in float32 fit the second-level cache of common machines."""

Objective = Callable[[Tensor, slice, bool], tuple[Tensor, Tensor]]
"""(student logits [b, V], which rows they are, whether a gradient is wanted) to value and entropy, [b] each.

The logits may be overwritten, and are by their gradient if it is wanted."""


@dataclass(frozen=True, slots=True)
class Head:
    """A linear output layer as the losses use it."""

    weight_VD: Tensor
    bias_V: Tensor | None = None
    into_VD: Tensor | None = None
    """Where the weight's gradient is added in place. None: autograd is handed a new [V, D] at each call."""

    def __call__(self, hidden_ND: Tensor) -> Tensor:
        """Logits, [N, V], by plain autograd."""
        return functional.linear(hidden_ND, self.weight_VD, self.bias_V)

    def frozen(self) -> Head:
        """The same numbers without gradient, even of a student in training that is its own source."""
        return Head(self.weight_VD.detach(), None if self.bias_V is None else self.bias_V.detach())


def through_head(
    hidden_ND: Tensor,
    head: Callable[[Tensor], Tensor],
    objective: Objective,
    *,
    temperature: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Value, with gradient to ``hidden_ND`` and the head, and entropy without, [N] each, in float32 or wider.

    A head that is no ``Head`` is differentiated by autograd, the objective behind it in closed form.
    """
    if isinstance(head, Head):
        inputs = (hidden_ND, head.weight_VD, head.bias_V, head.into_VD)
    else:
        inputs = (head(hidden_ND), None, None, None)
    wanted = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in inputs[:3])
    if wanted:
        return _ThroughHead.apply(*inputs, objective, temperature)  # pyright: ignore[reportReturnType]
    with torch.no_grad():
        logits_NV, lent = _logits(*inputs[:3], temperature)
        out = _visit(logits_NV, objective, gradient=False)
        SCRATCH.give(lent)
    return out


def logits(hidden_ND: Tensor, head: Callable[[Tensor], Tensor], temperature: float) -> tuple[Tensor, Tensor | None]:
    """Logits without gradient, [N, V], at least float32, and what to give back to ``SCRATCH`` when they are read."""
    with torch.no_grad():
        if isinstance(head, Head):
            return _logits(hidden_ND, head.weight_VD, head.bias_V, temperature)
        return _logits(head(hidden_ND), None, None, temperature)


class _ThroughHead(torch.autograd.Function):
    """See ``through_head``. Without a weight the first input is the logits themselves."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any,
        hidden_ND: Tensor,
        weight_VD: Tensor | None,
        bias_V: Tensor | None,
        into_VD: Tensor | None,
        objective: Objective,
        temperature: float,
    ) -> tuple[Tensor, Tensor]:
        logits_NV, lent = _logits(hidden_ND, weight_VD, bias_V, temperature)
        value_N, entropy_N = _visit(logits_NV, objective, gradient=True)
        ctx.save_for_backward(hidden_ND, weight_VD, logits_NV)
        ctx.into, ctx.lent, ctx.temperature = into_VD, lent, temperature
        ctx.mark_non_differentiable(entropy_N)
        return value_N, entropy_N

    @staticmethod
    @once_differentiable  # a second derivative would silently lack what the closed form left out
    def backward(ctx: Any, up_N: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        hidden_ND, weight_VD, gradient_NV = ctx.saved_tensors
        up_N1 = (up_N / ctx.temperature)[:, None]
        to_hidden = to_weight = to_bias = None
        if weight_VD is None:
            to_hidden = (gradient_NV * up_N1).to(hidden_ND.dtype)
        else:
            gradient_NV = gradient_NV.to(weight_VD.dtype)
            if ctx.needs_input_grad[0]:
                to_hidden = (gradient_NV @ weight_VD).mul_(up_N1)
            if ctx.needs_input_grad[1]:
                # Scaling the narrow side saves one pass over [N, V].
                scaled_ND = hidden_ND * up_N1.to(hidden_ND.dtype)
                if ctx.into is not None:
                    ctx.into.addmm_(gradient_NV.T, scaled_ND)
                else:
                    to_weight = gradient_NV.T @ scaled_ND
            if ctx.needs_input_grad[2]:
                to_bias = up_N1.T.to(gradient_NV.dtype).mm(gradient_NV).squeeze(0)
        SCRATCH.give(ctx.lent)
        return to_hidden, to_weight, to_bias, None, None, None


def _logits(
    hidden_ND: Tensor, weight_VD: Tensor | None, bias_V: Tensor | None, temperature: float
) -> tuple[Tensor, Tensor | None]:
    """Logits of our own to overwrite, at least float32, and the scratch they lie in."""
    wide = torch.promote_types(hidden_ND.dtype, torch.float32)
    if weight_VD is None:
        logits_NV, lent = hidden_ND.detach().to(wide, copy=True), None
    else:
        shape = (len(hidden_ND), len(weight_VD))
        logits_NV, lent = SCRATCH.take(shape, like=hidden_ND)
        torch.mm(hidden_ND.detach(), weight_VD.detach().T, out=logits_NV)
        if bias_V is not None:
            logits_NV += bias_V.detach()
        if logits_NV.dtype is not wide:
            logits_NV, lent = logits_NV.to(wide), None
    if temperature != 1:
        logits_NV /= temperature
    return logits_NV, lent


def _visit(logits_NV: Tensor, objective: Objective, *, gradient: bool) -> tuple[Tensor, Tensor]:
    """Block by block; the logits become their gradient if it is wanted."""
    value_N, entropy_N = logits_NV.new_empty(2, len(logits_NV))
    for part in _blocks(logits_NV):
        value_N[part], entropy_N[part] = objective(logits_NV[part], part, gradient)
    return value_N, entropy_N


def _blocks(logits_NV: Tensor) -> Iterator[slice]:
    """Few rows at a time on a CPU; on an accelerator, which has bandwidth and dislikes small kernels, all."""
    n, vocabulary = logits_NV.shape
    rows = max(1, BLOCK // vocabulary) if logits_NV.device.type == "cpu" else max(1, n)
    return (slice(i, min(i + rows, n)) for i in range(0, n, rows))


class Scratch:
    """Buffers that serve again: a CPU pays for fresh memory of this size, page by page."""

    KEEP = 3
    """Most buffers kept: student, source, and one of another size."""

    def __init__(self) -> None:
        self._free: list[Tensor] = []

    def take(self, shape: tuple[int, int], *, like: Tensor) -> tuple[Tensor, Tensor | None]:
        """Memory of this shape with the dtype and device of ``like``, and the buffer to give back.

        Raises:
            HarnessError: there is not so much memory.
        """
        need = shape[0] * shape[1]
        if like.device.type != "cpu":  # the caching allocators of accelerators do this themselves
            return _memory(like, *shape), None
        fits = [b for b in self._free if b.dtype is like.dtype and len(b) >= need]
        buffer = min(fits, key=len) if fits else _memory(like, *shape).flatten()
        self._free = [b for b in self._free if b is not buffer]
        return buffer[:need].view(shape), buffer

    def give(self, buffer: Tensor | None) -> None:
        """Take back what ``take`` lent; the smallest goes where there are too many."""
        if buffer is not None:
            self._free = sorted([*self._free, buffer], key=len)[-self.KEEP :]


def _memory(like: Tensor, tokens: int, vocabulary: int) -> Tensor:
    try:
        return like.new_empty(tokens, vocabulary)
    except RuntimeError as error:  # torch has no class of its own for a CPU's
        if "memory" not in str(error).lower():
            raise
        raise HarnessError(
            f"no memory for the logits of {tokens} tokens over {vocabulary} words, "
            f"{tokens * vocabulary * like.element_size() / 2**20:.0f} MiB: free some, lower LOGIT_BUDGET in "
            "harness/losses/tokens.py (one token at a time is the least), or take a machine that has more"
        ) from error


SCRATCH = Scratch()


def log_likelihood(tokens_N: Tensor) -> Objective:
    """log q of each token."""

    def objective(z_bV: Tensor, rows: slice, gradient: bool) -> tuple[Tensor, Tensor]:
        q_bV, logq_bV, entropy_b = _student(z_bV)
        ids_b1 = tokens_N[rows, None]
        value_b1 = logq_bV.gather(-1, ids_b1)
        if gradient:
            q_bV.neg_().scatter_add_(-1, ids_b1, torch.ones_like(value_b1))
        return value_b1.squeeze(-1), entropy_b

    return objective


def full(source_NV: Tensor, divergence: Divergence, *, beta: float = 0.5) -> Objective:
    """A divergence over the vocabulary; ``source_NV`` are logits or log-probabilities, and are only read."""

    def objective(z_bV: Tensor, rows: slice, gradient: bool) -> tuple[Tensor, Tensor]:
        q_bV, logq_bV, entropy_b = _student(z_bV)
        logt_bV = torch.log_softmax(source_NV[rows].to(z_bV.dtype), -1)
        match divergence:
            case Divergence.REVERSE_KL:
                value_b, r_bV = _mean(q_bV, logq_bV.sub_(logt_bV))
                if gradient:
                    q_bV.mul_(r_bV.sub_(value_b[:, None]))
            case Divergence.FORWARD_KL:
                t_bV = logt_bV.exp()
                value_b, _ = _mean(t_bV, logt_bV.sub_(logq_bV))
                if gradient:
                    q_bV.sub_(t_bV)
            case Divergence.JS:
                t_bV = logt_bV.exp()
                logm_bV = torch.lerp(q_bV, t_bV, beta).clamp_min_(torch.finfo(q_bV.dtype).tiny).log_()
                from_t_b, _ = _mean(t_bV, logt_bV.sub_(logm_bV))
                from_q_b, r_bV = _mean(q_bV, logq_bV.sub_(logm_bV))
                value_b = beta * from_t_b + (1 - beta) * from_q_b
                if gradient:
                    q_bV.mul_(r_bV.sub_(from_q_b[:, None]).mul_(1 - beta))
        return value_b, entropy_b

    return objective


def top_k(
    source_NV: Tensor, divergence: Divergence, *, k: int, support: Support, tail: Tail, beta: float = 0.5
) -> Objective:
    """``divergences.top_k``; autograd works on the support alone, [b, K], whatever ``tail`` makes of the rest."""

    def objective(z_bV: Tensor, rows: slice, gradient: bool) -> tuple[Tensor, Tensor]:
        q_bV, logq_bV, entropy_b = _student(z_bV)
        logt_bV = torch.log_softmax(source_NV[rows].to(z_bV.dtype), -1)
        ids_bK, fresh_bK = divergences.support_ids(logq_bV, logt_bV, k=k, support=support)
        logq_bS, logt_bS = (divergences.on_support(x, ids_bK, fresh_bK, tail) for x in (logq_bV, logt_bV))
        if not gradient:
            return divergences.between(logq_bS, logt_bS, divergence, tail=tail, beta=beta), entropy_b
        with torch.enable_grad():
            leaf_bS = logq_bS.requires_grad_()
            value_b = divergences.between(leaf_bS, logt_bS, divergence, tail=tail, beta=beta)
            (a_bS,) = torch.autograd.grad(value_b.sum(), leaf_bS)
        total_b1 = a_bS.sum(-1, keepdim=True)
        inside_bK = q_bV.gather(-1, ids_bK) * -total_b1
        outside_b1 = -total_b1
        if tail is Tail.TAIL:
            rest_b1 = leaf_bS.detach()[:, -1:].exp()
            outside_b1 = outside_b1 + torch.where(rest_b1 > 0, a_bS[:, -1:] / rest_b1, 0.0)
        # Repeated ids are set to one value, and only the first of them has an a_j that is not zero.
        q_bV.mul_(outside_b1).scatter_(-1, ids_bK, inside_bK).scatter_add_(-1, ids_bK, a_bS[:, : ids_bK.shape[1]])
        return value_b.detach(), entropy_b

    return objective


def _student(z_bV: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """q in the place of the logits, log q, and the entropy in nats."""
    logq_bV = torch.log_softmax(z_bV, -1)
    q_bV = torch.exp(logq_bV, out=z_bV)
    minus_b, _ = _mean(q_bV, logq_bV)
    return q_bV, logq_bV, -minus_b


def _mean(p_bV: Tensor, x_bV: Tensor) -> tuple[Tensor, Tensor]:
    """sum_v p_v x_v, [b], and x with 0 where p is 0: zero times anything is zero.

    The mask is laid only where something is to be masked, which a sum that is not finite tells. On an accelerator
    asking would wait for the device; there it is always laid.
    """
    value_b = torch.linalg.vecdot(p_bV, x_bV)
    if x_bV.device.type == "cpu" and bool(value_b.isfinite().all()):
        return value_b, x_bV
    x_bV = x_bV.masked_fill(p_bV == 0, 0.0)
    return torch.linalg.vecdot(p_bV, x_bV), x_bV
