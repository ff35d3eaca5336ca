"""``dopd suites new``: a suite of arms that runs, and its test, to start from. No torch.

A test runs both; ``NAME`` and ``CLASS`` are what stands in them for the new suite's name and class.
"""

from __future__ import annotations

NAME, CLASS = "my_suite", "MySuite"

SUITE = '''"""TODO the question, in one sentence. Here: does a larger group of rollouts help vanilla OPD?"""

from __future__ import annotations

from harness.show.tables import Table
from harness.suite import Options, Profile, training_run
from suites.kit.arms import Arm, ArmScores, ArmSuite, caption
from suites.kit.chosen import joint_domains
from suites.kit.comparison import comparison_table


class MySuite(ArmSuite):
    """Rollouts of a prompt × seeds."""

    name = "my_suite"
    title = "rollouts per prompt"
    of_paper = False  # --suite all leaves it out
    own_arms = True  # which methods it runs is its question: --methods is refused

    def arms(self, profile: Profile, options: Options) -> list[Arm]:
        """TODO a line of the table each. The paper's 4 is the baseline: those runs are shared with other suites."""
        domains = joint_domains(profile, options)
        return [
            Arm(
                key=str(size),
                label=f"{size} rollouts",
                baseline="4",
                specs={
                    seed: training_run(
                        profile, options, method="vanilla_opd", domains=domains, seed=seed, rollouts_per_prompt=size
                    )
                    for seed in self.chosen_seeds(options)
                },
            )
            for size in (2, 4, 8)
        ]

    def tables_of(self, scores: ArmScores) -> list[Table]:
        """One table: score, gain, gap recovered, difference to the baseline, domains, cost."""
        title, said = "Rollouts per prompt", caption(scores)
        return [comparison_table(scores, name="my_suite", title=title, caption=said, label_header="rollouts")]
'''

TEST = '''"""Which runs the suite plans, a line of its table by hand, and that what is missing says why."""

from __future__ import annotations

from pathlib import Path

from support.synthetic import PROFILE, frames

from harness import registry
from harness.config import RunSpec
from harness.show.tables import Cell, Table
from harness.suite import Evaluation, Options, Suite

OPTIONS = Options(suite="my_suite", seeds=(0, 1, 2))


def suite() -> Suite:
    """By its registered name; until there is one, from the file beside this one."""
    beside = Path(__file__).with_name("my_suite.py")
    return registry.suite(str(beside) if beside.exists() else "my_suite")


def score(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    """Student 0.4, teacher 0.6; 2, 4 and 8 rollouts 0.46, 0.5, 0.56; a hundredth more for each seed after the first."""
    if spec.method is None:
        return 0.4 if spec.student in [each.student for each in PROFILE.of_seeds(OPTIONS.seeds or ())] else 0.6
    return {2: 0.46, 4: 0.5, 8: 0.56}[spec.rollouts_per_prompt] + 0.01 * spec.seed


def line(table: Table, label: str) -> dict[str, Cell]:
    (found,) = (each for each in table.lines if each.label == label)
    return dict(zip([column.key for column in table.columns], found.cells, strict=True))


def test_it_plans_every_arm_for_every_seed() -> None:
    trained = [spec for spec in suite().runs(PROFILE, OPTIONS) if spec.method]
    planned = [(spec.seed, spec.rollouts_per_prompt) for spec in trained]
    assert planned == [(seed, size) for seed in (0, 1, 2) for size in (2, 4, 8)]


def test_a_line_by_hand() -> None:
    """8 rollouts: (56 + 57 + 58) / 3 = 57, 17 above the student's 40, 6 above the 51 of 4 rollouts."""
    (table,) = suite().tables(*frames(OPTIONS, score, suite=suite()), OPTIONS)
    cells = line(table, "8 rollouts")
    found = [round(cells[key].value or 0.0, 6) for key in ("score", "gain", "difference")]
    assert found == [57.0, 17.0, 6.0]


def test_what_is_missing_says_why() -> None:
    absent = [spec for spec in suite().runs(PROFILE, OPTIONS) if spec.method and spec.rollouts_per_prompt == 8]
    (table,) = suite().tables(*frames(OPTIONS, score, absent, suite=suite()), OPTIONS)
    cell = line(table, "8 rollouts")["score"]
    assert cell.value is None and cell.missing == "not run"
'''
