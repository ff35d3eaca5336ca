"""Making the models of the permutations world: files, entries, gates, card; nothing is trained for long."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from support.permutations import SMALL

from harness.models import zoo
from harness.models.zoo import bounds
from harness.models.zoo.permutations import card, make, measure
from harness.models.zoo.permutations.recipe import MINDS, MODELS
from harness.models.zoo.permutations.vocabulary import WORDS
from harness.types import HarnessError
from harness.worlds.permutations import words


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
    from transformers import AutoModelForCausalLM, AutoTokenizer

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
