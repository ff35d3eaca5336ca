"""Every method of the registry side by side: all domains together, at the shared and at each one's own learning rate.

The paper compares its methods at one learning rate. Here each stands at that rate and, once ``dopd tune`` has been
published, at its own too, with what it cost and with how often its distinctive part did anything at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal

from harness import registry
from harness.config import ModelSpec, RunSpec
from harness.method import Entry
from harness.show.tables import Cell, Kind, Table, mean_cell, seed_cell
from harness.suite import Evaluation, Options, Profile, training_run, tuned_rates
from harness.types import HarnessError
from suites import TUNING
from suites.kit import under
from suites.kit.arms import Arm, ArmScores, ArmSuite, every_decoding, last_step_caption, method_arm
from suites.kit.cells import gain_cell, reference_cell
from suites.kit.chosen import BASELINE, by_paradigm, joint_domains, listed_methods
from suites.kit.columns import Compared, Subject, cost_columns, difference_columns, table
from suites.kit.comparison import (
    ArmColumn,
    early_cell,
    early_pair,
    full_tables,
    gain_column,
    harder_column,
    mean_column,
    recovery_column,
    score_column,
    to_baseline,
    untrained_lines,
)
from suites.kit.dots import DOTS, difference_bar, finding_of, levels, score_bar
from suites.kit.items import Pair, arm_pair, items_tables
from suites.kit.lines import reference_lines
from suites.kit.looks import method_look
from suites.kit.measures import At, Measure, asked, measures_of
from suites.kit.seeds import minus
from suites.kit.sentences import SECONDS, tests_sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure
    from pandas import DataFrame

    from harness.show.bars import Bar
    from harness.show.hbars import Panel

INACTIVE_BELOW = 0.01
"""Share on which a method's distinctive part must act for its row to be ranked."""
ACTS = {
    "grpo": "groups with right and wrong rollouts",
    "uni_opd": "groups shifted",
    "opsd": "tokens with a capped entry",
    "sdpo": "rollouts with feedback",
    "vision_opd": "tokens that the crop (later also the average) moves",
    "va_opd": "tokens that the picture makes more probable",
    "eopd": "tokens with an open gate",
    "eopd_one_update": "tokens with an open gate",
    "no_teacher": "tokens penalised",
    "tip": "tokens kept",
    "opd_dropped": "tokens dropped",
}
"""What is counted as acting, by registry name."""
NOT_TUNED = "not tuned"


class EveryMethod(ArmSuite):
    """Methods × learning-rate settings × seeds, with student and teacher as reference rows."""

    name = "methods"
    title = "every method on all domains together, at the shared and at its own learning rate"
    ranks_methods = True
    of_paper = False

    def arms(self, profile: Profile, options: Options) -> list[Arm]:
        """``<setting>/<method>``, setting by setting.

        Raises:
            HarnessError: ``--learning-rate tuned``, which is here already.
        """
        domains = joint_domains(profile, options)
        return [
            method_arm(
                name,
                {
                    seed: training_run(
                        profile, replace(options, learning_rate=each.name), method=name, domains=domains, seed=seed
                    )
                    for seed in self.chosen_seeds(options)
                },
                key=arm_key(each, name),
                block=each.name,
                baseline=arm_key(each, BASELINE) if BASELINE in each.rates else "",
            )
            for each in settings(profile, options)
            for name in each.rates
        ]

    def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
        """Every domain in the trained range and in the harder one, at the last step."""
        return every_decoding(spec)

    def scores(self, rows: DataFrame, costs: DataFrame, options: Options) -> SettingScores:
        """Rows and costs, found by setting, method and seed."""
        return SettingScores(suite=self, rows=rows, costs=costs, options=options)

    def tables_of(self, scores: SettingScores) -> list[Table]:
        """The main table, its differences with an interval over items too, and every benchmark under each metric."""
        main = main_table(scores)
        return [
            main,
            *items_tables(scores, main, pairs(scores), baseline_label()),
            *full_tables(
                scores,
                "methods",
                title="Every method and domain",
                caption=partial(caption, scores),
                block_header="rates",
                lines=scores.lines,
            ),
        ]

    def figures_of(self, scores: SettingScores) -> Mapping[str, Figure]:
        """``methods``: lying bars by paradigm, a panel per learning-rate setting."""
        return {"methods": figure(scores)}


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


def arm_key(setting: Setting, method: str) -> str:
    """``tuned/dopd``."""
    return f"{setting.name}/{method}"


def baseline_label() -> str:
    """What methods are compared with, at the same setting."""
    return f"{registry.methods()[BASELINE].label} of the same block"


@dataclass(frozen=True, kw_only=True)
class SettingScores(ArmScores):
    """Scores by setting and method; a method without a tuned rate has a line and no arm."""

    @cached_property
    def methods(self) -> dict[str, Entry]:
        """Entries of the methods asked for, by name, in the order of the tables."""
        return by_paradigm(listed_methods(self.options))

    @cached_property
    def settings(self) -> list[Setting]:
        """Ways of choosing the learning rate, each a block of the tables."""
        return settings(self.profile, self.options)

    @property
    def sampled(self) -> list[Measure]:
        """The trained range, four samples."""
        return measures_of(self.profile.benchmarks, "sample4")

    @cached_property
    def lines(self) -> list[Subject[str]]:
        """Of every method at every setting, run or not."""
        return [self._line(setting, name) for setting in self.settings for name in self.methods]

    def _line(self, setting: Setting, method: str) -> Subject[str]:
        key, entry = arm_key(setting, method), self.methods[method]
        arm = self.arms.get(key)
        label, ranked = (arm.label, arm.ranked) if arm else (entry.label, entry.ranked)
        updates = registry.method_class(method).updates
        return Subject(of=key, block=setting.name, label=label, ranked=ranked, updates=updates)

    def cell(self, key: str, measures: Sequence[Measure], step: At = "last") -> Cell:
        """As for every arm; what was not tuned says so."""
        return super().cell(key, measures, step) if key in self.arms else Cell(missing=NOT_TUNED)

    def ends(self, key: str, measures: Sequence[Measure]) -> tuple[float | None, float | None]:
        """Percent of the untrained student and of the teacher, without p, the same for all."""
        return self.reference(self.profile.student, measures), self.reference(self.profile.teacher, measures)

    def reference_gain(self, model: ModelSpec, student: ModelSpec) -> Cell:
        """Points of one untrained model over another; where they differ from draw to draw, within a draw."""
        if self.profile.draws is None:
            before, own = (self.reference(each, self.inside) for each in (student, model))
            return gain_cell(reference_cell(own), before)
        own, before = (self.reference_values(each, self.inside) for each in (model, student))
        return seed_cell(minus(own, before), {}, units=self.units)

    def shown(self, arm: Arm) -> Arm:
        """An inactive arm says so and is not ranked."""
        return replace(arm, label=f"{arm.label} (inactive)", ranked=False) if self.is_inactive(arm) else arm

    def is_inactive(self, arm: Arm) -> bool:
        """Whether it acted too rarely to be told from what it builds on."""
        share = self.acted(arm).value
        return share is not None and share < 100 * INACTIVE_BELOW

    def acted(self, arm: Arm) -> Cell:
        """How often the method's distinctive part acted, percent; empty if it reports nothing."""
        shares = [run["acted"] for run in self.runs_of(arm).values() if run["acted"] is not None]
        cell = mean_cell([100 * share for share in shares], [])
        return cell if cell.value is not None else Cell()


def main_table(scores: SettingScores) -> Table:
    """References; then each method at each setting, with its difference to the baseline at the same setting."""

    def said(tests: int) -> str:
        tested = (
            f"Baseline: {baseline_label()}; {tests_sentence(tests, scores.units)}" if BASELINE in scores.methods else ""
        )
        return " ".join(filter(None, (caption(scores), tested, acted_sentence(scores), SECONDS)))

    return table(
        [*untrained_lines(scores.suite.models(scores.profile)), *scores.lines],
        _columns(scores),
        name="methods",
        title=f"Every method, profile {scores.profile.name}",
        caption=said,
        headers=("rates", "method"),
        partial=scores.partial,
    )


def _columns(scores: SettingScores) -> list[ArmColumn]:
    arms, student = scores.arms, scores.profile.student

    def rate(key: str) -> Cell:
        optim = arms[key].spec.optim if key in arms else None
        return Cell(value=optim.lr) if optim else Cell(missing=NOT_TUNED)

    def compared(key: str) -> Compared:
        return to_baseline(scores, key) if key in arms else Compared(missing=NOT_TUNED)

    def minus_early(key: str) -> Compared:
        missing = Compared(missing=NOT_TUNED)
        return to_baseline(scores, key, step=scores.early or "last") if key in arms else missing

    def gained(model: ModelSpec) -> Cell:
        return Cell() if model == student else scores.reference_gain(model, student)

    return [
        ArmColumn(key="rate", header="learning rate", kind=Kind.RATE, cell=rate),
        mean_column(scores),
        replace(gain_column(scores), reference=gained),
        recovery_column(scores),
        *difference_columns(compared),
        *(early_pair(scores.early, partial(early_cell, scores), minus_early) if scores.early else ()),
        harder_column(scores, ranked=False),
        score_column(scores, scores.sampled, key="sample4", header="4 samples, %", ranked=False),
        ArmColumn(key="acted", header="acted, %", cell=lambda key: scores.acted(arms[key]) if key in arms else Cell()),
        *cost_columns(lambda key: list(scores.run_of(key).values()) if key in arms else None),
    ]


def pairs(scores: SettingScores) -> list[Pair]:
    """Each method against the baseline at the same setting; none without the baseline."""
    if BASELINE not in scores.methods:
        return []
    bases = {arm_key(setting, BASELINE) for setting in scores.settings}
    return [_pair(scores, line) for line in scores.lines if line.of not in bases]


def _pair(scores: SettingScores, line: Subject[str]) -> Pair:
    if line.of in scores.arms and scores.arms[line.of].baseline:
        return arm_pair(scores, line.of, scores.inside)
    missing = scores.cell(line.of, scores.inside).missing
    return Pair(
        block=line.block, label=line.label, measures=scores.inside, own={}, base={}, difference=None, missing=missing
    )


def figure(scores: SettingScores) -> Figure:
    """Each method minus the baseline at the same rates; scores without the baseline."""
    from harness.show.hbars import lying_bars

    compares = BASELINE in scores.methods and len(scores.methods) > 1
    found = finding_of(scores, [line.of for line in scores.lines if line.of in scores.arms], scores.inside)
    return lying_bars(
        [_panel(scores, setting, compares=compares) for setting in scores.settings],
        title=under.title(scores, "Every method", found),
        axis=f"minus {registry.methods()[BASELINE].label}, points" if compares else f"{scores.label}, %",
        caption=under.caption(scores, found, f"Mean of domains; each against the baseline at the same rates. {DOTS}"),
    )


def _panel(scores: SettingScores, setting: Setting, *, compares: bool) -> Panel:
    from harness.show.bars import Group
    from harness.show.hbars import Panel

    by_block: dict[str, list[Bar]] = {}
    for name, entry in scores.methods.items():
        if not (compares and name == BASELINE):
            by_block.setdefault(entry.paradigm, []).append(_bar(scores, setting, name, compares=compares))
    models = scores.suite.models(scores.profile)
    ends = {label: scores.reference(model, scores.inside) for label, model in models.items()}
    groups = tuple(Group(title=paradigm, bars=tuple(bars)) for paradigm, bars in by_block.items())
    if not compares:
        return Panel(title=setting.title, groups=groups, references=reference_lines(ends), zoomed=True)
    base = arm_key(setting, BASELINE)
    note = levels(scores, [base] if base in scores.arms else [], scores.inside, ends)
    return Panel(title=setting.title, groups=groups, differences=True, note=note)


def _bar(scores: SettingScores, setting: Setting, method: str, *, compares: bool) -> Bar:
    from harness.show.bars import Bar

    key, entry = arm_key(setting, method), scores.methods[method]
    if key not in scores.arms:
        return Bar(label=entry.label, mean=None, note=NOT_TUNED, look=method_look(method))
    arm = scores.arms[key]
    drawn = (difference_bar if compares else score_bar)(scores, key, scores.inside)
    notes = {"inactive": scores.is_inactive(arm), "not ranked": not entry.ranked}
    said = ", ".join(filter(None, (drawn.note, *(note for note, holds in notes.items() if holds))))
    return replace(drawn, label=entry.label, note=said, look=method_look(method))


def acted_sentence(scores: SettingScores) -> str:
    """What is counted as acting, for the methods shown."""
    counted = "; ".join(f"{entry.label}: {ACTS[name]}" for name, entry in scores.methods.items() if name in ACTS)
    return (
        "Acted: how often the method's distinctive part did anything, mean over steps and seeds"
        f"{f' ({counted})' if counted else ''}; below {100 * INACTIVE_BELOW:g} % the row is marked inactive and not "
        "ranked."
    )


def rates_sentence(scores: SettingScores) -> str:
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


def caption(scores: SettingScores, measures: Sequence[Measure] | None = None) -> str:
    """Checkpoint, seeds, items, rates, what intervals do not say, what the profile changes, what is stale."""
    trained = f", trained on {', '.join(joint_domains(scores.profile, scores.options))} together"
    shown = measures or measures_of(asked(scores.profile))
    return last_step_caption(scores, shown, scores.methods, rates_sentence(scores), trained)
