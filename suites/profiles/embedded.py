"""Language on a processor: the models of the permutations world, whose hints leave teacher and student wrong at
different places.

Each draw of the world has operations, problems and models of its own. What was fixed before any arm stands in
docs/log.md.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from harness.config import DataSpec, FirstStep, ModelSpec, OptimSpec
from harness.models.zoo.permutations.recipe import RECIPE, STUDENT, TEACHER, UNCALIBRATED
from harness.models.zoo.permutations.vocabulary import WORDS
from harness.profile import Controls, Ladder, Part, Phase, Profile
from harness.suite import made_model
from harness.training.recipes.permutations_mind import PermutationsMind
from harness.types import Privilege
from harness.worlds.permutations import planner, tables, words
from harness.worlds.permutations.planner import Planner
from harness.worlds.permutations.world import MAX_NEW_TOKENS
from suites.profiles import drawn

SHIPPED = drawn.Shipped(words.NAME)
MODELS = {"small": "small", "base": "student", "mid": "teacher", "strong": "truth"}
"""The rungs, and the minds that they are: the truth is a reference."""
FIVE, THREE = tuple(range(5)), tuple(range(3))
"""Seeds, one a draw: of what claims are about, and of what is secondary."""
EOPD_THRESHOLD = 0.05
"""Nats: about the 81.5 % quantile of the teacher's entropy on the student's responses, development draw."""

# The diagram of suite phases.

TEACHERS = {0.0: (0.07, 0.12), 0.025: (0.095, 0.145), 0.05: (0.12, 0.17)}
"""By s, the share of results where the student alone is right: the results about which the teacher is mistaken, equally
many; s = 0.05 is the shipped teacher's."""
STUDENTS = {"calibrated": ("student", STUDENT), "uncalibrated": ("student_uncalibrated", UNCALIBRATED)}
WRONG = (0.25, 0.5)
"""Shares of the examples whose hints are wrong, at the default pair."""


def _teacher(s: float) -> Planner:
    return replace(TEACHER, mistaken={**TEACHER.mistaken, tables.RESULT: TEACHERS[s]})


def _made_teacher(s: float, draw: int) -> ModelSpec:
    if _teacher(s) == TEACHER:
        return SHIPPED.model("teacher", draw)
    return _made(_teacher(s), f"teacher_s{s:g}", draw)


def _made(mind: Planner, name: str, draw: int) -> ModelSpec:
    """From the shipped trunk, on the problems that the shipped teacher has read."""
    return made_model(
        f"{name}_draw{draw}",
        recipe="permutations_mind",
        settings=PermutationsMind.settings_of(mind, "teacher"),
        base=SHIPPED.model("trunk", draw),
        data=DataSpec(world=words.NAME, version=words.WORLD_VERSION, domains=words.DOMAINS, draw=draw),
        steps=RECIPE.mind_steps,
    )


def _phase(s: float, calibration: str, wrong: float = 0.0) -> Phase:
    shipped, mind = STUDENTS[calibration]
    sizes = planner.class_sizes(mind, _teacher(s))[tables.RESULT]
    whole = sum(sizes.values())
    return Phase(
        key=f"s{s:g}-{calibration}-{100 * (1 - wrong):g}",
        row=f"s = {s:g}",
        column=f"{calibration}, hints right" if not wrong else f"{calibration}, {100 * (1 - wrong):g} % of hints right",
        pair=lambda draw: (_made_teacher(s, draw), SHIPPED.model(shipped, draw)),
        wrong=wrong,
        shares={str(kind).replace("_", " "): n / whole for kind, n in sizes.items()},
    )


BETTER = replace(
    TEACHER, depth=words.SLOTS, mistaken={tables.RESULT: (0.12, 0.16), **dict.fromkeys(tables.LOOKED_UP, (0.11, 0.12))}
)
"""As good without p as the teacher is with hints: it knows the choices that hints tell, but three cells (a mind that
has no use for a kind of p is none), and is wrong about eight of the same ten results, by which its level was set."""
PHASES = (
    *(_phase(s, calibration) for s in TEACHERS for calibration in STUDENTS),
    *(_phase(0.05, "calibrated", wrong) for wrong in WRONG),
)


PROFILE = Profile(
    name="embedded",
    student=ModelSpec(name="base"),
    teacher=ModelSpec(name="mid"),
    ladder=Ladder(
        models={name: ModelSpec(name=name) for name in MODELS},
        pairs=(("strong", "small"), ("mid", "small"), ("base", "small"), ("strong", "base"), ("mid", "base")),
        erring=("small", "base"),
        ratio=(
            "Ratio: accuracy of the teacher over that of the student, both without p, before distillation and on the "
            "benchmarks of the gain; not of parameters, which all models of a draw have equally many of."
        ),
    ),
    draws=SHIPPED.draws(MODELS),
    data=DataSpec(
        world=words.NAME,
        version=words.WORLD_VERSION,
        domains=words.DOMAINS,
        difficulty=words.TRAIN_DIFFICULTY,
        privilege=Privilege.HINTS,
    ),
    optim=OptimSpec(lr=2e-4, first_step=FirstStep.FULL),
    learning_rates=(5e-5, 1e-4, 2e-4, 5e-4, 1e-3),
    steps=200,
    prompts_per_step=16,
    rollouts_per_prompt=4,
    max_response_tokens=MAX_NEW_TOKENS,
    top_k=drawn.top_k(len(WORDS), codes=len(words.CODES)),
    overrides=drawn.eopd_opened(EOPD_THRESHOLD, reached="18", published="0.02"),
    **drawn.benchmarks(words.NAME, words.DOMAINS),
    directions=("coding", "reasoning"),
    harder={domain: f"{words.NAME}_{domain}_hard" for domain in words.DOMAINS},
    privileges={
        words.FINAL_ANSWER: "final answer",
        words.EXECUTION: "hints with execution",
        words.HINTS: "hints",
        words.SUMMARY: "summary of hints",
        Privilege.NONE.value: "no privileged input",
    },  # Table 4's, in its order; its step-wise hints without execution are the hints
    parts={
        "in_distribution": Part(seeds=FIVE),
        "robustness": Part(seeds=THREE),
        "continual": Part(seeds=THREE),
        "ood": Part(seeds=FIVE),
        "stability": Part(seeds=FIVE),
        "privilege_illusion": Part(seeds=FIVE),
        "token_ablation": Part(seeds=FIVE),
        "privileged_input": Part(seeds=FIVE),
        "divergence": Part(seeds=THREE, optional=True),
        "ablation": Part(seeds=THREE, optional=True),
        "sensitivity": Part(seeds=THREE),
        "trajectory": Part(),
        "regime_audit": Part(seeds=FIVE),
        "transfer_audit": Part(seeds=FIVE),
        "cell_audit": Part(seeds=FIVE),
        "phases": Part(seeds=THREE),
        "controls": Part(seeds=THREE),
        "tuning": Part(),
        "methods": Part(seeds=THREE),
    },
    phases=PHASES,
    controls=Controls(useless=words.MASKED, better=partial(_made, BETTER, "better")),
    extra_checkpoints=(5, 10, 15, 20, 30, 40, 60),
    early_step=20,  # suites.kit.early.measured, of vanilla OPD's three seeds on the development draw (docs/log.md)
    seconds_per_step=0.22,
    seconds_per_evaluation=0.6,
    megabytes_per_run=30.0,
)
