"""How often the intervals and rules of ``harness.analysis.statistics`` are right, by simulation. No torch.

``python -m harness.analysis.coverage`` prints the tables of docs/statistics.md, in about ten minutes on one core.

A simulated score is that of a greedy evaluation: 3 domains of 400 items, each right or wrong. Items have
difficulties, fixed over seeds; a seed moves the items of a domain by one effect on the logit scale. The constants
below are what the published rows and the items behind them give, so that the noise is ours.

Shapes: R replications, B bootstrap draws, S seeds, I items, K items to draw from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy import special, stats

from harness.analysis import statistics
from harness.analysis.claims import Claim, Order, Verdict, decide

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

SCORE_DEVIATION = 0.0068
"""Between seeds, of the mean exact answer over the three trained-range benchmarks, greedy: root mean square over the
33 cells (11 methods × 3 trained domains, 5 seeds) of the published suite ``ood``; median 0.0055, largest 0.0189."""
PAIRED_DEVIATION = 0.0094
"""Of the difference of the same score to vanilla OPD's, seed by seed: root mean square over 30 cells; median 0.0072,
largest 0.0250."""
PAIRED_CORRELATION = 0.16
"""Of the scores of two methods over seeds, the mean of those 30 cells."""
ITEM_MEAN, ITEM_SHARE = 0.48, 0.90
"""Mean score of an item, and the share of its variance that is difficulty, not the seed: most items are always right
or always wrong. From the items behind those rows (two-way analysis of variance, 400 items × 5 seeds)."""
ITEM_CORRELATION = 0.73
"""Of an item's mean scores under two methods."""
SEED_EFFECT = 0.35
"""Deviation of a seed's effect on the logits of a domain, chosen to give ``SCORE_DEVIATION``."""

DRAW_EFFECT = 1.2
"""Deviation of a draw's effect on the logits of all its items, chosen to give ``DRAW_DEVIATION``."""
DRAW_DEVIATION = 0.033
"""Between draws, of a score: a guess before there were rows. Two draws of a prototype differed in DOPD's mean by 5
points and in its difference to another method by 7."""
DRAWN = ((3, 1), (5, 1), (5, 2), (10, 1))
"""Draws, and seeds of each."""
DRAW_NODES = 40
"""Equally probable effects of a draw, and of a seed, over which a score's expectation is taken."""

SEEDS = (3, 5, 10)
DOMAINS, DOMAIN_ITEMS = 3, 400
POPULATION = 20_000
"""Items to draw from; the finite population whose mean is known exactly."""
NODES = 400
"""Equally probable seed effects over which an item's expected score is taken."""
LOGIT_LIMIT = 30.0
"""An item beyond is always right or always wrong."""

Bounds: TypeAlias = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Distribution of the seed effects."""

    name: str
    quantile: Callable[[Floats], Floats]
    """Scaled to deviation 1."""
    independent: int
    """Effects of one seed: one for each domain, or one for all, which lets no tail average out."""


NORMAL = Noise(name="normal", quantile=lambda u: np.asarray(stats.norm.ppf(u)), independent=DOMAINS)
HEAVY = Noise(name="heavy", quantile=lambda u: np.asarray(stats.t.ppf(u, 3) / math.sqrt(3)), independent=1)
"""t with 3 degrees of freedom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Items to draw from and the noise of seeds."""

    noise: Noise
    logits_K: Floats = field(default_factory=lambda: item_logits(np.random.default_rng(0)))

    @property
    def effect(self) -> float:
        """Deviation of an effect: of the mean over domains it is the same for every noise."""
        return SEED_EFFECT * math.sqrt(self.noise.independent / DOMAINS)

    def expected(self) -> Floats:
        """Expected score of every item over seeds, [K]."""
        effects = self.effect * self.noise.quantile((np.arange(NODES) + 0.5) / NODES)
        return special.expit(self.logits_K[:, None] + effects).mean(1)

    def scores(
        self, items_I: NDArray[np.int64], seeds: int, generator: np.random.Generator, shift: float = 0.0
    ) -> Floats:
        """0 or 1 for each of these items under so many new seeds, [S, I]; items of a domain stand together.

        ``shift`` moves all logits alike.
        """
        effects = shift + self.effect * self.noise.quantile(generator.random((seeds, self.noise.independent)))
        effects_SI = effects.repeat(len(items_I) // self.noise.independent, axis=1)
        return (generator.random(effects_SI.shape) < special.expit(self.logits_K[items_I] + effects_SI)).astype(float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One simulated table cell and the truths its interval may be about."""

    scores_SI: Floats
    """Of one arm, or of a - b."""
    items: float
    """Expected score over seeds, these items."""
    population: float
    """Expected score over seeds and items."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """An interval to measure."""

    name: str
    interval: Callable[[Floats], Bounds]
    """Of scores_SI."""
    replications: int


@dataclass(slots=True)
class Count:
    """How often an interval held the truth."""

    n: int = 0
    items: int = 0
    population: int = 0
    halves: list[float] = field(default_factory=list[float])

    def add(self, bounds: Bounds, experiment: Experiment) -> None:
        """An interval that does not exist covers nothing."""
        low, high = bounds
        self.n += 1
        if low is not None and high is not None:
            self.items += low <= experiment.items <= high
            self.population += low <= experiment.population <= high
            self.halves.append((high - low) / 2)


def item_logits(generator: np.random.Generator) -> Floats:
    """Difficulties of the items to draw from, [K]: logits of draws from a Beta, U-shaped as ours."""
    concentration = 1 / ITEM_SHARE - 1
    chances = generator.beta(ITEM_MEAN * concentration, (1 - ITEM_MEAN) * concentration, size=POPULATION)
    with np.errstate(divide="ignore"):
        return np.clip(special.logit(chances), -LOGIT_LIMIT, LOGIT_LIMIT)


def experiments(world: World, seeds: int, *, paired: bool, seed: int = 0) -> Iterator[Experiment]:
    """Endless: new items and new seeds each time. ``paired``: the difference of two equally good arms."""
    generator = np.random.default_rng(seed)
    expected_K, size = world.expected(), len(world.logits_K)
    while True:
        items = generator.integers(size, size=DOMAINS * DOMAIN_ITEMS)
        scores, truth = world.scores(items, seeds, generator), float(expected_K[items].mean())
        if not paired:
            yield Experiment(scores_SI=scores, items=truth, population=float(expected_K.mean()))
            continue
        fresh = generator.random(len(items)) < 1 - ITEM_CORRELATION
        other = np.where(fresh, generator.integers(size, size=len(items)), items)
        difference = scores - world.scores(other, seeds, generator)
        yield Experiment(scores_SI=difference, items=truth - float(expected_K[other].mean()), population=0.0)


def t_interval(scores_SI: Floats) -> Bounds:
    """``statistics.estimate`` of the seed means."""
    e = statistics.estimate(scores_SI.mean(1).tolist())
    return (None, None) if e.half is None else (e.mean - e.half, e.mean + e.half)


def percentile(seeds_BS: Floats) -> Callable[[Floats], Bounds]:
    """The percentile bootstrap over seeds: here for comparison only, nothing else uses it."""

    def interval(scores_SI: Floats) -> Bounds:
        tails = ((1 - statistics.CONFIDENCE) / 2, (1 + statistics.CONFIDENCE) / 2)
        low, high = np.quantile(seeds_BS @ scores_SI.mean(1) / len(scores_SI), tails).tolist()
        return low, high

    return interval


def bootstrap_t(seeds_BS: Floats, items_BI: Floats | None = None) -> Callable[[Floats], Bounds]:
    """The interval of ``statistics.bootstrap_t`` with the same draws every time; without items, over seed means."""

    def interval(scores_SI: Floats) -> Bounds:
        if items_BI is None:
            means_S1 = scores_SI.mean(1, keepdims=True)
            return statistics.studentised_interval(means_S1, seeds_BS, np.ones((len(seeds_BS), 1)))
        return statistics.studentised_interval(scores_SI, seeds_BS, items_BI)

    return interval


def measured(seeds: int, cheap: int, dear: int, draws: int = statistics.DRAWS) -> tuple[Method, ...]:
    """The intervals of the tables; ``cheap`` and ``dear`` are numbers of replications."""
    generator = np.random.default_rng(0)
    seeds_BS = statistics.draw_counts(seeds, draws, generator)
    items_BI = statistics.draw_counts(DOMAINS * DOMAIN_ITEMS, draws, generator)
    return (
        Method(name="t", interval=t_interval, replications=cheap),
        Method(name="percentile", interval=percentile(seeds_BS), replications=cheap),
        Method(name="bootstrap-t", interval=bootstrap_t(seeds_BS), replications=cheap),
        Method(name="bootstrap-t with items", interval=bootstrap_t(seeds_BS, items_BI), replications=dear),
    )


def coverage(world: World, seeds: int, methods: Sequence[Method], *, paired: bool) -> dict[str, Count]:
    """Counts by interval, all over the same experiments."""
    counts = {method.name: Count() for method in methods}
    most = max(method.replications for method in methods)
    for r, experiment in zip(range(most), experiments(world, seeds, paired=paired), strict=False):
        for method in methods:
            if r < method.replications:
                counts[method.name].add(method.interval(experiment.scores_SI), experiment)
    return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnExperiment:
    """Scores of one arm, or of a - b, in draws of a world that each have items of their own."""

    scores_DSI: Floats
    """By draw, seed and item."""
    truth: float
    """Expected score over draws, seeds and items."""


def drawn_expected(world: World) -> float:
    """Expected score over the effects of draws and seeds, of the items there are."""
    u = (np.arange(DRAW_NODES) + 0.5) / DRAW_NODES
    effects = (DRAW_EFFECT * world.noise.quantile(u))[:, None] + world.effect * world.noise.quantile(u)
    return float(np.mean([special.expit(world.logits_K + effect).mean() for effect in effects.ravel()]))


def drawn_experiments(
    world: World, draws: int, seeds: int, *, paired: bool, seed: int = 0
) -> Iterator[DrawnExperiment]:
    """Endless: new draws with new items, and new seeds in each. ``paired``: two equally good arms in the same draws."""
    generator, truth = np.random.default_rng(seed), 0.0 if paired else drawn_expected(world)
    while True:
        scores = [_in_draw(world, seeds, paired, generator) for _ in range(draws)]
        yield DrawnExperiment(scores_DSI=np.array(scores), truth=truth)


def _in_draw(world: World, seeds: int, paired: bool, generator: np.random.Generator) -> Floats:
    """[S, I]: a draw's effect is the same for all its items and seeds; each arm has one of its own."""
    items = generator.integers(len(world.logits_K), size=DOMAINS * DOMAIN_ITEMS)
    arms = [
        world.scores(items, seeds, generator, float(DRAW_EFFECT * world.noise.quantile(generator.random(1))[0]))
        for _ in range(1 + paired)
    ]
    return arms[0] - arms[1] if paired else arms[0]


def drawn_coverage(
    world: World, draws: int, seeds: int, *, paired: bool, replications: int, resamples: int = statistics.DRAWS
) -> dict[str, Count]:
    """Counts of three intervals over the same experiments: t over draws, bootstrap-t over draws with items drawn within
    each, and t over all seeds as if a draw's were not alike."""
    counts = {name: Count() for name in ("t over draws", "with items", "t over seeds")}
    generator = np.random.default_rng(1)
    found = drawn_experiments(world, draws, seeds, paired=paired)
    for _, each in zip(range(replications), found, strict=False):
        of_draws_DI, of_seeds = each.scores_DSI.mean(1), each.scores_DSI.mean(2).reshape(-1, 1)
        bounds = {
            "t over draws": t_interval(of_draws_DI),
            "with items": statistics.nested_interval(of_draws_DI, resamples, generator),
            "t over seeds": t_interval(of_seeds),
        }
        truth = Experiment(scores_SI=of_draws_DI, items=each.truth, population=each.truth)
        for name, pair in bounds.items():
            counts[name].add(pair, truth)
    return counts


def drawn_table(*, paired: bool, replications: int) -> str:
    """Markdown: coverage over draws in per cent with its Monte-Carlo standard error, and half-widths in points."""
    lines = [
        "| effects | draws × seeds | t over draws | bootstrap-t over draws, items within | t over all seeds "
        "| half-width, t over draws | half-width, items within |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for noise in (NORMAL, HEAVY):
        for draws, seeds in DRAWN:
            c = drawn_coverage(World(noise=noise), draws, seeds, paired=paired, replications=replications)
            cells = [share_cell(count.population, count.n) for count in c.values()]
            cells += [f"{100 * float(np.median(c[name].halves)):.2f}" for name in ("t over draws", "with items")]
            lines.append(f"| {noise.name} | {draws} × {seeds} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def rejections(correlation: float, seeds: int, effect: float, replications: int, seed: int = 0) -> tuple[float, float]:
    """Shares of experiments in which the paired and the unpaired t test reject equality.

    Args:
        correlation: Of two arms' scores over seeds.
        seeds: Of each arm.
        effect: True difference, in deviations of one arm's score.
        replications: Experiments.
        seed: Of the generator.
    """
    generator = np.random.default_rng(seed)
    shared, a, b = (generator.standard_normal((replications, seeds)) for _ in range(3))
    own, common = math.sqrt(1 - correlation), math.sqrt(correlation) * shared
    a_RS, b_RS = common + own * a + effect, common + own * b
    tests = (stats.ttest_rel(a_RS, b_RS, axis=1), stats.ttest_ind(a_RS, b_RS, axis=1))
    paired, unpaired = (float(np.mean(np.asarray(test)[1] < statistics.ALPHA)) for test in tests)
    return paired, unpaired


def order_errors(arms: int, seeds: int, replications: int, seed: int = 0) -> tuple[float, float]:
    """Shares of experiments with equal arms in which ``order_share`` of "the first is best" is >= 95 %, <= 5 %."""
    generator = np.random.default_rng(seed)
    counts_BS, weights = statistics.seed_resamples(seeds, statistics.DRAWS)
    chance_B = np.array(weights) / sum(weights)
    shares = [
        float(((counts_BS @ generator.standard_normal((seeds, arms))).argmax(1) == 0) @ chance_B)
        for _ in range(replications)
    ]
    share_R = np.array(shares)
    return float(np.mean(share_R >= 1 - statistics.ALPHA)), float(np.mean(share_R <= statistics.ALPHA))


FIRST_IS_BEST = Claim(
    id="",
    statement="",
    source="",
    suite="",
    rule=Order(
        statement="the first is best",
        holds=lambda means: max(means, key=means.__getitem__) == "0",
        pairs=lambda names: [("0", name) for name in names if name != "0"],
    ),
    values=lambda scores: {},
)
FAR_BELOW = -10.0
"""Deviations: an arm that nobody takes for the best."""


def order_verdicts(equal: int, below: int, seeds: int, replications: int, seed: int = 0) -> tuple[float, float]:
    """Shares of experiments in which the claim that the first of some equal arms is best is reproduced, contradicted.

    Args:
        below: further arms that are far worse.
    """
    generator = np.random.default_rng(seed)
    means = np.array([0.0] * equal + [FAR_BELOW] * below)[:, None]
    found = [
        decide(
            FIRST_IS_BEST,
            {
                str(arm): dict(enumerate(values))
                for arm, values in enumerate((means + generator.standard_normal((len(means), seeds))).tolist())
            },
        ).verdict
        for _ in range(replications)
    ]
    return found.count(Verdict.REPRODUCED) / replications, found.count(Verdict.CONTRADICTED) / replications


def coverage_table(*, paired: bool, cheap: int, dear: int) -> str:
    """Markdown: coverage in per cent with its Monte-Carlo standard error, and half-widths in points."""
    lines = [
        "| seed effects | seeds | t, these items | percentile, these items | bootstrap-t, these items "
        "| t, any items | bootstrap-t with items, any items | half-width, t | half-width, with items |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for noise in (NORMAL, HEAVY):
        world = World(noise=noise)
        for seeds in SEEDS:
            c = coverage(world, seeds, measured(seeds, cheap, dear), paired=paired)
            t, both = c["t"], c["bootstrap-t with items"]
            shares = [(t.items, t.n), *((c[name].items, c[name].n) for name in ("percentile", "bootstrap-t"))]
            shares += [(t.population, t.n), (both.population, both.n)]
            cells = [share_cell(*share) for share in shares]
            cells += [f"{100 * float(np.median(count.halves)):.2f}" for count in (t, both)]
            lines.append(f"| {noise.name} | {seeds} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def share_cell(hits: int, n: int) -> str:
    """``94.8 ± 0.3``, per cent."""
    share = hits / n
    return f"{100 * share:.1f} ± {100 * math.sqrt(share * (1 - share) / n):.1f}"


def power_table(replications: int, effect: float = 2.0) -> str:
    """Markdown: power of the paired and the unpaired t test by correlation of the arms over seeds."""
    lines = [
        "| correlation over seeds | " + " | ".join(f"{n} seeds: paired | unpaired" for n in SEEDS) + " |",
        "|--:|" + "--:|" * 2 * len(SEEDS),
    ]
    for correlation in (0.0, PAIRED_CORRELATION, 0.5, 0.9):
        pairs = [rejections(correlation, n, effect, replications) for n in SEEDS]
        lines.append(f"| {correlation:g} | " + " | ".join(f"{100 * p:.0f} | {100 * u:.0f}" for p, u in pairs) + " |")
    return "\n".join(lines)


def order_table(replications: int) -> str:
    """Markdown: how often equal arms are decided."""
    lines = [
        "| arms, all equal | " + " | ".join(f"{n} seeds: ≥ 95 % | ≤ 5 %" for n in SEEDS) + " |",
        "|--:|" + "--:|" * 2 * len(SEEDS),
    ]
    for arms in (2, 3, 9):
        pairs = [order_errors(arms, n, replications) for n in SEEDS]
        lines.append(f"| {arms} | " + " | ".join(f"{100 * y:.1f} | {100 * n:.1f}" for y, n in pairs) + " |")
    return "\n".join(lines)


def verdict_table(replications: int) -> str:
    """Markdown: how often the rule for orders decides where there is nothing to find."""
    lines = [
        "| arms | " + " | ".join(f"{n} seeds: reproduced | contradicted" for n in SEEDS) + " |",
        "|---|" + "--:|" * 2 * len(SEEDS),
    ]
    for equal, below in ((2, 0), (3, 0), (9, 0), (2, 2)):
        pairs = [order_verdicts(equal, below, n, replications) for n in SEEDS]
        name = f"{equal} equal" + (f", {below} far below" if below else "")
        lines.append(f"| {name} | " + " | ".join(f"{100 * y:.1f} | {100 * n:.1f}" for y, n in pairs) + " |")
    return "\n".join(lines)


def detectable_table() -> str:
    """Markdown: minimum detectable effects of the paired t test, points."""
    lines = ["| deviation of the paired differences | " + " | ".join(f"{n} seeds" for n in SEEDS) + " |"]
    lines.append("|--:|" + "--:|" * len(SEEDS))
    for deviation in (0.0072, PAIRED_DEVIATION, 0.0250):
        effects = [statistics.minimum_detectable_effect(deviation, n) or math.nan for n in SEEDS]
        lines.append(f"| {100 * deviation:.2f} | " + " | ".join(f"{100 * e:.2f}" for e in effects) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print every table."""
    print("Coverage, score of one method:\n\n" + coverage_table(paired=False, cheap=5_000, dear=600), flush=True)
    print("\nCoverage, difference of two methods:\n\n" + coverage_table(paired=True, cheap=5_000, dear=600), flush=True)
    for what, paired in (("score of one method", False), ("difference of two methods", True)):
        print(f"\nCoverage over draws, {what}:\n\n" + drawn_table(paired=paired, replications=1_000), flush=True)
    print("\nPower, per cent:\n\n" + power_table(20_000))
    print("\nOrder shares of equal arms, per cent:\n\n" + order_table(2_000))
    print("\nVerdicts on orders of equal arms, per cent:\n\n" + verdict_table(1_000))
    print("\nMinimum detectable effects, points:\n\n" + detectable_table())


if __name__ == "__main__":
    main()
