"""A run's peak is its own, not that of the run before it in the same worker."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
import torch

from harness.training import memory

MEBIBYTES = 256


def hold() -> bytearray:
    """Memory that is touched, so that it is resident."""
    return bytearray(b"x") * (MEBIBYTES * 2**20)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the GPU's counter is read instead")
@pytest.mark.skipif(not memory.CLEAR_REFS.exists(), reason="this system cannot reset its counter")
def test_the_peak_begins_anew() -> None:
    memory.reset_peak_memory()
    before = memory.peak_memory_mb()
    held = hold()
    assert memory.peak_memory_mb() > before + 0.9 * MEBIBYTES
    del held
    assert memory.peak_memory_mb() > before + 0.9 * MEBIBYTES, "a peak stays when the memory is given back"
    memory.reset_peak_memory()
    assert memory.peak_memory_mb() < before + 0.5 * MEBIBYTES


@pytest.mark.skipif(torch.cuda.is_available(), reason="the GPU's counter is read instead")
def test_without_the_counters_it_is_the_process_so_far(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "CLEAR_REFS", tmp_path / "none" / "clear_refs")
    monkeypatch.setattr(memory, "STATUS", tmp_path / "none" / "status")
    memory.reset_peak_memory()
    assert memory.peak_memory_mb() == resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
