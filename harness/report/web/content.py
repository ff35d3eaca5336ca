"""What stands on the page, gathered from rows: every suite with ours and the paper's, and what is missing. No torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness import registry
from harness.analysis import results
from harness.analysis.results import STALE, HasPaperRows
from harness.config import RunSpec
from harness.report import output, selection
from harness.report.web import decisions, problems, trajectory
from harness.report.web.album import Album, Picture
from harness.report.web.folders import without_folders
from harness.report.web.leaderboard import Board, board
from harness.report.web.learning import learning_curves
from harness.report.web.provenance import Provenance, Shown, provenance, published_environments, recorded_environments
from harness.report.web.svg import Drawing, drawing
from harness.show.tables import Table, concise
from harness.storage.code import told
from harness.storage.published_folder import ROWS_FILE
from harness.storage.run_folder import RunState
from harness.suite import Options, Profile, Suite
from harness.types import HarnessError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

RATES = ("shared", "tuned")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Tables and figures of one suite from one source: ours or the paper's."""

    tables: tuple[Table, ...] = ()
    """The main table first."""
    figures: Mapping[str, Drawing] = field(default_factory=dict)
    """By stem."""
    reason: str = ""
    """Why there is nothing where something belongs."""

    def table(self, name: str) -> Table | None:
        """The paper's table that belongs beside ours of this name; None if there is none."""
        return next((table for table in self.tables if table.name in _beside(name)), None)

    def figure(self, stem: str) -> Drawing | None:
        """The paper's figure that belongs beside ours of this stem; None if there is none."""
        return next((self.figures[each] for each in _beside(stem) if each in self.figures), None)

    def without(self, other: Shelf) -> Shelf:
        """What belongs beside nothing of ``other``."""
        tables = {name for table in other.tables for name in _beside(table.name)}
        figures = {name for stem in other.figures for name in _beside(stem)}
        return Shelf(
            tables=tuple(table for table in self.tables if table.name not in tables),
            figures={stem: figure for stem, figure in self.figures.items() if stem not in figures},
            reason=self.reason,
        )


def _beside(name: str) -> tuple[str, str]:
    return f"{name}_{results.PAPER}", name


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One suite on the page."""

    anchor: str
    name: str
    """With ``-tuned`` where each method has its own learning rate."""
    title: str
    ours: Shelf = field(default_factory=Shelf)
    paper: Shelf = field(default_factory=Shelf)
    learning: Drawing | None = None
    state: str = ""
    """``167 of 167 runs``."""
    reason: str = ""
    """Why it has no tables of ours; empty if it has."""
    command: str = ""
    """What makes or remakes it."""
    leads: bool = False
    """Whether its main table may be the leaderboard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaderboard:
    """The main table of one suite, ranked."""

    section: Section
    table: Table
    board: Board


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The whole page as a value."""

    profile: Profile
    source: str
    sections: tuple[Section, ...]
    leaderboard: Leaderboard | None
    claims: decisions.Decisions
    problems: problems.Problems | None = None
    """None in a profile whose problems are text alone."""
    trajectories: trajectory.Trajectories
    provenance: Provenance
    pictures: tuple[Picture, ...] = ()
    """Of problems and rollouts, each once."""


def gather(profile: Profile, options: Options) -> Content:
    """Reads one source of rows for every suite that the profile can run; ``options.suite`` is of no account.

    A suite whose rows are absent or unreadable is listed with the reason.
    """
    sections: list[Section] = []
    shown: list[Shown] = []
    for suite in map(registry.suite, registry.suites()):
        if not profile.holds(suite.name) or suite.lacks(profile):
            continue
        for rates in RATES:
            chosen = dataclasses.replace(options, suite=suite.name, profile=profile.name, learning_rate=rates)
            if rates != RATES[0] and not (options.source == "published" and _is_published(chosen)):
                continue
            section, behind = _section(suite, profile, chosen)
            sections.append(section)
            shown += [behind] if behind else []
    album = Album()
    asked, rollouts = problems.load(profile, album), trajectory.load(profile, options)
    if asked:
        rollouts = trajectory.with_pictures(rollouts, profile, options, album)
    return Content(
        profile=profile,
        source=options.source,
        sections=tuple(sections),
        leaderboard=leaderboard_of(sections),
        claims=decisions.load(profile, options),
        problems=asked,
        trajectories=rollouts,
        provenance=provenance(shown, options),
        pictures=album.pictures,
    )


def _is_published(options: Options) -> bool:
    return (options.published / options.profile / options.folder / ROWS_FILE).is_file()


def _section(suite: Suite, profile: Profile, options: Options) -> tuple[Section, Shown | None]:
    """A suite's part, and what it is made of; None if there are no rows."""
    section = Section(
        anchor=options.folder.replace("_", "-"),
        name=options.folder,
        title=suite.title_in(profile),
        paper=_paper(suite, profile, options),
        command=f"dopd run --suite {suite.name} --profile {profile.name}",
        leads=suite.ranks_methods and options.learning_rate == "shared",
    )
    if options.source == "published" and not _is_published(options):
        return dataclasses.replace(section, reason="it has not been published"), None
    try:
        options = _selected(suite, profile, options)
        rows, costs = results.load(options.source, suite, profile, options)
        if rows.empty:
            return dataclasses.replace(section, reason="none of its runs is done"), None
        tables = output.tables_of(suite, rows, costs, options)
        ours = _shelf(tables, suite.figures(rows, costs, options), section.anchor)
        behind = _behind(suite, profile, options, rows, costs)
    except HarnessError as error:
        return dataclasses.replace(section, reason=without_folders(str(error), options)), None
    curves = learning_curves(rows, behind.specs, f"Learning curves: {section.name}")
    section = dataclasses.replace(
        section,
        ours=ours,
        learning=drawing(curves, f"learning-{section.anchor}") if curves else None,
        state=_state(behind),
    )
    return section, behind


def _selected(suite: Suite, profile: Profile, options: Options) -> Options:
    return selection.as_published(suite, profile, options) if options.source == "published" else options


def _behind(suite: Suite, profile: Profile, options: Options, rows: DataFrame, costs: DataFrame) -> Shown:
    planned = {spec.id: spec for spec in suite.runs(profile, options)}.values()
    lines = results.records(costs)
    specs: dict[str, RunSpec] = dict(zip((line["run"] for line in lines), planned, strict=True))
    published = options.source == "published"
    folder = options.published / profile.name / options.folder
    return Shown(
        name=options.folder,
        specs=specs,
        costs=lines,
        environments=published_environments(folder) if published else recorded_environments(planned, options),
        made=results.made_by(rows, planned),
    )


def _state(shown: Shown) -> str:
    """How many of the planned runs have rows; that some are of other settings or of other code is said."""
    states = [line["state"] for line in shown.costs]
    stale = states.count(STALE)
    note = f", {stale} others published under settings that are not the planned ones" if stale else ""
    note += f", {by}" if (by := told(shown.made.values())) else ""
    return f"{states.count(RunState.DONE.value)} of {len(states)} runs{note}"


def _shelf(tables: Iterable[Table], figures: Mapping[str, Figure], anchor: str) -> Shelf:
    return Shelf(
        tables=tuple(map(concise, tables)),
        figures={stem: drawing(figure, f"{anchor}-{stem}".replace("_", "-")) for stem, figure in figures.items()},
    )


def _paper(suite: Suite, profile: Profile, options: Options) -> Shelf:
    """The paper's own numbers, whatever the source of ours; nothing where it states none."""
    if not isinstance(suite, HasPaperRows) or options.folder != suite.name:
        return Shelf()
    asked = Options(suite=suite.name, profile=profile.name, source="paper", published=options.published)
    try:
        rows, costs = results.load("paper", suite, profile, asked)
        return _shelf(suite.tables(rows, costs, asked), suite.figures(rows, costs, asked), f"paper-{suite.name}")
    except HarnessError as error:
        return Shelf(reason=without_folders(str(error), options))


def leaderboard_of(sections: Sequence[Section]) -> Leaderboard | None:
    """The first of the suites that may lead and has a number."""
    for section in sections:
        if section.leads and section.ours.tables and (ranking := board(table := section.ours.tables[0])):
            return Leaderboard(section=section, table=table, board=ranking)
    return None
