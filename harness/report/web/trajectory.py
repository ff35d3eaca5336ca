"""Rollouts for the trajectory viewer (the paper's Figure 9): tokens with regime, gap and probabilities. No torch.

A record is one rollout, as the evaluation ``trajectory`` leaves them::

    {"run": "dopd-...", "step": 50, "id": "coding/test/3", "prompt": "coding 4 ...", "privileged": "hints A ...",
     "right": true, "tokens": [{"text": "A", "regime": "HT", "gap": 0.41, "q_teacher": 0.93, "q_student": 0.62,
                                "right": true}, ...]}

Its pictures, where it has some, are those of the problem of this id, which the world of the run makes again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from harness import registry
from harness.analysis import results
from harness.config import RunSpec
from harness.report import selection
from harness.report.web.album import Album, Drawn
from harness.report.web.folders import names_alone, without_folders
from harness.suite import Options, Profile, Suite
from harness.types import Example, HarnessError, text_of
from harness.worlds import world_of

NAME = "trajectory"
"""Of the evaluation."""
MOST = 48
"""Rollouts on the page, half of them wrong where there are so many: a page is to be looked at."""


class Regime(StrEnum):
    """How the two privileged views see a sampled token, in the order of the legend (paper, section 3)."""

    LH = "LH"
    LL = "LL"
    HT = "HT"
    HS = "HS"


MEANING = {
    Regime.LH: "small gap, both confident: what is missing is p",
    Regime.LL: "small gap, both unsure",
    Regime.HT: "large gap, the teacher is more confident: a credible capability gap",
    Regime.HS: "large gap, the student is more confident: the teacher is taken to be unreliable",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token of a response."""

    text: str
    regime: Regime
    gap: float | None
    """A = |log q_T - log q_S|, nats."""
    q_teacher: float | None
    """Probability under the teacher who sees p."""
    q_student: float | None
    """Probability under the student who sees p."""
    right: bool | None
    """None where nothing decides it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One response."""

    id: str
    run: str
    """Run whose student wrote it."""
    step: int
    """Of the checkpoint."""
    prompt: str
    privileged: str
    right: bool
    tokens: tuple[Token, ...]
    drawn: tuple[Drawn, ...] = ()
    """Its pictures, with what p points at."""
    undrawn: str = ""
    """Why they are not here, where it has some."""

    @property
    def counts(self) -> dict[Regime, int]:
        """Tokens of each regime."""
        return {regime: sum(token.regime is regime for token in self.tokens) for regime in Regime}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectories:
    """What the viewer shows, or why it shows nothing."""

    rollouts: tuple[Rollout, ...] = ()
    found: int = 0
    """Rollouts there were; ``rollouts`` may be a part of them."""
    reason: str = ""


def load(profile: Profile, options: Options) -> Trajectories:
    """Rollouts of every suite that shows some, from one source, or the reason why there are none."""
    try:
        found = [
            rollout
            for suite in _showing()
            for rollout in _read(results.samples(NAME, suite, profile, replace(options, suite=suite.name)))
        ]
    except HarnessError as error:
        return Trajectories(reason=f"not available: {without_folders(str(error), options)}")
    if not found:
        where = "published" if options.source == "published" else "on this machine"
        return Trajectories(reason=f"not available: no rollouts of the evaluation {NAME} are {where}")
    return Trajectories(rollouts=tuple(chosen(found)), found=len(found))


def _showing() -> Iterator[Suite]:
    return (suite for suite in map(registry.suite, registry.suites()) if NAME in suite.published_samples)


def chosen(rollouts: Sequence[Rollout], most: int = MOST) -> list[Rollout]:
    """The first of them, in their order: as many wrong as right ones, as far as there are."""
    wrong, right = ([r for r in rollouts if r.right is verdict] for verdict in (False, True))
    half = most // 2
    keep = {id(r) for r in (*wrong[: max(half, most - len(right))], *right[: max(half, most - len(wrong))])}
    return [r for r in rollouts if id(r) in keep]


def _read(records: Iterable[Mapping[str, Any]]) -> Iterator[Rollout]:
    for number, record in enumerate(records, start=1):
        try:
            yield _rollout(record)
        except (KeyError, TypeError, ValueError) as error:
            raise HarnessError(
                f"record {number} of {NAME} is no rollout ({type(error).__name__}: {error}); evaluate it again"
            ) from error


def _rollout(record: Mapping[str, Any]) -> Rollout:
    return Rollout(
        id=str(record["id"]),
        run=str(record["run"]),
        step=int(record["step"]),
        prompt=str(record["prompt"]),
        privileged=str(record["privileged"]),
        right=bool(record["right"]),
        tokens=tuple(_tokens(record["tokens"])),
    )


def _tokens(records: Iterable[Mapping[str, Any]]) -> Iterator[Token]:
    for token in records:
        yield Token(
            text=str(token["text"]),
            regime=Regime(token["regime"]),
            gap=_number(token["gap"]),
            q_teacher=_number(token["q_teacher"]),
            q_student=_number(token["q_student"]),
            right=token["right"],
        )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def with_pictures(shown: Trajectories, profile: Profile, options: Options, album: Album) -> Trajectories:
    """The same, each rollout with the pictures of its problem and what its run's p points at on them.

    The problems are made again by the world of the run; one that is another here than there stays without, with the
    reason.
    """
    runs = _runs(shown.rollouts, profile, options)
    problems = {run: _problems(spec) for run, spec in runs.items()}
    rollouts = (_pictured(each, runs.get(each.run), problems.get(each.run, {}), album) for each in shown.rollouts)
    return replace(shown, rollouts=tuple(rollouts))


def _runs(rollouts: Sequence[Rollout], profile: Profile, options: Options) -> dict[str, RunSpec]:
    """The planned run behind each, by the id that the rollouts have; what cannot be planned is out."""
    found: dict[str, RunSpec] = {}
    for suite in _showing():
        asked = replace(options, suite=suite.name)
        try:
            asked = selection.as_published(suite, profile, asked) if options.source == "published" else asked
            planned = {spec.id: spec for spec in suite.runs(profile, asked)}
        except HarnessError:
            continue
        matched = results.match_runs(planned, dict.fromkeys(each.run for each in rollouts))
        found |= {theirs: planned[ours] for ours, theirs in matched.items()}
    return found


def _problems(spec: RunSpec) -> dict[str, Example]:
    """By id, as many as the evaluation asked; none where they are not here."""
    if spec.data is None:
        return {}
    try:
        return {each.id: each for each in world_of(spec.data).examples(spec.data, "test", spec.prompts_per_step)}
    except HarnessError:
        return {}


def _pictured(rollout: Rollout, spec: RunSpec | None, problems: Mapping[str, Example], album: Album) -> Rollout:
    problem = problems.get(rollout.id)
    if spec is None or spec.data is None or problem is None or text_of(problem.messages[-1]) != rollout.prompt:
        return replace(rollout, undrawn="the problem is not here, or another one than when the rollout was written")
    try:
        drawn = album.shown(world_of(spec.data), problem, str(spec.data.privilege))
    except HarnessError as error:
        return replace(rollout, undrawn=names_alone(str(error)))
    return replace(rollout, drawn=drawn)
