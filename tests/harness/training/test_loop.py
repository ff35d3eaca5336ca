"""The loop on the embedded models: every method moves the student, a killed run resumes to the same bytes."""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from support import language
from support.drive_run import EVALUATIONS, folder_of, short_run
from support.folders import model_folder

from harness import registry
from harness.evaluation.benchmarks import BENCHMARKS, benchmark
from harness.models.forward import score
from harness.profile import DEVELOPMENT_SEEDS
from harness.runs.run import run
from harness.storage import files
from harness.storage.run_folder import RunFolder, RunState
from harness.training import trainer as module
from harness.training.loop import detect_collapse, train, train_step, written_batch
from harness.training.process import device
from harness.training.trainer import Trainer, prepare
from harness.types import PLAIN, HarnessError, Policy, Privilege, Want

NAMES = [name for name in registry.methods() if not registry.method_class(name).pictures]
QUICK = ("vanilla_opd", "dopd", "grpo")
"""Methods that the quick tests train."""
CODING = "permutations_coding"
DRIVER = Path(__file__).resolve().parents[2] / "support" / "drive_run.py"


def small_trainer(method: str, **changes: object) -> Trainer:
    return prepare(short_run(method, 10, **changes))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in NAMES]
)
def test_no_method_is_a_no_op(name: str) -> None:
    """Under hints, two steps of every method change the student, and nothing else."""
    trainer = small_trainer(name, prompts_per_step=4, rollouts_per_prompt=4)
    assert trainer.data.privilege is Privilege.HINTS
    before = {p: [w.clone() for w in m.parameters()] for p, m in trainer.policies.items()}
    metrics = [train_step(trainer) for _ in range(2)]
    assert any(m["gradient_norm"] > 0 for m in metrics)
    for policy, weights in before.items():
        moved = any(not torch.equal(a, b) for a, b in zip(weights, trainer.policies[policy].parameters(), strict=True))
        assert moved == (policy in (Policy.STUDENT, Policy.EMA)), policy


def test_log_probs_of_the_sampler_are_those_of_the_trainer() -> None:
    """One optimiser step a batch: the importance ratio must be 1 to 1e-4."""
    trainer = small_trainer("vanilla_opd")
    batch = written_batch(trainer)
    r = batch.rollouts
    scores = score(
        trainer.student,
        batch.contexts[PLAIN],
        r.response_ids_BT,
        r.mask_BT,
        wants=frozenset({Want.LOGP}),
        temperature=1.0,
        microbatch=64,
    )
    assert float((scores.logp_BT - r.logp_BT).abs().max()) < 1e-4


@pytest.mark.parametrize(
    ("method", "changes"),
    [("grpo", {"temperature": 0.6}), ("vanilla_opd_sampled", {"top_p": 0.9}), ("gkd", {"temperature": 2.0})],
)
def test_rollouts_of_another_policy_than_the_trained_view_are_refused(method: str, changes: dict[str, float]) -> None:
    """At 0.6 the first importance ratio of GRPO was 0.87 to 10 instead of 1."""
    with pytest.raises(HarnessError, match=r"for rollouts of .*, whose trained views have temperature 1: its ratios"):
        small_trainer(method, **changes)


@pytest.mark.slow
def test_rollouts_at_the_temperature_of_the_views_have_ratio_one() -> None:
    """Views of 1.1 and rollouts of 1.1; a teacher's responses may be drawn at any temperature."""
    spec = short_run("dapd", 10, temperature=1.1)
    assert registry.build_method(spec.method).terms[0].trained.temperature == 1.1
    trainer = prepare(spec)
    batch = written_batch(trainer)
    r, sampled_BT = batch.rollouts, batch.rollouts.mask_BT & ~batch.reference_B[:, None]
    got = score(
        trainer.student,
        r.prompts,
        r.response_ids_BT,
        r.mask_BT,
        wants=frozenset({Want.LOGP}),
        temperature=1.1,
        microbatch=64,
    )
    assert got.logp_BT is not None
    assert float(((got.logp_BT - r.logp_BT)[sampled_BT]).exp().sub(1).abs().max()) < 1e-3
    small_trainer("seqkd", temperature=0.6, top_p=0.9)


def test_a_teacher_with_fewer_positions_is_refused_before_the_first_step(tmp_path: Path) -> None:
    """Was an index out of bounds, or positions the teacher had never seen."""
    teacher = model_folder(tmp_path / "teacher", language.TEACHER, config={"max_position_embeddings": 40})
    with pytest.raises(
        HarnessError, match=r"prompt of \d+ tokens and response of \d+ exceed the model's 40 positions \("
    ):
        small_trainer("vanilla_opd", teacher=teacher)


def test_a_prompt_after_those_looked_at_is_measured_before_it_is_continued() -> None:
    trainer = small_trainer("seqkd")
    trainer.policies[Policy.TEACHER].config.max_position_embeddings = 40
    with pytest.raises(HarnessError, match=r"exceed the model's 40 positions \(.*teacher\)"):
        written_batch(trainer)


@pytest.mark.slow
def test_a_prompt_longer_than_the_run_allows_is_refused_whole() -> None:
    with pytest.raises(
        HarnessError, match=r"\d+ of \d+ prompts, p included, have more than max_prompt_tokens=40, the lon"
    ):
        small_trainer("dopd", max_prompt_tokens=40)
    trainer = small_trainer("sdpo", max_prompt_tokens=300)
    trainer.spec = dataclasses.replace(trainer.spec, max_prompt_tokens=40)
    with pytest.raises(HarnessError, match="prompts, p included, have more than max_prompt_tokens=40"):
        written_batch(trainer)


@pytest.mark.slow
def test_a_micro_batch_changes_the_passes_and_no_number() -> None:
    losses, passes = [], []
    for micro_batch in (64, 3):
        trainer = small_trainer("dopd", micro_batch=micro_batch)
        counted: list[int] = []
        teacher = trainer.policies[Policy.TEACHER]
        teacher.register_forward_hook(lambda *_, counted=counted: counted.append(1))
        teacher.base_model.register_forward_hook(lambda *_, counted=counted: counted.append(1))
        losses.append([train_step(trainer)["loss"] for _ in range(2)])
        passes.append(len(counted))
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert passes[1] > passes[0]


def test_a_device_is_taken_by_name_or_refused() -> None:
    assert {device("cpu"), device("auto")} == {torch.device("cpu")} or torch.cuda.is_available()
    for name in ("cuda:77", "gpu"):
        with pytest.raises(HarnessError, match=rf"device '{name}' is not here \(.*\): give cpu, cuda, cuda:1 or auto"):
            device(name)
    with pytest.raises(HarnessError, match="device 'gpu' is not here"):
        small_trainer("vanilla_opd", device="gpu")


@pytest.mark.slow
def test_two_steps_twice_give_the_same_bits() -> None:
    weights = []
    for _ in range(2):
        trainer = small_trainer("dopd")
        train_step(trainer), train_step(trainer)
        weights.append([p.clone() for p in trainer.student.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))


@pytest.mark.slow
def test_a_pair_without_a_padding_token_gives_the_same_bits(tmp_path: Path) -> None:
    """Any id may stand in masked places: here it is EOS."""
    bare = {"config": {"pad_token_id": None}, "generation_config": {"pad_token_id": None}}
    losses = []
    for name, records in (("with", {}), ("without", bare | {"tokenizer_config": {"pad_token": None}})):
        pair = {
            whose: model_folder(tmp_path / name / model, model, **records)
            for whose, model in (("student", language.STUDENT), ("teacher", language.TEACHER))
        }
        trainer = prepare(dataclasses.replace(short_run("dopd", 2, seed=DEVELOPMENT_SEEDS), **pair))
        assert trainer.reader.tokenizer.pad_token_id == (0 if name == "with" else None)
        losses.append([train_step(trainer)["loss"] for _ in range(2)])
    assert losses[0] == losses[1]


@pytest.mark.slow
def test_every_logged_step_has_what_a_reader_needs(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "dopd", 4)
    with folder.lock():
        folder.prepare()
        train(folder, prepare(folder.spec), lambda *_: None)
    lines = files.read_jsonl(folder.metrics)
    assert [m["step"] for m in lines] == [0, 1, 2, 3, 4]
    wanted = {"loss", "entropy", "entropy_all", "response_length", "truncation_rate", "gradient_norm", "tokens"}
    wanted |= {"tokens_per_second", "memory_mb", "reward", "probe/accuracy", "probe/accuracy_with_p"}
    wanted |= {f"seconds/{p}" for p in ("rollout", "scores", "assignment", "gradient", "optimiser", "evaluation")}
    wanted |= {f"{what}/{regime}" for what in ("share", "loss") for regime in ("LH", "LL", "HT", "HS")}
    assert wanted <= set(lines[-1])


def start(results: Path, method: str, steps: int) -> subprocess.Popen[bytes]:
    root = str(Path(__file__).resolve().parents[3])
    environment = os.environ | {"PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(DRIVER), str(results), method, str(steps)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def logged(folder: RunFolder) -> int:
    return len(files.read_jsonl(folder.metrics))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["dopd_ema_self"])
def test_killed_at_three_random_moments_and_resumed_gives_identical_rows(tmp_path: Path, method: str) -> None:
    steps = 40
    whole, killed = (folder_of(tmp_path / name, method, steps) for name in ("whole", "killed"))
    assert start(tmp_path / "whole", method, steps).wait() == 0
    moments = sorted(random.SystemRandom().sample(range(1, steps), 3))
    kills = 0
    for moment in moments:
        process = start(tmp_path / "killed", method, steps)
        while process.poll() is None and logged(killed) <= moment:
            time.sleep(0.01)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills == 3, f"moments {moments}: a process ended before it could be killed"
    assert killed.state(EVALUATIONS) is RunState.PARTIAL
    assert start(tmp_path / "killed", method, steps).wait() == 0
    assert killed.state(EVALUATIONS) is RunState.DONE
    for name in ("rows.jsonl", f"checkpoints/step-{steps:06d}/weights.safetensors"):
        assert (whole.path / name).read_bytes() == (killed.path / name).read_bytes(), (name, moments)
    assert [m["step"] for m in files.read_jsonl(killed.metrics)] == list(range(steps + 1))


@pytest.mark.slow
def test_a_damaged_checkpoint_falls_back_and_says_so(tmp_path: Path) -> None:
    whole, damaged = (folder_of(tmp_path / name, "dopd", 10) for name in ("whole", "damaged"))
    run(whole, EVALUATIONS[:1], lambda *_: None)

    class Stop(Exception):
        pass

    def stop_at_five(step: int, steps: int, metrics: object) -> None:
        if step == 5:
            raise Stop

    with pytest.raises(Stop):
        run(damaged, EVALUATIONS[:1], stop_at_five)
    newest = damaged.checkpoints / "step-000005" / "state.pt"
    newest.write_bytes(newest.read_bytes()[:-100])
    said = run(damaged, EVALUATIONS[:1], lambda *_: None)
    assert "step-000005" in said and "step 4" in said
    assert [r.value for r in damaged.rows()] == [r.value for r in whole.rows()]


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 3])
def test_stopped_between_checkpoints_every_step_is_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Before the first checkpoint after step 0, and after it."""
    monkeypatch.setattr(module, "PROBE_SIZE", 4)
    folder = folder_of(tmp_path, "vanilla_opd", 20)

    class Stop(Exception):
        pass

    def stop(at: int, steps: int, metrics: object) -> None:
        if at == step:
            raise Stop

    with pytest.raises(Stop):
        run(folder, (), stop)
    run(folder, (), lambda *_: None)
    assert [m["step"] for m in files.read_jsonl(folder.metrics)] == list(range(21))


@pytest.mark.slow
def test_a_done_run_trains_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BENCHMARKS, CODING, dataclasses.replace(benchmark(CODING), n=12))
    folder = folder_of(tmp_path, "vanilla_opd", 2)
    run(folder, EVALUATIONS[:1], lambda *_: None)
    before = {p: p.stat().st_mtime_ns for p in folder.path.rglob("*") if p.name in ("metrics.jsonl", "rows.jsonl")}
    steps: list[int] = []
    run(folder, EVALUATIONS[:1], lambda step, *_: steps.append(step))
    assert steps == []
    assert {p: p.stat().st_mtime_ns for p in before} == before
    more = run(folder, EVALUATIONS, lambda step, *_: steps.append(step))
    assert steps == [] and more == ""
    assert {r.decoding for r in folder.rows()} == {"greedy", "sample4"}


def test_collapse_is_named() -> None:
    fine = {"probe/accuracy": 0.4, "truncation_rate": 0.0, "gradient_norm": 1.0}
    assert detect_collapse([fine, fine | {"probe/accuracy": 0.21}]) == "ok"
    assert detect_collapse([fine, fine | {"probe/accuracy": 0.19}]) == "collapsed"
    assert detect_collapse([fine, fine | {"truncation_rate": 0.5}]) == "collapsed"
    assert detect_collapse([fine, fine | {"gradient_norm": None}, fine]) == "collapsed"
    assert detect_collapse([]) == "ok"
    # What never ended its responses has not come to it.
    assert detect_collapse([fine | {"truncation_rate": 1.0}] * 3) == "ok"
    # What fell, or was cut, and came back has not collapsed.
    assert detect_collapse([fine, fine | {"probe/accuracy": 0.01}, fine | {"probe/accuracy": 0.3}]) == "ok"
    assert detect_collapse([fine, *[fine | {"truncation_rate": 0.9}] * 5, *[fine] * 20]) == "ok"


@pytest.mark.slow
def test_bad_input_is_refused_before_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = small_trainer("dopd")
    spec = trainer.spec
    assert spec.method is not None and spec.data is not None
    with pytest.raises(HarnessError, match="k=1000 with a vocabulary"):
        prepare(dataclasses.replace(spec, method=registry.method_spec("dopd", {"k": 1000})))
    with pytest.raises(HarnessError, match="positions"):
        prepare(dataclasses.replace(spec, max_response_tokens=100_000))
    with pytest.raises(HarnessError, match="reference row"):
        prepare(dataclasses.replace(spec, method=None))
    from harness.worlds.permutations.world import PermutationsWorld

    examples = PermutationsWorld.examples

    def without_hints(*arguments: Any, **named: Any) -> list:
        found = examples(*arguments, **named)
        return [
            dataclasses.replace(e, privileged={k: v for k, v in e.privileged.items() if k != "hints"})
            for e in found[:8]
        ]

    monkeypatch.setattr(PermutationsWorld, "examples", without_hints)
    with pytest.raises(HarnessError, match="'hints' is not in the data"):
        prepare(spec)


@pytest.mark.slow
def test_two_ranks_under_torchrun_finish_a_run(tmp_path: Path) -> None:
    """Each rank samples its own prompts; both end with the same student, the first one writes."""
    folder = folder_of(tmp_path, "dopd", 3)
    root = str(Path(__file__).resolve().parents[3])
    environment = os.environ | {"PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += [str(DRIVER), str(tmp_path), "dopd", "3"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert folder.state(EVALUATIONS) is RunState.DONE, done.stderr[-2000:]
    lines = files.read_jsonl(folder.metrics)
    assert [m["step"] for m in lines] == [0, 1, 2, 3]
    alone = folder_of(tmp_path / "alone", "dopd", 3)
    run(alone, EVALUATIONS[:1], lambda *_: None)
    both, one = (sum(m.get("tokens", 0) for m in files.read_jsonl(f.metrics)) for f in (folder, alone))
    assert both > 1.5 * one, "two ranks write two batches a step"
