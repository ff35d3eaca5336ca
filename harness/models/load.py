"""Loading policies, and the checks that must hold between teacher and student before any compute is spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging as transformers_logging
from transformers.utils.hub import cached_file

from harness.config import DTYPES, ModelSpec, Template
from harness.models import sources, vocabulary, zoo
from harness.models.image_reader import RECORDS, Eye, ImageReader
from harness.models.reader import PLAIN, Reader, TextReader
from harness.models.sampler import eos_ids
from harness.types import HarnessError

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
"""Endings of weights that are not read."""
PROBES = (
    "reasoning 7 a . +3 *7 ! 4",
    "def f(x):\n    return x + 1",
    "Żółw, 数学, 3.14 and\ttabs",
)
"""Texts whose encodings must agree: tokenizers of the same words may cut a text at other places."""
WRITTEN = (*PROBES, "In 1999 there weren't 12,345  of them.\n\n  Two")
"""The same of a tokenizer and its file: rules differ in numbers, apostrophes and runs of white space."""


def load(
    spec: ModelSpec, *, dtype: str = "float32", device: str | torch.device = "cpu", root: Path | None = None
) -> PreTrainedModel:
    """A causal language model in evaluation mode: the project trains without dropout.

    ``root`` is the results folder, asked only for a model that is made.

    Raises:
        HarnessError: an unknown dtype; the name is neither embedded, nor a folder, nor reachable on the hub; the
            weights are not all and only those of the model; one is not finite; or see ``sources.place``.
    """
    if dtype not in DTYPES:
        raise HarnessError(f"dtype {dtype!r}: choose one of {', '.join(DTYPES)}")
    transformers_logging.disable_progress_bar()
    found = sources.place(spec, root)
    try:
        config = AutoConfig.from_pretrained(found.path, revision=found.revision, trust_remote_code=False)
        family = AutoModelForCausalLM if Eye.of(config) is None else AutoModelForImageTextToText
        # A tensor of another shape is told by `_check_whole`, in the words of those that lack.
        loaded: Any = family.from_pretrained(
            found.path,
            revision=found.revision,
            dtype=getattr(torch, dtype),
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            use_safetensors=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise HarnessError(_missing(spec, error)) from error
    model, info = loaded
    _check_whole(spec, info)
    _check_finite(spec, model)
    return model.eval().to(device)


def load_tokenizer(spec: ModelSpec, *, root: Path | None = None) -> PreTrainedTokenizerBase:
    """The model's own tokenizer, padding on the left and decoding what is written; ``root`` as for ``load``.

    It cuts texts as its tokenizer.json says: transformers gives a model of some types (Qwen2's) the rules of that
    type, whatever stands in the file and in its config.

    Raises:
        HarnessError: it cannot be found, or cuts texts otherwise than its file; see also ``sources.place``.
    """
    found = sources.place(spec, root)
    # lm-eval decodes by itself: cleaned spaces are 0.0 where 54.0 is right.
    settings = {"padding_side": "left", "clean_up_tokenization_spaces": False, "trust_remote_code": False}
    try:
        written = _written(found)
        for family in (AutoTokenizer, PreTrainedTokenizerFast):
            tokenizer = family.from_pretrained(found.path, revision=found.revision, **settings)  # pyright: ignore[reportArgumentType]
            if written is None or all(tokenizer.encode(w, add_special_tokens=False) == written[w] for w in WRITTEN):
                break
        else:
            raise HarnessError(
                f"model {spec.name!r}: transformers cuts texts otherwise than the folder's tokenizer.json says; write "
                "it again with save_pretrained of the tokenizer that the model was trained with"
            )
    except (OSError, ValueError) as error:
        raise HarnessError(_missing(spec, error)) from error
    if spec.template == Template.PLAIN:
        tokenizer.chat_template = PLAIN
    return tokenizer


def _written(found: sources.Place) -> dict[str, list[int]] | None:
    """Ids of ``WRITTEN`` by tokenizer.json itself; None for a model without one."""
    path = cached_file(
        found.path, "tokenizer.json", revision=found.revision, _raise_exceptions_for_missing_entries=False
    )
    if path is None:
        return None
    core = Tokenizer.from_file(path)
    core.no_padding()
    core.no_truncation()
    return {text: core.encode(text, add_special_tokens=False).ids for text in WRITTEN}


def load_reader(spec: ModelSpec, *, root: Path | None = None) -> Reader:
    """What reads and writes for the model, by its config: pictures and text, or text alone; see ``load_tokenizer``.

    Raises:
        HarnessError: a model that sees has no image processor, or see ``ImageReader``.
    """
    tokenizer, turn = load_tokenizer(spec, root=root), spec.privileged_turn
    found = sources.place(spec, root)
    path, revision = found.path, found.revision
    try:
        eye = Eye.of(AutoConfig.from_pretrained(path, revision=revision, trust_remote_code=False))
        if eye is None:
            return TextReader(tokenizer, turn)
        processor = AutoImageProcessor.from_pretrained(path, revision=revision, backend="pil", trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise HarnessError(_missing(spec, error)) from error
    records = [cached_file(path, n, revision=revision, _raise_exceptions_for_missing_entries=False) for n in RECORDS]
    return ImageReader(tokenizer, processor, eye, records=[Path(r) for r in records if r], privileged_turn=turn)


def _missing(spec: ModelSpec, error: Exception) -> str:
    if "trust_remote_code" in str(error):
        return (
            f"model {spec.name!r} brings code of its own (auto_map in its config), which is not run here: give a model "
            "of an architecture that transformers has"
        )
    if pickled := sorted(path.name for path in Path(spec.name).glob("*") if path.suffix in PICKLED):
        return (
            f"model {spec.name!r} has its weights as pickle ({pickled[0]}), which can run code when it is read: load "
            "it where you trust it and write it with save_pretrained, which makes a .safetensors file"
        )
    first_line = str(error).strip().splitlines()[0][:160]
    return (
        f"model {spec.name!r} could not be loaded ({first_line}); give an embedded name "
        f"({zoo.names()}), a folder with config and weights, or a hub name this machine can reach"
    )


def _check_whole(spec: ModelSpec, info: Mapping[str, Any]) -> None:
    """No weight is a random number, no tensor is left over. Tied heads, and keys that the library knows to belong to
    nothing, are in none of its lists.

    Raises:
        HarnessError: a tensor lacks, has another shape, or is of no layer.
    """
    shapes = {name: f"{tuple(held)} for {tuple(wanted)}" for name, held, wanted in info["mismatched_keys"]}
    for names, what in (
        (info["missing_keys"], "the weights lack {name}{others}"),
        (shapes, "the weights hold {name} in another shape, {shape}{others}"),
        (info["unexpected_keys"], "the weights hold {name}{others}, which the model of config.json has no place for"),
    ):
        if names:
            name = min(map(str, names))
            others = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise HarnessError(
                f"model {spec.name!r}: {what.format(name=name, others=others, shape=shapes.get(name))}; give a folder "
                "that save_pretrained wrote whole, with config.json of the same model"
            )


def _check_finite(spec: ModelSpec, model: PreTrainedModel) -> None:
    broken = [name for name, weight in model.named_parameters() if not bool(weight.isfinite().all())]
    if broken:
        others = f" and {len(broken) - 1} more tensors" if len(broken) > 1 else ""
        raise HarnessError(
            f"model {spec.name!r}: {broken[0]}{others} has weights that are not finite; the file is damaged or the "
            "model was saved after it had diverged, give another"
        )


def check_pair(
    student: PreTrainedModel,
    student_tokenizer: PreTrainedTokenizerBase,
    teacher: PreTrainedModel,
    teacher_tokenizer: PreTrainedTokenizerBase,
) -> None:
    """A teacher can only correct a student token by token if both read and write the same tokens.

    The models may have more rows than words, and not equally many: see ``vocabulary.cut_to_common``.

    Raises:
        HarnessError: words, rows for them, probe encodings, what ends a response, or chat template differ.
    """
    vocabulary.check_words_equal(student_tokenizer, teacher_tokenizer)
    vocabulary.check_rows(student, student_tokenizer, "student")
    vocabulary.check_rows(teacher, teacher_tokenizer, "teacher")
    for text in PROBES:
        if student_tokenizer.encode(text) != teacher_tokenizer.encode(text):
            raise HarnessError(
                f"student and teacher have the same words and encode {text!r} differently; "
                "choose a pair with the same tokenizer"
            )
    ends = [
        sorted(eos_ids(TextReader(tokenizer), model))
        for tokenizer, model in ((student_tokenizer, student), (teacher_tokenizer, teacher))
    ]
    if ends[0] != ends[1]:
        raise HarnessError(
            f"student and teacher end a response with other tokens: ids {ends[0]} and {ends[1]}, of tokenizer and "
            "generation_config; responses would not end where the teacher ends them, give both the same eos_token_id"
        )
    if student_tokenizer.chat_template != teacher_tokenizer.chat_template:
        raise HarnessError("chat templates of student and teacher differ: give both the same")


def check_lengths(model: PreTrainedModel, prompt_lengths: Sequence[int], max_response_tokens: int) -> None:
    """No prompt, the privileged one included, may be cut.

    Raises:
        HarnessError: prompt and response do not fit the model's positions.
    """
    longest = max(prompt_lengths) + max_response_tokens
    limit: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if limit is not None and longest > limit:
        raise HarnessError(
            f"prompt of {max(prompt_lengths)} tokens and response of {max_response_tokens} exceed the model's "
            f"{limit} positions ({model.name_or_path or type(model).__name__}); "
            "shorten max_response_tokens or drop the long privileged inputs"
        )


def check_prompts(lengths: Sequence[int], limit: int | None) -> None:
    """No prompt is longer than the user allows: it would not be cut.

    Raises:
        HarnessError: one is; how many of these and how long the longest.
    """
    long = [length for length in lengths if limit is not None and length > limit]
    if long:
        raise HarnessError(
            f"{len(long)} of {len(lengths)} prompts, p included, have more than max_prompt_tokens={limit}, the longest "
            f"{max(long)}: allow so many (--max-prompt-tokens), or drop the long problems"
        )


def check_words(reader: Reader, texts: Sequence[str], whose: str) -> None:
    """Every word must be known to the tokenizer: a model cannot tell two unknown ones apart, nor write one.

    ``whose`` texts these are is said in the message.

    Raises:
        HarnessError: one is not.
    """
    unknown: Any = reader.tokenizer.unk_token_id
    if unknown is None:
        return
    for text, ids in zip(texts, reader.encode(texts), strict=True):
        if unknown not in ids:
            continue
        lost = [word for word in text.split() if unknown in reader.encode([word])[0]] or [text]
        raise HarnessError(
            f"{whose}: {lost[0]!r} is {reader.tokenizer.unk_token} to the tokenizer of model "
            f"{reader.tokenizer.name_or_path}; use words it knows, or a student and a teacher whose tokenizer knows "
            "these (the embedded ones read the embedded world alone)"
        )
