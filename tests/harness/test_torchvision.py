"""torchvision beside a torch that it was not made for, each state in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def said(script: str, *, path: Path | None = None) -> list[str]:
    """Words that a fresh process prints."""
    before = f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.path.insert(0, {str(path or ROOT)!r})\n"
    done = subprocess.run([sys.executable, "-c", before + script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()


ABSENT = """
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name == "torchvision" else real(name, *a)
import harness
from harness.torchvision import ensure_torchvision
print(ensure_torchvision(), "torch" in sys.modules)
"""


def test_nothing_is_imported_where_torchvision_is_absent() -> None:
    assert said(ABSENT) == ["absent", "False"]


BROKEN = """
import harness, torchvision
from harness.torchvision import ensure_torchvision
watches = [type(finder).__name__ for finder in sys.meta_path].count("Watch")
print(torchvision.seen, ensure_torchvision(), ensure_torchvision(), watches)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("compiled", "state"), [(b"no library", "declared"), (None, "native")])
def test_what_does_not_load_is_declared_before_anyone_imports_it(
    compiled: bytes | None, state: str, tmp_path: Path
) -> None:
    """A stand-in whose import asks for the operators, as torchvision's does."""
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import torch\nseen = [hasattr(torch.ops.torchvision, name) for name in ('nms', 'qnms')]\n"
    )
    if compiled:
        (package / "_C.so").write_bytes(compiled)
    broken = compiled is not None
    assert said(BROKEN, path=tmp_path) == [f"[{broken},", f"{broken}]", state, state, "0"]


@pytest.mark.vision
def test_transformers_and_torchvision_import_after_harness_in_any_order() -> None:
    script = """
import harness
from transformers import AutoProcessor, Qwen3ForCausalLM, Qwen3VLForConditionalGeneration, Qwen3VLProcessor
import torchvision
from harness.torchvision import ensure_torchvision
state = ensure_torchvision()
print(state in ("native", "declared"), torchvision.extension._has_ops() == (state == "native"))
"""
    assert said(script) == ["True", "True"]
