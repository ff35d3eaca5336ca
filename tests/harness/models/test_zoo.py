"""The shipped models: tokenizer, chat template, hashes, gates, and that they load and answer."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest

from harness.models import zoo
from harness.models.reader import TextReader
from harness.models.zoo import card, measure, pretrain, tokenizer
from harness.types import HarnessError, Message, Privilege
from harness.worlds import privilege, slots

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NAMES = ("strong", "mid", "base", "small")
NEVER, ALWAYS = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def words() -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(zoo.path("base"))


def test_the_zoo_is_complete_and_hashes_match() -> None:
    assert tuple(zoo.LADDER) == tuple(zoo.RECIPES) == NAMES and set(NAMES) < {*zoo.MANIFEST}
    for name in NAMES:
        entry = zoo.MANIFEST[name]
        assert zoo.sha256(zoo.path(name) / "model.safetensors") == entry["sha256"]
        assert entry["recipe"] == json.loads(json.dumps(asdict(zoo.RECIPES[name])))


def test_an_unknown_model_is_a_user_error() -> None:
    with pytest.raises(HarnessError, match="the zoo has: strong, mid, base, small"):
        zoo.path("huge")


def test_recorded_gates_follow_from_the_recorded_accuracies() -> None:
    assert zoo.gates(zoo.LADDER) == zoo.GATES
    assert all(gate["passed"] == (gate["low"] <= gate["value"] <= gate["high"]) for gate in zoo.GATES)


def test_the_card_is_the_manifest_in_words() -> None:
    record = json.loads((zoo.WEIGHTS / "manifest.json").read_text())
    text = (zoo.WEIGHTS / "CARD.md").read_text()
    assert text == card.text(record)
    assert text.count("**FAIL**") == sum(not gate["passed"] for gate in zoo.GATES)


def test_all_models_share_one_tokenizer() -> None:
    files = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
    for file in files:
        assert len({(zoo.path(name) / file).read_bytes() for name in NAMES}) == 1
    for name in NAMES:
        config = json.loads((zoo.path(name) / "config.json").read_text())
        generation = json.loads((zoo.path(name) / "generation_config.json").read_text())
        assert config["vocab_size"] == len(tokenizer.WORDS) and config["tie_word_embeddings"]
        for record in (config, generation):
            assert (record["eos_token_id"], record["pad_token_id"]) == (2, 0)


def test_tokenizer_round_trip(words: PreTrainedTokenizerBase) -> None:
    assert len(words) == len(set(tokenizer.WORDS)) == len(tokenizer.WORDS) < 100
    assert words.convert_ids_to_tokens(range(len(words))) == list(tokenizer.WORDS)
    assert (words.eos_token, words.pad_token, words.padding_side) == ("<|im_end|>", "<|endoftext|>", "left")
    for domain in slots.DOMAINS:
        example = slots.example(domain, "test", 0)
        ids = words(example.trace).input_ids
        ended = [*ids, words.eos_token_id, words.pad_token_id]
        assert words.decode(ended, skip_special_tokens=True) == example.trace
        assert len(ids) == len(example.facts)


def test_no_word_of_the_world_is_unknown(words: PreTrainedTokenizerBase) -> None:
    for domain in slots.DOMAINS:
        for i in range(50):
            example = slots.example(domain, "train", i, slots.HARD_DIFFICULTY)
            for kind in Privilege:
                ids = TextReader(words).ids(privilege.messages(example, kind))
                assert words.unk_token_id not in ids


def test_chat_template(words: PreTrainedTokenizerBase) -> None:
    turns: list[Message] = [{"role": "system", "content": "hints A"}, {"role": "user", "content": "coding 3"}]
    prompt = "<|im_start|> system hints A <|im_end|> <|im_start|> user coding 3 <|im_end|> "
    prompt += "<|im_start|> assistant"
    assert words.decode(TextReader(words).ids(turns)) == prompt
    whole = words.apply_chat_template([*turns, {"role": "assistant", "content": "! 3"}], tokenize=False)
    assert whole.split() == [*prompt.split(), "!", "3", "<|im_end|>"]


def test_distances_do_not_depend_on_length_or_p(words: PreTrainedTokenizerBase) -> None:
    lengths = {kind: set() for kind in Privilege}
    for i in range(30):
        example = slots.example("general", "test", i)
        for kind in Privilege:
            lengths[kind].add(len(TextReader(words).ids(privilege.messages(example, kind))))
    assert lengths.pop(Privilege.NONE) == {35} and set.union(*lengths.values()) == {67}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_model_loads_and_scores_as_recorded(name: str, words: PreTrainedTokenizerBase) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(zoo.path(name))
    assert sum(p.numel() for p in model.parameters()) == zoo.MANIFEST[name]["parameters"]
    assert model.config.architectures == ["Qwen3ForCausalLM"]
    again = zoo.mean(measure.per_domain(model, words, Privilege.NONE, items=60)["answer"])
    assert abs(again - zoo.mean(zoo.MANIFEST[name]["accuracy"]["greedy"]["none"])) < 14  # 180 items: four SE


def targets(recipe: zoo.Recipe, words: PreTrainedTokenizerBase) -> list[pretrain.Batch]:
    return pretrain.batches(recipe, 2 * recipe.short_steps, words)


def test_pre_training_learns_every_token_but_the_wrong_ones(words: PreTrainedTokenizerBase) -> None:
    clean = replace(zoo.RECIPES["small"], wrong_share=0.0, rule_share=ALWAYS)
    for recipe, slips in ((clean, False), (replace(clean, wrong_share=1.0), True)):
        for batch, prompt in zip(targets(recipe, words), (35, 67), strict=True):
            assert batch.prompt == prompt and batch.ids.shape[0] == recipe.batch // 2
            seen, kept = batch.ids[:, prompt:], batch.targets != pretrain.IGNORE
            assert (seen[kept] == batch.targets[kept]).all()
            skipped = (~kept & (seen != words.pad_token_id)).any(dim=1)
            assert (skipped == slips).all()


def test_pre_training_tells_codes_and_choices_only_where_it_should(words: PreTrainedTokenizerBase) -> None:
    recipe = replace(zoo.RECIPES["small"], rule_share=NEVER, rule_share_decay=ALWAYS)
    plain, privileged = targets(recipe, words)
    codes, choices = (set(words.convert_tokens_to_ids(list(w))) for w in (slots.CODES, ("A", "B")))
    assert not codes & set(plain.ids.flatten().tolist())
    assert codes & set(privileged.targets.flatten().tolist())
    assert not choices & set(plain.targets.flatten().tolist())
    assert choices & set(privileged.targets.flatten().tolist())
    taught = targets(replace(recipe, rule_share=ALWAYS), words)[0]
    assert choices <= set(taught.targets.flatten().tolist())
    late = pretrain.batches(recipe, recipe.steps - recipe.decay_steps, words)[0]
    assert choices <= set(late.targets.flatten().tolist())


@pytest.mark.parametrize(
    ("at", "kind", "silenced"),
    [
        (0, Privilege.NONE, 7),
        (1, Privilege.HINTS, 11),
        (1, Privilege.FINAL_ANSWER, 11),
        (2, Privilege.SUMMARY, 13),
        (2, Privilege.FINAL_ANSWER, None),
        (0, Privilege.HINTS_WITH_EXECUTION, None),
        (2, Privilege.HINTS_WITH_EXECUTION, None),
    ],
)
def test_the_digit_that_takes_two_operations_is_silenced(at: int, kind: Privilege, silenced: int | None) -> None:
    silent = [False] * 14  # three steps and the answer
    pretrain._silence_two_operations(silent, at, 3, kind)
    assert [i for i, skip in enumerate(silent) if skip] == ([] if silenced is None else [silenced])


def test_pre_training_never_reads_a_problem_twice(words: PreTrainedTokenizerBase) -> None:
    recipe, prompts = zoo.RECIPES["small"], []
    for step in range(500, 505):
        for batch in pretrain.batches(recipe, step, words):
            prompts += [tuple(row[batch.prompt - 33 : batch.prompt].tolist()) for row in batch.ids]
    assert len(set(prompts)) == len(prompts) == 5 * recipe.batch


def test_pre_training_is_deterministic() -> None:
    recipe = replace(zoo.RECIPES["small"], steps=3, decay_steps=2, batch=8)
    first, second = ([loss for _, loss, _ in pretrain.train(recipe)] for _ in range(2))
    assert first == second and len(first) == 3
