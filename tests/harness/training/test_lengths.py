"""Every prompt that a run can draw is measured before it begins, in the contexts that somebody reads."""

from __future__ import annotations

import dataclasses

import pytest
from support.drive_run import short_run

from harness.training import lengths
from harness.training.trainer import Trainer, prepare
from harness.training.writers import batch_examples, epoch_order
from harness.types import PLAIN, PRIVILEGED, Example, HarnessError, Policy

STEPS = 20
DRAWN = STEPS * 4


def longer(example: Example) -> Example:
    """The problem said again and again."""
    (turn,) = example.messages
    return dataclasses.replace(example, messages=({"role": "user", "content": f"{turn['content']} " * 60},))


def told_more(example: Example, kind: str) -> Example:
    return dataclasses.replace(example, privileged={kind: f"{example.privileged[kind]} " * 60})


def check(trainer: Trainer, examples: list[Example]) -> None:
    teacher = trainer.policies[Policy.TEACHER]
    lengths.check(trainer.spec, trainer.method, trainer.reader, trainer.world, examples, trainer.student, teacher)


@pytest.mark.slow
@pytest.mark.parametrize(("place", "refused"), [(0, True), (DRAWN - 1, True), (DRAWN, False)])
def test_the_last_problem_of_the_last_step_is_measured_and_the_next_is_not(place: int, refused: bool) -> None:
    trainer = prepare(short_run("vanilla_opd", STEPS))
    examples = list(trainer.examples)
    which = int(epoch_order(len(examples), trainer.spec.seed, 0)[place])
    examples[which] = longer(examples[which])
    if refused:
        with pytest.raises(HarnessError, match=r"prompt of \d{3,} tokens and response of \d+ exceed the model's"):
            check(trainer, examples)
    else:
        check(trainer, examples)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "refused"), [("dopd", True), ("vanilla_opd", False)])
def test_p_is_measured_where_a_view_reads_it(method: str, refused: bool) -> None:
    trainer = prepare(short_run(method, STEPS))
    examples = [told_more(each, trainer.data.privilege) for each in trainer.examples]
    if refused:
        with pytest.raises(HarnessError, match=r"exceed the model's"):
            check(trainer, examples)
    else:
        check(trainer, examples)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["vanilla_opd", "sft", "gkd"])
@pytest.mark.parametrize("steps", [3, 70])
def test_what_is_measured_is_all_that_is_drawn(method: str, steps: int) -> None:
    """Fewer than there are, and more: several epochs."""
    trainer = prepare(short_run(method, 2))
    spec = dataclasses.replace(trainer.spec, steps=steps)
    a_step = 4 * (2 if method != "vanilla_opd" else 1)
    found = {each.id for each in lengths.drawn(trainer.examples, spec, a_step=a_step)}
    counts = {4, a_step}
    read = {
        each.id
        for count in counts
        for step in range(steps)
        for each in batch_examples(trainer.examples, count, seed=spec.seed, step=step)
    }
    assert read <= found and len(found) == min(len(trainer.examples), steps * a_step)


def test_a_long_reference_counts_where_it_is_read() -> None:
    """Responses of the data are not cut."""
    trainer = prepare(short_run("sft", 2))
    trainer.student.config.max_position_embeddings = 60
    with pytest.raises(HarnessError, match=r"exceed the model's 60 positions"):
        check(trainer, list(trainer.examples))


@pytest.mark.slow
def test_who_reads_what() -> None:
    found = {name: lengths.read(prepare(short_run(name, 2)).method) for name in ("vanilla_opd", "seqkd")}
    assert found["vanilla_opd"] == {(Policy.STUDENT, PLAIN), (Policy.TEACHER, PLAIN)}
    assert found["seqkd"] == {(Policy.STUDENT, PLAIN), (Policy.TEACHER, PLAIN)}
    assert (Policy.TEACHER, PRIVILEGED) in lengths.read(prepare(short_run("dopd", 2)).method)
