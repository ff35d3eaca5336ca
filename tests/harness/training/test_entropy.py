"""The two entropies of a step: over the tokens in the loss, and over all response tokens."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from support.small import fixed_batch, policies, small_method

from harness.method import Method
from harness.models.forward import score
from harness.training.step import Batch, optimiser_losses
from harness.types import PLAIN, Assignment, Policy, ScorePool, Want
from methods.opd import OnPolicyDistillation


@dataclasses.dataclass(frozen=True, kw_only=True)
class FirstTokens(OnPolicyDistillation):
    """Vanilla OPD on the first token of every second rollout: some rows lose tokens, some all of them."""

    def assign(self, pool: ScorePool, *, progress: float) -> Assignment:
        mask_BT = torch.zeros_like(pool.mask_BT)
        mask_BT[::2, 0] = True
        return Assignment(mask_BT=mask_BT & pool.mask_BT)


def entropies(batch: Batch) -> torch.Tensor:
    """Of the plain student at every response token, [B, T]."""
    r = batch.rollouts
    found = score(
        policies()[Policy.STUDENT],
        batch.contexts[PLAIN],
        r.response_ids_BT,
        r.mask_BT,
        wants=frozenset({Want.ENTROPY}),
        temperature=1.0,
        microbatch=64,
    )
    assert found.entropy_BT is not None
    return found.entropy_BT


@pytest.mark.parametrize("microbatch", [64, 3])
def test_tokens_out_of_the_loss_count_in_one_of_them(microbatch: int) -> None:
    models = policies()
    batch = fixed_batch(models[Policy.STUDENT])
    (record,) = optimiser_losses(FirstTokens(k=5), models, batch, progress=0.0, microbatch=microbatch)
    all_BT, mask_BT = entropies(batch), batch.rollouts.mask_BT
    assert record.entropy == pytest.approx(float(all_BT[::2, 0].mean()), rel=1e-10)
    assert record.entropy_all == pytest.approx(float(all_BT[mask_BT].mean()), rel=1e-10)
    assert abs(record.entropy - record.entropy_all) > 0.01


def losses(method: Method) -> tuple[Batch, list[tuple[float, float]]]:
    models = policies()
    batch = fixed_batch(models[Policy.STUDENT], method=method)
    records = optimiser_losses(method, models, batch, progress=0.25, microbatch=64)
    return batch, [(record.entropy, record.entropy_all) for record in records]


def test_they_are_one_where_every_token_is_in_the_loss() -> None:
    _, ((one, other),) = losses(small_method("vanilla_opd"))
    assert one == pytest.approx(other, rel=1e-12)


def test_each_step_of_a_batch_counts_its_own_rollouts() -> None:
    """EOPD: four steps, a prompt each; the student does not move here, so each mean is of two rollouts."""
    batch, found = losses(small_method("eopd"))
    all_BT, mask_BT = entropies(batch), batch.rollouts.mask_BT
    for update, (one, other) in enumerate(found):
        rows = slice(2 * update, 2 * update + 2)
        assert one == pytest.approx(float(all_BT[rows][mask_BT[rows]].mean()), rel=1e-10)
        assert one == pytest.approx(other, rel=1e-12)


def test_references_are_no_rollouts() -> None:
    """DAPD's first term reads the rollouts: its references dilute the published number and not this one."""
    batch, ((one, other),) = losses(small_method("dapd"))
    assert one < other
    rollouts = batch.rollouts.mask_BT & ~batch.reference_B[:, None]
    models = policies()
    scored = score(
        models[Policy.STUDENT],
        batch.contexts[small_method("dapd").terms[0].trained.context],
        batch.rollouts.response_ids_BT,
        batch.rollouts.mask_BT,
        wants=frozenset({Want.ENTROPY}),
        temperature=small_method("dapd").terms[0].trained.temperature,
        microbatch=64,
    )
    assert scored.entropy_BT is not None
    assert other == pytest.approx(float(scored.entropy_BT[rollouts].mean()), rel=1e-10)
