"""Whether models have positions for what a run will read, measured before any compute.

Every prompt that the run can draw is rendered once, in each context that holds data alone: an endless world, too, is
bounded by the steps of a run, and the order of its problems is known. What stands before x in contexts of a method's
own (a sibling's response) is written on the way; it is measured batch by batch (``step.check_fits``).
"""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedModel

from harness.config import RunSpec
from harness.method import Method, untrained_views
from harness.models import load
from harness.models.prompts import render
from harness.models.reader import Reader
from harness.training.reduce import world as ranks
from harness.training.writers import epoch_order, references
from harness.types import PLAIN, PRIVILEGED, Completion, Example, Policy, Privilege, Source
from harness.worlds.world import World

AT_ONCE = 256
"""Prompts rendered together."""
WRITERS = {
    Source.STUDENT: (Policy.STUDENT, PLAIN),
    Source.PRIVILEGED_STUDENT: (Policy.STUDENT, PRIVILEGED),
    Source.TEACHER: (Policy.TEACHER, PLAIN),
    Source.VERIFIED_TEACHER: (Policy.TEACHER, PLAIN),
}
"""Who reads what in order to write."""


def drawn(training_set: Sequence[Example], spec: RunSpec, *, a_step: int) -> list[Example]:
    """The examples of all steps and ranks, ``a_step`` on each; each once."""
    n, wanted = len(training_set), spec.steps * a_step * ranks()[1]
    return [training_set[int(place)] for place in epoch_order(n, spec.seed, 0)[:wanted]]


def prompts(reader: Reader, examples: Sequence[Example], kind: str) -> list[int]:
    """Tokens of each prompt, p of ``kind`` in it."""
    starts = range(0, len(examples), AT_ONCE)
    return [n for start in starts for n in render(reader, examples[start : start + AT_ONCE], kind).lengths]


def longest_reference(reader: Reader, world: World, examples: Sequence[Example]) -> int:
    """Tokens of the longest reference response, EOS included."""
    return 1 + max(map(len, reader.encode(references(world, examples))))


def read(method: Method) -> set[tuple[Policy, str]]:
    """Each policy with each context that it scores, trains or writes in."""
    views = [*untrained_views(method), *(term.trained for term in method.terms)]
    asked = {(view.policy, view.context) for view in views}
    return asked | {WRITERS[source] for source, share in method.sampling.items() if share and source in WRITERS}


def check(
    spec: RunSpec,
    method: Method,
    reader: Reader,
    world: World,
    examples: Sequence[Example],
    student: PreTrainedModel,
    teacher: PreTrainedModel,
) -> None:
    """Every policy has positions for every context that it reads, over all that the run can draw.

    Raises:
        HarnessError: one has not, or a prompt is longer than ``RunSpec.max_prompt_tokens``.
    """
    assert spec.data is not None
    sources = {source for source, share in method.sampling.items() if share}
    from_data = Source.DATASET in sources
    found = drawn(examples, spec, a_step=spec.prompts_per_step * (spec.rollouts_per_prompt if from_data else 1))
    if not found:
        return
    room = spec.max_response_tokens if sources - {Source.DATASET} else 0
    if from_data or any(term.completion is Completion.REFERENCE for term in method.terms):
        room = max(room, longest_reference(reader, world, found))
    who_reads = read(method)
    for context, kind in ((PLAIN, Privilege.NONE), (PRIVILEGED, spec.data.privilege)):
        readers = {policy is Policy.TEACHER for policy, name in who_reads if name == context}
        tokens = prompts(reader, found, kind) if readers else []
        load.check_prompts(tokens, spec.max_prompt_tokens)
        for is_teacher in readers:
            load.check_lengths(teacher if is_teacher else student, tokens, room)


def check_probe(
    model: PreTrainedModel, reader: Reader, examples: Sequence[Example], kind: str, max_response_tokens: int
) -> None:
    """The student has positions for the problems of its probe, without p and with p of ``kind``.

    Raises:
        HarnessError: it has not.
    """
    for each in {str(Privilege.NONE), kind}:
        load.check_lengths(model, prompts(reader, examples, each), max_response_tokens)
