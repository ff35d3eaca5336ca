"""Done runs of a suite, ``ood`` unless told, with scores from a formula, on disk or as frames; nothing is trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from pandas import DataFrame

from harness import registry
from harness.analysis import results
from harness.config import RunSpec
from harness.evaluation.audits import AUDIT, AUDITS
from harness.evaluation.benchmarks import told
from harness.storage.code import code_of
from harness.storage.run_folder import RunFolder
from harness.suite import Evaluation, Options, Profile, Suite
from harness.types import Cost, Row

Score = Callable[[RunSpec, Evaluation, str], float]
"""(run, evaluation, metric) to a share."""
Right = Callable[[RunSpec, Evaluation], Sequence[int]]
"""(run, evaluation) to 1 or 0 for each item."""
SUITE: Suite = registry.suite("ood")
PROFILE: Profile = registry.profile("embedded")
STUDENTS = [PROFILE.student, *(PROFILE.in_draw(draw).student for draw in (PROFILE.draws.all if PROFILE.draws else ()))]
UNDRAWN: Profile = dataclasses.replace(
    PROFILE, name="undrawn", draws=None, parts=None, phases=(), controls=None, extra_checkpoints=(), early_step=None
)
"""The same as a profile without draws, for tables alone: seeds are what is repeated, runs have one budget, and suites
are as they are. Registered by ``PROFILES["undrawn"] = "support.synthetic:UNDRAWN"``."""
SPREAD = {0: -0.02, 1: 0.0, 2: 0.02, 3: -0.02, 4: 0.02, 5: 0.0}
"""Added to a method's mean by draw: standard deviation 0.02, of draws 0 to 2 as of 0 to 4."""
MEANS = {"vanilla_opd": 0.52, "privileged_teacher": 0.48, "privileged_student": 0.001, "dopd": 0.56}
"""Where it was not trained; 0.1 more where it was."""
STUDENT, TEACHER = 0.4, 0.6
COLLAPSED = "privileged_student"


def score(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    """The mean of the method, moved by draw; traces are half as often right, harder problems are too."""
    factor = (0.5 if metric == "exact_trace" else 1) * (0.5 if evaluation.benchmark.endswith("_hard") else 1)
    if spec.method is None or spec.data is None:
        return factor * (STUDENT if is_student(spec) else TEACHER)
    if spec.method.name == COLLAPSED:
        return 0.001
    unit = spec.seed if spec.data.draw is None else spec.data.draw
    inside = evaluation.benchmark.removesuffix("_hard") == PROFILE.targets.get(spec.data.domains[0])
    return factor * (MEANS[spec.method.name] + SPREAD[unit] + (0.1 if inside else 0))


def is_student(spec: RunSpec) -> bool:
    """Whether a run's student is that of the default profile in some draw."""
    return spec.student in STUDENTS


def rows(spec: RunSpec, scores: Score = score, suite: Suite = SUITE) -> list[Row]:
    """Every row the suite wants of one run, made by the code that is here."""
    here = code_of(spec)
    world = (spec.data or registry.profile(spec.profile).data).source
    name = spec.method.name if spec.method else f"reference/{spec.student.name}"
    return [
        Row(
            run=spec.id,
            method=name,
            profile=spec.profile,
            seed=spec.seed,
            train_domains=spec.train_domains,
            step=evaluation.at(spec),
            steps=spec.steps,
            benchmark=evaluation.benchmark,
            version=evaluation.version,
            decoding=evaluation.decoding,
            metric=metric,
            value=scores(spec, evaluation, metric),
            n=400 if evaluation.decoding == "greedy" else 200,
            errors=0,
            truncations=0,
            status="collapsed" if name == COLLAPSED else "ok",
            tokens=300_000 if spec.method else 0,
            training_code=here.training,
            evaluation_code=here.evaluation,
            world=world,
            draw=spec.data.draw if spec.data else None,
        )
        for evaluation in suite.evaluations(spec)
        for metric in metrics(evaluation)
    ]


def metrics(evaluation: Evaluation) -> Collection[str]:
    """What an evaluation gives."""
    if evaluation.decoding == AUDIT:
        return AUDITS[evaluation.benchmark].metrics
    return [metric.name for metric in told(evaluation.benchmark).metrics]


def cost(spec: RunSpec) -> Cost:
    """Of one run."""
    return Cost(
        run=spec.id,
        method=spec.method.name if spec.method else f"reference/{spec.student.name}",
        seed=spec.seed,
        train_domains=spec.train_domains,
        steps=spec.steps,
        tokens=300_000 if spec.method else 0,
        forwards_per_token=3.0,
        train_seconds=30.0 + spec.seed,
        evaluation_seconds=5.0,
        peak_memory_mb=400.0,
    )


def make_done(root: Path, spec: RunSpec, scores: Score = score, suite: Suite = SUITE) -> RunFolder:
    """The folder of a run that needs nothing more."""
    folder = RunFolder(root, spec)
    folder.prepare()
    folder.write_rows(rows(spec, scores, suite))
    folder.write_cost(cost(spec))
    folder.mark_done(suite.evaluations(spec))
    return folder


def make_answered(root: Path, spec: RunSpec, right: Right, suite: Suite = SUITE) -> RunFolder:
    """A done run whose samples are these answers, trace and answer alike, and whose rows are their means."""
    folder = RunFolder(root, spec)
    folder.prepare()
    asked = {evaluation.benchmark: evaluation for evaluation in suite.evaluations(spec)}
    for evaluation in suite.evaluations(spec):
        records = [
            {"id": f"{evaluation.benchmark}/{i}", "sample": 0, "answer": bool(is_right), "trace": bool(is_right)}
            for i, is_right in enumerate(right(spec, evaluation))
        ]
        folder.write_samples(evaluation, records)

    def share(_: RunSpec, evaluation: Evaluation, metric: str) -> float:
        answers = right(spec, evaluation)
        return sum(answers) / len(answers)

    made = rows(spec, share, suite)
    folder.write_rows(dataclasses.replace(row, n=len(right(spec, asked[row.benchmark]))) for row in made)
    folder.write_cost(cost(spec))
    folder.mark_done(suite.evaluations(spec))
    return folder


def frames(
    chosen: Options,
    scores: Score = score,
    skip: Collection[RunSpec] = (),
    state: str = "absent",
    suite: Suite = SUITE,
    profile: Profile = PROFILE,
) -> tuple[DataFrame, DataFrame]:
    """What ``results.load`` would give; the runs of ``skip`` have no rows and are in ``state``."""
    planned = {spec.id: spec for spec in suite.runs(profile, chosen)}.values()
    table = [row for spec in planned if spec not in skip for row in rows(spec, scores, suite)]
    paid = [
        {**known, "run": spec.id, "lr": spec.optim.lr if spec.optim else None}
        for spec in planned
        for known in (
            {**missing(spec), "state": state} if spec in skip else {**dataclasses.asdict(cost(spec)), "state": "done"},
        )
    ]
    return results.row_frame(table), results.cost_frame(paid)


def missing(spec: RunSpec) -> dict[str, Any]:
    """What is known of a run without numbers."""
    return {name: getattr(cost(spec), name) for name in ("method", "seed", "train_domains", "steps")}


def options(root: Path, **changes: object) -> Options:
    """The default matrix, all files below ``root``; the paper's numbers come with them."""
    published = root / "published"
    if not published.exists():
        (published / "paper").mkdir(parents=True)
        source = Options(suite="ood").published / "paper" / "figure7b.csv"
        (published / "paper" / "figure7b.csv").write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    return Options(suite="ood", **{"results": root, "published": published, **changes})  # type: ignore[arg-type]


def specs(chosen: Options) -> list[RunSpec]:
    """What the suite plans."""
    return SUITE.runs(PROFILE, chosen)
