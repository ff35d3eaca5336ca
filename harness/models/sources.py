"""Where a model comes from: one place for each ``ModelSpec``. No torch."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from pathlib import Path

from harness import registry
from harness.config import NOTHING, ModelSpec, RunSpec
from harness.models import zoo
from harness.storage import files, run_folder
from harness.types import HarnessError

WEIGHTS = "model.safetensors"
"""File of a model's folder, which the hash is of."""
CONFIG = "config.json"
"""File that every model's folder has."""
READ = (".safetensors", ".json", ".jinja", ".txt", ".model", ".bin", ".gguf", ".py")
"""Endings of the files in a model's folder that decide what the model is: weights, config, tokenizer, template."""
HUB_SECONDS = 10.0
"""To wait for the hub's answer while a run is planned."""
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
    revision: str | None = None
    """Commit of a hub name; None: the latest."""


def named(text: str) -> ModelSpec:
    """A model as a user writes it, never guessed: a folder is its path, a name of the hub begins with ``hub:``, one of
    the zoo may begin with ``zoo:``.

    Raises:
        HarnessError: it may be two of these, or is none; how to write each.
    """
    kind, colon, name = text.partition(":")
    if not colon or kind not in (Source.ZOO, Source.HUB):
        return _unprefixed(text)
    if kind == Source.ZOO:
        return _of_zoo(registry.lookup("model of the zoo", name, zoo.MANIFEST))
    if not HUB_NAME.fullmatch(name):
        raise HarnessError(f"model {text!r}: a name of the hub is hub:owner/name")
    if Path(name).is_dir() or name in zoo.MANIFEST:
        raise HarnessError(
            f"model {text!r}: {name} is also a folder here or a model of the zoo, which would be read in its place: "
            "run from another folder, or give the path of a copy of the hub's model"
        )
    return ModelSpec(name=name)


def _of_zoo(name: str) -> ModelSpec:
    return ModelSpec(name=name, sha256=zoo.MANIFEST[name]["sha256"])


def _unprefixed(text: str) -> ModelSpec:
    in_zoo, is_folder = text in zoo.MANIFEST, Path(text).expanduser().is_dir()
    if in_zoo and is_folder:
        raise HarnessError(
            f"model {text!r} is a folder here and a model of the zoo: write ./{text} for the folder, zoo:{text} for "
            "the other"
        )
    if in_zoo:
        return _of_zoo(text)
    if is_folder:
        folder = Path(text).expanduser()
        if not (folder / CONFIG).is_file():
            raise HarnessError(f"model {text!r}: the folder has no {CONFIG}: give one that save_pretrained wrote")
        # Without the ./ the same folder is the same model; with it, it is not the zoo's.
        return ModelSpec(name=f"./{folder}" if str(folder) in zoo.MANIFEST else str(folder))
    looks = f"hub:{text}" if HUB_NAME.fullmatch(text) else "hub:owner/name"
    path = Path(text).expanduser()
    beside = [each.name for each in path.parent.glob("*") if (each / CONFIG).is_file()]
    like = [str(path.parent / name) for name in difflib.get_close_matches(path.name, beside)]
    like += difflib.get_close_matches(text, zoo.MANIFEST)
    meant = f", did you mean {' or '.join(like)}?" if like else ":"
    raise HarnessError(
        f"model {text!r}: there is no such folder{meant} give the path of one, a name of the hub ({looks}), or one of "
        f"the zoo ({zoo.names()})"
    )


def parameters(spec: ModelSpec) -> int | None:
    """Of the weights of a folder or of the zoo, read off the heads of their files; None where they are not here."""
    folder = zoo.path(spec.name) if spec.name in zoo.MANIFEST else Path(spec.name)
    found = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    return sum(map(_parameters, found)) if found else None


def _parameters(path: Path) -> int:
    """A file of safetensors begins with the length of its head, 8 bytes, and the head, JSON."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        try:
            head = json.loads(file.read(min(size, path.stat().st_size)))
            return sum(math.prod(each["shape"]) for name, each in head.items() if name != "__metadata__")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise HarnessError(f"{path} is no file of safetensors ({type(error).__name__}): restore it") from error


def digest(folder: Path) -> str:
    """Of the names and contents of a model folder's files, see ``READ``."""
    found = sorted(path for path in folder.iterdir() if path.suffix in READ and path.is_file())
    lines = "".join(f"{_sha256(path)} {path.name}\n" for path in found)
    return hashlib.sha256(lines.encode()).hexdigest()


def identified(spec: ModelSpec) -> ModelSpec:
    """The same model, of a local folder by its content, of a hub name by its commit: what is replaced under the same
    name is another model."""
    if spec.made is not None:
        student, teacher = spec.made.student, spec.made.teacher
        made = replace(spec.made, student=identified(student), teacher=teacher and identified(teacher))
        return replace(spec, made=made)
    if _is_folder(spec):
        return spec if spec.content else replace(spec, content=digest(Path(spec.name)))
    return spec if spec.revision or not _is_hub_name(spec) else replace(spec, revision=latest(spec.name))


def latest(name: str) -> str:
    """The commit that a hub name stands for: the cache's, which is what would be loaded, else the hub's; empty where
    neither knows the name, and then it cannot be loaded either."""
    import huggingface_hub
    from huggingface_hub import constants

    kept = Path(constants.HF_HUB_CACHE, f"models--{name.replace('/', '--')}", "refs", "main")
    if kept.is_file():
        return kept.read_text(encoding="utf-8").strip()
    if constants.HF_HUB_OFFLINE:
        return ""
    try:
        return huggingface_hub.HfApi().model_info(name, timeout=HUB_SECONDS).sha or ""
    except (OSError, ValueError, huggingface_hub.errors.HTTPError):  # the last: no connection, no answer in time
        return ""


def unsaid(run: RunSpec) -> dict[str, str]:
    """Content of the local folders a run reads, by name, where its specs do not say it."""
    return {m.name: digest(Path(m.name)) for m in run.models if _is_folder(m) and not m.content}


def _is_hub_name(spec: ModelSpec) -> bool:
    return (
        spec.made is None and spec != NOTHING and spec.name not in zoo.MANIFEST and bool(HUB_NAME.fullmatch(spec.name))
    )


def _is_folder(spec: ModelSpec) -> bool:
    """Whether it is found as a folder, and there is one."""
    found_otherwise = spec.made is not None or spec == NOTHING or spec.name in zoo.MANIFEST
    return not found_otherwise and Path(spec.name).is_dir()


def is_here(spec: ModelSpec) -> bool:
    """Whether the weights of a shipped model or a folder are, byte for byte, those of the spec; False where the spec
    does not say which."""
    folder = zoo.path(spec.name) if spec.name in zoo.MANIFEST else Path(spec.name)
    weights = folder / WEIGHTS
    return bool(spec.sha256) and weights.is_file() and _sha256(weights) == spec.sha256


def place(spec: ModelSpec, root: Path | None = None) -> Place:
    """Where the model is: the zoo before a folder of the same name, a folder before a hub name.

    A model that is made says so itself. ``root`` is the results folder, asked only for such a model.

    Raises:
        HarnessError: the files are known not to be those of the spec, or of the package; a model that is made has an
            embedded name, is not done, or was asked for without ``root``; the spec is of no model.
    """
    if spec.made is not None:
        return Place(source=Source.MADE, path=str(_made(spec, root)))
    if spec == NOTHING:
        raise HarnessError(f"{NOTHING.name!r} stands for no model: only a recipe that needs none begins there")
    if spec.name in zoo.MANIFEST:
        shipped = zoo.MANIFEST[spec.name]["sha256"]
        _check(spec, spec.sha256, shipped, "the package ships")
        _check_shipped(spec.name, shipped)
        return Place(source=Source.ZOO, path=str(zoo.path(spec.name)))
    weights = Path(spec.name, WEIGHTS)
    if spec.sha256 and weights.is_file():
        _check(spec, spec.sha256, _sha256(weights), "the folder holds")
    if spec.content and _is_folder(spec):
        _check(spec, spec.content, digest(Path(spec.name)), "the folder holds")
    is_folder = Path(spec.name).is_dir() or not HUB_NAME.fullmatch(spec.name)
    if is_folder:
        return Place(source=Source.FOLDER, path=spec.name)
    return Place(source=Source.HUB, path=spec.name, revision=spec.revision or None)


def _made(spec: ModelSpec, root: Path | None) -> Path:
    if spec.name in zoo.MANIFEST:
        raise HarnessError(f"model {spec.name!r} is made and has the name of an embedded one: give it another name")
    if root is None:
        raise HarnessError(f"model {spec.name!r} is made: give the results folder that holds it")
    return run_folder.made_model(root, spec)


def _check(spec: ModelSpec, planned: str, found: str, holder: str) -> None:
    if planned not in ("", found):
        raise HarnessError(
            f"model {spec.name!r}: the run was planned for weights {planned[:10]}, {holder} {found[:10]}; "
            "plan the run again"
        )


def _check_shipped(name: str, sha256: str) -> None:
    weights = zoo.path(name) / WEIGHTS
    if not weights.is_file() or _sha256(weights) != sha256:
        raise HarnessError(
            f"{weights} is not the file the package ships (its sha256 is not the one in manifest.json): restore it "
            "(git checkout, or install the package again)"
        )


def _sha256(path: Path) -> str:
    """Of a file, read once for as long as it stays as it is: model and tokenizer both ask for the weights."""
    about = path.stat()
    return _sha256_of(path.resolve(), about.st_size, about.st_mtime_ns)


@cache
def _sha256_of(path: Path, size: int, mtime_ns: int) -> str:
    return files.sha256(path)
