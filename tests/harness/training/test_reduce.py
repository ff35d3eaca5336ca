"""Coefficients of each reduction on a batch small enough to divide by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from harness.training import reduce
from harness.training.reduce import coefficients, gather_pool, local_rows
from harness.types import Assignment, Completion, Policy, Reduction, ScorePool, View

MASK_BT = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]], dtype=torch.bool)  # |y| = 4, 2, 1


def pool(update: tuple[int, ...] = (0, 0, 0), reference: tuple[bool, ...] = (False,) * 3) -> ScorePool:
    return ScorePool(
        mask_BT=MASK_BT,
        logp_BT={},
        entropy_BT={},
        sampler_logp_BT=torch.zeros(3, 4),
        group_B=torch.tensor([0, 0, 1]),
        update_B=torch.tensor(update),
        draw_B=torch.zeros(3, dtype=torch.float64),
        reference_B=torch.tensor(reference),
    )


def kept(*dropped: tuple[int, int]) -> torch.Tensor:
    mask = MASK_BT.clone()
    for b, t in dropped:
        mask[b, t] = False
    return mask


@pytest.mark.parametrize(
    ("reduction", "first_of_each"),
    [
        # 3 sequences: 1/4/3, 1/2/3, 1/1/3. The dropped token of row 0 stays in |y|.
        (Reduction.SEQ_MEAN, [1 / 12, 1 / 6, 1 / 3]),
        # 7 response tokens.
        (Reduction.TOKEN_MEAN, [1 / 7, 1 / 7, 1 / 7]),
        # 6 tokens are left in the mask.
        (Reduction.SELECTED_MEAN, [1 / 6, 1 / 6, 1 / 6]),
        # 2 prompts: 1/4/2, 1/2/2, 1/1/2.
        (Reduction.PROMPT_MEAN, [1 / 8, 1 / 4, 1 / 2]),
    ],
)
def test_by_hand(reduction: Reduction, first_of_each: list[float]) -> None:
    got = coefficients(reduction, pool(), Assignment(mask_BT=kept((0, 3))))
    assert got[:, 0].tolist() == pytest.approx(first_of_each, rel=1e-15)
    assert got[0, 3] == 0.0


@pytest.mark.parametrize("reduction", [Reduction.SEQ_MEAN, Reduction.TOKEN_MEAN, Reduction.SELECTED_MEAN])
def test_a_constant_loss_is_its_own_mean(reduction: Reduction) -> None:
    got = coefficients(reduction, pool(), Assignment(mask_BT=MASK_BT))
    assert float(got.sum()) == pytest.approx(1.0, rel=1e-15)


def test_weights_multiply_and_do_not_renormalise() -> None:
    half = torch.full((3, 4), 0.5)
    got = coefficients(Reduction.TOKEN_MEAN, pool(), Assignment(mask_BT=MASK_BT, weight_BT=half))
    assert float(got.sum()) == pytest.approx(0.5, rel=1e-15)


def test_each_optimiser_step_counts_its_own_rollouts() -> None:
    p, everything = pool(update=(0, 1, 1)), Assignment(mask_BT=MASK_BT)
    first = coefficients(Reduction.SEQ_MEAN, p, everything, update=0)
    second = coefficients(Reduction.SEQ_MEAN, p, everything, update=1)
    assert first[0].tolist() == [0.25] * 4 and float(first[1:].sum()) == 0.0
    assert float(second[0].sum()) == 0.0 and float(second[1:].sum()) == pytest.approx(1.0)


def test_each_completion_counts_its_own_responses() -> None:
    p, everything = pool(reference=(False, False, True)), Assignment(mask_BT=MASK_BT)
    for completion, tokens in ((Completion.ROLLOUT, 6), (Completion.REFERENCE, 1)):
        got = coefficients(Reduction.TOKEN_MEAN, p, everything, completion=completion)
        assert got[got != 0].tolist() == pytest.approx([1 / tokens] * tokens)


TEACHER = View(Policy.TEACHER)


def part(groups: list[int], mask: list[list[int]], mark: float) -> ScorePool:
    """A rank's pool, every number of it ``mark``."""
    mask_BT = torch.tensor(mask, dtype=torch.bool)
    marked_BT, rows = torch.full(mask_BT.shape, mark), len(groups)
    return ScorePool(
        mask_BT=mask_BT,
        logp_BT={TEACHER: marked_BT},
        entropy_BT={TEACHER: marked_BT},
        sampler_logp_BT=marked_BT,
        group_B=torch.tensor(groups),
        update_B=torch.zeros(rows, dtype=torch.int64),
        draw_B=torch.full((rows,), mark, dtype=torch.float64),
        reference_B=torch.tensor([mark > 1] * rows),
        present_B={"own": torch.tensor([mark > 1] * rows)},
        reward_B=torch.full((rows,), mark),
        stats_BT={"gap": marked_BT},
    )


@pytest.mark.parametrize(("rank", "rows"), [(0, slice(0, 3)), (1, slice(3, 5))])
def test_the_pools_of_two_ranks_become_one(monkeypatch: pytest.MonkeyPatch, rank: int, rows: slice) -> None:
    """Three rollouts of two prompts and two of two others, the second rank's longer; no processes are needed."""
    pools = [part([0, 0, 1], [[1, 1], [1, 0], [1, 1]], 1.0), part([0, 1], [[1, 1, 1], [1, 0, 0]], 2.0)]

    def gather(found: list[ScorePool], local: ScorePool) -> None:
        assert local is pools[rank]
        found[:] = pools

    monkeypatch.setattr(reduce, "world", lambda: (rank, 2))
    monkeypatch.setattr(reduce.dist, "all_gather_object", gather)
    merged, own = gather_pool(pools[rank])
    assert own == rows
    # The first group of the second rank is another prompt than that of the first.
    assert merged.group_B.tolist() == [0, 0, 1, 2, 3]
    assert merged.mask_BT.int().tolist() == [[1, 1, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 0, 0]]
    for joined in (merged.sampler_logp_BT, merged.logp_BT[TEACHER], merged.entropy_BT[TEACHER], merged.stats_BT["gap"]):
        assert joined.tolist() == [[1, 1, 0]] * 3 + [[2, 2, 2]] * 2
    assert merged.reward_B is not None and merged.reward_B.tolist() == merged.draw_B.tolist() == [1, 1, 1, 2, 2]
    assert merged.reference_B.tolist() == merged.present_B["own"].tolist() == [False] * 3 + [True] * 2
    back = local_rows(Assignment(mask_BT=merged.mask_BT), own, pools[rank].mask_BT.shape[1])
    assert torch.equal(back.mask_BT, pools[rank].mask_BT)
    # Four prompts, not the two that equal group numbers would make: 1/2/4 for a token of the first rollout.
    alone = replace(merged, reference_B=torch.zeros(5, dtype=torch.bool))
    got = coefficients(Reduction.PROMPT_MEAN, alone, Assignment(mask_BT=merged.mask_BT))
    assert float(got[0, 0]) == pytest.approx(1 / 8)
