"""The embedded models: weights and what is known of them. ``python -m harness.models.zoo.WORLD`` makes a world's again.

Importing this module imports no torch.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from harness.types import HarnessError

WEIGHTS = Path(__file__).parent / "weights"
MANIFEST: dict[str, dict[str, Any]] = {
    name: entry
    for file in sorted(WEIGHTS.glob("*/manifest.json"))
    for name, entry in json.loads(file.read_text())["models"].items()
}
"""Of all shipped models; each entry has its folder and its sha256."""


def path(name: str) -> Path:
    """Folder of an embedded model. Raises HarnessError for a name that is not in the zoo."""
    if name not in MANIFEST:
        raise HarnessError(f"no embedded model {name!r}; the zoo has: {names() or 'none'}")
    return WEIGHTS / MANIFEST[name]["folder"]


def names() -> str:
    """Of all shipped models, those of one kind in several draws once."""
    return ", ".join(sorted({re.sub(r"_draw\d+$", "_drawN", name) for name in MANIFEST}))


def sha256(file: Path) -> str:
    """Hex digest of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
