"""The probe reads the student without p, and with it under a name of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from support.drive_run import folder_of

from harness.training import loop
from harness.training import probe as module
from harness.training.trainer import prepare
from harness.types import Privilege


def test_each_number_is_of_its_own_prompts(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    trainer = prepare(folder_of(tmp_path, "vanilla_opd", 2).spec)
    asked: list[list[list[int]]] = []
    real = module.sample

    def sample(model: Any, tokenizer: Any, examples: Any, prompts: Sequence[Sequence[int]], **how: Any) -> Any:
        asked.append([list(prompt) for prompt in prompts])
        return real(model, tokenizer, examples, prompts, **how)

    monkeypatch.setattr(module, "sample", sample)
    trainer.validation = trainer.validation[:24]
    found = loop.probe(trainer)
    assert list(found) == ["probe/accuracy", "probe/accuracy_with_p"]
    assert asked == [trainer.prompts(trainer.validation, kind) for kind in (Privilege.NONE, Privilege.HINTS)]
    assert all(len(plain) < len(told) for plain, told in zip(*asked, strict=True))
    # Under hints this student is right far more often: the two numbers are not of one prompt.
    assert found["probe/accuracy_with_p"] > found["probe/accuracy"] + 0.1
