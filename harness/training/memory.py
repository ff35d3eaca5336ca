"""The most memory that a run took, where a worker does several one after the other."""

from __future__ import annotations

import resource
from pathlib import Path

import torch

CLEAR_REFS, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
RESET_PEAK = "5"
"""Written to ``clear_refs`` it sets the kernel's ``VmHWM`` back to what the process holds now (proc(5))."""


def reset_peak_memory() -> None:
    """The peak begins anew; where the system has no such counter it stays that of the whole process."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return
    try:
        CLEAR_REFS.write_text(RESET_PEAK, encoding="ascii")
    except OSError:
        return


def peak_memory_mb() -> float:
    """Largest memory since ``reset_peak_memory``, MiB: of the GPU if there is one, else resident memory, with whatever
    libraries and earlier runs still held. Without Linux's counters: of the process since it began.
    """
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    lines = STATUS.read_text(encoding="ascii").splitlines() if STATUS.exists() else []
    peaks = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return (int(peaks[0]) if peaks else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024
