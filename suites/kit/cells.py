"""What several suites share: which methods and domains are meant, cells, and sentences of captions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness import registry
from harness.analysis import results, statistics
from harness.analysis.units import Units
from harness.config import ModelSpec
from harness.evaluation import benchmarks
from harness.method import Entry
from harness.show.tables import Cell
from harness.suite import Evaluation, Options, Profile, learning_rate
from harness.types import Modality
from suites import TUNING

if TYPE_CHECKING:
    from pandas import DataFrame

At = int | Literal["last"]
"""Step of a checkpoint."""
BASELINE = "vanilla_opd"
"""What methods are compared with."""
FIXED_WEIGHTS = "fixed weights"
"""Note of a model that was only evaluated."""
SECONDS = "Seconds are wall time of one worker beside others on a shared machine."
"""In the caption of whatever shows some."""
COLLAPSES = "Collapsed runs are averaged like the others and named."


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


def tests_sentence(tests: int, units: Units) -> str:
    """How the differences of a table are tested; ``tests``: how many of them are."""
    if not tests:
        return units.said(
            "differences are paired by {seed}; with fewer than two {seeds}, or none that differ, nothing is tested."
        )
    return units.said(
        "differences are paired by {seed}, p is of the two-sided paired t test, adjusted by Holm over the "
        f"{tests} test{'s' * (tests > 1)} of this table."
    )


def listed_methods(options: Options) -> tuple[str, ...]:
    """Registry names in the order asked for; by default every listed one, a plugin's among them, but those that show
    pictures where the profile is of text."""
    if options.methods in (None, "all"):
        sees = registry.profile(options.profile).modality is Modality.VISION
        listed = [name for name, entry in registry.methods().items() if entry.listed]
        return tuple(name for name in listed if sees or not registry.method_class(name).pictures)
    return tuple(dict.fromkeys(map(registry.method_name, options.methods)))


def selected_methods(options: Options, default: Sequence[str]) -> tuple[str, ...]:
    """Registry names in the order asked for; without a choice the suite's ``default``, and a plugin's methods."""
    if options.methods is not None:
        return listed_methods(options)
    known = registry.methods().items()
    return (*default, *(name for name, entry in known if entry.target.startswith(registry.PLUGIN_MODULE)))


def joint_domains(profile: Profile, options: Options) -> tuple[str, ...]:
    """Domains one run trains on together, in the profile's order; all of them unless some are named.

    Raises:
        HarnessError: not a domain of the profile's data.
    """
    known = profile.data.domains
    if options.train_domains in (None, "all"):
        return known
    named = {registry.lookup("training domain", name, known) for name in options.train_domains}
    return tuple(domain for domain in known if domain in named)


def by_paradigm(names: Iterable[str]) -> dict[str, Entry]:
    """Entries by registry name, those of one paradigm together, otherwise in the order given."""
    known = registry.methods()
    entries = {name: known[name] for name in names}
    order = list(dict.fromkeys(entry.paradigm for entry in entries.values()))
    return dict(sorted(entries.items(), key=lambda item: order.index(item[1].paradigm)))


def references(profile: Profile) -> dict[str, ModelSpec]:
    """Models that are only evaluated, by the name they have in tables."""
    return {"Student": profile.student, "Teacher": profile.teacher}


def asked(profile: Profile) -> tuple[str, ...]:
    """Every benchmark: the trained range, then the harder one."""
    return (*profile.benchmarks, *profile.harder.values())


def benchmark_header(benchmark: str, profile: Profile) -> str:
    """``coding, %`` or ``coding, harder, %``."""
    harder = {name: domain for domain, name in profile.harder.items()}
    if benchmark in harder:
        return f"{harder[benchmark]}, harder, %"
    return f"{benchmarks.told(benchmark).short}, %"


def recovery(score: float, student: float | None, teacher: float | None) -> float | None:
    """Share of the gap; None without both references or without a gap."""
    return None if student is None or teacher is None else statistics.gap_recovery(score, student, teacher)


def recovery_cell(score: Cell, student: float | None, teacher: float | None) -> Cell:
    """Student and teacher are fixed, so the interval is the score's, divided by the gap."""
    if score.value is None:
        return Cell(missing=score.missing)
    if student is None or teacher is None:
        return Cell(missing="no reference row")
    share = statistics.gap_recovery(score.value, student, teacher)
    if share is None:
        return Cell(missing="no gap")
    half = None if score.half is None else 100 * score.half / (teacher - student)
    return Cell(value=100 * share, half=half, n=score.n)


def gain_cell(score: Cell, student: float | None) -> Cell:
    """The student is fixed, so the interval is the score's."""
    if score.value is None:
        return Cell(missing=score.missing)
    if student is None:
        return Cell(missing="no reference row")
    notes = (FIXED_WEIGHTS,) if FIXED_WEIGHTS in score.notes else ()
    return Cell(value=statistics.gain(score.value, student), half=score.half, n=score.n, notes=notes)


def reference_cell(value: float | None) -> Cell:
    """A model that was only evaluated, percent."""
    return Cell(missing="not run") if value is None else Cell(value=value, notes=(FIXED_WEIGHTS,))


def fixed_weights_sentence(profile: Profile) -> str:
    """What the intervals say of the models, and what they do not."""
    if profile.draws:
        return (
            "Each draw has its own tables, items, student and teacher, so intervals speak of other draws of this world "
            "and of no other world."
        )
    return (
        f"Student {profile.student.name} and teacher {profile.teacher.name} are fixed weights: seeds vary "
        "the order of problems and the rollouts, and say nothing of other initialisations or items."
    )


def departure_sentences(entries: Iterable[Entry]) -> list[str]:
    """What differs from the cited sources."""
    return [f"{entry.label}: {entry.departure}." for entry in entries if entry.departure]


def override_sentences(profile: Profile, entries: Mapping[str, Entry]) -> list[str]:
    """Settings of the profile that differ from the published ones, one sentence per setting and reason."""
    labels: dict[tuple[str, str], list[str]] = {}
    for name, entry in entries.items():
        if override := profile.override(name):
            labels.setdefault((override.text, override.reason), []).append(entry.label)
    return [
        f"Profile {profile.name} sets {settings} for {', '.join(names)}: {why}."
        for (settings, why), names in labels.items()
    ]


def learning_rate_sentence(profile: Profile, options: Options, entries: Mapping[str, Entry]) -> str:
    """Which learning rate the runs had."""
    if options.learning_rate == "shared":
        return f"Learning rate {profile.optim.lr:g}, shared by all methods (the paper's protocol)."
    rates = ", ".join(f"{entry.label} {learning_rate(profile, options, name):g}" for name, entry in entries.items())
    return f"Learning rates tuned on the validation split, one by one (suite {TUNING}): {rates}."


def stale_sentences(costs: DataFrame) -> list[str]:
    """Whether published runs are of other settings."""
    stale = costs["state"].tolist().count(results.STALE)
    return [f"{stale} runs are published under other settings than the planned ones and not shown."] if stale else []


def standing_sentences(profile: Profile, entries: Mapping[str, Entry], costs: DataFrame) -> list[str]:
    """What every caption of trained runs says: fixed weights, collapses, overrides, departures, other settings."""
    return [
        fixed_weights_sentence(profile),
        COLLAPSES,
        *override_sentences(profile, entries),
        *departure_sentences(entries.values()),
        *stale_sentences(costs),
    ]


def slashed(numbers: Iterable[int]) -> str:
    """``100``, or ``100/200`` where they differ; empty without any."""
    return "/".join(map(str, sorted(set(numbers))))
