"""From a file to its problems, every line checked: jsonl, or a folder of the library datasets. No torch."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from harness.config import Source
from harness.types import Example, HarnessError, Modality
from harness.worlds.files import schema, tables
from harness.worlds.files.graders import Grader
from harness.worlds.files.schema import FIELDS, SPLITS, UNKNOWN, Problem

SHARE = 0.1
"""Of each domain's problems for validation, and again for test, where the file names no splits; one at least."""
OF_P = "privileged."
"""Before a kind of p, where a column map names one."""
JSONL = (".jsonl", ".json")


@dataclass(frozen=True, kw_only=True, eq=False)
class Problems:
    """What was read. Equal problems have equal content, wherever they stand; a file is read once."""

    name: str
    """Of the file, for messages."""
    problems: tuple[Problem, ...]
    """In the order of the file."""
    unknown: str
    """The word in the place of what only p tells."""

    @cached_property
    def content(self) -> str:
        """sha256 of all that the problems are."""
        everything = [schema.SCHEMA, self.unknown, *map(schema.canonical, self.problems)]
        return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()

    @cached_property
    def domains(self) -> tuple[str, ...]:
        """In the order of their first problems."""
        return tuple(dict.fromkeys(each.example.domain for each in self.problems))

    @cached_property
    def privileges(self) -> tuple[str, ...]:
        """The kinds of p, which every problem has."""
        return tuple(self.problems[0].example.privileged)

    @cached_property
    def graders(self) -> Mapping[str, Grader]:
        """By id; empty where answers cannot be verified."""
        return {each.example.id: each.grader for each in self.problems if each.grader}

    @cached_property
    def modality(self) -> Modality:
        """Vision where any turn has an image."""
        turns = (turn["content"] for each in self.problems for turn in each.example.messages)
        return Modality.TEXT if all(isinstance(content, str) for content in turns) else Modality.VISION

    @property
    def traced(self) -> bool:
        """Whether every problem has a reference response."""
        return all(each.example.trace is not None for each in self.problems)

    @property
    def explained(self) -> bool:
        """Whether every one says what decides the characters of it."""
        return self.traced and all(each.example.facts for each in self.problems)

    @cached_property
    def of(self) -> Mapping[tuple[str, str], tuple[Example, ...]]:
        """By domain and split."""
        found: dict[tuple[str, str], list[Example]] = defaultdict(list)
        for each in self.problems:
            found[each.example.domain, each.example.split].append(each.example)
        return {key: tuple(examples) for key, examples in found.items()}


def read(source: Source) -> Problems:
    """Every problem of a file, read once for as long as it stays as it is.

    Raises:
        HarnessError: it is not there, or something in it is wrong; the first line, and how many others.
    """
    path = Path(source.path)
    if not path.exists():
        raise HarnessError(f"data {source.path}: there is no such file: give a jsonl file, or a folder of datasets")
    return _read(source, path.resolve(), _stamp(path))


def _stamp(path: Path) -> tuple[Any, ...]:
    """Changes with the file, or with any file of the folder."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return tuple((each, about.st_size, about.st_mtime_ns) for each in files for about in (each.stat(),))


@cache
def _read(source: Source, path: Path, stamp: tuple[Any, ...]) -> Problems:
    values = dict(source.values)
    folder, records = (path, tables.records(path)) if path.is_dir() else (path.parent, _lines(path, values))
    found: list[tuple[str, Problem]] = []
    wrong: list[str] = []
    for place, record, split in records:
        try:
            if isinstance(record, HarnessError):
                raise record
            more = values | ({"split": split} if split else {})
            found.append((place, schema.problem(_mapped(record, source.columns), folder, more)))
        except HarnessError as error:
            wrong.append(f"{source.path}, {place}: {error}")
    if wrong:
        others = f"; {len(wrong) - 1} more lines are wrong" if len(wrong) > 1 else ""
        raise HarnessError(f"{wrong[0]}{others}")
    if not found:
        raise HarnessError(f"data {source.path} holds no problem: write one a line (docs/data.md)")
    _check_alike(source.path, found)
    problems = _split([problem for _, problem in found], source.path)
    return Problems(name=source.path, problems=problems, unknown=str(values.get("unknown", UNKNOWN)))


def _lines(path: Path, values: dict[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """Place, record and no split of each line, blank ones left out; or what is wrong with it.

    The first may be of ``schema.defaults``, which join ``values``: those given from outside stay.
    """
    if path.suffix not in JSONL:
        raise HarnessError(f"data {path.name}: give a file that ends in .jsonl, or a folder of the library datasets")
    first = True
    for number, line in enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        place = f"line {number}"
        try:
            record = _json(line)
            if first and isinstance(record, dict) and "schema" in record:
                values |= schema.defaults(record) | values
            else:
                yield place, record, ""
        except HarnessError as error:
            yield place, error, ""
        first = False


def _json(line: bytes) -> Any:
    """Raises HarnessError for what is no JSON, holds a field twice, or is not UTF-8."""

    def once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise HarnessError(f"field {twice[0]!r} stands there twice: keep one")
        return dict(pairs)

    def refuse(word: str) -> Any:
        raise HarnessError(f"{word} is no JSON: give a number, or leave it out")

    try:
        return json.loads(line.decode("utf-8"), object_pairs_hook=once, parse_constant=refuse)
    except UnicodeDecodeError as error:
        raise HarnessError(
            f"byte {line[error.start]:#04x} at {error.start + 1} is not UTF-8: save the file as UTF-8"
        ) from error
    except json.JSONDecodeError as error:
        raise HarnessError(f"no JSON ({error.msg} at character {error.colno}): one object a line") from error
    except RecursionError as error:
        raise HarnessError("no JSON that can be read: brackets too deep") from error


def check_columns(columns: Iterable[str]) -> None:
    """Raises HarnessError for a field that the schema does not have, near names offered."""
    for name in columns:
        if not name.startswith(OF_P):
            schema.known(name, FIELDS)


def _mapped(record: Any, columns: Sequence[tuple[str, str]]) -> Any:
    """The fields of the schema, where a column map says which column holds each."""
    if not columns or not isinstance(record, dict):
        return record
    given: dict[str, Any] = {}
    for name, column in columns:
        if column not in record:
            raise HarnessError(f"no column {column!r} for {name}; there are {', '.join(map(str, record)) or 'none'}")
        value = record[column]
        if name.startswith(OF_P):
            given.setdefault("privileged", {})[name.removeprefix(OF_P)] = value
        else:
            given[name] = value
    return given


def _check_alike(name: str, found: Sequence[tuple[str, Problem]]) -> None:
    """What all lines have, or none: a grader, a split, each kind of p. No id twice."""
    seen: dict[str, str] = {}
    for place, each in found:
        if (first := seen.setdefault(each.example.id, place)) != place:
            raise HarnessError(
                f"{name}, {place}: id {each.example.id!r} is that of {first}; give each problem an id of its own, or "
                "drop one if they are the same (a problem without id is known by its prompt)"
            )
    _check_all(name, "grader", {place: each.grader is not None for place, each in found})
    _check_all(name, "split", {place: bool(each.example.split) for place, each in found})
    for kind in dict.fromkeys(kind for _, each in found for kind in each.example.privileged):
        _check_all(name, f"privileged {kind!r}", {place: kind in each.example.privileged for place, each in found})


def _check_all(name: str, what: str, has: Mapping[str, bool]) -> None:
    if any(has.values()) and not all(has.values()):
        lacking = next(place for place, given in has.items() if not given)
        raise HarnessError(
            f"{name}, {lacking}: no {what}, which {sum(has.values())} of {len(has)} problems have: give it to all or "
            "to none"
        )


def _split(problems: Sequence[Problem], name: str) -> tuple[Problem, ...]:
    """Every problem with a split, and an id that says domain and split.

    Where the file names none: of each domain the problems in the order of the sha256 of their ids, the first tenth
    test, the next validation, the rest train.
    """
    named = bool(problems[0].example.split)
    splits = {} if named else _drawn(problems, name)
    made: list[Problem] = []
    for each in problems:
        example = each.example
        split = example.split or splits[example.id]
        made.append(replace(each, example=replace(example, split=split, id=f"{example.domain}/{split}/{example.id}")))
    return tuple(made)


def _drawn(problems: Sequence[Problem], name: str) -> dict[str, str]:
    of_domain: dict[str, list[str]] = defaultdict(list)
    for each in problems:
        of_domain[each.example.domain].append(each.example.id)
    found: dict[str, str] = {}
    for domain, ids in of_domain.items():
        if len(ids) < len(SPLITS):
            raise HarnessError(
                f"data {name}: domain {domain!r} has {len(ids)} problems, too few for {', '.join(SPLITS)}: give more, "
                "or each a split"
            )
        held = max(1, round(SHARE * len(ids)))
        order = sorted(ids, key=lambda each: hashlib.sha256(each.encode()).digest())
        found |= dict.fromkeys(order[:held], "test") | dict.fromkeys(order[held : 2 * held], "validation")
        found |= dict.fromkeys(order[2 * held :], "train")
    return found
