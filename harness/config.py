"""A run as a value: everything that can change its result, and the identity made of it. No torch."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache, cached_property
from typing import Any

from harness.types import Corruption, HarnessError, Privilege

SCHEMA = 1
"""Bumped when the meaning of a field changes; part of the identity."""
DTYPES = ("float32", "float64", "bfloat16", "float16")
"""That a model can be read in."""
TORCH, LIGER = "torch", "liger"
KERNELS = (TORCH, LIGER)
"""Of the layers of a model."""
PLAIN = (bool, int, float, str)
"""Types of JSON that hold nothing else."""
ALWAYS = object()
"""Equal to no value: of a field that is never left out."""
APART: Mapping[str, Any] = {"identity": False}
"""Metadata of a field that says where or in what pieces something is computed, not what: it is in no spec that is
written and in no hash. Such a field is given ``compare=False`` as well."""
READABLE = 160
"""Most bytes of the readable part of a run's id."""
STEPLESS = (Privilege.NONE, Privilege.FINAL_ANSWER)
"""Kinds of p that name no step."""


class PrivilegedTurn(StrEnum):
    """Where p stands in a prompt."""

    SYSTEM = "system"
    """In a turn of its own before x."""
    USER = "user"
    """At the head of the user's turn: for a chat template without a system role."""


class Template(StrEnum):
    """The chat template of a model."""

    OWN = "own"
    """Its tokenizer's."""
    PLAIN = "plain"
    """``harness.models.reader.PLAIN``: for a tokenizer without one."""


class Part:
    """A part of a run that many runs share. No slots: its text is kept beside its fields."""

    @cached_property
    def canonical(self) -> str:
        """Its canonical JSON."""
        return canonical_json(self)


@dataclass(frozen=True, kw_only=True)
class ModelSpec(Part):
    """A model by name and by content."""

    name: str
    """A name of the embedded zoo, a hub name, a folder, or what a model that is made is called."""
    sha256: str = ""
    """Of the weights, from the zoo's manifest; empty where the weights are not on this machine."""
    made: RunSpec | None = field(default=None, metadata={"since": 2})
    """The run that makes this model, one with a recipe; None for a model that is found by its name."""
    content: str = field(default="", metadata={"since": 2})
    """Of the files of a local folder that decide what the model is, see ``harness.models.sources.digest``; empty where
    the model is no folder, or nobody has said which."""
    revision: str = field(default="", metadata={"since": 2})
    """Of a hub name, the commit that is meant; empty where the model is none, or nobody has said which."""
    privileged_turn: PrivilegedTurn = field(default=PrivilegedTurn.SYSTEM, metadata={"since": 2})
    """The same of student and teacher, which read one text."""
    template: Template = field(default=Template.OWN, metadata={"since": 2})

    def __post_init__(self) -> None:
        if self.made is None:
            return
        if self.made.recipe is None:
            raise HarnessError(f"model {self.name!r} is made by run {self.made.id}, which has no recipe: give one")
        if self.sha256:
            raise HarnessError(
                f"model {self.name!r} is made: what it is made of is its identity, leave sha256 {self.sha256[:10]} out"
            )
        ancestors = (model.name for run in (*makings(self.made), self.made) for model in run.models)
        if self.name in ancestors:
            raise HarnessError(
                f"model {self.name!r} is made from a model of its own name, so a reader could not tell them apart: "
                "give it another name"
            )


NOTHING = ModelSpec(name="nothing")
"""The student of a recipe that begins from no model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where problems that stand in a file are, and how its fields are to be read."""

    path: str
    """A jsonl file, or a folder of the library datasets."""
    columns: tuple[tuple[str, str], ...] = ()
    """Field of the schema and the column that holds it; where there is one, other columns are not read."""
    values: tuple[tuple[str, str], ...] = ()
    """Field of the schema and its value where no line gives one."""


@dataclass(frozen=True, kw_only=True)
class DataSpec(Part):
    """What is trained on."""

    world: str
    """Name of the data source."""
    version: int = 1
    """The data source's own version."""
    domains: tuple[str, ...]
    """Training domains, drawn equally."""
    difficulty: tuple[int, int] = (3, 5)
    """Smallest and largest number of steps, inclusive."""
    size: int = 8192
    """Distinct training problems per domain."""
    privilege: str = Privilege.HINTS
    """The kind of p every privileged view sees: a ``Privilege``, or a kind of the world's own."""
    corruption: Corruption = field(default=Corruption.NONE, metadata={"since": 2})
    """How p is made wrong in training."""
    corrupted: float = field(default=0.0, metadata={"since": 2})
    """Share of the training examples with a wrong p, in [0, 1]; 0 exactly where ``corruption`` is none."""
    draw: int | None = field(default=None, metadata={"since": 2})
    """Which draw of the world: its secret tables, orders and models; None for a world without draws."""
    content: str = field(default="", metadata={"since": 3})
    """sha256 of what was read, of problems that stand in a file; empty where the world makes them itself."""
    file: Source | None = field(default=None, compare=False, metadata=APART)
    """Where they stand. Apart from the identity: the same problems in another place are the same data."""

    @property
    def source(self) -> str:
        """World and version, as rows name them: ``permutations 1``."""
        return f"{self.world} {self.version}"

    def __post_init__(self) -> None:
        if type(self.size) is not int or self.size < 1:
            raise HarnessError(f"size={self.size!r}: give the number of training problems of a domain, 1 or more")
        given = f"corruption={str(self.corruption)!r}, corrupted={self.corrupted}"
        if not 0 <= self.corrupted <= 1:
            raise HarnessError(f"{given}: corrupted is a share of the examples, give a number from 0 to 1")
        if (self.corruption == Corruption.NONE) != (self.corrupted == 0):
            raise HarnessError(
                f"{given}: give a share above 0 with a corruption ({', '.join(list(Corruption)[1:])}), or 'none' with 0"
            )
        if self.corruption == Corruption.NONE:
            return
        needs_steps = self.corruption != Corruption.OTHER_EXAMPLE
        if self.privilege == Privilege.NONE or (needs_steps and self.privilege in STEPLESS):
            allowed = [kind for kind in Privilege if kind not in (STEPLESS if needs_steps else (Privilege.NONE,))]
            raise HarnessError(
                f"{given}: privilege {str(self.privilege)!r} has nothing of this to corrupt, choose "
                f"one of {', '.join(allowed)}"
            )


FIRST_WORLD = "embedded 1"
"""Of the rows from before rows named their world."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """A held-out set of problems, to be asked as a benchmark."""

    name: str
    """Of the benchmark, unique over all worlds."""
    version: int = 1
    """Bumped when an item, its grading or the length limit changes; part of every row. Of items that stand in a file a
    number made of their content."""
    data: DataSpec
    """Whose problems these are; one domain."""
    split: str
    """test, or validation for tuning."""
    n: int = 400
    """Items: the first so many of the split."""
    max_new_tokens: int
    """What is cut there was wrong already."""
    traces: bool = True
    """Whether the items have reference traces, so that these are graded too."""

    @property
    def domain(self) -> str:
        """Of all items."""
        return self.data.domains[0]


class FirstStep(StrEnum):
    """Where the linear warm-up begins."""

    ZERO = "zero"
    """At rate 0: the first optimiser step moves nothing."""
    FULL = "full"
    """At 1/warm-up of the peak: every step moves the student, and the peak comes one step earlier."""


@dataclass(frozen=True, kw_only=True)
class OptimSpec(Part):
    """AdamW with a cosine schedule. The paper gives only optimiser, schedule and 5e-6; the rest is ours."""

    lr: float
    """Peak learning rate."""
    betas: tuple[float, float] = (0.9, 0.95)
    """The usual pair for language models."""
    eps: float = 1e-8
    weight_decay: float = 0.0
    """Distillation moves little; decay would add a pull of its own."""
    warmup_steps: int = 5
    """Linear. Adam's second moment needs a few steps before a full step is safe."""
    final_lr_share: float = 0.0
    """Cosine ends at this share of the peak."""
    clip_norm: float = 1.0
    """Global gradient norm; logged before the cut."""
    first_step: FirstStep = field(default=FirstStep.ZERO, metadata={"since": 2})
    """Of the warm-up. The published runs begin at 0, so it is the default; a new world sets ``full``."""

    def trains(self, steps: int) -> bool:
        """Whether any of so many optimiser steps has a rate above 0."""
        return steps > 0 and (steps > 1 or self.first_step is FirstStep.FULL or self.warmup_steps == 0)


@dataclass(frozen=True, kw_only=True)
class MethodSpec(Part):
    """A method by name, settings and version."""

    name: str
    """Registry name."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Every hyper-parameter, defaults included, as plain JSON values."""
    version: int = 1
    source_sha256: str = ""
    """Of a plugin's file; empty for registered methods, whose version is tested instead."""


@dataclass(frozen=True, kw_only=True)
class RecipeSpec(Part):
    """How a model is made: a recipe by name, settings and version."""

    name: str
    """A name of ``harness.training.recipes.RECIPES``."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Every setting, defaults included, as plain JSON values."""
    version: int = 1


@dataclass(frozen=True, kw_only=True)
class LoraSpec(Part):
    """Low-rank adapters that are trained in place of the weights (Hu et al., 2021); without dropout."""

    rank: int
    """Of the product that is added to each weight."""
    alpha: float
    """The product is scaled by alpha / rank."""
    targets: tuple[str, ...] = ()
    """Layers by the last part of their name (``q_proj``); empty: every linear layer but the output layer."""

    def __post_init__(self) -> None:
        if self.rank < 1 or not self.alpha > 0:
            raise HarnessError(
                f"lora rank={self.rank}, alpha={self.alpha}: give a rank of at least 1, an alpha above 0"
            )


@dataclass(frozen=True, kw_only=True)  # no slots: its hash is kept beside its fields
class RunSpec:
    """Everything that can change a result. Where to log and how many processes are no part of it."""

    profile: str
    """Empty for a run that makes a model, so that every profile shares it."""
    student: ModelSpec
    teacher: ModelSpec | None
    """None for a reference row, where the student is only evaluated, and for a recipe."""
    data: DataSpec | None
    method: MethodSpec | None
    optim: OptimSpec | None
    steps: int
    """Optimiser steps; 0 for a reference row."""
    prompts_per_step: int = 16
    rollouts_per_prompt: int = 4
    """The paper's."""
    max_response_tokens: int = 48
    temperature: float = 1.0
    """Of the rollouts. The paper is silent; 1 makes them samples of the policy itself."""
    top_p: float = 1.0
    seed: int = 0
    start: str = ""
    """Id of the run this one continues (continual learning); empty: the student's own weights."""
    threads: int = 1
    """Torch threads: sums depend on them. Parallelism is over runs."""
    dtype: str = "float32"
    checkpoints: int = 10
    """Checkpoints after step 0, evenly spaced; the last is the final step."""
    recipe: RecipeSpec | None = field(default=None, metadata={"since": 2})
    """In place of a method: what the run ends with is a model, the ``made`` of a ``ModelSpec``."""
    lora: LoraSpec | None = field(default=None, metadata={"since": 2})
    """Adapters of the student; None: every weight of it is trained."""
    extra_checkpoints: tuple[int, ...] = field(default=(), metadata={"since": 2})
    """Further steps at which a checkpoint is kept and may be evaluated, rising; nothing is probed there."""
    max_prompt_tokens: int | None = field(default=None, compare=False, metadata=APART)
    """A longer prompt, p included, is refused, never cut; None: as many as the models have positions for."""
    micro_batch: int = field(default=64, compare=False, metadata=APART)
    """Rollouts per forward pass in training. Changes memory, never the numbers."""
    device: str = field(default="auto", compare=False, metadata=APART)
    """Of torch: cpu, cuda, cuda:1; auto: a GPU where there is one."""
    kernels: str = field(default=TORCH, compare=False, metadata=APART)
    """One of ``KERNELS``: of the network's layers, not of the losses. Changes last digits, as a device does."""

    def __post_init__(self) -> None:
        extra = self.extra_checkpoints
        if list(extra) != sorted(set(extra)) or not all(0 < step < self.steps for step in extra):
            raise HarnessError(
                f"extra_checkpoints={extra} of a run of {self.steps} steps: give steps between its first and its last, "
                "rising, each once"
            )
        if self.recipe and self.method:
            raise HarnessError(f"method {self.method.name} and recipe {self.recipe.name}: a run has one of the two")
        if self.recipe and self.steps < 1:
            raise HarnessError(f"recipe {self.recipe.name} with steps={self.steps}: give at least 1")
        if self.lora and not self.method:
            raise HarnessError(f"lora of a run without a method ({self.label}): only distilled students have adapters")
        if self.steps < 0 or self.prompts_per_step < 1 or self.rollouts_per_prompt < 1:
            raise HarnessError(
                f"steps={self.steps}, prompts_per_step={self.prompts_per_step}, "
                f"rollouts_per_prompt={self.rollouts_per_prompt}: steps must be >= 0, the others >= 1"
            )
        if self.micro_batch < 1:
            raise HarnessError(f"micro_batch={self.micro_batch}: give the rollouts of a forward pass, at least 1")

    @property
    def is_reference(self) -> bool:
        """True for a model that is only evaluated."""
        return self.method is None and self.recipe is None

    @property
    def train_domains(self) -> tuple[str, ...]:
        """Domains trained on; none of a model that is only evaluated, whatever its data."""
        return self.data.domains if self.data and not self.is_reference else ()

    @property
    def label(self) -> str:
        """What trained the model: a method's name, ``recipe/NAME``, or ``reference/MODEL`` where nothing did."""
        if self.recipe:
            return f"recipe/{self.recipe.name}"
        return self.method.name if self.method else f"reference/{self.student.name}"

    @property
    def models(self) -> tuple[ModelSpec, ...]:
        """The models it begins with."""
        return (self.student,) if self.teacher is None else (self.student, self.teacher)

    @property
    def needs(self) -> frozenset[str]:
        """Ids of the runs that must be done first: the one it continues, and those that make its models."""
        made = {model.made.id for model in self.models if model.made}
        return frozenset(made | ({self.start} if self.start else set()))

    @cached_property
    def hash(self) -> str:
        """First 10 hex digits of the sha256 of the canonical JSON; made once, a plan asks for it often."""
        given = {name: _text(value) for name, value in _json_items(self)} | {"schema": _text(SCHEMA)}
        text = ",".join(f'"{name}":{given[name]}' for name in sorted(given))
        return hashlib.sha256(f"{{{text}}}".encode()).hexdigest()[:10]

    @cached_property
    def id(self) -> str:
        """Readable, unique, free of suite names: ``dopd-mid-base-coding-seed0-1a2b3c4d5e``.

        A file system takes names of 255 bytes: of long ones the readable part is cut, seed and hash never.
        """
        if self.recipe:
            return _cut(f"made-{_slug(self.recipe.name)}-{_slug(self.student.name)}") + f"-seed{self.seed}-{self.hash}"
        if self.method is None or self.data is None or self.teacher is None:
            return _cut(f"reference-{_slug(self.student.name)}") + f"-{self.hash}"
        parts = (self.method.name, self.teacher.name, self.student.name, "+".join(self.data.domains))
        return _cut("-".join(map(_slug, parts))) + f"-seed{self.seed}-{self.hash}"

    def checkpoint_steps(self) -> tuple[int, ...]:
        """Steps at which a checkpoint is kept: 0, every tenth, the last, and the extra ones; rising."""
        if not self.extra_checkpoints:
            return self.probed_steps()
        return tuple(sorted({*self.probed_steps(), *self.extra_checkpoints}))

    def probed_steps(self) -> tuple[int, ...]:
        """Those of them where training also probes the student: evenly spaced, 0 and the last among them."""
        return _checkpoint_steps(self.steps, self.checkpoints)


def makings(spec: RunSpec) -> Iterator[RunSpec]:
    """The runs that make the models of ``spec``, each after those it needs itself; one may come twice."""
    for model in spec.models:
        if model.made:
            yield from makings(model.made)
            yield model.made


def to_json(value: Any) -> Any:
    """Dataclasses, tuples and enums as plain JSON values.

    A field with ``metadata={"since": n}``, n > 1, came after the first specs were published: it is left out while
    it has its default, so the identity of every older run stays. One with the metadata ``APART`` is always left out.
    """
    if value is None or type(value) in PLAIN:
        return value
    if _json_fields(type(value)) is not None:
        return {name: to_json(given) for name, given in _json_items(value)}
    if isinstance(value, Mapping):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(v) for v in value]
    return value if isinstance(value, PLAIN) else str(value)


def _json_items(value: Any) -> Iterator[tuple[str, Any]]:
    """Names and values of a dataclass's fields that are written."""
    fields = _json_fields(type(value)) or ()
    return ((name, given) for name, default in fields if (given := getattr(value, name)) != default)


@cache
def _json_fields(cls: type) -> tuple[tuple[str, Any], ...] | None:
    """Names of a dataclass's fields, each with the value at which it is left out; None for another class."""
    if not dataclasses.is_dataclass(cls):
        return None
    kept = [f for f in dataclasses.fields(cls) if f.metadata.get("identity", True)]
    return tuple((f.name, f.default if f.metadata.get("since", 1) > 1 else ALWAYS) for f in kept)


def canonical_json(value: Any) -> str:
    """One spelling per value: sorted keys, no spaces, no NaN."""
    return _canonical(to_json(value))


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
"""Of plain JSON values."""


def _text(value: Any) -> str:
    """``canonical_json``, which a part of a run keeps; a whole number's needs no encoder."""
    if type(value) is int:
        return str(value)
    return value.canonical if isinstance(value, Part) else canonical_json(value)


@cache
def _checkpoint_steps(steps: int, checkpoints: int) -> tuple[int, ...]:
    return tuple(sorted({round(steps * i / checkpoints) for i in range(checkpoints + 1)}))


def from_json(record: Mapping[str, Any]) -> RunSpec:
    """The inverse of ``to_json`` for a ``RunSpec``.

    Raises:
        HarnessError: a field is missing or unknown (a spec written by another version).
    """
    try:
        r = dict(record)
        r["student"] = _model(r["student"])
        r["teacher"] = _model(r["teacher"]) if r["teacher"] else None
        r["method"] = MethodSpec(**r["method"]) if r["method"] else None
        r["recipe"] = RecipeSpec(**r["recipe"]) if r.get("recipe") else None
        if r["data"]:
            d: dict[str, Any] = dict(r["data"])
            d["domains"], d["difficulty"] = tuple(d["domains"]), tuple(d["difficulty"])
            d["corruption"] = Corruption(d.get("corruption", Corruption.NONE))
            r["data"] = DataSpec(**d)
        if r["optim"]:
            o: dict[str, Any] = dict(r["optim"])
            o["betas"], o["first_step"] = tuple(o["betas"]), FirstStep(o.get("first_step", FirstStep.ZERO))
            r["optim"] = OptimSpec(**o)
        if r.get("lora"):
            r["lora"] = LoraSpec(**dict(r["lora"], targets=tuple(r["lora"]["targets"])))
        r["extra_checkpoints"] = tuple(r.get("extra_checkpoints", ()))
        return RunSpec(**r)
    except (KeyError, TypeError, ValueError) as error:
        raise HarnessError(
            f"run spec not readable ({error}): it was written by another version; "
            "move the run folder away and run again"
        ) from error


def _model(record: Mapping[str, Any]) -> ModelSpec:
    fields = dict(record)
    fields["made"] = from_json(fields["made"]) if fields.get("made") else None
    fields["privileged_turn"] = PrivilegedTurn(fields.get("privileged_turn", PrivilegedTurn.SYSTEM))
    fields["template"] = Template(fields.get("template", Template.OWN))
    return ModelSpec(**fields)


def _cut(text: str) -> str:
    return text.encode()[:READABLE].decode(errors="ignore")


def _slug(text: str) -> str:
    return text.replace("/", ".").replace("_", "-")
