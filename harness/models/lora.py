"""Low-rank adapters (Hu et al., 2021) by peft: few weights are trained, the base serves every other policy.

Models that share a base hold the same tensors, so that a policy costs its adapters and no more: the base alone is the
student before the first step; a *twin* has adapters of its own. A checkpoint holds adapters; merged into the base they
are a model like any other. peft is asked for only where a run has adapters.
"""

from __future__ import annotations

import copy
import importlib
import importlib.util
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from harness import seeds
from harness.config import LoraSpec
from harness.models import vocabulary
from harness.models.forward import vocabulary_size
from harness.types import HarnessError

MARK = ".lora_"
"""In the name of every weight of an adapter."""
ROWS = "vocabulary.rows"
"""Beside the adapters in a checkpoint: to how many rows the run has cut the vocabulary."""


def check_installed() -> None:
    """Raises HarnessError where peft is not."""
    if importlib.util.find_spec("peft") is None:
        raise HarnessError(
            "a run with lora needs the package peft: install the extra lora (pip install 'dopd-bench[lora]'), or leave "
            "lora out to train every weight"
        )


def attach(model: PreTrainedModel, lora: LoraSpec, seed: int) -> PreTrainedModel:
    """Adapters in ``model``, in place, and nothing else in training; returns the base without them.

    The first factor is drawn by ``seed``, the second is zero: the model is the base until it is trained.

    Raises:
        HarnessError: peft is not installed; no layer is one of the targets, or one is an embedding or output layer.
    """
    check_installed()
    _check_targets(model, lora)
    peft: Any = importlib.import_module("peft")
    base = _sharing(model, {})
    config = peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=0.0,
        target_modules=list(lora.targets) or "all-linear",
        bias="none",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.seed(seed, "lora"))
        try:
            peft.inject_adapter_in_model(config, model)
        except ValueError as error:
            raise HarnessError(_no_targets(model, lora, error)) from error
    model.eval()
    return base


def is_attached(model: PreTrainedModel) -> bool:
    """Whether the model has adapters."""
    return any(MARK in name for name, _ in model.named_parameters())


def twin(model: PreTrainedModel) -> PreTrainedModel:
    """The same model, frozen: adapters of its own, as they are now, over the same base."""
    own: dict[int, Any] = {}
    for name, weight in model.named_parameters():
        if MARK in name:
            own[id(weight)] = torch.nn.Parameter(weight.detach().clone(), requires_grad=False)
    return _sharing(model, own)


def merge(model: PreTrainedModel) -> None:
    """The adapters become part of the layers they stand in; in place, of base tensors nobody shares."""
    for name, layer in list(model.named_modules()):
        if _is_wrapped(layer):
            wrapped: Any = layer
            wrapped.merge()
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, wrapped.get_base_layer())


def kept(model: PreTrainedModel) -> dict[str, Tensor]:
    """What a checkpoint holds of a student: its adapters where it has any, else every weight."""
    if not is_attached(model):
        return model.state_dict()
    adapters = {name: weight.detach() for name, weight in model.named_parameters() if MARK in name}
    return adapters | {ROWS: torch.tensor(vocabulary_size(model))}


def cut(model: PreTrainedModel, weights: Mapping[str, Tensor]) -> None:
    """The vocabulary of a model without adapters, as the run that kept these has cut it; in place."""
    vocabulary.cut(model, int(weights[ROWS]))


def take(model: PreTrainedModel, weights: Mapping[str, Tensor]) -> None:
    """The inverse of ``kept``; in place, in a vocabulary that the run may have cut.

    Raises:
        HarnessError: the weights are of other adapters.
    """
    if not is_attached(model):
        vocabulary.take(model, weights)
        return
    own = {name: weight for name, weight in model.named_parameters() if MARK in name}
    given = {name: weight for name, weight in weights.items() if name != ROWS}
    differ = sorted(own.keys() ^ given.keys()) + [n for n in own if n in given and own[n].shape != given[n].shape]
    if differ:
        raise HarnessError(
            f"the checkpoint is of other adapters, first {differ[0]} of {len(differ)}: rank and targets of lora must "
            "be those of the run that made it"
        )
    cut(model, weights)
    with torch.no_grad():
        for name, weight in own.items():
            weight.copy_(given[name])


def trained(model: PreTrainedModel, weights: Mapping[str, Tensor], lora: LoraSpec | None, seed: int) -> PreTrainedModel:
    """A model with the weights of a checkpoint, adapters merged: as it is evaluated and saved; in place."""
    if lora is not None:
        attach(model, lora, seed)
    take(model, weights)
    merge(model)
    return model


def _sharing(model: PreTrainedModel, own: Mapping[int, Any]) -> PreTrainedModel:
    """A copy of the modules over the same tensors, but for those in ``own``, by id."""
    tensors = (*model.parameters(), *model.buffers())
    return copy.deepcopy(model, {id(each): own.get(id(each), each) for each in tensors})


def _check_targets(model: PreTrainedModel, lora: LoraSpec) -> None:
    shared = (model.get_input_embeddings(), model.get_output_embeddings())
    for name, layer in model.named_modules():
        if any(layer is each for each in shared) and name.rpartition(".")[2] in lora.targets:
            raise HarnessError(
                f"lora targets {', '.join(lora.targets)}: {name} is the embedding or the output layer, which take no "
                "adapters here; name other layers"
            )


def _is_wrapped(layer: Any) -> bool:
    return hasattr(layer, "lora_A")


def _no_targets(model: PreTrainedModel, lora: LoraSpec, error: Exception) -> str:
    linear = {n.rpartition(".")[2] for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
    return (
        f"lora targets {', '.join(lora.targets) or 'all linear layers'}: peft finds none in {type(model).__name__} "
        f"({str(error).splitlines()[0][:120]}); choose among {', '.join(sorted(linear))}"
    )
