"""One rollout batch through a method: score pass, assignment over the global batch, gradient pass.

Nothing here knows which method runs; the method says which views it needs and returns a loss per token.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from harness.losses.tokens import TokenView, chunks
from harness.method import Method, untrained_views
from harness.models import load
from harness.models.forward import Scores, head_of, response_hidden, score, vocabulary_size
from harness.models.prompts import Prompts
from harness.models.sampler import RolloutBatch
from harness.training import contract, finite
from harness.training.phases import Phases
from harness.training.reduce import (
    coefficients,
    feeds,
    gather_pool,
    local_rows,
    merged_over_ranks,
    sum_gradients,
    sum_over_ranks,
)
from harness.types import Assignment, Policy, ScorePool, Term, View, Want


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rollouts with the prompts of every context a method asks for."""

    rollouts: RolloutBatch
    contexts: Mapping[str, Prompts]
    draw_B: Tensor
    """float64 [B], uniform in [0, 1)."""
    reference_B: Tensor
    """bool [B]: rows of ``rollouts`` that are the data's reference responses."""
    reward_B: Tensor | None = None
    """float32 [B]; None where the data cannot verify."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassRecord:
    """What the gradient pass of one optimiser step saw on this rank."""

    loss: Tensor
    """float64 scalar: this rank's share of the loss."""
    loss_BT: Tensor
    """[B, T]: token losses, weighted by their terms and summed over them."""
    entropy_BT: Tensor
    """[B, T]: entropy of the first term's trained view at the tokens in that term, nats."""
    diagnostics: Mapping[str, Tensor]
    """float64 [2] each: sum over this rank's tokens in the loss, and their count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """What one optimiser step saw, for the log; numbers are of all ranks."""

    loss: float
    entropy: float
    """Of the first term's trained view, nats per token *in the loss*; a token that only later terms read counts as 0.
    What the published rows hold."""
    entropy_all: float
    """Of the same view, nats per response token of the first term's completion, in the loss or not."""
    tokens: int
    """Response tokens that feed this step."""
    metrics: Mapping[str, float]


def score_views(
    method: Method, models: Mapping[Policy, PreTrainedModel], batch: Batch, *, microbatch: int
) -> dict[View, Scores]:
    """Every view the method needs without gradient, each scored once.

    Raises:
        HarnessError: what ``finite.check_scores`` refuses.
    """
    wanted = dict.fromkeys([v for term in method.terms for v in term.sources] + list(method.scored))
    ids_BT, mask_BT = batch.rollouts.response_ids_BT, batch.rollouts.mask_BT
    scores: dict[View, Scores] = {}
    for view in wanted:
        scores[view] = score(
            models[view.policy],
            batch.contexts[view.context],
            ids_BT,
            mask_BT,
            wants=view.wants,
            temperature=view.temperature,
            microbatch=microbatch,
        )
        finite.check_scores(view, scores[view], mask_BT)
    return scores


def check_fits(method: Method, models: Mapping[Policy, PreTrainedModel], batch: Batch) -> None:
    """Every policy has positions for the longest prompt of every context it reads, and the longest response after it.

    Raises:
        HarnessError: one has not.
    """
    longest = int(batch.rollouts.mask_BT.sum(-1).max())
    views = [*untrained_views(method), *(term.trained for term in method.terms)]
    for policy, context in dict.fromkeys((view.policy, view.context) for view in views):
        load.check_lengths(models[policy], batch.contexts[context].lengths, longest)


def build_pool(
    method: Method, models: Mapping[Policy, PreTrainedModel], batch: Batch, scores: Mapping[View, Scores]
) -> ScorePool:
    """This rank's part of the score pool, on the CPU."""
    r = batch.rollouts
    groups, group_B = torch.unique(r.prompt_of_B, return_inverse=True)
    update_of_group = torch.arange(len(groups)) * method.updates // len(groups)
    return ScorePool(
        mask_BT=r.mask_BT.cpu(),
        logp_BT={v: s.logp_BT.cpu() for v, s in scores.items() if s.logp_BT is not None},
        entropy_BT={v: s.entropy_BT.cpu() for v, s in scores.items() if s.entropy_BT is not None},
        sampler_logp_BT=r.logp_BT.cpu(),
        group_B=group_B.cpu(),
        update_B=update_of_group[group_B.cpu()],
        draw_B=batch.draw_B,
        reference_B=batch.reference_B,
        present_B={name: p.present_B.cpu() for name, p in batch.contexts.items() if p.present_B is not None},
        reward_B=None if batch.reward_B is None else batch.reward_B.cpu(),
        stats_BT=_token_stats(method, models, batch, scores),
    )


@torch.no_grad()
def _token_stats(
    method: Method, models: Mapping[Policy, PreTrainedModel], batch: Batch, scores: Mapping[View, Scores]
) -> dict[str, Tensor]:
    if type(method).token_stats is Method.token_stats:
        return {}
    mask_BT = batch.rollouts.mask_BT
    tokens_N = batch.rollouts.response_ids_BT[mask_BT]
    parts: dict[str, list[Tensor]] = {}
    for part in chunks(len(tokens_N), vocabulary_size(models[Policy.STUDENT])):
        views = {v: _source_view(models, v, s, mask_BT, tokens_N, part) for v, s in scores.items()}
        for name, value_N in method.token_stats(views).items():
            parts.setdefault(name, []).append(
                contract.quantity(method, "token_stats", name, value_N, len(tokens_N[part]))
            )
    return {
        name: torch.zeros_like(mask_BT, dtype=values[0].dtype).masked_scatter(mask_BT, torch.cat(values)).cpu()
        for name, values in parts.items()
    }


def gradient_pass(
    method: Method,
    models: Mapping[Policy, PreTrainedModel],
    batch: Batch,
    scores: Mapping[View, Scores],
    assignment: Assignment,
    coefficients_BT: Sequence[Tensor],
    *,
    microbatch: int,
) -> PassRecord:
    """Accumulate the student's gradient of the sum over terms of coefficient times token loss.

    ``coefficients_BT`` has one [B, T] per term; rows without a non-zero one are not read. Gradients are summed
    over ranks by the caller.
    """
    mask_BT = batch.rollouts.mask_BT
    dtype = torch.promote_types(models[Policy.STUDENT].dtype, torch.float32)
    loss_BT, entropy_BT = (torch.zeros_like(mask_BT, dtype=dtype) for _ in range(2))
    total = torch.zeros((), dtype=torch.float64)
    diagnostics: dict[str, Tensor] = {}
    for i, (term, coefficient_BT) in enumerate(zip(method.terms, coefficients_BT, strict=True)):
        used_BT = (coefficient_BT != 0).to(mask_BT.device)
        rows = torch.nonzero(used_BT.any(-1)).squeeze(-1)
        for start in range(0, len(rows), microbatch):
            part = rows[start : start + microbatch]
            tokens = _Tokens.of(batch, assignment, coefficient_BT, used_BT, part)
            loss_N, entropy_N = _term_gradient(method, term, models, batch, scores, tokens, diagnostics)
            total += (tokens.weight_N.cpu().double() * loss_N.cpu().double()).sum()
            used_part = used_BT[part]
            loss_BT[part] += term.weight * torch.zeros_like(loss_BT[part]).masked_scatter(used_part, loss_N.to(dtype))
            if i == 0:
                entropy_BT[part] = entropy_BT[part].masked_scatter(used_part, entropy_N.to(dtype))
    return PassRecord(loss=total, loss_BT=loss_BT.cpu(), entropy_BT=entropy_BT.cpu(), diagnostics=diagnostics)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tokens:
    """The tokens of some rollouts that enter one term; no other token is computed, so none can spoil the sum."""

    rows: Tensor
    used_BT: Tensor
    ids_N: Tensor
    weight_N: Tensor
    fields: Mapping[str, Tensor]

    @classmethod
    def of(cls, batch: Batch, assignment: Assignment, coefficient_BT: Tensor, used_BT: Tensor, rows: Tensor) -> _Tokens:
        used_rows_BT = used_BT[rows]
        on_cpu, rows_on_cpu = used_rows_BT.cpu(), rows.cpu()

        def flat(value_BT: Tensor) -> Tensor:
            return value_BT[rows_on_cpu][on_cpu].to(rows.device)

        return cls(
            rows=rows,
            used_BT=used_rows_BT,
            ids_N=batch.rollouts.response_ids_BT[rows][used_rows_BT],
            weight_N=flat(coefficient_BT),
            fields={k: flat(v) for k, v in assignment.fields.items()},
        )


def _term_gradient(
    method: Method,
    term: Term,
    models: Mapping[Policy, PreTrainedModel],
    batch: Batch,
    scores: Mapping[View, Scores],
    tokens: _Tokens,
    diagnostics: dict[str, Tensor],
) -> tuple[Tensor, Tensor]:
    """One term on some tokens: forward, chunked loss, one backward through the network.

    Returns losses and entropies, [N] each, and adds to ``diagnostics``.
    """
    student = models[Policy.STUDENT]
    prompts = batch.contexts[term.trained.context].select(tokens.rows)
    hidden_ND = response_hidden(student, prompts, batch.rollouts.response_ids_BT[tokens.rows])[tokens.used_BT]
    # The loss reaches this leaf chunk by chunk; the network is walked backward once, at the end.
    leaf_ND = hidden_ND.detach().requires_grad_()
    here = {view: _select(s, tokens.rows) for view, s in scores.items()}
    head = head_of(student, trained=True)
    losses, entropies = [], []
    for part in chunks(len(tokens.ids_N), vocabulary_size(student)):
        views = {v: _source_view(models, v, s, tokens.used_BT, tokens.ids_N, part) for v, s in here.items()}
        views[term.trained] = TokenView(
            tokens_N=tokens.ids_N[part],
            hidden_ND=leaf_ND[part],
            head=head,
            temperature=term.trained.temperature,
        )
        fields = {k: v[part] for k, v in tokens.fields.items()}
        n = len(tokens.ids_N[part])
        loss_N = contract.token_loss(method, method.token_loss(term, views, fields), n)
        (loss_N * tokens.weight_N[part].to(loss_N.dtype)).sum().backward()
        losses.append(loss_N.detach())
        with torch.no_grad():
            entropies.append(views[term.trained].entropy_N)
            finite.check_loss(method, term, losses[-1], entropies[-1])
            for name, value_N in method.diagnostics(term, views, fields).items():
                value_N = contract.quantity(method, "diagnostics", name, value_N, n)
                more = torch.tensor([float(value_N.sum()), float(n)], dtype=torch.float64)
                diagnostics[name] = diagnostics.get(name, torch.zeros_like(more)) + more
    if leaf_ND.grad is not None:
        hidden_ND.backward(leaf_ND.grad)
    return torch.cat(losses), torch.cat(entropies)


def optimiser_losses(
    method: Method,
    models: Mapping[Policy, PreTrainedModel],
    batch: Batch,
    *,
    progress: float,
    microbatch: int,
    phases: Phases | None = None,
) -> Iterator[StepRecord]:
    """Yield once per optimiser step of this batch, with the student's summed gradient in ``.grad``.

    The caller steps the optimiser and zeroes the gradient between two yields. Scores, thresholds and
    assignment are fixed over the steps; only the trained view moves.
    """
    phases = phases or Phases()
    check_fits(method, models, batch)
    with phases("scores"):
        scores = score_views(method, models, batch, microbatch=microbatch)
    with phases("assignment"):
        pool, rows = gather_pool(build_pool(method, models, batch, scores))
        everywhere = contract.assignment(method, method.assign(pool, progress=progress), pool)
        width = batch.rollouts.mask_BT.shape[1]
        here = local_rows(everywhere, rows, width)
    for update in range(method.updates):
        with phases("gradient"):
            factors = [
                term.weight
                * coefficients(method.reduction, pool, everywhere, update=update, completion=term.completion)[
                    rows, :width
                ]
                for term in method.terms
            ]
            seen = gradient_pass(method, models, batch, scores, here, factors, microbatch=microbatch)
            sum_gradients(models[Policy.STUDENT])
            asked_BT = batch.rollouts.mask_BT.cpu() & feeds(pool, update, method.terms[0].completion)[rows, None]
            rest_N = _entropy_outside(method, models, batch, asked_BT & (factors[0] == 0), microbatch=microbatch)
        kept_BT = torch.stack([f != 0 for f in factors]).any(0)
        entropies = [seen.entropy_BT.double().sum() + rest_N.double().sum(), asked_BT.sum().double()]
        yield _record(pool, everywhere, here, kept_BT, seen, entropies, update)


def _entropy_outside(
    method: Method, models: Mapping[Policy, PreTrainedModel], batch: Batch, outside_BT: Tensor, *, microbatch: int
) -> Tensor:
    """Entropy of the first term's trained view at the tokens its gradient pass left out, [N] on the CPU."""
    outside_BT = outside_BT.to(batch.rollouts.mask_BT.device)
    rows = torch.nonzero(outside_BT.any(-1)).squeeze(-1)
    if not len(rows):
        return torch.zeros(0)
    trained = method.terms[0].trained
    found = score(
        models[Policy.STUDENT],
        batch.contexts[trained.context].select(rows),
        batch.rollouts.response_ids_BT[rows],
        outside_BT[rows],
        wants=frozenset({Want.ENTROPY}),
        temperature=trained.temperature,
        microbatch=microbatch,
    )
    assert found.entropy_BT is not None
    return found.entropy_BT[outside_BT[rows]].cpu()


def _record(
    pool: ScorePool,
    everywhere: Assignment,
    here: Assignment,
    kept_BT: Tensor,
    seen: PassRecord,
    entropies: Sequence[Tensor],
    update: int,
) -> StepRecord:
    """Global numbers of one optimiser step.

    Args:
        kept_BT: this rank's tokens with a gradient.
        entropies: float64 scalars: this rank's sum over all tokens asked, and their count.
    """
    sums = [seen.loss, seen.entropy_BT[kept_BT].double().sum(), kept_BT.sum().double(), *entropies]
    for label in range(len(here.label_names)):
        assert here.labels_BT is not None
        sums.append(seen.loss_BT[kept_BT & (here.labels_BT == label)].double().sum())
    summed = torch.stack(sums)
    sum_over_ranks(summed)
    now_B = pool.update_B == update
    tokens = int(pool.mask_BT[now_B].sum())
    metrics = {"tokens_in_loss": float(everywhere.mask_BT[now_B].sum() / max(tokens, 1)), **everywhere.metrics}
    for label, name in enumerate(everywhere.label_names):
        assert everywhere.labels_BT is not None
        count = int(((everywhere.labels_BT == label) & everywhere.mask_BT)[now_B].sum())
        metrics[f"share/{name}"] = count / max(tokens, 1)
        metrics[f"loss/{name}"] = float(summed[5 + label]) / count if count else 0.0
    for name, sum_and_count in merged_over_ranks(seen.diagnostics).items():
        metrics[name] = float(sum_and_count[0] / sum_and_count[1].clamp(min=1))
    return StepRecord(
        loss=float(summed[0]),
        entropy=float(summed[1] / summed[2].clamp(min=1)),
        entropy_all=float(summed[3] / summed[4].clamp(min=1)),
        tokens=tokens,
        metrics=metrics,
    )


def _source_view(
    models: Mapping[Policy, PreTrainedModel],
    view: View,
    scores: Scores,
    mask_BT: Tensor,
    tokens_N: Tensor,
    part: slice,
) -> TokenView:
    wants_all = Want.DISTRIBUTION in view.wants and scores.hidden_BTD is not None
    return TokenView(
        tokens_N=tokens_N[part],
        logp_N=None if scores.logp_BT is None else scores.logp_BT[mask_BT][part],
        hidden_ND=scores.hidden_BTD[mask_BT][part] if wants_all and scores.hidden_BTD is not None else None,
        head=head_of(models[view.policy]) if wants_all else None,
        temperature=view.temperature,
    )


def _select(scores: Scores, rows: Tensor) -> Scores:
    return Scores(
        logp_BT=None if scores.logp_BT is None else scores.logp_BT[rows],
        entropy_BT=None if scores.entropy_BT is None else scores.entropy_BT[rows],
        hidden_BTD=None if scores.hidden_BTD is None else scores.hidden_BTD[rows],
    )
