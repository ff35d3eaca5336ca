"""Prompts and readers: padding, rows, media, and what a text reader refuses."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from support import language
from support.folders import model_folder
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast, Qwen3ForCausalLM

from harness.models import load
from harness.models.forward import score
from harness.models.prompts import Media, Prompts, render
from harness.models.reader import Reader, TextReader
from harness.models.sampler import sample
from harness.types import HarnessError, ImagePart, Message, Privilege, TextPart, Want

THREE = Prompts.of_ids([[5], [6, 7, 8], [9, 4]], 0)


def test_prompts_are_padded_on_the_left_and_continued_once() -> None:
    assert THREE.ids_QL.tolist() == [[0, 0, 5], [6, 7, 8], [0, 9, 4]]
    assert THREE.mask_QL.tolist() == [[False, False, True], [True] * 3, [False, True, True]]
    assert (THREE.row_of_B.tolist(), THREE.lengths, THREE.present_B) == ([0, 1, 2], [1, 3, 2], None)


def test_prompts_nobody_continues_are_dropped() -> None:
    part = THREE.continued_by(torch.tensor([0, 1, 2, 0])).select(torch.tensor([0, 2, 3]))
    assert part.ids_QL.tolist() == [[0, 5], [9, 4]]
    assert part.row_of_B.tolist() == [0, 1, 0]


def test_selected_rows_keep_whether_they_are_present() -> None:
    present = dataclasses.replace(THREE, present_B=torch.tensor([True, False, True]))
    kept = present.select(torch.tensor([1, 2])).present_B
    assert kept is not None and kept.tolist() == [False, True]
    assert present.continued_by(torch.tensor([0])).present_B is None


@pytest.mark.parametrize(("ids", "message"), [([], "0 prompts"), ([[1], []], "2 prompts, 1 of them empty")])
def test_no_prompt_or_an_empty_one_is_refused(ids: list[list[int]], message: str) -> None:
    with pytest.raises(HarnessError, match=message):
        Prompts.of_ids(ids, 0)


def test_every_examples_messages_are_rendered_with_p(tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    reader = TextReader(tiny_tokenizer)
    examples = language.WORLD.examples(language.data("coding"), "test", 2)
    plain, hinted = render(reader, examples), render(reader, examples, Privilege.HINTS)
    assert [len(reader.ids(e.messages)) for e in examples] == plain.lengths
    assert all(longer > shorter for longer, shorter in zip(hinted.lengths, plain.lengths, strict=True))


# A reader of text.


def test_parts_of_text_are_one_text(tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    reader = TextReader(tiny_tokenizer)
    parts: Message = {"role": "user", "content": (TextPart("a 1 "), TextPart("! 2"))}
    whole: Message = {"role": "user", "content": "a 1 ! 2"}
    assert reader.ids([parts]) == reader.ids([whole])


def test_a_response_is_read_as_it_is_written(tmp_path: Path) -> None:
    """A setting of the tokenizer takes spaces out: 0.0 in place of 54.0."""
    cleaning = model_folder(tmp_path / "m", tokenizer_config={"clean_up_tokenization_spaces": True})
    (example,) = language.WORLD.examples(language.data("coding"), "test", 1)
    trace = example.trace or ""
    own = AutoTokenizer.from_pretrained(cleaning.name)
    (ids,) = TextReader(own).encode([trace])
    assert " ! " in trace and " ! " not in own.decode(ids), "the setting acts"
    assert TextReader(own).decode([ids]) == [trace]
    assert load.load_tokenizer(cleaning).decode(ids) == trace, "lm-eval decodes by itself"


def test_an_image_is_refused_in_one_line(tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    turn: Message = {"role": "user", "content": (TextPart("a"), ImagePart("x/y.png", "0" * 64))}
    with pytest.raises(HarnessError, match=r"holds the image x/y\.png, this model reads text only: choose") as error:
        TextReader(tiny_tokenizer).prompts([[turn]])
    assert "\n" not in str(error.value)


def test_texts_and_ids_and_places(tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    reader = TextReader(tiny_tokenizer)
    (ids,) = reader.encode(["a 1 ! 2"])
    assert reader.decode([[*ids, 2]]) == ["a 1 ! 2"] and reader.decode([[2]], special=True) == ["<|im_end|>"]
    assert reader.places("a 1 ! 2") == [(0, 1), (2, 3), (4, 5), (6, 7)]
    assert (reader.pad_id, reader.eos_id) == (0, 2)


def test_padding_falls_back_on_the_end(tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    core = tiny_tokenizer.backend_tokenizer
    assert TextReader(PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|im_end|>")).pad_id == 2
    assert TextReader(PreTrainedTokenizerFast(tokenizer_object=core)).pad_id == 0


# Media: what a reader of pictures will put beside the text reaches every forward pass of the prompts.


class Colours:
    """A colour for each prompt, in place of a picture: a shift of all its embeddings."""

    def __init__(self, shift_Q: Tensor) -> None:
        self.shift_Q = shift_Q

    def select(self, used_Q: Tensor) -> Media:
        return Colours(self.shift_Q[used_Q])

    def to(self, device: torch.device | str) -> Media:
        return Colours(self.shift_Q.to(device))

    def after(self, text_Q: Tensor) -> Tensor:
        return text_Q

    def inputs(self, model: PreTrainedModel, text: Mapping[str, Any]) -> Mapping[str, Any]:
        embedded = model.get_input_embeddings()(text["input_ids"]) + self.shift_Q[:, None, None]
        return {**text, "input_ids": None, "inputs_embeds": embedded}


def logp(model: PreTrainedModel, prompts: Prompts, ids_BT: Tensor) -> Tensor:
    everything = torch.ones_like(ids_BT, dtype=torch.bool)
    wants = frozenset({Want.LOGP})
    return score(model, prompts, ids_BT, everything, wants=wants, temperature=1.0, microbatch=2).logp_BT


def test_media_are_read_wherever_the_prompts_are(
    tiny_model: Qwen3ForCausalLM, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    reader: Reader = TextReader(tiny_tokenizer)
    examples = [language.example("coding", "test", i) for i in range(3)]
    rows: Sequence[Sequence[int]] = [[5, 6], [7], [8, 9, 10]]
    seen = Prompts.of_ids(rows, 0, Colours(torch.tensor([0.0, 0.5, 1.0])))

    def written(prompts: Prompts) -> Any:
        generator = torch.Generator().manual_seed(0)
        return sample(
            tiny_model, reader, examples, prompts, rollouts_per_prompt=2, max_new_tokens=6, generator=generator
        )

    batch = written(seen)
    ids_BT, mask_BT = batch.response_ids_BT, batch.mask_BT
    again = logp(tiny_model, batch.prompts, ids_BT)
    torch.testing.assert_close(again[mask_BT], batch.logp_BT[mask_BT], atol=1e-4, rtol=1e-4)
    blind = logp(tiny_model, dataclasses.replace(batch.prompts, media=None), ids_BT)
    torch.testing.assert_close(blind[:2], again[:2])  # a shift of nothing
    assert (blind[2:] - again[2:]).abs().max() > 1e-3
