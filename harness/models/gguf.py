"""A model in a GGUF file as a folder that a run reads: ``python -m harness.models.gguf FILE.gguf FOLDER``.

Quantised weights are written out in float32. transformers reads such a file and refuses to save what it read, so the
model is built anew from its config. Needs the extra ``gguf``.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from harness.storage import files
from harness.types import HarnessError


def rebuild(file: Path, folder: Path, sha256: str = "") -> Path:
    """Config, float32 weights, tokenizer and chat template of the file, in a new folder, which is returned.

    Args:
        sha256: of the file; empty: any.

    Raises:
        HarnessError: the folder is there already; no such file, or another one than meant; a package is missing; the
            file is of a kind that transformers does not read.
    """
    if folder.exists():
        raise HarnessError(f"{folder} is there already: give a new folder")
    if not file.is_file():
        raise HarnessError(f"{file} is no file: give one in the GGUF format")
    if sha256 and (found := files.sha256(file)) != sha256:
        raise HarnessError(f"{file} has sha256 {found[:10]}, not {sha256[:10]}: it is damaged, or another version")
    if missing := [name for name in ("gguf", "accelerate") if importlib.util.find_spec(name) is None]:
        raise HarnessError(f"to read {file.name} install {' and '.join(missing)}: pip install 'dopd-bench[gguf]'")
    try:
        read: Any = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    except (OSError, ValueError, NotImplementedError) as error:
        raise HarnessError(f"transformers does not read {file} ({str(error).splitlines()[0][:160]})") from error
    settings = read.config.to_dict()
    settings.pop("quantization_config", None)
    built = type(read)(type(read.config)(**settings))
    built.load_state_dict(read.state_dict())
    built.generation_config = read.generation_config
    built.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def main() -> int:
    """Command line; 2 after one line on a user's error."""
    parser = argparse.ArgumentParser(prog="python -m harness.models.gguf", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    try:
        print(rebuild(given.file, given.folder))
    except HarnessError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
