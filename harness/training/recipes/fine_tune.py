"""Continue a model's training on the reference responses of a data set: supervised fine-tuning. No torch on import.

Minus the log-probability of every token of the response, EOS included, mean over the tokens of the step. This makes a
teacher out of a base; the method that fine-tunes a student in a comparison is in ``methods/``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness import seeds
from harness.config import RunSpec
from harness.training.recipes import Recipe
from harness.types import Example, HarnessError, Privilege
from harness.worlds import privilege, world_of
from harness.worlds.world import HasReferences, World, require, training_set

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from harness.models.reader import Reader
    from harness.training.making import Lesson, Making


@dataclass(frozen=True, kw_only=True)
class FineTune(Recipe):
    """Examples a step are ``RunSpec.prompts_per_step``, in the order of a distillation of the same seed."""

    privileged_share: float = 0.0
    """Share of the examples, drawn anew at each step, whose prompt holds p of the data's kind; in [0, 1]."""

    def __post_init__(self) -> None:
        if not 0 <= self.privileged_share <= 1:
            raise HarnessError(f"privileged_share={self.privileged_share}: give a share of the examples, from 0 to 1")

    def prepare(self, spec: RunSpec, root: Path | None) -> Making:
        """The base with the optimiser and schedule of a distillation."""
        from harness.models import load, sight
        from harness.models.forward import check_logits
        from harness.training import lengths
        from harness.training.making import Making
        from harness.training.masters import Masters
        from harness.training.probe import accuracies, readable
        from harness.training.process import device
        from harness.training.trainer import PROBE_SIZE, build_optimiser

        if spec.data is None or spec.optim is None:
            raise HarnessError(f"run {spec.id} fine-tunes and has no data or no optim: give both")
        self._check(spec.data.privilege)
        world = world_of(spec.data)
        require(world, HasReferences, f"run {spec.id}")
        examples = training_set(world, spec.data)
        student = load.load(spec.student, dtype=spec.dtype, device=device(spec.device), root=root)
        check_logits(student)
        reader = load.load_reader(spec.student, root=root)
        sight.check_seen(student, reader)
        validation = world.examples(spec.data, "validation", PROBE_SIZE)
        kind = spec.data.privilege if self.privileged_share else readable(reader, validation[0], spec.data.privilege)
        self._check_lengths(student, reader, world, examples, spec)
        lengths.check_probe(student, reader, validation, kind, spec.max_response_tokens)
        weights = Masters(student)
        optimiser, schedule = build_optimiser(weights.moved, spec.optim, spec.steps)
        length = spec.max_response_tokens
        return Making(
            spec=spec,
            student=student,
            weights=weights,
            reader=reader,
            optimisers=[optimiser],
            schedules=[schedule],
            clip_norm=spec.optim.clip_norm,
            lesson=partial(self.lesson, student, reader, world, examples, spec),
            read=partial(accuracies, student, reader, world, validation, kind, max_new_tokens=length),
        )

    def _check_lengths(
        self, model: PreTrainedModel, reader: Reader, world: World, examples: Sequence[Example], spec: RunSpec
    ) -> None:
        """Over all that the run can draw, with p wherever a prompt may hold it."""
        from harness.models import load
        from harness.training import lengths

        assert spec.data is not None
        drawn = lengths.drawn(examples, spec, a_step=spec.prompts_per_step)
        room = lengths.longest_reference(reader, world, drawn)
        for kind in {str(Privilege.NONE), str(spec.data.privilege if self.privileged_share else Privilege.NONE)}:
            load.check_lengths(model, lengths.prompts(reader, drawn, kind), room)

    def lesson(
        self,
        model: PreTrainedModel,
        reader: Reader,
        world: World,
        examples: Sequence[Example],
        spec: RunSpec,
        step: int,
    ) -> Lesson:
        """Cross-entropy of this rank's reference responses, over the tokens of all ranks."""
        import torch

        from harness.losses.tokens import TokenView
        from harness.models.forward import logits_layer, response_hidden
        from harness.models.sampler import from_texts
        from harness.training.making import Lesson
        from harness.training.reduce import sum_over_ranks
        from harness.training.writers import batch_examples, references

        chosen = batch_examples(examples, spec.prompts_per_step, seed=spec.seed, step=step)
        turns = [privilege.messages(e, k) for e, k in zip(chosen, self.kinds(spec, step), strict=True)]
        batch = from_texts(reader, chosen, reader.prompts(turns).to(model.device), references(world, chosen))
        hidden_BTD = response_hidden(model, batch.prompts, batch.response_ids_BT)
        view = TokenView(
            tokens_N=batch.response_ids_BT[batch.mask_BT],
            hidden_ND=hidden_BTD[batch.mask_BT],
            head=logits_layer(model),
        )
        tokens = torch.tensor(float(batch.n_tokens))
        sum_over_ranks(tokens)
        return Lesson(loss=-view.logp_N.sum() / float(tokens), tokens=batch.n_tokens)

    def kinds(self, spec: RunSpec, step: int) -> list[str]:
        """Of p in each of this rank's prompts of a step."""
        import torch

        from harness.training.reduce import world as ranks

        assert spec.data is not None
        generator = seeds.generator(spec.seed, f"privileged/{ranks()[0]}", step)
        with_p = torch.rand(spec.prompts_per_step, generator=generator) < self.privileged_share
        return [spec.data.privilege if given else Privilege.NONE for given in with_p.tolist()]

    def _check(self, kind: str) -> None:
        if self.privileged_share and kind == Privilege.NONE:
            raise HarnessError(
                f"privileged_share={self.privileged_share} and data without p: give data.privilege another kind than "
                f"{str(kind)!r}, or a share of 0"
            )
