"""Vocabularies: a pair shares one, and rows that only fill a matrix up to a round number are no words of it.

Two models of one tokenizer may be padded to other sizes (151,936 and 152,064 rows for 151,669 words). The longer one is
cut to the rows of both, in the model itself: sampler, scorer, losses, checkpoints and what is exported have the same
softmax without knowing of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harness.models.forward import output_layer, vocabulary_size
from harness.types import HarnessError


def check_words_equal(student: PreTrainedTokenizerBase, teacher: PreTrainedTokenizerBase) -> None:
    """Every id is the same word to both.

    Raises:
        HarnessError: one is not; the lowest is named.
    """
    of_student, of_teacher = ({i: word for word, i in t.get_vocab().items()} for t in (student, teacher))
    ids = of_student.keys() | of_teacher.keys()
    differ = [i for i in sorted(ids) if of_student.get(i) != of_teacher.get(i)]
    if differ:
        first = differ[0]
        raise HarnessError(
            f"student and teacher have other words: id {first} is {of_student.get(first)!r} to the student and "
            f"{of_teacher.get(first)!r} to the teacher, {len(differ)} of {len(ids)} ids differ; choose a pair with the "
            "same tokenizer"
        )


def check_rows(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, whose: str) -> None:
    """Every word has a row; ``whose`` model it is, is said in the message.

    Raises:
        HarnessError: one has none.
    """
    rows, last = vocabulary_size(model), max(tokenizer.get_vocab().values())
    if last >= rows:
        raise HarnessError(
            f"the {whose} has {rows} rows in its output layer and its tokenizer ids up to {last}: give it the "
            "tokenizer it was trained with, or resize its embeddings to the tokenizer's words"
        )


def cut(model: PreTrainedModel, rows: int) -> None:
    """No more rows than these, the first ones, in the embedding and the output layer; in place."""
    if vocabulary_size(model) > rows:
        model.resize_token_embeddings(rows, mean_resizing=False)


def cut_to_common(student: PreTrainedModel, teacher: PreTrainedModel) -> None:
    """Both have the rows of the shorter one; in place. What is cut off no tokenizer has a word for (``check_rows``)."""
    rows = min(map(vocabulary_size, (student, teacher)))
    for model in (student, teacher):
        cut(model, rows)


def take(model: PreTrainedModel, weights: Mapping[str, Tensor]) -> None:
    """Weights of a checkpoint, whose run may have cut the vocabulary; in place."""
    head = output_layer(model).weight
    name = next(name for name, weight in model.named_parameters() if weight is head)
    cut(model, len(weights[name]))
    model.load_state_dict(weights)
