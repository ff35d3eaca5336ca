"""What a step asks of a method: every value it gives back is looked at, in the contract's words."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from support.small import LENGTHS, fixed_batch, loss_and_gradient, policies, small_method, tiny
from torch import Tensor

from harness.method import Method
from harness.training.step import optimiser_losses
from harness.types import PLAIN, PRIVILEGED, Assignment, HarnessError, Policy, ScorePool


def changed(**members: Callable[..., Any]) -> Method:
    """``vanilla_opd`` with members of its own, as a plugin's class ``Mine``."""
    method = small_method("vanilla_opd")
    mine: Any = type("Mine", (type(method),), members)
    return mine(**{f.name: getattr(method, f.name) for f in dataclasses.fields(method)})


def refused(match: str, **members: Callable[..., Any]) -> None:
    method = changed(**members)
    with pytest.raises(HarnessError, match=match):
        loss_and_gradient(method, fixed_batch(tiny(0), method=method))


def loss(change: Callable[[Tensor], Any]) -> Callable[..., Any]:
    """A ``token_loss`` that does something to the right one."""
    return lambda self, *arguments: change(super(type(self), self).token_loss(*arguments))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda loss_N: loss_N.mean(),
            r"shape \(\), it must be one loss per token, \[N\], here \[\d+\]: sum over the voc",
        ),
        (lambda loss_N: loss_N[:, None], r"shape \(\d+, 1\), it must be one loss per token"),
        (lambda loss_N: loss_N.tolist(), "a list, it must be one loss per token"),
        (lambda loss_N: loss_N.bfloat16(), "torch.bfloat16, it must be float32 or wider"),
        (lambda loss_N: (loss_N > 0).long(), "torch.int64, it must be float32 or wider"),
        (lambda loss_N: loss_N.detach(), r"a loss without gradient, it must flow through views\[term.trained\]"),
    ],
    ids=["a mean", "a column", "a list", "half precision", "whole numbers", "detached"],
)
def test_a_loss_that_is_none_per_token_is_told(change: Callable[[Tensor], Any], said: str) -> None:
    refused(f"^Mine.token_loss returned {said}", token_loss=loss(change))


@pytest.mark.parametrize("where", ["token_stats", "diagnostics"])
def test_a_quantity_that_is_none_per_token_is_told(where: str) -> None:
    """As a column of [N, 1] it was averaged, or laid out wrongly, without a word."""

    def column(self: Method, *arguments: Any) -> dict[str, Tensor]:
        views = arguments[0] if where == "token_stats" else arguments[1]
        return {"mine": next(iter(views.values())).logp_N.detach()[:, None]}

    said = rf"^Mine.{where} returned shape \(\d+, 1\) for 'mine', it must be one number per token, \[N\], here \[\d+\]"
    refused(said, **{where: column})


def assigned(**parts: Callable[[ScorePool], Any]) -> Callable[..., Assignment]:
    def assign(self: Method, pool: ScorePool, *, progress: float) -> Assignment:
        made: dict[str, Any] = {"mask_BT": pool.mask_BT} | {name: make(pool) for name, make in parts.items()}
        return Assignment(**made)

    return assign


def one_broken(pool: ScorePool) -> Tensor:
    weight_BT = pool.mask_BT.double()
    weight_BT[0, :2] = torch.nan
    return weight_BT


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"mask_BT": lambda pool: pool.mask_BT[:, :1]}, r"mask_BT of shape \(8, 1\), it must be one value per token"),
        (
            {"mask_BT": lambda pool: torch.ones_like(pool.mask_BT)},
            "a mask_BT of torch.bool that is no choice of response",
        ),
        (
            {"mask_BT": lambda pool: pool.mask_BT.long()},
            "a mask_BT of torch.int64 that is no choice of response tokens",
        ),
        ({"weight_BT": lambda pool: torch.ones(8, 1)}, r"weight_BT of shape \(8, 1\), it must be one value per token"),
        ({"weight_BT": one_broken}, "a weight_BT that is not finite at 2 of 25 tokens"),
        ({"fields": lambda pool: {"gate": torch.ones(8)}}, r"fields\['gate'\] of shape \(8,\), it must be one value"),
        (
            {"labels_BT": lambda pool: pool.mask_BT.long(), "label_names": lambda pool: ("one",)},
            "labels_BT with a label beyond its 1 label_names",
        ),
    ],
    ids=["mask", "padding", "numbers", "weight", "nan", "field", "label"],
)
def test_an_assignment_that_is_none_per_token_is_told(parts: dict[str, Callable[[ScorePool], Any]], said: str) -> None:
    refused(f"^Mine.assign returned {said}", assign=assigned(**parts))


def test_a_method_within_its_contract_trains() -> None:
    method = changed(
        assign=assigned(labels_BT=lambda pool: pool.mask_BT.long() - 1, label_names=lambda pool: ("one",)),
        diagnostics=lambda self, term, views, fields: {"mine": views[term.trained].logp_N},
    )
    losses, gradients = loss_and_gradient(method, fixed_batch(tiny(0), method=method))
    assert losses[0] > 0 and any(bool(g.any()) for g in gradients)


@pytest.mark.parametrize("policy", [Policy.STUDENT, Policy.TEACHER, Policy.INITIAL])
def test_a_context_longer_than_the_positions_of_a_policy_that_reads_it_stops_the_step(policy: Policy) -> None:
    """Rotary positions go on beyond what was trained without an error."""
    models, method = policies(), small_method("dopd_initial_self")
    batch = fixed_batch(models[Policy.STUDENT], method=method)
    context = PLAIN if policy is Policy.STUDENT else PRIVILEGED
    needed = max(batch.contexts[context].lengths) + max(LENGTHS)
    models[policy].config.max_position_embeddings = needed
    loss_and_gradient(method, batch, models=models)
    models[policy].config.max_position_embeddings = needed - 1
    with pytest.raises(HarnessError, match=rf"and response of {max(LENGTHS)} exceed the model's \d+ positions \(Qwen3"):
        loss_and_gradient(method, batch, models=models)


@pytest.mark.parametrize("name", ["vanilla_opd", "dopd", "sdpo"])
def test_a_batch_of_which_no_token_enters_the_loss_is_a_step_of_nothing(name: str) -> None:
    """Every token masked: a loss and a gradient of zero, no quotient of zero by zero in the log."""
    method = small_method(name)
    nothing: Any = type("Mine", (type(method),), {"assign": dropping(type(method))})
    mine = nothing(**{f.name: getattr(method, f.name) for f in dataclasses.fields(method)})
    models = policies()
    batch = fixed_batch(models[Policy.STUDENT], method=mine)
    (record,) = list(optimiser_losses(mine, models, batch, progress=0.0, microbatch=3))
    assert (record.loss, record.entropy, record.metrics["tokens_in_loss"]) == (0, 0, 0)
    assert record.tokens == int(batch.rollouts.mask_BT.sum()) and record.entropy_all > 0
    assert all(math.isfinite(value) for value in record.metrics.values())
    assert not any(p.grad is not None and bool(p.grad.any()) for p in models[Policy.STUDENT].parameters())


def dropping(cls: type[Method]) -> Callable[..., Assignment]:
    """The method's own assignment with an empty mask."""

    def assign(self: Method, pool: ScorePool, *, progress: float) -> Assignment:
        given = cls.assign(self, pool, progress=progress)
        return dataclasses.replace(given, mask_BT=torch.zeros_like(given.mask_BT))

    return assign
