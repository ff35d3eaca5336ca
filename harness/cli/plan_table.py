"""What ``plan`` prints: a line a run, or a line a setting where there are many runs. No torch."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

from rich.table import Table

from harness.config import DataSpec, RunSpec
from harness.runs.plan import PlannedRun, duration
from harness.storage.code import told as made_told
from harness.storage.run_folder import RunState

LISTED = 200
"""Runs that are shown line by line; of more nobody reads the lines, and a terminal's table takes 1 ms each."""
OWN_COLUMNS = ("profile", "student", "teacher", "data", "method", "recipe", "optim", "steps", "seed")
"""Fields of a run that its id or a column of its own shows, and those that are looked into."""
RUN_FIELDS = tuple(f.name for f in dataclasses.fields(RunSpec) if f.name not in OWN_COLUMNS)
DATA_FIELDS = tuple(f.name for f in dataclasses.fields(DataSpec) if f.name != "domains")
SETTINGS = "settings in which the runs differ"
SEED_AND_HASH = re.compile(r"-seed(\d+)-[0-9a-f]{10}$")
"""What the ids of one setting differ in."""


def plan_table(plan: Sequence[PlannedRun], *, title: str) -> Table:
    """One line a run; beyond ``LISTED`` one line a setting, its seeds together."""
    return _runs_table(plan, title) if len(plan) <= LISTED else _settings_table(plan, title)


def plan_lines(plan: Sequence[PlannedRun]) -> Iterator[str]:
    """A head and a line a run, tabs between, for other programs; seconds are the estimate of what is left."""
    yield "\t".join(("run", "state", "steps", "learning_rate", "seconds", "settings"))
    for run, told in zip(plan, differences([run.spec for run in plan]), strict=True):
        yield "\t".join((run.spec.id, run.state.value, *_size(run.spec), f"{run.estimate_seconds:.0f}", told))


def _runs_table(plan: Sequence[PlannedRun], title: str) -> Table:
    told = differences([run.spec for run in plan])
    table = _table(title, "run: method, teacher, student, domains, seed, hash", told, ())
    for run, differs in zip(plan, told, strict=True):
        table.add_row(
            run.spec.id,
            *([differs] if any(told) else []),
            *_size(run.spec),
            run.standing,
            duration(run.estimate_seconds),
        )
    return table


def _settings_table(plan: Sequence[PlannedRun], title: str) -> Table:
    """Runs whose lines would differ in seed, hash, state and estimate only are one line."""
    told = differences([_seedless(run.spec) for run in plan])
    groups: dict[tuple[str, ...], list[PlannedRun]] = defaultdict(list)
    for run, differs in zip(plan, told, strict=True):
        groups[SEED_AND_HASH.sub("", run.spec.id), differs, *_size(run.spec)].append(run)
    table = _table(title, "runs: method, teacher, student, domains (--list gives every id)", told, ("seeds",))
    for (name, differs, *size), runs in groups.items():
        table.add_row(
            name,
            *([differs] if any(told) else []),
            spans(run.spec.seed for run in runs) if SEED_AND_HASH.search(runs[0].spec.id) else "",
            *size,
            ", ".join(filter(None, (states(runs), made_told(run.made for run in runs)))),
            duration(sum(run.estimate_seconds for run in runs)),
        )
    return table


def _table(title: str, first: str, told: Sequence[str], more: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first, overflow="fold")
    if any(told):
        table.add_column(SETTINGS, overflow="fold")
    for name in (*more, "steps", "rate", "state", "estimate"):
        table.add_column(name, no_wrap=True, justify="left" if name == "state" else "right")
    return table


def _size(spec: RunSpec) -> tuple[str, str]:
    """Optimiser steps and peak rate; empty for what is not trained."""
    return "" if spec.is_reference else str(spec.steps), f"{spec.optim.lr:g}" if spec.optim else ""


def states(runs: Iterable[PlannedRun], named: Mapping[RunState, str] | None = None) -> str:
    """``4 absent, 20 done``; ``named``: words in place of a state's own."""
    counts, words = Counter(run.state for run in runs), named or {}
    return ", ".join(f"{counts[state]} {words.get(state, state.value)}" for state in RunState if counts[state])


def spans(seeds: Iterable[int]) -> str:
    """``0-4, 7``."""
    found: list[list[int]] = []
    for seed in sorted(set(seeds)):
        if found and seed == found[-1][-1] + 1:
            found[-1][1:] = [seed]
        else:
            found.append([seed])
    return ", ".join("-".join(map(str, span)) for span in found)


def _seedless(spec: RunSpec) -> RunSpec:
    """A run that continues another names it by an id, which holds a seed."""
    return dataclasses.replace(spec, start=SEED_AND_HASH.sub("", spec.start)) if spec.start else spec


def differences(specs: Sequence[RunSpec]) -> list[str]:
    """Of each run, ``privilege = none, k = 8``: what is not the same in all runs of its method and is not in its id.

    References have none. Runs of one setting are looked at once.
    """
    keys = [_setting(spec) for spec in specs]
    settings = {key: _settings(spec) for key, spec in dict(zip(keys, specs, strict=True)).items()}
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    for (label, *_), own in settings.items():
        for name, value in own.items():
            seen[label, name].add(value)
    told = {
        key: ", ".join(f"{name} = {value}" for name, value in own.items() if len(seen[key[0], name]) > 1)
        for key, own in settings.items()
    }
    return [told[key] for key in keys]


def _setting(spec: RunSpec) -> tuple[Any, ...]:
    """The label, and everything else that ``_settings`` reads."""
    how = spec.method or spec.recipe
    return (
        spec.label,
        spec.data.canonical if spec.data else "",
        how.canonical if how else "",
        *attrgetter(*RUN_FIELDS)(spec),
    )


def _settings(spec: RunSpec) -> dict[str, str]:
    """What the id and the other columns do not say, as text, by the name of the field; none of a reference."""
    if spec.is_reference:
        return {}
    data = {name: getattr(spec.data, name, None) for name in DATA_FIELDS}
    run = {name: getattr(spec, name) for name in RUN_FIELDS}
    how = spec.method or spec.recipe
    return {key: _written(value) for key, value in (data | run | dict(how.settings if how else {})).items()}


def _written(value: Any) -> str:
    """A sequence without its brackets."""
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value) or "none"
