"""A second world end to end: trained, audited and evaluated by the path of every run, with words of several tokens."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support import language, tiny_world
from support.tiny_world import PROFILE, TINTS, TinyWorld
from transformers import PreTrainedTokenizerFast

from harness import registry
from harness.cli import own
from harness.config import ModelSpec, from_json, to_json
from harness.evaluation import benchmarks, evaluate
from harness.evaluation.audits import AUDIT, AUDITS, routing, transfer
from harness.evaluation.audits.reference import Verdict, judge, span_of_tokens, trace_of
from harness.evaluation.audits.transfer import places_of
from harness.models import load
from harness.models.prompts import Prompts
from harness.models.reader import TextReader
from harness.models.sampler import from_texts
from harness.runs.run import run
from harness.storage import files
from harness.storage.checkpoint import at_step
from harness.storage.run_folder import RunFolder
from harness.suite import Evaluation, Options, reference_run, training_run
from harness.training.trainer import read_and_written
from harness.types import Fact, HarnessError
from harness.worlds import WORLDS, held_out, world
from harness.worlds.world import Grade
from suites.profiles import PROFILES

AUDITED = ("regimes", "trajectory", "transfer")
EVALUATIONS = (
    *(Evaluation("last", name, decoding) for name in PROFILE.benchmarks for decoding in ("greedy", "sample4")),
    *(Evaluation("last", name, AUDIT, AUDITS[name].version) for name in AUDITED),
)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WORLDS, "tiny", "support.tiny_world:TinyWorld")
    monkeypatch.setitem(PROFILES, "tiny", "support.tiny_world:PROFILE")


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return tiny_world.tokenizer()


# The run.


@pytest.mark.parametrize("method", ["vanilla_opd", "dopd", pytest.param("sft_oracle", marks=pytest.mark.slow)])
def test_a_run_is_trained_audited_and_evaluated(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(routing, "PROBLEMS", 4)
    monkeypatch.setattr(routing, "ROLLOUTS", 2)
    monkeypatch.setattr(transfer, "PROBLEMS", 4)
    tiny_world.save_pair(tmp_path)
    spec = training_run(PROFILE, Options(suite="none"), method=method, domains=TinyWorld.domains, seed=0)
    assert from_json(json.loads(json.dumps(to_json(spec)))) == spec
    folder = RunFolder(tmp_path, spec)
    run(folder, EVALUATIONS, lambda *_: None)
    assert folder.missing(EVALUATIONS) == ()
    lines = files.read_jsonl(folder.metrics)
    assert [line["step"] for line in lines] == [0, 1, 2, 3] and {"probe/accuracy", "probe/accuracy_with_p"} <= set(
        lines[3]
    )
    assert all(line["loss"] is not None and line["tokens"] > 0 for line in lines[1:])
    first, last = (at_step(folder.checkpoints, step).weights() for step in (0, 3))
    assert any(not torch.equal(first[name], last[name]) for name in first)
    rows = {(row.benchmark, row.decoding, row.metric): row for row in folder.rows()}
    assert {row.n for row in rows.values() if row.decoding == "greedy"} == {6}
    assert {name for name, *_ in rows} == {*PROFILE.benchmarks, *AUDITED}
    assert {metric for name, _, metric in rows if name == "transfer"} == set(AUDITS["transfer"].metrics)
    masses = [rows["transfer", AUDIT, f"information_{part}"].value for part in ("abstained", "asserted", "other")]
    assert sum(masses) == pytest.approx(1) and 0 < masses[0] < 1
    assert sum(rows["regimes", AUDIT, f"{regime}/share"].value for regime in ("LH", "LL", "HT", "HS")) == pytest.approx(
        1
    )


def test_its_benchmarks_are_found_by_name() -> None:
    (first, second) = (benchmarks.benchmark(name) for name in PROFILE.benchmarks)
    assert isinstance(first, benchmarks.OwnBenchmark) and (first.domain, second.domain) == TinyWorld.domains
    assert [e.id for e in benchmarks.examples(first)] == [f"add/test/{i}" for i in range(6)]
    ours = {held_out.name for name in WORLDS if name not in ("tiny", "files") for held_out in world(name).benchmarks()}
    forms = {f"{name}_{form}" for name in ours for form in ("open", "choice")}  # of pictures, through another engine
    assert set(benchmarks.every()) - forms == {*ours, *PROFILE.benchmarks, *benchmarks.BENCHMARKS}


def test_two_worlds_with_a_benchmark_of_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WORLDS, "twin", "support.tiny_world:TinyWorld")
    with pytest.raises(
        HarnessError, match="'twin': another world or an evaluator has a benchmark 'tiny_add': rename it"
    ):
        benchmarks.benchmark("tiny_add")


def test_a_benchmark_of_a_world_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(WORLDS, "tiny")
    with pytest.raises(HarnessError, match="no benchmark 'tiny_add'"):
        benchmarks.benchmark("tiny_add")


@pytest.mark.parametrize(("method", "power"), [("sdpo", "Demonstrates"), ("dapd", "Demonstrates")])
def test_what_it_cannot_do_is_refused_before_a_model_is_sought(method: str, power: str, tmp_path: Path) -> None:
    spec = training_run(PROFILE, Options(suite="none"), method=method, domains=("add",), seed=0)
    folder = RunFolder(tmp_path, spec)
    with pytest.raises(HarnessError, match=f"method {method} needs a world of the kind {power}"):
        run(folder, EVALUATIONS, lambda *_: None)


def test_a_model_that_does_not_know_its_words_is_refused(tmp_path: Path) -> None:
    """The embedded models know neither; told before a step, and of a model that is only evaluated before a response."""
    embedded = registry.profile("embedded").in_draw(language.DRAW)
    profile = dataclasses.replace(PROFILE, student=embedded.student, teacher=embedded.teacher, top_k=embedded.top_k)
    spec = training_run(profile, Options(suite="none"), method="vanilla_opd", domains=("add",), seed=0)
    folder = RunFolder(tmp_path, spec)
    told = r"is <unk> to the tokenizer of model .*student; use words it knows, or a student and a teacher whose"
    with pytest.raises(HarnessError, match=f"^world 'tiny': 'the' {told}"):
        run(folder, (), lambda *_: None)
    assert not files.read_jsonl(folder.metrics)
    with pytest.raises(HarnessError, match=f"^benchmark tiny_add: 'add' {told}"):
        run(RunFolder(tmp_path, reference_run(profile, profile.student)), EVALUATIONS[:1], lambda *_: None)


@pytest.mark.parametrize("what", ["p", "trace", "reference"])
def test_every_word_that_is_read_or_written_is_looked_at(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = load.load_reader(ModelSpec(name=language.STUDENT))
    words = {name: "zebra" if name == what else "A" for name in ("p", "trace", "reference")}
    problem = dataclasses.replace(
        tiny_world.example("add", "test", 0),
        messages=({"role": "user", "content": "A"},),
        privileged={"tint": words["p"]},
        trace=words["trace"],
        facts=(),
    )
    monkeypatch.setattr(TinyWorld, "reference", lambda self, example: words["reference"])
    with pytest.raises(HarnessError, match=r"^here: 'zebra' is <unk>"):
        load.check_words(reader, read_and_written(problem, "tint", TinyWorld()), "here")


# Words of several tokens.


def test_words_are_one_token_or_several(tokenizer: PreTrainedTokenizerFast) -> None:
    reader = TextReader(tokenizer)
    counts = {word: len(ids) for word, ids in zip(TINTS, reader.encode([f" {tint}" for tint in TINTS]), strict=True)}
    assert counts == {"amber": 6, "blue": 1, "crimson": 8}


def test_every_token_of_a_word_has_the_fact_of_the_word(tokenizer: PreTrainedTokenizerFast) -> None:
    reader, problem = TextReader(tokenizer), tiny_world.example("add", "test", 0)
    assert problem.trace is not None
    places = reader.places(problem.trace)
    spans = span_of_tokens(places, problem.facts)
    for (start, end), span in zip(places, spans, strict=True):
        inside = [s for s in problem.facts if s.start <= start and end <= s.end]
        assert span is None or span in inside or problem.trace[start].isspace()
    of_kind = "".join(
        problem.trace[start:end]
        for (start, end), s in zip(places, spans, strict=True)
        if s and s.kind is Fact.INFORMATION
    )
    assert of_kind.strip() in TINTS


def judged(tokenizer: PreTrainedTokenizerFast, *texts: str) -> tuple[Verdict, list[list[str]]]:
    """Verdict and tokens of responses to the first sum."""
    reader, problem = TextReader(tokenizer), tiny_world.example("add", "test", 0)
    prompts = Prompts.of_ids([[5]], 0).continued_by(torch.zeros(len(texts), dtype=torch.int64))
    batch = from_texts(reader, [problem], prompts, texts)
    tokens = [
        [*reader.decode([[i] for i in ids[mask].tolist()], special=True)]
        for ids, mask in zip(batch.response_ids_BT, batch.mask_BT, strict=True)
    ]
    return judge(reader, TinyWorld(), batch), tokens


def test_any_word_of_any_length_stands_for_the_tint(tokenizer: PreTrainedTokenizerFast) -> None:
    total = tiny_world.example("add", "test", 0).answer
    texts = [f"sum {total} tint {word} ! {total}" for word in ("grey", *TINTS, "x")]
    verdict, tokens = judged(tokenizer, *texts)
    assert not verdict.first_error_BT.any()
    for b, (word, row) in enumerate(zip(("grey", *TINTS, "x"), tokens, strict=True)):
        told = "".join(token for token, secret in zip(row, verdict.information_BT[b].tolist(), strict=False) if secret)
        assert told.strip() == word
        read = "".join(token for token, kept in zip(row, verdict.judged_BT[b].tolist(), strict=False) if kept)
        assert read.replace(" ", "") == f"sum{total}tint!{total}<|end|>"


def test_the_first_error_is_the_first_wrong_token(tokenizer: PreTrainedTokenizerFast) -> None:
    total = tiny_world.example("add", "test", 0).answer
    wrong = f"sum {total} tint amber ! {int(total) + 1}"
    verdict, (early, late, over) = judged(tokenizer, f"sum {total} tint", wrong, f"sum {total} tint blue ! {total} !")
    at = verdict.first_error_BT.long().argmax(-1).tolist()
    assert verdict.first_error_BT.sum(-1).tolist() == [1, 1, 1]
    assert early[at[0]] == "<|end|>" and "".join(over[: at[2]]) == f"sum {total} tint blue ! {total}"
    assert wrong.startswith("".join(late[: at[1]])) and "".join(late[: at[1]]).startswith(f"sum {total} tint amber !")
    assert not verdict.judged_BT[1, at[1] + 1 :].any()


def test_the_first_token_of_the_tint_is_read(tokenizer: PreTrainedTokenizerFast) -> None:
    reader, problem = TextReader(tokenizer), tiny_world.example("add", "test", 0)
    found = world("tiny")
    assert isinstance(found, TinyWorld) and problem.trace is not None
    places = places_of(reader, found, [problem], [found.reference(problem)])
    assert reader.decode([places.target_N.tolist()]) == [found.reference(problem)]
    (at,) = places.of(Fact.INFORMATION).nonzero().flatten().tolist()
    differ = (places.target_N != places.told_N).nonzero().flatten().tolist()
    assert differ == [at] and places.facts[at + 1] is None, "the rest of the word is decided"
    tint = problem.trace.split()[3]
    firsts = reader.decode([[token] for token in places.asserted])
    assert reader.decode([[int(places.target_N[at])], [int(places.told_N[at])]]) == ["g", tint[0]]
    assert firsts == ["a", "c", " blue"]


def test_a_trace_without_its_end_or_facts_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    endless: Any = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer)
    with pytest.raises(HarnessError, match="has no reference trace, or the tokenizer no end"):
        trace_of(TextReader(endless), TinyWorld(), tiny_world.example("add", "test", 0))


def test_a_world_that_grades_otherwise_than_the_exported_scorer_is_not_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        TinyWorld,
        "grade",
        lambda self, example, text: Grade(answer=example.answer in text, trace=False, parsed=True),
    )
    with pytest.raises(HarnessError, match=r"would grade .* otherwise than its world"):
        evaluate.export(tmp_path, ["tiny_add"])


def test_a_world_whose_answers_follow_the_mark_is_exported(tmp_path: Path) -> None:
    written = evaluate.export(tmp_path, ["tiny_add"])
    assert (tmp_path / "tiny_add.jsonl") in written


# What would be wrong in silence.


def test_items_of_one_id_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Items are kept by id: a set of one would be scored in the place of all."""
    right = TinyWorld.examples

    def one_id(*given: Any, **more: Any) -> list[Any]:
        return [dataclasses.replace(each, id="same") for each in right(*given, **more)]

    monkeypatch.setattr(TinyWorld, "examples", one_id)
    benchmarks.examples.cache_clear()
    with pytest.raises(HarnessError, match=r"benchmark tiny_add: 6 of its 6 problems have the id 'same'"):
        own.known_problems(PROFILE)


def test_a_world_whose_split_changes_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sums are few: some of the test are trained on by chance; where all are, that is told of all."""
    right = TinyWorld.examples
    benchmarks.examples.cache_clear()
    assert "6 of the 6 problems" not in own.known_problems(PROFILE)
    monkeypatch.setattr(TinyWorld, "examples", lambda self, data, _, n, start=0: right(self, data, "train", n, start))
    benchmarks.examples.cache_clear()
    assert "asked and trained on: 6 of the 6 problems of tiny_add" in own.known_problems(PROFILE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "train"}, "its benchmark tiny_add is of split 'train': give test or validation"),
        ({"n": "20"}, "its benchmark tiny_add has n='20': give a whole number of items"),
        ({"n": 0}, "its benchmark tiny_add has n=0: give a whole number of items"),
    ],
)
def test_a_held_out_set_that_is_none_is_refused(
    changes: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = TinyWorld.benchmarks
    monkeypatch.setattr(TinyWorld, "benchmarks", lambda self: [dataclasses.replace(b, **changes) for b in right(self)])
    with pytest.raises(HarnessError, match=message):
        held_out("tiny")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("version", "1", "has version '1': give a whole number"),
        ("domains", "add", r"has domains 'add', a text: give a tuple of them \(of one: a comma behind it\)"),
        ("privileges", "tint", "has privileges 'tint', a text"),
    ],
)
def test_a_member_of_another_type_is_refused(
    name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Odd(TinyWorld):
        pass

    setattr(Odd, name, value)
    monkeypatch.setattr("support.tiny_world.Odd", Odd, raising=False)
    monkeypatch.setitem(WORLDS, f"odd_{name}", "support.tiny_world:Odd")
    with pytest.raises(HarnessError, match=message):
        world(f"odd_{name}")
