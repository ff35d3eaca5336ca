"""Making the models of the permutations world: files, entries, gates, card; nothing is trained for long."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from support.permutations import SMALL
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from harness.models import sources, zoo
from harness.models.reader import TextReader
from harness.models.zoo import bounds
from harness.models.zoo.permutations import card, make, measure, pretrain, rows
from harness.models.zoo.permutations.recipe import MINDS, MODELS, RECIPE
from harness.models.zoo.permutations.vocabulary import WORDS
from harness.types import HarnessError, Message, Privilege
from harness.worlds import privilege
from harness.worlds.permutations import tables, words
from harness.worlds.permutations.planner import KNOWING
from harness.worlds.permutations.world import example

RECORD = make.shelf().read()
SHIPPED = sorted(RECORD["models"])
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def mind_of(name: str) -> str:
    """``student`` of ``permutations_student_draw0``."""
    return name.removeprefix(f"{words.NAME}_").split("_draw")[0]


@pytest.fixture(scope="module")
def reader() -> PreTrainedTokenizerBase:
    """Of every shipped model: they share it."""
    return AutoTokenizer.from_pretrained(zoo.path(SHIPPED[0]))


@pytest.mark.slow
def test_a_draw_is_made_saved_and_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "FOLDER", tmp_path)
    monkeypatch.setattr(make, "PROBLEMS", 4)
    shelf, record = make.shelf(), make.shelf().read()
    assert record == {"world_version": words.WORLD_VERSION, "models": {}, "draws": {}}
    for name in MODELS:
        entry = make.make(5, name, attempt=0, recipe=SMALL)
        assert entry["sha256"] == zoo.sha256(shelf.folder_of(5, name) / "model.safetensors")
        assert entry["folder"] == f"permutations/draw5/{name}" and ("mind" in entry) == (name != "trunk")
        assert entry["steps"] == (6 if name == "trunk" else 2)
        record["models"][shelf.shipped_name(name, 5)] = entry
    assert record["models"]["permutations_teacher_draw5"]["mind"]["depth"] == 4
    assert not (tmp_path / "draw5" / "work").exists()
    trunk, truth = (make.load(5, name).state_dict() for name in ("trunk", "truth"))
    assert all(torch.equal(weight, weight.bfloat16().float()) for weight in trunk.values())
    assert any(not torch.equal(trunk[name], truth[name]) for name in trunk)
    with pytest.raises(HarnessError, match="none of 12 samples of the student is a whole response"):
        make.measured(5)
    some = bounds.Judged(
        advantage=np.arange(9.0), judged=np.ones(9, bool), teacher=np.ones(9, bool), student=np.zeros(9, bool)
    )
    monkeypatch.setattr(measure, "judged", lambda *_: some)
    record["draws"]["5"] = make.measured(5)
    make.write_manifest(record)
    gates = {gate["key"]: gate for gate in record["draws"]["5"]["gates"]}
    assert list(gates) == [gate.key for gate in (*bounds.LANGUAGE, *bounds.PREMISE)]
    assert {key for key, gate in gates.items() if gate["value"] is None} == {"G10", "L2"}
    assert gates["G7"]["value"] == 100.0 and gates["P1"]["passed"] is False
    text = (tmp_path / "CARD.md").read_text()
    assert text == card.text(shelf.read()) and "**FAIL**" in text and "permutations_student_draw5" in text
    assert "| plan | 3 | 1 | 0 | 3 |" in text and json.loads((tmp_path / "manifest.json").read_text())["recipe"]


def test_the_librarys_classes_load_what_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "FOLDER", tmp_path)
    make.make(3, "trunk", attempt=0, recipe=SMALL)
    folder = make.shelf().folder_of(3, "trunk")
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.dtype == torch.bfloat16 and model.generation_config.max_new_tokens == 32
    reader = AutoTokenizer.from_pretrained(folder)
    assert reader.convert_ids_to_tokens(range(len(reader))) == list(WORDS)
    assert (model.config.eos_token_id, model.config.pad_token_id) == (reader.eos_token_id, reader.pad_token_id)


def test_a_model_that_is_not_there_is_a_user_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "FOLDER", tmp_path)
    with pytest.raises(HarnessError, match=r"draw 3 has no teacher in .*make it first \(--only teacher\)"):
        make.load(3, "teacher")


def test_false_p_is_asked_of_every_kind_that_tells_what_is_scored() -> None:
    assert set(measure.FALSE) == set(words.HELPFUL)
    assert {f"P4 {kind}" for kind in measure.FALSE} <= {gate.key for gate in bounds.LANGUAGE}
    assert set(make.LADDER) < {*words.HELPFUL, "none"} and MINDS["truth"].mistaken == {}


def test_pre_training_never_reads_a_problem_twice() -> None:
    prompts = list[tuple[int, ...]]()
    for step in range(4):
        streams = (f"the trunk, step {step}", pretrain.stream(5, "teacher", step))
        for page in (rows.page(RECIPE, 5, (3, 7), Random(each), KNOWING) for each in streams):
            for batch in page:
                start = batch.ids_BL.shape[1] - batch.targets_BT.shape[1]
                prompts += [tuple(row[start - 35 : start].tolist()) for row in batch.ids_BL]
    whole = [each for each in prompts if WORDS[each[2]] in words.DOMAINS]  # x may be left out
    assert len(prompts) == 8 * RECIPE.batch and len(set(whole)) == len(whole) > 0.9 * len(prompts)


# What is shipped.


def test_the_manifest_is_of_the_recipe_and_minds_that_stand() -> None:
    assert SHIPPED and RECORD["world_version"] == words.WORLD_VERSION
    assert RECORD["recipe"] == json.loads(json.dumps(asdict(RECIPE)))
    for name in SHIPPED:
        entry, mind = RECORD["models"][name], mind_of(name)
        assert zoo.sha256(zoo.path(name) / "model.safetensors") == entry["sha256"] == zoo.MANIFEST[name]["sha256"]
        assert mind == "trunk" or entry["mind"] == json.loads(json.dumps(asdict(MINDS[mind])))
        assert sources.place(sources.ModelSpec(name=name)).path == str(zoo.path(name))


def test_every_draw_that_is_shipped_is_whole_and_measured() -> None:
    for draw in {RECORD["models"][name]["draw"] for name in SHIPPED}:
        assert {make.shelf().shipped_name(name, draw) for name in MODELS} <= set(SHIPPED)
        found = RECORD["draws"][str(draw)]
        assert found["questions"] >= bounds.QUESTIONS and set(found["accuracy"]) == set(MODELS)
        for gate, line in zip(make.GATES, found["gates"], strict=True):
            assert (gate.key, gate.words, gate.bound) == (line["key"], line["words"], line["bound"])
            assert line["passed"] is (None if line["value"] is None else gate.passes(line["value"]))
    assert str(tables.DEVELOPMENT) in RECORD["draws"]


@pytest.mark.parametrize("draw", sorted(RECORD["draws"]))
def test_recorded_gates_follow_from_the_recorded_accuracies(draw: str) -> None:
    found = RECORD["draws"][draw]
    means = {name: {p: measure.mean(by) for p, by in each.items()} for name, each in found["accuracy"].items()}
    none = {name: by[str(Privilege.NONE)] for name, by in means.items()}
    wanted = bounds.accuracies(means["student"], means["teacher"], make.LADDER)
    wanted |= {"L1": none["student"] - none["small"], "L3": abs(none["student"] - none["student_uncalibrated"])}
    values = {gate["key"]: gate["value"] for gate in found["gates"]}
    assert {key: values[key] for key in wanted} == pytest.approx(wanted, abs=0.2)  # of rounded shares


def test_the_card_is_the_manifest_in_words() -> None:
    text = (make.FOLDER / "CARD.md").read_text()
    assert text == card.text(RECORD)
    lines = [gate for found in RECORD["draws"].values() for gate in found["gates"]]
    assert text.count("**FAIL**") == sum(gate["passed"] is False for gate in lines)


def test_an_unknown_model_is_a_user_error() -> None:
    with pytest.raises(HarnessError, match=r"no embedded model 'huge'; the zoo has: permutations_small_drawN, "):
        zoo.path("huge")


def test_all_models_share_one_tokenizer() -> None:
    for file in TOKENIZER:
        assert len({(zoo.path(name) / file).read_bytes() for name in SHIPPED}) == 1
    for name in SHIPPED:
        config = json.loads((zoo.path(name) / "config.json").read_text())
        generation = json.loads((zoo.path(name) / "generation_config.json").read_text())
        assert config["vocab_size"] == len(WORDS) and config["tie_word_embeddings"]
        for record in (config, generation):
            assert (record["eos_token_id"], record["pad_token_id"]) == (2, 0)


def test_tokenizer_round_trip(reader: PreTrainedTokenizerBase) -> None:
    assert reader.convert_ids_to_tokens(range(len(reader))) == list(WORDS)
    assert (reader.eos_token, reader.pad_token, reader.padding_side) == ("<|im_end|>", "<|endoftext|>", "left")
    for domain in words.DOMAINS:
        asked = example(0, domain, "test", 0)
        ids = reader(asked.trace).input_ids
        ended = [*ids, reader.eos_token_id, reader.pad_token_id]
        assert reader.decode(ended, skip_special_tokens=True) == asked.trace
        assert len(ids) == len(asked.facts)


def test_chat_template(reader: PreTrainedTokenizerBase) -> None:
    turns: list[Message] = [{"role": "system", "content": "hints A"}, {"role": "user", "content": "coding 3"}]
    prompt = "<|im_start|> system hints A <|im_end|> <|im_start|> user coding 3 <|im_end|> "
    prompt += "<|im_start|> assistant"
    assert reader.decode(TextReader(reader).ids(turns)) == prompt
    whole = reader.apply_chat_template([*turns, {"role": "assistant", "content": "! 3"}], tokenize=False)
    assert whole.split() == [*prompt.split(), "!", "3", "<|im_end|>"]


def test_no_word_is_unknown_and_distances_do_not_depend_on_length_or_p(reader: PreTrainedTokenizerBase) -> None:
    lengths: dict[str, set[int]] = {kind: set() for kind in (str(Privilege.NONE), *words.HEADERS)}
    for domain in words.DOMAINS:
        for i in range(30):
            asked = example(i % tables.DRAWS, domain, "test", i, (1, 7))
            for kind, seen in lengths.items():
                ids = TextReader(reader).ids(privilege.messages(asked, kind))
                assert reader.unk_token_id not in ids
                seen.add(len(ids))
    assert lengths.pop(str(Privilege.NONE)) == {35} and set.union(*lengths.values()) == {67}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SHIPPED if mind_of(name) != "trunk"])
def test_a_shipped_model_loads_and_scores_as_recorded(name: str) -> None:
    model = AutoModelForCausalLM.from_pretrained(zoo.path(name))
    assert sum(p.numel() for p in model.parameters()) == zoo.MANIFEST[name]["parameters"]
    assert model.config.architectures == ["Qwen3ForCausalLM"] and model.dtype == torch.bfloat16
    draw = RECORD["models"][name]["draw"]
    of = measure.asked(draw, n=60, split="test", stream="another")
    again = measure.mean(measure.right(of, measure.responses(make.load(draw, mind_of(name)), of)))
    recorded = RECORD["draws"][str(draw)]["accuracy"][mind_of(name)]
    assert abs(again - measure.mean(recorded[str(Privilege.NONE)])) < 100 * 4 * (0.25 / 180) ** 0.5  # four SE
