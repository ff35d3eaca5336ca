"""What the paper's analyses of its own method share: arms that are settings of few methods, asked along the run.

A suite of this kind lists ``Variant``s. Which methods it runs is its question, so ``--methods`` is refused.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from harness.config import RunSpec
from harness.show.tables import Cell, Column, Kind, Line, Table, ranked
from harness.suite import Evaluation, Options, Profile, training_run
from harness.types import Privilege
from suites.kit.arms import COST_COLUMNS, Arm, ArmScores, ArmSuite, benchmarks_at, test_sentence
from suites.kit.bars import DOTS, arm_bar
from suites.kit.cells import SECONDS, cost_cells, joint_domains, recovery_cell, reference_cell, untrained_line
from suites.kit.curves import Extra, ends, score_cell, step_at, tested
from suites.paper.numbers import PaperNumbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from harness.show.bars import Group

SHARES = (0.2, 0.4, 0.8, 1.0)
"""Of a run, shown in tables: the paper's steps 40, 80 and 160 of 200, and the last."""
SHARES_SENTENCE = "The paper's steps 40, 80 and 160 of 200 are 20, 40 and 80 % of a run."


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """An arm before profile and seeds are known.

    Example::

        Variant(key="no_teacher_source", label="w/o teacher", method="dopd_ablation", settings={"removed": "teacher"})
    """

    key: str
    label: str
    method: str
    """Registry name."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Over the profile's; a setting that equals the default makes the default's run."""
    privilege: Privilege | None = None
    """Of the training data; None: the profile's."""
    block: str = ""
    baseline: str = ""
    """Key of the variant this one is compared with; empty: none."""


class AnalysisSuite(PaperNumbers, ArmSuite):
    """Variants × seeds on all domains together."""

    own_arms = True
    variants: ClassVar[tuple[Variant, ...]]
    """In the order of the tables."""

    def arms(self, profile: Profile, options: Options) -> list[Arm]:
        """One per variant."""
        return [
            Arm(
                key=variant.key,
                label=variant.label,
                block=variant.block,
                baseline=variant.baseline,
                specs={seed: variant_run(profile, options, variant, seed) for seed in self.chosen_seeds(options)},
            )
            for variant in self.variants
        ]

    def tables(self, rows: DataFrame, costs: DataFrame, options: Options) -> list[Table]:
        """The paper's own, or ``tables_of`` the rows."""
        if options.source == "paper":
            return self.paper_tables(options)
        return self.tables_of(self.scores(rows, costs, options))

    def figures(self, rows: DataFrame, costs: DataFrame, options: Options) -> Mapping[str, Figure]:
        """The paper's own, or ``figures_of`` the rows."""
        if options.source == "paper":
            return self.paper_figures(options)
        return self.figures_of(self.scores(rows, costs, options))

    @abstractmethod
    def tables_of(self, scores: ArmScores) -> list[Table]:
        """Tables of our runs."""

    @abstractmethod
    def figures_of(self, scores: ArmScores) -> Mapping[str, Figure]:
        """Figures of our runs, by file stem."""


def variant_run(profile: Profile, options: Options, variant: Variant, seed: int) -> RunSpec:
    """The profile's run of the variant's method, with its settings and its kind of p."""
    domains = joint_domains(profile, options)
    spec = training_run(profile, options, method=variant.method, domains=domains, seed=seed)
    assert spec.data is not None
    return replace(
        spec,
        method=profile.method(variant.method, variant.settings),
        data=spec.data if variant.privilege is None else replace(spec.data, privilege=variant.privilege),
    )


def along_the_run(spec: RunSpec, shares: Sequence[float] = SHARES) -> tuple[Evaluation, ...]:
    """The trained range at the checkpoints nearest to some shares of a run, the harder range at its end."""
    if spec.is_reference:
        return benchmarks_at(spec, ("last",))
    before = [step for step in dict.fromkeys(step_at(spec, share) for share in shares) if step != spec.steps]
    return (*benchmarks_at(spec, before, harder=False), *benchmarks_at(spec, (spec.steps,)))


def settings_table(
    scores: ArmScores,
    *,
    name: str,
    title: str,
    caption: str,
    keys: Sequence[str],
    headers: tuple[str, str],
    shares: Sequence[float] = SHARES,
    extra: Extra | None = None,
) -> Table:
    """Arms along the run, with gap recovered and difference to their baselines at its end; one ranking.

    Args:
        headers: of the blocks and of the labels.
        shares: of a run; the last is 1.
        extra: further columns, before the costs.
    """
    more = extra or Extra(columns=(), cells=lambda _: ())
    columns = (
        *(Column(key=f"at_{100 * share:g}", header=f"at {100 * share:g} % of the run, %") for share in shares),
        Column(key="recovery", header="gap recovered, %"),
        Column(key="difference", header="minus baseline, points", kind=Kind.DIFFERENCE),
        Column(key="p_holm", header="p (Holm)", kind=Kind.P),
        Column(key="harder", header="harder range, %"),
        *more.columns,
        *COST_COLUMNS,
    )
    compared, p_values = _compared(scores, keys)
    lines: Sequence[Line] = [
        *_reference_lines(scores, columns, shares),
        *(_line(scores, key, compared[key], shares, more) for key in keys),
    ]
    for column in (*range(len(shares)), len(shares) + 3):
        lines = ranked(lines, column, across=True)
    return Table(
        name=name,
        title=f"{title}, profile {scores.profile.name}",
        caption=" ".join(filter(None, (caption, test_sentence(scores, keys, p_values), SECONDS))),
        block_header=headers[0],
        label_header=headers[1],
        columns=columns,
        lines=tuple(lines),
        partial=scores.partial,
    )


def _compared(scores: ArmScores, keys: Sequence[str]) -> tuple[dict[str, tuple[Cell, Cell]], list[float | None]]:
    """Difference to the baseline and p by arm, and the adjusted p of the tests that were made."""
    bases = {key: scores.arms[key].baseline for key in keys}
    others = [key for key, base in bases.items() if base not in ("", key)]
    differences = [scores.difference(key, bases[key], scores.inside) for key in others]
    missing = [score_cell(scores, key).missing or "no baseline of these seeds" for key in others]
    cells = dict(zip(others, tested(differences, missing), strict=True))
    itself = {key: (Cell(missing="baseline"), Cell()) for key, base in bases.items() if base == key}
    blank = dict.fromkeys(keys, (Cell(), Cell()))
    return {**blank, **itself, **cells}, [p.value for _, p in cells.values()]


def _line(scores: ArmScores, key: str, compared: tuple[Cell, Cell], shares: Sequence[float], extra: Extra) -> Line:
    arm = scores.arms[key]
    at = [score_cell(scores, key, step_at(arm.spec, share)) for share in shares]
    cells = (
        *at,
        recovery_cell(at[-1], *scores.ends(key, scores.inside)),
        *compared,
        scores.cell(key, scores.harder) if scores.harder else Cell(),
        *extra.cells(key),
        *cost_cells(list(scores.run_of(key).values())),
    )
    return Line(block=arm.block, label=arm.label, cells=cells)


def _reference_lines(scores: ArmScores, columns: Sequence[Column], shares: Sequence[float]) -> Iterable[Line]:
    """Student and teacher, in the column of the end and of the harder range."""
    for label, model in scores.suite.models(scores.profile).items():
        known = {
            f"at_{100 * shares[-1]:g}": reference_cell(scores.reference(model, scores.inside)),
            "harder": reference_cell(scores.reference(model, scores.harder)) if scores.harder else Cell(),
        }
        yield untrained_line(label, (known.get(column.key, Cell()) for column in columns))


def best_marked(cells: Mapping[str, Cell]) -> dict[str, Cell]:
    """Cells of a matrix with its best and second marked, whatever their row and column."""
    lines = [Line(block="", label=key, cells=(cell,)) for key, cell in cells.items()]
    return {line.label: line.cells[0] for line in ranked(lines, 0)}


def block_bars(scores: ArmScores, *, title: str, caption: str, anchor: str = "") -> Figure:
    """The mean of the domains: a panel per block, a bar per arm, student and teacher as lines.

    Args:
        anchor: key of an arm that stands first in every panel; empty: none.
    """
    from harness.show import bars

    blocks = dict.fromkeys(arm.block for arm in scores.arms.values())
    return bars.grouped_bars(
        [_group(scores, block, anchor) for block in blocks],
        title=f"{title}{scores.mark}",
        axis=f"{scores.label}, mean of domains, %",
        caption=f"{caption} {DOTS}",
    )


def _group(scores: ArmScores, block: str, anchor: str) -> Group:
    from harness.show.bars import Group

    keys = [key for key, arm in scores.arms.items() if block == arm.block or key == anchor]
    return Group(title=block, bars=tuple(arm_bar(scores, key, scores.inside) for key in keys), references=ends(scores))
