"""What decides the weights of the scenes models, apart from library versions and processor. No torch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from harness.types import HarnessError
from harness.worlds.minds import KNOWING, Mind
from harness.worlds.scenes import tables, words
from harness.worlds.scenes.words import Kind


def _mind(reading: tuple[float, float], choice: tuple[float, float], **rest: object) -> Mind:
    mistaken = {tables.READING: reading, **dict.fromkeys(tables.CHOICES, choice)}
    return replace(KNOWING, mistaken=mistaken, hard=0.35, **rest)


STUDENT = _mind((0.0, 0.18), (0.0, 0.10), right=(0.80, 0.96), wrong=(0.63, 0.75), guesses=0.03, misreads=0.02)
"""Calibrated: more sure of what is right."""
TEACHER = _mind((0.18, 0.24), (0.08, 0.16), right=(0.9, 0.9), wrong=(0.9, 0.9), misreads=0.02)
UNCALIBRATED = replace(STUDENT, right=(0.55, 0.95), wrong=(0.55, 0.95))
"""As sure of what is wrong as of what is right."""
MINDS = {"truth": KNOWING, "teacher": TEACHER, "student": STUDENT, "student_uncalibrated": UNCALIBRATED}
"""The models of a draw beside its undecayed trunk; truth is a reference and is never ranked."""
TRUNK = "trunk"
MODELS = (TRUNK, *MINDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """Rows of a step, up to a step of the trunk."""

    until: int
    describe: int = 0
    """All nine places: place, colour, shape, reading, look."""
    seen: int = 0
    """One fact of every place or line."""
    drill: int = 0
    """Items of one kind, nine or six queries a row."""
    plain: int = 0
    """Questions without p."""
    privileged: int = 0
    """Questions with p."""
    easy: float = 0.0
    """Share of the pictures with few different values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """From a fresh initialisation to the undecayed trunk, then to a mind; one for all draws."""

    hidden: int = 64
    layers: int = 3
    heads: int = 4
    kv_heads: int = 2
    feed_forward: int = 160
    vision_hidden: int = 48
    vision_depth: int = 2
    vision_heads: int = 2
    vision_feed_forward: int = 96
    rope_theta: float = 500.0
    initializer_range: float = 0.07
    norm_weight: float = 1.5
    """Of query and key norms: sharper attention from the start."""

    vision_steps: int = 150
    vision_pictures: int = 24
    vision_muon_lr: float = 0.01
    pictures: int = 20
    """Of a step."""
    muon_lr: float = 0.02
    adamw_lr: float = 0.004
    settled: int = 600
    """From this step on the Muon rate is ``muon_lr_settled``: at the first one accuracies swing too far to be read."""
    muon_lr_settled: float = 0.01
    warmup: int = 20
    vision_weight: float = 0.2
    """Of the vision stage's loss, kept beside the text."""
    mixes: tuple[Mix, ...] = (
        Mix(until=200, describe=10, seen=48, drill=12, easy=0.6),
        Mix(until=300, describe=8, seen=48, drill=18, easy=0.3),
        Mix(until=450, describe=4, seen=32, drill=24, plain=20, privileged=10, easy=0.15),
        Mix(until=1_000_000, seen=12, drill=24, plain=36, privileged=36, easy=0.15),
    )
    follow_share: float = 0.5
    """Of the drill rows, from the third mix on."""
    lies: float = 0.5
    """Of the p rows of trunk and truth: p tells random places and readings, and is written after."""
    slips: float = 0.4
    """Of the questions: one word stands that the mind would not write, and carries no loss."""
    without_codes: float = 0.3
    """Of the questions whose p tells codes: every note unknown, and no loss on it; what a student's rollout is like."""
    pictured: float = 0.05
    """Of the questions, each: the evidence picture, the degraded picture."""
    check_every: int = 50
    check_from: int = 500
    check_pictures: int = 60
    """Of each kind, three items a picture."""
    enough: float = 90.0
    """Per cent of the places of every kind, and of what each kind of p tells falsely, at which the trunk is done."""
    cpu_minutes: float = 20.0
    """At which a trunk that is not done has failed."""
    truth_steps: int = 350
    mind_steps: int = 250
    mind_lies: float = 0.3
    mind_plain: int = 40
    mind_privileged: int = 40
    mind_easy: float = 0.1
    privileges: tuple[str, ...] = (
        *(words.BOX_LABEL,) * 2,
        *(words.BOX_CAPTION, words.CAPTION, words.FINAL_ANSWER),
    )
    """Boxes with labels two fifths of the p rows, the others a fifth each."""
    weights: dict[Kind, int] = field(
        default_factory=lambda: {
            Kind.POINT: 1,
            Kind.FOLLOW: 3,
            Kind.COUNT: 3,
            Kind.BRANCH: 2,
            Kind.RELATE: 2,
            Kind.MEET: 1,
        }
    )
    """How often each kind is asked: what comes late more often."""
    seed: int = 0

    def mix(self, step: int) -> Mix:
        """Of a step of the trunk."""
        return next(mix for mix in self.mixes if step < mix.until)


RECIPE = Recipe()


def check_name(name: str) -> str:
    """A model of a draw; raises HarnessError for another name."""
    if name not in MODELS:
        raise HarnessError(f"no scenes model {name!r}; a draw has: {', '.join(MODELS)}")
    return name
