"""Benchmarks, their adapter to lm-eval, the exported tasks, and the probe with p."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from lm_eval.evaluator import evaluate as lm_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from support import language
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from harness.config import ModelSpec
from harness.evaluation import benchmarks, own
from harness.evaluation import evaluate as evaluation
from harness.evaluation.benchmarks import BENCHMARKS, DECODINGS, OwnBenchmark
from harness.evaluation.evaluate import check_plain, export, graded_words, question
from harness.evaluation.evaluator import Job, Score
from harness.models import load
from harness.models.prompts import Prompts
from harness.models.reader import Reader, TextReader
from harness.models.sampler import RolloutBatch, from_texts
from harness.models.zoo.permutations.vocabulary import IDS
from harness.suite import Evaluation
from harness.torchvision import Operators, ensure_torchvision
from harness.training import probe
from harness.types import Example, Finish, HarnessError, Privilege
from harness.worlds import WORLDS
from harness.worlds.world import HeldOut

Answer = Callable[[Example], tuple[str, Finish]]
DRAW = f"draw{language.DRAW}"
"""As it stands in ids and names of tables."""
evaluate = partial(evaluation.evaluate, draw=language.DRAW)
prepare = partial(evaluation.prepare, draw=language.DRAW)


def own_benchmark(held_out: HeldOut) -> OwnBenchmark:
    """As any run of the development draw finds it."""
    found = benchmarks.benchmark(held_out.name)
    assert isinstance(found, OwnBenchmark)
    return found.in_draw(language.DRAW)


OWN = {each.name: own_benchmark(each) for each in language.WORLD.benchmarks()}
"""Of the permutations world: other worlds have other answers, digests and tests of their own."""
SMALL = 12
"""Items per benchmark where a test needs no more."""
VERSION_1 = {
    "permutations_general": ("test", language.TRAIN_DIFFICULTY, "3754a7fb6b5a2214"),
    "permutations_reasoning": ("test", language.TRAIN_DIFFICULTY, "6469523c430c2598"),
    "permutations_coding": ("test", language.TRAIN_DIFFICULTY, "11fde880d85955f2"),
    "permutations_general_hard": ("test", language.HARD_DIFFICULTY, "4ab8484c33fcbdb9"),
    "permutations_reasoning_hard": ("test", language.HARD_DIFFICULTY, "e535df9db4ec0ecf"),
    "permutations_coding_hard": ("test", language.HARD_DIFFICULTY, "4f8ac07e93504cd0"),
    "permutations_general_validation": ("validation", language.TRAIN_DIFFICULTY, "cd49fefae765db8a"),
    "permutations_reasoning_validation": ("validation", language.TRAIN_DIFFICULTY, "4bca99eee8b85a14"),
    "permutations_coding_validation": ("validation", language.TRAIN_DIFFICULTY, "caaf44c710303875"),
}
"""Split, difficulty and digest of items, grading and limit of each benchmark at version 1. A new one adds its line;
where the digest of an old one changes, bump ``Benchmark.version`` first."""


@pytest.fixture(scope="module")
def base() -> PreTrainedModel:
    return load.load(ModelSpec(name=language.STUDENT))


@pytest.fixture
def model(base: PreTrainedModel) -> PreTrainedModel:
    return base.eval()


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return load.load_tokenizer(ModelSpec(name=language.STUDENT))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every benchmark with its first items only."""
    for name, benchmark in OWN.items():
        monkeypatch.setitem(BENCHMARKS, name, dataclasses.replace(benchmark, n=SMALL))


def wanted(*names: str, decoding: str = "greedy") -> list[Evaluation]:
    return [Evaluation("last", name, decoding) for name in names]


def script(monkeypatch: pytest.MonkeyPatch, answer: Callable[[Example, int], tuple[str, Finish]]) -> list[dict]:
    """The sampler replaced by ``answer(example, sample)``; returns the calls it will receive."""
    calls: list[dict[str, Any]] = []

    def sample(
        model: PreTrainedModel,
        reader: Reader,
        examples: Sequence[Example],
        prompts: Prompts,
        **settings: Any,
    ) -> RolloutBatch:
        k = settings["rollouts_per_prompt"]
        prompt_ids = [ids[mask].tolist() for ids, mask in zip(prompts.ids_QL, prompts.mask_QL, strict=True)]
        calls.append({"prompts": prompt_ids, "ids": [e.id for e in examples], **settings})
        answers = [answer(e, i) for e in examples for i in range(k)]
        repeated = prompts.continued_by(torch.arange(len(examples)).repeat_interleave(k))
        batch = from_texts(reader, examples, repeated, [a[0] for a in answers])
        return dataclasses.replace(batch, finish=tuple(a[1] for a in answers))

    monkeypatch.setattr(own, "sample", sample)
    monkeypatch.setattr(probe, "sample", sample)
    return calls


def wrong_answer(example: Example) -> str:
    """The reference trace up to its answer, which is off by one."""
    assert example.trace is not None
    return f"{example.trace.rsplit(' ', 1)[0]} {(int(example.answer) + 1) % 10}"


# The registry


@pytest.mark.slow
def test_every_benchmark_holds_what_it_says() -> None:
    odd = sorted(set(OWN) ^ set(VERSION_1))
    assert not odd, f"give {', '.join(odd)} a line in VERSION_1 above: split, difficulty, digest ({new_digests(odd)})"
    for benchmark in (each.in_draw(draw) for each in OWN.values() for draw in each.draws):
        assert benchmark.primary == ("greedy", "exact_answer") and benchmark.words == "exact answer, greedy"
        items = benchmarks.examples(benchmark)
        assert len({e.id for e in items}) == len(items) == benchmark.n == 400
        assert {e.domain for e in items} == {benchmark.domain}
        split, (low, high), _ = VERSION_1[benchmark.name]
        assert {e.split for e in items} == {split}
        assert {e.difficulty for e in items} == set(range(low, high + 1))
        assert max(len(e.facts) for e in items) + 1 < benchmark.max_new_tokens, "a right response would be cut"


def new_digests(names: list[str]) -> str:
    """What stands in the line of a benchmark that has none."""
    return ", ".join(f"{name} {digest(OWN[name])}" for name in names if name in OWN)


@pytest.mark.slow
def test_version_1_is_what_it_was() -> None:
    assert {b.version for b in OWN.values()} == {1}
    assert {name: digest(b) for name, b in OWN.items()} == {name: d for name, (_, _, d) in VERSION_1.items()}


def digest(b: OwnBenchmark) -> str:
    """Of everything a score depends on beside the model, in every draw."""
    texts = [
        json.dumps([b.name, draw, b.max_new_tokens, question(e), e.answer, graded_words(language.WORLD, e)])
        for draw in b.draws
        for e in benchmarks.examples(b.in_draw(draw))
    ]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def test_unknown_names_and_versions_are_refused_in_one_line() -> None:
    with pytest.raises(HarnessError, match=r"permutations_codin'.*did you mean.*permutations_coding"):
        benchmarks.benchmark("permutations_codin")
    with pytest.raises(HarnessError, match=r"'sample8'.*did you mean sample4"):
        benchmarks.decoding(OWN["permutations_coding"], "sample8")
    with pytest.raises(HarnessError, match=r"permutations_coding version 2 is not in this package, version 1 is"):
        evaluate(None, None, [Evaluation("last", "permutations_coding", "greedy", 2)], seed=0, step=0)  # pyright: ignore
    with pytest.raises(HarnessError, match=r"'sample8'.*did you mean sample4"):
        evaluate(None, None, wanted("permutations_coding", decoding="sample8"), seed=0, step=0)  # pyright: ignore


def test_planning_needs_neither_torch_nor_lm_eval() -> None:
    code = (
        "import sys, harness.evaluation.benchmarks, harness.evaluation.evaluate\n"
        "assert not {'torch', 'transformers', 'datasets', 'lm_eval', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).resolve().parents[3])


# Canaries: known answers through the whole adapter


@pytest.mark.parametrize("name", OWN)
def test_canary(
    name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BENCHMARKS, name, dataclasses.replace(OWN[name], n=6))
    items = benchmarks.examples(BENCHMARKS[name])
    answers = {
        items[0].id: (items[0].trace or "", Finish.EOS),
        items[1].id: (f"A ! {items[1].answer}", Finish.EOS),  # right answer, wrong trace
        items[2].id: (wrong_answer(items[2]), Finish.EOS),
        items[3].id: ("A C . 2", Finish.EOS),  # no answer
        items[4].id: ("A A A A", Finish.LENGTH),  # no answer, cut
        items[5].id: (f"! ! {items[5].answer}", Finish.LENGTH),  # right answer, cut all the same
    }
    script(monkeypatch, lambda example, _: answers[example.id])
    answer, trace = evaluate(model, TextReader(tokenizer), wanted(name), seed=0, step=0)
    assert (answer.metric, trace.metric) == ("exact_answer", "exact_trace")
    assert (answer.value, trace.value) == (3 / 6, 1 / 6)
    assert (answer.n, answer.errors, answer.truncations) == (6, 2, 2)
    assert (trace.n, trace.errors, trace.truncations) == (6, 2, 2)
    assert (answer.benchmark, answer.version, answer.decoding) == (name, 1, "greedy")
    assert [i["id"] for i in answer.items] == [e.id for e in items]
    assert [i["answer"] for i in answer.items] == [True, True, False, False, False, True]
    assert [i["parsed"] for i in answer.items] == [True, True, True, False, False, True]
    assert [i["truncated"] for i in answer.items] == [False, False, False, False, True, True]
    assert [i["response"] for i in answer.items] == [answers[e.id][0] for e in items]
    assert json.loads(json.dumps(answer.items)) == answer.items


@pytest.mark.usefixtures("small")
def test_sample4_is_the_mean_of_four_on_the_first_items(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DECODINGS, "sample4", dataclasses.replace(DECODINGS["sample4"], items=5))
    items = benchmarks.examples(OWN["permutations_general"])[:5]
    right = {e.id: i for i, e in enumerate(items)}  # item i is right in its first i samples

    def answer(example: Example, sample: int) -> tuple[str, Finish]:
        if sample < right[example.id]:
            return example.trace or "", Finish.EOS
        return ("A A", Finish.LENGTH) if sample == 3 else (wrong_answer(example), Finish.EOS)

    calls = script(monkeypatch, answer)
    score, _ = evaluate(
        model, TextReader(tokenizer), wanted("permutations_general", decoding="sample4"), seed=0, step=0
    )
    assert score.value == (0 + 1 + 2 + 3 + 4) / 20
    assert (score.n, score.errors, score.truncations, len(score.items)) == (5, 4, 4, 20)
    assert [(i["id"], i["sample"]) for i in score.items] == [(e.id, s) for e in items for s in range(4)]
    assert all((i["finish"] == "length") == i["truncated"] == (i["response"] == "A A") for i in score.items)
    assert [(c["rollouts_per_prompt"], c["temperature"], c["max_new_tokens"]) for c in calls] == [(4, 1.0, 32)]


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_benchmarks_stay_apart_and_batches_change_nothing(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    both = wanted("permutations_general", "permutations_coding_hard") + wanted(
        "permutations_coding", decoding="sample4"
    )
    begun: list[tuple[str, str]] = []
    together = evaluate(
        model,
        TextReader(tokenizer),
        [*both, both[0]],
        seed=3,
        step=7,
        begin=lambda job: begun.append((job.benchmark.name, job.decoding)),
    )
    assert begun == [(e.benchmark, e.decoding) for e in both], "who waits is told, once of each"
    alone = [s for e in both for s in evaluate(model, TextReader(tokenizer), [e], seed=3, step=7, batch_size=5)]
    assert [(s.benchmark, s.decoding, s.metric) for s in together] == [
        (e.benchmark, e.decoding, m.name) for e in both for m in benchmarks.OWN_METRICS
    ]
    assert together == alone
    assert evaluate(model, TextReader(tokenizer), [], seed=0, step=0) == []


def test_each_engine_is_asked_for_its_own_and_scores_come_in_the_order_asked(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, list[str]]] = []

    class Engine:
        def __init__(self, name: str) -> None:
            self.name = name

        def evaluate(self, model: object, reader: object, jobs: Sequence[Job], **settings: Any) -> list[Score]:
            asked.append((self.name, [job.benchmark.name for job in jobs]))
            return [scored(job) for job in jobs]

    def scored(job: Job) -> Score:
        kept = {"benchmark": job.benchmark.name, "version": job.benchmark.version, "decoding": job.decoding}
        return Score(**kept, metric="m", value=0.0, n=1, errors=0, truncations=0, items=[])

    monkeypatch.setattr(evaluation, "evaluator", lambda benchmark: Engine(benchmark.engine))
    names = ["permutations_coding", "gsm8k", "permutations_general"]
    every = [Evaluation("last", n.name, n.primary[0], n.version) for n in map(benchmarks.told, names)]
    found = evaluate(model, TextReader(tokenizer), every, seed=0, step=0)
    assert [score.benchmark for score in found] == names
    assert asked == [("own", ["permutations_coding", "permutations_general"]), ("lm_eval", ["gsm8k"])]


@pytest.mark.usefixtures("small")
def test_longest_prompts_first_in_batches_of_the_size_asked(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order decides which item gets which draws."""

    def cut(example: Example, words: int) -> Example:
        content = " ".join(str(example.messages[0]["content"]).split()[:words])
        return dataclasses.replace(example, messages=({"role": "user", "content": content},))

    lengths = (9, 30, 9, 20, 30, 12)
    found = benchmarks.examples(BENCHMARKS["permutations_coding"])
    items = tuple(cut(e, n) for e, n in zip(found, lengths, strict=False))
    monkeypatch.setattr(benchmarks, "examples", lambda _: items)
    calls = script(monkeypatch, lambda example, _: (example.trace or "", Finish.EOS))
    evaluate(model, TextReader(tokenizer), wanted("permutations_coding"), seed=0, step=0, batch_size=4)
    assert [call["ids"] for call in calls] == [[items[i].id for i in rows] for rows in ((1, 4, 3, 5), (0, 2))]
    calls.clear()
    evaluate(
        model, TextReader(tokenizer), wanted("permutations_coding", decoding="sample4"), seed=0, step=0, batch_size=8
    )
    assert [len(call["ids"]) for call in calls] == [2, 2, 2], "four responses each"


@pytest.mark.usefixtures("small")
def test_draws_of_a_benchmark_and_a_decoding_are_their_own(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = script(monkeypatch, lambda example, _: (example.trace or "", Finish.EOS))
    names = ["permutations_general", "permutations_coding"]
    both = wanted(*names) + wanted(*names, decoding="sample4")
    for _ in range(2):
        evaluate(model, TextReader(tokenizer), both, seed=3, step=7)
    seeded = [call["generator"].initial_seed() for call in calls]
    assert len(set(seeded)) == 4 and seeded[:4] == seeded[4:]


# The same as lm-eval's own model


def stock(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tasks: dict[str, Any]) -> dict[str, Any]:
    """Results of lm-eval's HFLM, samples included."""
    lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=50)
    found: Any = lm_evaluate(lm, tasks, apply_chat_template=True, bootstrap_iters=0)
    return found


@pytest.mark.slow
def test_greedy_equals_stock_hflm(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def shortened(i: int, example: Example) -> Example:
        """Every other problem cut short: unequal prompts are padded, and some responses run to the limit."""
        if i % 2:
            return example
        words = example.messages[0]["content"].split()[: 6 + i % 23]
        return dataclasses.replace(example, messages=({"role": "user", "content": " ".join(words)},))

    name = "permutations_reasoning"
    items = tuple(shortened(i, e) for i, e in enumerate(benchmarks.examples(OWN[name])[:100]))
    monkeypatch.setattr(benchmarks, "examples", lambda _: items)
    # A limit of the model's own would win over the task's, which is to be compared.
    monkeypatch.setattr(model.generation_config, "max_new_tokens", None)
    ours = evaluate(model, TextReader(tokenizer), wanted(name), seed=0, step=0)
    export(tmp_path, [name])
    manager = TaskManager(include_path=str(tmp_path), include_defaults=False)
    theirs = stock(model, tokenizer, manager.load([table(name)]))
    responses = [s["resps"][0][0] for s in theirs["samples"][table(name)]]
    assert [i["response"] for i in ours[0].items] == responses
    assert len({len(r.split()) for r in responses}) > 3, "the comparison needs responses of several lengths"
    for score in ours:
        assert score.value == theirs["results"][table(name)][f"{score.metric},none"]


@pytest.mark.usefixtures("small")
def test_prompts_are_those_of_the_renderer(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = script(monkeypatch, lambda example, _: (example.trace or "", Finish.EOS))
    evaluate(model, TextReader(tokenizer), wanted("permutations_coding"), seed=0, step=0)
    items = {e.id: e for e in benchmarks.examples(OWN["permutations_coding"])}
    (call,) = calls
    assert call["prompts"] == [TextReader(tokenizer).ids(items[i].messages) for i in call["ids"]]


# Random state and mode


@pytest.mark.usefixtures("small")
def test_samples_depend_on_seed_step_and_benchmark_only(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    def responses(name: str = "permutations_general", seed: int = 0, step: int = 0) -> list[str]:
        (score, _) = evaluate(model, TextReader(tokenizer), wanted(name, decoding="sample4"), seed=seed, step=step)
        return [item["response"] for item in score.items]

    first = responses()
    torch.manual_seed(99)
    assert responses() == first
    assert responses(seed=1) != first
    assert responses(step=1) != first
    assert len({tuple(first[i : i + 4]) for i in range(0, len(first), 4)}) > 1


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("fails", [False, True])
def test_model_and_random_states_come_back(
    fails: bool,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model.train()
    model.get_input_embeddings().eval()
    modes = [m.training for m in model.modules()]
    parameters = [(id(p), p.detach().clone()) for p in model.parameters()]
    seen: list[bool] = []

    def disturb(example: Example, _: int) -> tuple[str, Finish]:
        seen.append(model.training)
        random.seed(5), np.random.seed(5), torch.manual_seed(5)
        if fails:
            raise RuntimeError("the sampler fails")
        return example.trace or "", Finish.EOS

    script(monkeypatch, disturb)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    try:
        evaluate(model, TextReader(tokenizer), wanted("permutations_general"), seed=0, step=0)
    except RuntimeError:
        assert fails
    assert not any(seen), "evaluated in training mode"
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == states
    assert [m.training for m in model.modules()] == modes
    assert all(id(p) == i and torch.equal(p, v) for p, (i, v) in zip(model.parameters(), parameters, strict=True))
    model.eval()


@pytest.mark.usefixtures("small")
def test_lm_eval_is_silent(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    evaluate(model, TextReader(tokenizer), wanted("permutations_general"), seed=0, step=0)
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


# No privileged text


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", language.WORLD.privileges)
def test_a_leaking_item_stops_the_evaluation(
    kind: str,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    items = list(benchmarks.examples(OWN["permutations_general"]))
    content = f"{items[4].privileged[kind]}\n{items[4].messages[0]['content']}"
    items[4] = dataclasses.replace(items[4], messages=({"role": "user", "content": content},))
    monkeypatch.setattr(benchmarks, "examples", lambda _: tuple(items))
    with pytest.raises(HarnessError, match=f"prompt of {DRAW}/general/test/4 holds its privileged input '{kind}'"):
        evaluate(model, TextReader(tokenizer), wanted("permutations_general"), seed=0, step=0)
    with pytest.raises(HarnessError, match=f"{DRAW}/general/test/4"):
        export(tmp_path, ["permutations_general"])
    with pytest.raises(HarnessError, match=rf"{DRAW}/general/test/4 .*if p says what x says too, write p with a word"):
        prepare(wanted("permutations_general"))


@pytest.mark.usefixtures("small")
def test_a_leaking_chat_template_stops_the_evaluation(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    leak = benchmarks.examples(OWN["permutations_general"])[0].privileged[Privilege.HINTS]
    monkeypatch.setattr(tokenizer, "chat_template", leak + (tokenizer.chat_template or ""))
    with pytest.raises(HarnessError, match=f"prompt of {DRAW}/general/test/0 holds its privileged input 'hints'"):
        evaluate(model, TextReader(tokenizer), wanted("permutations_general"), seed=0, step=0)


def test_items_must_be_one_user_turn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    item = benchmarks.examples(OWN["permutations_general"])[0]
    turns = ({"role": "system", "content": "be brief"}, *item.messages)
    monkeypatch.setattr(benchmarks, "examples", lambda _: (dataclasses.replace(item, messages=turns),))
    with pytest.raises(HarnessError, match=rf"{DRAW}/general/test/0 has the turns system, user.*one user turn"):
        export(tmp_path, ["permutations_general"])
    seen: Any = ({"role": "user", "content": [{"type": "image"}]},)
    with pytest.raises(HarnessError, match=rf"{DRAW}/general/test/0 holds images, an lm-eval task text alone"):
        question(dataclasses.replace(item, messages=seen))


def test_privileged_text_is_found_whatever_its_spaces() -> None:
    item = benchmarks.examples(OWN["permutations_general"])[0]
    told = dataclasses.replace(item, privileged={"note": "go\n left  now"})
    check_plain(told, "go right now")
    with pytest.raises(HarnessError, match=f"{DRAW}/general/test/0 holds its privileged input 'note'"):
        check_plain(told, "x go  left\nnow y")


def test_a_prompt_that_does_not_fit_stops_the_evaluation(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model.config, "max_position_embeddings", 60)
    with pytest.raises(HarnessError, match="positions"):
        evaluate(model, TextReader(tokenizer), wanted("permutations_general"), seed=0, step=0)


# The exported folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every benchmark in the development draw, moved after it was written."""
    folder = tmp_path_factory.mktemp("export")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OwnBenchmark, "draws", (language.DRAW,))
        export(folder / "first", tuple(OWN))
    return (folder / "first").rename(folder / "moved")


def table(name: str) -> str:
    """What a benchmark is called in the exported folder."""
    return f"{name}_{DRAW}"


def scorer(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("exported_utils", folder / "utils.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_exported_folder_is_whole_and_holds_no_p(exported: Path) -> None:
    tables = {table(name): benchmark for name, benchmark in OWN.items()}
    named = [dataclasses.replace(benchmark, name=name) for name, benchmark in tables.items()]
    tasks = {benchmarks.task_name(b, d) for b in named for d in DECODINGS.values()}
    names = {f"{t}.yaml" for t in tasks} | {f"{t}.jsonl" for t in tables} | {"utils.py", "README.md"}
    assert {file.name for file in exported.iterdir()} == names
    assert "harness" not in (exported / "utils.py").read_text()
    for name, benchmark in tables.items():
        text = (exported / f"{name}.jsonl").read_text()
        docs = [json.loads(line) for line in text.splitlines()]
        assert [d["id"] for d in docs] == [e.id for e in benchmarks.examples(benchmark)]
        assert not set(language.CODES) & set(text.replace('"', " ").split()), "codes stand only in p"


def mutations(example: Example, rng: random.Random) -> list[str]:
    """Right, almost right and broken responses."""
    words = (example.trace or "").split()
    out = [
        example.trace or "",
        language.plain_trace(example),
        wrong_answer(example),
        "",
        "!",
        "! ",
        example.answer,
    ]
    for _ in range(12):
        changed = list(words)
        i = rng.randrange(len(words))
        changed[i] = rng.choice(["A", "B", "!", "_", "k3", "C", "7", "12", "."])
        out += [" ".join(changed), " ".join(words[:i]), " ".join([*words[:i], *words[i + 1 :]])]
        out.append(" ".join([*words, rng.choice(["!", "7", example.answer, f"! {example.answer}"])]))
    return out


@pytest.mark.parametrize("name", OWN)
def test_exported_scorer_grades_as_the_world_does(name: str, exported: Path) -> None:
    grade = scorer(exported).grade
    rng, seen = random.Random(0), set()
    items = benchmarks.examples(OWN[name])
    lines = (exported / f"{table(name)}.jsonl").read_text().splitlines()
    for example, line in zip(items[:60], lines, strict=False):
        for response in mutations(example, rng):
            mine = language.grade(example, response)
            theirs = grade(json.loads(line), response)
            assert theirs == {"exact_answer": float(mine.answer), "exact_trace": float(mine.trace)}, response
            seen.add((mine.answer, mine.trace))
    assert seen == {(True, True), (True, False), (False, False)}


def test_graded_words_leave_out_the_notes() -> None:
    example = language.example("coding", "test", 0)
    words = (example.trace or "").split()
    notes = {4 * i + 2 for i in range(example.difficulty)}
    assert graded_words(language.WORLD, example) == [None if i in notes else w for i, w in enumerate(words)]


@pytest.mark.slow
def test_exported_sample4_runs_in_stock_lm_eval(
    exported: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both draw from the same distribution: two means of 4 x 100 agree within 4 standard errors."""
    name = f"{table('permutations_coding')}_sample4"
    monkeypatch.setitem(DECODINGS, "sample4", dataclasses.replace(DECODINGS["sample4"], items=100))
    tasks = TaskManager(include_path=str(exported), include_defaults=False).load([name])
    assert len(tasks["tasks"][name].eval_docs) == 200
    assert tasks["tasks"][name].config.generation_kwargs["top_k"] == 0, "transformers' default is 50"
    lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=400)
    torch.manual_seed(0)
    theirs: Any = lm_evaluate(lm, tasks, limit=100, apply_chat_template=True, bootstrap_iters=0)
    assert all(len(set(s["resps"][0])) <= 4 == len(s["resps"][0]) for s in theirs["samples"][name])
    ours, _ = evaluate(model, TextReader(tokenizer), wanted("permutations_coding", decoding="sample4"), seed=0, step=0)
    per_item = [[i["answer"] for i in ours.items[k : k + 4]] for k in range(0, 400, 4)]
    error = np.std(np.mean(per_item, axis=1), ddof=1) * (2 / 100) ** 0.5
    assert abs(theirs["results"][name]["exact_answer,none"] - ours.value) < 4 * error


A, B = IDS["A"], IDS["B"]
MOVING: list[dict[str, Any]] = [
    {"repetition_penalty": 1.3},
    {"no_repeat_ngram_size": 3},
    {"min_length": 60},
    {"min_new_tokens": 24},
    {"suppress_tokens": [A]},
    {"begin_suppress_tokens": [A]},
    {"bad_words_ids": [[A]]},
    {"sequence_bias": {(A,): -9.0, (B,): 9.0}},
    {"num_beams": 3},
    {"exponential_decay_length_penalty": (4, 3.0)},
    {"guidance_scale": 1.5},
]


@pytest.mark.parametrize("settings", MOVING, ids=lambda settings: next(iter(settings)))
def test_no_setting_of_a_models_generation_config_moves_an_exported_greedy_score(
    settings: dict[str, Any],
    exported: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before, a repetition penalty of 1.3 made 54.0 to 47.25."""
    name = "permutations_coding"
    config = GenerationConfig(**{**model.generation_config.to_dict(), **settings})
    monkeypatch.setattr(model, "generation_config", config)
    tasks = TaskManager(include_path=str(exported), include_defaults=False).load([table(name)])
    lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=40)
    theirs: Any = lm_evaluate(lm, tasks, limit=40, apply_chat_template=True, bootstrap_iters=0)
    monkeypatch.setitem(benchmarks.BENCHMARKS, name, dataclasses.replace(benchmarks.benchmark(name), n=40))
    ours = evaluate(model, TextReader(tokenizer), wanted(name), seed=0, step=0)[0]
    said = [sample["resps"][0][0] for sample in theirs["samples"][table(name)]]
    assert said == [item["response"] for item in ours.items]
    assert theirs["results"][table(name)]["exact_answer,none"] == ours.value


@pytest.mark.slow
def test_exported_folder_scores_the_same_from_the_command_line(
    exported: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    if ensure_torchvision() is Operators.DECLARED:
        pytest.skip("torchvision was made for another torch: transformers alone, without ours, cannot import a model")
    names = ["permutations_coding", "permutations_reasoning_hard"]
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    command = [sys.executable, "-m", "lm_eval", "--model", "hf", "--batch_size", "200", "--device", "cpu"]
    command += ["--model_args", f"pretrained={tmp_path / 'model'}", "--include_path", str(exported)]
    command += ["--tasks", ",".join(map(table, names)), "--apply_chat_template", "--output_path", str(tmp_path / "out")]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    (file,) = (tmp_path / "out").rglob("results_*.json")
    theirs = json.loads(file.read_text())
    for score in evaluate(model, TextReader(tokenizer), wanted(*names), seed=0, step=0):
        task = table(score.benchmark)
        assert score.value == theirs["results"][task][f"{score.metric},none"]
        assert theirs["versions"][task] == score.version
        assert theirs["n-samples"][task]["effective"] == score.n


def test_a_second_evaluation_makes_no_request_anew_and_knows_no_answer_of_the_first(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lm_eval.api.task import ConfigurableTask

    from harness.evaluation import own

    made: list[str] = []
    real = ConfigurableTask.build_all_requests

    def counted(self: Any, **how: Any) -> None:
        made.append(self.config.task)
        real(self, **how)

    monkeypatch.setattr(ConfigurableTask, "build_all_requests", counted)
    monkeypatch.setattr(own, "TASKS", {})
    benchmark = dataclasses.replace(OWN["permutations_coding_validation"], n=3)
    monkeypatch.setitem(BENCHMARKS, benchmark.name, benchmark)
    values = []
    for answer in (lambda example, _: (example.trace or "", Finish.EOS), lambda example, _: ("A", Finish.EOS)):
        script(monkeypatch, answer)
        (score, *_) = evaluate(model, TextReader(tokenizer), wanted(benchmark.name), seed=0, step=0)
        values.append((score.value, [item["response"] == "A" for item in score.items]))
    assert values == [(1.0, [False] * 3), (0.0, [True] * 3)]
    assert len(made) == 1
    monkeypatch.setitem(BENCHMARKS, benchmark.name, dataclasses.replace(benchmark, n=2))
    evaluate(model, TextReader(tokenizer), wanted(benchmark.name), seed=0, step=0)
    assert len(made) == 2  # other items, other requests


# The probe


def test_probe_shows_p_and_counts_right_answers(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [language.example("general", "validation", i) for i in range(4)]
    texts = [items[0].trace or "", wrong_answer(items[1]), "A", items[3].trace or ""]
    by_id = dict(zip([e.id for e in items], texts, strict=True))
    calls = script(monkeypatch, lambda example, _: (by_id[example.id], Finish.EOS))
    model.train()
    reader, world = TextReader(tokenizer), language.WORLD
    value = probe.by_kind(model, reader, world, items, [Privilege.HINTS], max_new_tokens=9)
    assert model.training
    model.eval()
    assert value == [2 / 4]
    (call,) = calls
    assert (call["temperature"], call["max_new_tokens"], call["rollouts_per_prompt"]) == (0.0, 9, 1)
    for example, ids in zip(items, call["prompts"], strict=True):
        assert example.privileged[Privilege.HINTS] in tokenizer.decode(ids)
    probe.by_kind(model, reader, world, items, [Privilege.NONE], max_new_tokens=9)
    for example, ids in zip(items, calls[1]["prompts"], strict=True):
        check_plain(example, tokenizer.decode(ids))
    bare = [dataclasses.replace(items[0], privileged={})]
    with pytest.raises(HarnessError, match="has no privileged input"):
        probe.by_kind(model, reader, world, bare, [Privilege.HINTS], max_new_tokens=9)


@pytest.mark.slow
def test_probe_greedy_accuracy_equals_the_benchmark_without_p(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark = dataclasses.replace(OWN["permutations_coding_validation"], n=100)
    monkeypatch.setitem(BENCHMARKS, benchmark.name, benchmark)
    scores: list[Score] = evaluate(model, TextReader(tokenizer), wanted(benchmark.name), seed=0, step=0)
    items = benchmarks.examples(benchmark)
    value = probe.by_kind(
        model,
        TextReader(tokenizer),
        language.WORLD,
        items,
        [Privilege.NONE],
        max_new_tokens=benchmark.max_new_tokens,
    )
    assert value == [scores[0].value]


@pytest.mark.slow
def test_an_export_of_all_is_of_all_that_lm_eval_can_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of worlds of text, one table a draw: tables of pictures are large, and written where they are named."""
    monkeypatch.setitem(WORLDS, "tiny", "support.tiny_world:TinyWorld")
    written = {path.name for path in export(tmp_path)}
    tables = {name.removesuffix(".jsonl") for name in written if name.endswith(".jsonl")}
    drawn = {f"{name}_draw{draw}" for name in OWN for draw in range(6)}
    assert tables == drawn | {"tiny_add", "tiny_double"}, "a world without draws has one table of each"
    text = {name for name, each in benchmarks.every().items() if type(each) is OwnBenchmark}
    assert OWN.keys() < text == {re.sub(r"_draw\d+$", "", table) for table in tables}
    first = {name: json.loads((tmp_path / f"{name}.jsonl").read_text().splitlines()[0])["id"] for name in drawn}
    assert all(name.endswith(item.split("/")[0]) for name, item in first.items())
    for name in drawn:
        words = (tmp_path / f"{name}.jsonl").read_text().replace('"', " ").split()
        assert not set(language.CODES) & set(words), "codes stand only in p"
    assert not (tmp_path / "vlmevalkit").exists()
