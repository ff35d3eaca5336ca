"""The world ``files``: problems that stand in a file of the user's. No torch."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import ClassVar

from harness import registry
from harness.config import DataSpec, HeldOut, Source
from harness.types import Example, Fact, HarnessError, Message, Privilege, Span, images_of
from harness.worlds import pictures
from harness.worlds.files.reading import Problems, check_columns, read
from harness.worlds.files.schema import DEFAULTS, SCHEMA, SPLITS, known
from harness.worlds.privilege import told
from harness.worlds.regions import Region
from harness.worlds.world import Grade, World, in_turn

NAME = "files"
"""As in ``DataSpec.world``."""
DIGITS = 7
"""Hexadecimal ones of a digest that make a benchmark's version: a number that a row holds exactly."""
BOX = re.compile(r"(\S.*?)" + r" (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)" * 4)
"""A line of p that ``harness.worlds.files.schema`` made of a box."""
WORKED = "A worked response to the problem that follows:\n\n"
"""Before a response that a method shows as an example; ours, the sources have words of their own data."""


class Files:
    """One world for each content of a file."""

    version = SCHEMA

    def of(self, data: DataSpec) -> World:
        """Raises HarnessError for a file that cannot be read, is not what it was, or whose grader is not installed."""
        if data.file is None:
            raise HarnessError(
                f"data of the world {NAME!r} without a file: name it with --data, or load the profile that does"
            )
        found = read(data.file)
        if data.content != found.content:
            raise HarnessError(
                f"data {data.file.path}: planned were problems of content {data.content[:10]}, the file holds "
                f"{found.content[:10]}: plan the run again"
            )
        return _world(found)


@cache
def _world(problems: Problems) -> FileWorld:
    for grader in set(problems.graders.values()):
        grader.check()
    if problems.explained:
        return ExplainedWorld(problems)
    return TracedWorld(problems) if problems.traced else FileWorld(problems)


class FileWorld:
    """The problems of one file. It can show a response as an example."""

    version = SCHEMA
    cures: ClassVar[Mapping[str, str]] = {
        "KnowsFacts": "give every problem a `trace` and its `facts` (docs/data.md)",
        "HasReferences": "give every problem a `trace` (docs/data.md)",
    }
    """By the name of a power that this world has not, how a file gives it."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self.modality = problems.modality
        self.domains = problems.domains
        self.privileges = problems.privileges

    def examples(self, data: DataSpec, split: str, n: int, start: int = 0) -> list[Example]:
        """Each domain's problems in the order of the file, again from the first after the last.

        Outside training, problems of data without p come without any: nothing of it can reach a prompt.

        Raises:
            HarnessError: the file has no problem of a domain in the split.
        """
        plain = split != "train" and data.privilege == Privilege.NONE

        def make(domain: str, number: int) -> Example:
            found = self._problems.of.get((domain, split), ())
            if not found:
                raise HarnessError(
                    f"data {self._problems.name}: no problem of domain {domain!r} is of the split {split!r}: give some "
                    "that split, or leave all splits out"
                )
            example = found[number % len(found)]
            return replace(example, privileged={}) if plain else example

        return in_turn(data, split, n, start, make)

    def grade(self, example: Example, text: str) -> Grade | None:
        """By the problem's grader; the trace is right if it is the reference's, whatever only p tells in it."""
        grader = self._problems.graders.get(example.id)
        if grader is None:
            return None
        answer, parsed = grader.right(text, example.answer)
        return Grade(answer=answer, trace=_is_trace(example, text), parsed=parsed)

    def benchmarks(self) -> Sequence[HeldOut]:
        """None by itself, see ``held_out``."""
        return ()

    def demonstration(self, response: str) -> str:
        """In a sentence."""
        return f"{WORKED}{response}"

    def first_half(self, example: Example, kind: str) -> str:
        """The first half of the words, rounded up, with the white space between them.

        Raises:
            HarnessError: p has images, or one word.
        """
        text = _text_alone(example, kind)
        words = list(re.finditer(r"\S+", text))
        if len(words) < 2:
            raise HarnessError(f"privileged input {str(kind)!r} of {example.id}, {text!r:.60}, has no halves")
        return text[: words[(len(words) + 1) // 2 - 1].end()]

    def alone(self, example: Example, kind: str) -> tuple[Message, ...]:
        """p as the user's turn, since templates want one.

        Raises:
            HarnessError: p has images.
        """
        return ({"role": "user", "content": _text_alone(example, kind)},)

    def regions(self, example: Example, kind: str) -> tuple[Region, ...]:
        """The boxes of p, in pixels, where x has one picture that holds them all.

        Other text points at nothing; nor do boxes of several pictures, since none says which it is in.
        """
        shown = images_of(example.messages)
        lines = [] if kind == Privilege.NONE else _text_alone(example, kind).splitlines()
        found = [match for line in lines if (match := BOX.fullmatch(line))]
        if len(shown) != 1 or not found or len(found) < len(lines):
            return ()
        width, height = pictures.opened(shown[0]).size
        boxes = [tuple(round(float(edge)) for edge in match.groups()[1:]) for match in found]
        if not all(0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height for x0, y0, x1, y1 in boxes):
            return ()
        return tuple(
            Region(box=(x0, y0, x1, y1), label=match[1]) for match, (x0, y0, x1, y1) in zip(found, boxes, strict=True)
        )


class TracedWorld(FileWorld):
    """Every problem has a reference response."""

    def reference(self, example: Example) -> str:
        """The trace, with the file's word for *unknown* where only p tells."""
        return "".join(text for text, _ in _pieces(example, self._problems.unknown))


class ExplainedWorld(TracedWorld):
    """Every reference response says what decides its characters."""

    @property
    def guesses(self) -> tuple[str, ...]:
        """Everything that only p tells in any problem."""
        return tuple(dict.fromkeys(text for each in self._problems.problems for text in _secrets(each.example)))

    def reference_facts(self, example: Example) -> tuple[Span, ...]:
        """Over the text of ``reference``."""
        spans: list[Span] = []
        at = 0
        for text, kind in _pieces(example, self._problems.unknown):
            if kind is not None:
                spans.append(Span(at, at + len(text), kind))
            at += len(text)
        return tuple(spans)

    def privileged_facts(self, example: Example, kind: str) -> tuple[Span, ...]:
        """The words of p that stand in the trace where only p tells."""
        text = told(example.privileged.get(kind, ""))
        secrets = sorted(_secrets(example), key=len, reverse=True)
        if not secrets:
            return ()
        found = re.finditer("|".join(rf"(?<!\w){re.escape(secret)}(?!\w)" for secret in secrets), text)
        return tuple(Span(match.start(), match.end(), Fact.INFORMATION) for match in found)


def _text_alone(example: Example, kind: str) -> str:
    p = example.privileged[kind]
    if not isinstance(p, str):
        raise HarnessError(
            f"privileged input {str(kind)!r} of {example.id} has images, and is neither halved nor shown alone: give p "
            "as text"
        )
    return p


def _secrets(example: Example) -> list[str]:
    trace = example.trace or ""
    return [trace[span.start : span.end] for span in example.facts if span.kind is Fact.INFORMATION]


def _pieces(example: Example, unknown: str) -> list[tuple[str, Fact | None]]:
    """The trace in order, cut at its spans; ``unknown`` in the place of what only p tells."""
    trace, at, found = example.trace or "", 0, list[tuple[str, Fact | None]]()
    for span in example.facts:
        found.append((trace[at : span.start], None))
        told = unknown if span.kind is Fact.INFORMATION else trace[span.start : span.end]
        found.append((told, span.kind))
        at = span.end
    return [*found, (trace[at:], None)]


@cache
def _compiled(pieces: tuple[tuple[str, Fact | None], ...]) -> re.Pattern[str]:
    return re.compile("".join(r"\S+" if kind is Fact.INFORMATION else re.escape(text) for text, kind in pieces))


def _is_trace(example: Example, text: str) -> bool:
    """Whether a response is the trace, any word being right where only p tells it."""
    return example.trace is not None and _compiled(tuple(_pieces(example, ""))).fullmatch(text) is not None


# What a profile names: the data that are trained on, and the benchmarks that are asked.


def source(path: str, *, columns: Mapping[str, str] | None = None, values: Mapping[str, str] | None = None) -> Source:
    """Where problems stand, and how they are read; see ``docs/data.md``.

    Raises:
        HarnessError: a field that the schema does not have.
    """
    check_columns(columns or {})
    for name in values or {}:
        known(name, DEFAULTS)
    return Source(path=path, columns=tuple((columns or {}).items()), values=tuple((values or {}).items()))


def data(
    path: str,
    *,
    privilege: str = "",
    columns: Mapping[str, str] | None = None,
    values: Mapping[str, str] | None = None,
) -> DataSpec:
    """Problems to train on, every line checked.

    Args:
        path: a jsonl file or a folder of the library datasets.
        privilege: the kind of p that privileged views see; empty: hints, else the only one there is, else none.
        columns: the column that holds each field of the schema, where they have other names; a kind of p is
            ``privileged.KIND``.
        values: of fields that are the same in all lines: domain, grader, split, unknown.

    Raises:
        HarnessError: see ``read``; a domain without problems to train on or to validate with; several kinds of p and
            no choice.
    """
    at = source(path, columns=columns, values=values)
    found = read(at)
    for domain in found.domains:
        for split in ("train", "validation"):
            if (domain, split) not in found.of:
                raise HarnessError(
                    f"data {path}: domain {domain!r} has no problem of the split {split!r}, which a training reads: "
                    "give some that split, or leave all splits out"
                )
    return DataSpec(
        world=NAME,
        version=SCHEMA,
        domains=found.domains,
        difficulty=(0, 0),  # nobody counts steps
        size=max(len(examples) for (_, split), examples in found.of.items() if split == "train"),
        privilege=_privilege(found, privilege),
        content=found.content,
        file=at,
    )


def _privilege(found: Problems, asked: str) -> str:
    if asked == Privilege.NONE:
        return Privilege.NONE
    if asked:
        return registry.lookup(f"privileged input of {found.name}:", asked, found.privileges)
    if Privilege.HINTS in found.privileges:
        return Privilege.HINTS
    if len(found.privileges) > 1:
        raise HarnessError(
            f"data {found.name} has several kinds of p: name the one that is shown, --privilege "
            f"{' or '.join(found.privileges)}"
        )
    return next(iter(found.privileges), Privilege.NONE)


def graded(data: DataSpec) -> bool:
    """Whether answers to these problems can be verified."""
    return data.file is not None and bool(read(data.file).graders)


def asks(data: DataSpec) -> bool:
    """Whether they can be asked as a benchmark: graded, and one turn each."""
    return graded(data) and data.file is not None and all(map(_is_asked, read(data.file).of.values()))


def counts(data: DataSpec) -> str:
    """``120 train, 15 validation, 15 test``."""
    assert data.file is not None
    found = Counter(each.example.split for each in read(data.file).problems)
    return ", ".join(f"{found[split]} {split}" for split in SPLITS if found[split])


def held_out(
    path: str,
    *,
    max_new_tokens: int,
    columns: Mapping[str, str] | None = None,
    values: Mapping[str, str] | None = None,
) -> tuple[HeldOut, ...]:
    """A file of problems to be asked as benchmarks, one for each domain; all of it, where no line has a split.

    Raises:
        HarnessError: see ``read`` and ``held_out_of``.
    """
    at = source(path, columns=columns, values={"split": "test"} | dict(values or {}))
    found = read(at)
    spec = DataSpec(
        world=NAME,
        version=SCHEMA,
        domains=found.domains,
        difficulty=(0, 0),
        size=len(found.problems),
        privilege=Privilege.NONE,
        content=found.content,
        file=at,
    )
    return held_out_of(spec, "test", max_new_tokens=max_new_tokens)


def held_out_of(data: DataSpec, split: str, *, max_new_tokens: int) -> tuple[HeldOut, ...]:
    """A split of the data as benchmarks, one for each domain: ``FILE`` or ``FILE_DOMAIN``. Their version is a number
    made of what they hold.

    Raises:
        HarnessError: no grader, so that nothing can be scored; a problem that is more than one turn; no problem in the
            split.
    """
    assert data.file is not None
    found = read(data.file)
    if not found.graders:
        raise HarnessError(
            f"data {found.name} has no grader, so its problems cannot be asked as a benchmark: give one (number, "
            "exact, choice, regex, math_verify), or other benchmarks"
        )
    stem = re.sub(r"\W+", "_", Path(data.file.path).stem)
    made: list[HeldOut] = []
    for domain in data.domains:
        items = found.of.get((domain, split), ())
        if not items:
            raise HarnessError(
                f"data {found.name}: domain {domain!r} has no problem of the split {split!r} to be asked"
            )
        _check_asked(found, items)
        about = json.dumps([found.content, domain, split, max_new_tokens])
        made.append(
            HeldOut(
                name=(stem if len(data.domains) == 1 else f"{stem}_{domain}")
                + ("" if split == "test" else f"_{split}"),
                version=int(hashlib.sha256(about.encode()).hexdigest()[:DIGITS], 16),
                data=replace(data, domains=(domain,), privilege=Privilege.NONE),
                split=split,
                n=len(items),
                max_new_tokens=max_new_tokens,
                traces=found.traced,
            )
        )
    return tuple(made)


def cut_at(asked: HeldOut, max_new_tokens: int) -> HeldOut:
    """The same problems under the same name, answers cut elsewhere: another version."""
    (found,) = held_out_of(asked.data, asked.split, max_new_tokens=max_new_tokens)
    return replace(found, name=asked.name)


def _is_asked(items: Sequence[Example]) -> bool:
    return all(len(each.messages) == 1 for each in items)


def _check_asked(found: Problems, items: Sequence[Example]) -> None:
    for example in items:
        if not _is_asked([example]):
            raise HarnessError(
                f"data {found.name}: {example.id} is more than one turn, and a benchmark asks no more: fold "
                "the others into it, give it the split train, or ask other benchmarks"
            )
