"""Pictures on a processor: the models of the scenes world, trained and tested on made questions about drawn pictures.

Each draw of the world has tables, items and models of its own; the arms of its suites are those that the paper has for
pictures.
"""

from __future__ import annotations

from harness.config import DataSpec, FirstStep, ModelSpec, OptimSpec
from harness.models import zoo
from harness.models.zoo.scenes.vocabulary import WORDS
from harness.profile import Draws, Part, Profile, TopK
from harness.types import Modality, Privilege
from harness.worlds.scenes import words
from harness.worlds.scenes.world import MAX_NEW_TOKENS

STUDENT, TEACHER = "student", "teacher"
K = 32
"""Of every method that looks at its most probable tokens."""
MAIN = ("vanilla_opd", "privileged_teacher", "dopd", "dopd_reverse_kl")
"""Run twice in each draw, and at other rates on the development draw."""
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
THREE = (0, 1, 2)
"""Seeds, one a draw, of what is secondary."""


def _name(model: str, draw: int) -> str:
    return f"{words.NAME}_{model}_draw{draw}"


def _model(model: ModelSpec, draw: int) -> ModelSpec:
    name = _name(model.name, draw)
    return ModelSpec(name=name, sha256=zoo.MANIFEST.get(name, {}).get("sha256", ""))


DRAWS, DEVELOPMENT = 5, 5

PROFILE = Profile(
    name="embedded_vlm",
    modality=Modality.VISION,
    student=ModelSpec(name=STUDENT),
    teacher=ModelSpec(name=TEACHER),
    draws=Draws(
        n=DRAWS,
        development=DEVELOPMENT,
        model=_model,
        twice=MAIN,
        held=tuple(
            draw
            for draw in (*range(DRAWS), DEVELOPMENT)
            if {_name(STUDENT, draw), _name(TEACHER, draw)} <= zoo.MANIFEST.keys()
        ),
    ),
    data=DataSpec(
        world=words.NAME,
        version=words.WORLD_VERSION,
        domains=words.DOMAINS,
        difficulty=(words.ITEMS, words.ITEMS),
        privilege=words.BOX_LABEL,
    ),
    optim=OptimSpec(lr=1e-4, first_step=FirstStep.FULL),
    learning_rates=(5e-5, 1e-4, 2e-4),
    steps=200,
    prompts_per_step=16,
    rollouts_per_prompt=4,
    max_response_tokens=MAX_NEW_TOKENS,
    top_k=TopK(
        vocabulary=len(WORDS),
        above=K,
        k=K,
        reason=(
            f"{{k}} is too large a part of {len(WORDS)} words to leave anything out; {K} is above the "
            f"number of codes that p alone holds ({len(words.CODES)}), so that those a student guesses are within it"
        ),
    ),
    benchmarks=tuple(f"{words.NAME}_{domain}" for domain in words.DOMAINS),
    targets={domain: f"{words.NAME}_{domain}" for domain in words.DOMAINS},
    directions=words.DOMAINS,
    validation={domain: f"{words.NAME}_{domain}_validation" for domain in words.DOMAINS},
    privileges=KINDS,
    parts={
        "in_distribution": Part(arms=COMPARED, table="table2"),
        "continual": Part(seeds=THREE),
        "ood": Part(arms=MAIN, seeds=tuple(range(DRAWS))),
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
            ),
            seeds=THREE,
        ),
        "trajectory": Part(),
        "regime_audit": Part(),
        "cell_audit": Part(),
        "transfer_audit": Part(arms=(*COMPARED, "privileged_both", "student_privileged")),
        "tuning": Part(arms=MAIN),
    },
    extra_checkpoints=(5, 10, 15, 20, 30, 40, 60),
    early_step=20,  # suites.kit.early.measured, of vanilla OPD's three seeds on the development draw (docs/log.md)
    seconds_per_step=0.4,  # processor seconds of one run of vanilla OPD, as those below
    seconds_per_evaluation=0.7,
    megabytes_per_run=60.0,
)
