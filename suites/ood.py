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
from harness.analysis import results, statistics
from harness.analysis.statistics import Difference
from harness.config import ModelSpec, RunSpec
from harness.evaluation.benchmarks import sentence, told
from harness.method import Entry
from harness.show.tables import Cell, Column, Kind, Line, Table, difference_cell, ranked, seed_cell, shade
from harness.suite import Evaluation, Options, Profile, Suite, reference_run, training_run
from suites.kit.bars import DOTS, seed_bar
from suites.kit.cells import (
    BASELINE,
    SECONDS,
    Measure,
    Shown,
    asked,
    benchmark_table,
    by_paradigm,
    cost_cells,
    difference_cells,
    items_of,
    learning_rate_sentence,
    measures_of,
    recovery,
    recovery_cell,
    reference_cell,
    references,
    selected_methods,
    slashed,
    standing_sentences,
    tests_sentence,
    untrained_line,
    words_of,
)
from suites.kit.items import Pair, items_tables, runs_by_seed
from suites.kit.lines import reference_lines
from suites.paper.numbers import PaperNumbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from harness.show.bars import Bar, Reference

METHODS = ("vanilla_opd", "privileged_teacher", "privileged_student", "dopd")
RIVALS = ("exopd", "uni_opd", "eopd")
"""Of Figure 7b, beside vanilla OPD."""
PAPER_METHODS = (BASELINE, *RIVALS, "dopd")
"""Those of Figure 7b, where they were run."""
GRID = 3
"""Directions side by side where all methods stand."""
SEEDS = (0, 1, 2)
SUBJECT = "dopd"
TITLE = "Out of domain: trained → tested"
"""Of both figures."""
FULL = (("full", "", ""), ("sample4", "sample4", ""), ("trace", "", "exact_trace"))
"""Name, decoding and metric of the tables of every benchmark; the primary ones where empty."""
PAPER_TABLE = "figure7b"
LEAD = "lead_over_second_best"
"""Column of the paper's numbers: the only thing its text states."""
MAIN_COLUMNS = (
    Column(key="score", header="tested domain, %"),
    Column(key="recovery", header="gap recovered, %"),
    Column(key="difference", header="minus baseline, points", kind=Kind.DIFFERENCE),
    Column(key="p_holm", header="p (Holm)", kind=Kind.P),
    Column(key="in_domain", header="trained domain, %"),
    Column(key="tokens", header="tokens trained, k", kind=Kind.COUNT),
    Column(key="forwards", header="forwards per token"),
    Column(key="seconds", header="training, s", kind=Kind.COUNT),
)


class OutOfDomain(PaperNumbers, Suite):
    """Methods × directions × seeds, with student and teacher as reference rows."""

    name = "ood"
    title = "train on one domain, test on another (Figure 7b)"
    ranks_methods = True
    whole: ClassVar[Mapping[str, Any]] = {"methods": (*METHODS, *RIVALS), "seeds": (0, 1, 2, 3, 4)}
    paper = ("figure7b",)

    def runs(self, profile: Profile, options: Options) -> list[RunSpec]:
        """References first; then seed by seed, so that whatever is done compares all methods."""
        references = [reference_run(profile, model) for model in (profile.student, profile.teacher)]
        return references + [
            training_run(profile, options, method=method, domains=(domain,), seed=seed)
            for seed in options.seeds or SEEDS
            for domain in trained_domains(profile, options)
            for method in selected_methods(options, METHODS)
        ]

    def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
        """Every domain in the trained range and in the harder one, at the last step."""
        return tuple(
            Evaluation("last", known.name, decoding, known.version)
            for known in map(told, asked(registry.profile(spec.profile)))
            for decoding in known.decodings
        )

    def tables(self, rows: DataFrame, costs: DataFrame, options: Options) -> list[Table]:
        """The main table, its differences with an interval over items too, DOPD's lead beside the paper's, and every
        benchmark under each metric."""
        if options.source == "paper":
            return self.paper_tables(options)
        scores = self.scores(rows, costs, options)
        main = main_table(scores)
        return [
            main,
            *items_tables(self, scores, main, pairs(scores), registry.methods()[BASELINE].label),
            *([lead_table(scores)] if SUBJECT in scores.methods and scores.rivals else []),
            *(
                full_table(scores, f"ood_{name}", measures)
                for name, decoding, metric in FULL
                if (measures := measures_of(asked(scores.profile), decoding, metric))
            ),
        ]

    def figures(self, rows: DataFrame, costs: DataFrame, options: Options) -> Mapping[str, Figure]:
        """``figure7b``: the paper's methods and directions; ``ood_all``: all, if there are more of either."""
        if options.source == "paper":
            return self.paper_figures(options)
        scores = self.scores(rows, costs, options)
        methods = [name for name in scores.methods if name in PAPER_METHODS] or list(scores.methods)
        directions = [
            pair for pair in scores.directions if set(pair) == set(scores.profile.directions)
        ] or scores.directions
        drawn = {"figure7b": figure7b(scores, methods, directions)}
        if len(methods) < len(scores.methods) or len(directions) < len(scores.directions):
            drawn["ood_all"] = everything(scores)
        return drawn

    def scores(self, rows: DataFrame, costs: DataFrame, options: Options) -> Scores:
        """Rows of the last step, found by method, direction and seed."""
        return Scores(rows=results.last_step(rows), costs=costs, options=options)


def trained_domains(profile: Profile, options: Options) -> tuple[str, ...]:
    """Domains to train on, the paper's two first.

    Raises:
        HarnessError: not a domain of the profile's data.
    """
    known = profile.data.domains
    if options.train_domains is None:
        return profile.directions
    if options.train_domains == "all":
        return tuple(dict.fromkeys((*profile.directions, *known)))
    return tuple(dict.fromkeys(registry.lookup("training domain", name, known) for name in options.train_domains))


def direction(trained: str, tested: str) -> str:
    """``coding → reasoning``."""
    return f"{trained} → {tested}"


@dataclass(frozen=True, kw_only=True)
class Scores(Shown):
    """Rows at the last step, with what was asked for."""

    @cached_property
    def methods(self) -> dict[str, Entry]:
        """Entries of the methods asked for, by name."""
        known = registry.methods()
        return {name: known[name] for name in selected_methods(self.options, METHODS)}

    @cached_property
    def trained(self) -> tuple[str, ...]:
        """Domains trained on."""
        return trained_domains(self.profile, self.options)

    @cached_property
    def directions(self) -> list[tuple[str, str]]:
        """(trained, tested): the paper's two tested domains and whatever else was trained."""
        tested = dict.fromkeys((*self.profile.directions, *self.trained))
        return [(a, b) for a in self.trained for b in tested if a != b]

    @cached_property
    def rivals(self) -> list[str]:
        """Ranked methods that are no variant of DOPD."""
        subject = registry.methods()[SUBJECT].target
        return [name for name, entry in self.methods.items() if entry.ranked and entry.target != subject]

    def target(self, domain: str) -> Measure:
        """The benchmark that stands for a domain, under the primary metric."""
        return Measure(self.profile.targets[domain])

    def values(self, method: str, trained: str, measure: Measure) -> dict[int, float]:
        """A share per seed."""
        return results.by_seed(self._lines(method, trained, measure), "value")

    def cell(self, method: str, trained: str, measure: Measure) -> Cell:
        """Percent over seeds, coloured by the share of the gap if the method is ranked."""
        status = results.by_seed(self._lines(method, trained, measure), "status")
        cell = seed_cell(
            self.values(method, trained, measure),
            results.by_seed(self.runs(method, trained), "state"),
            {seed for seed, word in status.items() if word == "collapsed"},
        )
        if cell.value is None or not self.methods[method].ranked:
            return cell
        return replace(cell, shade=shade(recovery(cell.value, *self.ends(measure))))

    def reference(self, model: ModelSpec, measure: Measure) -> float | None:
        """Percent of a model that was only evaluated; None if it was not."""
        name = results.readable(reference_run(self.profile, model).id)
        lines = self._references.get((measure.benchmark, measure.decoding, measure.metric), [])
        return next((100 * line["value"] for line in lines if results.readable(line["run"]) == name), None)

    def ends(self, measure: Measure) -> tuple[float | None, float | None]:
        """Percent of the untrained student and of the teacher, without p."""
        return self.reference(self.profile.student, measure), self.reference(self.profile.teacher, measure)

    def runs(self, method: str, trained: str) -> list[dict[str, Any]]:
        """Lines of ``costs``, one per seed."""
        return self._costs.get((method, trained), [])

    def _lines(self, method: str, trained: str, m: Measure) -> list[dict[str, Any]]:
        return self._rows.get((method, trained, m.benchmark, m.decoding, m.metric), [])

    @cached_property
    def _rows(self) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
        return results.grouped(self.rows, "method", "train_domains", "benchmark", "decoding", "metric")

    @cached_property
    def _references(self) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
        untrained = results.select(self.rows, train_domains="")
        return results.grouped(untrained, "benchmark", "decoding", "metric")

    @cached_property
    def _costs(self) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
        return results.grouped(self.costs, "method", "train_domains")


def main_table(scores: Scores) -> Table:
    """Per direction: references, then each method with its difference to the baseline."""
    pairs = [(trained, tested, method) for trained, tested in scores.directions for method in scores.methods]
    tests = {pair: _difference(scores, *pair) for pair in pairs}
    adjusted = statistics.holm([d.p if d else None for d in tests.values()])
    p_values = dict(zip(tests, adjusted, strict=True))
    lines: list[Line] = []
    for trained, tested in scores.directions:
        lines += _reference_lines(scores, trained, tested)
        for method in scores.methods:
            pair = (trained, tested, method)
            lines.append(_method_line(scores, *pair, tests[pair], p_values[pair]))
    return Table(
        name="ood",
        title=f"Out of domain, profile {scores.profile.name}",
        caption=(
            f"{caption(scores)} Baseline: {registry.methods()[BASELINE].label}; {tests_sentence(adjusted)} {SECONDS}"
        ),
        block_header="trained → tested",
        label_header="method",
        columns=MAIN_COLUMNS,
        lines=ranked(lines, column=0),
        partial=scores.partial,
    )


def _method_line(
    scores: Scores, trained: str, tested: str, method: str, difference: Difference | None, p: float | None
) -> Line:
    score = scores.cell(method, trained, scores.target(tested))
    entry = scores.methods[method]
    cells = (
        score,
        recovery_cell(score, *scores.ends(scores.target(tested))),
        *difference_cells(score, difference, p, is_baseline=method == BASELINE),
        scores.cell(method, trained, scores.target(trained)),
        *cost_cells(scores.runs(method, trained)),
    )
    return Line(block=direction(trained, tested), label=entry.label, cells=cells, ranked=entry.ranked)


def _reference_lines(scores: Scores, trained: str, tested: str) -> list[Line]:
    lines: list[Line] = []
    for label, model in references(scores.profile).items():
        out, inside = (reference_cell(scores.reference(model, scores.target(d))) for d in (tested, trained))
        blank = (Cell(),) * 3
        cells = (out, *blank, inside, *blank)
        lines.append(Line(block=direction(trained, tested), label=label, cells=cells, ranked=False))
    return lines


def _difference(scores: Scores, trained: str, tested: str, method: str) -> Difference | None:
    """To the baseline; None without common seeds. The baseline's to itself has no spread, so it is no test."""
    own, base = (scores.values(m, trained, scores.target(tested)) for m in (method, BASELINE))
    return statistics.paired_difference(own, base)


def pairs(scores: Scores) -> list[Pair]:
    """Each method against the baseline in each direction; none without the baseline."""
    return [
        Pair(
            block=direction(trained, tested),
            label=entry.label,
            measures=[scores.target(tested)],
            own=runs_by_seed(scores.runs(method, trained)),
            base=runs_by_seed(scores.runs(BASELINE, trained)),
            difference=_difference(scores, trained, tested, method),
            missing=scores.cell(method, trained, scores.target(tested)).missing,
        )
        for trained, tested in scores.directions
        for method, entry in scores.methods.items()
        if method != BASELINE and BASELINE in scores.methods
    ]


def full_table(scores: Scores, name: str, measures: Sequence[Measure]) -> Table:
    """Every trained domain × every benchmark, the harder range included, under some measures."""
    lines: Sequence[Line] = [
        untrained_line(label, (reference_cell(scores.reference(model, m)) for m in measures))
        for label, model in references(scores.profile).items()
    ] + [
        Line(
            block=trained,
            label=entry.label,
            cells=tuple(scores.cell(method, trained, m) for m in measures),
            ranked=entry.ranked,
        )
        for trained in scores.trained
        for method, entry in scores.methods.items()
    ]
    return benchmark_table(
        scores,
        measures,
        lines,
        name=name,
        title="Every domain",
        caption=caption(scores, measures=measures),
        block_header="trained on",
    )


def lead_table(scores: Scores) -> Table:
    """DOPD's lead over the best other method, ours and the paper's in columns of their own."""
    stated = {
        (line["train"], line["test"]): Cell(value=line[LEAD], notes=(line["benchmark"],))
        for line in results.paper_numbers(PAPER_TABLE, scores.options.published)
    }
    label = scores.methods[SUBJECT].label
    return Table(
        name="ood_lead",
        title="Lead over the best other method, ours beside the paper's",
        caption=(
            f"{caption(scores)} The best other method is chosen by these same scores, which favours it; "
            f"variants of {label} are no rivals. The paper's leads are read from its text and measured on "
            "other models, data and rivals: they stand beside ours and compare in sign only."
        ),
        block_header="trained → tested",
        label_header="method",
        columns=(
            Column(key="ours", header=f"ours, profile {scores.profile.name}, points", kind=Kind.DIFFERENCE),
            Column(key="paper", header="paper, points", kind=Kind.DIFFERENCE),
        ),
        lines=tuple(
            Line(
                block=direction(*pair),
                label=label,
                cells=(_lead(scores, *pair), stated.get(pair, Cell(missing="not in the paper"))),
                ranked=False,
            )
            for pair in scores.directions
        ),
        partial=scores.partial,
    )


def _lead(scores: Scores, trained: str, tested: str) -> Cell:
    measure = scores.target(tested)
    own = scores.cell(SUBJECT, trained, measure)
    means = {rival: mean for rival in scores.rivals if (mean := scores.cell(rival, trained, measure).value) is not None}
    if own.value is None or not means:
        return Cell(missing=own.missing or "no other method done")
    best = max(means, key=lambda rival: means[rival])
    difference = statistics.paired_difference(
        scores.values(SUBJECT, trained, measure), scores.values(best, trained, measure)
    )
    if difference is None:
        return Cell(missing="no common seed")
    return replace(difference_cell(difference), notes=(f"over {scores.methods[best].label}",))


def figure7b(scores: Scores, methods: Sequence[str], directions: Sequence[tuple[str, str]]) -> Figure:
    """Grouped bars, a panel per direction; the paper's leads stand in the caption only."""
    from harness.show.bars import Group, grouped_bars

    order = sorted(methods, key=PAPER_METHODS.index) if set(methods) <= set(PAPER_METHODS) else methods
    return grouped_bars(
        [
            Group(
                title=direction(*pair),
                bars=tuple(_bar(scores, name, *pair) for name in order),
                references=_ends(scores, pair[1]),
            )
            for pair in directions
        ],
        title=f"{TITLE}{scores.mark}",
        axis=f"{scores.words}, %",
        caption=f"{caption(scores, methods=methods)} {DOTS} {paper_sentence(scores.options)}",
    )


def everything(scores: Scores) -> Figure:
    """Lying bars of all methods, a panel per direction."""
    from harness.show.bars import Group
    from harness.show.hbars import Panel, lying_bars

    return lying_bars(
        [
            Panel(
                title=direction(*pair),
                groups=(
                    Group(title="", bars=tuple(_bar(scores, name, *pair) for name in by_paradigm(scores.methods))),
                ),
                references=_ends(scores, pair[1]),
            )
            for pair in scores.directions
        ],
        title=f"{TITLE}, every method{scores.mark}",
        axis=f"{scores.words}, %",
        caption=f"{caption(scores)} {DOTS}",
        columns=min(GRID, len(scores.directions)),
    )


def _bar(scores: Scores, method: str, trained: str, tested: str) -> Bar:
    """What sees more than others may says so in its name."""
    entry, measure = scores.methods[method], scores.target(tested)
    bar = seed_bar(entry.label, scores.cell(method, trained, measure), scores.values(method, trained, measure))
    return bar if entry.ranked else replace(bar, label=f"{entry.label}, not ranked")


def _ends(scores: Scores, tested: str) -> tuple[Reference, ...]:
    models, measure = references(scores.profile), scores.target(tested)
    return reference_lines({label: scores.reference(model, measure) for label, model in models.items()})


def paper_sentence(options: Options) -> str:
    """What the paper states, for captions."""
    leads = " and ".join(
        f"{line[LEAD]} ({direction(line['train'], line['test'])}, {line['benchmark']})"
        for line in results.paper_numbers(PAPER_TABLE, options.published)
    )
    return (
        "The paper (Qwen3-8B → Qwen3-1.7B, other data) states a lead of DOPD over the second best of "
        f"{leads} points; these are not data of this figure."
    )


def caption(scores: Scores, methods: Iterable[str] | None = None, measures: Sequence[Measure] | None = None) -> str:
    """Checkpoint, seeds, items, what intervals do not say, what the profile changes, what is stale.

    Args:
        methods: shown; all of them by default.
        measures: shown; the primary ones by default.
    """
    profile = scores.profile
    measures = measures or measures_of(asked(profile))
    entries = {name: scores.methods[name] for name in (scores.methods if methods is None else methods)}
    steps = slashed({int(n) for n in scores.costs["steps"].tolist()} - {0})
    seeds = ", ".join(map(str, scores.options.seeds or SEEDS))
    parts = [
        f"{sentence(words_of(measures))}, {items_of(scores.rows, measures)} items a benchmark, at the last step "
        f"({steps}); seeds {seeds}; ± is half of the 95 % t interval over seeds.",
        learning_rate_sentence(profile, scores.options, entries),
        *standing_sentences(profile, entries, scores.costs),
    ]
    return " ".join(parts)
