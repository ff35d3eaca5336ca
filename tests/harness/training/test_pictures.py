"""Training on pictures: whole steps of several methods, the same bits again, one look a policy, a kept model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from support import picture_world
from support.picture_world import PROFILE, PictureWorld

from harness import registry, worlds
from harness.config import ModelSpec, RunSpec
from harness.models import load, media
from harness.models.image_reader import ImageReader
from harness.models.prompts import render
from harness.runs.run import keep_model
from harness.storage import files
from harness.storage.run_folder import RunFolder
from harness.suite import Options, made_model, training_run
from harness.training import loop, making
from harness.training import trainer as trainer_module
from harness.training.contexts import per_rollout
from harness.training.loop import to_the_end, train, train_step, written_batch
from harness.training.step import optimiser_losses
from harness.training.trainer import Trainer, prepare
from harness.types import HarnessError, Pictures, Policy

SETTINGS = {"k": 5, "threshold": 2.0}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pair")
    picture_world.save_pair(path)
    return path


@pytest.fixture(autouse=True)
def _here(pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pair)
    monkeypatch.setitem(worlds.WORLDS, "pictures", "support.picture_world:PictureWorld")
    monkeypatch.setattr(trainer_module, "PROBE_SIZE", 2)


def spec_of(method: str, *, kind: str = "where", steps: int = 2, **changes: Any) -> RunSpec:
    spec = training_run(
        PROFILE,
        Options(suite="ood", steps=steps),
        method="vanilla_opd",
        domains=PictureWorld.domains,
        seed=0,
        **changes,
    )
    fields = registry.method_class(method).__dataclass_fields__
    own = registry.method_spec(method, {name: value for name, value in SETTINGS.items() if name in fields})
    assert spec.data is not None
    return dataclasses.replace(spec, method=own, data=dataclasses.replace(spec.data, privilege=kind))


@pytest.fixture
def encodings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[bool, int]]]:
    """Of every call of a tower: whether with gradient, and of how many pictures."""
    calls: list[tuple[bool, int]] = []
    honest = media._encoded

    def counted(model: Any, given: Any) -> Any:
        calls.append((torch.is_grad_enabled(), len(given)))
        return honest(model, given)

    monkeypatch.setattr(media, "_encoded", counted)
    yield calls


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("vanilla_opd", "none"),
        ("dopd", "where"),
        ("dopd", "close"),
        ("dopd_reverse_kl", "instead"),
        ("privileged_both", "instead"),
        ("sdft", "close"),
        ("sdpo", "where"),
        ("grpo", "none"),
        ("seqkd", "none"),
        ("eopd", "none"),
        ("dapd", "none"),
        ("vision_opd", "none"),
        ("va_opd", "none"),
    ],
)
def test_a_step_moves_the_student_and_its_tower(method: str, kind: str) -> None:
    made = prepare(spec_of(method, kind=kind))
    if method in ("grpo", "sdpo"):  # an untrained student is never right
        made.world = Generous()
    tower = {name: w.clone() for name, w in made.student.named_parameters() if ".visual." in name}
    metrics = train_step(made)
    assert metrics["gradient_norm"] > 0 and made.tokens > 0
    train_step(made)  # the first step of the schedule is at rate 0
    moved = [name for name, w in made.student.named_parameters() if name in tower and not torch.equal(w, tower[name])]
    assert len(moved) > len(tower) // 2


class Generous(PictureWorld):
    """Every other response is right."""

    def __init__(self) -> None:
        self.asked = 0

    def grade(self, example: Any, text: str) -> Any:
        self.asked += 1
        return dataclasses.replace(super().grade(example, text), answer=self.asked % 2 == 0)


@pytest.mark.slow
def test_each_policy_looks_once_in_a_step_of_dopd(encodings: list[tuple[bool, int]]) -> None:
    """Rollouts, the student's view with p, and the teacher's; then the gradient, which is made anew."""
    made = prepare(spec_of("dopd"))
    encodings.clear()
    batch = written_batch(made)
    held = len({p for pair in batch.rollouts.prompts.media.pictures for p in pair})
    assert encodings == [(False, held)]
    list(optimiser_losses(made.method, made.policies, batch, progress=0.0, microbatch=64))
    assert encodings == [(False, held), (False, held), (True, held)]


def test_ratios_of_an_unmoved_student_are_one() -> None:
    made = prepare(spec_of("vanilla_opd"))
    batch = written_batch(made)
    from harness.models.forward import score
    from harness.types import Want

    r = batch.rollouts
    given = {"wants": frozenset({Want.LOGP}), "temperature": 1.0, "microbatch": 3}
    found = score(made.student, r.prompts, r.response_ids_BT, r.mask_BT, **given).logp_BT
    torch.testing.assert_close(found, r.logp_BT, atol=1e-4, rtol=0)


def test_rollouts_of_one_problem_share_the_prompt_of_other_pictures() -> None:
    made = prepare(spec_of("vision_opd"))
    problems = [made.examples[i] for i in (0, 0, 1, 1, 1)]
    shown = [Pictures("evidence"), Pictures("evidence"), Pictures("evidence"), None, Pictures("evidence")]
    prompts = per_rollout(made.reader, made.world, problems, shown, "where")
    assert prompts.row_of_B.tolist() == [0, 0, 1, 2, 1] and len(prompts.ids_QL) == 3
    assert prompts.present_B.tolist() == [True, True, True, False, True]
    plain = render(made.reader, problems)
    assert prompts.lengths[2] == plain.lengths[3] and prompts.lengths[1] < plain.lengths[2], "a crop is smaller"
    texts = per_rollout(made.reader, made.world, problems, ["where"] * 5, "where")
    assert len(texts.ids_QL) == 5, "contexts of text are as they were"


class Stop(Exception):
    pass


def finished(root: Path, spec: RunSpec, *, stop_at: int = -1) -> RunFolder:
    folder = RunFolder(root, spec)
    folder.prepare()

    def report(step: int, steps: int, metrics: object) -> None:
        if step == stop_at:
            raise Stop

    try:
        train(folder, prepare(spec), report)
    except Stop:
        train(folder, prepare(spec), lambda *_: None)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("method", ["dopd_ema_self", "vision_opd"])
def test_a_run_that_was_stopped_ends_in_the_same_bits(method: str, tmp_path: Path) -> None:
    spec = spec_of(method, kind="close", steps=4)
    whole, again = (finished(tmp_path / name, spec, stop_at=at) for name, at in (("whole", -1), ("stopped", 2)))
    for name in ("weights.safetensors",):
        one, other = ((f.checkpoints / "step-000004" / name).read_bytes() for f in (whole, again))
        assert one == other
    numbers = [
        [(m["step"], m.get("loss"), m.get("entropy")) for m in files.read_jsonl(folder.metrics)]
        for folder in (whole, again)
    ]
    assert numbers[0] == numbers[1] and len(numbers[0]) == 5


@pytest.mark.slow
def test_a_model_that_is_made_is_kept_with_its_reader(tmp_path: Path) -> None:
    """Supervised fine-tuning on pictures, p with a picture in half of the prompts; then loaded by its folder."""
    model = made_model(
        "tuned",
        recipe="fine_tune",
        settings={"privileged_share": 0.5},
        base=ModelSpec(name="student"),
        steps=3,
        data=dataclasses.replace(PROFILE.data, privilege="close"),
        optim=PROFILE.optim,
        prompts_per_step=4,
        max_response_tokens=6,
    )
    assert model.made is not None
    folder = RunFolder(tmp_path, model.made)
    folder.prepare()
    learner = making.prepare(model.made, tmp_path)
    to_the_end(folder, learner, lambda *_: None, advance=making.advance, read=lambda each: each.read())
    losses = [m["loss"] for m in files.read_jsonl(folder.metrics) if "loss" in m]
    assert len(losses) == 3 and losses[-1] < losses[0]
    keep_model(folder)
    kept = ModelSpec(name=str(folder.model))
    reader, student = load.load_reader(kept), load.load(kept)
    assert isinstance(reader, ImageReader)
    for weight, other in zip(student.parameters(), learner.student.parameters(), strict=True):
        assert torch.equal(weight, other)
    ours, theirs = (render(each, learner_examples()) for each in (reader, learner.reader))
    assert torch.equal(ours.ids_QL, theirs.ids_QL)


def learner_examples() -> list[Any]:
    return PictureWorld().examples(PROFILE.data, "test", 3)


# What is refused before compute.


def refused(change: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    def no_step(*_: object) -> None:
        raise AssertionError("a step was computed")

    monkeypatch.setattr(loop, "train_step", no_step)
    with pytest.raises(HarnessError) as error:
        prepare(change)
    return str(error.value)


def test_a_text_model_on_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from support import tiny_world

    tiny_world.save_pair(tmp_path)
    spec = spec_of("vanilla_opd", kind="none")
    student, teacher = (ModelSpec(name=str(tmp_path / name)) for name in ("student", "teacher"))
    said = refused(dataclasses.replace(spec, student=student, teacher=teacher), monkeypatch)
    assert "this model reads text only" in said


def test_a_teacher_that_sees_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    shutil.copytree("teacher", tmp_path / "teacher")
    picture_world.change(tmp_path / "teacher", "preprocessor_config.json", image_mean=[0.1, 0.1, 0.1])
    spec = dataclasses.replace(spec_of("vanilla_opd"), teacher=ModelSpec(name=str(tmp_path / "teacher")))
    assert "make other numbers of a picture" in refused(spec, monkeypatch)


def test_the_policies_of_a_run_share_no_features() -> None:
    made: Trainer = prepare(spec_of("vision_opd"))
    batch = written_batch(made)
    list(optimiser_losses(made.method, made.policies, batch, progress=0.0, microbatch=64))
    (picture,) = batch.contexts["evidence"].media.pictures[0]
    assert list(picture.seen) == [made.policies[Policy.EMA]]
