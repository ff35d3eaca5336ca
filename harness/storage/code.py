"""Which code made a number: digests of the code that decides it, equal for code that only moved. No torch.

A run's *training* digest is over the module of its method, or of the recipes that make its models, over the world's
module, over the rooms losses, models and training, and over what these import of ours: of this package, of the
package that a method or world from outside is in, of the folder of a plugin. Its *evaluation* digest is over the
world's module, the room evaluation, and what these import.

Digested is the set of top-level definitions, each a syntax tree: comments, format, docstrings, the words of an error,
the order of functions and the module that holds them do not count. Left out is what moves values and computes none
(``PLUMBING``), and of ``NOUNS`` what none of these modules imports. Two digests that ``results/equal_code.json`` holds
as a pair are of equal code: every bit was shown to stay (``nox -s equal_code``).
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness import registry, worlds
from harness.config import RunSpec, makings
from harness.storage import files
from harness.suite import PUBLISHED
from harness.types import HarnessError, Row

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = __name__.partition(".")[0]
DIGITS = 10
"""Of a digest, as of a run's hash."""
ROOMS = ("losses", "models", "training")
EVALUATION = "evaluation"
PLUMBING = ("config", "profile", "registry", "suite", "worlds", "models.gguf", "training.memory", "training.phases")
"""Modules that decide no number. The values of a spec are its run's id; ``worlds`` only lists worlds, of which a run
has one; memory and seconds are told of a run; a file that is rebuilt is a folder known by its content."""
PLUMBING_PACKAGES = ("storage", "models.zoo", "training.recipes")
"""The same, with all modules in them. The zoo's models are known by the sha256 of their weights, whatever made them; of
the recipes a run has its own."""
NOUNS = f"{PACKAGE}.types"
UNTRAINED = "untrained"
"""The training digest of a model that is only evaluated."""
EQUAL = PUBLISHED / "equal_code.json"
"""What was shown equal; see ``tests/checks/equal_code.py``."""


class MadeBy(StrEnum):
    """What made a number, beside the code that is here."""

    EARLIER = "earlier code"
    """From before digests were kept."""
    OTHER = "other code"
    THIS = "this code"
    """Its digests are equal, or were shown to be of equal code."""


@dataclass(frozen=True, slots=True)
class Code:
    """The digests of what made a number; empty: from before they were kept."""

    training: str = ""
    """Or ``UNTRAINED``."""
    evaluation: str = ""

    def beside(self, here: Code) -> MadeBy:
        """What it is beside other code."""
        return worst((made_by(self.training, here.training), made_by(self.evaluation, here.evaluation)))


def made_by(digest: str, here: str) -> MadeBy:
    """What a digest is beside that of the code that is here."""
    if not digest:
        return MadeBy.EARLIER
    names = shown_equal(EQUAL)
    return MadeBy.THIS if names.get(digest, digest) == names.get(here, here) else MadeBy.OTHER


def worst(found: Iterable[MadeBy]) -> MadeBy:
    """The first of ``MadeBy`` that is among them; of none, this code."""
    return min(found, key=list(MadeBy).index, default=MadeBy.THIS)


TOLD = (MadeBy.OTHER, MadeBy.EARLIER)
"""What plans, captions and the report tell of."""


def told(found: Iterable[MadeBy]) -> str:
    """``3 made by other code, 2 made by earlier code``; empty where there is nothing to tell."""
    counts = Counter(found)
    return ", ".join(f"{counts[each]} made by {each}" for each in TOLD if counts[each])


def of_rows(rows: Iterable[Row], here: Code) -> MadeBy:
    """What made some rows, the worst of them, beside the code that is here."""
    return worst(code.beside(here) for code in {Code(row.training_code, row.evaluation_code) for row in rows})


def code_of(spec: RunSpec) -> Code:
    """Of the code that is here, what decides the numbers of this run.

    Raises:
        HarnessError: an unknown method or recipe, or a file of it that is no Python.
    """
    world = _world(spec)
    evaluation = _digest(world, (EVALUATION,))
    if spec.is_reference:
        return Code(training=UNTRAINED, evaluation=evaluation)
    targets = {registry.recipe_target(run.recipe) for run in (*makings(spec), spec) if run.recipe}
    targets |= {registry.methods()[registry.method_name(spec.method.name)].target} if spec.method else set()
    trained = (*sorted(map(_module, targets)), *world)
    # A plugin may be another one than when this process read it last; it is known by its file.
    return Code(
        training=_digest(trained, ROOMS, spec.method.source_sha256 if spec.method else ""), evaluation=evaluation
    )


@functools.cache
def shown_equal(path: Path) -> Mapping[str, str]:
    """Of each digest that was shown equal to others, one name for all of these.

    Raises:
        HarnessError: the file is damaged.
    """
    names: dict[str, str] = {}
    for first, second in _pairs(path):
        old, new = names.get(first, first), names.get(second, second)
        names = {digest: new if name == old else name for digest, name in names.items()} | {first: new, second: new}
    return names


def _pairs(path: Path) -> list[tuple[str, str]]:
    if not path.is_file():
        return []
    try:
        kinds = [record[kind] for record in files.read_json(path) for kind in ("training", "evaluation")]
        return [(before, after) for pairs in kinds for before, after in pairs.values()]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise HarnessError(f"{path} is damaged ({error}): restore it (git checkout)") from error


def _module(target: str) -> str:
    return target.partition(":")[0]


def _world(spec: RunSpec) -> tuple[str, ...]:
    """The module of the world of the run's data or of its profile's; none where one of them is not registered here."""
    data = spec.data or (registry.profile(spec.profile).data if spec.profile in registry.profiles() else None)
    target = worlds.known().get(data.world) if data else None
    return (_module(target),) if target else ()


@functools.cache
def _digest(roots: tuple[str, ...], rooms: tuple[str, ...], plugin: str = "") -> str:
    """Of these modules, of these rooms, and of all that they import of ours.

    Args:
        plugin: sha256 of a file from outside among the roots; a process reads the same files once.
    """
    ours, read = _Ours(roots), dict[str, _Module]()
    todo = [*roots, *(name for room in rooms for name in _modules(room))]
    while todo:
        name = todo.pop()
        if name not in read and (path := ours.file(name)) is not None:
            read[name] = _read(path, name, path.stat().st_mtime_ns)
            todo += [found for found in map(ours.module, read[name].imports) if found and not _is_plumbing(found)]
    pieces = {each.digest for module in read.values() for each in module.statements}
    pieces |= _nouns({name.rpartition(".")[2] for module in read.values() for name in module.imports})
    return hashlib.sha256("\n".join(sorted(pieces)).encode()).hexdigest()[:DIGITS]


@functools.cache
def _modules(room: str) -> tuple[str, ...]:
    paths = sorted((ROOT / PACKAGE / room).rglob("*.py"))
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths)
    return tuple(name for name in names if not _is_plumbing(name))


@functools.cache
def _is_plumbing(name: str) -> bool:
    inner = name.removeprefix(f"{PACKAGE}.")
    packages = tuple(f"{package}." for package in PLUMBING_PACKAGES)
    return name == NOUNS or inner in PLUMBING or f"{inner}.".startswith(packages)


class _Ours:
    """Finds the files of modules that count as ours, where some of them are."""

    def __init__(self, roots: tuple[str, ...] = ()) -> None:
        tops = {root.partition(".")[0] for root in roots} - {registry.PLUGIN_MODULE}
        self._folders = {top: _folder_of(top) for top in tops} | {PACKAGE: ROOT, registry.METHODS_MODULE: ROOT}
        self._plugin = None
        if registry.PLUGIN_MODULE in roots:
            self._plugin = Path(str(sys.modules[registry.PLUGIN_MODULE].__file__))

    def file(self, module: str) -> Path | None:
        """Of a module; None if it is not ours, or none."""
        if module == registry.PLUGIN_MODULE:
            return self._plugin
        folder = self._folders.get(module.partition(".")[0], self._plugin and self._plugin.parent)
        return _file(folder, module) if folder else None

    def module(self, imported: str) -> str | None:
        """The module that is imported, or from which something is; None if it is not ours."""
        return next((name for name in (imported, imported.rpartition(".")[0]) if name and self.file(name)), None)


@functools.cache
def _file(folder: Path, module: str) -> Path | None:
    path = folder / module.replace(".", "/")
    return next((each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file()), None)


@functools.cache
def _folder_of(top: str) -> Path | None:
    found = importlib.util.find_spec(top)
    place = found and (next(iter(found.submodule_search_locations or ()), None) or found.origin)
    return Path(place).parent if place else None


@dataclass(frozen=True, slots=True)
class _Statement:
    """At the top level of a module."""

    defines: str
    """A name, or empty."""
    digest: str
    names: frozenset[str]
    """That stand in it."""


@dataclass(frozen=True, slots=True)
class _Module:
    """What a file holds."""

    statements: tuple[_Statement, ...]
    imports: frozenset[str]
    """Wherever they stand, as ``package.module.name``."""


@functools.cache
def _read(path: Path, name: str, changed_ns: int) -> _Module:
    """A module as it was when its file was ``changed_ns``."""
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError as error:
        raise HarnessError(f"{path} is no Python ({error}): mend the file") from error
    writer = _Writer(name if path.name == "__init__.py" else name.rpartition(".")[0])
    statements = [part for each in tree.body if _decides(each) for part in _one_by_one(each)]
    return _Module(tuple(map(writer.statement, statements)), frozenset(writer.imports))


def _nouns(names: set[str]) -> set[str]:
    """Digests of the nouns of these names and of those that they name in turn."""
    path = ROOT / f"{NOUNS.replace('.', '/')}.py"
    known = {each.defines: each for each in _read(path, NOUNS, path.stat().st_mtime_ns).statements}
    todo, found = names & known.keys(), set[str]()
    while todo:
        found |= todo
        todo = {name for noun in todo for name in known[noun].names & known.keys()} - found
    return {known[name].digest for name in found}


def _decides(statement: ast.stmt) -> bool:
    """Not a text that stands alone, as a docstring, nor what only a type checker reads."""
    if isinstance(statement, ast.Expr):
        return not (isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str))
    return not (isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test))


class _Writer:
    """Writes syntax trees as words, without places; ``ast.dump`` says what is empty, not in every Python alike."""

    def __init__(self, package: str) -> None:
        self.imports: set[str] = set()
        self._package = package.split(".") if package else []
        self._words: list[str] = []
        self._names: set[str] = set()

    def statement(self, node: ast.stmt) -> _Statement:
        """One of the top level."""
        self._words, self._names = [], set()
        self._write(node)
        digest = hashlib.sha256(" ".join(self._words).encode()).hexdigest()
        return _Statement(_defined(node), digest, frozenset(self._names))

    def _write(self, node: object) -> None:
        if isinstance(node, list):
            self._words.append("[")
            for each in node:
                self._write(each)
            self._words.append("]")
        elif isinstance(node, ast.Import | ast.ImportFrom):
            self._import(node)
        elif isinstance(node, ast.Raise):
            error = getattr(node.exc, "func", node.exc)  # which one; its words do not count
            self._words.append(f"raise {ast.unparse(error) if error else ''}")
        elif isinstance(node, ast.AST):
            self._node(node)
        else:
            self._words.append(repr(node))

    def _node(self, node: ast.AST) -> None:
        if isinstance(node, ast.Name):
            self._names.add(node.id)
        self._words.append(type(node).__name__)
        for field in node._fields:
            value = getattr(node, field, None)
            if value is None or value == [] or field == "ctx":
                continue
            self._words.append(field)
            self._write(_that_decide(node, value) if field == "body" and isinstance(value, list) else value)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        """Of ours what is renamed: where it is defined may change."""
        place: list[str] = []
        if isinstance(node, ast.ImportFrom):
            place += self._package[: len(self._package) + 1 - node.level] if node.level else []
            place += [node.module] if node.module else []
        for alias in node.names:
            full = ".".join([*place, alias.name])
            self.imports.add(full)
            if full.partition(".")[0] not in (PACKAGE, registry.METHODS_MODULE, *self._package[:1]):
                self._words.append(f"import {full} {alias.asname}")
            elif alias.asname not in (None, alias.name):
                self._words.append(f"import {alias.name} {alias.asname}")


def _one_by_one(statement: ast.stmt) -> list[ast.stmt]:
    """Imports name by name: a name that moves leaves its line."""
    if isinstance(statement, ast.Import):
        return [ast.Import([alias]) for alias in statement.names]
    if isinstance(statement, ast.ImportFrom):
        return [ast.ImportFrom(statement.module, [alias], statement.level) for alias in statement.names]
    return [statement]


def _that_decide(node: ast.AST, body: list[ast.stmt]) -> list[ast.stmt]:
    """Of a class its functions last and by name, so that their order does not count."""
    kept = [each for each in body if _decides(each)]
    if not isinstance(node, ast.ClassDef):
        return kept
    return sorted(kept, key=lambda each: each.name if isinstance(each, ast.FunctionDef) else "")


def _defined(statement: ast.stmt) -> str:
    if isinstance(statement, ast.ClassDef | ast.FunctionDef):
        return statement.name
    target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
    return target.id if isinstance(target, ast.Name) else ""
