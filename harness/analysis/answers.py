"""Which items each run answered right: what an interval over items needs, beyond the means in the rows. No torch.

Of every run its last step, under the primary decoding and metric. From the samples in the run folders, or published
in ``answers.jsonl`` beside the rows, a line for each run and benchmark::

    {"run": "dopd-...", "benchmark": "permutations_coding", "version": 1, "n": 10, "items": "5f0c...", "right": "b040"}

``items`` are the first 12 digits of the SHA-256 of the items' ids, joined by newlines; ``right`` is a bit for each item
in the same order, in bytes of two digits: the first item is the highest bit of the first byte, what is left of the
last is 0.
So b040, 1011000001, says that the first, third, fourth and tenth of ten items were right.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.analysis import results
from harness.evaluation.benchmarks import told
from harness.storage import files, published_folder
from harness.storage.run_folder import RunFolder
from harness.types import HarnessError

if TYPE_CHECKING:
    from pandas import DataFrame

    from harness.config import RunSpec
    from harness.suite import Evaluation, Options, Profile, Suite

ANSWERS_FILE = "answers.jsonl"
FIELDS: Mapping[str, tuple[type, ...]] = {
    "run": (str,),
    "benchmark": (str,),
    "version": (int, float),
    "n": (int,),
    "items": (str,),
    "right": (str,),
}
"""Of a published line, as JSON holds them."""
DIGITS = 12
"""Of the hash of the items' ids."""
AGAIN = "delete rows.jsonl and done of that run and run again; it evaluates anew from the checkpoints"
ROUNDING = 1e-9
"""A row's value and the share of right answers are the same number, divided elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Of one run to one benchmark."""

    run: str
    benchmark: str
    version: float
    """Of the benchmark."""
    items: str
    """What the items' ids and their order are known by."""
    right: tuple[bool, ...]
    """By item."""


def load(
    suite: Suite, profile: Profile, options: Options, rows: DataFrame, benchmarks: Iterable[str]
) -> dict[tuple[str, str], tuple[bool, ...]]:
    """Right or wrong, item by item, by run and benchmark, from where the rows are; runs without samples are left out.

    The answers to one benchmark are over the same items in the same order, within a draw of its world.

    Args:
        rows: of ``harness.analysis.results.load`` with the same options.
        benchmarks: no others are read.

    Raises:
        NoRowsError: the rows were published without answers.
        HarnessError: a file is damaged, or its answers are not those of the rows or not to the same items.
    """
    names = set(benchmarks)
    wanted = _primary(rows, names)
    if options.source == "published":
        found = read(options.published / profile.name / options.folder / ANSWERS_FILE)
    else:
        runs = {run for run, _ in wanted}
        specs = {spec.id: spec for spec in suite.runs(profile, options)}
        folders = (RunFolder(options.results, spec) for run, spec in specs.items() if run in runs)
        found = [
            answers
            for folder in folders
            for answers in of_run(folder, (e for e in suite.evaluations(folder.spec) if e.benchmark in names))
        ]
        found += _reused(profile, options, runs - {answers.run for answers in found})
    chosen = [answers for answers in found if (answers.run, answers.benchmark) in wanted]
    check(chosen, rows)
    return {(answers.run, answers.benchmark): answers.right for answers in chosen}


def _reused(profile: Profile, options: Options, runs: Set[str]) -> list[Answers]:
    """Published answers of runs that are not done here and count as made."""
    path = options.published / profile.name / options.folder / ANSWERS_FILE
    known = read(path) if options.reuse and path.is_file() else []
    return [answers for answers in known if answers.run in runs]


def of_run(folder: RunFolder, evaluations: Iterable[Evaluation]) -> list[Answers]:
    """From the samples behind these evaluations, those at the last step under the primary decoding.

    A benchmark whose samples are not there, or whose primary metric is a grade and not right or wrong, is left out.

    Raises:
        HarnessError: a sample is damaged, or an item stands twice.
    """
    asked = {e.benchmark: e for e in evaluations if _is_primary(e, folder.spec)}
    return [
        _of_samples(folder.spec.id, e, records, path)
        for e in asked.values()
        if (path := folder.samples(e)).is_file() and not _are_grades(records := folder.read_samples(e))
    ]


def read(path: Path) -> list[Answers]:
    """Of a published file.

    Raises:
        NoRowsError: absent, as in publications of older versions.
        HarnessError: empty, cut off, damaged, or written by another version.
    """
    out: list[Answers] = []
    for number, record in enumerate(published_folder.read_whole(path, "answers"), start=1):
        try:
            out.append(_parsed(record))
        except (KeyError, TypeError, ValueError) as error:
            raise HarnessError(
                f"{path} line {number} is damaged or of another version ({error}): publish again"
            ) from error
    return out


def to_jsonl(found: Iterable[Answers]) -> str:
    """Text of the published file: sorted, so equal answers give equal bytes."""
    return files.jsonl([_record(a) for a in sorted(found, key=lambda a: (a.run, a.benchmark))])


def check(found: Sequence[Answers], rows: DataFrame) -> None:
    """Refuse answers that are not those behind the rows, or not to the same items in every run of a draw.

    Raises:
        HarnessError: no row, a second line, another number of items, version or mean, or other items; names the run.
    """
    known = _primary(rows, {answers.benchmark for answers in found})
    seen: set[tuple[str, str]] = set()
    first: dict[tuple[str, int | None], Answers] = {}
    for answers in found:
        key = (answers.run, answers.benchmark)
        if key in seen:
            raise HarnessError(f"the answers of {answers.run} to {answers.benchmark} stand twice: publish again")
        seen.add(key)
        row = _checked(answers, known.get(key))
        _check_items(answers, first.setdefault((answers.benchmark, row["draw"]), answers))


def _checked(answers: Answers, row: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The row that the answers are behind."""
    head = f"the answers of {answers.run} to {answers.benchmark}"
    cure = "restore the published file (git checkout), or evaluate the run again and publish"
    if row is None:
        raise HarnessError(f"{head} belong to no row: {cure}")
    if answers.version != row["version"]:
        raise HarnessError(f"{head} are to version {answers.version}, its row is of version {row['version']}: {cure}")
    if len(answers.right) != row["n"]:
        raise HarnessError(f"{head} are to {len(answers.right)} items, its row is of {row['n']}: {cure}")
    share = sum(answers.right) / len(answers.right)
    if not math.isclose(share, row["value"], abs_tol=ROUNDING):
        raise HarnessError(f"{head} are right in {share:.6g} of the items, its row says {row['value']:.6g}: {cure}")
    return row


def _check_items(answers: Answers, first: Answers) -> None:
    if answers.items != first.items:
        raise HarnessError(
            f"{answers.benchmark} was asked with other items, or in another order, in {answers.run} than in "
            f"{first.run}: not comparable item by item, evaluate one of them again"
        )


def _primary(rows: DataFrame, benchmarks: Set[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """Rows at the last step under the primary decoding and metric, by run and benchmark."""
    shown = results.primary(results.last_step(rows))
    return {(r["run"], r["benchmark"]): r for r in results.records(shown) if r["benchmark"] in benchmarks}


def _is_primary(evaluation: Evaluation, spec: RunSpec) -> bool:
    """An audit is none: it has no decoding."""
    return evaluation.decoding == told(evaluation.benchmark).primary[0] and evaluation.at(spec) == spec.steps


def _are_grades(records: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the evaluator said of every item that it is neither right nor wrong."""
    return bool(records) and all("answer" in record and record["answer"] is None for record in records)


def _of_samples(run: str, evaluation: Evaluation, records: Sequence[Mapping[str, Any]], path: Path) -> Answers:
    if not records or any(type(r.get("id")) is not str or type(r.get("answer")) is not bool for r in records):
        raise HarnessError(f"{path} is damaged (a sample without its id, or neither right nor wrong): {AGAIN}")
    ids = [record["id"] for record in records]
    if len(set(ids)) < len(ids):
        raise HarnessError(f"{path} is damaged (an item stands twice): {AGAIN}")
    return Answers(
        run=run,
        benchmark=evaluation.benchmark,
        version=evaluation.version,
        items=digest(ids),
        right=tuple(record["answer"] for record in records),
    )


def digest(ids: Iterable[str]) -> str:
    """What items are known by: equal for the same ids in the same order."""
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()[:DIGITS]


def _record(answers: Answers) -> dict[str, Any]:
    import numpy as np

    return {
        "run": answers.run,
        "benchmark": answers.benchmark,
        "version": answers.version,
        "n": len(answers.right),
        "items": answers.items,
        "right": np.packbits(answers.right).tobytes().hex(),
    }


def _parsed(record: Mapping[str, Any]) -> Answers:
    """Answers from JSON. Raises KeyError, TypeError or ValueError: a field is missing, unknown or of another kind."""
    import numpy as np

    if unknown := record.keys() - FIELDS.keys():
        raise KeyError(min(unknown))
    for name, kinds in FIELDS.items():
        if type(record[name]) not in kinds:
            raise TypeError(f"{name} is {record[name]!r}, allowed is {' or '.join(k.__name__ for k in kinds)}")
    n, packed = record["n"], bytes.fromhex(record["right"])
    bits: list[int] = np.unpackbits(np.frombuffer(packed, dtype=np.uint8)).tolist()
    if n < 1 or len(packed) != math.ceil(n / 8) or any(bits[n:]):
        raise ValueError(f"right is not a bit for each of {n} items")
    return Answers(
        run=record["run"],
        benchmark=record["benchmark"],
        version=record["version"],
        items=record["items"],
        right=tuple(map(bool, bits[:n])),
    )
