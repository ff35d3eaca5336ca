"""What a profile is: models, data, budget and benchmarks a suite runs with, and what a size makes differ. No torch.

A profile is one value in one file; ``suites/profiles/`` ships some, ``--profile FILE.py`` reads another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from harness import registry
from harness.config import (
    DTYPES,
    KERNELS,
    TORCH,
    DataSpec,
    HeldOut,
    LoraSpec,
    MethodSpec,
    ModelSpec,
    OptimSpec,
    RunSpec,
)
from harness.types import HarnessError, Modality


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """Settings of a method in place of the published ones, which cannot act at a profile's size."""

    settings: Mapping[str, Any]
    """Values by field of the method."""
    reason: str
    """Why; printed by ``plan`` and in captions."""

    @property
    def text(self) -> str:
        """``k = 8``."""
        return ", ".join(f"{name} = {value}" for name, value in self.settings.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class TopK:
    """A rule for every method that looks at its k most probable tokens: what k becomes where it is too large.

    A method says itself whether it fits (``Method.check_vocabulary``), so one whose k does not act keeps it.
    """

    vocabulary: int
    """Tokens."""
    above: int | None = None
    """The largest k that stays; None: the vocabulary's size."""
    k: int
    """In place of a larger one."""
    reason: str
    """Why; ``{k}`` stands for the published one."""

    def override(self, spec: MethodSpec) -> Override | None:
        """For a method as it is published; None where it fits."""
        k = spec.settings.get("k")
        largest = self.vocabulary if self.above is None else self.above
        if not isinstance(k, int) or k <= largest:
            return None
        try:
            registry.build_method(spec).check_vocabulary(largest)
        except HarnessError:
            return Override(settings={"k": self.k}, reason=self.reason.format(k=k))
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """Models of one family by strength, and the pairs of them that are distilled (Table 3, Figure 6)."""

    models: Mapping[str, ModelSpec]
    """Weakest first, by the names they have in tables."""
    pairs: tuple[tuple[str, str], ...]
    """(teacher, student): the weaker student first, of each the strongest teacher first."""
    erring: tuple[str, str]
    """A (teacher, student) whose teacher is worse than its student, both without p."""
    parameters: Mapping[str, float] = field(default_factory=dict)
    """Billions by name of the model, as the names say; empty where they do not tell the models apart, and Figure 6 is
    then drawn against the ratio of accuracies."""
    ratio: str
    """What Figure 6 is drawn against and why, a sentence for its caption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One place of the diagram that says where privilege and routing pay: who teaches whom, and how good p is."""

    key: str
    """Unique in its profile and stable: the first part of the keys of its arms."""
    row: str
    column: str
    """Where it stands in the diagram, as they are written there."""
    pair: Callable[[int], tuple[ModelSpec, ModelSpec]]
    """(teacher, student) of a draw, which may be models that are made."""
    wrong: float = 0.0
    """Share of the training examples whose p has wrong steps."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """Of what the two must know by heart: by whether both, one or neither of them is right; set, not found."""

    @property
    def label(self) -> str:
        """As it is written beside the diagram."""
        return f"{self.row}, {self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """What stands for help that is none, and for help that is not p (suite controls)."""

    useless: str
    """A kind of p that tells nothing of what is scored and all that p alone can tell."""
    better: Callable[[int], ModelSpec]
    """Of a draw: a teacher that is as good without p as the default one is with it."""


DEVICES = re.compile(r"auto|(cpu|cuda|mps|xpu)(:\d+)?")
"""What a device is called; whether it is here is known where torch is."""
DEVELOPMENT_SEEDS = 1000
"""Seeds from here on are for pilots and for what is chosen (learning rates, the early step), never for results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """Which draws of its world a profile runs: each has tables, items and models of its own (``DataSpec.draw``).

    A seed below ``DEVELOPMENT_SEEDS`` runs draw ``seed % n``; the others run the development draw, which is in no
    table of results. The draw is the unit of every interval and test (``harness.analysis.units``).

    Example::

        Draws(n=5, development=5, model=lambda model, draw: ModelSpec(name=f"{model.name}_{draw}"))
    """

    n: int
    """Draws of results: 0 to n - 1."""
    development: int
    """The number of another one."""
    model: Callable[[ModelSpec, int], ModelSpec]
    """What stands for a model of the profile in a draw."""
    twice: tuple[str, ...] = ()
    """Registry names of methods that the main table runs with a second seed in each draw, so that what is the seed's is
    told from what is the draw's (``harness.analysis.units.variance``)."""
    held: tuple[int, ...] | None = None
    """Draws whose models are there; runs of another one can be planned. None: all."""

    def of(self, seed: int) -> int:
        """The draw that a seed runs."""
        return self.development if seed >= DEVELOPMENT_SEEDS else seed % self.n

    @property
    def all(self) -> tuple[int, ...]:
        """Those of results, then the development draw."""
        return (*range(self.n), self.development)


@dataclass(frozen=True, slots=True, kw_only=True)
class Default:
    """A setting of a profile of the user's own, where nothing is said."""

    value: Any
    source: str
    """paper, or default."""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task of lm-eval that only this profile asks, or asks on items of its own."""

    name: str
    """Of the benchmark."""
    task: str
    """lm-eval's name of it."""
    folder: str = ""
    """Of lm-eval's tasks, that holds it; by default of the same name."""
    version: float
    """Of lm-eval's task, which must be the one that is installed."""
    metrics: tuple[str, ...]
    """As lm-eval writes them, ``exact_match,strict-match``; the first is what tables are about."""
    data: str = ""
    """A local jsonl file of the task's schema, for a group a folder; empty: the hub's data set."""
    fewshot: int | None = None
    """Examples in each prompt; None: as the task says."""
    max_new_tokens: int | None = None
    """Of a response; None: as the task says, 256 where it does not."""
    chat: bool = False
    """Whether the prompt is rendered as a user's turn by the model's chat template."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a profile runs of a suite; what is left empty is the suite's own.

    Example::

        Part(arms=("vanilla_opd", "va_opd", "dopd"), seeds=(0, 1, 2), table="table2")
    """

    arms: tuple[str, ...] = ()
    """In order: registry names of methods; in a suite whose arms are its question, keys of these arms."""
    optional: bool = False
    """Also the arms that the suite has for profiles that ask for them."""
    seeds: tuple[int, ...] = ()
    table: str = ""
    """The paper's table that the suite's main one has the name of and shows beside it (``suites.paper``)."""


_WHOLE = Part()


@dataclass(frozen=True, kw_only=True)  # no slots: what its methods are is kept beside its fields
class Profile:
    """A setting of the whole benchmark; fills in fields of ``RunSpec``. What is optional only some suites need."""

    name: str
    """As in ``--profile``, in every row and in the folder of its reports; small letters, digits and _."""
    modality: Modality = Modality.TEXT
    """Of the problems."""
    student: ModelSpec
    """The model that is trained."""
    teacher: ModelSpec
    ladder: Ladder | None = None
    """For suites that vary the pair of models."""
    data: DataSpec
    """Default training data; suites replace ``domains``, whose order is that of the stages of continual learning."""
    draws: Draws | None = None
    """Of its world; None where that has none. Models and data above are then what all draws have in common, and a run
    has those of its seed's draw (``at``)."""
    optim: OptimSpec
    """Shared by all methods; ``Options.learning_rate`` may put each method's own rate in its place."""
    learning_rates: tuple[float, ...] = ()
    """The grid of the suite tuning, rising, around the shared rate."""
    steps: int
    """Optimiser steps of a run."""
    prompts_per_step: int
    rollouts_per_prompt: int = 4
    max_response_tokens: int
    max_prompt_tokens: int | None = None
    """A longer prompt, p included, is refused; None: as many as the models have positions for."""
    micro_batch: int = 64
    """Rollouts per forward pass in training. Changes memory, never the numbers."""
    dtype: str = "float32"
    """Of the weights: float32, float64, bfloat16 or float16."""
    device: str = "auto"
    """Of torch: cpu, cuda, cuda:1; auto: a GPU where there is one."""
    kernels: str = TORCH
    """torch, or liger: Triton kernels for the layers, on a GPU; needs the extra ``liger``."""
    lora: LoraSpec | None = None
    """Adapters that are trained in place of the student's weights; needs the extra ``lora``."""
    overrides: Mapping[str, Override] = field(default_factory=dict)
    """By registry name of the method."""
    top_k: TopK | None = None
    """For every method; None where no published k exceeds the vocabulary."""
    benchmarks: tuple[str, ...]
    """Held-out benchmarks of the training domains."""
    targets: Mapping[str, str] = field(default_factory=dict)
    """By domain, the benchmark that stands for it when one domain is trained and another tested."""
    directions: tuple[str, ...] = ()
    """Domains trained on and tested against each other, Figure 7b's order."""
    harder: Mapping[str, str] = field(default_factory=dict)
    """By domain, the benchmark over a harder range than the training data's."""
    validation: Mapping[str, str] = field(default_factory=dict)
    """By domain, the benchmark that chooses a learning rate and decides nothing else."""
    privileges: Mapping[str, str] = field(default_factory=dict)
    """Kinds of privileged input that are compared, to their labels, in the order of the table."""
    parts: Mapping[str, Part] | None = None
    """By name, the suites that ``--suite all`` holds in this profile, and what they run; None: every one of the paper,
    as it is. Any suite can be asked for by its own name."""
    further: tuple[str, ...] = ()
    """Held-out benchmarks that no mean holds; a suite that shows them asks for them itself."""
    held_out: tuple[HeldOut, ...] = ()
    """Sets of problems that come with this profile, to be named as benchmarks."""
    tasks: tuple[Task, ...] = ()
    """Tasks of lm-eval that come with it."""
    obstacle: str = ""
    """Why it can be planned, not run, where this package has no loader for its data or benchmarks."""
    phases: tuple[Phase, ...] = ()
    """The diagram of suite phases, row by row; the default pair with right p among them."""
    controls: Controls | None = None
    extra_checkpoints: tuple[int, ...] = ()
    """Steps beside the tenths of a run at which a checkpoint is kept, see ``RunSpec``; those that a shorter run reaches
    before its end."""
    early_step: int | None = None
    """The early budget, one of ``extra_checkpoints``, the same for every pair, draw, method and rate; None: runs have
    one budget, their last step."""
    seconds_per_step: float
    """First guess of a run's cost, used by ``plan`` until a run of that method has been measured."""
    seconds_per_evaluation: float
    """The same, per evaluation."""
    megabytes_per_run: float = 50.0
    """Checkpoints and records of one run; the launcher asks the disk for this much before it starts."""

    def at(self, seed: int) -> Profile:
        """As a seed runs it: with the models and the data of the seed's draw; itself where there are no draws.

        Raises:
            HarnessError: it is in another draw already.
        """
        return self if self.draws is None else self.in_draw(self.draws.of(seed))

    def of_seeds(self, seeds: Iterable[int]) -> list[Profile]:
        """In each draw that some seeds run, once; itself alone where there are no draws."""
        if self.draws is None:
            return [self]
        return [self.in_draw(draw) for draw in dict.fromkeys(map(self.draws.of, seeds))]

    def in_draw(self, draw: int) -> Profile:
        """With the models and the data of one of its draws; the same object every time.

        Raises:
            HarnessError: it has no draws or not this one, or is in another one already.
        """
        if self.draws is None or draw not in self.draws.all:
            has = ", ".join(map(str, self.draws.all)) if self.draws else "none"
            raise HarnessError(f"profile {self.name} has no draw {draw} (it has: {has}): give one of these")
        if self.data.draw == draw:
            return self
        if self.data.draw is not None:
            raise HarnessError(
                f"profile {self.name} is in draw {self.data.draw}, asked for is draw {draw}: ask the profile itself"
            )
        if draw not in self._drawn:
            own = self._with(partial(self._model, draw=draw))
            self._drawn[draw] = replace(own, data=replace(self.data, draw=draw))
        return self._drawn[draw]

    def _model(self, model: ModelSpec, draw: int) -> ModelSpec:
        assert self.draws is not None
        return self.draws.model(model, draw)

    def of_all_draws(self, spec: RunSpec) -> RunSpec:
        """The run as it is in every draw: its data of none, and models of its draw as those that stand for them."""
        if self.draws is None or spec.data is None or spec.data.draw is None:
            return spec
        at, rungs = self.in_draw(spec.data.draw), self.ladder.models if self.ladder else {}
        drawn = [at.student, at.teacher, *(at.ladder.models.values() if at.ladder else ())]
        pairs = list(zip(drawn, (self.student, self.teacher, *rungs.values()), strict=True))

        def general(model: ModelSpec) -> ModelSpec:
            return next((own for each, own in pairs if each == model), model)

        teacher = spec.teacher and general(spec.teacher)
        return replace(spec, student=general(spec.student), teacher=teacher, data=replace(spec.data, draw=None))

    def check_seeds(self, seeds: Iterable[int]) -> None:
        """Seeds of one table are all of results or all of the development draw.

        Raises:
            HarnessError: they are of both.
        """
        given = sorted(set(seeds))
        if self.draws and given and given[0] < DEVELOPMENT_SEEDS <= given[-1]:
            raise HarnessError(
                f"seeds {', '.join(map(str, given))}: from {DEVELOPMENT_SEEDS} on they run draw "
                f"{self.draws.development} of profile {self.name}, which is for development and stands beside no "
                "result; give seeds of one kind"
            )

    def with_models(self, change: Callable[[ModelSpec], ModelSpec]) -> Profile:
        """The same with every model that a run loads changed: where there are draws, those of each draw, since the
        profile's own are only names that stand for them."""
        if self.draws is None or self.data.draw is not None:
            return self._with(change)
        return replace(self, draws=replace(self.draws, model=partial(_then, self.draws.model, change)))

    def _with(self, change: Callable[[ModelSpec], ModelSpec]) -> Profile:
        ladder = self.ladder and replace(self.ladder, models={n: change(m) for n, m in self.ladder.models.items()})
        return replace(self, student=change(self.student), teacher=change(self.teacher), ladder=ladder)

    def check(self) -> None:
        """Refuse a profile that names what it does not have; called on a user's file, before compute.

        Raises:
            HarnessError: what is wrong, first one first.
        """
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise HarnessError(f"profile {self.name!r}: a name is small letters, digits and _, a letter first")
        for name in ("targets", "directions", "harder", "validation"):
            _check_names(self, name, getattr(self, name), "the domains of its data", self.data.domains)
        if self.targets or self.directions:
            _check_names(self, "data", self.data.domains, "its targets", self.targets)
        if self.ladder:
            self._check_ladder(self.ladder)
        if self.early_step is not None and self.early_step not in self.extra_checkpoints:
            raise HarnessError(
                f"profile {self.name}: early_step {self.early_step} is none of its extra_checkpoints "
                f"({', '.join(map(str, self.extra_checkpoints)) or 'none'}): name one of them"
            )
        self._check_own()
        if list(self.learning_rates) != sorted(set(self.learning_rates)):
            raise HarnessError(f"profile {self.name}: learning_rates must rise, each once")
        if self.draws:
            self._check_draws(self.draws)
        for method in self.overrides:
            self.override(method)

    def _check_draws(self, draws: Draws) -> None:
        if draws.n < 1 or draws.development in range(draws.n):
            raise HarnessError(
                f"profile {self.name}: draws n={draws.n}, development={draws.development}; give n of 1 or more, and a "
                "development draw that is none of 0 to n - 1"
            )
        if self.data.draw is not None:
            raise HarnessError(f"profile {self.name}: its data name draw {self.data.draw}, leave that to its draws")

    def _check_own(self) -> None:
        if self.dtype not in DTYPES:
            raise HarnessError(f"profile {self.name}: dtype {self.dtype!r}: choose one of {', '.join(DTYPES)}")
        if not DEVICES.fullmatch(self.device):
            raise HarnessError(f"profile {self.name}: device {self.device!r}: give auto, cpu, cuda, cuda:1, mps or xpu")
        if self.kernels not in KERNELS:
            raise HarnessError(f"profile {self.name}: kernels {self.kernels!r}: choose one of {', '.join(KERNELS)}")
        own = [each.name for each in (*self.held_out, *self.tasks)]
        if twice := sorted({name for name in own if own.count(name) > 1}):
            raise HarnessError(
                f"profile {self.name}: two of its benchmarks are called {twice[0]!r}: rename a file, or leave one out"
            )

    def _check_ladder(self, ladder: Ladder) -> None:
        pairs = [name for pair in (*ladder.pairs, ladder.erring) for name in pair]
        _check_names(self, "ladder", dict.fromkeys((*pairs, *ladder.parameters)), "its models", ladder.models)
        if len({student for _, student in ladder.pairs}) != 2:
            raise HarnessError(f"profile {self.name}: the pairs of its ladder need two students, as Figure 6 has")

    def part(self, suite: str) -> Part:
        """What it runs of a suite; an empty one is the suite's own."""
        return (self.parts or {}).get(suite, _WHOLE)

    def holds(self, suite: str) -> bool:
        """Whether a suite of the paper is one of its own."""
        return self.parts is None or suite in self.parts

    def given(self, name: str, suite: str) -> Any:
        """A field that is optional, for a suite that needs it.

        Raises:
            HarnessError: the profile leaves it out.
        """
        if not (value := getattr(self, name)):
            raise HarnessError(
                f"suite {suite} needs the field {name} of profile {self.name}: give it there, or choose another suite"
            )
        return value

    def override(self, method: str) -> Override | None:
        """What the profile sets in place of a method's published settings; None: nothing.

        Raises:
            HarnessError: unknown method or field, near names offered.
        """
        own = self.overrides.get(method)
        published = registry.method_spec(method, own.settings if own else {})
        found = [each for each in (self.top_k.override(published) if self.top_k else None, own) if each]
        if len(found) < 2:
            return found[0] if found else None
        settings = {name: value for each in found for name, value in each.settings.items()}
        return Override(settings=settings, reason="; ".join(each.reason for each in found))

    def method(self, name: str, settings: Mapping[str, Any] | None = None) -> MethodSpec:
        """A method as the profile runs it, ``settings`` last.

        Raises:
            HarnessError: unknown method or field, near names offered, or a value of the wrong type.
        """
        name, given = registry.method_name(name), settings or {}
        cls, entry = registry.method_class(name), registry.methods()[name]
        # By repr: 1, 1.0 and True are equal, and not the same settings.
        key = (name, cls, cls.version, repr(entry.settings), repr(given))
        if key not in self._methods:
            override = self.override(name)
            self._methods[key] = registry.method_spec(name, {**(override.settings if override else {}), **given})
        return self._methods[key]

    def trained_on(self, domains: tuple[str, ...]) -> DataSpec:
        """Its data with these domains; the same object every time, so that what is kept of it is made once."""
        if domains not in self._data:
            self._data[domains] = replace(self.data, domains=domains)
        return self._data[domains]

    @cached_property
    def _drawn(self) -> dict[int, Profile]:
        """What ``in_draw`` gave."""
        return {}

    @cached_property
    def _data(self) -> dict[tuple[str, ...], DataSpec]:
        return {}

    @cached_property
    def _methods(self) -> dict[tuple[Any, ...], MethodSpec]:
        """What ``method`` gave: a plan asks for few methods, each once a run."""
        return {}


def _then(
    of_draw: Callable[[ModelSpec, int], ModelSpec],
    change: Callable[[ModelSpec], ModelSpec],
    model: ModelSpec,
    draw: int,
) -> ModelSpec:
    return change(of_draw(model, draw))


def _check_names(profile: Profile, field: str, names: Iterable[str], what: str, known: Iterable[str]) -> None:
    known = tuple(known)
    if lost := [name for name in names if name not in known]:
        raise HarnessError(
            f"profile {profile.name}: {field} names {', '.join(lost)}, none of {what} ({', '.join(known)}): correct it"
        )
