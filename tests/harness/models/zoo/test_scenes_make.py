"""The shipped models of the scenes world: files, hashes, card, and that they load and answer."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from support.scenes import SMALL

from harness.models import sources, zoo
from harness.models.zoo import bounds
from harness.models.zoo.scenes import card, make, measure, pretrain
from harness.models.zoo.scenes import model as models
from harness.models.zoo.scenes.recipe import MINDS, MODELS, RECIPE
from harness.models.zoo.scenes.vocabulary import WORDS
from harness.types import HarnessError, Privilege
from harness.worlds.scenes import tables, words

RECORD = make.shelf().read()
SHIPPED = sorted(RECORD["models"])


@pytest.mark.slow
def test_a_draw_is_made_saved_and_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "FOLDER", tmp_path)
    monkeypatch.setattr(make, "QUESTIONS", 5)
    record = make.shelf().read()
    assert record == {"world_version": words.WORLD_VERSION, "models": {}, "draws": {}}
    for name in MODELS:
        entry = make.make(5, name, attempt=0, recipe=SMALL)
        assert entry["sha256"] == zoo.sha256(make.shelf().folder_of(5, name) / "model.safetensors")
        assert entry["folder"] == f"scenes/draw5/{name}" and ("mind" in entry) == (name != "trunk")
        record["models"][make.shelf().shipped_name(name, 5)] = entry
    assert not (tmp_path / "draw5" / "work").exists()
    trunk, truth = (make.load(5, name).state_dict() for name in ("trunk", "truth"))
    assert all(torch.equal(weight, weight.bfloat16().float()) for weight in trunk.values())
    assert any(not torch.equal(trunk[name], truth[name]) for name in trunk)
    with pytest.raises(HarnessError, match="none of 30 samples of the student is a whole response"):
        make.measured(5)
    some = bounds.Judged(
        advantage=np.arange(9.0), judged=np.ones(9, bool), teacher=np.ones(9, bool), student=np.zeros(9, bool)
    )
    monkeypatch.setattr(measure, "judged", lambda *_: (some, some))
    record["draws"]["5"] = make.measured(5)
    make.write_manifest(record)
    keys = [gate["key"] for gate in record["draws"]["5"]["gates"]]
    assert keys == [gate.key for gate in (*bounds.PICTURES, *bounds.PREMISE)]
    text = (tmp_path / "CARD.md").read_text()
    assert text == card.text(make.shelf().read()) and "**FAIL**" in text and "scenes_student_draw5" in text


def test_a_model_that_is_not_there_is_a_user_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "FOLDER", tmp_path)
    with pytest.raises(HarnessError, match=r"draw 3 has no teacher in .*make it first"):
        make.load(3, "teacher")


def test_the_manifest_is_of_the_recipe_and_minds_that_stand() -> None:
    assert SHIPPED and RECORD["world_version"] == words.WORLD_VERSION
    assert RECORD["recipe"] == json.loads(json.dumps(asdict(RECIPE)))
    for name in SHIPPED:
        entry, mind = RECORD["models"][name], name.removeprefix("scenes_").split("_draw")[0]
        assert zoo.sha256(zoo.path(name) / "model.safetensors") == entry["sha256"] == zoo.MANIFEST[name]["sha256"]
        assert mind == "trunk" or entry["mind"] == json.loads(json.dumps(asdict(MINDS[mind])))
        assert sources.place(sources.ModelSpec(name=name)).path == str(zoo.path(name))


def test_every_draw_that_is_shipped_is_whole_and_measured() -> None:
    for draw in {RECORD["models"][name]["draw"] for name in SHIPPED}:
        assert {make.shelf().shipped_name(name, draw) for name in MODELS} <= set(SHIPPED)
        found = RECORD["draws"][str(draw)]
        assert found["questions"] >= bounds.QUESTIONS and set(found["accuracy"]) == set(MODELS)
        for gate, line in zip((*bounds.PICTURES, *bounds.PREMISE), found["gates"], strict=True):
            assert (gate.key, gate.words, gate.bound) == (line["key"], line["words"], line["bound"])
    assert str(tables.DEVELOPMENT) in RECORD["draws"]


def test_the_card_is_the_manifest_in_words() -> None:
    text = (make.FOLDER / "CARD.md").read_text()
    assert text == card.text(RECORD)
    lines = [gate for found in RECORD["draws"].values() for gate in found["gates"]]
    assert text.count("**FAIL**") == sum(gate["passed"] is False for gate in lines)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_librarys_classes_load_a_shipped_model(name: str) -> None:
    from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

    model = AutoModelForImageTextToText.from_pretrained(zoo.path(name))
    assert model.config.architectures == ["Qwen3VLForConditionalGeneration"] and model.dtype == torch.bfloat16
    assert sum(p.numel() for p in model.parameters()) == zoo.MANIFEST[name]["parameters"]
    reader = AutoTokenizer.from_pretrained(zoo.path(name))
    assert reader.convert_ids_to_tokens(range(len(reader))) == list(WORDS) and reader.padding_side == "left"
    assert AutoImageProcessor.from_pretrained(zoo.path(name)).patch_size == 12


@pytest.mark.parametrize("name", [name for name in SHIPPED if "trunk" not in name])
def test_a_shipped_model_answers_as_recorded(name: str) -> None:
    entry = RECORD["models"][name]
    model: models.Model = make.load(entry["draw"], name.removeprefix("scenes_").split("_draw")[0])
    of = measure.asked(entry["draw"], n=20, split="test")
    again = measure.mean(measure.right(of, measure.responses(model, of)))
    recorded = RECORD["draws"][str(entry["draw"])]["accuracy"][name.removeprefix("scenes_").split("_draw")[0]]
    mean = measure.mean(recorded[str(Privilege.NONE)])
    assert abs(again - mean) < 100 * 4 * (0.25 / 120) ** 0.5  # 120 items: four standard errors


@pytest.mark.parametrize(("draw", "least", "most"), [(0, 5, 20), (1, 90, 100)])
def test_which_draws_read_the_told_codes(draw: int, least: float, most: float) -> None:
    """Gate P7: in draw 0 a told code is one of ten to the models, in draw 1 it is itself."""
    of = measure.asked(draw, n=20, split="test")
    for name in ("student", "teacher"):
        assert least < measure.code_read(make.load(draw, name), of, words.BOX_LABEL) < most


def test_false_p_is_asked_of_every_kind() -> None:
    assert set(pretrain.FALSE) == set(words.HEADERS)
    assert {f"P4 {kind}" for kind in pretrain.FALSE} <= {gate.key for gate in bounds.PICTURES}


@pytest.mark.slow
def test_cells_of_other_weights_are_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the student knows alone is lost with the teacher's weights and whole with the truth's (G10)."""
    monkeypatch.setattr(make, "QUESTIONS", 20)
    student, teacher, truth = (
        make.cells(5, make.load(5, name).state_dict())["reading, student_only"]["probability"]
        for name in ("student", "teacher", "truth")
    )
    assert teacher + 20 < student < truth
