"""Who writes the responses: order of the data, mixtures, verified samples, reference traces, contexts."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from support import language

from harness import registry, seeds
from harness.method import Method
from harness.models.forward import score
from harness.models.prompts import Prompts, render
from harness.models.sampler import RolloutBatch, from_texts
from harness.suite import Options, training_run
from harness.training import writers
from harness.training.contexts import build_batch
from harness.training.step import Batch
from harness.training.trainer import Trainer, prepare
from harness.training.writers import VERIFIED_TRIES, batch_examples, draw_source, replace_rows, verified, write_rollouts
from harness.types import PLAIN, PRIVILEGED, Example, Finish, Policy, Privilege, Source, Want, text_of
from harness.worlds.permutations.words import DIGITS
from methods.dapd import ROLLOUT, SOLUTION, DualAnchorDistillation
from methods.gkd import GeneralisedDistillation
from methods.opd import OnPolicyDistillation
from methods.sdpo import FEEDBACK, SelfDistillationPolicyOptimisation
from methods.seqkd import SequenceLevelDistillation
from methods.sft import SupervisedFineTuning

PROMPTS, ROLLOUTS, SIZE = 4, 2, 6


@pytest.fixture(scope="module")
def prepared() -> Trainer:
    """The embedded pair on six problems, four of them a step, two rollouts each."""
    profile = registry.profile("embedded").in_draw(0)
    return prepare(
        training_run(
            profile,
            Options(suite="ood", steps=10),
            method="vanilla_opd",
            domains=("coding",),
            seed=0,
            data=dataclasses.replace(profile.data, domains=("coding",), size=SIZE),
            prompts_per_step=PROMPTS,
            rollouts_per_prompt=ROLLOUTS,
        )
    )


def with_method(trainer: Trainer, method: Method, step: int = 0) -> Trainer:
    return dataclasses.replace(trainer, method=method, step=step)


def wrote(trainer: Trainer) -> RolloutBatch:
    return write_rollouts(
        trainer.method,
        trainer.policies,
        trainer.reader,
        trainer.world,
        trainer.examples,
        spec=trainer.spec,
        step=trainer.step,
    )


def built(trainer: Trainer, rollouts: RolloutBatch) -> Batch:
    kind, seed = trainer.data.privilege, trainer.spec.seed
    return build_batch(trainer.method, trainer.reader, trainer.world, rollouts, kind, seed=seed, step=trainer.step)


def ids_of(trainer: Trainer, step: int, count: int = PROMPTS) -> list[str]:
    return [e.id for e in batch_examples(trainer.examples, count, seed=trainer.spec.seed, step=step)]


# The order of the data


def test_every_example_comes_once_an_epoch_in_an_order_of_its_own(prepared: Trainer) -> None:
    """Three steps of four are two epochs of six; the second step lies across the border."""
    seen = [i for step in range(3) for i in ids_of(prepared, step)]
    everything = {e.id for e in prepared.examples}
    assert len(everything) == SIZE
    assert set(seen[:SIZE]) == set(seen[SIZE:]) == everything
    assert seen[:SIZE] != seen[SIZE:]
    assert seen == [i for step in range(3) for i in ids_of(prepared, step)], "the same step, the same prompts"


def test_another_seed_has_another_order(prepared: Trainer) -> None:
    other = dataclasses.replace(prepared, spec=dataclasses.replace(prepared.spec, seed=1))
    assert [ids_of(other, s) for s in range(3)] != [ids_of(prepared, s) for s in range(3)]


def test_ranks_share_a_step_without_overlap(prepared: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two ranks of three prompts read an epoch between them, and step by step what one process of six would."""
    alone = [ids_of(prepared, step, SIZE) for step in range(3)]
    ranks = []
    for rank in range(2):
        monkeypatch.setattr(writers, "ranks", lambda rank=rank: (rank, 2))
        ranks.append([ids_of(prepared, step, SIZE // 2) for step in range(3)])
    for step, everything in enumerate(alone):
        first, second = (rank[step] for rank in ranks)
        assert not set(first) & set(second)
        assert sorted(first + second) == sorted(everything) == sorted(e.id for e in prepared.examples)


# Which source writes a batch


def test_sources_are_drawn_at_the_methods_probabilities() -> None:
    """2000 draws of .3: four standard errors are 4 sqrt(.3 .7 / 2000) = .041."""
    method = GeneralisedDistillation(student_share=0.3)
    generator = torch.Generator().manual_seed(0)
    drawn = Counter(draw_source(method, generator) for _ in range(2000))
    assert set(drawn) == {Source.STUDENT, Source.TEACHER}
    assert abs(drawn[Source.STUDENT] / 2000 - 0.3) < 0.041


def test_every_step_draws_its_source_anew() -> None:
    """The stream of a step gives one number: 400 steps of .3 within .092."""
    method = GeneralisedDistillation(student_share=0.3)
    drawn = Counter(draw_source(method, seeds.generator(0, "source", step)) for step in range(400))
    assert abs(drawn[Source.STUDENT] / 400 - 0.3) < 0.092


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_an_end_of_the_mixture_is_that_source_alone(share: float) -> None:
    method = GeneralisedDistillation(student_share=share)
    drawn = {draw_source(method, seeds.generator(0, "source", step)) for step in range(50)}
    assert drawn == {Source.STUDENT if share else Source.TEACHER}


WRITERS: list[tuple[Method, Policy, str]] = [
    (OnPolicyDistillation(), Policy.STUDENT, PLAIN),
    (OnPolicyDistillation(sampler=Source.PRIVILEGED_STUDENT), Policy.STUDENT, PRIVILEGED),
    (SequenceLevelDistillation(), Policy.TEACHER, PLAIN),
]


@pytest.mark.parametrize(("method", "policy", "context"), WRITERS, ids=["student", "student with p", "teacher"])
def test_the_writer_is_the_policy_and_context_asked_for(
    prepared: Trainer, method: Method, policy: Policy, context: str
) -> None:
    """The sampler's log-probabilities are those of that view and of no other."""
    trainer = with_method(prepared, method)
    rollouts = wrote(trainer)
    contexts = {PLAIN: rollouts.prompts, PRIVILEGED: told(trainer, rollouts)}
    for each in (Policy.STUDENT, Policy.TEACHER):
        for name in (PLAIN, PRIVILEGED):
            far = float((logp(trainer, each, contexts[name], rollouts) - rollouts.logp_BT).abs().max())
            assert (far < 1e-3) == ((each, name) == (policy, context)), (each, name, far)


def told(trainer: Trainer, rollouts: RolloutBatch) -> Prompts:
    """The prompts with p, also for a method whose views read none."""
    return render(trainer.reader, rollouts.examples, trainer.data.privilege).continued_by(rollouts.prompt_of_B)


def logp(trainer: Trainer, policy: Policy, prompts: Prompts, rollouts: RolloutBatch) -> torch.Tensor:
    return score(
        trainer.policies[policy],
        prompts,
        rollouts.response_ids_BT,
        rollouts.mask_BT,
        wants=frozenset({Want.LOGP}),
        temperature=1.0,
        microbatch=64,
    ).logp_BT


def test_a_batch_written_with_p_is_learnt_without_it(prepared: Trainer) -> None:
    """The returned prompts are the plain ones, whoever wrote: p must not reach the trained view by this door."""
    trainer = with_method(prepared, OnPolicyDistillation(sampler=Source.PRIVILEGED_STUDENT))
    rollouts = wrote(trainer)
    plain = render(trainer.reader, rollouts.examples)
    assert torch.equal(rollouts.prompts.ids_QL, plain.ids_QL) and torch.equal(rollouts.prompts.mask_QL, plain.mask_QL)
    privileged = render(trainer.reader, rollouts.examples, Privilege.HINTS)
    assert min(privileged.lengths) > plain.ids_QL.shape[1]


# The data's own traces


def test_the_data_writes_as_many_prompts_as_others_write_rollouts(prepared: Trainer) -> None:
    method = SupervisedFineTuning(completions=Source.DATASET)
    trainer = dataclasses.replace(
        with_method(prepared, method), spec=dataclasses.replace(prepared.spec, prompts_per_step=2)
    )
    rollouts = wrote(trainer)
    assert rollouts.prompt_of_B.tolist() == list(range(2 * ROLLOUTS))
    assert len({e.id for e in rollouts.examples}) == 2 * ROLLOUTS
    assert rollouts.responses(trainer.reader) == [language.plain_trace(e) for e in rollouts.examples]
    ends = rollouts.response_ids_BT.gather(1, rollouts.mask_BT.sum(-1, keepdim=True) - 1).flatten()
    assert set(ends.tolist()) == {trainer.reader.eos_id}
    assert all(language.grade(e, language.plain_trace(e)).answer for e in rollouts.examples)


# Verified samples


def asked(trainer: Trainer) -> list[Example]:
    return batch_examples(trainer.examples, PROMPTS, seed=trainer.spec.seed, step=trainer.step)


def rewards(trainer: Trainer, batch: RolloutBatch) -> torch.Tensor:
    found = writers.rewards(trainer.world, batch, batch.responses(trainer.reader))
    assert found is not None
    return found


def written(trainer: Trainer, texts: list[str], mark: float) -> RolloutBatch:
    """Given texts as rollouts of the step's prompts, recognisable by their log-probability."""
    examples = asked(trainer)
    batch = from_texts(trainer.reader, examples, render(trainer.reader, examples), texts)
    return dataclasses.replace(
        batch,
        logp_BT=mark * batch.mask_BT,
        finish=tuple(Finish.EOS if mark == 1.0 else Finish.LENGTH for _ in texts),
    )


def drawing(trainer: Trainer, outcomes: list[str]) -> tuple[Callable[[], RolloutBatch], list[int]]:
    """A writer whose n-th batch is right where the n-th string has R, and the numbers of the batches drawn."""
    examples, drawn = asked(trainer), list[int]()

    def draw() -> RolloutBatch:
        drawn.append(len(drawn))
        marks = outcomes[min(drawn[-1], len(outcomes) - 1)]
        texts = [language.plain_trace(e) if m == "R" else "A . . 1 ! x" for e, m in zip(examples, marks, strict=True)]
        return written(trainer, texts, 1.0 + drawn[-1])

    return draw, drawn


def test_only_refused_rows_are_replaced_and_only_by_accepted_ones(prepared: Trainer) -> None:
    """Row 0 is right at once, row 1 at the third draw, row 2 at the second; row 3 at the fourth."""
    draw, drawn = drawing(prepared, ["R...", "..R.", "RR..", ".R.R"])
    batch = verified(prepared.world, prepared.reader, draw)
    assert rewards(prepared, batch).tolist() == [1.0] * 4
    assert batch.logp_BT[:, 0].tolist() == [1.0, 3.0, 2.0, 4.0]
    assert [f is Finish.EOS for f in batch.finish] == [True, False, False, False]
    assert batch.responses(prepared.reader) == [language.plain_trace(e) for e in batch.examples]
    assert len(drawn) == 4, "it stops when nothing is refused"


def test_the_teacher_is_asked_a_bounded_number_of_times(prepared: Trainer) -> None:
    draw, drawn = drawing(prepared, ["R..."])
    batch = verified(prepared.world, prepared.reader, draw)
    assert len(drawn) == 1 + VERIFIED_TRIES
    assert rewards(prepared, batch).tolist() == [1.0, 0.0, 0.0, 0.0]
    assert batch.logp_BT[:, 0].tolist() == [1.0] * 4, "what stays refused is the first draw"


@pytest.mark.slow
def test_a_verified_teacher_writes_at_least_what_it_wrote_at_first(prepared: Trainer) -> None:
    trainer = with_method(prepared, SupervisedFineTuning())
    teacher, step = trainer.policies[Policy.TEACHER], trainer.step
    first = writers.sampled(teacher, trainer.reader, asked(trainer), spec=trainer.spec, step=step)()
    batch = wrote(trainer)
    was, now = (rewards(trainer, b) for b in (first, batch))
    assert bool((now >= was).all())
    texts = [b.responses(trainer.reader) for b in (first, batch)]
    for b in range(PROMPTS * ROLLOUTS):
        replaced = texts[0][b] != texts[1][b]
        assert not replaced or (float(was[b]), float(now[b])) == (0.0, 1.0)


def test_joined_batches_are_as_wide_as_the_wider(prepared: Trainer) -> None:
    draw, _ = drawing(prepared, ["RRRR", "...."])
    long, short = draw(), draw()
    width, narrow = (b.mask_BT.shape[1] for b in (long, short))
    assert narrow < width
    for first, second in ((long, short), (short, long)):
        both = writers.join(first, second)
        assert both.response_ids_BT.shape == both.mask_BT.shape == both.logp_BT.shape == (2 * PROMPTS, width)
        assert both.mask_BT.sum(-1).tolist() == [*first.mask_BT.sum(-1).tolist(), *second.mask_BT.sum(-1).tolist()]
        assert both.responses(prepared.reader) == [
            *first.responses(prepared.reader),
            *second.responses(prepared.reader),
        ]
        assert both.prompt_of_B.tolist() == [*range(PROMPTS)] * 2
        assert both.finish == first.finish + second.finish


def test_replaced_rows_bring_everything_with_them(prepared: Trainer) -> None:
    draw, _ = drawing(prepared, ["....", "RRRR"])
    short, long = draw(), draw()
    taken = torch.tensor([False, True, False, False])
    batch = replace_rows(short, long, taken)
    assert batch.prompt_of_B.tolist() == list(range(PROMPTS))
    assert batch.logp_BT[:, 0].tolist() == [1.0, 2.0, 1.0, 1.0]
    assert batch.mask_BT.sum(-1).tolist() == [
        int((long if t else short).mask_BT[b].sum()) for b, t in enumerate(taken.tolist())
    ]
    assert batch.mask_BT.shape == batch.logp_BT.shape == batch.response_ids_BT.shape == long.mask_BT.shape
    texts = short.responses(prepared.reader)
    texts[1] = long.responses(prepared.reader)[1]
    assert batch.responses(prepared.reader) == texts


def test_selected_rows_keep_their_prompts_and_numbers(prepared: Trainer) -> None:
    draw, _ = drawing(prepared, ["R.R."])
    batch = draw()
    picked = writers.select(batch, torch.tensor([3, 0]))
    assert picked.prompt_of_B.tolist() == [3, 0]
    assert (picked.examples, len(picked.finish)) == (batch.examples, 2)
    assert torch.equal(picked.prompts.ids_QL, batch.prompts.ids_QL)
    assert torch.equal(picked.response_ids_BT, batch.response_ids_BT[[3, 0]])
    assert torch.equal(picked.mask_BT, batch.mask_BT[[3, 0]])


# What is built around the rollouts


def test_references_follow_the_rollouts_one_beside_each(prepared: Trainer) -> None:
    trainer = with_method(prepared, DualAnchorDistillation())
    rollouts = wrote(trainer)
    batch = built(trainer, rollouts)
    B = PROMPTS * ROLLOUTS
    assert batch.reference_B.tolist() == [False] * B + [True] * B
    assert batch.rollouts.prompt_of_B.tolist() == rollouts.prompt_of_B.tolist() * 2
    texts = batch.rollouts.responses(trainer.reader)
    prompted = [rollouts.examples[p] for p in rollouts.prompt_of_B.tolist()]
    assert texts[:B] == rollouts.responses(trainer.reader)
    assert texts[B:] == [language.plain_trace(e) for e in prompted]
    own = {name: shown(trainer, batch.contexts[name]) for name in (ROLLOUT, SOLUTION)}
    assert own[SOLUTION][:B] == own[SOLUTION][B:] and own[ROLLOUT][:B] == own[ROLLOUT][B:]
    for b, example in enumerate(prompted):
        worked, last = language.plain_trace(example).partition(" ! ")[0].rsplit(" ", 1)
        assert f" {worked} . " in own[SOLUTION][b] and text_of(example.messages[0]) in own[SOLUTION][b]
        assert last in DIGITS, "the last result is the answer, which is not shown"


def shown(trainer: Trainer, prompts: Prompts) -> list[str]:
    rows = prompts.row_of_B.tolist()
    return [trainer.reader.tokenizer.decode(prompts.ids_QL[r][prompts.mask_QL[r]].tolist()) for r in rows]


@pytest.mark.parametrize("pattern", ["R.R.", "....", "RRRR"], ids=["one of two", "all wrong", "all right"])
def test_a_rollout_without_feedback_stands_with_the_plain_prompt(
    prepared: Trainer, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    """Two rollouts a prompt: the lone success has no teacher; all wrong see p; all right see one another."""
    trainer = with_method(prepared, SelfDistillationPolicyOptimisation())
    rollouts = wrote(trainer)
    given = torch.tensor([float(m == "R") for m in pattern * 2])
    monkeypatch.setattr("harness.training.contexts.rewards", lambda *_: given)
    batch = built(trainer, rollouts)
    feedback: Any = batch.contexts[FEEDBACK]
    plain, hinted = (shown(trainer, prompts) for prompts in (batch.contexts[PLAIN], told(trainer, rollouts)))
    seen = shown(trainer, feedback)
    for b, mark in enumerate(pattern * 2):
        lone = pattern == "R.R." and mark == "R"
        assert bool(feedback.present_B[b]) != lone
        assert (seen[b] == plain[b]) == lone
        assert (seen[b] == hinted[b]) == (pattern == "....")


def test_every_step_draws_noise_of_its_own(prepared: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same prompts and the same weights at two steps: other responses; at the same step: the same."""
    monkeypatch.setattr(writers, "batch_examples", lambda training_set, count, **_: list(training_set[:count]))
    first, second, again = (wrote(with_method(prepared, prepared.method, step)) for step in (0, 1, 0))
    assert torch.equal(first.prompts.ids_QL, second.prompts.ids_QL)
    assert first.responses(prepared.reader) != second.responses(prepared.reader)
    assert torch.equal(first.response_ids_BT, again.response_ids_BT)
