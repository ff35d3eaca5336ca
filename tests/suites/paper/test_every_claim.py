"""Every claim on rows made for it: reproduced where it holds, contradicted where they are mirrored, and not reproduced
where they fall just short of its level or stand at another place than the claim reads.

``CASES`` says again, in its own words, what must be above what; a new claim needs a line there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
from support.synthetic import frames

from harness import registry
from harness.analysis.claims import Claim, Decision, Verdict, decide
from harness.config import RunSpec
from harness.evaluation.audits import AUDIT
from harness.evaluation.benchmarks import is_primary
from harness.suite import Evaluation, Options, Profile
from harness.types import Modality
from suites.paper.claims import CLAIMS

PROFILES: Mapping[Modality, Profile] = {
    Modality.TEXT: registry.profile("embedded"),
    Modality.VISION: registry.profile("embedded_vlm"),
}
SEEDS = (0, 1, 2)
STUDENT, TEACHER, ARM = 0.4, 0.8, 0.5
"""Shares where nothing moves them: the untrained student, its teacher, every trained arm."""
ENTROPY = 0.1
"""Nats, of every arm where nothing moves it."""
NOISE = 0.001
"""Of a share; of an entropy a tenth of it. Its mean over the seeds is 0, so that effects are exact."""
DOMAINS = {benchmark: domain for profile in PROFILES.values() for domain, benchmark in profile.targets.items()}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a number of a run stands."""

    names: frozenset[str]
    """Keys of the arms that the run belongs to, and ``trained domain/method``."""
    what: str
    """A trained domain, ``entropy``, or empty for whatever no claim reads."""
    share: float
    """Of the run."""


@dataclass(frozen=True, slots=True)
class Move:
    """An arm's number away from where it stands, in points or millinats."""

    name: str
    by: float
    share: float | None = 1.0
    """Of the run; None: all along."""
    what: tuple[str, ...] = ()
    """Empty: any trained domain."""

    def at(self, place: Place) -> float:
        near = self.share is None or abs(place.share - self.share) < 1e-9
        read = place.what in (self.what or DOMAINS.values())
        return self.by if near and read and self.name in place.names else 0.0

    def around(self, place: Place) -> float:
        """At this arm's every other place."""
        return self.by if self.name in place.names and not self.at(place) else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Rows: moves, and where the arms stand without."""

    moves: tuple[Move, ...]
    arm: float = ARM
    elsewhere: bool = False
    """Whether the moves happen at every place but theirs."""

    def value(self, place: Place, seed: int) -> float:
        base, unit = (ENTROPY, 0.001) if place.what == "entropy" else (self.arm, 0.01)
        moved = sum(move.around(place) if self.elsewhere else move.at(place) for move in self.moves)
        turn = sum(map(ord, "".join(sorted(place.names)))) + round(10 * place.share)
        return base + unit * moved + 0.1 * unit * ((seed + turn) % len(SEEDS) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A claim's worlds."""

    holds: World
    effect: float
    """What is measured there, points or millinats, by hand."""
    against: tuple[World, ...]
    """Worlds in which it is contradicted."""
    short: tuple[World, ...] = ()
    """Worlds in which it is not reproduced."""


def mirror(world: World) -> World:
    return replace(world, moves=tuple(replace(move, by=-move.by) for move in world.moves))


def above(a: str, b: str, **where: Any) -> Case:
    """One arm above another: by 5 = 3 + 2; neither at another step nor of another quantity."""
    holds = World(moves=(Move(a, 3.0, **where), Move(b, -2.0, **where)))
    return Case(holds=holds, effect=5.0, against=(mirror(holds),), short=(replace(holds, elsewhere=True),))


def first(name: str, rivals: Sequence[str], *, share: float = 1.0, what: Sequence[str] = ()) -> Case:
    """One arm 4 above the first of several and 5 above the others; a single one that is ahead of it contradicts."""
    lead, (_, *others) = Move(name, 4.0, share, tuple(what)), rivals
    ahead = [World(moves=(lead, Move(rival, 9.0, 1.0, tuple(what)))) for rival in rivals]
    holds = World(moves=(lead, *(Move(rival, -1.0, 1.0, tuple(what)) for rival in others)))
    return Case(
        holds=holds, effect=4.0, against=(mirror(holds), *ahead), short=(replace(World(moves=(lead,)), elsewhere=True),)
    )


def rises(*names: str) -> Case:
    """Each above the one before, first by 5, then by 2; a single fall contradicts, a single level is not enough."""
    heights = [0.0, 5.0, *(7.0 + 2.0 * place for place in range(len(names) - 2))]
    whole = list(range(len(names)))

    def stand(places: Sequence[int]) -> World:
        return World(moves=tuple(Move(name, heights[place]) for name, place in zip(names, places, strict=True)))

    swapped = [[*whole[:p], p + 1, p, *whole[p + 2 :]] for p in whole[:-1]]
    level = [[*whole[:p], p, p, *whole[p + 2 :]] for p in whole[:-1]]
    return Case(
        holds=stand(whole),
        effect=2.0,
        against=(stand(whole[::-1]), *map(stand, swapped)),
        short=tuple(map(stand, level)),
    )


def over(level: float, move: Move, *, arm: float = ARM, others: Sequence[Move] = ()) -> Case:
    """One arm past a level, from where it stands: half a point (or a millinat) beyond and short of it decide.

    ``level`` and the move's ``by``, a direction, are in the move's unit.
    """

    def at(by: float) -> World:
        return World(moves=(replace(move, by=by), *others), arm=arm)

    sign = 1.0 if move.by > 0 else -1.0
    return Case(
        holds=at(level + 0.5 * sign), effect=0.5, against=(at(level - 9.0 * sign),), short=(at(level - 0.5 * sign),)
    )


def falls(name: str) -> Case:
    """The end 5 below the best checkpoint of the first half, which its middle belongs to and nothing later."""
    holds = World(moves=(Move(name, 5.0, 0.5),))
    later = World(moves=(Move(name, 5.0, 0.6),))
    return Case(holds=holds, effect=5.0, against=(World(moves=(Move(name, 5.0, 1.0),)),), short=(later,))


def loses_entropy(name: str, level: float) -> Case:
    """Below vanilla OPD's entropy, 100 millinats, by more than a level, at the last checkpoint."""
    case = over(-level, Move(name, -1.0, 1.0, ("entropy",)))
    return replace(case, short=(*case.short, replace(case.holds, elsewhere=True)))


def negligible(*moves: Move, effect: float) -> Case:
    """Within 2 points: 1.5 with its interval is; 2.05 is not shown to be; 2.6, with either sign, contradicts."""

    def at(points: float) -> World:
        return World(moves=tuple(replace(move, by=points / effect * move.by) for move in moves))

    return Case(holds=at(effect), effect=effect, against=(at(2.6), at(-2.6)), short=(at(2.05), at(-2.05)))


def peaks(name: str) -> Case:
    """Up to the sixth tenth and down again; not if the end is as high, nor if it falls all along."""
    tenths = [place / 10 for place in range(1, 11)]

    def path(height: Mapping[float, float]) -> World:
        return World(moves=tuple(Move(name, by, share, ("entropy",)) for share, by in height.items()))

    hill = {share: 50.0 * (1 - abs(share - 0.6)) for share in tenths}
    falling = {share: -50.0 * share for share in tenths}
    return Case(
        holds=path(hill),
        effect=20.0,  # 50 at the sixth tenth, 30 at the end, 25 at the first
        against=(path({share: -by for share, by in hill.items()}),),
        short=(path(hill | {1.0: 60.0}), path(falling)),
    )


def stages(first: str, second: str, third: str) -> dict[str, Case]:
    """Continual learning through these domains; what is forgotten is the mean of 3 in the first and 0 in the next."""
    return {
        "continual_gain_reasoning": above(f"{second}/dopd", f"{first}/dopd", what=(second,)),
        "continual_gain_coding": above(f"{third}/dopd", f"{second}/dopd", what=(third,)),
        "continual_forgetting": negligible(Move(f"{third}/dopd", -3.0, what=(first,)), effect=-1.5),
    }


BASE = "vanilla_opd"
DIVERGENCES = [f"{d}/{g}" for d in ("forward_kl", "reverse_kl", "js") for g in ("sampled", "top_k", "full")]
ILLUSION = {
    f"illusion_{what}_{arm}": case
    for arm in ("privileged_teacher", "privileged_student")
    for what, case in {
        "early": above(arm, BASE, share=0.2),
        "late": above(BASE, arm),
        "fall": falls(arm),
        "entropy": loses_entropy(arm, 0.0),
        "collapse": loses_entropy(arm, 25.0),
    }.items()
}
SHARED: Mapping[str, Case] = ILLUSION | {
    "main_gain": above("dopd", BASE),
    # Half of the way from 40 to 80 % is 60 %: 10 points above where the arms stand.
    "main_recovery": over(10.0, Move("dopd", 1.0)),
    "illusion_both": above(BASE, "privileged_both"),
    "illusion_both_gain": over(0.0, Move("privileged_both", 1.0), arm=STUDENT),
    "tokens_high": above("drop_random", "drop_high"),
    # Vanilla OPD gains 20 points, of which a quarter is 5: from 50 %, 55 % is the level.
    "tokens_half": over(5.0, Move("drop_high", -1.0), others=(Move(BASE, 10.0),)),
    "tokens_random": negligible(Move("drop_random", -1.5), effect=1.5),
    "tokens_low": negligible(Move("drop_low", -1.5), effect=1.5),
    "answers_hurt": above("none", "final_answer"),
    **{
        f"component_{part}": above("dopd", part)
        for part in (
            "no_privilege",
            "no_student_source",
            "no_teacher_source",
            "not_adaptive",
            "one_divergence",
            "one_granularity",
        )
    },
}
"""Claims of both halves."""
LANGUAGE: Mapping[str, Case] = SHARED | {
    "beats_standard": first("dopd", (BASE, "opcd", "exopd", "uni_opd")),
    "beats_self": first("dopd", ("sdft", "opsd", "sdpo")),
    "beats_adaptive": first("dopd", ("eopd", "tip")),
    **{
        f"pair_{teacher}_{student}": above(f"{teacher}-{student}/dopd", f"{teacher}-{student}/{BASE}")
        for teacher, student in (
            ("strong", "small"),
            ("mid", "small"),
            ("base", "small"),
            ("strong", "base"),
            ("mid", "base"),
        )
    },
    "pairs_trend_dopd": rises(*(f"{teacher}-small/dopd" for teacher in ("base", "mid", "strong"))),
    "pairs_trend_vanilla": rises(*(f"{teacher}-small/{BASE}" for teacher in ("strong", "mid", "base"))),
    **stages("general", "reasoning", "coding"),
    **{
        f"ood_{trained}_{tested}": first(
            f"{trained}/dopd", [f"{trained}/{m}" for m in ("exopd", "uni_opd", "eopd", BASE)], what=(tested,)
        )
        for trained, tested in (("coding", "reasoning"), ("reasoning", "coding"))
    },
    "efficiency": first("dopd", ("exopd", "sdpo", "eopd", BASE), share=0.4),
    "sdpo_falls": falls("sdpo"),
    "entropy_path": peaks("dopd"),
    "hints_beat_answers": above("hints", "final_answer"),
    "hints_best": first("hints", ("summary", "hints_with_execution", "final_answer", "none")),
    "routing_all": above("dopd", "uniform/all"),
    **{f"routing_{r.lower()}": above(f"adaptive/HT+{r}", f"uniform/HT+{r}") for r in ("LH", "LL", "HS")},
    "ht_alone": above("uniform/HT", "uniform/all"),
    "js_full_best": first("js/full", [cell for cell in DIVERGENCES if cell != "js/full"]),
    "beta_optimum": first(
        "0.3-0.6", [f"{w}-{s}" for w in (0.15, 0.3, 0.6) for s in (0.3, 0.6, 1.2) if (w, s) != (0.3, 0.6)]
    ),
}
PICTURES: Mapping[str, Case] = SHARED | {
    "beats_all": first("dopd", (BASE, "uni_opd", "vision_opd", "va_opd")),
    **stages("general", "reasoning", "understanding"),
    "boxes_beat_answers": above("box_label", "final_answer"),
    "boxes_best": first("box_label", ("box_caption", "caption", "final_answer", "none")),
}
CASES: Mapping[Modality, Mapping[str, Case]] = {Modality.TEXT: LANGUAGE, Modality.VISION: PICTURES}


def case_of(modality: Modality, claim: Claim) -> Case:
    if claim.id not in CASES[modality]:
        pytest.fail(f"claim {claim.id!r} is new: add a line to CASES here that says what must be above what, by hand")
    return CASES[modality][claim.id]


@cache
def planned(modality: Modality, name: str) -> tuple[Any, Options, Mapping[str, frozenset[str]]]:
    """The suite, its options, and the names of each run by its id; it plans once, not again for each world."""
    suite: Any = registry.suite(name)
    profile = PROFILES[modality]
    chosen = suite.wholly(Options(suite=name, profile=profile.name, seeds=SEEDS))
    runs, arms = suite.runs(profile, chosen), suite.arms(profile, chosen) if hasattr(suite, "arms") else ()
    vars(suite).update(runs=lambda *_: runs, arms=lambda *_: arms)
    names: dict[str, set[str]] = {}
    for spec in runs:
        if spec.method and spec.data:
            names.setdefault(spec.id, set()).add(f"{'+'.join(spec.data.domains)}/{spec.method.name}")
    for arm in arms:
        for spec in arm.specs.values():
            names[spec.id].add(arm.key)
    return suite, chosen, {run: frozenset(found) for run, found in names.items()}


@cache
def places(modality: Modality, name: str) -> tuple[Any, Any, list[tuple[Place | None, int]]]:
    """Rows and costs of a suite, and where each row stands; None: of a model that was only evaluated."""
    suite, chosen, names = planned(modality, name)
    students = [spec.student for spec in suite.runs() if spec.method]
    found: list[tuple[Place | None, int]] = []

    def note(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
        if spec.method is None:
            found.append((None, 0))
            return STUDENT if spec.student in students else TEACHER
        what = ""
        if evaluation.benchmark in DOMAINS:
            row = {"benchmark": evaluation.benchmark, "decoding": evaluation.decoding, "metric": metric}
            what = DOMAINS[evaluation.benchmark] if is_primary(row) else ""
        if (evaluation.benchmark, evaluation.decoding, metric) == ("training", AUDIT, "entropy"):
            what = "entropy"
        found.append((Place(names[spec.id], what, evaluation.at(spec) / spec.steps), spec.seed))
        return 0.0

    rows, costs = frames(chosen, note, suite=suite, profile=PROFILES[modality])
    return rows, costs, found


def decided(modality: Modality, claim: Claim, world: World) -> Decision:
    """A claim on the rows of a world."""
    suite, chosen, _ = planned(modality, claim.suite)
    rows, costs, where = places(modality, claim.suite)
    values = [
        known if place is None else world.value(place, seed)
        for known, (place, seed) in zip(rows["value"].tolist(), where, strict=True)
    ]
    return decide(claim, claim.values(suite.scores(rows.assign(value=values), costs, chosen)))


EVERY = pytest.mark.parametrize(
    ("modality", "claim"),
    [pytest.param(each, claim, id=f"{each}-{claim.id}") for each, claims in CLAIMS.items() for claim in claims],
)


@EVERY
def test_reproduced_where_it_holds(modality: Modality, claim: Claim) -> None:
    found = decided(modality, claim, case_of(modality, claim).holds)
    assert found.verdict is Verdict.REPRODUCED, found
    assert found.effect == pytest.approx(case_of(modality, claim).effect, abs=1e-6)


@EVERY
def test_contradicted_where_the_rows_are_mirrored(modality: Modality, claim: Claim) -> None:
    for world in case_of(modality, claim).against:
        found = decided(modality, claim, world)
        assert found.verdict is Verdict.CONTRADICTED, (world, found)


@EVERY
def test_not_reproduced_just_short_of_it(modality: Modality, claim: Claim) -> None:
    for world in case_of(modality, claim).short:
        found = decided(modality, claim, world)
        assert found.verdict is not Verdict.REPRODUCED, (world, found)


@pytest.mark.parametrize("modality", CLAIMS)
def test_no_case_without_its_claim(modality: Modality) -> None:
    assert sorted(CASES[modality]) == sorted(claim.id for claim in CLAIMS[modality])
