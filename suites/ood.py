"""Figure 7b: train on one domain, test on another.

The paper trains on coding and tests on reasoning (MATH500), then the reverse (BFCLv3); its text states that
DOPD is ahead of the second best by 3.1 and 4.3, and no score. Here every method is trained on one domain and
asked in every other, at the last checkpoint; the range of difficulty that was never distilled is asked too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from harness import registry
from harness.analysis import results
from harness.config import ModelSpec, RunSpec
from harness.show.tables import Cell, Kind, Table, difference_cell
from harness.suite import Evaluation, Options, Profile, training_run
from harness.types import HarnessError
from suites.kit import under
from suites.kit.arms import Arm, ArmScores, every_decoding, last_step_caption, method_arm
from suites.kit.chosen import BASELINE, by_paradigm, references, selected_methods
from suites.kit.columns import ColumnOf, Compared, Subject, Untrained, cost_columns, difference_columns, table
from suites.kit.comparison import early_cell, early_pair, full_tables, to_baseline
from suites.kit.dots import DOTS, SIDE_BY_SIDE, at_budget, budgets, highest, panel_of
from suites.kit.findings import Finding, compared, in_points
from suites.kit.items import arm_pair, items_tables
from suites.kit.measures import Measure, asked, measures_of
from suites.kit.sentences import SECONDS, learning_rate_sentence, tests_sentence
from suites.paper.numbers import PaperNumbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


METHODS = ("vanilla_opd", "privileged_teacher", "privileged_student", "dopd")
RIVALS = ("exopd", "uni_opd", "eopd")
"""Of Figure 7b, beside vanilla OPD."""
PAPER_METHODS = (BASELINE, *RIVALS, "dopd")
"""Those of Figure 7b, where they were run."""
GRID = 3
"""Panels in a row where there are many."""
FEW = 6
"""Named methods that Figure 7b still holds legibly; of more it shows the paper's, and ``ood_all`` shows all."""
SUBJECT = "dopd"
TOPIC = "Out of domain"
"""What the titles of both figures begin with."""
PAPER_TABLE = "figure7b"
LEAD = "lead_over_second_best"
"""Column of the paper's numbers: the only thing its text states."""
HEADERS = ("trained → tested", "method")
Direction = tuple[str, str]
"""Trained and tested domain."""
Asked = tuple[str, str]
"""An arm's key and the domain it is asked in."""
End = tuple[ModelSpec, Direction]
"""An untrained model beside the methods of one direction."""


class OutOfDomain(PaperNumbers):
    """Methods × directions × seeds, with student and teacher as reference rows."""

    name = "ood"
    needs = ("targets", "directions")
    title = "train on one domain, test on another (Figure 7b)"
    ranks_methods = True
    whole: ClassVar[Mapping[str, Any]] = {"methods": (*METHODS, *RIVALS), "seeds": (0, 1, 2, 3, 4)}
    paper = ("figure7b",)
    seeds = (0, 1, 2)

    def arms(self, profile: Profile, options: Options) -> list[Arm]:
        """``<trained domain>/<method>``, domain by domain.

        Raises:
            HarnessError: there are no two domains, one to train on and one to ask.
        """
        names = selected_methods(options, profile.part(self.name).arms or METHODS)
        trained = trained_domains(profile, options)
        if not directions_of(profile, trained):
            raise HarnessError(
                f"suite {self.name} trains on one domain and asks in another, profile {profile.name} has "
                f"{', '.join(trained)} alone: give it a second one (data, targets, directions), or choose suite "
                "in_distribution"
            )
        return [
            method_arm(
                name,
                {
                    seed: training_run(profile, options, method=name, domains=(domain,), seed=seed)
                    for seed in self.chosen_seeds(options)
                },
                key=arm_key(domain, name),
                block=domain,
                baseline=arm_key(domain, BASELINE) if BASELINE in names else "",
            )
            for domain in trained
            for name in names
        ]

    def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
        """Every domain in the trained range and in the harder one, at the last step."""
        return every_decoding(spec)

    def scores(self, rows: DataFrame, costs: DataFrame, options: Options) -> DirectionScores:
        """Rows and costs, found by trained domain, method and seed."""
        return DirectionScores(suite=self, rows=rows, costs=costs, options=options)

    def tables_of(self, scores: DirectionScores) -> list[Table]:
        """The main table, its differences with an interval over items too, DOPD's lead beside the paper's, and every
        benchmark under each metric."""

        def shown(measures: Sequence[Measure]) -> str:
            return caption(scores, measures=measures)

        main = main_table(scores)
        pairs = [
            arm_pair(scores, key, scores.target(tested), block=words(trained, tested))
            for trained, tested in scores.directions
            for key in scores.trained_on(trained)
            if scores.arms[key].baseline not in ("", key)
        ]
        return [
            main,
            *items_tables(scores, main, pairs, registry.methods()[BASELINE].label),
            *([lead_table(scores)] if SUBJECT in scores.entries and scores.rivals else []),
            *full_tables(scores, "ood", title="Every domain", caption=shown, block_header="trained on"),
        ]

    def figures_of(self, scores: DirectionScores) -> Mapping[str, Figure]:
        """``figure7b``: the paper's directions, and its methods or the few that were named; ``ood_all``: all, if there
        are more of either."""
        named = isinstance(scores.options.methods, tuple) or bool(scores.profile.part(self.name).arms)
        methods = drawn_methods(list(scores.entries), named=named)
        papers = set(scores.profile.directions)
        directions = [pair for pair in scores.directions if set(pair) == papers] or scores.directions
        drawn = {"figure7b": figure(scores, in_papers_order(methods), directions)}
        if len(methods) < len(scores.entries) or len(directions) < len(scores.directions):
            drawn["ood_all"] = figure(scores, by_paradigm(scores.entries), scores.directions)
        return drawn

    def elsewhere(self, drawn: Sequence[str]) -> str:
        """Figure 7b does not hold everything."""
        said = (
            f"figure7b shows the paper's directions, and the paper's methods unless up to {FEW} are named with "
            "--methods; ood_all shows every one that was asked for"
        )
        return said if "ood_all" in drawn else ""


def drawn_methods(names: Sequence[str], *, named: bool) -> list[str]:
    """Of Figure 7b: all that user or profile named, if they are few; else the paper's, where some are there."""
    if named and len(names) <= FEW:
        return list(names)
    return [name for name in names if name in PAPER_METHODS] or list(names)


def in_papers_order(names: Sequence[str]) -> list[str]:
    """As Figure 7b has them, if it has all of them; else as they are."""
    return sorted(names, key=PAPER_METHODS.index) if set(names) <= set(PAPER_METHODS) else list(names)


def trained_domains(profile: Profile, options: Options) -> tuple[str, ...]:
    """Domains to train on, the paper's two first.

    Raises:
        HarnessError: not a domain of the profile's data; the profile has no benchmark of each domain, or no directions.
    """
    known = profile.data.domains
    profile.given("targets", "ood")
    if options.train_domains is None:
        return profile.given("directions", "ood")
    if options.train_domains == "all":
        return tuple(dict.fromkeys((*profile.directions, *known)))
    return tuple(dict.fromkeys(registry.lookup("training domain", name, known) for name in options.train_domains))


def directions_of(profile: Profile, trained: Sequence[str]) -> list[Direction]:
    """From each trained domain to the paper's two tested ones and whatever else is trained."""
    return [(a, b) for a in trained for b in dict.fromkeys((*profile.directions, *trained)) if a != b]


def arm_key(trained: str, method: str) -> str:
    """``coding/dopd``."""
    return f"{trained}/{method}"


def words(trained: str, tested: str) -> str:
    """``coding → reasoning``."""
    return f"{trained} → {tested}"


@dataclass(frozen=True, kw_only=True)
class DirectionScores(ArmScores):
    """Scores by trained and tested domain."""

    @cached_property
    def directions(self) -> list[Direction]:
        """See ``directions_of``."""
        return directions_of(self.profile, tuple(dict.fromkeys(arm.block for arm in self.arms.values())))

    @cached_property
    def rivals(self) -> list[str]:
        """Ranked methods that are no variant of DOPD."""
        subject = registry.methods()[SUBJECT].target
        return [name for name, entry in self.entries.items() if entry.ranked and entry.target != subject]

    def trained_on(self, domain: str) -> list[str]:
        """Keys of the arms."""
        return [key for key, arm in self.arms.items() if arm.block == domain]

    def target(self, domain: str) -> list[Measure]:
        """The benchmark that stands for a domain, under the primary metric."""
        return [Measure(self.profile.targets[domain])]


def main_table(scores: DirectionScores) -> Table:
    """Per direction: references, then each method with its difference to the baseline."""

    def said(tests: int) -> str:
        compared = BASELINE in scores.entries
        tested = (
            f"Baseline: {scores.entries[BASELINE].label}; {tests_sentence(tests, scores.units)}" if compared else ""
        )
        return " ".join(filter(None, (caption(scores), tested, SECONDS)))

    return table(
        [line for each in scores.directions for line in _lines(scores, each)],
        _columns(scores),
        name="ood",
        title=f"Out of domain, profile {scores.profile.name}",
        caption=said,
        headers=HEADERS,
        partial=scores.partial,
    )


def _lines(scores: DirectionScores, direction: Direction) -> list[Subject[Asked] | Untrained[End]]:
    block, (trained, tested) = words(*direction), direction
    ends = references(scores.profile).items()
    arms = [scores.arms[key] for key in scores.trained_on(trained)]
    return [
        *(Untrained(of=(model, direction), label=label, block=block) for label, model in ends),
        *(
            Subject(of=(arm.key, tested), block=block, label=arm.label, ranked=arm.ranked, updates=arm.updates)
            for arm in arms
        ),
    ]


def _columns(scores: DirectionScores) -> list[ColumnOf[Asked, End]]:
    def score(key: str, domain: str) -> Cell:
        return scores.cell(key, scores.target(domain))

    def reference(model: ModelSpec, domain: str) -> Cell:
        return scores.reference_cell(model, scores.target(domain))

    def minus_baseline(at: Asked) -> Compared:
        key, tested = at
        return to_baseline(scores, key, scores.target(tested))

    def recovered(at: Asked) -> Cell:
        key, tested = at
        return scores.recovered(key, scores.target(tested))

    def minus_early(at: Asked) -> Compared:
        return to_baseline(scores, at[0], scores.target(at[1]), scores.early or "last")

    early = scores.early and early_pair(
        scores.early, lambda at: early_cell(scores, at[0], scores.target(at[1])), minus_early
    )
    return [
        ColumnOf(
            key="score",
            header="tested domain, %",
            cell=lambda at: score(*at),
            reference=lambda end: reference(end[0], end[1][1]),
            ranked=True,
        ),
        ColumnOf(key="recovery", header="gap recovered, %", cell=recovered),
        *difference_columns(minus_baseline),
        *(early or ()),
        ColumnOf(
            key="in_domain",
            header="trained domain, %",
            cell=lambda at: score(at[0], scores.arms[at[0]].block),
            reference=lambda end: reference(end[0], end[1][0]),
        ),
        *cost_columns(lambda at: list(scores.run_of(at[0]).values())),
    ]


def lead_table(scores: DirectionScores) -> Table:
    """DOPD's lead over the best other method, ours and the paper's in columns of their own."""
    stated = {
        (line["train"], line["test"]): Cell(value=line[LEAD], notes=(line["benchmark"],))
        for line in results.paper_numbers(PAPER_TABLE, scores.options.published)
    }
    label = scores.entries[SUBJECT].label
    columns: list[ColumnOf[Direction, None]] = [
        ColumnOf(
            key="ours",
            header=f"ours, profile {scores.profile.name}, points",
            kind=Kind.DIFFERENCE,
            cell=lambda direction: _lead(scores, *direction),
        ),
        ColumnOf(
            key="paper",
            header="paper, points",
            kind=Kind.DIFFERENCE,
            cell=lambda direction: stated.get(direction, Cell(missing="not in the paper")),
        ),
    ]
    return table(
        [Subject(of=each, block=words(*each), label=label, ranked=False) for each in scores.directions],
        columns,
        name="ood_lead",
        title="Lead over the best other method, ours beside the paper's",
        caption=(
            f"{caption(scores)} The best other method is chosen by these same scores, which favours it; "
            f"variants of {label} are no rivals. The paper's leads are read from its text and measured on "
            "other models, data and rivals: they stand beside ours and compare in sign only."
        ),
        headers=HEADERS,
        partial=scores.partial,
    )


def _lead(scores: DirectionScores, trained: str, tested: str) -> Cell:
    measures, subject = scores.target(tested), arm_key(trained, SUBJECT)
    own = scores.cell(subject, measures)
    cells = {name: scores.cell(arm_key(trained, name), measures) for name in scores.rivals}
    means = {name: cell.value for name, cell in cells.items() if cell.value is not None}
    if own.value is None or not means:
        return Cell(missing=own.missing or "no other method done")
    best = max(means, key=lambda rival: means[rival])
    difference = scores.difference(subject, arm_key(trained, best), measures)
    if difference is None:
        return Cell(missing=f"no common {scores.units.one}")
    return replace(difference_cell(difference), notes=(f"over {scores.entries[best].label}",))


def figure(scores: DirectionScores, methods: Iterable[str], directions: Sequence[Direction]) -> Figure:
    """Methods minus the baseline, a panel per direction and budget; scores without the baseline."""
    from harness.show.hbars import lying_bars

    names = list(methods)
    compares = BASELINE in scores.entries and any(name != BASELINE for name in names)
    shown = [name for name in names if name != BASELINE] if compares else names
    panels = [
        panel_of(
            scores,
            scores.target(tested),
            [arm_key(trained, name) for name in shown],
            title=at_budget(words(trained, tested), step),
            step=step,
        )
        for trained, tested in directions
        for step in budgets(scores)
    ]
    found = finding(scores, [name for name in shown if scores.entries[name].ranked] or shown, directions)
    label = scores.entries[BASELINE].label if compares else ""
    return lying_bars(
        panels,
        title=under.title(scores, TOPIC, found),
        axis=f"minus {label}, points" if compares else f"{scores.label}, %",
        caption=under.caption(scores, found, f"Trained → tested. {DOTS}"),
        columns=GRID if len(panels) > 2 * SIDE_BY_SIDE else min(SIDE_BY_SIDE, len(panels)),
    )


def finding(scores: DirectionScores, methods: Sequence[str], directions: Sequence[Direction]) -> Finding:
    """Of all methods in all directions, at the last step."""
    asked = {
        f"{scores.entries[name].label} ({words(trained, tested)})": (arm_key(trained, name), scores.target(tested))
        for trained, tested in directions
        for name in methods
    }
    if BASELINE not in scores.entries or BASELINE in methods:
        return highest({label: scores.cell(*each) for label, each in asked.items()})
    found = [in_points(label, to_baseline(scores, *each).difference) for label, each in asked.items()]
    return compared(found, scores.entries[BASELINE].label, scores.units, things="comparisons")


def caption(
    scores: DirectionScores, methods: Iterable[str] | None = None, measures: Sequence[Measure] | None = None
) -> str:
    """Checkpoint, seeds, items, what intervals do not say, what the profile changes, what is stale.

    Args:
        methods: shown; all of them by default.
        measures: shown; the primary ones by default.
    """
    entries = {name: scores.entries[name] for name in (scores.entries if methods is None else methods)}
    rates = learning_rate_sentence(scores.profile, scores.options, entries)
    return last_step_caption(scores, measures or measures_of(asked(scores.profile)), entries, rates)
