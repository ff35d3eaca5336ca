"""torchvision beside a build of torch that it was not made for. Importing this imports no torch.

The package index has torchvision for CUDA alone. Beside a CPU build of torch its compiled operators do not load, it
fails on import, and with it every model of transformers, those of text too.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

OPERATORS = ("nms", "qnms")
"""Of which torchvision registers a stand-in for shapes on import, before it uses any."""
_kept: list[Any] = []
"""The library that declares them; what is declared goes with it."""


class Operators(StrEnum):
    """Where torchvision's compiled operators come from."""

    ABSENT = "absent"
    """There is no torchvision."""
    NATIVE = "native"
    DECLARED = "declared"
    """From nowhere: they have names and cannot be called. Pictures are read, resized and normalised all the same."""


def ensure_torchvision() -> Operators:
    """Make torchvision importable: declare the operators that its compiled part would bring, if that does not load.

    To be called before transformers or vlmeval is imported; changes nothing where torchvision is absent or whole.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return Operators.ABSENT
    if _kept:
        return Operators.DECLARED
    import torch

    try:
        for compiled in Path(next(iter(spec.submodule_search_locations))).glob("_C.*"):
            torch.ops.load_library(str(compiled))
    except OSError:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in OPERATORS:
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _kept.append(library)
        return Operators.DECLARED
    return Operators.NATIVE


class Watch:
    """Calls ``ensure_torchvision`` when anyone begins to import torchvision, once."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> None:
        """Finds nothing: whoever finds modules comes after."""
        if name == "torchvision":
            sys.meta_path.remove(self)
            ensure_torchvision()


def watch() -> None:
    """From now on torchvision is made importable as it is imported, whoever does, transformers for one."""
    if not any(isinstance(finder, Watch) for finder in sys.meta_path):
        sys.meta_path.insert(0, Watch())
