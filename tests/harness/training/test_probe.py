"""The probe reads the student without p, and with it under a name of its own."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from support.drive_run import folder_of

from harness.models.prompts import Prompts, render
from harness.training import loop
from harness.training import probe as module
from harness.training.trainer import prepare
from harness.types import Privilege


@pytest.mark.slow
def test_each_number_is_of_its_own_prompts(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    spec = folder_of(tmp_path, "vanilla_opd", 2).spec
    assert spec.data
    kind = Privilege.HINTS_WITH_EXECUTION
    trainer = prepare(dataclasses.replace(spec, data=dataclasses.replace(spec.data, privilege=kind)))
    asked: list[Prompts] = []
    real = module.sample

    def sample(model: Any, reader: Any, examples: Any, prompts: Prompts, **how: Any) -> Any:
        asked.append(prompts)
        return real(model, reader, examples, prompts, **how)

    monkeypatch.setattr(module, "sample", sample)
    trainer.validation = trainer.validation[:24]
    found = loop.probe(trainer)
    assert list(found) == ["probe/accuracy", "probe/accuracy_with_p"]
    plain, told = (render(trainer.reader, trainer.validation, kind) for kind in (Privilege.NONE, kind))
    (both,) = asked  # one batch, whose second half is told
    assert both.lengths == plain.lengths + told.lengths
    assert torch.equal(both.ids_QL[both.mask_QL], torch.cat([p.ids_QL[p.mask_QL] for p in (plain, told)]))
    assert all(short < long for short, long in zip(plain.lengths, told.lengths, strict=True))
    # Told the steps this student is right far more often: the two numbers are not of one prompt.
    assert found["probe/accuracy_with_p"] > found["probe/accuracy"] + 0.2
