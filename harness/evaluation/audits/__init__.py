"""Audits: what is read of a run beside its benchmarks. Importing this imports no torch.

A suite asks for an audit as for a benchmark, ``Evaluation(step, "training", AUDIT)``; its numbers are rows like all
others, the records behind them samples. An audit never enters a main table: it says why, not how good.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from harness.config import DataSpec
from harness.types import HarnessError
from harness.worlds import world_of
from harness.worlds.world import HasReferences, KnowsFacts, require

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from harness.models.reader import Reader
    from harness.storage.run_folder import RunFolder

AUDIT = "audit"
"""Stands in the place of a decoding."""
SOURCE_OF = {"LH": "teacher", "LL": "self", "HT": "teacher", "HS": "self"}
"""The regimes of dual distillation, and which of the two policies that see p supervises each."""
REGIME_METRICS = (
    "share",
    "first_error",
    "information",
    "right",
    "student_right",
    "plain_teacher_right",
    "teacher_right",
    "self_right",
    "source_right",
)
"""What the audit ``regimes`` gives of each, as ``HT/share``; see ``harness.evaluation.audits.routing``."""

CLASSES = ("both", "teacher_only", "student_only", "neither")
"""Who of the untrained pair, with p, has a token right."""
CELL_METRICS = ("share", "right", "probability", "learnt", "lost")
"""What the audit ``cells`` gives of each, as ``both/share``; see ``harness.evaluation.audits.cells``."""
ROUTE_METRICS = ("share", *SOURCE_OF, "expected")
"""What the audit ``routes`` gives of each."""


class Unit(StrEnum):
    """Of an audit's or a benchmark's number."""

    SHARE = "share"
    """In [0, 1]."""
    PERCENT = "percent"
    """In [0, 100]."""
    NATS = "nats"
    TOKENS = "tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """One kind of reading.

    Example::

        Audit(name="training", metrics={"entropy": Unit.NATS}, target="harness.evaluation.audits.training:training")
    """

    name: str
    version: int = 1
    """Bumped when a number changes its meaning; part of every row."""
    metrics: Mapping[str, Unit]
    """Every metric it may give; one without a single token or record behind it has no row."""
    target: str
    """``module:function``, a function of ``Subject`` that returns ``Findings``."""
    powers: tuple[type, ...] = ()
    """Of ``harness.worlds.world``: what the world of the run's data must be able to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A run at one checkpoint."""

    folder: RunFolder
    step: int
    student: Callable[[], PreTrainedModel]
    """Loads the weights of that step; an audit of logs never calls it."""
    reader: Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What an audit found."""

    values: Mapping[str, float]
    """By metric; a metric that has nothing to average is absent."""
    n: int
    """Problems or rollouts looked at; the same for every run an audit is compared over."""
    records: list[dict[str, Any]] = field(default_factory=list)
    """Kept as the samples of the evaluation."""


AUDITS: dict[str, Audit] = {
    audit.name: audit
    for audit in (
        Audit(
            name="training",
            metrics={
                "entropy": Unit.NATS,
                "response_length": Unit.TOKENS,
                "truncation_rate": Unit.SHARE,
                "accuracy_with_p": Unit.SHARE,
            },
            target="harness.evaluation.audits.training:training",
        ),
        Audit(
            name="regimes",
            metrics={f"{regime}/{metric}": Unit.SHARE for regime in SOURCE_OF for metric in REGIME_METRICS},
            target="harness.evaluation.audits.routing:regimes",
            powers=(KnowsFacts,),
        ),
        Audit(
            name="cells",
            metrics={f"{name}/{metric}": Unit.SHARE for name in CLASSES for metric in CELL_METRICS},
            target="harness.evaluation.audits.cells:cells",
            powers=(KnowsFacts, HasReferences),
        ),
        Audit(
            name="routes",
            metrics={f"{name}/{metric}": Unit.SHARE for name in CLASSES for metric in ROUTE_METRICS}
            | {"gap": Unit.NATS},
            target="harness.evaluation.audits.cells:routes",
            powers=(KnowsFacts,),
        ),
        Audit(
            name="support",
            metrics=dict.fromkeys(("student_outside", "source_outside"), Unit.SHARE),
            target="harness.evaluation.audits.support:support",
        ),
        Audit(
            name="trajectory",
            metrics={"right": Unit.SHARE} | dict.fromkeys(SOURCE_OF, Unit.SHARE),
            target="harness.evaluation.audits.routing:trajectory",
            powers=(KnowsFacts,),
        ),
        Audit(
            name="transfer",
            metrics={
                "capability_probability": Unit.SHARE,
                "capability_top1": Unit.SHARE,
                "capability_top1_with_p": Unit.SHARE,
                "format_top1": Unit.SHARE,
                "information_abstained": Unit.SHARE,
                "information_asserted": Unit.SHARE,
                "information_other": Unit.SHARE,
                "information_right": Unit.SHARE,
                "information_right_with_p": Unit.SHARE,
            },
            target="harness.evaluation.audits.transfer:transfer",
            powers=(KnowsFacts, HasReferences),
        ),
    )
}
"""By name."""


def check(audit: Audit, data: DataSpec) -> None:
    """To be asked before compute: raises HarnessError if the world of ``data`` lacks a power that the audit needs."""
    for power in audit.powers:
        require(world_of(data), power, f"audit {audit.name}")


def known(name: str, version: float) -> Audit:
    """The audit of that name.

    Raises:
        HarnessError: an unknown one, or another version.
    """
    if name not in AUDITS:
        raise HarnessError(f"no audit {name!r}; choose one of {', '.join(AUDITS)}")
    found = AUDITS[name]
    if found.version != version:
        raise HarnessError(f"audit {name} is version {found.version} here, {version} was asked for")
    return found


def audit(name: str, subject: Subject) -> Findings:
    """Runs the audit of that name."""
    module, _, function = AUDITS[name].target.partition(":")
    return getattr(importlib.import_module(module), function)(subject)
