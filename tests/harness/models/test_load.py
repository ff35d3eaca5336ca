"""A pair that cannot be distilled token by token is refused, before anything is computed."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import pytest
from support.small import tiny
from transformers import AutoTokenizer

from harness.config import ModelSpec
from harness.models import load as models
from harness.models import zoo
from harness.models.forward import output_layer
from harness.types import HarnessError


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(zoo.path("base"))


def refused(tokenizer, other, match: str) -> None:
    with pytest.raises(HarnessError, match=match):
        models.check_pair(tiny(0), tokenizer, tiny(1), other)


def test_a_pair_of_one_family_passes(tokenizer) -> None:
    models.check_pair(tiny(0), tokenizer, tiny(1), copy.deepcopy(tokenizer))


def test_other_vocabulary_size(tokenizer) -> None:
    teacher = tiny(1)
    teacher.resize_token_embeddings(30)
    assert output_layer(teacher).weight.shape[0] == 30
    with pytest.raises(HarnessError, match="vocabulary sizes differ: student 24, teacher 30"):
        models.check_pair(tiny(0), tokenizer, teacher, tokenizer)


def test_equal_size_and_other_ids(tokenizer, tmp_path: Path) -> None:
    """The same 77 words, two of them with their numbers exchanged: only an encoding shows it."""
    folder = tmp_path / "other"
    shutil.copytree(zoo.path("base"), folder)
    record = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = record["model"]["vocab"]
    vocabulary["+3"], vocabulary["+4"] = vocabulary["+4"], vocabulary["+3"]
    (folder / "tokenizer.json").write_text(json.dumps(record))
    refused(tokenizer, AutoTokenizer.from_pretrained(folder), "encode .* differently")


def test_other_end_of_sequence(tokenizer) -> None:
    other = copy.deepcopy(tokenizer)
    other.eos_token = other.pad_token
    refused(tokenizer, other, "EOS of student and teacher differ")


def test_other_chat_template(tokenizer) -> None:
    other = copy.deepcopy(tokenizer)
    other.chat_template = other.chat_template + " "
    refused(tokenizer, other, "chat templates of student and teacher differ")


def test_a_prompt_may_not_be_cut() -> None:
    models.check_lengths(tiny(0), [10, 40], 24)
    with pytest.raises(HarnessError, match="prompt of 41 tokens and response of 24 exceed the model's 64"):
        models.check_lengths(tiny(0), [10, 41], 24)


@pytest.mark.parametrize("load", [models.load, models.load_tokenizer])
def test_a_model_that_is_not_there_names_the_embedded_ones(load, tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"could not be loaded .* embedded name \(base, mid, small, strong\)"):
        load(ModelSpec(name=str(tmp_path / "nowhere")))


def test_weights_other_than_planned_are_refused() -> None:
    with pytest.raises(HarnessError, match="planned for weights 0123456789"):
        models.load(ModelSpec(name="base", sha256="0123456789" * 6 + "0123"))
