"""The training loop: sample, score, assign, step, checkpoint. It knows no method."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import torch
from transformers import PreTrainedModel

from harness.config import RunSpec
from harness.models import load, lora
from harness.storage import checkpoint, files
from harness.storage.run_folder import RunFolder
from harness.training.contexts import build_batch
from harness.training.masters import Masters
from harness.training.memory import peak_memory_mb
from harness.training.phases import Phases
from harness.training.probe import accuracies
from harness.training.reduce import world
from harness.training.step import Batch, StepRecord, optimiser_losses
from harness.training.trainer import Trainer, refresh_copies
from harness.training.writers import select, truncation_rate, write_rollouts
from harness.types import HarnessError

COLLAPSE_SHARE = 0.5
"""A run has collapsed if its probe accuracy ends below this share of where it began ..."""
COLLAPSE_TRUNCATION = 0.5
"""... or if at least this share of the rollouts of its last tenth never ended and of its first tenth did, or a gradient
was not finite. A model that never ended its responses has not come to it."""

Report = Callable[[int, int, Mapping[str, Any]], None]
"""Called after each step with (step, steps, metrics)."""


class Learner(Protocol):
    """What the loop takes from step to step: a distillation, or a model in the making."""

    step: int

    @property
    def spec(self) -> RunSpec:
        """The run."""
        ...

    @property
    def student(self) -> PreTrainedModel:
        """The model that is trained."""
        ...

    @property
    def phases(self) -> Phases:
        """Where its seconds go."""
        ...

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps beside weights and step."""
        ...

    def load_state(self, state: Mapping[str, Any]) -> None:
        """The inverse of ``state``."""
        ...


Some = TypeVar("Some", bound=Learner)


def train(folder: RunFolder, trainer: Trainer, report: Report) -> str:
    """A distillation, see ``to_the_end``."""
    return to_the_end(folder, trainer, report, advance=train_step, read=probe)


def to_the_end(
    folder: RunFolder,
    learner: Some,
    report: Report,
    *,
    advance: Callable[[Some], dict[str, Any]],
    read: Callable[[Some], dict[str, float]],
) -> str:
    """From the last good checkpoint to the last step; what is to be said of it: what the resume passed over, that
    nothing moved.

    Args:
        advance: makes one step and returns its metrics, ``tokens`` among them.
        read: readings of the model at every probed step, logged with it.
    """
    found, fault = checkpoint.latest_valid(folder.checkpoints)
    restore(folder, learner, found)
    if found is None:
        log(folder, {"step": 0, **read(learner)})
        save(folder, learner)
    keep, probed = set(learner.spec.checkpoint_steps()), set(learner.spec.probed_steps())
    while learner.step < learner.spec.steps:
        metrics = advanced(learner, advance)
        if learner.step in probed:
            with learner.phases("evaluation"):
                metrics |= read(learner)
        metrics |= cost_of_step(learner, metrics)
        log(folder, {"step": learner.step, **metrics})
        if learner.step in keep:
            save(folder, learner)
        report(learner.step, learner.spec.steps, metrics)
    return "; ".join(filter(None, (fault, unmoved(folder, learner.spec))))


def advanced(learner: Some, advance: Callable[[Some], dict[str, Any]]) -> dict[str, Any]:
    """One step, which is named in what it refuses."""
    number = learner.step + 1
    try:
        return advance(learner)
    except HarnessError as error:
        raise HarnessError(f"step {number}: {error}") from error


def unmoved(folder: RunFolder, spec: RunSpec) -> str:
    """A line where the last weights are the first ones, bit for bit; else nothing."""
    if not is_first_rank():
        return ""
    try:
        first, last = (checkpoint.at_step(folder.checkpoints, step).weights() for step in (0, spec.steps))
    except HarnessError:
        return ""  # a damaged first checkpoint is told to whoever evaluates it; the run needs it no more
    if any(not torch.equal(first[name], weight) for name, weight in last.items()):
        return ""
    norms = [m["gradient_norm"] for m in files.read_jsonl(folder.metrics) if "gradient_norm" in m]
    if not any(norms):
        why = "no gradient was finite" if None in norms else "every gradient was zero"
    else:
        why = "there were gradients, the learning rate moved nothing"
    return f"nothing moved: after {spec.steps} steps the weights are those of step 0, to the last bit ({why})"


def train_step(trainer: Trainer) -> dict[str, Any]:
    """One rollout batch through the method, with as many optimiser steps as the method takes of it."""
    with trainer.phases("rollout"):
        batch = written_batch(trainer)
    records, norms = [], []
    for record in optimiser_losses(
        trainer.method,
        trainer.policies,
        batch,
        progress=trainer.step / trainer.spec.steps,
        microbatch=trainer.spec.micro_batch,
        phases=trainer.phases,
    ):
        with trainer.phases("optimiser"):
            norms.append(apply_gradient(trainer))
        records.append(record)
    trainer.step += 1
    trainer.tokens += sum(r.tokens for r in records)
    with trainer.phases("optimiser"):
        refresh_copies(trainer)
    return summary(batch, records, norms)


def written_batch(trainer: Trainer) -> Batch:
    """The rollouts of the step with every context of the method's views.

    Raises:
        HarnessError: a prompt longer than the run allows.
    """
    rollouts = write_rollouts(
        trainer.method,
        trainer.policies,
        trainer.reader,
        trainer.world,
        trainer.examples,
        spec=trainer.spec,
        step=trainer.step,
    )
    batch = build_batch(
        trainer.method,
        trainer.reader,
        trainer.world,
        rollouts,
        trainer.data.privilege,
        seed=trainer.spec.seed,
        step=trainer.step,
    )
    for prompts in batch.contexts.values():
        load.check_prompts(prompts.lengths, trainer.spec.max_prompt_tokens)
    return batch


def apply_gradient(trainer: Trainer) -> float:
    """Clip, step, zero, see ``descend``."""
    return descend(trainer.weights, [trainer.optimiser], [trainer.schedule], trainer.optim.clip_norm)


def descend(
    weights: Masters,
    optimisers: Sequence[torch.optim.Optimizer],
    schedules: Sequence[torch.optim.lr_scheduler.LRScheduler],
    clip_norm: float,
) -> float:
    """Clip, step, zero. Returns the gradient norm before the cut; a norm that is not finite is not applied."""
    weights.take_gradients()
    norm = float(torch.nn.utils.clip_grad_norm_(weights.moved, clip_norm))
    if math.isfinite(norm):
        for optimiser in optimisers:
            optimiser.step()
        weights.write()
    for schedule in schedules:
        schedule.step()
    weights.drop_gradients()
    return norm


def summary(batch: Batch, records: Sequence[StepRecord], norms: Sequence[float]) -> dict[str, Any]:
    """What one rollout batch did: means over its optimiser steps; lengths and rewards of this rank's rollouts."""
    rollouts = select(batch.rollouts, torch.nonzero(~batch.reference_B).squeeze(-1))
    out = {
        "loss": _mean([r.loss for r in records]),
        "entropy": _mean([r.entropy for r in records]),
        "entropy_all": _mean([r.entropy_all for r in records]),
        "gradient_norm": _mean(norms),
        "tokens": sum(r.tokens for r in records),
        "response_length": float(rollouts.mask_BT.sum(-1).float().mean()),
        "truncation_rate": truncation_rate(rollouts),
    }
    if left_out := sum(not math.isfinite(norm) for norm in norms):
        out["updates_left_out"] = left_out
    out |= {name: _mean([r.metrics[name] for r in records]) for name in records[0].metrics}
    if batch.reward_B is not None:
        out["reward"] = float(batch.reward_B[~batch.reference_B].mean())
    return out


def cost_of_step(learner: Learner, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Seconds per phase, tokens per second, the run's largest memory so far."""
    seconds = learner.phases.read()
    return {
        **seconds,
        "tokens_per_second": metrics["tokens"] / sum(seconds.values()),
        "memory_mb": peak_memory_mb(),
    }


def probe(trainer: Trainer) -> dict[str, float]:
    """Greedy accuracy on validation problems without and with p; with p falls first when a run collapses.

    Nothing where the world cannot verify.

    p is the right one here, whatever share of the training examples has it corrupted.
    """
    return accuracies(
        trainer.student,
        trainer.reader,
        trainer.world,
        trainer.validation,
        trainer.probed,
        max_new_tokens=trainer.spec.max_response_tokens,
    )


def detect_collapse(metrics: Sequence[Mapping[str, Any]]) -> str:
    """``collapsed`` or ``ok``, from the metrics of a finished run; the rule is at the top of this file."""
    probes = [m["probe/accuracy"] for m in metrics if "probe/accuracy" in m]
    cut = [m["truncation_rate"] for m in metrics if "truncation_rate" in m]
    tenth = max(1, len(cut) // 10)
    first, last = cut[:tenth], cut[-tenth:]
    fell = len(probes) > 1 and probes[-1] < COLLAPSE_SHARE * probes[0]
    endless = bool(last) and _mean(last) >= COLLAPSE_TRUNCATION > _mean(first)
    broken = any("gradient_norm" in m and m["gradient_norm"] is None for m in metrics)
    return "collapsed" if fell or endless or broken else "ok"


def save(folder: RunFolder, learner: Learner) -> None:
    """A checkpoint of everything the rest of the run depends on."""
    if is_first_rank():
        weights = lora.kept(learner.student)
        checkpoint.save(folder.checkpoints, learner.step, weights=weights, state=learner.state(), log=folder.metrics)


def restore(folder: RunFolder, learner: Learner, found: checkpoint.Checkpoint | None) -> None:
    """Continue from a checkpoint, or from nothing; metrics are those up to it, later ones will be made again."""
    if is_first_rank():
        checkpoint.restore_log(folder.metrics, found)
    if found is not None:
        lora.take(learner.student, found.weights())
        learner.load_state(found.state())
        learner.step = found.step


def log(folder: RunFolder, record: Mapping[str, Any]) -> None:
    """A line of metrics, from the first rank; a number that is not finite is null, JSON has no word for it."""
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}
    if is_first_rank():
        files.append_jsonl(folder.metrics, finite)


def is_first_rank() -> bool:
    """Whether this process writes the run's files."""
    return world()[0] == 0


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
