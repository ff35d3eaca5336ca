"""Where a model comes from: one place for each ``ModelSpec``. No torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness.config import NOTHING, ModelSpec
from harness.models import zoo
from harness.storage import files, run_folder
from harness.types import HarnessError

WEIGHTS = "model.safetensors"
"""File of a model's folder, which the hash is of."""
HUB_NAME = re.compile(r"\w[\w.-]*(/[\w.-]+)?")


class Source(StrEnum):
    """Kinds of places."""

    ZOO = "zoo"
    """Shipped with the package."""
    MADE = "made"
    """Made by a run of this results folder."""
    FOLDER = "folder"
    HUB = "hub"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What ``from_pretrained`` is given, and why."""

    source: Source
    path: str
    """A folder; a hub name for ``Source.HUB``."""


def is_here(spec: ModelSpec) -> bool:
    """Whether the weights of a shipped model or a folder are, byte for byte, those of the spec; False where the spec
    does not say which."""
    folder = zoo.path(spec.name) if spec.name in zoo.MANIFEST else Path(spec.name)
    weights = folder / WEIGHTS
    return bool(spec.sha256) and weights.is_file() and files.sha256(weights) == spec.sha256


def place(spec: ModelSpec, root: Path | None = None) -> Place:
    """Where the model is: the zoo before a folder of the same name, a folder before a hub name.

    A model that is made says so itself. ``root`` is the results folder, asked only for such a model.

    Raises:
        HarnessError: the weights are known not to be those of the spec; a model that is made has an embedded name, is
            not done, or was asked for without ``root``; the spec is of no model.
    """
    if spec.made is not None:
        return Place(source=Source.MADE, path=str(_made(spec, root)))
    if spec == NOTHING:
        raise HarnessError(f"{NOTHING.name!r} stands for no model: only a recipe that needs none begins there")
    if spec.name in zoo.MANIFEST:
        _check(spec, zoo.MANIFEST[spec.name]["sha256"], "the package ships")
        return Place(source=Source.ZOO, path=str(zoo.path(spec.name)))
    weights = Path(spec.name, WEIGHTS)
    if spec.sha256 and weights.is_file():
        _check(spec, files.sha256(weights), "the folder holds")
    is_folder = Path(spec.name).is_dir() or not HUB_NAME.fullmatch(spec.name)
    return Place(source=Source.FOLDER if is_folder else Source.HUB, path=spec.name)


def _made(spec: ModelSpec, root: Path | None) -> Path:
    if spec.name in zoo.MANIFEST:
        raise HarnessError(f"model {spec.name!r} is made and has the name of an embedded one: give it another name")
    if root is None:
        raise HarnessError(f"model {spec.name!r} is made: give the results folder that holds it")
    return run_folder.made_model(root, spec)


def _check(spec: ModelSpec, found: str, holder: str) -> None:
    if spec.sha256 not in ("", found):
        raise HarnessError(
            f"model {spec.name!r}: the run was planned for weights {spec.sha256[:10]}, {holder} {found[:10]}; "
            "plan the run again"
        )
