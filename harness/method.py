"""What a distillation method is: the views it needs, what it decides per token, its loss per token.

A method knows no trainer, process group or file. Importing a method module imports no torch, because a
run's hash needs the method's defaults; import the mathematics inside the functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from harness.types import (
    Assignment,
    Completion,
    Example,
    HarnessError,
    Policy,
    Reduction,
    ScorePool,
    Shown,
    Source,
    Term,
    View,
    Want,
)

if TYPE_CHECKING:
    from torch import Tensor

    from harness.losses.tokens import TokenView


@dataclass(frozen=True, kw_only=True)
class Method:
    """Base class. Subclasses are frozen dataclasses whose fields are the hyper-parameters, at the source's defaults.

    Class attributes say what the harness must provide; the methods below compute. Only ``terms`` and
    ``token_loss`` have no default.
    """

    version: ClassVar[int] = 1
    """Bumped whenever the method's numbers change; part of a run's identity."""
    reduction: ClassVar[Reduction] = Reduction.SEQ_MEAN
    updates: ClassVar[int] = 1
    """Optimiser steps per rollout batch."""
    needs_reward: ClassVar[bool] = False
    """True if the data must be able to verify a response."""
    needs_siblings: ClassVar[bool] = False
    """True if a prompt must have at least two rollouts."""
    labels: ClassVar[tuple[str, ...]] = ()
    """What ``assign`` labels every response token with; empty: it labels none. Audits find a method by its labels."""
    shows_responses: ClassVar[bool] = False
    """True if ``contexts`` may return a ``Demonstration``, which not every world can show."""
    pictures: ClassVar[tuple[str, ...]] = ()
    """Kinds of ``Pictures`` that ``contexts`` may return; a world without them is refused."""
    shows: ClassVar[tuple[type, ...]] = ()
    """``FirstHalf`` or ``Alone`` if ``contexts`` may return one; a world that cannot tell p so is refused."""

    @property
    def sampling(self) -> Mapping[Source, float]:
        """Probability that a batch is written by each source; sums to 1."""
        return {Source.STUDENT: 1.0}

    @property
    def terms(self) -> tuple[Term, ...]:
        """The summands of the loss."""
        raise NotImplementedError

    @property
    def scored(self) -> tuple[View, ...]:
        """Views scored without gradient beside the terms' sources, for ``token_stats`` and ``assign``."""
        return ()

    def check_vocabulary(self, size: int) -> None:
        """Refuse, before any compute, a vocabulary the settings do not fit: by default, one smaller than a field ``k``.

        Raises:
            HarnessError: they do not fit.
        """
        if isinstance(k := getattr(self, "k", None), int):
            check_k(k, size)

    def contexts(
        self, examples: Sequence[Example], responses: Sequence[str], rewards: Sequence[float] | None
    ) -> Mapping[str, Sequence[Shown | None]]:
        """What contexts of the method's own show, by name and per rollout (SDPO's siblings).

        A kind of p, a ``Demonstration``, ``Pictures`` in the place of x's own (``pictures`` names their kinds), or the
        run's p by half or alone (``shows`` names which); None leaves a rollout without the views of that context.
        """
        return {}

    def token_stats(self, views: Mapping[View, TokenView]) -> Mapping[str, Tensor]:
        """Quantities of several distributions, [N] each, no gradient; ``assign`` gets them in ``pool.stats_BT``."""
        return {}

    def assign(self, pool: ScorePool, *, progress: float) -> Assignment:
        """Decide masks, weights, advantages and thresholds for the whole rollout batch; no gradient.

        ``progress`` is the share of the training steps already taken, in [0, 1). The default keeps every
        response token at weight 1.
        """
        return Assignment(mask_BT=pool.mask_BT)

    def token_loss(self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]) -> Tensor:
        """Loss of N response tokens, [N], unmasked, unweighted and unreduced.

        Gradient must flow through ``views[term.trained]`` only; the harness gives every other view detached.
        ``fields`` are the assignment's, sliced to the same tokens.
        """
        raise NotImplementedError

    def diagnostics(
        self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Quantities of N tokens to log as means over the tokens in the loss, [N] each; computed without gradient.

        ``acted`` is the share of tokens (or, from ``assign``, of groups or rollouts) on which the method's
        distinctive part did anything.
        """
        return {}


def check_k(k: int, vocabulary: int) -> None:
    """Refuse a top-k support that the vocabulary cannot hold; called before any compute.

    Raises:
        HarnessError: k outside 1..vocabulary.
    """
    if not 1 <= k <= vocabulary:
        raise HarnessError(
            f"k={k} with a vocabulary of {vocabulary}: 1 <= k <= {vocabulary} is allowed; "
            "lower k or choose granularity=full"
        )


def untrained_views(method: Method) -> Iterator[View]:
    """Every view a method scores without gradient."""
    yield from (view for term in method.terms for view in term.sources)
    yield from method.scored


def contexts_read(method: Method) -> set[str]:
    """Names of the contexts of its views."""
    return {view.context for view in untrained_views(method)} | {term.trained.context for term in method.terms}


def check_views(method: Method) -> None:
    """Sources must hold still between the optimiser steps of a batch.

    Raises:
        HarnessError: a distribution of the student in training is a source where a batch takes several steps: its
            hidden states would be of the weights before the first, its output layer of those before each.
    """
    if method.updates == 1:
        return
    live = [v for v in untrained_views(method) if v.policy is Policy.STUDENT and Want.DISTRIBUTION in v.wants]
    if live:
        raise HarnessError(
            f"updates={method.updates} with the student in training as a source (view {live[0].policy}/"
            f"{live[0].context} wants its {Want.DISTRIBUTION}): it moves between the optimiser steps of a batch; set "
            f"updates to 1, or take {Policy.INITIAL}, {Policy.EMA} or {Policy.SNAPSHOT}"
        )


def check_sampling(method: Method, temperature: float, top_p: float) -> None:
    """Where the student writes, rollouts must be samples of the view that is trained, which estimates at the sampled
    token and ratios to the sampler take them for.

    Raises:
        HarnessError: they are drawn at another temperature than the view's, or without its tail.
    """
    if not {Source.STUDENT, Source.PRIVILEGED_STUDENT} & {source for source, share in method.sampling.items() if share}:
        return
    views = {term.trained.temperature for term in method.terms if term.completion is Completion.ROLLOUT}
    if top_p != 1 or (temperature != 1 and views != {temperature}):
        raise HarnessError(
            f"temperature={temperature:g}, top_p={top_p:g} for rollouts of {type(method).__name__}, whose trained "
            f"views have temperature {', '.join(f'{t:g}' for t in sorted(views))}: its ratios and estimates would be "
            "of another policy; give 1 for both, or a method whose views have this temperature"
        )


def forwards_per_token(method: Method) -> float:
    """Forward passes per response token: the sampler's, one per scored view, one per term that reads the token.

    Where the data's references stand beside the rollouts, they are taken to be half of the tokens: nobody samples
    them, and each term reads one half. A teacher that must write verified text is asked more than once; its extra
    draws are not counted.
    """
    beside = any(term.completion is Completion.REFERENCE for term in method.terms)
    sampled = sum(share for source, share in method.sampling.items() if source is not Source.DATASET)
    return (sampled + len(method.terms)) * (0.5 if beside else 1.0) + len(set(untrained_views(method)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the registry: where a method lives and with which settings a name runs it."""

    target: str
    """``module:Class``, imported on use."""
    label: str
    """Name in tables and figures."""
    paradigm: str
    """standard | self | adaptive | privilege | dual | classical | reference."""
    citation: str
    granularity: str = ""
    """How much of the vocabulary a token's loss looks at, e.g. ``full`` or ``top-k of the student, tail``."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    ranked: bool = True
    """False for rows that see what the others may not (the world's own traces)."""
    listed: bool = True
    """False for a vehicle of ablations, which is no method of its own: ``--methods all`` leaves it out."""
    departure: str = ""
    """What differs from the cited source, one phrase; empty if nothing does."""
