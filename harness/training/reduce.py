"""From token losses to one number, and the only collectives of a run.

Every count is over the global optimiser batch (all micro-batches, all ranks): a coefficient per token is computed
once, and the loss is the plain sum of coefficient times token loss. So it cannot depend on how the batch is split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import pad

from harness.types import Assignment, Completion, Reduction, ScorePool


def coefficients(
    reduction: Reduction,
    pool: ScorePool,
    assignment: Assignment,
    *,
    update: int = 0,
    completion: Completion = Completion.ROLLOUT,
) -> Tensor:
    """Factor of each token's loss in one term of the loss of one optimiser step, float64 [B, T].

    0 outside the assignment's mask, for rollouts that feed another ``update`` and for responses of the other
    ``completion``; none of these is counted. seq_mean divides by |y|, the number of response tokens, masked ones
    included (the paper's 1/|y|), then by the number of sequences; prompt_mean divides by |y|, then by the number
    of prompts.
    """
    now_B = feeds(pool, update, completion)
    mask_BT = assignment.mask_BT & now_B[:, None]
    weight_BT = mask_BT.double()
    if assignment.weight_BT is not None:
        weight_BT = weight_BT * assignment.weight_BT.double()
    length_B1 = pool.mask_BT.sum(-1, keepdim=True).clamp(min=1)
    match reduction:
        case Reduction.SEQ_MEAN:
            return weight_BT / length_B1 / now_B.sum().clamp(min=1)
        case Reduction.TOKEN_MEAN:
            return weight_BT / pool.mask_BT[now_B].sum().clamp(min=1)
        case Reduction.SELECTED_MEAN:
            return weight_BT / mask_BT.sum().clamp(min=1)
        case Reduction.PROMPT_MEAN:
            return weight_BT / length_B1 / max(1, len(pool.group_B[now_B].unique()))


def feeds(pool: ScorePool, update: int, completion: Completion) -> Tensor:
    """Responses that a term of this completion reads at one optimiser step of the batch, bool [B]."""
    return (pool.update_B == update) & (pool.reference_B == (completion is Completion.REFERENCE))


def world() -> tuple[int, int]:
    """(rank, number of ranks); (0, 1) in a single process."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def gather_pool(local: ScorePool) -> tuple[ScorePool, slice]:
    """The pool of all ranks, and which of its rows are this rank's.

    Group numbers stay distinct between ranks. A few floats a token travel, never a distribution.
    """
    rank, size = world()
    if size == 1:
        return local, slice(0, len(local.mask_BT))
    pools: list[ScorePool | None] = [None] * size
    dist.all_gather_object(pools, local)
    ranks = [p for p in pools if p is not None]
    offset = sum(len(p.mask_BT) for p in ranks[:rank])
    return _concatenate(ranks), slice(offset, offset + len(local.mask_BT))


def _concatenate(pools: list[ScorePool]) -> ScorePool:
    T = max(p.mask_BT.shape[1] for p in pools)
    groups, first = [], 0
    for p in pools:
        groups.append(p.group_B + first)
        first += int(p.group_B.max()) + 1

    def join(tensors: list[Tensor]) -> Tensor:
        return torch.cat([pad(t, (0, T - t.shape[1])) for t in tensors])

    head = pools[0]
    return replace(
        head,
        mask_BT=join([p.mask_BT for p in pools]),
        sampler_logp_BT=join([p.sampler_logp_BT for p in pools]),
        logp_BT={v: join([p.logp_BT[v] for p in pools]) for v in head.logp_BT},
        entropy_BT={v: join([p.entropy_BT[v] for p in pools]) for v in head.entropy_BT},
        stats_BT={k: join([p.stats_BT[k] for p in pools]) for k in head.stats_BT},
        group_B=torch.cat(groups),
        update_B=torch.cat([p.update_B for p in pools]),
        draw_B=torch.cat([p.draw_B for p in pools]),
        reference_B=torch.cat([p.reference_B for p in pools]),
        present_B={k: torch.cat([p.present_B[k] for p in pools]) for k in head.present_B},
        reward_B=None if head.reward_B is None else torch.cat([p.reward_B for p in pools if p.reward_B is not None]),
    )


def local_rows(assignment: Assignment, rows: slice, width: int) -> Assignment:
    """One rank's part of a global assignment, cut to that rank's response width T."""

    def cut(t: Tensor) -> Tensor:
        return t[rows, :width]

    return replace(
        assignment,
        mask_BT=cut(assignment.mask_BT),
        weight_BT=None if assignment.weight_BT is None else cut(assignment.weight_BT),
        fields={k: cut(v) for k, v in assignment.fields.items()},
        labels_BT=None if assignment.labels_BT is None else cut(assignment.labels_BT),
    )


def sum_over_ranks(values: Tensor) -> None:
    """Sum a tensor over ranks, in place."""
    if world()[1] > 1:
        dist.all_reduce(values)


def merged_over_ranks(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by name summed over ranks; a rank may lack a name."""
    ranks: list[dict[str, Tensor]] = [dict(values)] * world()[1]
    if len(ranks) > 1:
        dist.all_gather_object(ranks, dict(values))
    names = sorted({name for rank in ranks for name in rank})
    return {name: torch.stack([rank[name] for rank in ranks if name in rank]).sum(0) for name in names}


def sum_gradients(model: Module) -> None:
    """Sum gradients over ranks; the coefficients already hold the global counts.

    A rank none of whose tokens entered the loss has no gradient and still takes part, with zeros.
    """
    if world()[1] == 1:
        return
    for parameter in model.parameters():
        if parameter.requires_grad:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            dist.all_reduce(parameter.grad)
