"""Copies of shipped model folders with something changed, as a user's own might be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from support import language

from harness.config import ModelSpec
from harness.models import zoo

Weights = dict[str, torch.Tensor]


def model_folder(
    path: Path,
    name: str = language.STUDENT,
    *,
    weights: Callable[[Weights], Weights] | None = None,
    **records: Callable[[Any], Any] | Mapping[str, Any],
) -> ModelSpec:
    """The shipped model ``name`` at ``path``.

    ``weights`` makes other ones of the file's; a record is a JSON file of the folder (``config``, ``tokenizer``, ...)
    with what to update, or what makes another of it.
    """
    shutil.copytree(zoo.path(name), path)
    if weights:
        file = path / "model.safetensors"
        save_file(weights(load_file(file)), file, metadata={"format": "pt"})
    for stem, change in records.items():
        file = path / f"{stem}.json"
        record = json.loads(file.read_text())
        file.write_text(json.dumps(change(record) if callable(change) else record | dict(change)))
    return ModelSpec(name=str(path))
