"""What suites that show an audit share: asking for it, cells of its metrics, and the caption. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from harness.analysis import results
from harness.analysis.statistics import Difference
from harness.config import ModelSpec, RunSpec
from harness.evaluation.audits import AUDIT, AUDITS
from harness.show.lines import LineStyle, Series
from harness.show.looks import Look
from harness.show.tables import Cell, reason, seed_cell
from harness.suite import Evaluation, Profile
from harness.types import HarnessError
from harness.worlds import world_of
from suites.kit.arms import ArmScores, early_step, repeated
from suites.kit.columns import ColumnOf, Subject
from suites.kit.curves import CurveSuite, step_at
from suites.kit.measures import At, Measure, slashed
from suites.kit.sentences import learning_rate_sentence, standing_sentences

if TYPE_CHECKING:
    from pandas import DataFrame

EMPTY = "none there"
"""Of a metric that had nothing to average."""
SHARES = (0.0, 0.2, 0.5, 1.0)
"""Of a run: where an audit along it reads; where its profile has an early step, that instead of the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a line is about: a part of what an audit tells apart, of an arm at a step."""

    key: str
    step: int
    part: str


def steps(spec: RunSpec) -> tuple[int, ...]:
    """The checkpoints nearest to ``SHARES`` of a run, in their order."""
    early = early_step(spec)
    found = (step_at(spec, share) if early is None or share != SHARES[1] else early for share in SHARES)
    return tuple(sorted(set(found)))


def asked(audit: str, step: At) -> Evaluation:
    """The audit at one checkpoint."""
    return Evaluation(step, audit, AUDIT, AUDITS[audit].version)


class AuditSuite(CurveSuite):
    """A suite that cannot do without an audit."""

    audit: ClassVar[str]
    """Its name."""

    def lacks(self, profile: Profile) -> list[str]:
        """Also what the audit needs of the world of the profile's data."""
        drawn = profile.draws is not None and profile.data.draw is None
        try:
            world = world_of((profile.at(0) if drawn else profile).data)
        except HarnessError:  # a world that is not here: the plan can be made, and says so before compute
            return super().lacks(profile)
        powers = [power.__name__ for power in AUDITS[self.audit].powers if not isinstance(world, power)]
        return [*super().lacks(profile), *(f"data of a world that {name}" for name in map(_words, powers))]


def _words(power: str) -> str:
    """``knows facts``."""
    return " ".join(re.findall(r"[A-Z][a-z]+", power)).lower()


@dataclass(frozen=True, kw_only=True)
class Audited:
    """The numbers of one audit, by arm and seed.

    A run that was read but had nothing to average is told from one that was not read.
    """

    scores: ArmScores
    audit: str

    def measures(self, metric: str) -> list[Measure]:
        """One metric, as the scores take it."""
        return [Measure(self.audit, AUDIT, metric)]

    def values(self, key: str, metric: str, step: At = "last") -> dict[int, float]:
        """Shares by unit."""
        return self.scores.values(key, self.measures(metric), step)

    def reference_cell(self, model: ModelSpec, metric: str) -> Cell:
        """Percent of a model that was only evaluated; or why there is none."""
        cell = self.scores.reference_cell(model, self.measures(metric))
        was_read = any(self.scores.reference_values(model, self.measures(each)) for each in AUDITS[self.audit].metrics)
        return Cell(missing=EMPTY) if cell.missing and was_read else cell

    def cell(self, key: str, metric: str, step: At = "last") -> Cell:
        """Mean over units, percent; or why there is none."""
        values, seeds = self.values(key, metric, step), self.scores.seed_values(key, self.measures(metric), step)
        lines = self.scores.run_of(key)
        status = {seed: self._status.get((line["run"], self._at(key, step)), "") for seed, line in lines.items()}
        asked = {seed for seed in lines if status[seed]}
        empty = asked - seeds.keys()
        if not values and empty:
            return Cell(missing=EMPTY)
        states = {seed: line["state"] for seed, line in lines.items() if seed not in empty}
        fallen = {seed for seed in lines if status[seed] == "collapsed"}
        cell = seed_cell(values, states, fallen, units=self.scores.units)
        return replace(cell, notes=(*cell.notes, f"{EMPTY} in {len(empty)} of {len(asked)}")) if empty else cell

    def missing(self, key: str, step: At = "last") -> str:
        """Why an arm has no number of some metric."""
        lines = self.scores.run_of(key).values()
        if any((line["run"], self._at(key, step)) in self._status for line in lines):
            return EMPTY
        return reason(line["state"] for line in lines)

    def difference(self, key: str, metric: str, other: str, step: At = "last") -> Difference | None:
        """One metric minus another of the same runs, paired by unit; None without one that has both."""
        return self.scores.units.paired_difference(self.values(key, metric, step), self.values(key, other, step))

    def lines(self, parts: Iterable[str]) -> list[Subject[Place]]:
        """A block per run and step, a line per part; before training all arms are the same student, shown once."""
        arms, parts = self.scores.arms, tuple(parts)
        blocks = [("before training", next(iter(arms)), 0)] + [
            (f"{arm.label}, step {step}", key, step) for key, arm in arms.items() for step in steps(arm.spec) if step
        ]
        return [
            Subject(of=Place(key=key, step=step, part=part), block=block, label=part.replace("_", " "), ranked=False)
            for block, key, step in blocks
            for part in parts
        ]

    def runs_at(self, at: Place) -> list[dict[str, Any]] | None:
        """Costs of the whole run; none before training."""
        return list(self.scores.run_of(at.key).values()) if at.step else None

    def part_column(self, metric: str, header: str) -> ColumnOf[Place, None]:
        """A metric of each line's part."""
        return ColumnOf(key=metric, header=header, cell=lambda at: self.cell(at.key, f"{at.part}/{metric}", at.step))

    def curve(self, key: str, metric: str, *, label: str, look: Look | None, line: LineStyle = "own") -> Series:
        """An arm's metric along its run; of a last step without a number, why."""
        cells = {step: self.cell(key, metric, step) for step in steps(self.scores.arms[key].spec)}
        known = {step: cell for step, cell in cells.items() if cell.value is not None}
        last, halves = list(cells.values())[-1], [cell.half for cell in known.values()]
        return Series(
            label=label,
            look=look,
            line=line,
            x=tuple(map(float, known)),
            y=tuple(cell.value for cell in known.values() if cell.value is not None),
            half=tuple(half for half in halves if half is not None) if None not in halves else (),
            note=last.missing or ", ".join(last.remarks),
        )

    @property
    def items(self) -> str:
        """How many problems were read."""
        return slashed(self._rows["n"].tolist()) or "no"

    def caption(self, what: str, *more: str) -> str:
        """What was read, on what, over which seeds; ``more`` are the suite's sentences.

        Args:
            what: a sentence without its full stop; ``{items}`` stands for the number of problems.
        """
        scores, profile, options = self.scores, self.scores.profile, self.scores.options
        steps = slashed(arm.spec.steps for arm in scores.arms.values())
        trained = {arm.spec.data.domains for arm in scores.arms.values() if arm.spec.data}
        domains = f"Trained on {', '.join(next(iter(trained)))} together; runs" if len(trained) == 1 else "Runs"
        parts = [
            f"{what.format(items=self.items)}.",
            *more,
            f"{domains} of {steps} steps; {repeated(scores)}",
            learning_rate_sentence(profile, options, scores.entries),
            *standing_sentences(profile, scores.entries, scores.costs),
        ]
        return " ".join(filter(None, parts))

    def _at(self, key: str, step: At) -> int:
        return self.scores.arms[key].spec.steps if step == "last" else step

    @cached_property
    def _rows(self) -> DataFrame:
        return results.select(self.scores.rows, benchmark=self.audit, decoding=AUDIT)

    @cached_property
    def _status(self) -> dict[tuple[str, int], str]:
        """Of each run at each step that was read."""
        columns = (self._rows[name].tolist() for name in ("run", "step", "status"))
        return {(run, step): status for run, step, status in zip(*columns, strict=True)}
