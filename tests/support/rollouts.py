"""Rollouts as the suite trajectory records them, made up: for the report's viewer."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.fakes import FakeSuite

from harness import registry
from harness.config import RunSpec
from harness.suite import Evaluation, Options, Profile
from harness.types import text_of
from harness.worlds import world_of

EVALUATION = Evaluation("last", "trajectory", "audit")
REGIMES = {"LH": (0.8, 0.9), "LL": (0.2, 0.25), "HT": (0.9, 0.2), "HS": (0.1, 0.7)}
"""Probabilities of a token under teacher and student, by regime."""
WORDS = ("A", "+3", "k2", "7", "<b>", "&", "!", "7")


class Shows(FakeSuite):
    """A suite that publishes rollouts."""

    name = "trajectory"
    published_samples = ("trajectory",)

    def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
        return (EVALUATION,)


def token(text: str, regime: str, right: bool | None) -> dict[str, Any]:
    teacher, student = REGIMES[regime]
    gap = abs(math.log(teacher / student))
    return {
        "text": text, "regime": regime, "gap": gap, "q_teacher": teacher, "q_student": student, "right": right,
    }  # fmt: skip


def records(count: int) -> list[dict[str, Any]]:
    """Every third response is wrong; every fourth token too, every fifth is decided by nothing."""
    regimes = tuple(REGIMES)
    return [
        {
            "run": "dopd-made-up",
            "step": 50 * (i % 3),
            "id": f"coding/test/{i}",
            "prompt": "coding 4 <3 ? +1 *9",
            "privileged": "hints A . B k2 </script>",
            "right": i % 3 != 0,
            "tokens": [
                token(word, regimes[(i + j) % 4], None if j % 5 == 4 else j % 4 != 3) for j, word in enumerate(WORDS)
            ],
        }
        for i in range(count)
    ]


def of_pictures(profile: Profile, count: int) -> list[dict[str, Any]]:
    """The same of the planned run's first problems."""
    (spec,) = registry.suite("trajectory").runs(profile, Options(suite="trajectory", profile=profile.name))
    assert spec.data is not None
    asked = world_of(spec.data).examples(spec.data, "test", count)
    return [
        record | {"run": spec.id, "id": problem.id, "prompt": text_of(problem.messages[-1])}
        for record, problem in zip(records(count), asked, strict=True)
    ]


def write(path: Path, made: Sequence[dict[str, Any]]) -> Path:
    """Records as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in made), encoding="utf-8")
    return path
