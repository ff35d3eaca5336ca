"""What a comparison says, in a few words and in a sentence: made from its differences, never written by hand. No torch.

A difference is *told apart* from 0 where its own 95 % interval leaves 0 out; nothing is adjusted for how many there
are, and the sentence says so. Tables test the same differences with Holm's correction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.analysis.statistics import NO_SPREAD
from harness.show.bars import number_words

if TYPE_CHECKING:
    from harness.analysis.statistics import Difference
    from harness.analysis.units import Units

SHORT = 28
"""Characters of a label that a title still takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a figure shows.

    Example::

        Finding(short="1 of 9 above Vanilla OPD, 5 below", sentence="Uni-OPD leads Vanilla OPD by 1.3 ± 0.8 points.")
    """

    short: str
    """For a title, behind its topic."""
    sentence: str
    """For the beginning of a caption; one sentence or two, with their full stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """Something minus what it is compared with, in points."""

    label: str
    difference: Difference | None
    """None: one of the two has no number."""

    @property
    def side(self) -> int:
        """1 above 0, -1 below, 0 where the interval holds 0 or there is none."""
        found = self.difference
        if found is None or found.half is None or abs(found.mean) <= max(found.half, NO_SPREAD):
            return 0
        return 1 if found.mean > 0 else -1

    @property
    def mean(self) -> float:
        """0 without a number."""
        return self.difference.mean if self.difference else 0.0


def in_points(label: str, difference: Difference | None, scale: float = 100.0) -> Contrast:
    """Of a difference of shares."""
    if difference is None:
        return Contrast(label=label, difference=None)
    half = None if difference.half is None else scale * difference.half
    return Contrast(label=label, difference=replace(difference, mean=scale * difference.mean, half=half))


def compared(contrasts: Sequence[Contrast], base: str, units: Units, *, things: str = "arms") -> Finding:
    """Who is above and who below, furthest by how much, and of how many that cannot be said.

    Args:
        base: what they are compared with, ``Vanilla OPD``.
        things: what is compared, where there are several.
    """
    judged = [each for each in contrasts if each.difference and each.difference.half is not None]
    if not judged:
        return _without_interval([each for each in contrasts if each.difference], base, units)
    above = sorted((each for each in judged if each.side > 0), key=lambda each: -each.mean)
    below = sorted((each for each in judged if each.side < 0), key=lambda each: each.mean)
    n, lacking = _n(judged, units), len(contrasts) - len(judged)
    more = f" {lacking} more without an interval {'is' if lacking == 1 else 'are'} not judged." if lacking else ""
    if len(judged) == 1:
        return Finding(short=_one_short(judged[0], base), sentence=f"{_one(judged[0], base)} ({n}).{more}")
    return Finding(short=_short(above, below, len(judged), base), sentence=f"{_several(judged, base, things, n)}{more}")


def _without_interval(known: Sequence[Contrast], base: str, units: Units) -> Finding:
    """Of single seeds, or of nothing."""
    if not known:
        return Finding(short="nothing to compare yet", sentence=f"Nothing can be compared with {base} yet.")
    each = max(known, key=lambda each: abs(each.mean))
    furthest = "" if len(known) == 1 else f"; of {len(known)} this is the largest difference"
    return Finding(
        short=f"one {units.one}, no intervals",
        sentence=(
            f"{quoted(each.label)} is {_points(each.mean)} points from {base} in one {units.one}{furthest}; without an "
            "interval nothing follows."
        ),
    )


def _one_short(each: Contrast, base: str) -> str:
    words = {1: "above", -1: "below", 0: "not told apart from"}
    return f"{quoted(each.label)} {words[each.side]} {base}"


def _one(each: Contrast, base: str) -> str:
    if each.side == 0:
        return f"{quoted(each.label)} is not told apart from {base} at 95 %: {_signed(each)} points"
    return (
        f"{quoted(each.label)} is {'above' if each.side > 0 else 'below'} {base} by {_size(each)} points, 95 % interval"
    )


def _short(above: Sequence[Contrast], below: Sequence[Contrast], count: int, base: str) -> str:
    if not above and not below:
        return f"none of {count} told apart from {base}"
    if not above:
        return f"{_who(below, count)} below {base}, none above"
    if not below:
        return f"{_who(above, count)} above {base}, none below"
    return f"{_who(above, count)} above {base}, {_who(below, 0)} below"


def _who(side: Sequence[Contrast], count: int) -> str:
    """A lone one by its label, if that is short and cannot be read as two; else how many, ``of`` how many if said."""
    label = side[0].label
    if len(side) == 1 and len(label) <= SHORT and "," not in label:
        return label
    return f"{len(side)} of {count}" if count else str(len(side))


def _several(judged: Sequence[Contrast], base: str, things: str, n: str) -> str:
    above, below = ([each for each in judged if each.side == side] for side in (1, -1))
    open_ = len(judged) - len(above) - len(below)
    if not above and not below:
        largest = max(judged, key=lambda each: abs(each.mean))
        if largest.mean == 0:
            return f"None of {len(judged)} {things} differs from {base} at all ({n})."
        return (
            f"None of {len(judged)} {things} is told apart from {base}, each alone at 95 % ({n}); the largest "
            f"difference is {_signed(largest)} points ({quoted(largest.label)})."
        )
    ends = []
    if above:
        top = max(above, key=lambda each: each.mean)
        ends.append(f"{quoted(top.label)} leads {base} by {_size(top)} points")
    if below:
        foot = min(below, key=lambda each: each.mean)
        ends.append(
            f"{quoted(foot.label)} trails {'it' if above else base} by {_size(foot)}{'' if above else ' points'}"
        )
    return (
        f"{', '.join(ends)}; of {len(judged)} {things} {len(above)} above, {len(below)} below, {open_} not told apart, "
        f"each alone at 95 % ({n})."
    )


def quoted(label: str) -> str:
    """Within a sentence: a label with a comma or of several small words would run into it."""
    return f"“{label}”" if "," in label or (label[:1].islower() and " " in label) else label


def _n(judged: Sequence[Contrast], units: Units) -> str:
    """``n = 5 seeds``; the least and the most where they differ."""
    known = sorted({each.difference.n for each in judged if each.difference})
    return f"n = {' to '.join(map(str, dict.fromkeys((known[0], known[-1]))))} {units.many}"


def _size(each: Contrast) -> str:
    assert each.difference is not None and each.difference.half is not None
    return number_words(abs(each.mean), each.difference.half, signed=True).lstrip("+")


def _signed(each: Contrast) -> str:
    assert each.difference is not None and each.difference.half is not None
    return number_words(each.mean, each.difference.half, signed=True)


def _points(mean: float) -> str:
    return number_words(mean, signed=True)
