"""Proof that a change moved no number: what two commits plan and show, compared byte by byte.

    nox -s unmoved -- --before 2609782 [--excepted FILE]

Each side runs its own code on its own published rows: the id of every planned run of every profile, the recorded
method losses, and every file of ``dopd table | figure | claims | report`` from published rows and from the paper's
numbers. ``--before`` is checked out into a folder of its own. FILE lists, one a line, ``path: reason`` of what is
meant to differ (``fnmatch`` patterns); anything else that differs makes the exit code 1, and so does a line of FILE
that nothing needs.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOSSES = ("tests/golden/method_losses.json", "tests/contract/method_losses.json")
"""Where the recorded losses lay before and lie now."""
IDS = """
import dataclasses, sys
from harness import registry
from harness.suite import Options
for profile in registry.profiles():
    for name in registry.suites():
        for rate in ("shared", "tuned"):
            options = Options(suite=name, profile=profile, learning_rate=rate)
            try:
                runs = registry.suite(name).runs(registry.profile(profile), options)
            except Exception as error:
                print(profile, name, rate, type(error).__name__)
                continue
            for spec in runs:
                print(profile, name, rate, spec.id)
"""
OF_NO_PAPER = ("methods", "tuning")
"""Published suites that ``--suite all`` leaves out."""
VERBS = {
    "table from published": ("table", "--suite", "all", "--from", "published"),
    "figure from published": ("figure", "--suite", "all", "--from", "published"),
    "claims from published": ("claims", "--from", "published"),
    "table from paper": ("table", "--suite", "all", "--from", "paper"),
    "figure from paper": ("figure", "--suite", "all", "--from", "paper"),
    **{
        f"{verb} of {suite} from published": (verb, "--suite", suite, "--from", "published")
        for suite in OF_NO_PAPER
        for verb in ("table", "figure")
    },
}


def outputs(tree: Path, out: Path) -> None:
    """Fill ``out`` with everything the code of ``tree`` plans and shows."""
    if (out / "complete").exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    (out / "ids.txt").write_text(_python(tree, "-c", IDS), encoding="utf-8")
    losses = next(tree / name for name in LOSSES if (tree / name).exists())
    (out / "method_losses.json").write_bytes(losses.read_bytes())
    for what, verb in VERBS.items():
        print(f"{tree.name}: {what}", flush=True)
        _python(tree, "-m", "harness", *verb, "--results", str(out / "shown"))
    page = ("report", "--from", "published", "--results", str(out / "shown"), "--output", str(out / "report"))
    _python(tree, "-m", "harness", *page)
    (out / "complete").touch()


def _python(tree: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{tree}: {' '.join(arguments)[:200]} failed:\n{done.stderr[-2000:]}")
    return done.stdout


@contextmanager
def checkout(commit: str, folder: Path) -> Iterator[Path]:
    """``commit`` in a folder of its own, removed afterwards."""
    tree = folder / f"tree-{commit}"
    git = ("git", "-C", str(ROOT), "worktree")
    subprocess.run([*git, "add", "--force", "--detach", str(tree), commit], check=True, capture_output=True)
    try:
        yield tree
    finally:
        subprocess.run([*git, "remove", "--force", str(tree)], check=True, capture_output=True)


def differences(before: Path, after: Path) -> tuple[int, dict[str, str]]:
    """Number of files on either side, and what is not the same of those that differ."""
    names = {str(p.relative_to(side)) for side in (before, after) for p in side.rglob("*") if p.is_file()}
    found: dict[str, str] = {}
    for name in sorted(names - {"complete"}):
        a, b = before / name, after / name
        if not (a.exists() and b.exists()):
            found[name] = "only before" if a.exists() else "only now"
        elif a.read_bytes() != b.read_bytes():
            found[name] = f"{a.stat().st_size} bytes before, {b.stat().st_size} now"
    return len(names) - 1, found


def exceptions(file: Path | None) -> Mapping[str, str]:
    """Pattern to reason."""
    lines = file.read_text(encoding="utf-8").splitlines() if file else []
    pairs = (line.split(": ", 1) for line in lines if line.strip() and not line.startswith("#"))
    return {pattern.strip(): reason.strip() for pattern, reason in pairs}


def verdict(count: int, found: Mapping[str, str], known: Mapping[str, str]) -> tuple[list[str], bool]:
    """Lines to print, and whether all that differs was meant to and all that was meant to differs."""
    named = {name: next((p for p in known if fnmatch.fnmatch(name, p)), "") for name in found}
    lines = [f"{count} files compared: {count - len(found)} equal to the last byte"]
    for name, what in found.items():
        reason = f"; {known[named[name]]}" if named[name] else ""
        lines.append(f"  {'excepted' if named[name] else 'DIFFERS '} {name}: {what}{reason}")
    idle = [pattern for pattern in known if pattern not in named.values()]
    lines += [f"  IDLE     {pattern}: listed as excepted, nothing differs there" for pattern in idle]
    return lines, not idle and all(named.values())


def main() -> int:
    """Command line; see the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True, help="commit to compare with")
    parser.add_argument("--excepted", type=Path, help="file of what is meant to differ")
    parser.add_argument("--keep", type=Path, help="folder for the outputs, those of --before are made once")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        keep = given.keep or Path(temporary)
        before, after = keep / f"before-{given.before}", Path(temporary) / "now"
        if not (before / "complete").exists():
            with checkout(given.before, Path(temporary)) as tree:
                outputs(tree, before)
        outputs(ROOT, after)
        count, found = differences(before, after)
        ids = len((before / "ids.txt").read_text(encoding="utf-8").splitlines())
    lines, unmoved = verdict(count, found, exceptions(given.excepted))
    print("\n".join(lines))
    print(f"{ids} planned ids are in ids.txt, of every suite, profile and kind of learning rate")
    return int(not unmoved)


if __name__ == "__main__":
    sys.exit(main())
