"""As others run it: from a wheel in a folder that is no checkout, and under python -OO."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SELECTED = ("--suite", "ood", "--methods", "dopd,vanilla_opd", "--seeds", "1", "--steps", "2")
SELECTED += ("--train-domains", "coding")
NOT_BUILT = "No matching distribution|Could not find a version|Connection|hatchling"
"""What pip says where it cannot reach the build's own requirements."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a wheel of this checkout installs."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip"]
    built = subprocess.run([*pip, "wheel", "--no-deps", "-q", "-w", folder, ROOT], capture_output=True, text=True)
    if built.returncode and any(word in built.stderr for word in NOT_BUILT.split("|")):
        pytest.skip("pip cannot get hatchling here")
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    install = [*pip, "install", "--no-deps", "-q", "--target", folder / "site", wheel]
    subprocess.run(install, check=True, capture_output=True)
    return folder / "site"


def dopd(at: Path, code: Path, *words: str, python: tuple[str, ...] = ()) -> str:
    environment = os.environ | {"PYTHONPATH": str(code), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *python, "-m", "harness", *words]
    done = subprocess.run(command, cwd=at, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    return done.stdout


def content(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def numbers(results: Path) -> dict[str, bytes]:
    found = {path.parent.name: path.read_bytes() for path in results.glob("runs/*/rows.jsonl")}
    assert len(found) == 4
    return found


def test_a_wheel_works_outside_a_checkout_and_is_not_written_to(site: Path, tmp_path: Path) -> None:
    """Before, tables asked for files of the checkout, and publish wrote into site-packages."""
    before = content(site)
    for words in (
        ("run", *SELECTED, "--jobs", "1"),
        ("table", *SELECTED),
        ("figure", *SELECTED),
        ("publish", *SELECTED),
        ("table", *SELECTED, "--from", "published"),
        ("table", "--suite", "ood", "--from", "paper"),
        ("export", "--out", "tasks", "--benchmarks", "permutations_coding"),
        ("methods", "new", "my_method"),
    ):
        dopd(tmp_path, site, *words)
    assert (tmp_path / "results" / "embedded" / "ood" / "rows.jsonl").is_file()
    planned = dopd(tmp_path, site, "plan", "--suite", "ood", "--seeds", "1", "--results", "others")
    assert "2 references from published rows;" in planned  # unmarked: the installed code is that which made them
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    dopd(elsewhere, site, "claims", "--from", "published")
    assert content(site) == before


def test_without_docstrings_and_asserts_the_numbers_are_the_same(tmp_path: Path) -> None:
    """transformers reads its own docstrings to make a model: under -OO no model loaded."""
    dopd(tmp_path, ROOT, "run", *SELECTED, "--jobs", "1", "--results", "plain")
    dopd(tmp_path, ROOT, "run", *SELECTED, "--jobs", "1", "--results", "bare", python=("-OO",))
    assert numbers(tmp_path / "bare") == numbers(tmp_path / "plain")
    dopd(tmp_path, ROOT, "table", "--suite", "ood", "--from", "published", python=("-OO",))
