"""Random streams by name: one root seed, one stream per (name, step).

A stream is a pure function of (root, name, step), so a run resumes from any step without storing the state of
a random number generator, and drawing more numbers in one place shifts no other stream. Importing this module
imports no torch.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def seed(root: int, name: str, step: int = 0) -> int:
    """63-bit seed of the stream ``name`` at ``step``: the leading bits of a sha256.

    Args:
        root: the run's seed (``RunSpec.seed``).
        name: what the stream is for, e.g. ``"rollout"``.
        step: optimiser step, or 0 for a stream that is drawn once.
    """
    # JSON keeps ("a", 11) and ("a1", 1) apart, which plain concatenation would not.
    digest = hashlib.sha256(json.dumps([root, name, step]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(root: int, name: str, step: int = 0) -> torch.Generator:
    """A CPU generator at the start of the stream ``name`` at ``step``."""
    import torch

    return torch.Generator().manual_seed(seed(root, name, step))
