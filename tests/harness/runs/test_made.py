"""Models that a run makes: planned and trained once, resumed, kept by content, refused when damaged."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from support import language
from support.fakes import BUG, PROFILE, FakeSuite, checkpoint

from harness import registry
from harness.cli import plan_table
from harness.config import NOTHING, ModelSpec, RunSpec, from_json, to_json
from harness.models import load, zoo
from harness.profile import DEVELOPMENT_SEEDS, Profile
from harness.runs import local, plan
from harness.runs.plan import PlannedRun
from harness.runs.run import run
from harness.storage import files
from harness.storage.run_folder import RunFolder, RunState
from harness.suite import Evaluation, Options, Suite, Together, made_model, reference_run, training_run
from harness.types import HarnessError

EMBEDDED = registry.profile("embedded").in_draw(language.DRAW)
SMALL = ModelSpec(name=language.SMALL, sha256=zoo.MANIFEST[language.SMALL]["sha256"])
OPTIONS = Options(suite="fake", profile="fake", published=Path("nowhere"))
GREEDY = Evaluation("last", "permutations_coding", "greedy")


def fake_model(
    name: str = "tuned", *, base: ModelSpec = PROFILE.teacher, share: float = 0.0, seed: int = 0
) -> ModelSpec:
    """A made model that only the launcher without torch meets."""
    settings = {"privileged_share": share}
    return made_model(
        name,
        recipe="fine_tune",
        settings=settings,
        base=base,
        data=PROFILE.data,
        optim=PROFILE.optim,
        steps=10,
        seed=seed,
    )


def fake_run(teacher: ModelSpec, seed: int = 0) -> RunSpec:
    return training_run(PROFILE, OPTIONS, method="vanilla_opd", domains=("coding",), seed=seed, teacher=teacher)


class Suited(FakeSuite):
    """The runs it is given."""

    def __init__(self, *specs: RunSpec) -> None:
        self.specs = specs

    def runs(self, profile: Profile, options: Options) -> list[RunSpec]:
        return list(self.specs)


def planned(root: Path, *specs: RunSpec, suite: Suite | None = None) -> list[PlannedRun]:
    return plan.planned(suite or Suited(*specs), PROFILE, OPTIONS, root)


def launched(monkeypatch: pytest.MonkeyPatch, root: Path, runs: Sequence[PlannedRun]) -> local.LaunchReport:
    monkeypatch.setattr(registry, "PROFILES_MODULE", "support.fakes")
    options = dataclasses.replace(OPTIONS, results=root, jobs=2)
    console = Console(file=io.StringIO(), width=160)
    return local.launch(runs, options, console=console, target="support.fakes:run")


def made_of(model: ModelSpec) -> RunSpec:
    assert model.made is not None
    return model.made


# Planned


def test_what_makes_a_model_is_planned_once_before_the_runs_that_need_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As teacher, student and reference, of two suites; a base that is made comes before what is made of it."""
    monkeypatch.setattr(registry, "profile", lambda name: PROFILE)
    base = fake_model()
    model = fake_model("twice-tuned", base=base)
    runs = [fake_run(base), fake_run(model, 1), dataclasses.replace(fake_run(PROFILE.teacher), student=model)]
    reference = reference_run(PROFILE, model)
    other = Suited(*runs[1:], reference)
    other.name = "other"
    both = planned(tmp_path, suite=Together([Suited(*runs), other]))
    ids = [run.spec.id for run in both]
    assert ids == [made_of(base).id, runs[0].id, made_of(model).id, runs[1].id, runs[2].id, reference.id]
    assert made_of(model).needs == {made_of(base).id}
    assert runs[1].needs == reference.needs == {made_of(model).id}


def test_states_and_estimate_of_what_makes_a_model(tmp_path: Path) -> None:
    spec = fake_run(fake_model())
    folder = RunFolder(tmp_path, made_of(fake_model()))
    making = planned(tmp_path, spec)[0]
    assert (making.state, making.estimate_seconds) == (RunState.ABSENT, 10 * PROFILE.seconds_per_step)
    assert making.wanted == (), "nothing is evaluated on what makes a model"
    folder.prepare()
    checkpoint(folder, 7)
    making = planned(tmp_path, spec)[0]
    assert (making.state, making.estimate_seconds) == (RunState.PARTIAL, 3 * PROFILE.seconds_per_step)
    folder.mark_done()
    making = planned(tmp_path, spec)[0]
    assert (making.state, making.estimate_seconds) == (RunState.DONE, 0.0)


@pytest.mark.slow
def test_a_measured_recipe_is_estimated_by_its_own_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launched(monkeypatch, tmp_path, planned(tmp_path, fake_run(fake_model())))
    folder = RunFolder(tmp_path, made_of(fake_model()))
    cost = folder.cost()
    assert cost is not None
    folder.write_cost(dataclasses.replace(cost, method=folder.spec.label, train_seconds=70.0))
    making = planned(tmp_path, fake_run(fake_model(share=0.5)))[0]
    assert making.estimate_seconds == 70.0, "another model of the same recipe, seven seconds a step"


def test_a_recipe_whose_only_step_moves_nothing_is_not_planned(tmp_path: Path) -> None:
    spec = dataclasses.replace(made_of(fake_model()), steps=1)
    with pytest.raises(HarnessError, match="steps=1 of recipe/fine_tune: the warm-up begins at learning rate 0"):
        planned(tmp_path, fake_run(ModelSpec(name="tuned", made=spec)))


def test_the_plan_shows_settings_of_recipes(tmp_path: Path) -> None:
    makings = [made_of(fake_model(share=share)) for share in (0.0, 0.25)]
    assert plan_table.differences([*makings, fake_run(PROFILE.teacher)]) == [
        "privileged_share = 0.0",
        "privileged_share = 0.25",
        "",
    ]
    bare = dataclasses.replace(makings[0], data=None, optim=None)
    assert plan_table.plan_table(planned(tmp_path, bare), title="").row_count == 1


# Run once, in order, and only what depends on it again


@pytest.mark.slow
def test_models_are_made_once_and_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = fake_model()
    runs = planned(tmp_path, fake_run(model), fake_run(model, 2), reference_run(PROFILE, model))
    report = launched(monkeypatch, tmp_path, runs[::-1])
    assert report.done[0] == made_of(model).id
    assert sorted(report.done) == sorted(run.spec.id for run in runs)
    assert plan.missing(planned(tmp_path, fake_run(model), fake_run(model, 2))) == []


@pytest.mark.slow
def test_a_changed_setting_trains_only_what_depends_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, base, top = fake_model("kept", seed=1), fake_model(), fake_model("top", base=fake_model())
    launched(monkeypatch, tmp_path, planned(tmp_path, *map(fake_run, (kept, base, top))))
    changed = fake_model(share=0.5)
    new_top = fake_model("top", base=changed)
    runs = [fake_run(kept), fake_run(changed), fake_run(new_top)]
    left = [run.spec.id for run in plan.missing(planned(tmp_path, *runs))]
    assert left == [made_of(changed).id, runs[1].id, made_of(new_top).id, runs[2].id]


@pytest.mark.slow
def test_runs_without_their_model_fail_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = fake_model(seed=BUG)
    runs = [fake_run(fake_model("top", base=model)), reference_run(PROFILE, model), fake_run(PROFILE.teacher)]
    report = launched(monkeypatch, tmp_path, planned(tmp_path, *runs))
    failed, top = made_of(model).id, made_of(fake_model("top", base=model)).id
    assert report.failed[top] == report.failed[runs[1].id] == f"has a model of run {failed}, which failed"
    assert report.failed[runs[0].id] == f"has a model of run {top}, which failed"
    assert report.done == [runs[2].id]


# Identity


def test_a_spec_with_made_models_comes_back_from_json() -> None:
    spec = fake_run(fake_model("top", base=fake_model()))
    assert from_json(to_json(spec)) == spec
    assert from_json(to_json(made_of(fake_model()))) == made_of(fake_model())


def test_a_model_that_is_found_leaves_no_trace_in_the_identity() -> None:
    record = to_json(fake_run(PROFILE.teacher))
    assert "recipe" not in record
    assert set(record["teacher"]) == {"name", "sha256"}


def test_every_part_of_a_recipe_is_part_of_the_identity() -> None:
    """Of the making itself, and of every run that has its model."""
    spec = made_of(fake_model())
    assert spec.recipe is not None
    assert spec.data is not None
    assert spec.optim is not None
    others = [
        dataclasses.replace(spec, **change)
        for change in (
            {"student": dataclasses.replace(spec.student, sha256="0" * 64)},
            {"student": fake_model("other")},
            {"data": dataclasses.replace(spec.data, size=7)},
            {"optim": dataclasses.replace(spec.optim, lr=0.5)},
            {"recipe": dataclasses.replace(spec.recipe, name="other")},
            {"recipe": dataclasses.replace(spec.recipe, settings={"privileged_share": 0.5})},
            {"recipe": dataclasses.replace(spec.recipe, version=2)},
            {"steps": 11},
            {"seed": 3},
            {"prompts_per_step": 3},
        )
    ]
    every = [spec, *others]
    assert len({each.id for each in every}) == len(every)
    assert len({fake_run(ModelSpec(name="tuned", made=each)).id for each in every}) == len(every)


def test_the_name_is_no_part_of_what_is_made() -> None:
    one, two = fake_model("one"), fake_model("two")
    assert made_of(one).id == made_of(two).id
    assert fake_run(one).id != fake_run(two).id


def test_no_profile_is_part_of_what_is_made() -> None:
    assert made_of(fake_model()).profile == ""


# Refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"recipe": "fine_tuned"}, "unknown recipe 'fine_tuned': did you mean fine_tune"),
        (
            {"settings": {"privileged": 1.0}},
            "unknown field of recipe fine_tune: 'privileged': did you mean privileged_share",
        ),
        ({"settings": {"privileged_share": "all"}}, "privileged_share of recipe fine_tune = 'all': allowed is float"),
        ({"settings": {"privileged_share": 1.5}}, "privileged_share=1.5: give a share of the examples, from 0 to 1"),
        ({"step": 3, "steps": 2}, "unknown field of a run: 'step': did you mean steps"),
        ({"steps": 0}, "recipe fine_tune with steps=0: give at least 1"),
        ({"name": "big"}, "model 'big' is made from a model of its own name"),
        ({"name": "tuned", "base": fake_model("x", base=ModelSpec(name="tuned"))}, "made from a model of its own name"),
    ],
)
def test_what_cannot_be_made_is_one_line_before_anything_is_planned(arguments: dict[str, Any], message: str) -> None:
    given = {"name": "tuned", "recipe": "fine_tune", "base": PROFILE.teacher, "steps": 10} | arguments
    with pytest.raises(HarnessError) as error:
        made_model(**given)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_made_model_has_a_recipe_and_no_weights_of_before() -> None:
    with pytest.raises(HarnessError, match="which has no recipe: give one"):
        ModelSpec(name="tuned", made=fake_run(PROFILE.teacher))
    with pytest.raises(HarnessError, match="leave sha256 0123456789 out"):
        ModelSpec(name="tuned", sha256="0123456789ab", made=made_of(fake_model()))
    with pytest.raises(HarnessError, match="a run has one of the two"):
        dataclasses.replace(fake_run(PROFILE.teacher), recipe=made_of(fake_model()).recipe)


def test_another_version_of_a_recipe_is_refused() -> None:
    spec = registry.recipe_spec("fine_tune")
    with pytest.raises(HarnessError, match="planned with version 7, the code here is version 1: plan the run again"):
        registry.build_recipe(dataclasses.replace(spec, version=7))


# The real thing


def small_model(*, steps: int = 4, base: ModelSpec | None = None, **changes: Any) -> ModelSpec:
    """``small``, fine-tuned for a moment; its last checkpoint but one is in the middle."""
    return made_model(
        "small-tuned",
        recipe="fine_tune",
        settings={"privileged_share": 0.5},
        base=base or SMALL,
        data=dataclasses.replace(EMBEDDED.data, size=32),
        optim=EMBEDDED.optim,
        steps=steps,
        **{"prompts_per_step": 6, "checkpoints": 2, "max_response_tokens": 34} | changes,
    )


def make(root: Path, model: ModelSpec) -> RunFolder:
    folder = RunFolder(root, made_of(model))
    run(folder, (), lambda *_: None)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """``small_model``, made in one go."""
    return make(tmp_path_factory.mktemp("made"), small_model())


@pytest.mark.slow
def test_a_fine_tuned_teacher_teaches(made: RunFolder) -> None:
    spec = training_run(
        EMBEDDED,
        Options(suite="ood", steps=2),
        method="vanilla_opd",
        domains=("coding",),
        seed=DEVELOPMENT_SEEDS,
        teacher=small_model(),
        prompts_per_step=2,
        checkpoints=1,
    )
    folder = RunFolder(made.root, spec)
    run(folder, (), lambda *_: None)
    assert folder.state() is RunState.DONE
    reference = RunFolder(made.root, reference_run(EMBEDDED, small_model()))
    run(reference, (GREEDY,), lambda *_: None)
    assert {row.method for row in reference.rows()} == {"reference/small-tuned"}


@pytest.mark.slow
def test_the_model_is_the_last_checkpoint_in_a_folder_of_its_own(made: RunFolder) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    assert made.state() is RunState.DONE
    assert [record["step"] for record in files.read_jsonl(made.metrics)] == [0, 1, 2, 3, 4]
    model = AutoModelForCausalLM.from_pretrained(made.model)
    base = load.load(SMALL)
    assert any(not torch.equal(a, b) for a, b in zip(model.parameters(), base.parameters(), strict=True))
    loaded = load.load(small_model(), root=made.root)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), loaded.parameters(), strict=True))
    tokenizer = load.load_tokenizer(SMALL)
    assert AutoTokenizer.from_pretrained(made.model).chat_template == tokenizer.chat_template


class Stopped(Exception):
    """In place of a signal."""


@pytest.mark.slow
def test_stopped_and_resumed_is_bit_equal(tmp_path: Path, made: RunFolder) -> None:
    """After step 3: the way back is the checkpoint of step 2, whose optimiser and schedule are in the middle."""

    def stop(step: int, steps: int, metrics: object) -> None:
        if step == 3:
            raise Stopped

    folder = RunFolder(tmp_path, made.spec)
    with pytest.raises(Stopped):
        run(folder, (), stop)
    assert folder.state() is RunState.PARTIAL
    steps: list[int] = []
    run(folder, (), lambda step, *_: steps.append(step))
    assert steps == [3, 4]
    for name in ("model/model.safetensors", "checkpoints/step-000004/weights.safetensors", "done"):
        assert (folder.path / name).read_bytes() == (made.path / name).read_bytes(), name
    losses = [[record.get("loss") for record in files.read_jsonl(each.metrics)] for each in (folder, made)]
    assert losses[0] == losses[1]


def test_a_made_model_is_not_made_again(made: RunFolder) -> None:
    steps: list[int] = []
    before = (made.model / "model.safetensors").stat().st_mtime_ns
    run(made, (), lambda step, *_: steps.append(step))
    assert steps == []
    assert (made.model / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.slow
def test_a_damaged_model_is_refused_and_mends_from_its_checkpoint(tmp_path: Path) -> None:
    model = small_model(steps=1, checkpoints=1)
    folder = make(tmp_path, model)
    weights = folder.model / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    for action in (load.load, load.load_tokenizer):
        with pytest.raises(HarnessError, match=r"is not the model that was made .*delete model and done") as error:
            action(model, root=tmp_path)
        assert "\n" not in str(error.value)
    (folder.path / "done").unlink()
    assert folder.state() is RunState.UNEVALUATED
    run(folder, (), lambda *_: pytest.fail("it was trained"))
    assert weights.read_bytes() == whole
    (folder.model / "tokenizer.json").unlink()
    with pytest.raises(HarnessError, match="is not the model that was made"):
        load.load(model, root=tmp_path)


def test_a_model_that_is_not_made_says_which_run_makes_it(tmp_path: Path) -> None:
    model = small_model()
    message = f"is made by run {made_of(model).id}, which is not done"
    with pytest.raises(HarnessError, match=message):
        load.load(model, root=tmp_path)
    RunFolder(tmp_path, made_of(model)).prepare()
    with pytest.raises(HarnessError, match=message):
        load.load(model, root=tmp_path)


@pytest.mark.parametrize(
    ("base", "message"),
    [
        (NOTHING, "'nothing' stands for no model"),
        (ModelSpec(name="./no-such-folder"), "model './no-such-folder' could not be loaded"),
        (ModelSpec(name=language.SMALL, sha256="0" * 64), "planned for weights 0000000000"),
    ],
)
def test_a_base_out_of_reach_is_one_line_before_the_first_step(tmp_path: Path, base: ModelSpec, message: str) -> None:
    folder = RunFolder(tmp_path, made_of(small_model(base=base)))
    with pytest.raises(HarnessError) as error:
        run(folder, (), lambda *_: None)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not folder.metrics.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"optim": None}, "has no data or no optim: give both"), ({"data": None}, "has no data or no optim: give both")],
)
def test_what_the_recipe_needs_is_asked_before_the_first_step(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    folder = RunFolder(tmp_path, dataclasses.replace(made_of(small_model()), **changes))
    with pytest.raises(HarnessError, match=message):
        run(folder, (), lambda *_: None)
    assert not folder.metrics.exists()
