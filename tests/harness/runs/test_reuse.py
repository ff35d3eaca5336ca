"""Published rows in the place of runs: what counts as made, what is made again, and what is shown."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
from support import synthetic
from support.synthetic import PROFILE, make_answered, options, specs

from harness.analysis import results
from harness.config import RunSpec
from harness.profile import Part
from harness.report import output, publish
from harness.runs import plan, reuse
from harness.runs.plan import PlannedRun
from harness.storage import files
from harness.storage.code import MadeBy
from harness.storage.run_folder import RunFolder
from harness.suite import Evaluation, Options, Suite, Together, made_model, reference_run, training_run
from harness.types import HarnessError
from suites.ood import OutOfDomain

SMALL = {"methods": ("vanilla_opd", "dopd"), "train_domains": ("coding",)}
LAST = Evaluation("last", "permutations_coding", "greedy")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "write_figures", lambda drawn, out_dir: [])


def right(spec: RunSpec, evaluation: Evaluation) -> tuple[int, ...]:
    return (1, spec.seed % 2, 0)


class Chained(OutOfDomain):
    """A run, one that continues it, one whose teacher is made, and one that shows responses, all of draw 0; one
    evaluation each."""

    name = "chained"
    own_arms = True

    def runs(self, profile: Any, options: Options) -> list[RunSpec]:
        first, second, made, shows = (
            training_run(profile, options, method="dopd", domains=("coding",), seed=seed) for seed in (0, 5, 10, 15)
        )
        here = profile.in_draw(0)
        model = made_model("tuned", recipe="fine_tune", base=here.student, steps=2, data=here.data, optim=here.optim)
        return [
            reference_run(here, here.student),
            first,
            dataclasses.replace(second, start=first.id),
            dataclasses.replace(made, teacher=model),
            shows,
        ]

    def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
        return (LAST,)


class Shows(Chained):
    published_samples = ("permutations_coding",)


def half(*_: object) -> float:
    return 0.5


def write_published(suite: Suite, chosen: Options, runs: list[RunSpec], **changes: Any) -> None:
    """The rows and costs of these runs, as ``dopd publish`` would leave them."""
    rows = [dataclasses.replace(row, **changes) for spec in runs for row in synthetic.rows(spec, half, suite)]
    folder = reuse.folder(PROFILE, chosen)
    files.write_text_atomic(folder / "rows.jsonl", files.jsonl([dataclasses.asdict(row) for row in rows]))


def planned(suite: Suite, chosen: Options) -> list[PlannedRun]:
    return plan.planned(suite, PROFILE, chosen, chosen.results)


def standings(suite: Suite, chosen: Options) -> list[str]:
    return [run.standing for run in planned(suite, chosen)]


@pytest.fixture
def chained(tmp_path: Path) -> Options:
    return dataclasses.replace(options(tmp_path, reuse="published"), suite="chained")


AGAIN = f"absent, made again: {reuse.WEIGHTS}"


def test_what_is_published_counts_as_made_and_so_does_a_model_that_only_it_needs(chained: Options) -> None:
    suite = Chained()
    assert standings(suite, chained) == ["absent"] * 6
    write_published(suite, chained, suite.runs(PROFILE, chained))
    found = planned(suite, chained)
    assert [run.standing for run in found] == ["published"] * 6
    assert plan.missing(found) == [] and {run.estimate_seconds for run in found} == {0.0}
    without = dataclasses.replace(chained, reuse="")
    assert standings(suite, without) == ["absent"] * 6, "as before, without the flag"


def test_a_run_whose_weights_are_needed_is_made_again(chained: Options) -> None:
    suite = Chained()
    reference, first, second, made, shows = suite.runs(PROFILE, chained)
    write_published(suite, chained, [reference, first, made, shows])
    assert standings(suite, chained) == ["published", AGAIN, "absent", "published", "published", "published"]
    write_published(suite, chained, [reference, first, second, shows])
    assert standings(suite, chained) == ["published"] * 3 + ["absent", "absent", "published"]
    write_published(suite, chained, [reference, second, made, shows])
    assert standings(suite, chained) == ["published", "absent", *["published"] * 4], "the second needs no first"


def test_a_run_whose_responses_are_shown_is_made_again_and_what_it_needs(chained: Options) -> None:
    suite = Shows()
    write_published(suite, chained, suite.runs(PROFILE, chained))
    again = f"absent, made again: {reuse.RESPONSES}"
    assert standings(suite, chained) == [again, again, again, "absent", again, again]


def test_a_chain_of_weights_is_made_again_from_its_first_run(chained: Options) -> None:
    first, second = Chained().runs(PROFILE, chained)[1:3]
    third = dataclasses.replace(second, start=second.id)
    chain = {spec.id: spec for spec in (first, second, third)}
    published = {first.id, second.id}
    assert reuse.made_again(chain, chain, published, set()) == dict.fromkeys(published, reuse.WEIGHTS)
    assert reuse.made_again(chain, {second.id, third.id}, published, set()) == {second.id: reuse.WEIGHTS}


def test_rows_that_are_not_all_that_is_wanted_are_none(chained: Options) -> None:
    suite = Chained()
    write_published(suite, chained, suite.runs(PROFILE, chained), version=2)
    assert standings(suite, chained) == ["absent"] * 6
    write_published(suite, chained, suite.runs(PROFILE, chained), decoding="sample4")
    assert standings(suite, chained) == ["absent"] * 6


def test_published_rows_of_other_code_count_and_say_so(chained: Options) -> None:
    suite = Chained()
    write_published(suite, chained, suite.runs(PROFILE, chained), training_code="other")
    found = planned(suite, chained)
    assert {run.made for run in found if run.wanted} == {MadeBy.OTHER}
    assert found[0].standing == "published, other code"


def test_what_is_done_here_stays_done(chained: Options) -> None:
    suite = Chained()
    runs = suite.runs(PROFILE, chained)
    write_published(suite, chained, runs)
    synthetic.make_done(chained.results, runs[1], half, suite)
    RunFolder(chained.results, runs[4]).prepare()
    assert standings(suite, chained) == ["published", "done", *["published"] * 4], "one that was begun is published"


def test_a_continued_run_that_is_published_needs_no_first_run_on_disk(chained: Options) -> None:
    class Second(Chained):
        def runs(self, profile: Any, options: Options) -> list[RunSpec]:
            return super().runs(profile, options)[2:3]

    suite = Second()
    write_published(suite, chained, suite.runs(PROFILE, chained))
    assert standings(suite, chained) == ["published"]


def test_among_several_suites_each_must_have_published_what_it_wants(chained: Options) -> None:
    class More(Chained):
        name = "more"

        def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
            return (Evaluation("last", "permutations_general", "greedy"),)

    suite, other = Chained(), More()
    both, elsewhere = Together([suite, other]), dataclasses.replace(chained, suite="more")
    every = dataclasses.replace(PROFILE, parts=None)

    def of_both() -> list[str]:
        return [run.standing for run in plan.planned(both, every, chained, chained.results)]

    write_published(suite, chained, suite.runs(PROFILE, chained))
    assert of_both() == ["absent"] * 6
    write_published(other, elsewhere, other.runs(PROFILE, elsewhere)[:2])
    assert of_both() == ["published", AGAIN, *["absent"] * 4]


def test_a_suite_that_the_profile_leaves_out_is_not_asked_for_what_it_published(chained: Options) -> None:
    class LeftOut(Chained):
        name = "left_out"

        def runs(self, profile: Any, options: Options) -> list[RunSpec]:
            raise HarnessError("asked all the same")

    suite = Chained()
    write_published(suite, chained, suite.runs(PROFILE, chained))
    profile = dataclasses.replace(PROFILE, parts={suite.name: Part()})
    both = plan.planned(Together([suite, LeftOut()]), profile, chained, chained.results)
    assert {run.standing for run in both} == {"published"}


@pytest.mark.slow
def test_tables_of_reused_and_own_runs_are_those_of_one_go(tmp_path: Path) -> None:
    begun = options(tmp_path, **SMALL, seeds=(0, 1))
    for spec in specs(begun):
        make_answered(tmp_path, spec, right)
    publish.publish(synthetic.SUITE, PROFILE, begun)
    for seed in (2,):
        for spec in specs(dataclasses.replace(begun, seeds=(seed,))):
            make_answered(tmp_path, spec, right)
    whole = dataclasses.replace(begun, seeds=(0, 1, 2))
    expected = synthetic.SUITE.tables(*results.load("runs", synthetic.SUITE, PROFILE, whole), whole)
    for spec in specs(begun):
        if spec.method:
            shutil.rmtree(RunFolder(tmp_path, spec).path)
    reused = dataclasses.replace(whole, reuse="published")
    loaded = results.load("runs", synthetic.SUITE, PROFILE, reused)
    assert loaded[1]["state"].tolist() == ["done"] * 12 and not loaded[1]["train_seconds"].isna().any()
    assert synthetic.SUITE.tables(*loaded, reused) == expected
    assert {table.name for table in expected} >= {"ood", "ood_items"}
    assert results.load("runs", synthetic.SUITE, PROFILE, whole)[1]["state"].tolist().count("absent") == 4
