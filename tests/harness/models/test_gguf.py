"""What is refused before a GGUF file is read; a whole one is rebuilt by ``tests/harness/runs/test_smollm.py``."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from harness.models.gguf import rebuild
from harness.types import HarnessError


def test_what_cannot_be_rebuilt_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, folder = tmp_path / "m.gguf", tmp_path / "m"
    with pytest.raises(HarnessError, match=r"m\.gguf is no file: give one in the GGUF format"):
        rebuild(file, folder)
    file.write_bytes(b"GGUF")
    with pytest.raises(HarnessError, match=r"has sha256 \w{10}, not aaaaaaaaaa: it is damaged"):
        rebuild(file, folder, "a" * 64)
    with monkeypatch.context() as patched:
        patched.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(HarnessError, match=r"install gguf and accelerate: pip install 'dopd-bench\[gguf\]'"):
            rebuild(file, folder)
    folder.mkdir()
    with pytest.raises(HarnessError, match=r"m is there already: give a new folder"):
        rebuild(file, folder)
