"""What is measured of a run: benchmarks with their decoding and metric, and how tables name them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.analysis import results
from harness.evaluation import benchmarks
from harness.suite import Evaluation, Profile

if TYPE_CHECKING:
    from pandas import DataFrame

At = int | Literal["last"]
"""Step of a checkpoint."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What is measured of a run: the benchmark's primary metric, unless another is named."""

    benchmark: str
    decoding: str = ""
    metric: str = ""

    def __post_init__(self) -> None:
        decoding, metric = benchmarks.told(self.benchmark).primary
        object.__setattr__(self, "decoding", self.decoding or decoding)
        object.__setattr__(self, "metric", self.metric or metric)

    @property
    def exists(self) -> bool:
        """Whether the benchmark is decoded and graded so."""
        known = benchmarks.told(self.benchmark)
        return self.decoding in known.decodings and self.metric in {metric.name for metric in known.metrics}

    @property
    def words(self) -> str:
        """``exact trace, greedy``."""
        return f"{benchmarks.told(self.benchmark).metric(self.metric).words}, {self.decoding}"


def measures_of(names: Iterable[str], decoding: str = "", metric: str = "") -> list[Measure]:
    """One per benchmark that has the decoding and the metric; the primary ones unless named."""
    return [measure for name in names if (measure := Measure(name, decoding, metric)).exists]


def words_of(measures: Iterable[Measure]) -> str:
    """What they measure in common, ``exact answer, greedy``."""
    different = {measure.words for measure in measures}
    return different.pop() if len(different) == 1 else "primary metric of each benchmark"


def items_of(rows: DataFrame, measures: Iterable[Measure] | None = None) -> str:
    """How many items a benchmark has by these measures, by the primary ones unless given; ``no`` without rows."""
    if measures is None:
        return slashed(results.primary(rows)["n"].tolist()) or "no"
    wanted = {(m.benchmark, m.decoding, m.metric) for m in measures}
    shown = (row for row in results.records(rows) if (row["benchmark"], row["decoding"], row["metric"]) in wanted)
    return slashed(row["n"] for row in shown) or "no"


def primary_at(step: At, name: str) -> Evaluation:
    """A benchmark at one checkpoint, as its primary metric wants it decoded."""
    known = benchmarks.told(name)
    return Evaluation(step, name, known.primary[0], known.version)


def asked(profile: Profile) -> tuple[str, ...]:
    """Every benchmark: the trained range, then the harder one."""
    return (*profile.benchmarks, *profile.harder.values())


def benchmark_header(benchmark: str, profile: Profile) -> str:
    """``coding, %`` or ``coding, harder, %``."""
    harder = {name: domain for domain, name in profile.harder.items()}
    if benchmark in harder:
        return f"{harder[benchmark]}, harder, %"
    return f"{benchmarks.told(benchmark).short}, %"


def slashed(numbers: Iterable[int]) -> str:
    """``100``, or ``100/200`` where they differ; empty without any."""
    return "/".join(map(str, sorted(set(numbers))))
