"""What ``dopd publish`` keeps of what is published, and what may not stand beside the runs it adds. No torch."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import registry
from harness.analysis import answers, results
from harness.analysis.answers import Answers
from harness.config import RunSpec, to_json
from harness.report import selection
from harness.storage import files, published_folder
from harness.storage.code import Code, MadeBy, code_of, worst
from harness.storage.run_folder import RunFolder
from harness.suite import Options, Profile, Suite
from harness.types import Cost, HarnessError, Row

MACHINE = ("system", "architecture", "processor", "cores")
"""What is said of a machine; runs of older versions recorded more, on which no number depends."""
OF_A_RUN = ("training_code", "evaluation_code")
"""Of an environment, what differs from method to method; the rows hold it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some runs of a suite with everything that is published of them, each by the id of the run."""

    specs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """As JSON."""
    rows: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    costs: Mapping[str, Cost] = field(default_factory=dict)
    answers: Mapping[str, Sequence[Answers]] = field(default_factory=dict)
    environments: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    samples: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]] = field(default_factory=dict)
    """By evaluation, then by run."""

    def only(self, runs: Iterable[str]) -> Part:
        """Of these runs, in their order, those that are here."""
        wanted = list(runs)
        return Part(
            **{f.name: _only(getattr(self, f.name), wanted) for f in dataclasses.fields(self) if f.name != "samples"},
            samples={name: _only(found, wanted) for name, found in self.samples.items()},
        )

    def with_(self, other: Part) -> Part:
        """Both; of a run that both have, the other's."""
        names = {**self.samples, **other.samples}
        mine = self.only(run for run in self.specs if run not in other.specs)
        both = {f.name: {**getattr(mine, f.name), **getattr(other, f.name)} for f in dataclasses.fields(self)}
        both["samples"] = {name: {**mine.samples.get(name, {}), **other.samples.get(name, {})} for name in names}
        return Part(**both)


def _only(found: Mapping[str, Any], runs: Sequence[str]) -> dict[str, Any]:
    return {run: found[run] for run in runs if run in found}


def here(suite: Suite, folders: Sequence[RunFolder]) -> Part:
    """Of done runs of this machine.

    Raises:
        HarnessError: a run's samples are not those of its rows.
    """
    asked = {folder.spec.id: suite.evaluations(folder.spec) for folder in folders}
    rows = {folder.spec.id: folder.wanted_rows(asked[folder.spec.id]) for folder in folders}
    return Part(
        specs={folder.spec.id: to_json(folder.spec) for folder in folders},
        rows=rows,
        costs={folder.spec.id: cost for folder in folders if (cost := folder.cost())},
        answers={f.spec.id: found for f in folders if (found := answers.of_run(f, asked[f.spec.id]))},
        environments={folder.spec.id: [_shared(each) for each in folder.environments()] for folder in folders},
        samples={
            name: _by_run(results.run_samples(name, suite, folders), f"samples of {name}")
            for name in suite.published_samples
        },
    )


def published(suite: Suite, folder: Path) -> Part:
    """Of everything that is published in a folder; empty if nothing is.

    Raises:
        HarnessError: a file is damaged or of another version.
    """
    if not (folder / published_folder.ROWS_FILE).is_file():
        return Part()
    specs = {str(each["run"]): each for each in selection.published_specs(folder)}
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in published_folder.read_rows(folder / published_folder.ROWS_FILE):
        rows[row.run].append(row)
    if lost := sorted(rows.keys() - specs.keys()):
        raise HarnessError(f"{folder} has rows of {len(lost)} runs without their settings, first {lost[0]}: restore it")
    found: dict[str, list[Answers]] = defaultdict(list)
    path = folder / answers.ANSWERS_FILE
    for each in answers.read(path) if path.is_file() else ():
        found[each.run].append(each)
    return Part(
        specs={run: {k: v for k, v in each.items() if k != "run"} for run, each in specs.items()},
        rows=rows,
        costs={cost.run: cost for cost in published_folder.read_costs(folder / published_folder.COSTS_FILE)},
        answers=found,
        environments=_environments(folder),
        samples={
            name: _by_run(
                files.read_jsonl(folder / f"{name}.jsonl", cure=published_folder.RESTORE), folder / f"{name}.jsonl"
            )
            for name in suite.published_samples
        },
    )


def _environments(folder: Path) -> dict[str, list[dict[str, Any]]]:
    path = folder / published_folder.ENVIRONMENTS_FILE
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in files.read_json(path) if path.is_file() else ():
        for run in record["runs"]:
            found[run].append({key: value for key, value in record.items() if key != "runs"})
    return found


def _shared(record: Mapping[str, Any]) -> dict[str, Any]:
    """What runs may have in common: of the machine what ``MACHINE`` names, and no digest of a run's own code."""
    machine = {key: record["machine"].get(key) for key in MACHINE}
    return {key: value for key, value in record.items() if key not in OF_A_RUN} | {"machine": machine}


def _by_run(records: Iterable[Mapping[str, Any]], what: object) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for record in records:
        if "run" not in record:
            raise HarnessError(f"{what}: a record does not say of which run it is, so it cannot stand beside others")
        found[record["run"]].append(record)
    return found


def covering(suite: Suite, profile: Profile, options: Options, part: Part) -> Options:
    """The options under which the suite plans most of these runs and the fewest others."""
    order = [*registry.methods()]

    def place(spec: Mapping[str, Any]) -> tuple[int, int]:
        name = spec["method"]["name"] if spec["method"] else ""
        return (order.index(name) if name in order else len(order), spec["seed"])

    records = [{"run": run, **spec} for run, spec in part.specs.items()]
    return selection.fitting(suite, profile, options, sorted(records, key=place))


def unlike(part: Part, planned: Mapping[str, RunSpec], suite: Suite, added: Part) -> dict[str, str]:
    """Of published runs that may not stand beside those that are added the reason, by run.

    Args:
        planned: what the suite plans now of all of them.
    """
    codes: dict[str, set[Code]] = defaultdict(set)
    for run, rows in added.rows.items():
        codes[planned[run].label] |= {Code(row.training_code, row.evaluation_code) for row in rows}
    found: dict[str, str] = {}
    for run, rows in part.rows.items():
        spec = planned.get(run)
        if spec is None:
            found[run] = "of other settings"
        elif sorted(rows, key=repr) == sorted(added.rows.get(run, ()), key=repr):
            continue  # a copy, or published before: nothing is lost
        elif reason := _other_version(rows, suite, spec) or _other_code(rows, codes[spec.label] or {code_of(spec)}):
            found[run] = reason
    return found


def _other_version(rows: Iterable[Row], suite: Suite, spec: RunSpec) -> str:
    asked = {evaluation.benchmark: evaluation.version for evaluation in suite.evaluations(spec)}
    other = next((row for row in rows if row.version != asked.get(row.benchmark, row.version)), None)
    return f"of version {other.version:g} of {other.benchmark}" if other else ""


def _other_code(rows: Iterable[Row], expected: Iterable[Code]) -> str:
    """Unless the code behind every row is one of those that are expected."""
    made = {Code(row.training_code, row.evaluation_code) for row in rows}
    found = worst(max((each.beside(code) for code in expected), key=list(MadeBy).index) for each in made)
    return "" if found is MadeBy.THIS else f"made by {found}"


def counted(found: Mapping[str, str]) -> str:
    """``3 made by other code (a, b, c), 40 of other settings (d, e, f and 37 more)``."""
    names: dict[str, list[str]] = defaultdict(list)
    for run, reason in sorted(found.items()):
        names[reason].append(run)
    return ", ".join(f"{len(runs)} {reason} ({_some(runs)})" for reason, runs in sorted(names.items()))


def _some(runs: Sequence[str]) -> str:
    rest = f" and {len(runs) - 3} more" if len(runs) > 3 else ""
    return f"{', '.join(runs[:3])}{rest}"
