"""Learning curves: accuracy against the optimiser step, of every suite that evaluates more than the last. No torch."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness import registry
from harness.analysis import results
from harness.analysis.statistics import estimate
from harness.analysis.units import Units, units_of
from harness.config import RunSpec, to_json
from harness.evaluation import benchmarks
from harness.show.lines import LinePanel, Series, curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

Setting = tuple[tuple[str, str], ...]
"""Every field of a run but its seed, as sorted pairs."""


def learning_curves(rows: DataFrame, specs: Mapping[str, RunSpec], title: str) -> Figure | None:
    """A panel per benchmark asked along the run, a line per setting with its interval over units; None without any.

    Args:
        specs: planned run by the id its rows have. Runs that differ in anything but the seed (and what is of its draw)
            are lines apart.
    """
    primary = results.records(results.primary(rows))
    trained = [row for row in primary if row["run"] in specs and not specs[row["run"]].is_reference]
    along = {row["benchmark"] for row in trained if row["step"] < row["steps"]}
    shown = [row for row in trained if row["benchmark"] in along]
    if not shown:
        return None
    units = units_of(registry.profile(shown[0]["profile"]))
    settings = {run: setting(specs[run]) for run in dict.fromkeys(row["run"] for row in shown)}
    labels = setting_labels(settings.values())
    names = tuple(dict.fromkeys(row["benchmark"] for row in shown))
    panels = [
        LinePanel(
            title=name,
            y_axis=f"{benchmarks.label([name])}, %",
            series=tuple(_series(shown, name, settings, labels, units)),
        )
        for name in names
    ]
    seeds = sorted({row["seed"] for row in shown})
    alone = "a single run has none" if units.are_seeds else f"a single {units.one} has none"
    measured = benchmarks.sentence(benchmarks.words(names))
    caption = (
        f"{measured}, at every evaluated checkpoint; seeds {', '.join(map(str, seeds))}. The band is the "
        f"95 % t interval over {units.many}; {alone}."
    )
    return curves(panels, title=title, x_axis="optimiser step", caption=caption)


def setting(spec: RunSpec) -> Setting:
    """What is the same in all seeds of one setting; a run that continues another is told by that one's name, or, where
    that holds the names of a draw's models, by its own domains alone."""
    general = registry.profile(spec.profile).of_all_draws(spec)
    start = re.sub(r"-seed\d+$", "", results.readable(spec.start)) if general is spec else ""
    fields = {**to_json(general), "start": start}
    del fields["seed"]
    return tuple(sorted(_flat(fields)))


def setting_labels(settings: Iterable[Setting]) -> dict[Setting, str]:
    """The method's label, and whatever tells its settings apart."""
    known = registry.methods()
    by_method: dict[str, list[Setting]] = defaultdict(list)
    for each in dict.fromkeys(settings):
        by_method[dict(each)["method.name"]].append(each)
    return {
        each: ", ".join((known[name].label if name in known else name, *_apart(each, peers)))
        for name, peers in by_method.items()
        for each in peers
    }


def _apart(each: Setting, peers: Sequence[Setting]) -> list[str]:
    """``privilege=summary``: fields in which a setting is not like all of its peers."""
    common = set.intersection(*map(set, peers))
    return [f"{name.rpartition('.')[2]}={value}" for name, value in each if (name, value) not in common]


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, "+".join(map(str, value)) if isinstance(value, list) else str(value)


def _series(
    rows: Sequence[Mapping[str, Any]],
    benchmark: str,
    settings: Mapping[str, Setting],
    labels: Mapping[Setting, str],
    units: Units,
) -> Iterator[Series]:
    """A line per setting, in percent."""
    found: dict[Setting, dict[int, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        if row["benchmark"] == benchmark:
            found[settings[row["run"]]][row["step"]][row["seed"]] = 100 * row["value"]
    for each, label in labels.items():
        if points := found.get(each):
            estimates = {
                step: estimate(list(units.averaged(by_seed).values())) for step, by_seed in sorted(points.items())
            }
            yield Series(
                label=label,
                look=registry.look(label),
                x=tuple(map(float, estimates)),
                y=tuple(e.mean for e in estimates.values()),
                half=tuple(e.half or 0.0 for e in estimates.values()),
            )
