"""Every method of the registry side by side: all domains together, at the shared and at each one's own learning rate.

The paper compares its methods at one learning rate. Here each stands at that rate and, once ``dopd tune`` has been
published, at its own too, with what it cost and with how often its distinctive part did anything at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from harness import registry
from harness.analysis import results, statistics
from harness.analysis.statistics import Difference
from harness.config import ModelSpec, RunSpec
from harness.evaluation.benchmarks import sentence, told
from harness.method import Entry
from harness.show.tables import Cell, Column, Kind, Line, Table, mean_cell, ranked, seed_cell, shade
from harness.suite import TUNING, Evaluation, Options, Profile, Suite, reference_run, training_run, tuned_rates
from harness.types import HarnessError
from suites.kit.bars import seed_bar
from suites.kit.cells import (
    BASELINE,
    SECONDS,
    Measure,
    Shown,
    asked,
    benchmark_table,
    by_paradigm,
    collapsed_seeds,
    cost_cells,
    difference_cells,
    gain_cell,
    items_of,
    joint_domains,
    listed_methods,
    mean_by_seed,
    measures_of,
    recovery,
    recovery_cell,
    reference_cell,
    references,
    slashed,
    standing_sentences,
    tests_sentence,
    untrained_line,
    with_rates,
    words_of,
)
from suites.kit.items import Pair, items_tables, runs_by_seed
from suites.kit.lines import reference_lines

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from harness.show.bars import Bar, Group
    from harness.show.hbars import Panel

SEEDS = (0, 1, 2, 3, 4)
FULL = (("full", "", ""), ("sample4", "sample4", ""), ("trace", "", "exact_trace"))
"""Name, decoding and metric of the tables of every benchmark; the primary ones where empty."""
INACTIVE_BELOW = 0.01
"""Share on which a method's distinctive part must act for its row to be ranked."""
ACTS = {
    "grpo": "groups with right and wrong rollouts",
    "uni_opd": "groups shifted",
    "opsd": "tokens with a capped entry",
    "sdpo": "rollouts with feedback",
    "eopd": "tokens with an open gate",
    "tip": "tokens kept",
    "opd_dropped": "tokens dropped",
}
"""What is counted as acting, by registry name."""
SCORE = 1
"""Place of the ranked column."""
COLUMNS = (
    Column(key="rate", header="learning rate", kind=Kind.RATE),
    Column(key="score", header="mean of domains, %"),
    Column(key="gain", header="minus student, points", kind=Kind.DIFFERENCE),
    Column(key="recovery", header="gap recovered, %"),
    Column(key="difference", header="minus baseline, points", kind=Kind.DIFFERENCE),
    Column(key="p_holm", header="p (Holm)", kind=Kind.P),
    Column(key="harder", header="harder range, %"),
    Column(key="sample4", header="4 samples, %"),
    Column(key="acted", header="acted, %"),
    Column(key="tokens", header="tokens trained, k", kind=Kind.COUNT),
    Column(key="forwards", header="forwards per token"),
    Column(key="seconds", header="training, s", kind=Kind.COUNT),
)


class EveryMethod(Suite):
    """Methods × learning-rate settings × seeds, with student and teacher as reference rows."""

    name = "methods"
    title = "every method on all domains together, at the shared and at its own learning rate"
    ranks_methods = True
    of_paper = False

    def runs(self, profile: Profile, options: Options) -> list[RunSpec]:
        """References first; then seed by seed, so that whatever is done compares all methods.

        Raises:
            HarnessError: ``--learning-rate tuned``, which is here already.
        """
        domains, chosen = joint_domains(profile, options), settings(profile, options)
        return [reference_run(profile, model) for model in references(profile).values()] + [
            training_run(
                profile, replace(options, learning_rate=choice.name), method=method, domains=domains, seed=seed
            )
            for seed in options.seeds or SEEDS
            for choice in chosen
            for method in choice.rates
        ]

    def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
        """Every domain in the trained range and in the harder one, at the last step."""
        return tuple(
            Evaluation("last", known.name, decoding, known.version)
            for known in map(told, asked(registry.profile(spec.profile)))
            for decoding in known.decodings
        )

    def tables(self, rows: DataFrame, costs: DataFrame, options: Options) -> list[Table]:
        """The main table, its differences with an interval over items too, and every benchmark under each metric."""
        scores = Scores(rows=results.last_step(rows), costs=costs, options=options)
        main = main_table(scores)
        return [
            main,
            *items_tables(self, scores, main, pairs(scores), f"{registry.methods()[BASELINE].label} of the same block"),
            *(
                full_table(scores, f"methods_{name}", measures)
                for name, decoding, metric in FULL
                if (measures := measures_of(asked(scores.profile), decoding, metric))
            ),
        ]

    def figures(self, rows: DataFrame, costs: DataFrame, options: Options) -> Mapping[str, Figure]:
        """``methods``: lying bars by paradigm, a panel per learning-rate setting."""
        return {"methods": figure(Scores(rows=results.last_step(rows), costs=costs, options=options))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A way to choose learning rates."""

    name: Literal["shared", "tuned"]
    """Block of the tables."""
    title: str
    """Of the figure's panel."""
    rates: Mapping[str, float]
    """By registry name, in the order of the runs; a method without one is not run in this setting."""


def settings(profile: Profile, options: Options) -> list[Setting]:
    """The shared rate; and each method's own, if a published sweep holds any of them.

    Raises:
        HarnessError: ``--learning-rate tuned``.
    """
    if options.learning_rate != "shared":
        raise HarnessError("suite methods shows tuned rates beside the shared one by itself: leave out --learning-rate")
    names, tuned, rate = listed_methods(options), tuned_rates(profile, options), profile.optim.lr
    own = {name: tuned[name] for name in names if name in tuned}
    shared = Setting(name="shared", title=f"shared learning rate {rate:g}", rates=dict.fromkeys(names, rate))
    return [shared, *([Setting(name="tuned", title="learning rate tuned on validation", rates=own)] if own else [])]


@dataclass(frozen=True, kw_only=True)
class Scores(Shown):
    """Rows at the last step, with what was asked for."""

    @cached_property
    def methods(self) -> dict[str, Entry]:
        """Entries of the methods asked for, by name."""
        return by_paradigm(listed_methods(self.options))

    @cached_property
    def settings(self) -> list[Setting]:
        """Ways of choosing the learning rate, each a block of the tables."""
        return settings(self.profile, self.options)

    @property
    def inside(self) -> list[Measure]:
        """The trained range under the primary metric."""
        return [Measure(benchmark) for benchmark in self.profile.benchmarks]

    @property
    def harder(self) -> list[Measure]:
        """The harder range under the primary metric."""
        return [Measure(benchmark) for benchmark in self.profile.harder.values()]

    @property
    def sampled(self) -> list[Measure]:
        """The trained range, four samples."""
        return measures_of(self.profile.benchmarks, "sample4")

    def values(self, setting: Setting, method: str, measures: Sequence[Measure]) -> dict[int, float]:
        """Mean share over the measures, by seed."""
        return mean_by_seed(self._lines(setting, method, measures))

    def cell(self, setting: Setting, method: str, measures: Sequence[Measure]) -> Cell:
        """Percent over seeds, coloured by the share of the gap if the row is ranked."""
        if method not in setting.rates:
            return Cell(missing="not tuned")
        states = results.by_seed(self.runs(setting, method), "state")
        collapsed = collapsed_seeds(self._lines(setting, method, measures))
        cell = seed_cell(self.values(setting, method, measures), states, collapsed)
        if cell.value is None or not self.is_ranked(setting, method):
            return cell
        return replace(cell, shade=shade(recovery(cell.value, *self.ends(measures))))

    def acted(self, setting: Setting, method: str) -> Cell:
        """How often the method's distinctive part acted, percent; empty if it reports nothing."""
        shares = [run["acted"] for run in self.runs(setting, method) if run["acted"] is not None]
        cell = mean_cell([100 * share for share in shares], [])
        return cell if cell.value is not None else Cell()

    def is_inactive(self, setting: Setting, method: str) -> bool:
        """Whether it acted too rarely to be told from what it builds on."""
        share = self.acted(setting, method).value
        return share is not None and share < 100 * INACTIVE_BELOW

    def is_ranked(self, setting: Setting, method: str) -> bool:
        """Neither a reference nor inactive."""
        return self.methods[method].ranked and not self.is_inactive(setting, method)

    def reference(self, model: ModelSpec, measures: Sequence[Measure]) -> float | None:
        """Percent of a model that was only evaluated, mean over the measures; None if it was not."""
        name = results.readable(reference_run(self.profile, model).id)
        lines = [self._references.get((name, m.benchmark, m.decoding, m.metric), []) for m in measures]
        values = mean_by_seed(lines)
        return 100 * next(iter(values.values())) if values else None

    def ends(self, measures: Sequence[Measure]) -> tuple[float | None, float | None]:
        """Percent of the untrained student and of the teacher, without p."""
        return self.reference(self.profile.student, measures), self.reference(self.profile.teacher, measures)

    def runs(self, setting: Setting, method: str) -> list[dict[str, Any]]:
        """Lines of ``costs``, one per seed."""
        return self._costs.get((method, setting.rates.get(method)), [])

    def _lines(self, setting: Setting, method: str, measures: Sequence[Measure]) -> list[list[dict[str, Any]]]:
        rate = setting.rates.get(method)
        return [self._rows.get((method, rate, m.benchmark, m.decoding, m.metric), []) for m in measures]

    @cached_property
    def _rows(self) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
        rows = with_rates(self.rows, self.costs)
        return results.grouped(rows, "method", "lr", "benchmark", "decoding", "metric")

    @cached_property
    def _references(self) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
        untrained = results.select(self.rows, train_domains="")
        named = untrained.assign(name=[results.readable(run) for run in untrained["run"].tolist()])
        return results.grouped(named, "name", "benchmark", "decoding", "metric")

    @cached_property
    def _costs(self) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
        return results.grouped(self.costs, "method", "lr")


def main_table(scores: Scores) -> Table:
    """References; then each method at each setting, with its difference to the baseline at the same setting."""
    pairs = [(setting, method) for setting in scores.settings for method in scores.methods]
    tests = [_difference(scores, *pair) for pair in pairs]
    adjusted = statistics.holm([d.p if d else None for d in tests])
    lines = _reference_lines(scores)
    for pair, difference, p in zip(pairs, tests, adjusted, strict=True):
        lines.append(_method_line(scores, *pair, difference, p))
    return Table(
        name="methods",
        title=f"Every method, profile {scores.profile.name}",
        caption=(
            f"{caption(scores)} Baseline: {registry.methods()[BASELINE].label} of the same block; "
            f"{tests_sentence(adjusted)} {acted_sentence(scores)} {SECONDS}"
        ),
        block_header="rates",
        label_header="method",
        columns=COLUMNS,
        lines=ranked(lines, SCORE),
        partial=scores.partial,
    )


def _method_line(scores: Scores, setting: Setting, method: str, difference: Difference | None, p: float | None) -> Line:
    score = scores.cell(setting, method, scores.inside)
    student, teacher = scores.ends(scores.inside)
    rate = setting.rates.get(method)
    runs = scores.runs(setting, method)
    cells = (
        Cell(missing="not tuned") if rate is None else Cell(value=rate),
        score,
        gain_cell(score, student),
        recovery_cell(score, student, teacher),
        *difference_cells(score, difference, p, is_baseline=method == BASELINE),
        scores.cell(setting, method, scores.harder),
        scores.cell(setting, method, scores.sampled),
        scores.acted(setting, method),
        *(cost_cells(runs) if rate is not None else (Cell(),) * 3),
    )
    return Line(
        block=setting.name,
        label=_label(scores, setting, method),
        cells=cells,
        ranked=scores.is_ranked(setting, method),
    )


def _label(scores: Scores, setting: Setting, method: str) -> str:
    label = scores.methods[method].label
    return f"{label} (inactive)" if scores.is_inactive(setting, method) else label


def _reference_lines(scores: Scores) -> list[Line]:
    student = scores.reference(scores.profile.student, scores.inside)
    lines: list[Line] = []
    for label, model in references(scores.profile).items():
        score, harder, sampled = (
            reference_cell(scores.reference(model, measures))
            for measures in (scores.inside, scores.harder, scores.sampled)
        )
        gain = gain_cell(score, student) if model != scores.profile.student else Cell()
        blank = Cell()
        cells = (blank, score, gain, blank, blank, blank, harder, sampled, *(blank,) * 4)
        lines.append(untrained_line(label, cells))
    return lines


def _difference(scores: Scores, setting: Setting, method: str) -> Difference | None:
    """To the baseline; the baseline's to itself is none."""
    if method == BASELINE:
        return None
    own, base = (scores.values(setting, name, scores.inside) for name in (method, BASELINE))
    return statistics.paired_difference(own, base)


def pairs(scores: Scores) -> list[Pair]:
    """Each method against the baseline at the same setting; none without the baseline."""
    return [
        Pair(
            block=setting.name,
            label=_label(scores, setting, method),
            measures=scores.inside,
            own=runs_by_seed(scores.runs(setting, method)),
            base=runs_by_seed(scores.runs(setting, BASELINE)),
            difference=_difference(scores, setting, method),
            missing=scores.cell(setting, method, scores.inside).missing,
        )
        for setting in scores.settings
        for method in scores.methods
        if method != BASELINE and BASELINE in scores.methods
    ]


def full_table(scores: Scores, name: str, measures: Sequence[Measure]) -> Table:
    """Every benchmark, the harder range included, under one metric."""
    lines: Sequence[Line] = [
        untrained_line(label, (reference_cell(scores.reference(model, [m])) for m in measures))
        for label, model in references(scores.profile).items()
    ] + [
        Line(
            block=setting.name,
            label=_label(scores, setting, method),
            cells=tuple(scores.cell(setting, method, [m]) for m in measures),
            ranked=scores.is_ranked(setting, method),
        )
        for setting in scores.settings
        for method in scores.methods
    ]
    return benchmark_table(
        scores,
        measures,
        lines,
        name=name,
        title="Every method and domain",
        caption=caption(scores, measures=measures),
        block_header="rates",
    )


def figure(scores: Scores) -> Figure:
    """Mean of the domains; the student's and the teacher's as lines."""
    from harness.show.hbars import lying_bars

    return lying_bars(
        [_panel(scores, setting) for setting in scores.settings],
        title=f"Every method, all domains together{scores.mark}",
        axis=f"{scores.words}, mean of domains, %",
        caption=f"{caption(scores)} Dots are seeds.",
    )


def _panel(scores: Scores, setting: Setting) -> Panel:
    from harness.show.hbars import Panel

    ends = {label: scores.reference(model, scores.inside) for label, model in references(scores.profile).items()}
    paradigms = dict.fromkeys(entry.paradigm for entry in scores.methods.values())
    return Panel(
        title=setting.title,
        groups=tuple(_group(scores, setting, paradigm) for paradigm in paradigms),
        references=reference_lines(ends),
    )


def _group(scores: Scores, setting: Setting, paradigm: str) -> Group:
    from harness.show.bars import Group

    names = [name for name, entry in scores.methods.items() if entry.paradigm == paradigm]
    return Group(title=paradigm, bars=tuple(_bar(scores, setting, name) for name in names))


def _bar(scores: Scores, setting: Setting, method: str) -> Bar:
    entry = scores.methods[method]
    notes = {"inactive": scores.is_inactive(setting, method), "not ranked": not entry.ranked}
    return seed_bar(
        entry.label,
        scores.cell(setting, method, scores.inside),
        scores.values(setting, method, scores.inside),
        *(note for note, holds in notes.items() if holds),
    )


def acted_sentence(scores: Scores) -> str:
    """What is counted as acting, for the methods shown."""
    counted = "; ".join(f"{entry.label}: {ACTS[name]}" for name, entry in scores.methods.items() if name in ACTS)
    return (
        "Acted: how often the method's distinctive part did anything, mean over steps and seeds"
        f"{f' ({counted})' if counted else ''}; below {100 * INACTIVE_BELOW:g} % the row is marked inactive and not "
        "ranked."
    )


def rates_sentence(scores: Scores) -> str:
    """Which learning rates stand in the table."""
    if len(scores.settings) > 1:
        return (
            "Each method stands at the shared learning rate (the paper's protocol) and at its own, chosen on the "
            f"validation split (suite {TUNING}); where both are equal, both rows are the same runs."
        )
    return (
        f"Learning rate {scores.profile.optim.lr:g}, shared by all methods (the paper's protocol); no tuned rates are "
        "published for this profile."
    )


def caption(scores: Scores, measures: Sequence[Measure] | None = None) -> str:
    """Checkpoint, seeds, items, rates, what intervals do not say, what the profile changes, what is stale."""
    profile = scores.profile
    measures = measures or measures_of(asked(profile))
    steps = slashed({int(n) for n in scores.costs["steps"].tolist()} - {0})
    domains = ", ".join(joint_domains(profile, scores.options))
    parts = [
        f"{sentence(words_of(measures))}, {items_of(scores.rows, measures)} items a benchmark, trained on {domains} "
        f"together, at the last step ({steps}); seeds {', '.join(map(str, scores.options.seeds or SEEDS))}; ± is half "
        "of the 95 % t interval over seeds.",
        rates_sentence(scores),
        *standing_sentences(profile, scores.methods, scores.costs),
    ]
    return " ".join(parts)
