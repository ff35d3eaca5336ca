"""Policy views: one policy reading the responses after one context.

Score pass: views without gradient run once over the rollout batch; a few floats per token are kept, and last
hidden states where a loss will need whole distributions. Gradient pass (``harness.training.step``): logits are rebuilt
from hidden states in chunks, so peak memory does not grow with tokens times vocabulary.

Shapes: Q prompts of one context, B rollouts, T response tokens, N response tokens laid flat, D hidden, V vocabulary.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import Embedding, Linear, functional
from transformers import PreTrainedModel

from harness.losses.fused import Head
from harness.losses.tokens import TokenView, chunks
from harness.models.prompts import Prompts
from harness.types import HarnessError, Want

CHECKED = 8
"""Tokens of prompt and response each in ``check_logits``."""
ROUNDING, ROUNDING_HALF = 1e-4, 0.3
"""Nats that two ways of computing a log-probability may differ by, in float32 and in half precision, and the same share
of the log-probability: of 30 layers and 49,152 words the least likely differ by more than the likely."""


def output_layer(model: PreTrainedModel) -> Linear:
    """The layer from hidden states to logits; its weight is [V, D].

    Raises:
        HarnessError: the model has none, so it is no language model.
    """
    layer = model.get_output_embeddings()
    if layer is None:
        raise HarnessError(f"{type(model).__name__} has no output layer: give a causal language model")
    return cast(Linear, layer)


def logits_layer(model: PreTrainedModel) -> Callable[[Tensor], Tensor]:
    """From hidden states to the model's own logits: the output layer, and what the config puts behind it.

    Gemma 2 caps, Cohere multiplies, Granite divides. ``check_logits`` refuses a model that does something else.
    """
    layer, config = output_layer(model), model.config.get_text_config()
    cap: float | None = getattr(config, "final_logit_softcapping", None)
    factor: float = getattr(config, "logit_scale", None) or 1.0
    divisor: float = getattr(config, "logits_scaling", None) or 1.0
    if cap is None and factor == divisor == 1:
        return layer

    def logits(hidden_ND: Tensor) -> Tensor:
        logits_NV = layer(hidden_ND) * factor / divisor
        return logits_NV if cap is None else cap * torch.tanh(logits_NV / cap)

    return logits


def head_of(model: PreTrainedModel, *, trained: bool = False) -> Callable[[Tensor], Tensor]:
    """The output layer for the losses: without gradient, or with the weight's gradient added in place to ``.grad``.

    A layer that is more than a matrix and a bias (adapters, quantised weights, capped logits) is called as it is.
    """
    layer = logits_layer(model)
    if not isinstance(layer, Linear) or type(layer) is not Linear:
        return layer if trained else torch.no_grad()(layer)
    if not trained:
        return Head(layer.weight, layer.bias).frozen()
    if layer.weight.requires_grad and layer.weight.grad is None:
        layer.weight.grad = torch.zeros_like(layer.weight)
    return Head(layer.weight, layer.bias, layer.weight.grad)


def vocabulary_size(model: PreTrainedModel) -> int:
    """Rows of the output layer, padded ids included."""
    return output_layer(model).weight.shape[0]


def response_hidden(model: PreTrainedModel, prompts: Prompts, response_ids_BT: Tensor) -> Tensor:
    """Last hidden states that predict each response token, [B, T, D].

    The prompt of a group is read once and its keys and values serve all its rollouts; gradient flows through
    them. Responses are right-padded, so padding lies in the future of every real token and needs no mask.
    """
    decoder = model.get_decoder()
    inputs = dict(prompts.inputs(model))
    if prompts.media is None:
        inputs |= _words(model, inputs.pop("input_ids"))
    # Only what is around the decoder knows where pictures stand.
    prefix = (decoder if prompts.media is None else model.base_model)(**inputs, use_cache=True)
    first_B1D = prefix.last_hidden_state[:, -1:][prompts.row_of_B]
    T = response_ids_BT.shape[1]
    if T == 1:
        return first_B1D
    cache = prefix.cache
    cache.batch_select_indices(prompts.row_of_B)
    mask_BL = prompts.mask_QL[prompts.row_of_B]
    seen = torch.ones(len(response_ids_BT), T - 1, dtype=torch.long, device=mask_BL.device)
    rest = decoder(
        **_words(model, response_ids_BT[:, :-1]),
        attention_mask=torch.cat([mask_BL.long(), seen], dim=1),
        position_ids=prompts.after_B[..., None] + torch.arange(T - 1, device=mask_BL.device),
        cache=cache,
        use_cache=True,
    )
    return torch.cat([first_B1D, rest.last_hidden_state], dim=1)


@torch.no_grad()
def check_logits(model: PreTrainedModel) -> None:
    """Logits rebuilt from hidden states must be the model's own: a few tokens by both ways, in its dtype.

    Raises:
        HarnessError: some log-probability is off by more than rounding.
    """
    ids_1L = torch.arange(vocabulary_size(model), device=model.device)[None, : 2 * CHECKED]
    start = ids_1L.shape[1] // 2
    prompts = Prompts.of_ids(ids_1L[:, :start].tolist(), 0).to(model.device)
    hidden_1TD = response_hidden(model, prompts, ids_1L[:, start:])
    plain = model(input_ids=ids_1L).logits[:, start - 1 : -1]
    if (off := apart(model, hidden_1TD, plain)) is not None:
        raise HarnessError(
            f"model {model.name_or_path or type(model).__name__}: log-probabilities from its hidden states and output "
            f"layer are off by {off:.2g} nats from its own forward pass: {type(model).__name__} changes logits in a "
            "way that is not known here, choose another model"
        )


def apart(model: PreTrainedModel, hidden_1TD: Tensor, logits_1TV: Tensor) -> float | None:
    """Nats between the log-probabilities of hidden states and those of logits; None within rounding."""
    rebuilt, own = (x.double().log_softmax(-1) for x in (logits_layer(model)(hidden_1TD), logits_1TV))
    off, allowed = float((rebuilt - own).abs().max()), ROUNDING if model.dtype.itemsize > 2 else ROUNDING_HALF
    within = (rebuilt - own).abs() <= allowed * (1 + own.abs())
    return None if bool(within.all()) else off


def _words(model: PreTrainedModel, ids_BL: Tensor) -> dict[str, Tensor]:
    """The argument by which a decoder reads token ids: where they are trained, their vectors, looked up here."""
    layer = model.get_input_embeddings()
    if type(layer) is not Embedding or not (torch.is_grad_enabled() and layer.weight.requires_grad):
        return {"input_ids": ids_BL}
    return {"inputs_embeds": _Lookup.apply(ids_BL, layer.weight, layer.padding_idx)}  # pyright: ignore[reportReturnType]


class _Lookup(torch.autograd.Function):
    """Rows of a leaf [V, D]; their gradient is added in place to its ``.grad``. The library's own lookup makes a
    [V, D] of zeros at each call."""

    @staticmethod
    def forward(ctx: Any, ids_BL: Tensor, weight_VD: Tensor, padding_id: int | None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.ids_BL, ctx.weight_VD, ctx.padding_id = ids_BL, weight_VD, padding_id
        return functional.embedding(ids_BL, weight_VD)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, up_BLD: Tensor) -> tuple[None, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        if ctx.weight_VD.grad is None:
            ctx.weight_VD.grad = torch.zeros_like(ctx.weight_VD)
        if ctx.padding_id is not None:  # as the library has it: padding learns nothing
            up_BLD = up_BLD.masked_fill((ctx.ids_BL == ctx.padding_id)[..., None], 0.0)
        ctx.weight_VD.grad.index_add_(0, ctx.ids_BL.flatten(), up_BLD.flatten(0, -2).to(ctx.weight_VD.dtype))
        return None, None, None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """One view of the local rollouts, no gradient."""

    logp_BT: Tensor | None
    """float [B, T], 0 where padded; None where only the distribution is wanted, whose logits nobody has made yet."""
    entropy_BT: Tensor | None
    hidden_BTD: Tensor | None


@torch.no_grad()
def score(
    model: PreTrainedModel,
    prompts: Prompts,
    response_ids_BT: Tensor,
    mask_BT: Tensor,
    *,
    wants: frozenset[Want],
    temperature: float,
    microbatch: int,
) -> Scores:
    """Score every response token under one view.

    Args:
        response_ids_BT: int64 [B, T], right-padded. mask_BT: bool [B, T].
        microbatch: rollouts per forward pass; changes memory, never the numbers.
    """
    B, T = response_ids_BT.shape
    out: dict[str, list[Tensor]] = {"logp": [], "entropy": [], "hidden": []}
    head = head_of(model)
    for start in range(0, B, microbatch):
        rows = torch.arange(start, min(start + microbatch, B), device=response_ids_BT.device)
        hidden_BTD = response_hidden(model, prompts.select(rows), response_ids_BT[rows])
        flat_ND = hidden_BTD[mask_BT[rows]]
        tokens_N = response_ids_BT[rows][mask_BT[rows]]
        for part in chunks(len(tokens_N), vocabulary_size(model)) if wants - {Want.DISTRIBUTION} else ():
            view = TokenView(tokens_N=tokens_N[part], hidden_ND=flat_ND[part], head=head, temperature=temperature)
            out["logp"].append(view.logp_N)
            out["entropy"].append(view.entropy_N)
        if Want.DISTRIBUTION in wants:
            out["hidden"].append(hidden_BTD)

    def lay_out(values: list[Tensor]) -> Tensor:
        flat_N = torch.cat(values)
        return flat_N.new_zeros(B, T).masked_scatter(mask_BT, flat_N)

    return Scores(
        logp_BT=lay_out(out["logp"]) if Want.LOGP in wants else None,
        entropy_BT=lay_out(out["entropy"]) if Want.ENTROPY in wants else None,
        hidden_BTD=torch.cat(out["hidden"]) if out["hidden"] else None,
    )


@contextmanager
def undisturbed(model: PreTrainedModel) -> Iterator[None]:
    """On leaving, every module is in the mode it was in and the global random states are as they were."""
    import numpy as np

    modes = [(module, module.training) for module in model.modules()]
    python, numpy = random.getstate(), np.random.get_state()
    devices = [model.device] if model.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        for module, training in modes:
            module.training = training
