"""The nouns of the project. Read this file and you know the vocabulary; importing it imports no torch.

Shape legend, used in every tensor name: P prompts, B sequences (rollouts), T response tokens of the
longest rollout, N response tokens laid flat, K top-k support, V vocabulary, D hidden size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NotRequired, TypedDict

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class TextPart:
    """Words of a turn that also holds images."""

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image of a turn, by place and by content."""

    path: str
    """A file; or, where ``data`` holds the image, a name for messages."""
    sha256: str
    """Of the encoded image."""
    data: bytes = field(default=b"", repr=False)
    """The encoded image (PNG, JPEG), where it stands in no file: drawn by a world, or sent along with the text."""


Part = TextPart | ImagePart


class Message(TypedDict):
    """One chat turn."""

    role: str
    """system | user | assistant."""
    content: str | tuple[Part, ...]
    """Text, or its parts in reading order."""
    privileged: NotRequired[bool]
    """True of a turn that shows p: a reader may have to put it elsewhere (``ModelSpec.privileged_turn``)."""


def text_of(message: Message) -> str:
    """The text of a turn, its images left out."""
    content = message["content"]
    return content if isinstance(content, str) else "".join(p.text for p in content if isinstance(p, TextPart))


@dataclass(frozen=True, slots=True)
class Instead:
    """Privileged input that stands in the place of x's own images, one for each, in their order; the text stays."""

    images: tuple[ImagePart, ...]


PrivilegedInput = str | tuple[Part, ...] | Instead
"""What p is: text or parts, which stand before x, or other images for those of x."""


def images_of(turns: Sequence[Message]) -> list[ImagePart]:
    """The images of a conversation, in reading order."""
    parts = (part for turn in turns if not isinstance(turn["content"], str) for part in turn["content"])
    return [part for part in parts if isinstance(part, ImagePart)]


class HarnessError(Exception):
    """A user error. The message is one line: what was given, what is allowed, what to do."""


class NoRowsError(HarnessError):
    """There are no rows where they were looked for; nothing is wrong with them."""


class Modality(StrEnum):
    """What a problem is made of."""

    TEXT = "text"
    VISION = "vision"
    """Images and text."""


class Privilege(StrEnum):
    """Kinds of privileged input p that the paper names (Tables 4 and 5); worlds may have kinds of their own."""

    NONE = "none"
    """No privileged input: the privileged context equals the plain one."""
    FINAL_ANSWER = "final_answer"
    """The reference answer alone."""
    HINTS_WITH_EXECUTION = "hints_with_execution"
    """Step-wise hints with every intermediate result."""
    HINTS = "hints"
    """Step-wise decomposition, no intermediate result and no answer. The paper's default."""
    SUMMARY = "summary"
    """The hints, condensed."""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A response shown before x as a worked one: a sibling's success, a reference, the rollout itself."""

    response: str
    """Decoded text; its world says in which form it is shown."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """The problem with other images in the place of its own."""

    kind: str
    """One of ``harness.worlds.world.Pictured.pictures``: a crop of the evidence, a degraded copy."""


@dataclass(frozen=True, slots=True)
class FirstHalf:
    """The first half of the run's p, before x."""


@dataclass(frozen=True, slots=True)
class Alone:
    """The run's p without the problem."""


Shown = str | Demonstration | Pictures | FirstHalf | Alone
"""What a context of a method's own shows: a kind of p or a response before x, x with other images, or the run's p in
another way than before x and whole."""


class Corruption(StrEnum):
    """How the privileged input of a training example is made wrong; see ``harness.worlds.corruption``."""

    NONE = "none"
    WRONG_STEPS = "wrong_steps"
    """Every step of p is wrong: the other choice, what follows from it, another code."""
    SHUFFLED_STEPS = "shuffled_steps"
    """The right steps in another order."""
    OTHER_EXAMPLE = "other_example"
    """The p of another problem of the same domain and number of steps."""


class Fact(StrEnum):
    """What decides a token of a reference trace."""

    FORMAT = "format"
    """Fixed by the format: answer marker, end of sequence."""
    CAPABILITY = "capability"
    """Computable from x; a better policy gets it right without p."""
    INFORMATION = "information"
    """Only p holds it; without p the best is to abstain. Never scored by the grader."""


@dataclass(frozen=True, slots=True)
class Span:
    """Characters of a text and what decides them. By characters, so that any tokenizer can carry it."""

    start: int
    """First character."""
    end: int
    """One after the last."""
    kind: Fact


def check_spans(of: str, text: str, spans: Sequence[Span]) -> None:
    """Spans lie within their text, in its order, without overlap.

    Raises:
        HarnessError: one does not; ``of`` says whose they are.
    """
    end = 0
    for span in spans:
        here = f"{of}: the span {span.start}:{span.end} ({span.kind.value})"
        if not 0 <= span.start < span.end <= len(text):
            raise HarnessError(
                f"{here} is not within its text of {len(text)} characters: give start < end, both inside"
            )
        if span.start < end:
            raise HarnessError(f"{here} begins before the one before it ends, at {end}: give spans in order, apart")
        end = span.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One problem.

    Example::

        Example(id="reasoning/train/17", domain="reasoning", difficulty=4, split="train",
                messages=({"role": "user", "content": "reasoning 3 ..."},),
                answer="7", trace="A +3 . 6 ... ! 7", facts=(Span(0, 1, Fact.CAPABILITY), ...),
                privileged={Privilege.HINTS: "hint A . B k2 ..."})
    """

    id: str
    """Stable and unique: ``domain/split/index``."""
    domain: str
    difficulty: int | None = None
    """Number of reasoning steps; None where the world does not count them."""
    split: str
    """train | validation | test."""
    messages: tuple[Message, ...]
    """The original input x: chat turns, without p."""
    answer: str
    """Reference answer, compared exactly."""
    trace: str | None = None
    """Reference response: reasoning and answer, EOS excluded; None where there is none."""
    facts: tuple[Span, ...] = ()
    """What decides the characters of ``trace``; what no span holds is format. Empty where the world does not say."""
    privileged: Mapping[str, PrivilegedInput]
    """Each kind of p this example has: a ``Privilege`` or a kind of its world's own. NONE is never a key."""

    def __post_init__(self) -> None:
        check_spans(f"example {self.id}", self.trace or "", self.facts)


class Policy(StrEnum):
    """Who scores or is trained."""

    STUDENT = "student"
    """The policy in training, at its current weights."""
    TEACHER = "teacher"
    """The frozen external teacher."""
    INITIAL = "initial"
    """The student's weights at step 0, frozen."""
    EMA = "ema"
    """Exponential moving average of the student, updated after each rollout batch."""
    REFERENCE = "reference"
    """A third frozen model (ExOPD): the student's initial weights."""
    SNAPSHOT = "snapshot"
    """The student's weights, copied every ``every`` steps (DAPD)."""


class Want(StrEnum):
    """What is kept of a view between the score pass and the gradient pass."""

    LOGP = "logp"
    """Log-probability of the sampled token: one float per token."""
    ENTROPY = "entropy"
    """Entropy of the whole distribution, nats: one float per token."""
    DISTRIBUTION = "distribution"
    """Last hidden states, from which full-vocabulary logits are rebuilt in chunks."""


PLAIN = "plain"
PRIVILEGED = "privileged"


@dataclass(frozen=True, slots=True)
class View:
    """One policy reading the responses after one context."""

    policy: Policy
    context: str = PLAIN
    """plain (x), privileged (x and p), or a name from ``Method.contexts``."""
    wants: frozenset[Want] = frozenset({Want.LOGP})
    temperature: float = 1.0
    """Divides the logits before every quantity of this view."""
    rate: float | None = None
    """ema only: share of the student in each update, in (0, 1]."""
    every: int | None = None
    """snapshot only: steps between two copies."""

    def __post_init__(self) -> None:
        if self.policy is Policy.EMA and not (self.rate is not None and 0 < self.rate <= 1):
            raise HarnessError(f"EMA rate {self.rate}: give the student's share of each update, in (0, 1]; 1 copies it")
        if self.policy is Policy.SNAPSHOT and not (self.every is not None and self.every >= 1):
            raise HarnessError(f"snapshot every {self.every} steps: give a whole number of steps, 1 or more")


class Completion(StrEnum):
    """Responses a term of the loss reads."""

    ROLLOUT = "rollout"
    """What the method's source wrote."""
    REFERENCE = "reference"
    """The data's reference response of the same prompt, one beside each rollout (DAPD)."""


@dataclass(frozen=True, slots=True)
class Term:
    """One summand of a method's loss: the view that is trained and the views that supervise it."""

    trained: View
    sources: tuple[View, ...] = ()
    completion: Completion = Completion.ROLLOUT
    """Which responses the term reads."""
    weight: float = 1.0


class Source(StrEnum):
    """Who writes the responses the method learns from."""

    STUDENT = "student"
    """y ~ student(. | x): on-policy."""
    PRIVILEGED_STUDENT = "privileged_student"
    """y ~ student(. | x, p)."""
    TEACHER = "teacher"
    """y ~ teacher(. | x)."""
    VERIFIED_TEACHER = "verified_teacher"
    """y ~ teacher(. | x), redrawn until the grader accepts it, up to a bounded number of tries."""
    DATASET = "dataset"
    """The data's own reference traces."""


class Reduction(StrEnum):
    """How token losses become one number; all counts are over the global optimiser batch."""

    SEQ_MEAN = "seq_mean"
    """Mean over a sequence's response tokens, then mean over sequences (DOPD, GRPO)."""
    TOKEN_MEAN = "token_mean"
    """Mean over all response tokens."""
    SELECTED_MEAN = "selected_mean"
    """Mean over the tokens the method's mask kept (TIP)."""
    PROMPT_MEAN = "prompt_mean"
    """Sum of weighted sequence means within a prompt, then mean over prompts (VA-OPD)."""


class Finish(StrEnum):
    """Why a rollout ended."""

    EOS = "eos"
    LENGTH = "length"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorePool:
    """What is known of every response token of the *global* rollout batch; no gradient anywhere.

    All tensors are on the CPU. Padded positions hold 0 and are False in ``mask_BT``.
    """

    mask_BT: Tensor
    """bool [B, T]: response tokens, EOS included."""
    logp_BT: Mapping[View, Tensor]
    """float32 [B, T] per view: log-probability of the sampled token."""
    entropy_BT: Mapping[View, Tensor]
    """float32 [B, T] per view that wants it, nats."""
    sampler_logp_BT: Tensor
    """float32 [B, T]: log-probability under the policy that sampled; denominator of every importance ratio."""
    group_B: Tensor
    """int64 [B]: rollouts of one prompt share a number."""
    update_B: Tensor
    """int64 [B]: which of the batch's optimiser steps each rollout feeds; all 0 for one step a batch."""
    draw_B: Tensor
    """float64 [B], uniform in [0, 1): the only randomness ``assign`` may use, from the run's own stream."""
    reference_B: Tensor
    """bool [B]: rows that are the data's reference responses, not rollouts."""
    present_B: Mapping[str, Tensor] = field(default_factory=dict)
    """bool [B] per context that some rollouts lack; views of other contexts are there for all."""
    reward_B: Tensor | None = None
    """float32 [B], 1 verified correct, 0 not; None where the data cannot verify."""
    stats_BT: Mapping[str, Tensor] = field(default_factory=dict)
    """float32 [B, T]: whatever ``Method.token_stats`` returned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What a method decides about every response token before the gradient pass; no gradient."""

    mask_BT: Tensor
    """bool [B, T]: tokens that enter the loss; a subset of the response tokens."""
    weight_BT: Tensor | None = None
    """float [B, T]: factor on each token's loss; None means 1."""
    fields: Mapping[str, Tensor] = field(default_factory=dict)
    """[B, T] each: what ``token_loss`` needs per token (regime, advantage, gate)."""
    labels_BT: Tensor | None = None
    """int64 [B, T]: index into ``label_names``; share and mean loss of each label are logged."""
    label_names: tuple[str, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Numbers to log: thresholds, gate open share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One number of a run, with what is needed to trust it."""

    run: str
    """Run id (readable name and hash); reference models have one too."""
    method: str
    """Registry name; ``student`` and ``teacher`` for the reference rows."""
    profile: str
    seed: int
    train_domains: tuple[str, ...]
    """Domains trained on; empty for reference rows."""
    step: int
    """Optimiser step of the checkpoint."""
    steps: int
    """Steps of the whole run; a row with step < steps is an intermediate checkpoint."""
    benchmark: str
    version: float
    decoding: str
    """One of the benchmark's, ``greedy``; ``audit`` for an audit."""
    metric: str
    """One of the benchmark's or the audit's."""
    value: float
    """In the unit of the metric: in [0, 1] unless the benchmark or the audit says another."""
    n: int
    """Items scored."""
    errors: int
    """Items whose response could not be parsed."""
    truncations: int
    """Items cut at the length limit."""
    status: str = "ok"
    """ok | collapsed; see ``harness.training.loop.detect_collapse``."""
    tokens: int = 0
    """Response tokens trained on up to this checkpoint."""
    schema: int = 1
    training_code: str = ""
    """Digest of the code that trained the run (``harness.storage.code``); empty: from before digests were kept."""
    evaluation_code: str = ""
    """The same of the code that evaluated it."""
    world: str = field(default="", metadata={"since": 2})
    """World and version of the run's data, ``DataSpec.source``; empty: ``harness.config.FIRST_WORLD``, of which rows
    did not say so."""
    draw: int | None = field(default=None, metadata={"since": 2})
    """Which draw of the world; None for a world without draws."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a run cost. Kept apart from rows: seconds differ between machines, rows must not."""

    run: str
    method: str
    seed: int
    train_domains: tuple[str, ...]
    steps: int
    tokens: int
    """Response tokens trained on."""
    forwards_per_token: float
    """Forward passes per trained response token: sampler, views scored, trained view."""
    train_seconds: float
    evaluation_seconds: float
    peak_memory_mb: float
    """Largest memory while this run was worked on, MiB; see ``harness.training.memory``. In rows published before it
    was measured by run: the largest of all runs that its worker had done so far."""
    acted: float | None = None
    """Share, mean over steps, on which the method's distinctive part did anything; None if it reports none."""
