"""The paper's own setting: planned here, never run."""

from __future__ import annotations

from harness.config import DataSpec, ModelSpec, OptimSpec
from harness.evaluation.benchmarks import told
from harness.profile import Ladder, Profile
from harness.types import Privilege

STUDENT, TEACHER = ModelSpec(name="Qwen/Qwen3-1.7B"), ModelSpec(name="Qwen/Qwen3-8B")
BENCHMARKS = ("ceval", "livebench", "math500", "aime25", "zebralogic", "autologi", "bfcl_v3", "lcb_v5")
"""Of Table 1. lm-eval ships ``ceval``, ``math500`` and ``aime25``; no evaluator has the others yet."""
UNKNOWN = tuple(name for name in BENCHMARKS if not told(name).engine)

PROFILE = Profile(
    name="paper",
    student=STUDENT,
    teacher=TEACHER,
    ladder=Ladder(
        models={size: ModelSpec(name=f"Qwen/Qwen3-{size}") for size in ("0.6B", "1.7B", "4B", "8B")},
        pairs=(("8B", "0.6B"), ("4B", "0.6B"), ("1.7B", "0.6B"), ("8B", "1.7B"), ("4B", "1.7B")),
        erring=("0.6B", "1.7B"),
        parameters={"0.6B": 0.6, "1.7B": 1.7, "4B": 4.0, "8B": 8.0},
        ratio="Ratio: parameters of the teacher over those of the student, as the models' names say.",
    ),
    data=DataSpec(
        world="paper",
        version=1,
        domains=("general", "reasoning", "coding"),
        difficulty=(0, 0),  # the data sets are not graded
        size=10_667,  # 32K kept over three domains; the paper does not say how many of each
        privilege=Privilege.HINTS,
    ),
    optim=OptimSpec(lr=5e-6),
    learning_rates=(1.25e-6, 2.5e-6, 5e-6, 1.25e-5, 2.5e-5, 5e-5, 1.25e-4),  # multiples as in the profile embedded
    steps=200,
    prompts_per_step=128,
    rollouts_per_prompt=4,
    max_response_tokens=4096,  # silent in the paper; ours
    benchmarks=BENCHMARKS,
    targets={"general": "livebench", "reasoning": "math500", "coding": "bfcl_v3"},
    directions=("coding", "reasoning"),
    privileges={
        Privilege.FINAL_ANSWER.value: "final answer",
        Privilege.HINTS_WITH_EXECUTION.value: "hints with execution",
        Privilege.HINTS.value: "hints",
        Privilege.SUMMARY.value: "summary of hints",
        Privilege.NONE.value: "no privileged input",
    },  # Table 4's, in its order; its step-wise hints without execution are the hints
    obstacle=(
        "no loader for the training sets RaR-Science-20K, DAPO-Math-17K, Skywork-OR1-Coding-14K with generated hints, "
        f"none for the benchmarks {', '.join(UNKNOWN)}, and it needs {TEACHER.name} and {STUDENT.name} on several "
        "large GPUs"
    ),
    seconds_per_step=300.0,  # never measured
    seconds_per_evaluation=600.0,  # never measured
    megabytes_per_run=250_000.0,  # eleven checkpoints of 1.7B weights in float32 with both moments of AdamW
)
