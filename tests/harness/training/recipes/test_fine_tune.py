"""Supervised fine-tuning as a recipe: the loss against one forward pass an example, p in its share of the prompts."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from support import language

from harness import registry
from harness.config import FirstStep, ModelSpec, RunSpec
from harness.models import load, zoo
from harness.suite import made_model
from harness.training import making
from harness.training.making import Making
from harness.training.recipes.fine_tune import FineTune
from harness.training.writers import batch_examples
from harness.types import HarnessError, Privilege
from harness.worlds import privilege

EMBEDDED = registry.profile("embedded").in_draw(language.DRAW)
SMALL = ModelSpec(name=language.SMALL, sha256=zoo.MANIFEST[language.SMALL]["sha256"])
DATA = dataclasses.replace(EMBEDDED.data, size=32)


def spec_of(share: float, **changes: Any) -> RunSpec:
    model = made_model(
        "tuned",
        recipe="fine_tune",
        settings={"privileged_share": share},
        base=SMALL,
        steps=4,
        **{"data": DATA, "optim": EMBEDDED.optim, "prompts_per_step": 6, "max_response_tokens": 34} | changes,
    )
    assert model.made is not None
    return model.made


def prepared(share: float, **changes: Any) -> Making:
    return making.prepare(spec_of(share, **changes), None)


def by_hand(made: Making, step: int, kind: Privilege) -> float:
    """Mean cross-entropy of the response tokens, one example and one pass without a cache at a time."""
    world, tokenizer = language.WORLD, made.reader.tokenizer
    examples = world.examples(DATA, "train", DATA.size * len(DATA.domains))
    total, count = 0.0, 0
    for example in batch_examples(examples, made.spec.prompts_per_step, seed=made.spec.seed, step=step):
        turns = [dict(turn) for turn in privilege.messages(example, kind)]
        prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
        words = tokenizer.encode(world.reference(example), add_special_tokens=False)
        response = torch.tensor([*words, tokenizer.eos_token_id])
        with torch.no_grad():
            logits = made.student(torch.cat([torch.tensor(prompt), response])[None]).logits[0]
        total += float(F.cross_entropy(logits[len(prompt) - 1 : -1], response, reduction="sum"))
        count += len(response)
    return total / count


@pytest.mark.parametrize(("share", "kind"), [(0.0, Privilege.NONE), (1.0, Privilege.HINTS)])
def test_loss_is_the_cross_entropy_of_the_reference_responses(share: float, kind: Privilege) -> None:
    made = prepared(share)
    for step in (0, 1):
        lesson = made.lesson(step)
        assert float(lesson.loss.detach()) == pytest.approx(by_hand(made, step, kind), rel=1e-4)
    assert float(made.lesson(0).loss.detach()) != pytest.approx(float(made.lesson(1).loss.detach()), rel=1e-3)


@pytest.mark.slow
def test_a_lesson_depends_on_seed_and_step_alone() -> None:
    made = prepared(0.5)
    again = prepared(0.5)
    again.lesson(0)
    first, second = (float(each.lesson(3).loss.detach()) for each in (made, again))
    assert first == second
    assert float(prepared(0.5, seed=1).lesson(3).loss.detach()) != first


@pytest.mark.slow
def test_p_stands_in_its_share_of_the_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    made = prepared(0.25, prompts_per_step=32)
    seen: list[Privilege] = []
    messages = privilege.messages

    def counted(example: Any, kind: Privilege) -> Any:
        seen.append(kind)
        return messages(example, kind)

    monkeypatch.setattr(privilege, "messages", counted)
    for step in range(8):
        made.lesson(step)
    share = seen.count(Privilege.HINTS) / len(seen)
    assert set(seen) == {Privilege.NONE, Privilege.HINTS}
    assert abs(share - 0.25) < 0.1, "256 draws, three standard deviations are 0.08"


def test_steps_lower_the_loss_on_what_they_saw() -> None:
    made = prepared(0.0, optim=dataclasses.replace(EMBEDDED.optim, lr=1e-3, warmup_steps=1))
    before = float(made.lesson(0).loss.detach())
    records = [making.advance(made) for _ in range(4)]
    assert float(made.lesson(0).loss.detach()) < before
    assert (made.step, made.tokens) == (4, sum(record["tokens"] for record in records))
    assert all(parameter.grad is None for parameter in made.student.parameters())


@pytest.mark.parametrize(("first", "shares"), [(FirstStep.ZERO, [0.0, 0.5, 1.0]), (FirstStep.FULL, [0.5, 1.0, 0.75])])
def test_the_optimiser_is_that_of_a_distillation(first: FirstStep, shares: list[float]) -> None:
    """AdamW, whose rate is at its peak after the warm-up, which begins at 0 or not; a third of a cosine is 3/4."""
    optim = dataclasses.replace(EMBEDDED.optim, warmup_steps=2, clip_norm=0.125, first_step=first)
    made = prepared(0.0, optim=optim)
    (optimiser,) = made.optimisers
    assert isinstance(optimiser, torch.optim.AdamW)
    rates = []
    for _ in range(3):
        rates.append(optimiser.param_groups[0]["lr"])
        making.advance(made)
    assert rates == pytest.approx([EMBEDDED.optim.lr * share for share in shares])
    assert made.clip_norm == 0.125


def test_a_share_without_p_is_refused() -> None:
    plain = dataclasses.replace(DATA, privilege=Privilege.NONE)
    with pytest.raises(
        HarnessError, match=r"privileged_share=0.5 and data without p: give data.privilege another kind"
    ):
        prepared(0.5, data=plain)
    assert set(prepared(0.0, data=plain).read()) == {"probe/accuracy"}


def test_responses_that_do_not_fit_are_refused() -> None:
    with pytest.raises(HarnessError, match="response of 100000 exceed the model's"):
        prepared(0.0, max_response_tokens=100_000)


def test_its_defaults_are_no_p() -> None:
    assert registry.recipe_spec("fine-tune").settings == {"privileged_share": 0.0}
    assert FineTune.version == 1


def test_the_base_is_the_one_of_the_spec() -> None:
    base = load.load(SMALL)
    made = prepared(0.0)
    assert all(torch.equal(a, b) for a, b in zip(made.student.parameters(), base.parameters(), strict=True))
