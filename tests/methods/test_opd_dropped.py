"""Figure 4's method: which tokens leave the loss, what stays, and that nothing else differs from vanilla OPD."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from support.small import fixed_batch, loss_and_gradient, policies, small_method

from harness.losses.tokens import TokenView
from harness.training.reduce import coefficients
from harness.training.step import build_pool, optimiser_losses, score_views
from harness.types import PLAIN, PRIVILEGED, HarnessError, Policy, ScorePool
from methods.dopd_ablation import Off
from methods.opd_dropped import Drop, DroppedDistillation

GAPS = [[0.4, 0.1, 0.9, 0.2, 0.7], [0.3, 0.8, 0.05, 0.6, 0.5]]
"""A of ten tokens of two rollouts, nats."""


def dropping(drop: Drop = Drop.HIGH, **settings: object) -> DroppedDistillation:
    return DroppedDistillation(drop=drop, **settings)  # type: ignore[arg-type]


def pool(
    gaps: list[list[float]], method: DroppedDistillation, draws: list[float] | None = None, width: int = 0
) -> ScorePool:
    """A rollout a row, padded to ``width``, with the given gaps between the two privileged views."""
    width = max(width, *map(len, gaps))
    mask_BT = torch.tensor([[t < len(row) for t in range(width)] for row in gaps])
    gap_BT = torch.tensor([[*row, *[0.0] * (width - len(row))] for row in gaps], dtype=torch.float64)
    # Signs alternate: the sign of the difference must not matter.
    sign_BT = torch.tensor([(-1.0) ** t for t in range(width)], dtype=torch.float64)
    scores = {} if not method.scored else dict(zip(method.scored, (gap_BT * sign_BT - 3, -3 * mask_BT), strict=True))
    return ScorePool(
        mask_BT=mask_BT,
        logp_BT=scores,
        entropy_BT={},
        sampler_logp_BT=torch.zeros(mask_BT.shape),
        group_B=torch.arange(len(gaps)),
        update_B=torch.zeros(len(gaps), dtype=torch.int64),
        draw_B=torch.tensor(draws or [0.1 + 0.05 * b for b in range(len(gaps))], dtype=torch.float64),
        reference_B=torch.zeros(len(gaps), dtype=torch.bool),
    )


def dropped(method: DroppedDistillation, made: ScorePool) -> set[tuple[int, int]]:
    """(rollout, position) of what is not in the loss though it is response."""
    kept_BT = method.assign(made, progress=0.0).mask_BT
    assert not bool((kept_BT & ~made.mask_BT).any())
    return {(b, t) for b, t in (made.mask_BT & ~kept_BT).nonzero().tolist()}


def test_a_fifth_is_two_of_ten_tokens_and_the_right_ones() -> None:
    # Sorted, A = .05 .1 .2 .3 .4 .5 .6 .7 .8 .9: the lowest two are (1, 2) and (0, 1), the highest (0, 2) and (1, 1).
    low, high = (dropping(drop) for drop in (Drop.LOW, Drop.HIGH))
    assert dropped(low, pool(GAPS, low)) == {(1, 2), (0, 1)}
    assert dropped(high, pool(GAPS, high)) == {(0, 2), (1, 1)}
    four = dropping(share=0.4)
    assert dropped(four, pool(GAPS, four)) == {(0, 2), (1, 1), (0, 4), (1, 3)}
    assert high.assign(pool(GAPS, high), progress=0.0).metrics["acted"] == pytest.approx(0.2)


def test_the_share_is_of_the_batch_not_of_each_rollout() -> None:
    method = dropping()
    assert dropped(method, pool([[0.9, 0.8, 0.7, 0.1, 0.1], [0.1] * 5], method)) == {(0, 0), (0, 1)}


def test_dropped_tokens_stay_in_the_length_or_leave_it() -> None:
    zero, left_out = dropping(share=0.3), dropping(share=0.3, off=Off.LEFT_OUT)
    for method, of_five, of_one in ((zero, 1 / 5, 1 / 2), (left_out, 1 / 3, 1 / 1)):
        made = pool([[0.9, 0.8, 0.1, 0.1, 0.1], [0.7, 0.1], [0.1, 0.1, 0.1]], method)
        factor_BT = coefficients(method.reduction, made, method.assign(made, progress=0.0))
        # Three of ten go: two of the first rollout, one of the second. Then the mean over three rollouts.
        want = [[0, 0, of_five / 3, of_five / 3, of_five / 3], [0, of_one / 3, 0, 0, 0], [1 / 9, 1 / 9, 1 / 9, 0, 0]]
        torch.testing.assert_close(factor_BT, torch.tensor(want, dtype=torch.float64))


def test_random_is_a_fair_choice_of_the_right_number() -> None:
    method = dropping(Drop.RANDOM)
    generator, counts = torch.Generator().manual_seed(0), torch.zeros(2, 5)
    for _ in range(400):
        draws = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
        chosen = dropped(method, pool(GAPS, method, draws))
        assert len(chosen) == 2
        for b, t in chosen:
            counts[b, t] += 1
    # 400 draws of a fifth: 80 each, deviation 8.
    assert bool(((counts > 50) & (counts < 110)).all())


def test_random_follows_a_rollout_through_order_padding_and_ranks() -> None:
    method, draws = dropping(Drop.RANDOM), [0.12, 0.34, 0.56, 0.78]
    gaps = [[0.1] * n for n in (7, 3, 9, 6)]
    straight = dropped(method, pool(gaps, method, draws))
    order = [2, 0, 3, 1]
    moved = dropped(method, pool([gaps[b] for b in order], method, [draws[b] for b in order], width=14))
    assert moved == {(order.index(b), t) for b, t in straight}
    again = dropped(method, pool(gaps, method, [0.13, *draws[1:]]))
    assert again != straight, "another draw is another choice"


@pytest.mark.parametrize("drop", [Drop.LOW, Drop.HIGH])
def test_ties_are_broken_at_random_and_not_by_the_order_of_the_batch(drop: Drop) -> None:
    method, draws = dropping(drop), [0.12, 0.34, 0.56, 0.78]
    gaps = [[0.5] * n for n in (7, 3, 9, 6)]
    straight = dropped(method, pool(gaps, method, draws))
    assert len(straight) == 5 and len({b for b, _ in straight}) > 1
    order = [3, 2, 1, 0]
    moved = dropped(method, pool([gaps[b] for b in order], method, [draws[b] for b in order]))
    assert moved == {(order.index(b), t) for b, t in straight}
    noisy = [[0.5 + 1e-7 * ((b + t) % 3) for t in range(len(row))] for b, row in enumerate(gaps)]
    assert dropped(method, pool(noisy, method, draws)) == straight, "float32 noise must not choose"


def test_the_gap_is_dopds() -> None:
    """Teacher and student under the same privileged context, the sampled token, no gradient."""
    views = dropping().scored
    assert [(v.policy, v.context) for v in views] == [(Policy.TEACHER, PRIVILEGED), (Policy.STUDENT, PRIVILEGED)]
    assert dropping(Drop.RANDOM).scored == ()
    (term,) = dropping().terms
    assert [(v.policy, v.context) for v in (term.trained, *term.sources)] == [
        (Policy.STUDENT, PLAIN),
        (Policy.TEACHER, PLAIN),
    ]


@pytest.mark.parametrize("drop", list(Drop))
def test_with_nothing_dropped_it_is_vanilla_opd(drop: Drop) -> None:
    batch = fixed_batch(policies()[Policy.STUDENT])
    losses, gradient = loss_and_gradient(dropping(drop, share=0.0, k=5), batch)
    vanilla, its_gradient = loss_and_gradient(small_method("vanilla_opd"), batch)
    assert losses == vanilla
    assert all(torch.equal(a, b) for a, b in zip(gradient, its_gradient, strict=True))


@pytest.mark.parametrize("drop", list(Drop))
def test_dropped_tokens_have_no_gradient(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss of a dropped token, whatever it is, moves nothing; that of a kept one does."""
    method, models = dropping(drop, k=5), policies()
    batch = fixed_batch(models[Policy.STUDENT])
    made = build_pool(method, models, batch, score_views(method, models, batch, microbatch=64))
    kept_BT = method.assign(made, progress=0.0).mask_BT
    assert int((made.mask_BT & ~kept_BT).sum()) == round(0.2 * int(made.mask_BT.sum()))
    seen: list[int] = []
    loss = DroppedDistillation.token_loss

    def recorded(self: DroppedDistillation, term, views, fields):  # type: ignore[no-untyped-def]
        value_N = loss(self, term, views, fields)
        seen.extend(views[term.trained].tokens_N.tolist())
        return value_N

    monkeypatch.setattr(DroppedDistillation, "token_loss", recorded)
    list(optimiser_losses(method, models, batch, progress=0.0, microbatch=64))
    assert seen == batch.rollouts.response_ids_BT[kept_BT].tolist()


def test_loss_by_hand() -> None:
    method = DroppedDistillation(k=2)
    (term,) = method.terms
    q, t = [0.5, 0.25, 0.25], [0.25, 0.25, 0.5]
    logits = [torch.tensor([row], dtype=torch.float64).log() for row in (q, t)]
    tokens_N = torch.zeros(1, dtype=torch.int64)
    made = (TokenView(tokens_N=tokens_N, hidden_ND=z, head=lambda h: h) for z in logits)
    views = dict(zip((term.trained, *term.sources), made, strict=True))
    # Reverse KL on {0, 1 or 2} and a tail, which is the whole vocabulary: .5 ln 2 + 0 - .25 ln 2 = .25 ln 2.
    torch.testing.assert_close(
        method.token_loss(term, views, {}), torch.tensor([0.25 * math.log(2)], dtype=torch.float64)
    )


@pytest.mark.parametrize("share", [-0.1, 1.0, math.nan])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(HarnessError, match=r"share=.*: give the share of tokens to drop, in \[0, 1\)"):
        DroppedDistillation(share=share)
    with pytest.raises(HarnessError, match="beta"):
        dataclasses.replace(dropping(), divergence="js", beta=2.0)
