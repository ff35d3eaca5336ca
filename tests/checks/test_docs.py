"""Docs describe today: every path, name and command in them exists, and the README shows the skeleton as it is."""

from __future__ import annotations

import ast
import csv
import importlib.util
import json
import re
import shlex
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from checks import pages, test_architecture
from support import language
from support.synthetic import PROFILE, frames
from support.tiny_world import TinyWorld, save_pair

from harness import registry
from harness.cli import skeleton, verbs
from harness.config import DataSpec
from harness.runs.run import run
from harness.storage.run_folder import RunFolder
from harness.suite import Options
from harness.types import Example, Privilege
from harness.worlds import WORLDS
from harness.worlds.world import HeldOut
from suites.profiles import embedded

ROOT = Path(__file__).resolve().parents[2]
DATED = ("CHANGELOG.md", "log.md")
"""Pages whose entries name the files of their day."""
DOCS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("methods/*.md")])
SUFFIXES = {".py", ".md", ".toml", ".txt", ".cff", ".yaml", ".csv", ".json", ".jsonl", ".safetensors"}
MADE_BY_RUNS = ("results/runs", ".nox")
EXAMPLE_FILES = {
    "exam.jsonl",
    "mine.py",
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
    found = re.findall(r"^( *)```(\w*)\n(.*?)^\1```", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    return [re.sub(rf"^{indent}", "", body, flags=re.M) for indent, named, body in found if named == language]


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
    assert {"tests", "lint", "types", "reproduce", "zoo", "speed"} <= set(noxfile())
    assert [name for name, node in noxfile().items() if not ast.get_docstring(node)] == []


def test_readme_gives_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "pip install nox && nox -s reproduce -- --suite ood\nnox -s tests\n" in text


def test_readme_says_what_the_world_is() -> None:
    """Words, models and the worked problem as the code has them, so that nobody takes a toy rule for code."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first = text.split("\n## Two commands")[0]
    folder = ROOT / "harness" / "models" / "zoo" / "weights" / language.NAME
    models = json.loads((folder / "manifest.json").read_text())["models"]
    assert all(f"{model['parameters']:,}" in first for model in models.values())
    words = next(folder.glob("*/*/tokenizer.json"))
    assert f"{len(json.loads(words.read_text(encoding='utf-8'))['model']['vocab'])} words" in first
    assert f"{len(registry.methods())} methods" in first, "run `nox -s pages`"
    example = language.example("coding", "test", 8)
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
    assert called == ["tests", "vision", "lint", "types", "crosscheck", "latex", "browser"]


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


# What pages repeat of the code.


def test_pages_count_the_methods_and_record_what_is_new_or_bumped() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert pages.with_count(text, len(registry.methods())) == text
    one_more = pages.with_count(text, len(registry.methods()) + 1)
    assert one_more != text and one_more.split(f"{len(registry.methods()) + 1} methods") == text.split(
        f"{len(registry.methods())} methods", 1
    )
    methods = {
        name: (registry.methods()[name], registry.build_method(registry.method_spec(name))) for name in ("dopd", "gkd")
    }
    versions = {name: {"version": method.version} for name, (_, method) in methods.items()}
    assert pages.unrecorded(versions, methods) == []
    assert pages.unrecorded({"dopd": {"version": -1}}, methods) == ["dopd", "gkd"]


# What CONTRIBUTING tells to write is written and run.


def told(heading: str) -> str:
    """The Python of a section of CONTRIBUTING."""
    (section,) = re.findall(
        rf"^## {heading}\n(.*?)^## ", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), flags=re.M | re.S
    )
    (block,) = re.findall(r"^   ```python\n(.*?)^   ```", section, flags=re.M | re.S)
    return textwrap.dedent(block)


class MyWorld(TinyWorld):
    """One domain, under the names of CONTRIBUTING."""

    domains = ("my_domain",)
    privileges = ("my_hint",)

    def examples(self, data: DataSpec, split: str, n: int, start: int = 0) -> list[Example]:
        made = super().examples(replace(data, domains=("add",)), split, n, start)
        return [replace(each, domain="my_domain", privileged={"my_hint": each.privileged["tint"]}) for each in made]

    def benchmarks(self) -> list[HeldOut]:
        data = DataSpec(world="my_world", domains=self.domains, privilege="my_hint")
        return [HeldOut(name="my_benchmark", data=data, split="test", n=4, max_new_tokens=24)]


@pytest.fixture
def my_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(WORLDS, "my_world", f"{__name__}:MyWorld")
    path = tmp_path / "my_profile.py"
    path.write_text(told("Add a world"), encoding="utf-8")
    yield path
    registry._own_profile.clear()


@pytest.mark.slow
def test_the_profile_of_a_new_world_is_planned_and_run(my_profile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--suite", "in_distribution", "--profile", str(my_profile), "--methods", "vanilla_opd"]
    assert verbs.main(["plan", *flags]) == 0
    assert "vanilla-opd-models.teacher-models.student-my-domain-seed0-" in capsys.readouterr().out
    save_pair(Path("models"))
    profile, suite = registry.profile("my_profile"), registry.suite("in_distribution")
    options = Options(suite=suite.name, profile=profile.name, methods=("vanilla_opd",), seeds=(0,), steps=2)
    (spec,) = (each for each in suite.runs(profile, options) if each.method)
    folder = RunFolder(Path("results"), spec)
    run(folder, suite.evaluations(spec), lambda *_: None)
    assert {row.benchmark for row in folder.rows()} == {"my_benchmark"} and folder.last_step() == 2


def test_a_world_of_one_domain_is_told_its_suite(my_profile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verbs.main(["plan", "--suite", "ood", "--profile", str(my_profile)]) == 2
    assert capsys.readouterr().err.strip().endswith("or choose suite in_distribution")


def test_a_suite_shows_a_further_benchmark_without_naming_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "permutations_coding_validation"
    made = registry.suite_skeleton()
    own, _ = made.SUITE.split("    def tables_of(")
    imports = (
        "from harness import registry\nfrom harness.config import RunSpec\nfrom harness.suite import Evaluation\n"
        "from suites.kit.measures import Measure, benchmark_header, primary_at\n"
        "from suites.kit.comparison import domain_columns, score_column\n"
    )
    head, future, rest = own.partition("from __future__ import annotations\n")
    path = tmp_path / "my_suite.py"
    text = head + future + imports + rest + textwrap.indent(told("Add a benchmark"), "    ")
    path.write_text(text, encoding="utf-8")
    assert [*test_architecture.names_of_a_profile(ast.parse(text))] == []
    assert [*test_architecture.keyed_by_profile(ast.parse(text))] == []
    profile = replace(PROFILE, further=(name,))
    monkeypatch.setattr(embedded, "PROFILE", profile)
    suite, options = registry.suite(str(path)), Options(suite="my_suite", seeds=(0,))
    asked = {each.benchmark for spec in suite.runs(profile, options) for each in suite.evaluations(spec)}
    assert asked == {*profile.benchmarks, *profile.harder.values(), name}
    (table,) = suite.tables(*frames(options, lambda *_: 0.5, suite=suite, profile=profile), options)
    shown = next(at for at, column in enumerate(table.columns) if column.key == name)
    assert {line.cells[shown].value for line in table.lines} == {50.0}
    paper = registry.profile("paper")
    options = replace(options, profile="paper")
    assert all(each.benchmark in paper.benchmarks for s in suite.runs(paper, options) for each in suite.evaluations(s))
