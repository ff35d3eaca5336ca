"""Rows from disk, checked, with what is missing made explicit. Three sources, never merged. No torch.

- ``runs``: ``<results>/runs/``, done runs of this machine that the suite plans; of an untrained reference the rows may
  be copies of published ones, and its folder says so (``harness.runs.references``);
- ``published``: ``<published>/<profile>/<suite>/`` (``Options.folder``), committed;
- ``paper``: ``<published>/paper/``, the paper's own numbers.

Both frames are plain: one line per ``Row`` and one per planned run. ``train_domains`` is joined by ``+``.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from harness.config import FIRST_WORLD, RunSpec
from harness.evaluation.benchmarks import is_primary, is_share
from harness.runs import reuse
from harness.storage import files, published_folder
from harness.storage.code import Code, MadeBy, code_of, worst
from harness.storage.published_folder import COSTS_FILE, ROWS_FILE, SCHEMA
from harness.storage.run_folder import RunFolder, RunState
from harness.suite import PUBLISHED
from harness.types import Cost, HarnessError, Row

if TYPE_CHECKING:
    from pandas import DataFrame

    from harness.suite import Evaluation, Options, Profile, Suite

PAPER = "paper"
ROW_COLUMNS = tuple(f.name for f in dataclasses.fields(Row))
COST_COLUMNS = (*(f.name for f in dataclasses.fields(Cost)), "lr", "state")
"""A ``Cost``, the planned learning rate, and the state of the run: done, stale, absent, partial, unevaluated or
failed; a cost's numbers are NaN unless done, and so are there rows. *stale*: published only under settings that are
not the planned ones."""
STALE = "stale"
STATUSES = ("ok", "collapsed")
"""Of a row."""


@runtime_checkable
class HasPaperRows(Protocol):
    """A suite that can show the paper's own numbers."""

    def paper_rows(self, options: Options) -> DataFrame:
        """The paper's numbers in the columns of rows; what the paper does not state is absent."""
        ...


def load(
    source: Literal["runs", "published", "paper"], suite: Suite, profile: Profile, options: Options
) -> tuple[DataFrame, DataFrame]:
    """Rows and costs of the runs a suite plans, from one source.

    Raises:
        NoRowsError: nothing is published.
        HarnessError: a row file is damaged, of an older schema or of another profile, world or draw, holds a number
            twice or a value that is no share, or scores of one benchmark over different items, or of another version
            of it than the suite asks for.
    """
    if source == "paper":
        if not isinstance(suite, HasPaperRows):
            raise HarnessError(f"suite {suite.name}: the paper states no numbers for it; use --from runs or published")
        return suite.paper_rows(options), cost_frame([])
    specs = {spec.id: spec for spec in suite.runs(profile, options)}
    if source == "runs":
        rows, costs = _from_runs(suite, profile, options, specs.values())
    else:
        rows, costs = _from_published(specs, options.published / profile.name / options.folder)
        _check_versions(rows, [e for spec in specs.values() for e in suite.evaluations(spec)])
    check(rows, profile)
    return row_frame(rows), cost_frame(costs)


def published_rows(profile: Profile, options: Options) -> DataFrame:
    """Everything that is published of a suite, whatever it plans now.

    Raises:
        HarnessError: as ``load``.
    """
    rows = published_folder.read_rows(options.published / profile.name / options.folder / ROWS_FILE)
    check(rows, profile)
    return row_frame(rows)


def samples(name: str, suite: Suite, profile: Profile, options: Options) -> list[dict[str, Any]]:
    """Records behind one evaluation of a suite's done runs, or as published; none where there are none.

    Args:
        name: one of ``suite.published_samples``.

    Raises:
        HarnessError: a file is damaged.
    """
    if options.source == "published":
        return files.read_jsonl(
            options.published / profile.name / options.folder / f"{name}.jsonl", cure=published_folder.RESTORE
        )
    specs = {spec.id: spec for spec in suite.runs(profile, options)}.values()
    return run_samples(name, suite, (RunFolder(options.results, spec) for spec in specs))


def run_samples(name: str, suite: Suite, folders: Iterable[RunFolder]) -> list[dict[str, Any]]:
    """Records behind one evaluation of the runs that are done, run by run and step by step."""
    done = (folder for folder in folders if folder.state(suite.evaluations(folder.spec)) is RunState.DONE)
    return [
        record
        for folder in done
        for evaluation in suite.evaluations(folder.spec)
        if evaluation.benchmark == name
        for record in folder.read_samples(evaluation)
    ]


def made_by(rows: DataFrame, specs: Iterable[RunSpec]) -> dict[str, MadeBy]:
    """What made the rows of each run, the worst of them, beside the code that is here; runs without rows are out."""
    known = {spec.id: spec for spec in specs}
    codes: dict[str, set[Code]] = defaultdict(set)
    for run, training, evaluation in zip(rows["run"], rows["training_code"], rows["evaluation_code"], strict=True):
        codes[run].add(Code(training, evaluation))
    here = {run: code_of(known[run]) for run in codes if run in known}
    return {run: worst(code.beside(found) for code in codes[run]) for run, found in here.items()}


def select(frame: DataFrame, **where: Any) -> DataFrame:
    """The lines whose columns have these values."""
    for column, value in where.items():
        frame = frame.loc[frame[column] == value]
    return frame


def primary(rows: DataFrame) -> DataFrame:
    """Rows of each benchmark under its primary decoding and metric."""
    return rows.loc[[is_primary(row) for row in records(rows)]]


def last_step(rows: DataFrame) -> DataFrame:
    """Rows of each run's final checkpoint, the only one a main table shows."""
    return rows.loc[rows["step"] == rows["steps"]]


def records(frame: DataFrame) -> list[dict[str, Any]]:
    """The lines of a frame, one dict each."""
    columns = [frame[name].tolist() for name in frame.columns]
    return [dict(zip(frame.columns, line, strict=True)) for line in zip(*columns, strict=True)]


def grouped(frame: DataFrame, *columns: str) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    """The lines of a frame by their values in some columns; a table asks for a few hundred such groups."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for record in records(frame):
        groups[tuple(record[name] for name in columns)].append(record)
    return dict(groups)


def by_seed(lines: Sequence[Mapping[str, Any]], column: str) -> dict[int, Any]:
    """One column of some lines, by seed.

    Raises:
        HarnessError: there are two lines of one seed: they mix runs that differ in something else.
    """
    values = {line["seed"]: line[column] for line in lines}
    if len(values) < len(lines):
        runs = ", ".join(sorted({line["run"] for line in lines}))
        raise HarnessError(f"two values for one seed among {runs}: select one setting before averaging over seeds")
    return values


def readable(run: str) -> str:
    """A run id without its hash: what it is, not which settings."""
    return run.rpartition("-")[0]


def match_runs(runs: Iterable[str], have: Iterable[str]) -> dict[str, str]:
    """Each id of ``runs`` to the same id of ``have``, else to the only one of the same name, other settings.

    What has no counterpart, or more than one, is left out.
    """
    ours, others = set(runs), set(have)
    exact = {run: run for run in ours & others}
    mine, theirs = (Counter(map(readable, ids - exact.keys())) for ids in (ours, others))
    by_name = {readable(run): run for run in others - exact.keys()}
    names = {run: readable(run) for run in ours - exact.keys()}
    return exact | {run: by_name[name] for run, name in names.items() if mine[name] == theirs[name] == 1}


def row_frame(rows: Iterable[Row]) -> DataFrame:
    """One line per row, in the order given."""
    return _frame(({name: getattr(row, name) for name in ROW_COLUMNS} for row in rows), ROW_COLUMNS)


def cost_frame(costs: Iterable[Mapping[str, Any]]) -> DataFrame:
    """One line per planned run, in the order given; records have the fields of ``Cost`` and ``state``."""
    return _frame(costs, COST_COLUMNS)


def check(rows: Sequence[Row], profile: Profile) -> None:
    """Refuse rows that would make a table lie.

    Raises:
        HarnessError: schema, profile, world, draw, value, duplicate or item count is wrong; names the run.
    """
    for row in rows:
        _check_row(row, profile.name)
        _check_world(row, rows[0])
        _check_draw(row, profile)
    keys = Counter((r.run, r.step, r.benchmark, r.version, r.decoding, r.metric) for r in rows)
    if twice := [key for key, count in keys.items() if count > 1]:
        run, step, benchmark, _, decoding, metric = twice[0]
        raise HarnessError(
            f"{len(twice)} rows stand twice, first {benchmark} {decoding} {metric} of {run} at step {step}: "
            "delete the row file of that run and evaluate again"
        )
    items: dict[tuple[str, str], Row] = {}
    for row in rows:
        first = items.setdefault((row.benchmark, row.decoding), row)
        if (first.version, first.n) != (row.version, row.n):
            raise HarnessError(
                f"{row.benchmark} {row.decoding} was scored on {first.n} items of version {first.version} in "
                f"{first.run} and on {row.n} of version {row.version} in {row.run}: not comparable, delete the row "
                "file of one and evaluate again"
            )


def _check_versions(rows: Iterable[Row], wanted: Iterable[Evaluation]) -> None:
    """A benchmark's version stands for its items: rows of another one answer another question."""
    versions = {evaluation.benchmark: evaluation.version for evaluation in wanted}
    for row in rows:
        asked = versions.get(row.benchmark, row.version)
        if row.version != asked:
            raise HarnessError(
                f"run {row.run}: {row.benchmark} is of version {row.version}, this suite asks for version {asked}, "
                "which has other items or another grading: publish again"
            )


def paper_numbers(name: str, published: Path) -> list[dict[str, Any]]:
    """One of the paper's tables as printed: percent, one record per printed line.

    Raises:
        HarnessError: no such file.
    """
    import pandas as pd

    # What somebody published of their own has no numbers of the paper beside it.
    path = next((each / PAPER for each in (published, PUBLISHED) if (each / PAPER).is_dir()), published) / f"{name}.csv"
    if not path.is_file():
        raise HarnessError(f"the paper's numbers {path} are missing: restore the file (git checkout)")
    return records(pd.read_csv(path))


def _from_runs(
    suite: Suite, profile: Profile, options: Options, specs: Iterable[RunSpec]
) -> tuple[list[Row], list[dict[str, Any]]]:
    """Of done runs; where the options reuse what is published, of runs that are not done here the published rows."""
    rows: list[Row] = []
    costs: list[dict[str, Any]] = []
    found = reuse.published(suite, profile, options) if options.reuse else {}
    paid = reuse.costs(profile, options) if options.reuse else {}
    for spec in specs:
        folder = RunFolder(options.results, spec)
        state = folder.state(suite.evaluations(spec))
        if state is RunState.DONE:
            rows += folder.wanted_rows(suite.evaluations(spec))
            costs.append(_cost_record(spec, folder.cost(), state.value))
        elif spec.id in found and not any(e.benchmark in suite.published_samples for e in suite.evaluations(spec)):
            rows += found[spec.id]
            costs.append(_cost_record(spec, paid.get(spec.id), RunState.DONE.value))
        else:
            costs.append(_cost_record(spec, None, "failed" if _ended_in_error(folder.log) else state.value))
    return rows, costs


def _ended_in_error(log: Path) -> bool:
    """True if the last thing a worker wrote of a run is an exception (``harness.runs.local`` logs tracebacks)."""
    if not log.is_file():
        return False
    lines = log.read_text(encoding="utf-8", errors="replace").rstrip().rsplit("\n", 1)
    return re.match(r"[\w.]+(Error|Exception)\b", lines[-1]) is not None


def _from_published(specs: Mapping[str, RunSpec], folder: Path) -> tuple[list[Row], list[dict[str, Any]]]:
    rows = published_folder.read_rows(folder / ROWS_FILE)
    paid = {cost.run: cost for cost in published_folder.read_costs(folder / COSTS_FILE)}
    have = {row.run for row in rows}
    stale = match_runs(specs, have).keys() - have

    def state(run: str) -> str:
        return RunState.DONE.value if run in have else STALE if run in stale else RunState.ABSENT.value

    costs = [_cost_record(spec, paid.get(run), state(run)) for run, spec in specs.items()]
    return [row for row in rows if row.run in specs], costs


def _cost_record(spec: RunSpec, cost: Cost | None, state: str) -> dict[str, Any]:
    planned = {"lr": spec.optim.lr if spec.optim else None, "state": state}
    if cost:
        return dataclasses.asdict(cost) | planned
    return planned | {
        "run": spec.id,
        "method": spec.label,
        "seed": spec.seed,
        "train_domains": spec.train_domains,
        "steps": spec.steps,
    }


def _check_row(row: Row, profile: str) -> None:
    if row.schema != SCHEMA:
        raise HarnessError(
            f"run {row.run}: rows are of schema {row.schema}, this version reads {SCHEMA}: evaluate it again"
        )
    if row.profile != profile:
        raise HarnessError(
            f"run {row.run} is of profile {row.profile}, asked for is {profile}: rows of two profiles do not "
            "mix, move them away"
        )
    if row.status not in STATUSES:
        raise HarnessError(
            f"run {row.run}: its status is {row.status!r}, allowed is {' or '.join(STATUSES)}: delete its row file "
            "and evaluate again"
        )
    share = is_share(row.benchmark, row.metric)
    if not _is_number(row.value, 1.0 if share else math.inf) or row.n < 1:
        raise HarnessError(
            f"run {row.run}: {row.benchmark} {row.decoding} {row.metric} is {row.value} over {row.n} items; allowed is "
            f"a number from 0{' to 1' if share else ''} over at least one item: delete its row file and evaluate again"
        )


def _check_world(row: Row, first: Row) -> None:
    """Rows of two worlds answer different questions, whatever their benchmarks are called."""
    if row.world != first.world:
        worlds = [f"{each.run} is of world {each.world or FIRST_WORLD}" for each in (first, row)]
        raise HarnessError(
            f"{' and '.join(worlds)}: their numbers do not stand beside one another; move the rows of one away, or "
            "publish again"
        )


def _check_draw(row: Row, profile: Profile) -> None:
    """A seed runs the draw that its profile says; an untrained model is asked in any of them."""
    draws = profile.draws
    if draws is None:
        allowed: tuple[int | None, ...] = (None,)
    else:
        allowed = (draws.of(row.seed),) if row.train_domains else draws.all
    if row.draw not in allowed:
        given = "no draw" if row.draw is None else f"draw {row.draw}"
        wanted = "has no draws" if draws is None else f"runs draw {' or '.join(map(str, allowed))} there"
        raise HarnessError(
            f"run {row.run} of seed {row.seed} is of {given}, profile {profile.name} {wanted}: rows of other draws do "
            "not mix, move them away and run again"
        )


def _is_number(value: Any, most: float) -> bool:
    """JSON may hold anything, NaN and infinity included."""
    return type(value) in (int, float) and math.isfinite(value) and 0 <= value <= most  # True would be an int


def _frame(records: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> DataFrame:
    import pandas as pd

    flat = [{**r, "train_domains": "+".join(r["train_domains"])} for r in records]
    return pd.DataFrame(flat, columns=list(columns))
