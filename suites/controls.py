"""Controls for what privileged input is said to do. Not in the paper.

*Useless p*: of the same length, at the same place, with what only p can tell, and nothing in it that helps. *Wrong p*:
another problem's. *A better plain teacher*: as good without p as the default teacher is with it, so a better target
told from information that the student lacks. *No teacher*: what the student's own doubts do alone (arXiv:2608.31046).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.config import ModelSpec, RunSpec
from harness.profile import Controls
from harness.show.tables import Table
from harness.suite import Options, Profile, training_run
from harness.types import Corruption
from suites.kit.arms import Arm, ArmScores, ArmSuite, caption, method_arm
from suites.kit.chosen import BASELINE, joint_domains, references
from suites.kit.comparison import comparison_table
from suites.kit.dots import arm_dots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEEING = ("privileged_teacher", "dopd")
"""Methods that read p, trained on every kind of it."""
BETTER = "Better teacher"
BLOCKS = {
    "plain": "no p",
    "right": "the right p",
    "useless": "useless p",
    "wrong": "another problem's p",
    "better": "a better teacher, no p",
    "none": "no teacher",
}
WHAT = (
    "Useless p has the length, the place and all that p alone can tell, and nothing that helps; another problem's p is "
    "of the same domain and number of steps. The better teacher is made: without p it is to be as good as the default "
    "teacher with p."
)


class ControlArms(ArmSuite):
    """Vanilla OPD, two methods that read p under three kinds of it, a better plain teacher, no teacher."""

    name = "controls"
    title = "useless p, wrong p, a better plain teacher, no teacher (not in the paper)"
    of_paper = False
    own_arms = True
    needs = ("controls",)

    def models(self, profile: Profile) -> dict[str, ModelSpec]:
        """The default pair, and the better teacher of the profile's draw; a name for it where that is of none."""
        draw = profile.data.draw
        better = ModelSpec(name="better") if draw is None else controls(profile).better(draw)
        return {**references(profile), BETTER: better}

    def arms(self, profile: Profile, options: Options) -> list[Arm]:
        """``<block>/<method>``, each compared with vanilla OPD."""
        useless = {"privilege": controls(profile).useless}
        wrong = {"corruption": Corruption.OTHER_EXAMPLE, "corrupted": 1.0}
        settings: list[tuple[str, Sequence[str], Mapping[str, Any]]] = [
            ("plain", (BASELINE,), {}),
            ("right", SEEING, {}),
            ("useless", SEEING, useless),
            ("wrong", SEEING, wrong),
            ("better", (BASELINE,), {}),
            ("none", ("no_teacher",), {}),
        ]
        return [
            method_arm(
                method,
                {seed: run_of(profile, options, block, method, data, seed) for seed in self.chosen_seeds(options)},
                key=f"{block}/{method}",
                block=BLOCKS[block],
                baseline=f"plain/{BASELINE}",
            )
            for block, methods, data in settings
            for method in methods
        ]

    def tables_of(self, scores: ArmScores) -> list[Table]:
        """``controls``."""
        return [
            comparison_table(
                scores,
                name="controls",
                title="Controls",
                caption=caption(scores, WHAT),
                block_header="what is told",
                one_ranking=True,
            )
        ]

    def figures_of(self, scores: ArmScores) -> Mapping[str, Figure]:
        """``controls``: each minus vanilla OPD."""
        drawn = arm_dots(
            scores, {"mean of domains": scores.inside}, topic="Controls", things="arms", drawn="", blocks=True
        )
        return {"controls": drawn}


def controls(profile: Profile) -> Controls:
    """The profile's. Raises HarnessError: it has none."""
    return profile.given("controls", ControlArms.name)


def run_of(profile: Profile, options: Options, block: str, method: str, data: Mapping[str, Any], seed: int) -> RunSpec:
    """The profile's run of a method with other p, or with the better teacher."""
    domains = joint_domains(profile, options)
    spec = training_run(profile, options, method=method, domains=domains, seed=seed)
    assert spec.data is not None and profile.draws is not None
    teacher = controls(profile).better(profile.draws.of(seed)) if block == "better" else spec.teacher
    return replace(spec, teacher=teacher, data=replace(spec.data, **data))
