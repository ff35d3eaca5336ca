"""Where every number comes from: each run with its settings, state, code and machine. No torch."""

from __future__ import annotations

import datetime
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.config import RunSpec
from harness.report.joining import OF_A_RUN
from harness.storage import files
from harness.storage.code import TOLD, MadeBy, worst
from harness.storage.published_folder import ENVIRONMENTS_FILE
from harness.storage.run_folder import RUNS, RunFolder, RunState
from harness.suite import Options
from harness.types import HarnessError


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Versions, commit and machine, as ``harness.storage.run_folder`` records them."""

    code: str
    """E1, E2, ...; unique in the page."""
    commit: str
    """Ten digits, ``with changes`` if the code was not committed; unknown."""
    machine: str
    versions: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of one or more suites."""

    id: str
    method: str
    seed: int | None
    """None for a reference."""
    domains: str
    lr: float | None
    steps: int
    student: str
    teacher: str
    state: str
    suites: tuple[str, ...]
    tokens: float | None
    """Trained on."""
    seconds: float | None
    """Of training."""
    environments: tuple[str, ...]
    """Codes; more than one where a run went on elsewhere."""
    made: MadeBy = MadeBy.THIS
    """The worst of any suite's rows of it."""

    @property
    def standing(self) -> str:
        """``done``, or ``done, other code``."""
        return f"{self.state}, {self.made}" if self.made in TOLD else self.state


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Every planned run of every suite once, and the environments that made them."""

    runs: tuple[Run, ...] = ()
    environments: tuple[Environment, ...] = ()
    newest: str = ""
    """Day of the newest run; empty where no date is recorded."""

    @property
    def done(self) -> tuple[Run, ...]:
        """Runs that have rows."""
        return tuple(run for run in self.runs if run.state == RunState.DONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What one suite's part of the page is made of."""

    name: str
    specs: Mapping[str, RunSpec]
    """Planned run by the id of its rows."""
    costs: Sequence[Mapping[str, Any]]
    """Lines of the cost frame, in the same order."""
    environments: Mapping[str, Sequence[Mapping[str, Any]]]
    """What a run was made in, by the id of its rows; a run without a record is absent."""
    made: Mapping[str, MadeBy] = field(default_factory=dict)
    """What made the rows of a run, beside the code that is here."""


def provenance(suites: Iterable[Shown], options: Options) -> Provenance:
    """The runs of all suites, merged by id."""
    runs: dict[str, Run] = {}
    codes: dict[str, Environment] = {}
    for suite in suites:
        for line in suite.costs:
            before = runs.get(run := line["run"])
            records = suite.environments.get(run, ()) if line["state"] == RunState.DONE else ()
            made = (*(before.environments if before else ()), *(_environment(record, codes) for record in records))
            names = (*(before.suites if before else ()), suite.name)
            by = worst((suite.made.get(run, MadeBy.THIS), before.made if before else MadeBy.THIS))
            runs[run] = replace(_run(line, suite.specs[run], names, tuple(dict.fromkeys(made))), made=by)
    merged = tuple(runs.values())
    return Provenance(runs=merged, environments=tuple(codes.values()), newest=_newest(merged, options))


def published_environments(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """By run of one published suite; none if it recorded none.

    Raises:
        HarnessError: written by a version that counted the runs and did not name them.
    """
    path = folder / ENVIRONMENTS_FILE
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in files.read_json(path) if path.is_file() else []:
        if not isinstance(record["runs"], list):
            raise HarnessError(f"{path} does not name its runs, an older version wrote it: publish the suite again")
        for run in record["runs"]:
            found[run].append(record)
    return dict(found)


def recorded_environments(specs: Iterable[RunSpec], options: Options) -> dict[str, list[dict[str, Any]]]:
    """By run, of those on this machine."""
    return {spec.id: RunFolder(options.results, spec).environments() for spec in specs}


def _environment(record: Mapping[str, Any], codes: dict[str, Environment]) -> str:
    """The code of an environment, a new one if it was not seen before."""
    key = json.dumps({name: value for name, value in record.items() if name not in ("runs", *OF_A_RUN)}, sort_keys=True)
    if key not in codes:
        machine = record["machine"]
        changes = " with changes" if record["dirty"] else ""
        versions = {name: version for name, version in record["versions"].items() if version}
        codes[key] = Environment(
            code=f"E{len(codes) + 1}",
            commit=f"{record['commit'][:10]}{changes}" if record["commit"] else "unknown",
            machine=f"{machine['processor']}, {machine['cores']} cores, {machine['system']} {machine['architecture']}",
            versions=", ".join(f"{name} {version}" for name, version in sorted(versions.items())),
        )
    return codes[key].code


def _run(line: Mapping[str, Any], spec: RunSpec, suites: tuple[str, ...], environments: tuple[str, ...]) -> Run:
    return Run(
        id=line["run"],
        method=spec.method.name if spec.method else "reference",
        seed=None if spec.is_reference else spec.seed,
        domains=", ".join(spec.train_domains),
        lr=spec.optim.lr if spec.optim else None,
        steps=spec.steps,
        student=spec.student.name,
        teacher=spec.teacher.name if spec.teacher else "",
        state=line["state"],
        suites=suites,
        tokens=_known(line["tokens"]),
        seconds=_known(line["train_seconds"]),
        environments=environments,
    )


def _known(value: Any) -> float | None:
    """None for the NaN of a run without a cost."""
    return None if value is None or value != value else float(value)


def _newest(runs: Sequence[Run], options: Options) -> str:
    """Published results hold no date; a run's folder does, of the file that is written last."""
    if options.source == "published":
        return ""
    done = [path for run in runs if (path := options.results / RUNS / run.id / "done").is_file()]
    times = [datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC) for path in done]
    return max(times).date().isoformat() if times else ""
