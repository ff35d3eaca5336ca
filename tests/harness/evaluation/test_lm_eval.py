"""Tasks that lm-eval ships, on local items of their schema: prompts, scorers, records and refusals."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.evaluator import evaluate as lm_evaluate
from lm_eval.models.huggingface import HFLM
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from harness import registry
from harness.analysis import answers
from harness.config import ModelSpec
from harness.evaluation import benchmarks, evaluator, lm_eval
from harness.evaluation.benchmarks import BENCHMARKS, NATIVE, SHIPPED, LmEvalBenchmark, Metric
from harness.evaluation.evaluate import evaluate, export, prepare
from harness.evaluation.evaluator import Score
from harness.models.reader import TextReader
from harness.runs.run import run
from harness.storage import files
from harness.storage.run_folder import RunFolder, RunState
from harness.suite import Evaluation, reference_run
from harness.types import HarnessError

EOS = "<|im_end|>"
STRICT, FLEXIBLE = "exact_match,strict-match", "exact_match,flexible-extract"
ANSWERS = (18, 5, 70, 540, 20, 64)
ITEMS = [
    {"question": f"Ada has {answer} eggs. How many has she, question {i}?", "answer": f"She has them.\n#### {answer}"}
    for i, answer in enumerate(ANSWERS)
]
"""Of gsm8k's schema."""
RESPONSES = (
    f"She has 18.\n#### 18{EOS}",  # right
    f"The answer is 5.{EOS}",  # right, not in the strict form
    f"#### 99{EOS}",  # wrong
    "words and no end ",  # cut at the limit, no answer
    "#### 20\nQuestion: what else?",  # right; ends at the task's stop string
    f"I cannot say.{EOS}",  # no answer
)
GSM8K = BENCHMARKS["gsm8k"]
LIMIT = 48


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """Byte by byte: it reads any prompt."""
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={symbol: i for i, symbol in enumerate(symbols)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=core, eos_token=EOS, pad_token="<|endoftext|>", padding_side="left")
    made.chat_template = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}<assistant>"
    return made


@pytest.fixture(scope="module")
def model(tokenizer: PreTrainedTokenizerFast) -> Qwen3ForCausalLM:
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=2048,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return Qwen3ForCausalLM(config).eval()


@pytest.fixture
def six(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LmEvalBenchmark:
    """lm-eval's own gsm8k, on a file of six items."""
    return local(monkeypatch, tmp_path, GSM8K, ITEMS, max_new_tokens=LIMIT)


def local(
    monkeypatch: pytest.MonkeyPatch, folder: Path, benchmark: Any, items: list[dict[str, Any]], **changes: Any
) -> LmEvalBenchmark:
    """The benchmark on local items, registered as ``six``."""
    path = folder / "items.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    made = dataclasses.replace(benchmark, name="six", data=str(path), n=None, **changes)
    monkeypatch.setitem(BENCHMARKS, "six", made)
    return made


def wanted(benchmark: LmEvalBenchmark) -> list[Evaluation]:
    return [Evaluation("last", benchmark.name, NATIVE, benchmark.version)]


def script(monkeypatch: pytest.MonkeyPatch, responses: tuple[str, ...]) -> list[str]:
    """lm-eval's generation replaced: the response to item i is the i-th; returns the prompts it will receive."""
    prompts: list[str] = []

    def generate(self: HFLM, context: torch.Tensor, max_length: int, stop: list[str], **_: Any) -> torch.Tensor:
        texts = self.tokenizer.batch_decode(context, skip_special_tokens=True)
        prompts.extend(texts)
        rows = []
        for text in texts:
            asked = int(re.findall(r"question (\d)", text)[-1])
            ids = self.tokenizer(responses[asked])["input_ids"]
            room = max_length - context.shape[1]
            ids = ids if EOS in responses[asked] or "Question:" in responses[asked] else (ids * room)[:room]
            rows.append(ids + [self.tokenizer.pad_token_id] * (room - len(ids)))
        return torch.cat([context, torch.tensor(rows)], dim=1)

    monkeypatch.setattr(HFLM, "_model_generate", generate)
    return prompts


def by_metric(scores: list[Score]) -> dict[str, Score]:
    return {score.metric: score for score in scores}


# Scoring, told from noise by known responses


def test_gsm8k_grades_known_responses(
    six: LmEvalBenchmark,
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prompts = script(monkeypatch, RESPONSES)
    scores = by_metric(evaluate(model, TextReader(tokenizer), wanted(six), seed=0, step=0))
    assert list(scores) == [STRICT, FLEXIBLE]
    strict, flexible = scores[STRICT], scores[FLEXIBLE]
    assert (strict.value, flexible.value) == (2 / 6, 3 / 6)
    assert (strict.n, strict.errors, strict.truncations) == (6, 3, 1)
    assert (flexible.n, flexible.errors, flexible.truncations) == (6, 2, 1)
    assert (strict.benchmark, strict.version, strict.decoding) == ("six", 3.0, "native")
    records = strict.items
    assert [r["id"] for r in records] == [str(i) for i in range(6)]
    assert [r["answer"] for r in records] == [True, False, False, False, True, False]
    assert [r["truncated"] for r in records] == [False, False, False, True, False, False]
    assert records[1]["metrics"] == {STRICT: 0.0, FLEXIBLE: 1.0}
    assert records[1]["filtered"] == {"strict-match": ["[invalid]"], "flexible-extract": ["5."]}
    assert records[4]["response"] == ["#### 20\n"]
    assert json.loads(json.dumps(records)) == records
    # Five other items stand in each prompt, answered; the item itself only asked.
    for prompt in prompts:
        assert prompt.count("Question:") == 6 and prompt.count("####") == 5
        asked = int(re.findall(r"question (\d)", prompt)[-1])
        assert f"#### {ANSWERS[asked]}\n" not in prompt


def test_multiple_choice_by_likelihood(
    tmp_path: Path,
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    items = [
        {
            "question": f"Which word is {word}?",
            "choices": {"text": ["stone", "wool", "leaf", "salt"], "label": ["A", "B", "C", "D"]},
            "answerKey": "ABCD"[i % 4],
        }
        for i, word in enumerate(("hard", "warm", "green", "white", "old"))
    ]
    arc = LmEvalBenchmark(
        name="arc",
        task="arc_easy",
        folder="arc",
        metrics=(Metric(name="acc,none"), Metric(name="acc_norm,none")),
        primary=(NATIVE, "acc,none"),
    )
    made = local(monkeypatch, tmp_path, arc, items)
    noise = by_metric(evaluate(model, TextReader(tokenizer), wanted(made), seed=0, step=0))
    assert noise["acc,none"].n == 5 and 0 <= noise["acc,none"].value <= 1

    def likelihood(self: HFLM, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Stone is always likeliest by its sum; wool is when lengths are divided out."""
        return [(-5.0 if "stone" in r.args[1] else -3.8 if "wool" in r.args[1] else -9.0, False) for r in requests]

    monkeypatch.setattr(HFLM, "loglikelihood", likelihood)
    scores = by_metric(evaluate(model, TextReader(tokenizer), wanted(made), seed=0, step=0))
    assert scores["acc,none"].value == 1 / 5  # wool: item 1
    assert scores["acc_norm,none"].value == 1 / 5
    assert [r["answer"] for r in scores["acc,none"].items] == [False, True, False, False, False]
    assert (scores["acc,none"].errors, scores["acc,none"].truncations) == (0, 0)


@pytest.mark.parametrize(
    ("grades", "said"),
    [((1.0, 0.0, 1.0), [True, False, True]), ((1.0, 0.5, 0.0), [None] * 3), ((1.0, 0.0, 2.0), [None] * 3)],
)
def test_an_answer_is_right_or_wrong_or_of_no_item(grades: tuple[float, ...], said: list[bool | None]) -> None:
    """One f1 of exactly 1 among others does not make its item a right answer."""
    graded = LmEvalBenchmark(name="graded", task="t", metrics=(Metric(name="f1,none"),), primary=(NATIVE, "f1,none"))
    hashes = dict.fromkeys(("doc_hash", "prompt_hash", "target_hash"), "")
    samples: list[tuple[str, dict[str, Any]]] = [
        ("t", {"doc_id": i, "resps": [["a"]], "target": "b", "arguments": [["c"]], "filter": "none",
               "filtered_resps": ["a"], "metrics": ["f1"], "f1": grade, **hashes})
        for i, grade in enumerate(grades)
    ]  # fmt: skip
    records = lm_eval.records(graded, samples, {})
    assert [record["answer"] for record in records] == said
    assert [record["metrics"]["f1,none"] for record in records] == list(grades)


def test_a_group_is_scored_over_its_tasks(
    tmp_path: Path,
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for i, level in enumerate(("easy", "medium", "hard")):
        rows = [{"question": f"What is {level} {k}?", "answer_id": k % 2, "answer": "AB"[k % 2]} for k in range(4 + i)]
        path = tmp_path / f"med_concepts_qa_atc_{level}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    group = LmEvalBenchmark(
        name="group",
        task="med_concepts_qa_atc",
        folder="med_concepts_qa",
        metrics=(Metric(name="acc,none"),),
        primary=(NATIVE, "acc,none"),
        data=str(tmp_path),
        fewshot=1,
    )
    monkeypatch.setitem(BENCHMARKS, "group", group)

    def first(self: HFLM, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        return [(-float("A" not in request.args[1]), False) for request in requests]

    monkeypatch.setattr(HFLM, "loglikelihood", first)
    (score,) = evaluate(model, TextReader(tokenizer), wanted(group), seed=0, step=0)
    assert score.n == 4 + 5 + 6 and score.value == (2 + 3 + 3) / 15
    assert len({r["id"] for r in score.items}) == 15
    assert score.items[0]["id"] == "med_concepts_qa_atc_easy/0"


# The same as lm-eval's own model, and nothing left behind


@pytest.mark.slow
def test_prompts_responses_and_metrics_are_those_of_stock_lm_eval(
    six: LmEvalBenchmark, model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast
) -> None:
    scores = evaluate(model, TextReader(tokenizer), wanted(six), seed=0, step=0)
    with lm_eval.loaded(six) as tasks:
        lm = HFLM(pretrained=model, tokenizer=tokenizer, backend="causal", batch_size=4)
        stock: Any = lm_evaluate(lm, tasks, bootstrap_iters=0)
    assert {s.metric: s.value for s in scores} == {name: stock["results"]["gsm8k"][name] for name in (STRICT, FLEXIBLE)}
    strict = [s for s in stock["samples"]["gsm8k"] if s["filter"] == "strict-match"]
    assert [r["response"] for r in scores[0].items] == [s["resps"][0] for s in strict]
    assert [r["prompt_hash"] for r in scores[0].items] == [s["prompt_hash"] for s in strict]
    assert scores == evaluate(model, TextReader(tokenizer), wanted(six), seed=1, step=3)


@pytest.mark.slow
def test_draws_depend_on_seed_step_and_benchmark(
    six: LmEvalBenchmark,
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script(monkeypatch, RESPONSES)
    generate, seen = lm_eval.NativeLM.generate_until, []

    def noted(self: Any, *args: Any, **kwargs: Any) -> list[str]:
        seen.append((random.random(), np.random.random(), torch.rand(1).item()))
        return generate(self, *args, **kwargs)

    monkeypatch.setattr(lm_eval.NativeLM, "generate_until", noted)
    other = dataclasses.replace(six, name="other")
    monkeypatch.setitem(BENCHMARKS, "other", other)
    for benchmark, seed, step in ((six, 0, 0), (six, 0, 0), (six, 1, 0), (six, 0, 1), (other, 0, 0)):
        evaluate(model, TextReader(tokenizer), wanted(benchmark), seed=seed, step=step)
    assert seen[0] == seen[1] and [len(set(draws)) for draws in zip(*seen, strict=True)] == [4, 4, 4]


def test_packages_that_a_task_needs_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: Any, **__: Any) -> None:
        raise ModuleNotFoundError("no math_verify: pip install\nlm-eval[math]")

    monkeypatch.setattr(lm_eval, "TaskManager", absent)
    math500 = BENCHMARKS["math500"]
    with pytest.raises(
        HarnessError, match=r"minerva_math500 of lm-eval needs packages that are not here .*math_verify"
    ):
        prepare([Evaluation("last", "math500", NATIVE, math500.version)])


def test_chat_and_fewshot_are_the_benchmarks(
    six: LmEvalBenchmark,
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(BENCHMARKS, "six", dataclasses.replace(six, fewshot=0, chat=True))
    prompts = script(monkeypatch, RESPONSES)
    evaluate(model, TextReader(tokenizer), wanted(six), seed=0, step=0)
    assert sorted(prompts) == sorted(f"<user>Question: {item['question']}\nAnswer:<assistant>" for item in ITEMS)


def test_nothing_is_left_behind(
    six: LmEvalBenchmark,
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    script(monkeypatch, RESPONSES)
    original = lm_eval.NativeLM.generate_until

    def disturb(self: Any, *args: Any, **kwargs: Any) -> list[str]:
        random.seed(1)
        torch.manual_seed(1)
        os.environ["LEFT_BEHIND"] = "1"
        return original(self, *args, **kwargs)

    monkeypatch.setattr(lm_eval.NativeLM, "generate_until", disturb)
    states = random.getstate(), torch.get_rng_state().tolist(), logging.getLogger("lm_eval").level, dict(os.environ)
    evaluate(model, TextReader(tokenizer), wanted(six), seed=0, step=0)
    assert (random.getstate(), torch.get_rng_state().tolist()) == states[:2]
    assert (logging.getLogger("lm_eval").level, dict(os.environ)) == states[2:]
    assert capfd.readouterr() == ("", "")


# Through a whole run


def test_a_whole_run_holds_its_rows_and_samples(
    six: LmEvalBenchmark,
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    script(monkeypatch, RESPONSES)
    model.save_pretrained(tmp_path / "tiny")
    tokenizer.save_pretrained(tmp_path / "tiny")
    spec = reference_run(registry.profile("embedded").in_draw(5), ModelSpec(name=str(tmp_path / "tiny")))
    folder = RunFolder(tmp_path / "results", spec)
    said: list[tuple[str, int, int]] = []
    assert run(folder, wanted(six), lambda *_: None, lambda *asked: said.append(asked)) == ""
    assert said == [("six", 1, 1)]
    assert folder.state(wanted(six)) is RunState.DONE
    rows = {row.metric: row for row in folder.rows()}
    assert {(r.benchmark, r.version, r.decoding, r.n) for r in rows.values()} == {("six", 3, "native", 6)}
    assert (rows[STRICT].value, rows[FLEXIBLE].value) == (2 / 6, 3 / 6)
    records = files.read_jsonl(folder.samples(wanted(six)[0]))
    assert [r["answer"] for r in records] == [True, False, False, False, True, False]
    (kept,) = answers.of_run(folder, wanted(six))
    assert kept.right == (True, False, False, False, True, False)
    (parsed,) = [answers._parsed(json.loads(line)) for line in answers.to_jsonl([kept]).splitlines()]
    assert parsed == kept
    older = dataclasses.replace(kept, version=3.1)
    assert answers._parsed(json.loads(answers.to_jsonl([older]))) == older, "lm-eval's versions have decimals"


def test_data_that_is_not_there_is_missed_before_training(
    six: LmEvalBenchmark, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Path(six.data).unlink()
    spec = reference_run(registry.profile("embedded").in_draw(5), ModelSpec(name=str(tmp_path / "no model")))
    with pytest.raises(HarnessError, match=r"its local data .* is no file"):
        run(RunFolder(tmp_path / "results", spec), wanted(six), lambda step, steps, metrics: None)


# Refusals


def test_every_shipped_benchmark_is_what_lm_eval_ships() -> None:
    for benchmark in SHIPPED:
        evaluator.check(benchmark)


def test_planning_a_task_needs_no_torch() -> None:
    code = (
        "import sys\n"
        "from harness.evaluation import benchmarks, evaluator\n"
        "evaluator.check(benchmarks.BENCHMARKS['gsm8k'])\n"
        "assert not {'torch', 'transformers', 'datasets', 'lm_eval', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).resolve().parents[3])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "means version 2 of task gsm8k, the lm-eval here has 3.0"),
        ({"folder": "gsm8"}, "ships no folder 'gsm8'; did you mean gsm8k"),
        ({"task": "gsm8", "folder": "gsm8k"}, "no task 'gsm8'; did you mean gsm8k"),
        (
            {"metrics": (Metric(name="exact_match,strict"),), "primary": (NATIVE, "exact_match,strict")},
            "gives no metric 'exact_match,strict'; did you mean exact_match,strict-match",
        ),
        ({"data": "nowhere.jsonl"}, "nowhere.jsonl is no file: give a jsonl file of the schema of task gsm8k"),
    ],
)
def test_what_lm_eval_does_not_ship_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(HarnessError, match=re.escape(message)) as raised:
        evaluator.check(dataclasses.replace(GSM8K, **change))
    assert "\n" not in str(raised.value)


def test_names_of_a_benchmark_are_refused_with_near_ones() -> None:
    with pytest.raises(HarnessError, match="no metric 'exact_match,strict' to be primary; did you mean"):
        dataclasses.replace(GSM8K, primary=(NATIVE, "exact_match,strict"))
    with pytest.raises(HarnessError, match="no decoding 'natives'; did you mean native"):
        benchmarks.decoding(GSM8K, "natives")
    with pytest.raises(
        HarnessError, match="benchmark x: no evaluator for engine ''; choose one of own, pictured, lm_eval, vlmeval"
    ):
        evaluator.check(benchmarks.Benchmark(name="x"))
    with pytest.raises(HarnessError, match="gsm8k is not ours to export: lm_eval ships it"):
        export(Path("never"), ["gsm8k"])


@pytest.mark.parametrize(
    ("text", "change", "message"),
    [
        ("{not json\n", {}, "could not read its data, .*items.jsonl .*mend the file"),
        (json.dumps(ITEMS[0]) + "\n", {}, "each prompt shows 5 other items, .* has 1: give more items"),
    ],
)
def test_local_data_that_cannot_serve_is_refused(
    text: str, change: dict[str, Any], message: str, six: LmEvalBenchmark
) -> None:
    Path(six.data).write_text(text, encoding="utf-8")
    with pytest.raises(HarnessError, match=message) as raised:
        prepare(wanted(six))
    assert "\n" not in str(raised.value)


def test_hub_data_that_is_not_the_benchmarks_is_refused(
    six: LmEvalBenchmark,
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hub of six items in the place of 1319, and none at all."""
    import datasets

    rows = datasets.DatasetDict(dict.fromkeys(("train", "test"), datasets.Dataset.from_list(ITEMS)))
    monkeypatch.setattr(datasets, "load_dataset", lambda **_: rows)
    script(monkeypatch, RESPONSES)
    hub = dataclasses.replace(six, data="", n=1319, max_new_tokens=LIMIT)
    monkeypatch.setitem(BENCHMARKS, "six", hub)
    with pytest.raises(HarnessError, match="six means 1319 items, the data set of task gsm8k has 6"):
        evaluate(model, TextReader(tokenizer), wanted(hub), seed=0, step=0)

    def offline(**_: Any) -> None:
        raise ConnectionError("couldn't reach\nthe hub")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(
        HarnessError, match=r"task gsm8k of lm-eval could not read its data, openai/gsm8k .*`data`"
    ) as raised:
        prepare(wanted(hub))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("limit", [1, 10_000])
def test_a_prompt_is_never_cut(
    limit: int,
    six: LmEvalBenchmark,
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(model.config, "max_position_embeddings", 100 if limit == 1 else 2048)
    monkeypatch.setitem(BENCHMARKS, "six", dataclasses.replace(six, max_new_tokens=limit))
    with pytest.raises(HarnessError, match=r"a prompt of \d+ tokens and its response of up to \d+ exceeds the model's"):
        evaluate(model, TextReader(tokenizer), wanted(six), seed=0, step=0)


def test_a_continuation_that_does_not_fit_is_refused(
    six: LmEvalBenchmark, model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where answers are read by their likelihood, nothing is generated."""
    monkeypatch.setattr(model.config, "max_position_embeddings", 8)
    with lm_eval.contained():
        lm = lm_eval.NativeLM(model, TextReader(tokenizer).tokenizer, six)
    lm.loglikelihood([Instance("loglikelihood", {}, ("1234", "5678"), 0)])
    with pytest.raises(HarnessError, match="six: a prompt of 9 tokens exceeds the model's 8 positions"):
        lm.loglikelihood([Instance("loglikelihood", {}, ("1234", "56789"), 0)])


def test_a_metric_that_came_out_under_another_name_is_refused(six: LmEvalBenchmark) -> None:
    """A task whose file does not say its metrics is known by its results only."""
    results = {"alias": "six", "acc,none": 0.5, "acc_stderr,none": 0.1}
    assert lm_eval._value(six, "acc,none", results) == 0.5
    with pytest.raises(HarnessError, match="task gsm8k gives no metric 'acc'; choose one of acc,none") as raised:
        lm_eval._value(six, "acc", results)
    assert "stderr" not in str(raised.value)


def test_a_unit_is_the_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    nats = dataclasses.replace(
        GSM8K, name="nats", metrics=(Metric(name="bits", unit=benchmarks.Unit.NATS),), primary=(NATIVE, "bits")
    )
    monkeypatch.setitem(BENCHMARKS, "nats", nats)
    assert not benchmarks.is_share("nats", "bits") and benchmarks.is_share("gsm8k", STRICT)
