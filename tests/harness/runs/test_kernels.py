"""Liger's kernels: which function is asked, with what, and what is refused. A stand-in of the package: no GPU here."""

from __future__ import annotations

import dataclasses
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from support.synthetic import options, specs

from harness.runs import kernels, run
from harness.runs.plan import PlannedRun, check_kernels
from harness.storage.run_folder import RunFolder, RunState
from harness.types import HarnessError

CUDA = torch.device("cuda")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, bool]]]:
    """A machine with a GPU and the package, by appearance; what its function for Qwen3 was given."""
    calls: list[dict[str, bool]] = []

    def apply(rope: bool = True, cross_entropy: bool = False, fused_linear_cross_entropy: bool = True) -> None:
        calls.append({"rope": rope, "cross_entropy": cross_entropy, "fused": fused_linear_cross_entropy})

    package, part = types.ModuleType(kernels.PACKAGE), types.ModuleType(f"{kernels.PACKAGE}.transformers")
    vars(part)["apply_liger_kernel_to_qwen3"] = apply
    package.__spec__ = importlib.machinery.ModuleSpec(kernels.PACKAGE, None)
    monkeypatch.setitem(sys.modules, kernels.PACKAGE, package)
    monkeypatch.setitem(sys.modules, part.__name__, part)
    monkeypatch.setattr(kernels, "device", lambda name: CUDA)
    monkeypatch.setattr(kernels, "_patched", set())
    yield calls


def run_of(root: Path, name: str) -> RunFolder:
    spec = next(spec for spec in specs(options(root)) if spec.method)
    return RunFolder(root, dataclasses.replace(spec, kernels=name))


def test_both_models_of_one_type_are_replaced_once_and_no_loss_is(asked: list[dict[str, bool]], tmp_path: Path) -> None:
    for _ in range(2):
        kernels.use(run_of(tmp_path, "liger"))
    assert asked == [{"rope": True, "cross_entropy": False, "fused": False}]


def test_torch_asks_nothing_and_is_refused_after_others(asked: list[dict[str, bool]], tmp_path: Path) -> None:
    kernels.use(run_of(tmp_path, "torch"))
    assert not asked
    kernels.use(run_of(tmp_path, "liger"))
    with pytest.raises(HarnessError, match="asks for kernels 'torch' in a process whose qwen3 have others"):
        kernels.use(run_of(tmp_path, "torch"))


def test_a_type_without_kernels_is_named(asked: list[dict[str, bool]], tmp_path: Path) -> None:
    del vars(sys.modules[f"{kernels.PACKAGE}.transformers"])["apply_liger_kernel_to_qwen3"]
    with pytest.raises(HarnessError, match="no kernels for models of type 'qwen3': give --kernels torch"):
        kernels.use(run_of(tmp_path, "liger"))


@pytest.mark.parametrize("asked_for", [run.run, run.rehearse])
def test_a_run_asks_before_its_models_are_loaded(asked_for: Callable[..., str], tmp_path: Path) -> None:
    folder = run_of(tmp_path, "liger")
    folder = RunFolder(tmp_path, dataclasses.replace(folder.spec, device="cpu"))
    with pytest.raises(HarnessError, match="run on a GPU"):
        asked_for(folder, (), lambda *_: None)


def test_without_a_gpu_or_the_package_a_plan_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = dataclasses.replace(run_of(tmp_path, "liger").spec, device="cpu")
    plan = [PlannedRun(spec=spec, state=RunState.ABSENT, wanted=(), estimate_seconds=1.0)]
    with pytest.raises(HarnessError, match="run on a GPU, and device is cpu: give --device cuda, or --kernels torch"):
        check_kernels(plan)
    monkeypatch.setitem(sys.modules, kernels.PACKAGE, None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(HarnessError, match=r"need the package liger-kernel: .*dopd-bench\[liger\]"):
        kernels.check("liger", CUDA)
    check_kernels([dataclasses.replace(plan[0], state=RunState.DONE)])
