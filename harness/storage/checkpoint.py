"""Checkpoints: written whole or not at all, verified before use, falling back to the one before.

``checkpoints/step-000120/``
    weights.safetensors   the student; kept for every checkpoint, later evaluations need it
    state.pt              optimiser, schedule, counters; kept for the newest two only
    metrics.jsonl         the run's log up to this step; kept for the newest two only
    manifest.json         step and sha256 of all three
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
from harness.storage.run_folder import checkpoint_step
from harness.types import HarnessError

WEIGHTS = "weights.safetensors"
STATE = "state.pt"
LOG = "metrics.jsonl"
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


def save(
    folder: Path, step: int, *, weights: Mapping[str, Tensor], state: Mapping[str, Any], log: Path | None = None
) -> Checkpoint:
    """Writes a folder under a temporary name, syncs and renames it; then thins what the run no longer needs.

    Checkpoints of later steps are removed: a run that fell back to an earlier one writes them anew.
    ``state`` holds tensors, numbers, strings, lists and dicts only, so that loading it runs no code.
    ``log`` is the run's log; a copy is kept, so that a resume has the lines up to this step whatever became of it.

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
            if log is not None:
                _sync(log)
                shutil.copyfile(log, part / LOG)
            sums = {name: files.sha256(part / name) for name in (WEIGHTS, STATE, *([LOG] if log else ()))}
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
    for path in reversed(_found(folder)[-STATES_KEPT:]):
        fault = _fault(path, (WEIGHTS, STATE, LOG))
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


def restore_log(log: Path, found: Checkpoint | None) -> None:
    """Makes the run's log what it was at a checkpoint; empty for None. Later lines will be made again.

    Of a checkpoint from before copies were kept, the log's own lines up to its step.
    """
    if found is None:
        files.write_text_atomic(log, "")
    elif (found.path / LOG).exists():
        files.write_text_atomic(log, (found.path / LOG).read_text(encoding="utf-8"))
    else:
        files.keep_jsonl(log, lambda record: record["step"] <= found.step)


def mend_log(folder: Path, step: int, log: Path) -> str:
    """Brings back the log of a run that is trained, if it is not what was written; a line on it, empty if it is.

    Args:
        folder: of the checkpoints. ``step``: the last one.

    Raises:
        HarnessError: the checkpoint's copy is damaged too.
    """
    path = folder / f"step-{step:06d}"
    written = _sums(path).get(LOG)
    if written is None or (log.exists() and files.sha256(log) == written):
        return ""  # of older versions there is no copy
    if fault := _fault(path, (LOG,)):
        raise HarnessError(
            f"{log} is not what was written, and {path} has no other ({fault}): tokens and status of the run are not "
            "known; restore one of the two, or train the run again with --force"
        )
    restore_log(log, Checkpoint(step, path))
    return f"{log.name} was not what was written: brought back from {path.name}"


def _found(folder: Path) -> list[Path]:
    """Folders of checkpoints, by step."""
    return sorted((path for path in folder.glob("step-*") if checkpoint_step(path) is not None), key=_step)


def _thin(folder: Path, step: int) -> None:
    """Drops checkpoints after ``step``, and all training states and copies of the log but the newest two."""
    paths = _found(folder)
    for path in paths:
        if _step(path) > step:
            _remove(path)
    for path in [path for path in paths if _step(path) <= step][:-STATES_KEPT]:
        for name in (STATE, LOG):
            (path / name).unlink(missing_ok=True)


def _step(path: Path) -> int:
    found = checkpoint_step(path)
    return -1 if found is None else found


def _fault(path: Path, names: tuple[str, ...]) -> str:
    """What is wrong with a checkpoint's files, empty if nothing is."""
    if not (path / MANIFEST).exists():
        return f"{MANIFEST} is missing"
    sums = _sums(path)
    # Those of older versions keep no copy of the log.
    asked = [name for name in names if name != LOG or name in sums or not sums]
    if any(name not in sums for name in asked):
        return f"{MANIFEST} is damaged"
    if lost := [name for name in asked if not (path / name).exists()]:
        return f"{lost[0]} is missing"
    bad = [name for name in asked if files.sha256(path / name) != sums[name]]
    return f"sha256 of {' and '.join(bad)} differs" if bad else ""


def _sums(path: Path) -> dict[str, str]:
    """What the manifest of a checkpoint says of its files; nothing if it is damaged or missing."""
    try:
        return dict(files.read_json(path / MANIFEST)["sha256"])
    except (FileNotFoundError, HarnessError, KeyError, TypeError, ValueError):
        return {}


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
