"""A run on disk: one folder, plain files, one writer. No torch.

``results/runs/<spec.id>/``
    spec.json          the run as a value; its hash is in the folder's name
    environment.json   list of the environments that worked on it (versions, commit, machine, threads, code)
    <commit>.diff      uncommitted changes of the code, if there were any
    models.json        content of the local folders it reads whose specs do not say which content they mean
    log.txt            what the worker printed; tracebacks
    metrics.jsonl      a line a step
    checkpoints/       step-000120/, see ``harness.storage.checkpoint``
    rows.jsonl         one ``Row`` a line, sorted; samples/ the items behind them
    written.json       sha256 of rows.jsonl as it was written, and as it was before, and of the files of samples/;
                       without it rows count under ``done`` only
    model/             of a run with a recipe: config, weights and tokenizer of the model it made
    costs.json         one ``Cost``
    published.json     which rows were not made here but are published, and where; of a reference only
    failed             a line on why the last attempt ended; removed by the next
    done               written last; holds the sha256 of rows.jsonl, of the files of samples/ and of those of model/
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from harness.config import ModelSpec, RunSpec, from_json, to_json
from harness.storage import files
from harness.storage.code import UNTRAINED, Code, MadeBy, code_of, made_by, worst
from harness.types import Cost, HarnessError, Row

if TYPE_CHECKING:
    from harness.suite import Evaluation

RUNS = "runs"
LOCK = ".lock"
CURE = "delete its folder or select it with --force, and it is trained anew; or go back to that code"
"""For a run that other code began."""
AGAIN = "delete rows.jsonl and done in that folder and run again; it evaluates anew from the checkpoints"
"""For rows."""
PACKAGES = (
    "dopd-bench",
    "torch",
    "transformers",
    "tokenizers",
    "lm-eval",
    "datasets",
    "safetensors",
    "peft",
    "liger-kernel",
)
"""Distributions whose versions can move a number."""


Question = tuple[int, str, float, str]
"""Step, benchmark, version, decoding."""
_shared: dict[frozenset[Question], frozenset[Question]] = {}
_shared_codes: dict[frozenset[tuple[Question, Code]], frozenset[tuple[Question, Code]]] = {}
"""Sets of questions that were answered: the same in every seed of a setting, so that ten thousand runs hold few."""


class RunState(StrEnum):
    """How far a run is."""

    ABSENT = "absent"
    """Nothing on disk."""
    PARTIAL = "partial"
    """Started; goes on from its last checkpoint."""
    UNEVALUATED = "unevaluated"
    """Training is complete, a wanted row is missing: evaluates only."""
    FAILED = "failed"
    """The last attempt ended in an error; the next goes on from the last checkpoint."""
    DONE = "done"
    """Every wanted row is there."""
    PUBLISHED = "published"
    """Of a plan only: every wanted row is published, or only such runs need it; counts as made."""


class RunFolder:
    """The folder of one run, present or not.

    Example::

        folder = RunFolder(Path("results"), spec)
        with folder.lock():
            folder.prepare()
            ...                      # checkpoints, write_rows, write_cost
            folder.mark_done()
    """

    def __init__(self, root: Path, spec: RunSpec) -> None:
        self.root = root
        self.spec = spec
        self.path = root / RUNS / spec.id
        self.metrics = self.path / "metrics.jsonl"
        self.log = self.path / "log.txt"
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model"
        self._rows = self.path / "rows.jsonl"
        self._written = self.path / "written.json"
        self._environments = self.path / "environment.json"
        self._costs = self.path / "costs.json"
        self._models = self.path / "models.json"
        self._published = self.path / "published.json"
        self._done = self.path / "done"
        self._failed = self.path / "failed"

    @functools.cached_property
    def _lock(self) -> files.RunLock:
        return files.RunLock(self.path / LOCK, name=self.spec.id)

    def lock(self) -> files.RunLock:
        """Context manager; a second process gets a ``HarnessError``. Re-entrant on this object."""
        return self._lock

    def prepare(self) -> None:
        """Makes the folder, writes spec.json if it is absent, and adds this environment if it is new.

        To be called under the lock: what a killed writer left half written is removed.

        Raises:
            HarnessError: spec.json is of another run, or the disk is full.
        """
        self._keep_spec()
        files.remove_parts(self.path)
        self._failed.unlink(missing_ok=True)
        record, diff = environment()
        if diff:
            files.write_bytes_atomic(self.path / f"{record['diff_sha256'][:10]}.diff", diff)
        code = {"training_code": self.trained_by(), "evaluation_code": code_of(self.spec).evaluation}
        self._add_environments([record | {"torch_threads": self.spec.threads} | code])

    def keep_models(self, contents: Mapping[str, str]) -> None:
        """Content of the local model folders this run reads, by name; kept at its first start, compared at every other.

        Raises:
            HarnessError: a folder is not what it was.
        """
        if not self._models.exists():
            if contents:
                files.write_json_atomic(self._models, dict(contents))
            return
        kept = files.read_json(self._models, dict)
        if changed := [name for name, content in contents.items() if kept.get(name) != content]:
            raise HarnessError(
                f"the files of model {changed[0]} are not those that run {self.spec.id} began with: bring them back, "
                "give the new model a folder of its own, or make the run anew with --force"
            )

    def take_published(self, rows: Sequence[Row], source: str, environments: Iterable[dict[str, Any]]) -> None:
        """Adds rows that were made elsewhere, with where they are published and where they were made.

        They have no samples behind them and cost nothing here. Not for a run that is trained: it would have no weights.

        Raises:
            HarnessError: spec.json is of another run, or the disk is full.
        """
        self._keep_spec()
        evaluations = sorted({answered(row) for row in rows})
        files.write_json_atomic(self._published, [*self.published(), {"from": source, "evaluations": evaluations}])
        self._add_environments(environments)
        self.write_rows(rows)

    def published(self) -> list[dict[str, Any]]:
        """Where rows were taken from that were not made here, with (step, benchmark, version, decoding) of each."""
        return files.read_json(self._published, list) if self._published.exists() else []

    def clear(self) -> None:
        """Removes everything but the lock; for ``--force``. ``done`` goes first, spec.json last."""
        self._done.unlink(missing_ok=True)
        entries = [path for path in self.path.iterdir() if path.name != LOCK]
        for entry in sorted(entries, key=lambda path: path.name == "spec.json"):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def state(self, wanted: Iterable[Evaluation] = ()) -> RunState:
        """How far the run is, given the evaluations a suite wants of it.

        Raises:
            HarnessError: spec.json is of another run, or rows.jsonl is damaged.
        """
        if not self._has_spec():
            return RunState.ABSENT
        self._check_spec()
        if self._done.exists():
            return RunState.UNEVALUATED if self.missing(wanted) else RunState.DONE
        if self._failed.exists():
            return RunState.FAILED
        return RunState.UNEVALUATED if self.last_step() == self.spec.steps else RunState.PARTIAL

    def last_step(self) -> int | None:
        """Step of the newest checkpoint, its content unchecked; 0 for a reference run, which has none."""
        if self.spec.is_reference:
            return 0
        manifests = self.checkpoints.glob("step-*/manifest.json")
        steps = (checkpoint_step(path.parent) for path in manifests)
        return max((step for step in steps if step is not None), default=None)

    def trained_by(self) -> str:
        """Training digest of the code behind its checkpoints, and while there are none of the code that is here."""
        if self.spec.is_reference:
            return UNTRAINED
        if self.last_step() is None:
            return code_of(self.spec).training
        return next((record.get("training_code", "") for record in reversed(self.environments())), "")

    def made_by(self, wanted: Iterable[Evaluation]) -> MadeBy:
        """What trained it and made the rows of these evaluations, beside the code that is here."""
        here, keys = code_of(self.spec), {asked(e, self.spec) for e in wanted}
        codes = {code for question, code in self.codes() if question in keys}
        found = worst(code.beside(here) for code in codes)
        if codes and self._done.exists():
            return found  # its rows say what trained it too
        return worst((found, made_by(self.trained_by(), here.training)))

    def other_code(self) -> str:
        """Why the code that is here may not train it further; empty if it may."""
        begun, here = self.trained_by(), code_of(self.spec).training
        found = made_by(begun, here)
        if found is MadeBy.THIS:
            return ""
        return f"it was begun by {found} (digest {begun or 'none'}, here {here})"

    def check_code(self) -> None:
        """To be called before it is trained further.

        Raises:
            HarnessError: other code began it.
        """
        if reason := self.other_code():
            raise HarnessError(f"run {self.spec.id} cannot go on: {reason}; {CURE}")

    def missing(self, wanted: Iterable[Evaluation]) -> tuple[Evaluation, ...]:
        """The evaluations of ``wanted`` that have no row yet, in the same order."""
        have = self.evaluated()
        return tuple(e for e in wanted if asked(e, self.spec) not in have)

    def evaluated(self) -> frozenset[Question]:
        """What has a row.

        Raises:
            HarnessError: as ``rows``.
        """
        return frozenset(question for question, _ in self.codes())

    def codes(self) -> frozenset[tuple[Question, Code]]:
        """What has a row, and the code behind it.

        Raises:
            HarnessError: as ``rows``.
        """
        return frozenset((answered(row), Code(row.training_code, row.evaluation_code)) for row in self.rows())

    def wanted_rows(self, wanted: Iterable[Evaluation]) -> list[Row]:
        """The rows of these evaluations; a run that several suites share holds others too."""
        keys = {asked(e, self.spec) for e in wanted}
        return [row for row in self.rows() if answered(row) in keys]

    def rows(self) -> list[Row]:
        """Rows on disk that are what was written; before the run is done, others do not count and are made anew.

        Raises:
            HarnessError: a line is damaged, or ``done`` was written for other rows.
        """
        if not self._as_written():
            if self._done.exists():
                raise HarnessError(f"{self._rows} is not what was written (sha256 is not the one in done): {AGAIN}")
            return []
        try:
            return [_row(record) for record in files.read_jsonl(self._rows, cure=AGAIN)]
        except (KeyError, TypeError) as error:
            raise HarnessError(f"{self._rows} was written by another version ({error}): {AGAIN}") from error

    def drop_changed_rows(self) -> str:
        """Removes rows that do not count, see ``rows``, and says so; nothing to say where all do."""
        if self._done.exists() or self._as_written():
            return ""
        self._rows.unlink(missing_ok=True)
        return f"{self._rows.name} was not what was written: its rows are made anew"

    def _as_written(self) -> bool:
        """Whether ``done``, or before it ``written.json``, knows the rows that are there; no file is as written."""
        if self._done.exists():
            return files.read_json(self._done, dict).get("rows_sha256") == self._rows_sha256()
        if not self._rows.exists():
            return True
        try:
            return self._rows_sha256() in files.read_json(self._written, dict)["rows_sha256"]
        except (FileNotFoundError, HarnessError, KeyError, TypeError):
            return False

    def write_rows(self, rows: Iterable[Row]) -> None:
        """Adds rows; one of the same step, benchmark, version, decoding and metric is replaced.

        The file is sorted, so its bytes do not depend on the order or number of calls. ``done`` is taken back
        until ``mark_done``.
        """
        merged = {_key(row): row for row in (*self.rows(), *rows)}
        text = files.jsonl([to_json(merged[key]) for key in sorted(merged)])
        # Both, so that there is no moment at which those on disk are unknown; first, so that ``done`` may go.
        before = self._known_rows()
        self._write_written([*before, hashlib.sha256(text.encode()).hexdigest()], self._known_samples())
        self._done.unlink(missing_ok=True)
        files.write_text_atomic(self._rows, text)

    def samples(self, evaluation: Evaluation) -> Path:
        """The jsonl file of per-item results behind one evaluation's rows."""
        e, step = evaluation, evaluation.at(self.spec)
        return self.path / "samples" / f"step-{step:06d}.{e.benchmark}@{e.version}.{e.decoding}.jsonl"

    def write_samples(self, evaluation: Evaluation, records: list[dict[str, Any]]) -> None:
        """Replaces the per-item results of one evaluation; call before ``write_rows``."""
        path, text = self.samples(evaluation), files.jsonl(records)
        known = self._known_samples() | {path.name: hashlib.sha256(text.encode()).hexdigest()}
        self._write_written(self._known_rows(), known)
        files.write_text_atomic(path, text)

    def read_samples(self, evaluation: Evaluation) -> list[dict[str, Any]]:
        """The per-item results of one evaluation.

        Raises:
            HarnessError: they are damaged, not there, or not what was written.
        """
        path = self.samples(evaluation)
        written = self._known_samples().get(path.name)
        if written and path.is_file() and files.sha256(path) != written:
            raise HarnessError(f"{path} is not what was written (its sha256 is another): {AGAIN}")
        return files.read_jsonl(path, cure=AGAIN)

    def _write_written(self, rows: list[str], samples: Mapping[str, str]) -> None:
        record = {"rows_sha256": rows, "samples_sha256": dict(sorted(samples.items()))}
        files.write_json_atomic(self._written, record)

    def _known_rows(self) -> list[str]:
        """sha256 of the rows that count; none of rows that do not."""
        return [self._rows_sha256()] if self._rows.exists() and self._as_written() else []

    def _known_samples(self) -> dict[str, str]:
        """sha256 of each file of samples as it was written, by its name; a damaged record knows none."""
        known: dict[str, str] = {}
        for path in (self._done, self._written):
            try:
                found = files.read_json(path, dict).get("samples_sha256")
            except (FileNotFoundError, HarnessError):
                continue
            known |= cast("dict[str, str]", found) if isinstance(found, dict) else {}
        return known

    def write_cost(self, cost: Cost) -> None:
        """Replaces costs.json."""
        files.write_json_atomic(self._costs, to_json(cost))

    def cost(self) -> Cost | None:
        """What the run cost so far; None before the first ``write_cost``."""
        if not self._costs.exists():
            return None
        record = files.read_json(self._costs, dict)
        try:
            given: dict[str, Any] = {**record, "train_domains": tuple(record["train_domains"])}
            cost = Cost(**given)
            numbers = [getattr(cost, f.name) for f in dataclasses.fields(cost) if f.type in ("int", "float")]
            if not all(type(number) in (int, float) for number in numbers):
                raise TypeError("a number is none")
        except (KeyError, TypeError) as error:
            raise HarnessError(
                f"{self._costs} was written by another version ({error}): delete it, only estimates need it"
            ) from error
        return cost

    def cost_if_readable(self) -> Cost | None:
        """The same, None of a damaged file: seconds of evaluation are lost with it, no number of the run is."""
        try:
            return self.cost()
        except HarnessError:
            return None

    def mark_done(self, wanted: Iterable[Evaluation] = ()) -> None:
        """Writes ``done``, the last file of a run.

        Raises:
            HarnessError: a wanted evaluation has no row.
        """
        if missing := self.missing(wanted):
            names = ", ".join(f"{e.benchmark}@{e.version} {e.decoding} step {e.at(self.spec)}" for e in missing)
            raise HarnessError(f"run {self.spec.id} is not done, it has no rows of {names}: evaluate it")
        if not self._as_written():
            raise HarnessError(f"{self._rows} is not what was written: {AGAIN}")
        samples = _digests(self.path / "samples") | self._known_samples()
        record: dict[str, Any] = {"rows_sha256": self._rows_sha256(), "samples_sha256": dict(sorted(samples.items()))}
        if self.model.exists():
            record["model_sha256"] = self._model_sha256()
        files.write_json_atomic(self._done, record)

    def mark_failed(self, reason: str) -> None:
        """Says in the folder why this attempt ended; tables name it."""
        files.write_text_atomic(self._failed, reason + "\n")

    def environments(self) -> list[dict[str, Any]]:
        """Versions, commit, machine, threads and code of whatever worked on it, oldest first; none before the first.

        The training digest is that of the code behind its checkpoints, also where it was only evaluated.
        """
        if not self._environments.exists():
            return []
        found = files.read_json(self._environments, list)
        if not all(isinstance(record, dict) for record in found):
            raise HarnessError(f"{self._environments} is damaged: restore it, or delete the run's folder")
        return found

    def _rows_sha256(self) -> str:
        return files.sha256(self._rows) if self._rows.exists() else ""

    def _model_sha256(self) -> dict[str, str]:
        return _digests(self.model)

    def whole_model(self) -> Path | None:
        """The folder of the model this run made, its files those that ``done`` names; None before the run is done.

        Raises:
            HarnessError: a file is missing, added or changed.
        """
        if not self._done.exists():
            return None
        if files.read_json(self._done, dict).get("model_sha256") != self._model_sha256():
            raise HarnessError(
                f"{self.model} is not the model that was made (sha256 is not the one in done): delete model and "
                f"done in {self.path} and run again; it is written anew from the last checkpoint"
            )
        return self.model

    def _has_spec(self) -> bool:
        return (self.path / "spec.json").exists()

    def _keep_spec(self) -> None:
        if self._has_spec():
            self._check_spec()
        else:
            files.write_json_atomic(self.path / "spec.json", to_json(self.spec))

    def _check_spec(self) -> None:
        stored = _stored(self.path)
        if stored != self.spec:
            raise _misplaced(self.path, stored)

    def _add_environments(self, records: Iterable[dict[str, Any]]) -> None:
        known = self.environments()
        if new := [record for record in records if record not in known]:
            files.write_json_atomic(self._environments, [*known, *new])


def checkpoint_step(path: Path) -> int | None:
    """Of a checkpoint's folder; None of any other folder, as a copy somebody put beside it."""
    found = re.fullmatch(r"step-([0-9]{6,})", path.name)
    return int(found[1]) if found else None


def asked(evaluation: Evaluation, spec: RunSpec) -> Question:
    """What an evaluation of a run asks."""
    return (evaluation.at(spec), evaluation.benchmark, evaluation.version, evaluation.decoding)


def answered(row: Row) -> Question:
    """What a row answers, under one metric."""
    return (row.step, row.benchmark, row.version, row.decoding)


class FoundFolder(RunFolder):
    """A folder that is there, read once: for planning, which looks at many and writes none."""

    def evaluated(self) -> frozenset[Question]:
        """As it was at the first call."""
        return self._evaluated

    @functools.cached_property
    def _evaluated(self) -> frozenset[Question]:
        found = super().evaluated()
        return _shared.setdefault(found, found)

    def codes(self) -> frozenset[tuple[Question, Code]]:
        """As they were at the first call."""
        return self._codes

    @functools.cached_property
    def _codes(self) -> frozenset[tuple[Question, Code]]:
        found = super().codes()
        return _shared_codes.setdefault(found, found)

    def _has_spec(self) -> bool:
        return True

    def _check_spec(self) -> None:
        """Nothing: it was made of its spec.json."""


def found(root: Path, asked: Container[str] = ()) -> Iterator[FoundFolder]:
    """Every run below ``root``/runs that can be read, by name, to be read only.

    Args:
        asked: ids of runs that are needed: others that are damaged are passed over.

    Raises:
        HarnessError: the spec.json of one that is needed is damaged or disagrees with its folder's name.
    """
    for path in _paths(root):
        try:
            spec = _named_spec(path)
        except HarnessError:
            if path.name in asked:
                raise
            continue
        yield FoundFolder(root, spec)


def count(root: Path) -> int:
    """Of the runs below ``root``/runs, readable or not."""
    return len(_paths(root))


def folders(root: Path) -> Iterator[RunFolder]:
    """Every run below ``root``/runs, by name.

    Raises:
        HarnessError: a spec.json is damaged or disagrees with its folder's name.
    """
    for path in _paths(root):
        yield RunFolder(root, _named_spec(path))


def _paths(root: Path) -> list[Path]:
    return sorted(path.parent for path in (root / RUNS).glob("*/spec.json"))


def _named_spec(folder: Path) -> RunSpec:
    """Raises HarnessError if it is damaged or of another folder."""
    spec = _stored(folder)
    if spec.id != folder.name:
        raise _misplaced(folder, spec)
    return spec


def _stored(folder: Path) -> RunSpec:
    """Raises HarnessError if it is damaged or of another version; the folder is named."""
    path = folder / "spec.json"
    try:
        return from_json(files.read_json(path, dict))
    except HarnessError as error:
        raise error if str(path) in str(error) else HarnessError(f"{path}: {error}") from error


def continued(root: Path, spec: RunSpec) -> RunFolder:
    """The folder of the run that ``spec`` continues, trained to its last step.

    Raises:
        HarnessError: it is absent, unfinished, not of the same profile and student, or was never trained.
    """
    head = f"run {spec.id} continues {spec.start}"
    path = root / RUNS / spec.start / "spec.json"
    if not path.exists():
        raise HarnessError(f"{head}, which is not in {root / RUNS}: train that one first, or plan both together")
    first = RunFolder(root, _stored(path.parent))
    if first.spec.id != spec.start:
        raise _misplaced(path.parent, first.spec)
    if first.spec.is_reference:
        raise HarnessError(f"{head}, a reference row without training: leave start empty to begin from that model")
    for what in ("profile", "student", "lora"):
        have, want = getattr(first.spec, what), getattr(spec, what)
        if have != want:
            raise HarnessError(f"{head}, whose {what} is {_named(have)}, not {_named(want)}: continue one of the same")
    if first.last_step() != first.spec.steps:
        reached = first.last_step() or 0
        raise HarnessError(
            f"{head}, whose last checkpoint is of step {reached}, not {first.spec.steps}: run that one to its end "
            "first, with --force if it is done"
        )
    return first


def made_model(root: Path, model: ModelSpec) -> Path:
    """The folder of a model that is made, as transformers loads it.

    Raises:
        HarnessError: it is not made yet, or is not what was made.
    """
    assert model.made is not None
    head = f"model {model.name!r} is made by run {model.made.id}"
    folder = RunFolder(root, model.made)
    if folder.state() is RunState.ABSENT or (found := folder.whole_model()) is None:
        raise HarnessError(f"{head}, which is not done in {root / RUNS}: run it first, or plan both together")
    return found


@functools.cache
def environment() -> tuple[dict[str, Any], bytes]:
    """What this process runs on, and the uncommitted diff of the code (empty if clean or not a checkout).

    The diff is bytes: files may be in any encoding.
    """
    code = Path(__file__).resolve().parents[2]
    # Of this checkout, not of another project in whose environment we are installed.
    ours = _git(code, "rev-parse", "--show-toplevel").decode().strip() == str(code)
    commit = _git(code, "rev-parse", "HEAD").decode().strip() if ours else ""
    diff = _git(code, "diff", "HEAD") if commit else b""
    record: dict[str, Any] = {
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
        "commit": commit or None,
        "dirty": bool(commit and _git(code, "status", "--porcelain").strip()),
        "diff_sha256": hashlib.sha256(diff).hexdigest() if diff else None,
        "machine": {
            "system": platform.system(),
            "architecture": platform.machine(),
            "processor": _processor(),
            "cores": os.cpu_count(),
        },
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
    }
    return record, diff


def _named(value: object) -> str:
    return (
        f"{value.name} {(value.sha256 or value.content)[:10]}".strip() if isinstance(value, ModelSpec) else str(value)
    )


def _misplaced(folder: Path, stored: RunSpec) -> HarnessError:
    return HarnessError(
        f"{folder / 'spec.json'} is of run {stored.id}, not of its folder: it was edited or moved; "
        "move the folder away and run again"
    )


def _row(record: dict[str, Any]) -> Row:
    record["train_domains"] = tuple(record["train_domains"])
    return Row(**record)


def _key(row: Row) -> tuple[int, str, float, str, str]:
    return (row.step, row.benchmark, row.version, row.decoding, row.metric)


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _git(folder: Path, *arguments: str) -> bytes:
    """Output of a git command; empty where there is no git, no checkout or no commit."""
    try:
        command = ("git", "-C", str(folder), *arguments)
        return subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return b""


def _processor() -> str:
    """The processor's name; /proc/cpuinfo where platform does not say."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return platform.processor() or next(names, "unknown")


def _digests(folder: Path) -> dict[str, str]:
    """sha256 of each file of a folder by its name; none of a folder that is not there."""
    return {path.name: files.sha256(path) for path in sorted(folder.glob("*"))}
