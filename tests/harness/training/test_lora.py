"""Adapters: one base under every policy, kept and resumed to the last bit, merged for whoever evaluates."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import pytest
import torch
from support.drive_run import short_run
from support.folders import Weights, model_folder
from torch import Tensor

from harness import registry
from harness.config import LoraSpec, RunSpec, from_json, to_json
from harness.models import load, lora
from harness.models.forward import vocabulary_size
from harness.models.zoo.permutations.vocabulary import IDS
from harness.runs.run import run, student_at
from harness.storage import checkpoint
from harness.storage.run_folder import RunFolder, RunState
from harness.suite import Evaluation
from harness.training.loop import log, restore, save, train_step
from harness.training.trainer import Trainer, prepare
from harness.types import HarnessError, Policy

LORA = LoraSpec(rank=4, alpha=8.0)
WITHOUT = importlib.util.find_spec("peft") is None
needs_peft = pytest.mark.skipif(WITHOUT, reason="needs peft: install the extra lora")


def spec_of(method: str = "sdft", steps: int = 3, lora: LoraSpec | None = LORA, **changes: object) -> RunSpec:
    spec = short_run(method, steps, lora=lora, **changes)
    assert spec.optim is not None
    return dataclasses.replace(spec, optim=dataclasses.replace(spec.optim, lr=1e-2))


def ids_of(trainer: Trainer, policy: Policy) -> set[int]:
    return {weight.data_ptr() for weight in trainer.policies[policy].parameters()}


def test_adapters_are_part_of_a_run_and_absent_ones_of_none() -> None:
    plain, spec = short_run("sdft", 3), short_run("sdft", 3, lora=LORA)
    assert plain.id != spec.id and "lora" not in to_json(plain)
    assert from_json(to_json(spec)) == spec
    named = dataclasses.replace(LORA, targets=("q_proj", "v_proj"))
    assert from_json(to_json(dataclasses.replace(spec, lora=named))).lora == named


@pytest.mark.parametrize("change", [{"rank": 0}, {"alpha": 0.0}])
def test_a_rank_or_alpha_that_is_no_adapter_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(HarnessError, match=r"lora rank=\d, alpha=[\d.]+: give a rank of at least 1, an alpha above 0"):
        dataclasses.replace(LORA, **change)  # pyright: ignore[reportArgumentType]


def test_only_a_distilled_student_has_adapters() -> None:
    spec = dataclasses.replace(short_run("sdft", 3), method=None, recipe=registry.recipe_spec("fine_tune"))
    with pytest.raises(HarnessError, match=r"lora of a run without a method \(recipe/fine_tune\)"):
        dataclasses.replace(spec, lora=LORA)


def test_without_peft_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(HarnessError, match=r"needs the package peft: install the extra lora"):
        prepare(spec_of())


@needs_peft
def test_before_a_step_it_is_the_student_and_nothing_of_the_base_is_copied() -> None:
    """The initial policy is the base itself; the average has the base's tensors and adapters of its own."""
    plain = prepare(short_run("dopd_initial_self", 3))
    for method, still in (("dopd_initial_self", Policy.INITIAL), ("exopd", Policy.REFERENCE)):
        trainer = prepare(spec_of(method))
        mine = ids_of(trainer, Policy.STUDENT)
        assert ids_of(trainer, still) < mine, "only the adapters are the student's alone"
        assert not lora.is_attached(trainer.policies[still])
    moving = prepare(spec_of("sdft"))
    both = ids_of(moving, Policy.EMA) & ids_of(moving, Policy.STUDENT)
    own = ids_of(moving, Policy.EMA) - both
    assert len(own) == 2 * 2 * 7 and len(both) == len(ids_of(moving, Policy.STUDENT)) - len(own)
    ids = torch.arange(3, 20)[None]
    want = plain.student(input_ids=ids).logits
    for trainer, policy in ((moving, Policy.STUDENT), (moving, Policy.EMA)):
        assert torch.equal(trainer.policies[policy](input_ids=ids).logits, want), policy


@needs_peft
@pytest.mark.parametrize("method", ["dopd", "sdft", "dapd", "exopd", "opsd"])
def test_a_step_moves_the_adapters_alone(method: str) -> None:
    """Student and average; the base, under every policy, stays to the last bit."""
    trainer = prepare(spec_of(method))
    before = {p: {n: w.clone() for n, w in m.named_parameters()} for p, m in trainer.policies.items()}
    for _ in range(2):
        assert train_step(trainer)["gradient_norm"] > 0
    for policy, weights in before.items():
        moved = {n for n, w in trainer.policies[policy].named_parameters() if not torch.equal(w, weights[n])}
        if policy in (Policy.STUDENT, Policy.EMA):
            assert moved and all(lora.MARK in name for name in moved)
        else:
            assert not moved, policy


@needs_peft
def test_the_live_self_teacher_is_the_student_with_its_adapters() -> None:
    trainer = prepare(spec_of("dopd"))
    live = {view.policy for term in trainer.method.terms for view in term.sources} | {
        v.policy for v in trainer.method.scored
    }
    assert Policy.STUDENT in live and trainer.policies[Policy.STUDENT] is trainer.student
    assert lora.is_attached(trainer.student)


def weights_of(trainer: Trainer) -> list[Tensor]:
    return [w for model in trainer.policies.values() for w in model.parameters()] + [
        w for masters in (trainer.weights, *trainer.copies.values()) for w in masters.moved
    ]


@needs_peft
@pytest.mark.parametrize(("method", "dtype"), [("sdft", "float32"), ("dapd", "float32"), ("sdft", "bfloat16")])
def test_stopped_after_two_of_three_steps(tmp_path: Path, method: str, dtype: str) -> None:
    folder = RunFolder(tmp_path, spec_of(method, dtype=dtype))
    whole = prepare(folder.spec)
    folder.path.mkdir(parents=True)
    for step in (1, 2):
        log(folder, {"step": step, **train_step(whole)})
    save(folder, whole)
    assert all(lora.MARK in n or n == lora.ROWS for n in checkpoint.at_step(folder.checkpoints, 2).weights())
    train_step(whole)
    resumed = prepare(folder.spec)
    restore(folder, resumed, checkpoint.latest_valid(folder.checkpoints)[0])
    train_step(resumed)
    assert all(torch.equal(a, b) for a, b in zip(weights_of(whole), weights_of(resumed), strict=True))


@needs_peft
def test_what_is_evaluated_is_the_student_merged(tmp_path: Path) -> None:
    """Plain layers, the numbers of the adapters; what is saved loads without peft."""
    folder = RunFolder(tmp_path, spec_of("dopd"))
    trainer = prepare(folder.spec)
    folder.path.mkdir(parents=True)
    for step in (1, 2):
        log(folder, {"step": step, **train_step(trainer)})
    save(folder, trainer)
    merged = student_at(folder, 2)
    assert not lora.is_attached(merged)
    ids = torch.arange(3, 20)[None]
    models = (merged, trainer.student, load.load(folder.spec.student))
    with torch.no_grad():
        got, want, first = (model(input_ids=ids).logits.log_softmax(-1) for model in models)
    assert float((got - want).abs().max()) < 1e-4 < float((got - first).abs().max())
    merged.save_pretrained(tmp_path / "out")
    again = load.load(dataclasses.replace(folder.spec.student, name=str(tmp_path / "out"), sha256=""))
    assert torch.equal(again(input_ids=ids).logits, merged(input_ids=ids).logits)


@needs_peft
def test_a_run_from_start_to_rows_and_one_that_continues_it(tmp_path: Path) -> None:
    """The second begins with the adapters of the first: its step 0 is the first's end, its initial policy too."""
    asked = (Evaluation("last", "permutations_coding", "greedy"),)
    first = RunFolder(tmp_path, spec_of("dopd_initial_self", 4))
    run(first, asked, lambda *_: None)
    assert first.state(asked) is RunState.DONE and len(first.rows()) == 2
    second = RunFolder(tmp_path, dataclasses.replace(first.spec, start=first.spec.id, seed=1))
    trainer = prepare(second.spec, tmp_path)
    end = checkpoint.at_step(first.checkpoints, 4).weights()
    begun = lora.kept(trainer.student)
    assert all(torch.equal(begun[name], weight) for name, weight in end.items())
    initial = dict(trainer.policies[Policy.INITIAL].named_parameters())
    for name, weight in trainer.student.named_parameters():
        assert torch.equal(initial[name], weight) and (initial[name] is weight) == (lora.MARK not in name)
    run(second, asked, lambda *_: None)
    assert second.state(asked) is RunState.DONE
    other = dataclasses.replace(second.spec, lora=dataclasses.replace(LORA, rank=2))
    with pytest.raises(HarnessError, match=r"whose lora is .*rank=4.*, not .*rank=2"):
        prepare(other, tmp_path)


@needs_peft
def test_a_padded_vocabulary_is_cut_in_the_evaluated_student_too(tmp_path: Path) -> None:
    def wider(weights: Weights) -> Weights:
        name = "model.embed_tokens.weight"
        more = torch.full((100 - len(IDS), weights[name].shape[1]), 9.0)
        return weights | {name: torch.cat([weights[name], more])}

    student = model_folder(tmp_path / "m", weights=wider, config={"vocab_size": 100})
    folder = RunFolder(tmp_path, spec_of("dopd", 2, student=student))
    run(folder, (), lambda *_: None)
    assert vocabulary_size(student_at(folder, 2)) == len(IDS)


@needs_peft
@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (("nowhere",), r"lora targets nowhere: peft finds none in Qwen3ForCausalLM .*q_proj"),
        (("lm_head",), "output layer"),
    ],
)
def test_targets_that_are_not_there_or_serve_all_are_refused(targets: tuple[str, ...], said: str) -> None:
    with pytest.raises(HarnessError, match=said):
        prepare(spec_of(lora=dataclasses.replace(LORA, targets=targets)))


@needs_peft
def test_a_seed_draws_the_adapters() -> None:
    one, again, other = (lora.kept(prepare(spec_of(seed=seed)).student) for seed in (0, 0, 5))  # of one draw
    names = [name for name in one if "lora_A" in name]
    assert all(torch.equal(one[n], again[n]) and not torch.equal(one[n], other[n]) for n in names)
