"""What a training run holds in memory, and the checks before any compute is spent."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, get_scheduler

from harness import registry
from harness.config import DataSpec, FirstStep, ModelSpec, OptimSpec, RunSpec
from harness.method import Method, check_sampling, untrained_views
from harness.models import load, lora, sight, vocabulary
from harness.models.forward import check_logits, vocabulary_size
from harness.models.prompts import both_prompts
from harness.models.reader import Reader, check_one_difference
from harness.storage import checkpoint, run_folder
from harness.training import lengths, probe
from harness.training.masters import Masters
from harness.training.phases import Phases
from harness.training.process import device
from harness.types import PRIVILEGED, Example, HarnessError, Policy, text_of
from harness.worlds import corruption, privilege, world_of
from harness.worlds.needs import check_data, check_world
from harness.worlds.world import HasReferences, World, training_set

PROBE_SIZE = 96
"""Validation problems of the probe at each checkpoint."""
MOVING = (Policy.EMA, Policy.SNAPSHOT)
"""Policies that follow the student."""


@dataclass(kw_only=True)
class Trainer:
    """A run in memory. ``step`` and ``tokens`` move; the rest is fixed once prepared."""

    spec: RunSpec
    data: DataSpec
    world: World
    optim: OptimSpec
    method: Method
    reader: Reader
    policies: dict[Policy, PreTrainedModel]
    weights: Masters
    """The student's, that the optimiser moves."""
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    examples: Sequence[Example]
    """The training set, p corrupted in the share the run's data says."""
    validation: Sequence[Example]
    """Of the probe, p never corrupted: it is a reading of the student, not a lesson."""
    probed: str
    """The kind of p in the probe; none where the model's chat template has no place for p, and no view reads it."""
    step: int = 0
    """Rollout batches taken."""
    tokens: int = 0
    """Response tokens trained on."""
    phases: Phases = field(default_factory=Phases)
    copies: dict[Policy, Masters] = field(default_factory=dict)
    """Of the policies that have moved, and so have a model of their own; see ``own_weights``."""

    @property
    def student(self) -> PreTrainedModel:
        """The policy in training."""
        return self.policies[Policy.STUDENT]

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps beside the student's weights; random streams are derived from the step.

        A copy that has not moved is the initial one that ``prepare`` makes.
        """
        return {
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "tokens": self.tokens,
            "masters": self.weights.copies(),
            "copies": {policy.value: copied.values() for policy, copied in self.copies.items()},
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """The inverse of ``state``; weights and step are the caller's."""
        self.weights.load(state["masters"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        for name, values in state["copies"].items():
            own_weights(self, Policy(name)).load(values)
        self.tokens = state["tokens"]


def prepare(spec: RunSpec, root: Path | None = None) -> Trainer:
    """Load, check and assemble a run; nothing is computed before every check has passed.

    ``root`` is the results folder, asked only where the run continues another or a model is made. A run that continues
    begins where that one ended: student, step-0 checkpoint and probe, and the initial, reference, EMA and snapshot
    policies all have its last weights. Optimiser, schedule and step count begin anew.

    Raises:
        HarnessError: the spec is a reference row; see also ``check_sampling``, ``starting_weights``, ``world_of``,
            ``check_world``, ``check_data``, ``load_pair``, ``begin``, ``check_texts``.
    """
    if spec.method is None or spec.optim is None or spec.data is None or spec.teacher is None:
        raise HarnessError(f"run {spec.id} is a reference row: it is evaluated, not trained; use evaluate")
    torch.set_num_threads(spec.threads)
    method = registry.build_method(spec.method)
    check_sampling(method, spec.temperature, spec.top_p)
    start = starting_weights(spec, root)
    world = world_of(spec.data)
    check_world(spec, method, world)
    examples = training_set(world, spec.data)
    check_data(spec, method, world, examples)
    examples = corruption.corrupt(examples, spec.data, world)
    student, teacher, reader = load_pair(spec, spec.teacher, root)
    base = begin(spec, (student, teacher), reader, start)
    method.check_vocabulary(vocabulary_size(student))
    weights = Masters(student)
    optimiser, schedule = build_optimiser(weights.moved, spec.optim, spec.steps * method.updates)
    trainer = Trainer(
        spec=spec,
        data=spec.data,
        world=world,
        optim=spec.optim,
        method=method,
        reader=reader,
        policies=build_policies(method, student, teacher, base),
        weights=weights,
        optimiser=optimiser,
        schedule=schedule,
        examples=examples,
        validation=world.examples(spec.data, "validation", PROBE_SIZE),
        probed=spec.data.privilege,
    )
    check_texts(trainer)
    return trainer


def check_texts(trainer: Trainer) -> None:
    """What the run will read and write: known words, one difference between x and (x, p), positions for all.

    Sets the kind of p that the probe shows.

    Raises:
        HarnessError: see ``load.check_words``, ``check_one_difference``, ``lengths.check``; the model's chat template
            has no place for p, and a view reads it.
    """
    spec, reader, world = trainer.spec, trainer.reader, trainer.world
    kind, first = trainer.data.privilege, trainer.examples[0]
    texts = [text for each in trainer.examples[:256] for text in read_and_written(each, kind, world)]
    load.check_words(reader, texts, f"world {trainer.data.world!r}")
    if PRIVILEGED not in {context for _, context in lengths.read(trainer.method)}:
        trainer.probed = probe.readable(reader, first, kind)
    elif privilege.messages(first, kind)[0].get("privileged"):  # else pictures, which stand elsewhere
        plain, told = reader.decode(both_prompts(reader, first, kind), special=True)
        check_one_difference(plain, told, reader.tokenizer)
    teacher = trainer.policies[Policy.TEACHER]
    lengths.check(spec, trainer.method, reader, world, trainer.examples, trainer.student, teacher)
    lengths.check_probe(trainer.student, reader, trainer.validation, trainer.probed, spec.max_response_tokens)


def load_pair(
    spec: RunSpec, teacher_spec: ModelSpec, root: Path | None
) -> tuple[PreTrainedModel, PreTrainedModel, Reader]:
    """Student and teacher, compared, and what reads for both.

    Raises:
        HarnessError: p stands elsewhere for each; see ``load.load``, ``load.check_pair``,
            ``sight.check_pair``.
    """
    turns = (spec.student.privileged_turn, teacher_spec.privileged_turn)
    if turns[0] != turns[1]:
        raise HarnessError(
            f"privileged_turn is {str(turns[0])!r} of student {spec.student.name} and {str(turns[1])!r} of teacher "
            f"{teacher_spec.name}, which read one text: give both the same"
        )
    if spec.lora is not None:
        lora.check_installed()
    specs = (spec.student, teacher_spec)
    student, teacher = (load.load(each, dtype=spec.dtype, device=device(spec.device), root=root) for each in specs)
    ours, theirs = (load.load_reader(each, root=root) for each in specs)
    load.check_pair(student, ours.tokenizer, teacher, theirs.tokenizer)
    sight.check_pair(ours, theirs)
    return student, teacher, ours


def begin(
    spec: RunSpec,
    models: tuple[PreTrainedModel, PreTrainedModel],
    reader: Reader,
    start: Mapping[str, torch.Tensor] | None,
) -> PreTrainedModel | None:
    """Both as the first step finds them, with the same rows in their vocabularies; in place.

    Args:
        models: student and teacher.
        start: the student's weights, or its adapters; None for its own.

    Returns:
        What is the student without its adapters; None where it has none, or they are not new.

    Raises:
        HarnessError: see ``check_logits``, ``sight.check_seen``, ``lora.attach``, ``lora.take``.
    """
    student, teacher = models
    if start is not None:
        lora.cut(student, start) if spec.lora else vocabulary.take(student, start)
    vocabulary.cut_to_common(student, teacher)
    for model in models:
        check_logits(model)
        sight.check_seen(model, reader)
    if spec.lora is None:
        return None
    base = lora.attach(student, spec.lora, spec.seed)
    if start is None:
        return base
    lora.take(student, start)
    return None


def read_and_written(example: Example, kind: str, world: World) -> list[str]:
    """Every text of an example that a model reads or should write: its turns, with p, its trace, its reference."""
    texts = [text_of(turn) for turn in privilege.messages(example, kind)]
    if isinstance(world, HasReferences):
        texts.append(world.reference(example))
    return [*texts, example.trace or ""]


def starting_weights(spec: RunSpec, root: Path | None) -> Mapping[str, torch.Tensor] | None:
    """The student's weights at the end of the run this one continues; None: it begins from the student's own.

    Raises:
        HarnessError: that run cannot be continued (``runs.continued``), or its last checkpoint is damaged.
    """
    if not spec.start:
        return None
    if root is None:
        raise HarnessError(f"run {spec.id} continues {spec.start}: give the results folder that holds it")
    first = run_folder.continued(root, spec)
    return checkpoint.at_step(first.checkpoints, first.spec.steps).weights()


def build_policies(
    method: Method, student: PreTrainedModel, teacher: PreTrainedModel, base: PreTrainedModel | None = None
) -> dict[Policy, PreTrainedModel]:
    """Student, teacher, and one frozen copy of the student that every other policy of the method's views shares.

    Those that move get a copy of their own at their first move, see ``own_weights``. Of a student with adapters nothing
    but these is copied, and at once: ``base``, which is the student before it moves, serves the policies that never do.
    """
    policies = {Policy.STUDENT: student, Policy.TEACHER: teacher.requires_grad_(False)}
    others = {view.policy for view in untrained_views(method)} - set(policies)
    if not others:
        return policies
    if not lora.is_attached(student):
        return policies | dict.fromkeys(others, copy.deepcopy(student).requires_grad_(False))
    still = base or lora.twin(student)
    return policies | {policy: lora.twin(student) if policy in MOVING else still for policy in others}


def is_shared(policies: Mapping[Policy, PreTrainedModel], policy: Policy) -> bool:
    """Whether another policy is the same model, so that neither may be written to."""
    return sum(model is policies[policy] for model in policies.values()) > 1


def own_weights(trainer: Trainer, policy: Policy) -> Masters:
    """The weights of a policy that moves, after this call nobody else's: they may be written to."""
    if policy not in trainer.copies:
        if is_shared(trainer.policies, policy):
            trainer.policies[policy] = copy.deepcopy(trainer.policies[policy])
        trainer.copies[policy] = Masters(trainer.policies[policy], trainer.weights.names)
    return trainer.copies[policy]


def build_optimiser(
    weights: Sequence[torch.Tensor], optim: OptimSpec, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW with linear warm-up and a cosine to ``final_lr_share`` of the peak, over ``steps`` optimiser steps.

    ``weights`` are a model's, or what moves in their place, see ``Masters``.
    """
    optimiser = torch.optim.AdamW(
        weights,
        lr=optim.lr,
        betas=optim.betas,
        eps=optim.eps,
        weight_decay=optim.weight_decay,
        fused=True,
    )
    # The library's second schedule is its first without the step at rate 0: one step more keeps the last rate above 0.
    full = optim.first_step is FirstStep.FULL
    schedule = get_scheduler(
        "cosine_warmup_with_min_lr" if full else "cosine_with_min_lr",
        optimiser,
        num_warmup_steps=optim.warmup_steps,
        num_training_steps=max(steps, 1) + full,
        scheduler_specific_kwargs={"min_lr_rate": optim.final_lr_share},
    )
    return optimiser, schedule


@torch.no_grad()
def refresh_copies(trainer: Trainer) -> None:
    """Move EMA and snapshot policies after a rollout batch, once each, at the rate or interval their views name."""
    for policy, rate, every in dict.fromkeys((v.policy, v.rate, v.every) for v in untrained_views(trainer.method)):
        match policy:
            case Policy.EMA:
                share = rate
            case Policy.SNAPSHOT:
                share = float(every is not None and trainer.step % every == 0)
            case _:
                continue
        if not share:
            continue
        moved = own_weights(trainer, policy)
        for copied, current in zip(moved.moved, trainer.weights.moved, strict=True):
            copied.lerp_(current, share)
        moved.write()
