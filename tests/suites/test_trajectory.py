"""Figure 9: rollouts from runs and as published, drawn token by token."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.synthetic import PROFILE, frames, make_done

from harness import registry
from harness.analysis import results
from harness.config import RunSpec
from harness.evaluation.audits import AUDIT, AUDITS
from harness.report import publish
from harness.report.web import trajectory as viewer
from harness.storage import files
from harness.storage.run_folder import RunFolder
from harness.suite import Evaluation, Options, Suite
from harness.types import HarnessError
from suites.kit.looks import OF_REGIMES
from suites.trajectory import Trajectory

SUITE: Suite = registry.suite("trajectory")
VALUES = {"right": 0.5, "LH": 0.7, "LL": 0.05, "HT": 0.1, "HS": 0.15}


def score(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    return VALUES[metric]


def options(root: Path, **changes: Any) -> Options:
    return Options(suite=SUITE.name, **{"results": root, "published": root / "published", **changes})


def records(spec: RunSpec, step: int) -> list[dict[str, Any]]:
    """One of each domain; the coding one of step 100 is wrong from its second token, and all of seed 1 are."""
    made = []
    for domain in PROFILE.data.domains:
        wrong = (domain == "coding" and step == 100) or spec.seed == 1
        tokens = [
            {"text": "A", "regime": "LH", "gap": 0.0, "q_teacher": 0.9, "q_student": 0.9, "right": True},
            {"text": "+3", "regime": "HT", "gap": 9.0, "q_teacher": 0.8, "q_student": 0.0, "right": not wrong},
            {"text": "<|im_end|>", "regime": "HS", "gap": 0.5, "q_teacher": 0.1, "q_student": 0.2, "right": None},
        ]
        made.append(
            {
                "run": spec.id,
                "step": step,
                "id": f"{domain}/test/0",
                "prompt": f"{domain} 3",
                "privileged": "hints A",
                "right": not wrong,
                "tokens": tokens,
                "thresholds": {"gap": 0.2, "q_teacher": 0.5, "q_student": 0.5},
            }
        )
    return made


def done(chosen: Options) -> RunSpec:
    """The first of the runs; all are made."""
    specs = SUITE.runs(PROFILE, chosen)
    for spec in specs:
        folder = make_done(chosen.results, spec, score, SUITE)
        for evaluation in SUITE.evaluations(spec):
            folder.write_samples(evaluation, records(spec, evaluation.at(spec)))
    return specs[0]


def test_it_reads_the_first_seed_of_table_1s_dopd(tmp_path: Path) -> None:
    for profile in ("embedded", "paper"):
        chosen = options(tmp_path, profile=profile)
        (spec,) = SUITE.runs(registry.profile(profile), chosen)
        theirs = registry.suite("in_distribution").runs(registry.profile(profile), chosen)
        assert spec.id in {s.id for s in theirs} and spec.seed == 0 and spec.method and spec.method.name == "dopd"
        steps, version = spec.steps, AUDITS["trajectory"].version
        assert SUITE.evaluations(spec) == tuple(
            Evaluation(step, "trajectory", AUDIT, version) for step in (0, steps // 2, steps)
        )


def test_other_methods_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="leave out --methods"):
        SUITE.runs(PROFILE, options(tmp_path, methods=("tip",)))


def test_table_has_a_line_per_step(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    (made,) = SUITE.tables(*frames(chosen, score, suite=SUITE), chosen)
    assert [each.label for each in made.lines] == ["0", "100", "200"]
    assert [column.key for column in made.columns] == list(VALUES)
    values = [cell.value for cell in made.lines[0].cells]
    assert values == pytest.approx([100 * v for v in VALUES.values()]) and made.lines[0].cells[0].n == 1
    (empty,) = SUITE.tables(*frames(chosen, score, suite=SUITE, skip=SUITE.runs(PROFILE, chosen)), chosen)
    assert empty.lines[0].cells[0].missing == "not run" and empty.partial == "0 of 1 runs done"


def test_figure_draws_each_token_in_its_colour(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    done(chosen)
    axes = SUITE.figures(*results.load("runs", SUITE, PROFILE, chosen), chosen)["figure9"].axes
    titles = [ax.get_title(loc="left") for ax in axes]
    assert titles[:2] == [
        "general, before training: answer right",
        "general, step 100: answer right",
    ]
    assert titles[7] == "coding, step 100: answer wrong" and len(titles) == 9
    from matplotlib.colors import to_hex

    boxes = [patch for patch in axes[7].patches if patch.get_width() == pytest.approx(0.9)]
    colours = ["#ffffff", *(OF_REGIMES[r].colour.lower() for r in ("HT", "HS"))]
    assert [to_hex(box.get_facecolor()) for box in boxes] == colours, "what most tokens are is left white"
    assert [box.get_linewidth() > 1 for box in boxes] == [False, True, False]
    words = [text.get_text() for text in axes[7].texts]
    assert {"A, nats", "+3", "end", "LH", "HT ×", "HS", "9.0", "0.5"} <= set(words) and "0.0" not in words
    inks = {text.get_text(): text.get_color() for text in axes[7].texts}
    assert [inks[label] for label in ("LH", "HT ×", "HS")] == ["black", "black", "white"]


def test_a_step_that_was_not_run_says_so(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    axes = SUITE.figures(*results.load("runs", SUITE, PROFILE, chosen), chosen)["figure9"].axes
    assert axes[0].get_title(loc="left") == "general, before training: not run" and not axes[0].patches


@pytest.mark.slow
def test_published_rollouts_are_those_of_the_run(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    spec = done(chosen)
    written = publish.publish(SUITE, PROFILE, chosen)
    path = chosen.published / PROFILE.name / "trajectory" / "trajectory.jsonl"
    assert path in written
    expected = [record for step in (0, 100, 200) for record in records(spec, step)]
    assert files.read_jsonl(path) == expected
    there = dataclasses.replace(chosen, source="published")
    for which in (chosen, there):
        assert results.samples("trajectory", SUITE, PROFILE, which) == expected
        titles = [
            ax.get_title(loc="left")
            for ax in SUITE.figures(*results.load(which.source, SUITE, PROFILE, which), which)["figure9"].axes
        ]
        assert titles[7] == "coding, step 100: answer wrong"
    assert "trajectory.jsonl" in (path.parent / "README.md").read_text()


@pytest.mark.slow
def test_published_rollouts_of_one_seed_join_those_of_another(tmp_path: Path) -> None:
    for root, parts in (("grown", ((0,), (1,))), ("whole", ((0, 1),))):
        for seeds in parts:
            chosen = options(tmp_path / root, seeds=seeds)
            done(chosen)
            publish.publish(SUITE, PROFILE, chosen)
            shutil.rmtree(tmp_path / root / "runs")
    there = [
        {p.name: p.read_bytes() for p in (tmp_path / root / "published/embedded/trajectory").iterdir()}
        for root in ("grown", "whole")
    ]
    assert there[0] == there[1] and there[0]["trajectory.jsonl"].count(b"\n") == 18


@pytest.mark.slow
def test_a_figure_of_one_seed_shows_that_seed(tmp_path: Path) -> None:
    chosen = options(tmp_path, seeds=(0, 1))
    done(chosen)
    publish.publish(SUITE, PROFILE, chosen)
    for seed, verdict in ((0, "right"), (1, "wrong")):
        one = dataclasses.replace(chosen, seeds=(seed,), source="published")
        drawn = SUITE.figures(*results.load("published", SUITE, PROFILE, one), one)["figure9"]
        assert drawn.axes[0].get_title(loc="left").endswith(f"answer {verdict}")


@pytest.mark.slow
def test_the_reports_viewer_reads_them(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    done(chosen)
    publish.publish(SUITE, PROFILE, chosen)
    for source in ("runs", "published"):
        found = viewer.load(PROFILE, dataclasses.replace(chosen, source=source))
        assert found.reason == "" and len(found.rollouts) == 9
        assert sum(not rollout.right for rollout in found.rollouts) == 1


def test_rollouts_of_an_unfinished_run_are_not_shown(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    spec = done(chosen)
    (RunFolder(tmp_path, spec).path / "done").unlink()
    assert results.samples("trajectory", SUITE, PROFILE, chosen) == []
    assert results.samples("trajectory", SUITE, PROFILE, dataclasses.replace(chosen, steps=100)) == []


def test_samples_are_of_one_evaluation(tmp_path: Path) -> None:
    class Wider(Trajectory):
        def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
            return (Evaluation("last", "permutations_coding", "greedy"), *super().evaluations(spec))

    wider = Wider()
    (spec,) = wider.runs(PROFILE, options(tmp_path))
    folder = make_done(tmp_path, spec, lambda *_: 0.5, wider)
    for evaluation in wider.evaluations(spec):
        folder.write_samples(evaluation, [{"of": evaluation.benchmark, "step": evaluation.at(spec)}])
    expected = [{"of": "trajectory", "step": step} for step in (0, 100, 200)]
    assert results.run_samples("trajectory", wider, [folder]) == expected
