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
    model/             of a run with a recipe: config, weights and tokenizer of the model it made
    costs.json         one ``Cost``
    published.json     which rows were not made here but are published, and where; of a reference only
    failed             a line on why the last attempt ended; removed by the next
    done               written last; holds the sha256 of rows.jsonl and of the files of model/
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
PACKAGES = ("dopd-bench", "torch", "transformers", "tokenizers", "lm-eval", "datasets", "safetensors", "peft")
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

        Raises:
            HarnessError: spec.json is of another run, or the disk is full.
        """
        self._keep_spec()
        self._failed.unlink(missing_ok=True)
        record, diff = environment()
        if diff:
            files.write_text_atomic(self.path / f"{record['diff_sha256'][:10]}.diff", diff)
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
        kept = files.read_json(self._models)
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
        return files.read_json(self._published) if self._published.exists() else []

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
        return max((int(path.parent.name.removeprefix("step-")) for path in manifests), default=None)

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
        """Rows on disk.

        Raises:
            HarnessError: a line is damaged, or ``done`` was written for other rows.
        """
        if self._done.exists() and files.read_json(self._done)["rows_sha256"] != self._rows_sha256():
            raise HarnessError(
                f"{self._rows} is not what was written (sha256 is not the one in done): delete rows.jsonl "
                "and done in that folder and run again; it evaluates anew from the checkpoints"
            )
        try:
            return [_row(record) for record in files.read_jsonl(self._rows)]
        except (KeyError, TypeError) as error:
            raise HarnessError(
                f"{self._rows} was written by another version ({error}): delete rows.jsonl and done in that "
                "folder and run again; it evaluates anew from the checkpoints"
            ) from error

    def write_rows(self, rows: Iterable[Row]) -> None:
        """Adds rows; one of the same step, benchmark, version, decoding and metric is replaced.

        The file is sorted, so its bytes do not depend on the order or number of calls. ``done`` is taken back
        until ``mark_done``.
        """
        merged = {_key(row): row for row in (*self.rows(), *rows)}
        self._done.unlink(missing_ok=True)
        ordered = [to_json(merged[key]) for key in sorted(merged)]
        files.write_text_atomic(self._rows, files.jsonl(ordered))

    def samples(self, evaluation: Evaluation) -> Path:
        """The jsonl file of per-item results behind one evaluation's rows."""
        e, step = evaluation, evaluation.at(self.spec)
        return self.path / "samples" / f"step-{step:06d}.{e.benchmark}@{e.version}.{e.decoding}.jsonl"

    def write_samples(self, evaluation: Evaluation, records: list[dict[str, Any]]) -> None:
        """Replaces the per-item results of one evaluation; call before ``write_rows``."""
        files.write_text_atomic(self.samples(evaluation), files.jsonl(records))

    def write_cost(self, cost: Cost) -> None:
        """Replaces costs.json."""
        files.write_json_atomic(self._costs, to_json(cost))

    def cost(self) -> Cost | None:
        """What the run cost so far; None before the first ``write_cost``."""
        if not self._costs.exists():
            return None
        record = files.read_json(self._costs)
        try:
            record["train_domains"] = tuple(record["train_domains"])
            return Cost(**record)
        except (KeyError, TypeError) as error:
            raise HarnessError(
                f"{self._costs} was written by another version ({error}): delete it, only estimates need it"
            ) from error

    def mark_done(self, wanted: Iterable[Evaluation] = ()) -> None:
        """Writes ``done``, the last file of a run.

        Raises:
            HarnessError: a wanted evaluation has no row.
        """
        if missing := self.missing(wanted):
            names = ", ".join(f"{e.benchmark}@{e.version} {e.decoding} step {e.at(self.spec)}" for e in missing)
            raise HarnessError(f"run {self.spec.id} is not done, it has no rows of {names}: evaluate it")
        record: dict[str, Any] = {"rows_sha256": self._rows_sha256()}
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
        return files.read_json(self._environments) if self._environments.exists() else []

    def _rows_sha256(self) -> str:
        return files.sha256(self._rows) if self._rows.exists() else ""

    def _model_sha256(self) -> dict[str, str]:
        return {path.name: files.sha256(path) for path in sorted(self.model.glob("*"))}

    def whole_model(self) -> Path | None:
        """The folder of the model this run made, its files those that ``done`` names; None before the run is done.

        Raises:
            HarnessError: a file is missing, added or changed.
        """
        if not self._done.exists():
            return None
        if files.read_json(self._done).get("model_sha256") != self._model_sha256():
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
        stored = from_json(files.read_json(self.path / "spec.json"))
        if stored != self.spec:
            raise _misplaced(self.path, stored)

    def _add_environments(self, records: Iterable[dict[str, Any]]) -> None:
        known = self.environments()
        if new := [record for record in records if record not in known]:
            files.write_json_atomic(self._environments, [*known, *new])


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


def found(root: Path) -> Iterator[FoundFolder]:
    """Every run below ``root``/runs, by name, to be read only.

    Raises:
        HarnessError: as ``folders``.
    """
    for spec in _specs(root):
        yield FoundFolder(root, spec)


def folders(root: Path) -> Iterator[RunFolder]:
    """Every run below ``root``/runs, by name.

    Raises:
        HarnessError: a spec.json is damaged or disagrees with its folder's name.
    """
    for spec in _specs(root):
        yield RunFolder(root, spec)


def _specs(root: Path) -> Iterator[RunSpec]:
    for path in sorted((root / RUNS).glob("*/spec.json")):
        spec = from_json(files.read_json(path))
        if spec.id != path.parent.name:
            raise _misplaced(path.parent, spec)
        yield spec


def continued(root: Path, spec: RunSpec) -> RunFolder:
    """The folder of the run that ``spec`` continues, trained to its last step.

    Raises:
        HarnessError: it is absent, unfinished, not of the same profile and student, or was never trained.
    """
    head = f"run {spec.id} continues {spec.start}"
    path = root / RUNS / spec.start / "spec.json"
    if not path.exists():
        raise HarnessError(f"{head}, which is not in {root / RUNS}: train that one first, or plan both together")
    first = RunFolder(root, from_json(files.read_json(path)))
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
def environment() -> tuple[dict[str, Any], str]:
    """What this process runs on, and the uncommitted diff of the code (empty if clean or not a checkout)."""
    code = Path(__file__).resolve().parents[2]
    commit = _git(code, "rev-parse", "HEAD").strip()
    diff = _git(code, "diff", "HEAD") if commit else ""
    record: dict[str, Any] = {
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
        "commit": commit or None,
        "dirty": bool(commit and _git(code, "status", "--porcelain").strip()),
        "diff_sha256": hashlib.sha256(diff.encode()).hexdigest() if diff else None,
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


def _git(folder: Path, *arguments: str) -> str:
    """Output of a git command; empty where there is no git, no checkout or no commit."""
    try:
        command = ("git", "-C", str(folder), *arguments)
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def _processor() -> str:
    """The processor's name; /proc/cpuinfo where platform does not say."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return platform.processor() or next(names, "unknown")
