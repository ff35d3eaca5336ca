"""Other kernels for the layers of transformers, where a run asks for them (``RunSpec.kernels``).

Liger kernels (arXiv:2410.10989) replace normalisation, rotary positions and the gated MLP of a family of models for the
whole process, so that all runs of a process have the same. Its losses are left out: a method's loss is not the model's.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Iterable
from typing import Any

import torch
from transformers import AutoConfig

from harness.config import TORCH, ModelSpec
from harness.models import sources
from harness.storage.run_folder import RunFolder
from harness.training.process import device
from harness.types import HarnessError

PACKAGE = "liger_kernel"
LOSSES = ("cross_entropy", "fused_linear_cross_entropy")

_patched: set[str] = set()
"""Types of model whose layers this process has replaced."""


def check(name: str, where: torch.device) -> None:
    """Raises HarnessError where other kernels than torch's cannot run: they are Triton's, for a GPU."""
    if where.type != "cuda":
        raise HarnessError(
            f"kernels {name!r} run on a GPU, and device is {where}: give --device cuda, or --kernels torch"
        )
    if importlib.util.find_spec(PACKAGE) is None:
        raise HarnessError(
            f"kernels {name!r} need the package liger-kernel: install the extra (pip install 'dopd-bench[liger]'), or "
            "give --kernels torch"
        )


def use(folder: RunFolder) -> None:
    """Makes the kernels of a run those of this process; to be called before its models are loaded.

    Raises:
        HarnessError: see ``check``; the package has none for the model's type; an earlier run of this process had
            others.
    """
    spec = folder.spec
    if spec.kernels == TORCH:
        if _patched:
            raise HarnessError(
                f"run {spec.label} asks for kernels {TORCH!r} in a process whose {', '.join(sorted(_patched))} have "
                "others: start it in a process of its own"
            )
        return
    check(spec.kernels, device(spec.device))
    for kind in sorted(set(_kinds(filter(None, (spec.student, spec.teacher)), folder))):
        _patch(kind)


def _kinds(models: Iterable[ModelSpec], folder: RunFolder) -> Iterable[str]:
    for spec in models:
        found = sources.place(spec, folder.root)
        config: Any = AutoConfig.from_pretrained(found.path, revision=found.revision, trust_remote_code=False)
        yield config.model_type


def _patch(kind: str) -> None:
    if kind in _patched:
        return
    apply = getattr(importlib.import_module(f"{PACKAGE}.transformers"), f"apply_liger_kernel_to_{kind}", None)
    if apply is None:
        raise HarnessError(f"liger-kernel has no kernels for models of type {kind!r}: give --kernels torch")
    taken = inspect.signature(apply).parameters
    apply(**{name: False for name in LOSSES if name in taken})
    _patched.add(kind)
