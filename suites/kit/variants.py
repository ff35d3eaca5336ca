"""What the paper's analyses of its own method share: arms that are settings of few methods, asked along the run.

A suite of this kind lists ``Variant``s. Which methods it runs is its question, so ``--methods`` is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from harness import registry
from harness.config import RunSpec
from harness.show.tables import Cell, Table, marked
from harness.suite import Evaluation, Options, Profile, training_run
from harness.types import HarnessError
from suites.kit.arms import Arm, ArmScores, benchmarks_at, early_step
from suites.kit.chosen import joint_domains
from suites.kit.columns import table
from suites.kit.comparison import (
    ArmColumn,
    arm_costs,
    arm_lines,
    baseline_columns,
    compared_caption,
    early_columns,
    harder_column,
    recovery_column,
    untrained_lines,
)
from suites.kit.curves import along_columns, step_at
from suites.kit.support import is_inactive, marked_inactive
from suites.paper.numbers import PaperNumbers

if TYPE_CHECKING:
    from pandas import DataFrame

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
    privilege: str | None = None
    """Of the training data; None: the profile's."""
    block: str = ""
    baseline: str = ""
    """Key of the variant this one is compared with; empty: none."""
    by_support: bool = False
    """Whether it differs from an arm on the full vocabulary in the support of its losses alone."""
    optional: bool = False
    """Only in a profile that names it or asks for all that are optional."""


class AnalysisSuite(PaperNumbers):
    """Variants × seeds on all domains together."""

    own_arms = True
    variants: ClassVar[tuple[Variant, ...]]
    """In the order of the tables."""

    def variants_of(self, profile: Profile) -> tuple[Variant, ...]:
        """All there are under a profile."""
        return self.variants

    def chosen(self, profile: Profile) -> tuple[Variant, ...]:
        """Those that the profile names, in its order; all where it names none.

        Raises:
            HarnessError: it names one that is not there; two variants have one key, or a baseline is none of them.
        """
        variants = self.variants_of(profile)
        known = {variant.key: variant for variant in variants}
        keys = [variant.key for variant in variants]
        if twice := [key for key in known if keys.count(key) > 1]:
            raise HarnessError(f"suite {self.name}: two variants have the key {twice[0]!r}: give each a key of its own")
        for variant in variants:
            if variant.baseline:
                registry.lookup(f"baseline of variant {variant.key!r} of suite {self.name}:", variant.baseline, known)
        part = profile.part(self.name)
        named = [registry.lookup(f"arm of suite {self.name}", key, known) for key in part.arms]
        usual = (each for each in known.values() if part.optional or not each.optional)
        return tuple(known[key] for key in named) or tuple(usual)

    def scores(self, rows: DataFrame, costs: DataFrame, options: Options) -> ArmScores:
        """With rows marked that differ in nothing."""
        return VariantScores(suite=self, rows=rows, costs=costs, options=options)

    def compares_k(self, profile: Profile) -> bool:
        """Whether the profile names arms of another k, so that what lies outside is asked."""
        return any(variant.optional for variant in self.chosen(profile))

    def arms(self, profile: Profile, options: Options) -> list[Arm]:
        """One per variant, compared with its own baseline where that is among them."""
        chosen = self.chosen(profile)
        keys = {variant.key for variant in chosen}
        return [
            Arm(
                key=variant.key,
                label=variant.label,
                block=variant.block,
                baseline=variant.baseline if variant.baseline in keys else "",
                specs={seed: variant_run(profile, options, variant, seed) for seed in self.chosen_seeds(options)},
            )
            for variant in chosen
        ]


@dataclass(frozen=True, kw_only=True)
class VariantScores(ArmScores):
    """A row that differs in its support alone is inactive where hardly any probability lies outside."""

    def shown(self, arm: Arm) -> Arm:
        """See ``suites.kit.support``."""
        assert isinstance(self.suite, AnalysisSuite)
        (variant,) = (each for each in self.suite.chosen(self.profile) if each.key == arm.key)
        return marked_inactive(arm) if variant.by_support and is_inactive(self, arm) else arm


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
    shown = [step for step in dict.fromkeys(step_at(spec, share) for share in shares) if step != spec.steps]
    early = early_step(spec)
    before = shown if early is None else list(dict.fromkeys((*shown, early)))
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
    extras: Sequence[ArmColumn] = (),
) -> Table:
    """Arms along the run, with gap recovered and difference to their baselines at its end; one ranking.

    Args:
        headers: of the blocks and of the labels.
        shares: of a run; the last is 1.
        extras: further columns, before the costs.
    """
    return table(
        [*untrained_lines(scores.suite.models(scores.profile)), *arm_lines(scores, keys)],
        [
            *along_columns(scores, shares, "at {} % of the run, %"),
            recovery_column(scores),
            *baseline_columns(scores),
            *early_columns(scores),
            *([harder_column(scores)] if scores.harder else []),
            *extras,
            *arm_costs(scores),
        ],
        name=name,
        title=f"{title}, profile {scores.profile.name}",
        caption=compared_caption(scores, keys, caption),
        headers=headers,
        across=True,
        partial=scores.partial,
    )


def best_marked(cells: Mapping[str, Cell]) -> dict[str, Cell]:
    """Cells of a matrix with its best and second marked, whatever their row and column."""
    return dict(zip(cells, marked(list(cells.values())), strict=True))
