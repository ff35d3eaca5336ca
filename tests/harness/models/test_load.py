"""A pair that cannot be distilled token by token is refused, before anything is computed."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support import language, own_folders
from support.folders import Weights, model_folder
from support.small import tiny
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Split
from tokenizers.trainers import BpeTrainer
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from harness.config import ModelSpec
from harness.models import load as models
from harness.models import zoo
from harness.models.forward import output_layer
from harness.types import HarnessError


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(zoo.path(language.STUDENT))


@pytest.fixture(scope="module")
def pair() -> tuple[PreTrainedModel, PreTrainedModel]:
    return models.load(ModelSpec(name=language.STUDENT)), models.load(ModelSpec(name=language.TEACHER))


def refused(pair, tokenizer, other, match: str) -> None:
    with pytest.raises(HarnessError, match=match):
        models.check_pair(pair[0], tokenizer, pair[1], other)


def test_a_pair_of_one_family_passes(pair, tokenizer) -> None:
    models.check_pair(pair[0], tokenizer, pair[1], copy.deepcopy(tokenizer))


def test_other_words(pair, tokenizer, tmp_path: Path) -> None:
    """Equal sizes, two words exchanged that no probe holds: 29.8 in place of 73.8, before the words were compared."""

    def exchanged(record: dict[str, Any]) -> dict[str, Any]:
        words = record["model"]["vocab"]
        words["A"], words["B"] = words["B"], words["A"]
        return record

    other = AutoTokenizer.from_pretrained(model_folder(tmp_path / "m", tokenizer=exchanged).name)
    first, second = sorted("AB", key=tokenizer.get_vocab().__getitem__)
    said = f"id {tokenizer.get_vocab()[first]} is '{first}' to the student and '{second}' to the teacher, 2 of 85 ids"
    refused(pair, tokenizer, other, said)


def test_words_cut_otherwise(pair, tokenizer) -> None:
    other = copy.deepcopy(tokenizer)
    other.backend_tokenizer.pre_tokenizer = Split(" ", "contiguous")
    refused(pair, tokenizer, other, "have the same words and encode .* differently")


def test_a_word_without_a_row(pair, tokenizer) -> None:
    small = tiny(0)
    with pytest.raises(
        HarnessError, match="the student has 24 rows in its output layer and its tokenizer ids up to 84"
    ):
        models.check_pair(small, tokenizer, pair[1], tokenizer)
    with pytest.raises(HarnessError, match="the teacher has 24 rows"):
        models.check_pair(pair[0], tokenizer, small, tokenizer)


def test_other_end_of_sequence(pair, tokenizer) -> None:
    other = copy.deepcopy(tokenizer)
    other.eos_token = other.pad_token
    refused(pair, tokenizer, other, r"end a response with other tokens: ids \[2\] and \[0, 2\]")


def test_other_ends_in_the_generation_config(pair, tokenizer) -> None:
    """The tokenizers agree; the models' lists were read by the sampler and compared by nobody."""
    teacher = copy.deepcopy(pair[1])
    teacher.generation_config.eos_token_id = [2, 19]
    refused(
        (pair[0], teacher), tokenizer, tokenizer, r"with other tokens: ids \[2\] and \[2, 19\], of tokenizer and gen"
    )
    student = copy.deepcopy(pair[0])
    student.generation_config.eos_token_id = [19, 2]
    models.check_pair(student, tokenizer, teacher, tokenizer)


def test_other_chat_template(pair, tokenizer) -> None:
    other = copy.deepcopy(tokenizer)
    other.chat_template = other.chat_template + " "
    refused(pair, tokenizer, other, "chat templates of student and teacher differ")


def test_a_prompt_may_not_be_cut() -> None:
    models.check_lengths(tiny(0), [10, 40], 24)
    with pytest.raises(HarnessError, match="prompt of 41 tokens and response of 24 exceed the model's 64"):
        models.check_lengths(tiny(0), [10, 41], 24)


@pytest.mark.parametrize("load", [models.load, models.load_tokenizer])
def test_a_model_that_is_not_there_names_the_embedded_ones(load, tmp_path: Path) -> None:
    with pytest.raises(
        HarnessError,
        match=r"could not be loaded .* embedded name \(permutations_small_drawN, .*, scenes_truth_drawN\), a folder",
    ):
        load(ModelSpec(name=str(tmp_path / "nowhere")))


def test_weights_other_than_planned_are_refused() -> None:
    with pytest.raises(HarnessError, match="planned for weights 0123456789"):
        models.load(ModelSpec(name=language.STUDENT, sha256="0123456789" * 6 + "0123"))


def without_a_block(weights: Weights) -> Weights:
    return {name: weight for name, weight in weights.items() if "layers.1.mlp" not in name}


def prefixed(weights: Weights) -> Weights:
    return {f"_orig_mod.{name}": weight for name, weight in weights.items()}


def layers(n: int) -> dict[str, Any]:
    return {"num_hidden_layers": n, "layer_types": ["full_attention"] * n}


@pytest.mark.parametrize(
    ("change", "config", "said"),
    [
        (without_a_block, {}, "the weights lack model.layers.1.mlp.down_proj.weight and 2 more; give a folder"),
        (prefixed, {}, "the weights lack lm_head.weight and 24 more"),
        (dict, layers(3), "the weights lack model.layers.2.input_layernorm.weight and 10 more"),
        (
            dict,
            layers(1),
            "hold model.layers.1.input_layernorm.weight and 10 more, which the model of config.json has no place for",
        ),
        (
            dict,
            {"intermediate_size": 100},
            r"hold model.layers.0.mlp.down_proj.weight in another shape, \(64, 160\) for \(64, 100\) and 5 more",
        ),
    ],
    ids=["a block lost", "keys prefixed", "a layer too few", "a layer too many", "another width"],
)
def test_no_weight_is_random_and_none_is_left_over(change, config, said: str, tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=said):
        models.load(model_folder(tmp_path / "m", weights=change, config=config))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_not_finite_is_refused(value: float, tmp_path: Path) -> None:
    def spoilt(weights: Weights) -> Weights:
        weights["model.norm.weight"][3] = value
        weights["model.layers.1.mlp.up_proj.weight"][0, 0] = value
        return weights

    with pytest.raises(HarnessError, match=r"model.layers.1.mlp.up_proj.weight and 1 more tensors has weights that"):
        models.load(model_folder(tmp_path / "m", weights=spoilt))


def test_tied_heads_and_keys_known_to_belong_to_nothing_load(tmp_path: Path) -> None:
    """The shipped file has no head of its own, and old files of the family hold a table of frequencies."""

    def older(weights: Weights) -> Weights:
        assert "lm_head.weight" not in weights
        return weights | {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(3)}

    loaded = models.load(model_folder(tmp_path / "m", weights=older))
    same = models.load(ModelSpec(name=language.STUDENT))
    assert all(torch.equal(x, y) for x, y in zip(loaded.parameters(), same.parameters(), strict=True))
    assert output_layer(loaded).weight is loaded.get_input_embeddings().weight


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    spec = model_folder(tmp_path / "m")
    weights = tmp_path / "m" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(HarnessError, match="could not be loaded"):
        models.load(spec)


def test_an_unknown_dtype_is_told() -> None:
    with pytest.raises(HarnessError, match="dtype 'bf16': choose one of float32, float64, bfloat16, float16"):
        models.load(ModelSpec(name=language.STUDENT), dtype="bf16")


def test_pickled_weights_are_refused_by_name(tmp_path: Path) -> None:
    """Reading a pickle can run code; a folder that has both is read from its safetensors."""
    spec = model_folder(tmp_path / "m")
    weights = tmp_path / "m" / "model.safetensors"
    torch.save(load_file(weights), tmp_path / "m" / "pytorch_model.bin")
    models.load(spec)
    weights.unlink()
    with pytest.raises(HarnessError, match=r"has its weights as pickle \(pytorch_model.bin\).*save_pretrained") as told:
        models.load(spec)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("what", ["config", "tokenizer_config"])
def test_code_that_a_model_brings_is_refused_by_name_and_not_run(tmp_path: Path, what: str) -> None:
    """A tokenizer that transformers has in the place of the one that is brought may be read; nothing is run."""
    names = {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model", "AutoTokenizer": ["mine.Words", None]}
    brought = {"auto_map": names, "model_type": "mine", "tokenizer_class": "Words"}
    spec = model_folder(tmp_path / "m", **{what: brought})
    (tmp_path / "m" / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    if what == "config":
        with pytest.raises(HarnessError, match=r"brings code of its own .*, which is not run") as told:
            models.load(spec)
        assert "\n" not in str(told.value)
    else:
        assert models.load_tokenizer(spec).encode("A B") == models.load_tokenizer(
            ModelSpec(name=language.STUDENT)
        ).encode("A B")
    assert not (tmp_path / "ran").exists()


def digits_together(folder: Path) -> ModelSpec:
    """A folder of Qwen2's architecture whose tokenizer does not cut numbers into digits, as Qwen2's does."""
    core = Tokenizer(BPE())
    core.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=True)
    trainer = BpeTrainer(vocab_size=300, initial_alphabet=ByteLevel.alphabet(), show_progress=False)
    core.train_from_iterator(["1999 1999 123 123"] * 9, trainer)
    own_folders.model("student", 0).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=core).save_pretrained(folder)
    return ModelSpec(name=str(folder))


def test_texts_are_cut_as_the_file_of_the_tokenizer_says(tmp_path: Path) -> None:
    spec = digits_together(tmp_path / "model")
    assert AutoTokenizer.from_pretrained(spec.name).tokenize("1999") == ["1", "9", "9", "9"]
    assert models.load_tokenizer(spec).tokenize("1999") == ["1999"]


def test_a_tokenizer_that_cannot_be_read_as_it_is_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "PreTrainedTokenizerFast", AutoTokenizer)
    with pytest.raises(HarnessError, match=r"cuts texts otherwise than the folder's tokenizer\.json says; write it"):
        models.load_tokenizer(digits_together(tmp_path / "model"))
