"""Pictures on a processor: the models of the scenes world, trained and tested on made questions about drawn pictures.

Each draw of the world has tables, items and models of its own; the arms of its suites are those that the paper has for
pictures.
"""

from __future__ import annotations

from dataclasses import replace

from harness.config import DataSpec, FirstStep, ModelSpec, OptimSpec
from harness.models.zoo.scenes.recipe import MINDS, RECIPE
from harness.models.zoo.scenes.vocabulary import WORDS
from harness.profile import Part, Phase, Profile
from harness.suite import made_model
from harness.training.recipes.scenes_mind import ScenesMind
from harness.types import Modality, Privilege
from harness.worlds.minds import class_sizes
from harness.worlds.scenes import tables, words
from harness.worlds.scenes.world import MAX_NEW_TOKENS
from suites.profiles import drawn

SHIPPED = drawn.Shipped(words.NAME)
STUDENT, TEACHER = "student", "teacher"
TABLE2 = ("vanilla_opd", "uni_opd", "vision_opd", "va_opd", "dopd")
"""The paper's, in its order."""
COMPARED = (*TABLE2, "privileged_teacher", "privileged_student", "dopd_reverse_kl")
KINDS = {
    Privilege.FINAL_ANSWER.value: "final answer",
    words.BOX_CAPTION: "bounding box with caption",
    words.BOX_LABEL: "bounding box with object label",
    words.CAPTION: "caption",
    Privilege.NONE.value: "no privileged input",
}
"""Table 5's, in its order and words."""
EOPD_THRESHOLD = 0.1
"""Nats: about the 80 % quantile of the teacher's entropy on the student's responses, development draw."""
THREE = (0, 1, 2)
"""Seeds, one a draw, of what is secondary."""
STUDENTS = {"calibrated": STUDENT, "uncalibrated": "student_uncalibrated"}
"""Of suite phases: names of minds."""
GUESSES = (0.03, 0.0)
"""Codes that nobody told the student and that it makes up, shares; the first is the shipped students'."""


def _guessing(name: str, guesses: float, draw: int) -> ModelSpec:
    """A shipped student, or one made from the shipped trunk on the pictures that it has read."""
    mind = replace(MINDS[name], guesses=guesses)
    if mind == MINDS[name]:
        return SHIPPED.model(name, draw)
    return made_model(
        f"{name}_guesses{guesses:g}_draw{draw}",
        recipe="scenes_mind",
        settings=ScenesMind.settings_of(mind, name),
        base=SHIPPED.model("trunk", draw),
        data=DataSpec(
            world=words.NAME,
            version=words.WORLD_VERSION,
            domains=words.DOMAINS,
            privilege=words.BOX_LABEL,  # of which a making asks nothing, but that it exists
            draw=draw,
        ),
        steps=RECIPE.mind_steps,
    )


def _phase(calibration: str, guesses: float) -> Phase:
    name = STUDENTS[calibration]
    readings = tables.tables(drawn.DEVELOPMENT)[tables.READING]  # as many cells in every draw
    sizes = class_sizes(MINDS[name], MINDS[TEACHER], readings)
    return Phase(
        key=f"{calibration}-{100 * guesses:g}",
        row=calibration,
        column=f"{100 * guesses:g} % of codes guessed",
        pair=lambda draw: (SHIPPED.model(TEACHER, draw), _guessing(name, guesses, draw)),
        shares={str(kind).replace("_", " "): n / sum(sizes.values()) for kind, n in sizes.items()},
    )


PROFILE = Profile(
    name="embedded_vlm",
    modality=Modality.VISION,
    student=ModelSpec(name=STUDENT),
    teacher=ModelSpec(name=TEACHER),
    draws=SHIPPED.draws({STUDENT: STUDENT, TEACHER: TEACHER}),
    data=DataSpec(
        world=words.NAME,
        version=words.WORLD_VERSION,
        domains=words.DOMAINS,
        difficulty=(words.ITEMS, words.ITEMS),
        privilege=words.BOX_LABEL,
    ),
    optim=OptimSpec(lr=1e-4, first_step=FirstStep.FULL),
    learning_rates=(5e-5, 1e-4, 2e-4, 4e-4, 8e-4),
    steps=200,
    prompts_per_step=16,
    rollouts_per_prompt=4,
    max_response_tokens=MAX_NEW_TOKENS,
    top_k=drawn.top_k(len(WORDS), codes=len(words.CODES)),
    overrides=drawn.eopd_opened(EOPD_THRESHOLD, reached="20", published="0.5"),
    **drawn.benchmarks(words.NAME, words.DOMAINS),
    directions=words.DOMAINS,
    privileges=KINDS,
    parts={
        "in_distribution": Part(arms=COMPARED, table="table2"),
        "continual": Part(seeds=THREE),
        "ood": Part(arms=drawn.MAIN, seeds=tuple(range(drawn.DRAWS))),
        "stability": Part(arms=(*TABLE2, "dopd_reverse_kl")),
        "privilege_illusion": Part(),
        "token_ablation": Part(arms=("vanilla_opd", "drop_random", "drop_low", "drop_high")),
        "privileged_input": Part(arms=tuple(KINDS), table="table5"),
        "ablation": Part(
            arms=(
                "dopd",
                "no_privilege",
                "no_student_source",
                "no_teacher_source",
                "not_adaptive",
                "one_divergence",
                "one_granularity",
                "few",
                "one_granularity_few",
            ),
            seeds=THREE,
        ),
        "trajectory": Part(),
        "regime_audit": Part(),
        "cell_audit": Part(),
        "transfer_audit": Part(arms=(*COMPARED, "privileged_both", "student_privileged")),
        "phases": Part(seeds=THREE),
        "tuning": Part(arms=drawn.MAIN),
    },
    phases=tuple(_phase(calibration, guesses) for calibration in STUDENTS for guesses in GUESSES),
    extra_checkpoints=(5, 10, 15, 20, 30, 40, 60),
    early_step=20,  # suites.kit.early.measured, of vanilla OPD's three seeds on the development draw (docs/log.md)
    seconds_per_step=0.4,  # processor seconds of one run of vanilla OPD, as those below
    seconds_per_evaluation=0.7,
    megabytes_per_run=60.0,
)
