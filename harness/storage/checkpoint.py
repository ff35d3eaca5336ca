"""Checkpoints: written whole or not at all, verified before use, falling back to the one before.

``checkpoints/step-000120/``
    weights.safetensors   the student; kept for every checkpoint, later evaluations need it
    state.pt              optimiser, schedule, counters; kept for the newest two only
    manifest.json         step and sha256 of both
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from harness.storage import files
from harness.types import HarnessError

WEIGHTS = "weights.safetensors"
STATE = "state.pt"
MANIFEST = "manifest.json"
STATES_KEPT = 2
"""The newest may be damaged by whatever stopped the run; the one before is the way back."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One verified checkpoint on disk."""

    step: int
    path: Path

    def weights(self) -> dict[str, Tensor]:
        """The student's full state dict, tied entries included, on the CPU."""
        return _read_weights(self.path / WEIGHTS)

    def state(self) -> dict[str, Any]:
        """The training state given to ``save``, on the CPU."""
        return torch.load(self.path / STATE, map_location="cpu", weights_only=True)


def save(folder: Path, step: int, *, weights: Mapping[str, Tensor], state: Mapping[str, Any]) -> Checkpoint:
    """Writes a folder under a temporary name, syncs and renames it; then thins what the run no longer needs.

    Checkpoints of later steps are removed: a run that fell back to an earlier one writes them anew.
    ``state`` holds tensors, numbers, strings, lists and dicts only, so that loading it runs no code.

    Raises:
        HarnessError: the disk is full; older checkpoints are kept.
    """
    final = folder / f"step-{step:06d}"
    part = folder / f".{final.name}.tmp"
    _remove(part)
    with files.disk_guard(final):
        try:
            part.mkdir(parents=True)
            _write_weights(part / WEIGHTS, weights)
            _write_state(part / STATE, state)
            sums = {name: files.sha256(part / name) for name in (WEIGHTS, STATE)}
            for name in sums:
                _sync(part / name)
            files.write_json_atomic(part / MANIFEST, {"step": step, "sha256": sums})
            _remove(final)
            os.replace(part, final)
        except BaseException:
            _remove(part)
            raise
    _thin(folder, step)
    return Checkpoint(step, final)


def latest_valid(folder: Path) -> tuple[Checkpoint | None, str]:
    """The newest checkpoint a run can go on from, and a line on what was passed over (empty: nothing).

    None: start from step 0. Only the newest two are asked, the others keep weights alone.
    """
    faults: list[str] = []
    found = None
    for path in sorted(folder.glob("step-*"), key=_step, reverse=True)[:STATES_KEPT]:
        fault = _fault(path, (WEIGHTS, STATE))
        if not fault:
            found = Checkpoint(_step(path), path)
            break
        faults.append(f"{path.name} ({fault})")
    if not faults:
        return found, ""
    way = f"goes on from step {found.step}" if found else "starts again from step 0"
    return found, f"damaged checkpoint in {folder}: {', '.join(faults)}; the run {way}"


def at_step(folder: Path, step: int) -> Checkpoint:
    """The checkpoint of one step, its weights verified; for evaluation.

    Raises:
        HarnessError: it is absent or its weights are damaged.
    """
    path = folder / f"step-{step:06d}"
    fault = _fault(path, (WEIGHTS,))
    if fault:
        raise HarnessError(
            f"checkpoint {path} cannot be evaluated ({fault}); the run's other checkpoints and rows are "
            "kept: run again with --force to train it anew"
        )
    return Checkpoint(step, path)


def _thin(folder: Path, step: int) -> None:
    """Drops checkpoints after ``step`` and all training states but the newest two."""
    paths = sorted(folder.glob("step-*"), key=_step)
    for path in paths:
        if _step(path) > step:
            _remove(path)
    for path in [path for path in paths if _step(path) <= step][:-STATES_KEPT]:
        (path / STATE).unlink(missing_ok=True)


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def _fault(path: Path, names: tuple[str, ...]) -> str:
    """What is wrong with a checkpoint's files, empty if nothing is."""
    try:
        sums = files.read_json(path / MANIFEST)["sha256"]
        bad = [name for name in names if files.sha256(path / name) != sums[name]]
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (HarnessError, KeyError, TypeError):
        return f"{MANIFEST} is damaged"
    return f"sha256 of {' and '.join(bad)} differs" if bad else ""


def _write_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Safetensors refuses shared memory: a tied entry is stored once and named in the file's metadata."""
    stored: dict[str, Tensor] = {}
    first: dict[tuple[Any, ...], str] = {}
    tied: dict[str, str] = {}
    for name, tensor in weights.items():
        key = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        if tensor.numel() and key in first:
            tied[name] = first[key]
        else:
            first[key] = name
            stored[name] = tensor.detach().cpu().contiguous()
    save_file(stored, path, metadata=tied)


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            out = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            return out | {name: out[first] for name, first in (file.metadata() or {}).items()}
    except SafetensorError as error:
        raise HarnessError(
            f"{path} is not readable ({error}): run again, it falls back to the checkpoint before"
        ) from error


def _write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Through an open file: given a path, torch.save would lose the OSError of a full disk."""
    with path.open("wb") as file:
        torch.save(dict(state), file)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
