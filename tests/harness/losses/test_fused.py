"""Objectives in closed form: by hand, against autograd through ``divergences``, and what is overwritten or kept."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from harness.losses import divergences, fused
from harness.losses.objectives import Divergence, Granularity, Support, Tail
from harness.losses.tokens import TokenView, token_divergence
from harness.types import HarnessError

LN2 = math.log(2)
CELLS = [(d, m) for d in Divergence for m in Tail if d == Divergence.REVERSE_KL or m != Tail.SCORE_FUNCTION]
V, N, D = 11, 6, 4


def logits(seed: int, n: int = N) -> Tensor:
    """float64 [n, V]: the first row whole, then rows that lack words: one side's, the other's, both's."""
    z_NV = 2 * torch.randn(n, V, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    lacking = {0: ((1, 3), (3, 9)), 1: ((2, 5), (3, 9))}[seed]
    for row, word in lacking:
        z_NV[row, word] = -torch.inf
    return z_NV


def by_autograd(z_NV: Tensor, loss: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Value and gradient in the logits, weighted per row."""
    z_NV = z_NV.clone().requires_grad_()
    value_N = loss(z_NV.log_softmax(-1))
    return value_N.detach(), torch.autograd.grad(value_N, z_NV, WEIGHT_N)[0]


WEIGHT_N = torch.linspace(-1, 2, N, dtype=torch.float64)


def by_form(z_NV: Tensor, objective: fused.Objective) -> tuple[Tensor, Tensor, Tensor]:
    """Value, gradient in the logits and entropy of a closed form."""
    z_NV = z_NV.clone().requires_grad_()
    value_N, entropy_N = fused.through_head(z_NV, lambda z: z, objective)
    return value_N.detach(), torch.autograd.grad(value_N, z_NV, WEIGHT_N)[0], entropy_N


def same(objective: fused.Objective, loss: Callable[[Tensor], Tensor], rows: slice = slice(None)) -> None:
    """The closed form against autograd; ``rows`` are those where autograd is finite too."""
    z_NV = logits(0)
    value_N, gradient_NV, entropy_N = by_form(z_NV, objective)
    want_N, want_NV = by_autograd(z_NV, loss)
    torch.testing.assert_close(value_N, want_N, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradient_NV[rows], want_NV[rows], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(entropy_N, divergences.entropy(z_NV.log_softmax(-1)), rtol=1e-12, atol=1e-12)
    assert gradient_NV[rows].sum(-1).abs().max() < 1e-12  # a constant added to all logits changes nothing


@pytest.mark.parametrize("divergence", list(Divergence))
def test_full(divergence: Divergence) -> None:
    z_NV = logits(1)
    # Row 1 and row 2 lack a word on one side: a KL is infinite there in one direction, and its gradient undefined.
    rows = slice(None) if divergence is Divergence.JS else slice(3, None)
    same(
        fused.full(z_NV, divergence, beta=0.3),
        lambda q: divergences.full(q, z_NV.log_softmax(-1), divergence, beta=0.3),
        rows,
    )


@pytest.mark.parametrize(("divergence", "tail"), CELLS)
@pytest.mark.parametrize("support", list(Support))
def test_top_k(divergence: Divergence, tail: Tail, support: Support) -> None:
    z_NV = logits(1)
    z_NV[2] = logits(0)[2]  # a word only the source lacks makes reverse KL infinite: left to ``test_full``
    choices = {"k": 4, "support": support, "tail": tail, "beta": 0.3}
    want = lambda q: divergences.top_k(q, z_NV.log_softmax(-1), divergence, **choices)  # noqa: E731
    finite = by_autograd(logits(0), want)[1].isfinite().all(-1)
    assert int(finite.sum()) >= N - 1
    same(fused.top_k(z_NV, divergence, **choices), want, finite.nonzero().squeeze(-1))  # pyright: ignore


def test_whole_vocabulary_as_support_is_the_full_divergence() -> None:
    z_NV = logits(1)[4:]
    for tail in (Tail.TAIL, Tail.RENORM, Tail.RAW):
        objective = fused.top_k(z_NV, Divergence.JS, k=V, support=Support.STUDENT, tail=tail)
        value_N, _ = fused.through_head(logits(0)[4:], lambda z: z, objective)
        torch.testing.assert_close(value_N, divergences.full(*both(logits(0)[4:], z_NV), Divergence.JS))


def both(*z: Tensor) -> tuple[Tensor, ...]:
    """Log-probabilities of each."""
    return tuple(x.log_softmax(-1) for x in z)


def test_log_likelihood() -> None:
    tokens_N = torch.tensor([0, 1, 2, 3, 4, 4])
    same(fused.log_likelihood(tokens_N), lambda q: q.gather(-1, tokens_N[:, None]).squeeze(-1))


def test_reverse_kl_by_hand() -> None:
    # q = (1/2, 1/4, 1/4), t = (1/4, 1/4, 1/2): r = (ln 2, 0, -ln 2), value ln 2 (1/2 - 1/4), gradient q (r - value).
    q, t = (torch.tensor([p], dtype=torch.float64).log() for p in ((0.5, 0.25, 0.25), (0.25, 0.25, 0.5)))
    q = q.requires_grad_()
    value_N, entropy_N = fused.through_head(q, lambda z: z, fused.full(t, Divergence.REVERSE_KL))
    value_N.sum().backward()
    assert value_N.item() == pytest.approx(LN2 / 4, abs=1e-15)
    assert q.grad is not None
    assert q.grad[0].tolist() == pytest.approx([0.5 * 0.75 * LN2, -0.25 * 0.25 * LN2, -0.25 * 1.25 * LN2], abs=1e-15)
    assert entropy_N.item() == pytest.approx(1.5 * LN2, abs=1e-15)


@pytest.mark.parametrize("divergence", list(Divergence))
def test_equal_distributions_cost_nothing_and_pull_nowhere(divergence: Divergence) -> None:
    z_NV = logits(0)
    value_N, gradient_NV, _ = by_form(z_NV, fused.full(z_NV + 3.0, divergence))
    assert value_N.abs().max() < 1e-14
    assert gradient_NV.abs().max() < 1e-14


@pytest.mark.parametrize("accumulated", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_through_a_head(accumulated: bool, biased: bool) -> None:
    """Hidden states, weight and bias get autograd's gradient at a temperature, added to what is there."""
    g = torch.Generator().manual_seed(3)
    hidden_ND, weight_VD, bias_V = (
        torch.randn(*shape, dtype=torch.float64, generator=g) for shape in ((N, D), (V, D), (V,))
    )
    source_NV = logits(1)
    results = []
    for closed in (True, False):
        h, w, b = (x.clone().requires_grad_() for x in (hidden_ND, weight_VD, bias_V))
        w.grad = torch.ones_like(w)
        head = fused.Head(w, b if biased else None, w.grad if accumulated else None)
        student = TokenView(tokens_N=torch.zeros(N, dtype=torch.int64), hidden_ND=h, head=head, temperature=1.7)
        if not closed:
            _ = student.logp_NV
            value_N = divergences.full(student.logp_NV, source_NV.log_softmax(-1), Divergence.JS)
        else:
            value_N = student.objective(fused.full(source_NV, Divergence.JS))
        value_N.backward(WEIGHT_N)
        results.append([value_N.detach(), h.grad, w.grad, *([b.grad] if biased else [])])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_a_block_of_rows_changes_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = by_form(logits(0), fused.full(logits(1), Divergence.JS))
    monkeypatch.setattr(fused, "BLOCK", 2 * V)
    for one, other in zip(whole, by_form(logits(0), fused.full(logits(1), Divergence.JS)), strict=True):
        assert torch.equal(one, other)


def test_the_source_is_only_read_and_gets_no_gradient() -> None:
    source_NV = logits(1).requires_grad_()
    before = source_NV.detach().clone()
    z_NV = logits(0).requires_grad_()
    for objective in (
        fused.full(source_NV, Divergence.JS),
        fused.top_k(source_NV, Divergence.REVERSE_KL, k=3, support=Support.UNION, tail=Tail.TAIL),
    ):
        value_N, _ = fused.through_head(z_NV, lambda z: z, objective)
        value_N[4:].sum().backward()
    assert torch.equal(source_NV.detach(), before)
    assert source_NV.grad is None


def test_no_gradient_is_made_where_none_is_asked() -> None:
    wanted = []

    def objective(z_bV: Tensor, rows: slice, gradient: bool) -> tuple[Tensor, Tensor]:
        wanted.append(gradient)
        return z_bV.sum(-1), z_bV.sum(-1)

    with torch.no_grad():
        fused.through_head(logits(0).requires_grad_(), lambda z: z, objective)
    fused.through_head(logits(0), lambda z: z, objective)
    assert not any(wanted)


@pytest.mark.parametrize("n", [0, 1])
def test_no_token_and_one_token(n: int) -> None:
    z_NV = logits(0)[4 : 4 + n].requires_grad_()
    for objective in (
        fused.full(logits(1)[4 : 4 + n], Divergence.REVERSE_KL),
        fused.top_k(logits(1)[4 : 4 + n], Divergence.JS, k=2, support=Support.STUDENT, tail=Tail.RENORM),
        fused.log_likelihood(torch.zeros(n, dtype=torch.int64)),
    ):
        value_N, _ = fused.through_head(z_NV, lambda z: z, objective)
        value_N.sum().backward()
        assert value_N.shape == (n,)
    assert z_NV.grad is not None
    assert z_NV.grad.isfinite().all()


def test_a_row_without_any_word_is_not_a_number_and_leaves_the_others_alone() -> None:
    z_NV = logits(0)
    z_NV[4] = -torch.inf
    value_N, gradient_NV, _ = by_form(z_NV, fused.full(logits(1), Divergence.JS))
    assert value_N[4].isnan()
    assert gradient_NV[4].isnan().all()
    assert value_N[5].isfinite()
    assert gradient_NV[5].isfinite().all()


def test_scratch_serves_again_and_never_two_at_once() -> None:
    scratch, like = fused.Scratch(), torch.zeros(1)
    (first, lent), (second, _) = (scratch.take((2, 3), like=like) for _ in range(2))
    assert first.data_ptr() != second.data_ptr()
    scratch.give(lent)
    again, _ = scratch.take((3, 2), like=like)
    assert again.data_ptr() == first.data_ptr()
    wide, _ = scratch.take((1, 6), like=like.double())
    assert wide.dtype is torch.float64
    for size in range(1, 9):
        scratch.give(torch.zeros(size))
    assert len(scratch._free) == scratch.KEEP


def test_two_losses_before_one_backward_keep_their_gradients() -> None:
    """A method adds objectives and differentiates their sum: buffers in use are not lent again."""
    g = torch.Generator().manual_seed(5)
    weight_VD, hidden_ND = (torch.randn(n, D, dtype=torch.float64, generator=g) for n in (V, N))
    found = []
    for together in (True, False):
        w = weight_VD.clone().requires_grad_()
        head = fused.Head(w)
        values = []
        for divergence in Divergence:
            value_N, _ = fused.through_head(hidden_ND, head, fused.full(logits(1).clamp_min(-9), divergence))
            values.append(value_N.sum())
            if not together:
                values.pop().backward()
        if together:
            torch.stack(values).sum().backward()
        found.append(w.grad)
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("granularity", [Granularity.FULL, Granularity.TOP_K])
def test_a_view_knows_the_entropies_its_losses_saw(granularity: Granularity) -> None:
    z_NV = logits(0)
    student, source = (
        TokenView(tokens_N=torch.zeros(N, dtype=torch.int64), hidden_ND=z, head=lambda h: h) for z in (z_NV, logits(1))
    )
    parts = torch.tensor([4, 0, 3]), torch.tensor([1, 5, 2])
    for rows in parts:
        token_divergence(student.rows(rows), source.rows(rows), divergence=Divergence.JS, granularity=granularity, k=3)
    assert student._entropy_N is not None
    torch.testing.assert_close(student._entropy_N, divergences.entropy(z_NV.log_softmax(-1)), rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        assert student.entropy_N is student._entropy_N


def test_entropy_carries_gradient_where_gradients_are_on() -> None:
    z_NV = logits(0)[4:].requires_grad_()
    view = TokenView(tokens_N=torch.zeros(2, dtype=torch.int64), hidden_ND=z_NV, head=lambda h: h)
    view.entropy_N.sum().backward()
    assert z_NV.grad is not None
    assert z_NV.grad.abs().max() > 0


def test_a_vocabulary_that_no_memory_holds_is_said() -> None:
    with pytest.raises(HarnessError, match=r"no memory for the logits of 1 tokens over 70368744177664 words"):
        fused.SCRATCH.take((1, 2**46), like=torch.zeros(1))


def test_a_second_derivative_is_refused() -> None:
    z_NV = logits(0)[4:].requires_grad_()
    value_N, _ = fused.through_head(z_NV, lambda z: z, fused.full(logits(1)[4:], Divergence.JS))
    weight_N = torch.ones(2, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad((weight_N * value_N).sum(), z_NV, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()
