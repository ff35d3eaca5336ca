"""What each room may know (CONTRIBUTING.md, design rules): checked on the source, not on behaviour."""

from __future__ import annotations

import ast
import dataclasses
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from harness import registry
from harness.evaluation.audits import AUDITS
from harness.suite import Options
from methods import METHODS
from suites import ALIASES, SUITES

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {
    path: ast.parse(path.read_text(encoding="utf-8"))
    for package in ("harness", "methods", "suites")
    for path in sorted((ROOT / package).rglob("*.py"))
}
ORDER = (
    "root",
    "worlds",
    "losses",
    "storage",
    "models",
    "training",
    "evaluation",
    "runs",
    "analysis",
    "show",
    "report",
    "cli",
)
"""The rooms of ``harness/`` in the order of data's path; a module imports its own room and those before it."""
HEAVY = ("torch", "transformers", "datasets", "lm_eval", "vlmeval")
MAY_NEVER = {
    "root": ("transformers", "datasets", "lm_eval", "vlmeval", "pandas", "matplotlib", "rich"),
    "worlds": ("torch", "transformers", "lm_eval", "vlmeval", "pandas", "matplotlib"),
    "losses": ("transformers", "datasets", "lm_eval", "vlmeval", "pandas", "matplotlib", "os", "pathlib"),
    "models": ("lm_eval", "vlmeval", "pandas", "matplotlib"),
    "storage": ("transformers", "datasets", "lm_eval", "vlmeval", "pandas", "matplotlib"),
    "training": ("lm_eval", "vlmeval", "pandas", "matplotlib"),
    "evaluation": ("pandas", "matplotlib"),
    "runs": ("lm_eval", "vlmeval", "pandas", "matplotlib"),
    "analysis": (*HEAVY, "matplotlib"),
    "show": (*HEAVY, "pandas"),
    "report": HEAVY,
    "cli": HEAVY,
}
"""What no line of a room imports, at no time."""
LIGHT = ("root", "worlds", "analysis", "show", "report", "cli")
"""Rooms of which every module can be imported where the heavy libraries cannot."""
NAMES_ARE_DATA = (
    "harness/worlds/",
    "harness/models/zoo/",
    "harness/evaluation/tasks/",
    "suites/profiles/",
    "suites/paper/numbers.py",
    "suites/paper/tables.py",
    "suites/paper/figures.py",
    "suites/paper/text.py",
)
"""Where names of models and domains are at home, and the paper's own numbers."""
METHODS_MAY_IMPORT = {"harness.types", "harness.method", "harness.losses"}
FILE_LIMIT = 5_000_000
"""Bytes. The embedded weights are a few MB in all; anything larger belongs elsewhere."""


def package(name: str) -> dict[Path, ast.Module]:
    found = {path: tree for path, tree in SOURCES.items() if path.relative_to(ROOT).parts[0] == name}
    assert found, f"no source in {name}/"
    return found


def imports(tree: ast.AST, *, at_run_time: bool = False) -> Iterator[tuple[str, int]]:
    """Absolute names of the modules a file imports, with their lines; run time leaves TYPE_CHECKING out."""
    for node in ast.iter_child_nodes(tree):
        if at_run_time and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"relative import in line {node.lineno}: keep them absolute"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
        yield from imports(node, at_run_time=at_run_time)


def is_in(module: str, packages: set[str] | tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(name + ".") for name in packages)


def public(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Public classes and functions of a module, and public methods of its public classes."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if node.name.startswith("_"):
                continue
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node)


def repository_files() -> list[Path]:
    """Committed files and those about to be; everything but hidden and generated folders outside git."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode == 0:
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        ignored = {".git", ".nox", ".venv", "__pycache__", "runs", ".pytest_cache", ".ruff_cache"}
        paths = [path for path in ROOT.rglob("*") if not ignored & set(path.relative_to(ROOT).parts)]
    return [path for path in paths if path.is_file()]


def texts() -> Iterator[tuple[str, str]]:
    for path in repository_files():
        try:
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def test_harness_imports_no_suite_and_no_method() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path, tree in package("harness").items()
        for module, line in imports(tree)
        if is_in(module, ("suites", "methods"))
    ]
    assert not wrong


def room_of(module: str) -> str:
    """Of a dotted name below ``harness``; names that are no room are of the root."""
    second = module.split(".")[1] if "." in module else ""
    return second if second in ORDER else "root"


def rooms() -> Iterator[tuple[Path, str, str, int]]:
    """(file, its room, imported name, line) of every import of ``harness/`` but its entry point's, at run time."""
    for path, tree in package("harness").items():
        if path.name == "__main__.py":
            continue
        folders = path.relative_to(ROOT).parts[1:-1]
        assert not folders or folders[0] in ORDER, f"{path}: no room of that name in ORDER"
        for module, line in imports(tree, at_run_time=True):
            yield path.relative_to(ROOT), folders[0] if folders else "root", module, line


def test_rooms_import_their_own_and_those_before() -> None:
    wrong = [
        f"{path}:{line} ({room}) imports {module} ({room_of(module)})"
        for path, room, module, line in rooms()
        if is_in(module, ("harness",)) and ORDER.index(room_of(module)) > ORDER.index(room)
    ]
    assert not wrong


def test_rooms_leave_out_what_is_not_theirs() -> None:
    wrong = [
        f"{path}:{line} ({room}) imports {module}"
        for path, room, module, line in rooms()
        if is_in(module, MAY_NEVER[room])
    ]
    assert not wrong


def test_the_top_levels_stay_small() -> None:
    """A flat folder hides its floors: new modules belong to a room."""
    counts = {name: len(list((ROOT / name).glob("*.py"))) for name in ("harness", "suites")}
    assert counts["harness"] <= 12 and counts["suites"] <= 22, counts


def test_methods_import_mathematics_and_nouns_only() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path, tree in package("methods").items()
        for module, line in imports(tree, at_run_time=True)
        if is_in(module, ("harness", "suites")) and not is_in(module, METHODS_MAY_IMPORT)
    ]
    assert not wrong


def test_methods_touch_no_file_and_no_process_group() -> None:
    outside = ("os", "pathlib", "io", "subprocess", "shutil", "torch.distributed", "accelerate")
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path, tree in package("methods").items()
        for module, line in imports(tree)
        if is_in(module, outside)
    ]
    assert not wrong


OWN_WORDS = {*AUDITS, *(field.name for field in dataclasses.fields(Options))}
"""Names of things that the harness itself has, audits and choices of the user, after which some suites are called."""


def test_harness_names_no_method_and_no_suite() -> None:
    """A registry name as a string in harness/ is an `if method ==` in some disguise, in a value of a dict as well.

    A suite that is called after a thing of the harness (``methods``, ``trajectory``) leaves that word to it.
    """
    names = {*METHODS, *(set(SUITES) - OWN_WORDS), *ALIASES}
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno} says {node.value!r}"
        for path, tree in package("harness").items()
        for node in _strings_that_decide(tree)
        if node.value in names
    ]
    assert not wrong


@pytest.mark.slow
def test_only_profiles_name_models_domains_and_profiles() -> None:
    """Whoever else needs one asks the profile, so that a profile with other names loses nothing.

    Worlds and their models are what the names are of; the paper's numbers, ids of claims (names of record) and the
    domain that a benchmark says it is of are data.
    """
    wrong = [
        f"{path.relative_to(ROOT)}:{line} says {what}"
        for name in ("harness", "suites")
        for path, tree in package(name).items()
        if not str(path.relative_to(ROOT)).startswith(NAMES_ARE_DATA)
        for line, what in (*names_of_a_profile(tree), *keyed_by_profile(tree))
    ]
    assert not wrong


def names_of_a_profile(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Models and domains of the default profile, as words of short strings that are no docstring."""
    default = registry.profile(registry.default_profile())
    assert default.ladder
    names = {*default.ladder.models, *default.data.domains}
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.keyword) and node.arg in ("id", "domain"):
            continue
        text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
        if re.fullmatch(r"[\w ./→-]+", text) and names & set(re.split(r"[\W_]+", text)):
            yield node.lineno, repr(text)
        yield from names_of_a_profile(node)


def keyed_by_profile(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Conditions on the name of a profile, and dicts that it is the key of."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and not ast.unparse(node.left).endswith("source"):
            asked = [node.left, *node.comparators]
        else:
            asked = node.keys if isinstance(node, ast.Dict) else [node.slice] if isinstance(node, ast.Subscript) else []
        for part in asked:
            named = isinstance(part, ast.Constant) and part.value in registry.profiles()
            if named or (
                isinstance(node, ast.Subscript) and re.search(r"\bprofile(\.name)?$", ast.unparse(node.slice))
            ):
                yield part.lineno, ast.unparse(node)


def _strings_that_decide(tree: ast.AST) -> Iterator[ast.Constant]:
    """String constants but for docstrings and members of enums."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.ClassDef) and any("Enum" in ast.unparse(base) for base in node.bases):
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node
        yield from _strings_that_decide(node)


def test_light_modules_import_where_heavy_libraries_cannot() -> None:
    """In a fresh process, since this one has torch already."""
    dotted = {".".join(path.relative_to(ROOT).with_suffix("").parts): tree for path, tree in SOURCES.items()}
    combine = [name for name in dotted if name.split(".")[0] in ("methods", "suites")]
    light = [n for n in dotted if n.split(".")[0] == "harness" and room_of(n) in LIGHT and not n.endswith("__main__")]
    promise = [name for name, tree in dotted.items() if "no torch" in (ast.get_docstring(tree) or "").lower()]
    names = sorted({*combine, *light, *promise})
    script = f"""
import importlib, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {HEAVY!r}:
            raise ImportError(f"{{name}} is blocked")

sys.meta_path.insert(0, Blocker())
for name in {names!r}:
    try:
        importlib.import_module(name.removesuffix(".__init__"))
    except ImportError as error:
        print(name, "--", error)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.returncode) == ("", 0), done.stdout + done.stderr


def test_every_public_name_has_a_docstring() -> None:
    missing = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path, tree in SOURCES.items()
        for node in public(tree)
        if not ast.get_docstring(node) and not _implements_the_protocol(path, node)
    ]
    missing += [str(path.relative_to(ROOT)) for path, tree in SOURCES.items() if not ast.get_docstring(tree)]
    assert not missing


def _implements_the_protocol(path: Path, node: ast.AST) -> bool:
    """Methods of a method or suite class are described once, at the base class."""
    documented = {
        inner.name
        for base in ("method", "suite")
        for inner in public(SOURCES[ROOT / "harness" / f"{base}.py"])
        if isinstance(inner, ast.FunctionDef)
    }
    in_subclass = path.relative_to(ROOT).parts[0] in ("methods", "suites")
    return in_subclass and isinstance(node, ast.FunctionDef) and node.name in documented


def test_functions_stay_short() -> None:
    """Lines of code and comments, docstring apart. The models we learn from have medians of 7 to 17."""
    lengths = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": _code_lines(node)
        for path, tree in SOURCES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert statistics.median(lengths.values()) <= 14
    assert {where: n for where, n in lengths.items() if n > 45} == {}


def _code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert node.end_lineno is not None
    lines = node.end_lineno - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) and first.end_lineno is not None:
        lines -= first.end_lineno - first.lineno + 1
    return lines


@pytest.mark.slow
def test_no_file_names_this_machine() -> None:
    """Absolute folders, local package indexes and the hosts this machine installs from."""
    folders = re.compile(r"(?<![\w.<])/(?:home|root|work|opt|Users)/[\w.-]+|file:///[\w.-]+")
    options = re.compile(r"--(?:extra-)?index-url|--find[-]links")
    patterns = [folders, options, *(re.compile(re.escape(host)) for host in _local_hosts())]
    wrong = [
        f"{name}: {found.group()}" for name, text in texts() for pattern in patterns if (found := pattern.search(text))
    ]
    assert not wrong


def _local_hosts() -> set[str]:
    """Hosts of the indexes and proxies set in the environment, except the public one."""
    names = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "HTTPS_PROXY", "https_proxy")
    hosts = {urlsplit(url).hostname or "" for name in names for url in os.environ.get(name, "").split()}
    return hosts - {"", "pypi.org", "localhost", "127.0.0.1"}


def test_no_file_is_large() -> None:
    large = {str(p.relative_to(ROOT)): p.stat().st_size for p in repository_files() if p.stat().st_size > FILE_LIMIT}
    assert large == {}
