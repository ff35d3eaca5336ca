"""Where every number comes from: each run with its settings, state, code and machine. No torch."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import storage
from harness.config import RunSpec
from harness.publish import ENVIRONMENTS_FILE
from harness.results import SHOWN
from harness.runs import RUNS
from harness.suite import Options


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Versions, commit and machine, as ``harness.runs`` records them."""

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
    """Codes; more than one where a run went on elsewhere, or where only the suite's set is recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Every planned run of every suite once, and the environments that made them."""

    runs: tuple[Run, ...] = ()
    environments: tuple[Environment, ...] = ()
    exact: bool = True
    """False where a run's environment is only known to be one of several."""
    newest: str = ""
    """Day of the newest run; empty where no date is recorded."""

    @property
    def done(self) -> tuple[Run, ...]:
        """Runs that have rows."""
        return tuple(run for run in self.runs if run.state in SHOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What one suite's part of the page is made of."""

    name: str
    specs: Mapping[str, RunSpec]
    """Planned run by the id of its rows."""
    costs: Sequence[Mapping[str, Any]]
    """Lines of the cost frame, in the same order."""
    environments: Sequence[Mapping[str, Any]]
    """Of the published suite."""


def provenance(suites: Iterable[Shown], options: Options) -> Provenance:
    """The runs of all suites, merged by id."""
    runs: dict[str, Run] = {}
    kept: dict[str, list[str]] = {}
    codes: dict[str, Environment] = {}
    for suite in suites:
        shared = [_environment(record, codes) for record in suite.environments]
        for line in suite.costs:
            run = line["run"]
            own = shared if options.source == "published" else _of_folder(options.results / RUNS / run, codes)
            found = own if line["state"] in SHOWN else []
            kept[run] = [code for code in kept[run] if code in found] if run in kept else found
            before = runs[run].suites if run in runs else ()
            runs[run] = _run(line, suite.specs[run], (*before, suite.name))
    merged = tuple(dataclasses.replace(run, environments=tuple(kept[run.id])) for run in runs.values())
    return Provenance(
        runs=merged,
        environments=tuple(codes.values()),
        exact=options.source != "published" or all(len(run.environments) < 2 for run in merged),
        newest=_newest(merged, options),
    )


def published_environments(folder: Path) -> list[dict[str, Any]]:
    """Of one published suite; none if it recorded none."""
    path = folder / ENVIRONMENTS_FILE
    return storage.read_json(path) if path.is_file() else []


def _of_folder(folder: Path, codes: dict[str, Environment]) -> list[str]:
    path = folder / "environment.json"
    return [_environment(record, codes) for record in storage.read_json(path)] if path.is_file() else []


def _environment(record: Mapping[str, Any], codes: dict[str, Environment]) -> str:
    """The code of an environment, a new one if it was not seen before."""
    key = json.dumps({name: value for name, value in record.items() if name != "runs"}, sort_keys=True)
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


def _run(line: Mapping[str, Any], spec: RunSpec, suites: tuple[str, ...]) -> Run:
    return Run(
        id=line["run"],
        method=spec.method.name if spec.method else "reference",
        seed=None if spec.is_reference else spec.seed,
        domains=", ".join(spec.data.domains) if spec.data else "",
        lr=spec.optim.lr if spec.optim else None,
        steps=spec.steps,
        student=spec.student.name,
        teacher=spec.teacher.name if spec.teacher else "",
        state=line["state"],
        suites=suites,
        tokens=_known(line["tokens"]),
        seconds=_known(line["train_seconds"]),
        environments=(),
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
