"""Docs describe today: every path, name and command in them exists, and the README shows the skeleton as it is."""

from __future__ import annotations

import ast
import csv
import importlib.util
import json
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from harness import registry
from harness.cli import skeleton, verbs
from harness.types import Privilege
from harness.worlds import slots

ROOT = Path(__file__).resolve().parents[2]
DATED = ("CHANGELOG.md", "log.md")
"""Pages whose entries name the files of their day."""
DOCS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("methods/*.md")])
SUFFIXES = {".py", ".md", ".toml", ".txt", ".cff", ".yaml", ".csv", ".json", ".jsonl", ".safetensors"}
MADE_BY_RUNS = ("results/runs", ".nox")
EXAMPLE_FILES = {
    "my_method.py",
    "test_my_method.py",
    "my_profile.py",
    "my_suite.py",
    "test_my_suite.py",
}
"""What the reader is told to write."""


def spans(path: Path) -> Iterator[tuple[str, int]]:
    """What stands in single backticks outside code blocks, and its line."""
    text = re.sub(
        r"^ *```.*?^ *```",
        lambda m: "\n" * m.group().count("\n"),
        path.read_text(encoding="utf-8"),
        flags=re.M | re.S,
    )
    for match in re.finditer(r"`([^`\n]+)`", text):
        yield match.group(1), text.count("\n", 0, match.start()) + 1


def blocks(path: Path, language: str = "") -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    return [re.sub(rf"^{indent}", "", body, flags=re.M) for indent, body in found]


def commands(path: Path) -> Iterator[list[str]]:
    """Shell commands in plain code blocks and in backticks, split into words."""
    lines = [line for block in blocks(path) for line in block.splitlines()] + [text for text, _ in spans(path)]
    for line in lines:
        for command in line.split("&&"):
            if command.strip().startswith(("nox", "dopd ", "pip install", "python -m ")):
                yield shlex.split(command)


def is_path(text: str) -> bool:
    plain = re.fullmatch(r"[\w./+-]+", text) is not None
    return plain and ("/" in text.strip("/") or text.endswith("/") or Path(text).suffix in SUFFIXES)


def noxfile() -> dict[str, ast.FunctionDef]:
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    return {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and "nox.session" in map(ast.unparse, node.decorator_list)
    }


@cache
def written_by_harness() -> str:
    """The source, in which the names of the files of a run stand."""
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "harness").rglob("*.py")))


@pytest.mark.parametrize("path", [path for path in DOCS if path.name not in DATED], ids=lambda path: path.name)
def test_paths_in_backticks_exist(path: Path) -> None:
    missing = [
        f"{path.name}:{line} {text}"
        for text, line in spans(path)
        if is_path(text) and text not in EXAMPLE_FILES and not text.startswith(MADE_BY_RUNS)
        if not ((ROOT / text).exists() or ("/" not in text and text in written_by_harness()))
    ]
    assert not missing


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8"))
    local = [target for target in targets if not target.startswith(("http://", "https://", "mailto:"))]
    assert [target for target in local if not (path.parent / target).exists()] == []


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_dotted_names_in_backticks_exist(path: Path) -> None:
    missing = [
        f"{path.name}:{line} {text}"
        for text, line in spans(path)
        if re.match(r"(harness|methods|suites)\.\w", text) and not text.endswith(tuple(SUFFIXES))
        if not _resolves(text.partition("(")[0])
    ]
    assert not missing


def _resolves(dotted: str) -> bool:
    """The longest part that is a module, and the rest as attributes or dataclass fields."""
    words = dotted.split(".")
    for cut in range(len(words), 0, -1):
        try:
            found = importlib.import_module(".".join(words[:cut]))
        except ModuleNotFoundError:
            continue
        for word in words[cut:]:
            if not (hasattr(found, word) or word in getattr(found, "__annotations__", {})):
                return False
            found = getattr(found, word, None)
        return True
    return False


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_commands_exist(path: Path) -> None:
    """Sessions are the noxfile's; `dopd` and what follows `--` of reproduce is what the parser takes."""
    for words in commands(path):
        if words[0] == "dopd" and words[1].islower():  # not `dopd VERB`
            parse(words[1:] if words[2:] else [words[1], "--help"])  # a verb alone is a mention
        elif words[0] == "nox" and "-s" in words:
            session = words[words.index("-s") + 1]
            assert session in noxfile(), f"{path.name}: nox has no session {session}"
            if session == "reproduce" and "--" in words:
                parse(["run", *words[words.index("--") + 1 :]])
        elif words[0] == "python":
            assert importlib.util.find_spec(words[2]), words


def parse(arguments: list[str]) -> None:
    """Refuses unknown verbs and flags as the command line does; values are not looked up."""
    try:
        verbs.parser().parse_args(arguments)
    except SystemExit as error:
        assert error.code == 0, f"dopd {' '.join(arguments)}"


def test_every_session_says_what_it_does() -> None:
    assert {"tests", "lint", "types", "reproduce", "zoo", "benchmarks"} <= set(noxfile())
    assert [name for name, node in noxfile().items() if not ast.get_docstring(node)] == []


def test_readme_gives_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "pip install nox && nox -s reproduce -- --suite ood\nnox -s tests\n" in text


def test_readme_says_what_the_world_is() -> None:
    """Words, models and the worked problem as the code has them, so that nobody takes a toy rule for code."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first = text.split("\n## Two commands")[0]
    models = json.loads((ROOT / "harness" / "models" / "zoo" / "weights" / "manifest.json").read_text())["models"]
    assert all(f"{model['parameters']:,}" in first for model in models.values())
    words = next((ROOT / "harness" / "models" / "zoo" / "weights").glob("*/tokenizer.json"))
    assert f"{len(json.loads(words.read_text(encoding='utf-8'))['model']['vocab'])} words" in first
    assert f"{len(registry.methods())} methods" in first
    example = slots.example("coding", "test", 7)
    used = 2 + 4 * example.difficulty
    shown = {
        "x": example.messages[0]["content"].split()[:used],
        "P, hints": example.privileged[Privilege.HINTS].split()[1 : used - 1],
        "response": (example.trace or "").split(),
    }
    for name, wanted in shown.items():
        (line,) = re.findall(rf"^{name}  +(.*)$", first, flags=re.M)
        assert line.split() == wanted, name


PROSE = [path for path in DOCS if path.name != "CHANGELOG.md"]


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.name)
def test_lines_of_prose_stay_under_100_characters(path: Path) -> None:
    """Longer ones make a diff unreadable; tables and code are what they are."""
    text = re.sub(
        r"^ *```.*?^ *```", lambda m: "\n" * m.group().count("\n"), path.read_text("utf-8"), flags=re.M | re.S
    )
    lines = enumerate(text.splitlines(), start=1)
    long = [f"{path.name}:{n} {len(line)}" for n, line in lines if len(line) > 99 and not line.lstrip().startswith("|")]
    assert not long, f"wrap {', '.join(long)}"


def test_changelog_opens_with_unreleased() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.M)
    assert headings[0] == "Unreleased"


def test_continuous_integration_runs_the_sessions() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    called = re.findall(r"nox -s (\w+)", script.read_text(encoding="utf-8"))
    assert called == ["tests", "lint", "types", "crosscheck", "latex", "browser"]


def test_readme_shows_what_methods_new_writes() -> None:
    """``tests/harness/cli/test_skeleton.py`` runs it."""
    (shown,) = blocks(ROOT / "README.md", "python")
    assert skeleton.METHOD.endswith("\n\n\n" + shown)


def test_readme_counts_the_claims_as_published() -> None:
    with (ROOT / "results" / "embedded" / "claims" / "claims.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    count = Counter(line["verdict"] for line in lines)
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"decides {len(lines)} claims of the paper" in text and f"It tests {len(lines)} claims of" in text
    assert (
        f"{count['reproduced']} are reproduced, {count['contradicted']} contradicted in this world, "
        f"{count['undecided']} undecided, "
        f"{count['not run']} not run"
    ) in text
    late = sum(line["written"] == "after its rows" for line in lines)
    assert f"but for {('no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven')[late]} that say otherwise" in text
