"""What a suite is: the runs it needs, the evaluations of each, tables and figures of their rows. No torch.

A suite only combines: it knows methods and profiles by name and trains nothing. It is written once; a
profile fills in sizes, and ``Options`` hold what the user asked for on the command line.
"""

from __future__ import annotations

import csv
import dataclasses
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from harness import registry
from harness.config import NOTHING, DataSpec, ModelSpec, OptimSpec, RunSpec
from harness.profile import Profile
from harness.types import HarnessError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from harness.show.tables import Table

SHIPPED = Path(__file__).resolve().parent / "published"
"""What an installed package has of the committed results, to be read only; a checkout has none."""
PUBLISHED = SHIPPED if SHIPPED.is_dir() else Path(__file__).resolve().parent.parent / "results"
"""Folder of the committed results of this checkout: ``<profile>/<suite>/`` and ``paper/``."""
ALL = "all"
"""Stands for every suite of the paper, where a suite is named."""
LEARNING_RATES = "learning_rates"
"""File stem of the published table of each method's own learning rate; its columns ``method`` and ``rate`` are read."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One benchmark at one checkpoint with one decoding. No part of a run's identity: it never retrains."""

    step: int | Literal["last"]
    """Optimiser step of the checkpoint; ``last`` is the run's final step."""
    benchmark: str
    decoding: str
    """One of the benchmark's, ``greedy``."""
    version: float = 1
    """Of the benchmark; a new version is evaluated anew."""

    def at(self, spec: RunSpec) -> int:
        """The checkpoint's step in ``spec``.

        Raises:
            HarnessError: the run keeps no checkpoint there.
        """
        step = spec.steps if self.step == "last" else self.step
        if step not in spec.checkpoint_steps():
            raise HarnessError(
                f"no checkpoint at step {step} of {spec.id} (kept: "
                f"{', '.join(map(str, spec.checkpoint_steps()))}): evaluate one of these"
            )
        return step


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command line as a value; every field is a flag of ``docs/cli.md``."""

    suite: str
    profile: str = field(default_factory=registry.default_profile)
    methods: tuple[str, ...] | Literal["all"] | None = None
    """Registry names; None: the suite's default."""
    seeds: tuple[int, ...] | None = None
    """None: the suite's default. ``--seeds 4`` arrives as (0, 1, 2, 3)."""
    steps: int | None = None
    """Replaces the profile's; another number of steps is another run."""
    train_domains: tuple[str, ...] | Literal["all"] | None = None
    learning_rate: Literal["shared", "tuned"] = "shared"
    """shared: the profile's, the paper's protocol; tuned: each method's own, as published by the suite tuning."""
    jobs: int = 1
    """Worker processes, one torch thread each."""
    minutes: float | None = None
    """No run starts later than this."""
    results: Path = Path("results")
    """Folder that holds ``runs/`` and ``reports/``."""
    published: Path = PUBLISHED
    """Folder of the committed results; no flag."""
    source: Literal["runs", "published", "paper"] = "runs"
    plugin: Path | None = None
    profile_file: Path | None = None
    """What ``--profile`` named, if it was a file."""
    own: Profile | None = None
    """The profile as the flags of a profile changed it, or made it; None without such flags."""
    flags: tuple[str, ...] = ()
    """These flags, ``--rate 0.001``."""
    force: bool = False
    reuse: Literal["", "published"] = ""
    """published: runs whose rows are published count as made, see ``harness.runs.reuse``."""

    @property
    def selection(self) -> str:
        """What the user selected, as flags: ``--seeds 0,1 --steps 50``; empty if nothing."""
        names = ("methods", "seeds", "steps", "train_domains")
        chosen = {name.replace("_", "-"): value for name in names if (value := getattr(self, name)) is not None}
        return " ".join((*(f"--{name} {_flag(value)}" for name, value in chosen.items()), *self.flags))

    @property
    def folder(self) -> str:
        """Name of the folder of the suite's tables and published rows; runs at tuned rates stand apart."""
        return self.suite if self.learning_rate == "shared" else f"{self.suite}-{self.learning_rate}"


def _flag(value: tuple[Any, ...] | str | int) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


class Suite(ABC):
    """Base class. A suite: one file of ``suites/`` and one line of its dict ``SUITES`` (``module:Class``)."""

    name: ClassVar[str]
    """As in ``--suite``."""
    title: ClassVar[str]
    """One phrase: the claim it tests and the paper's table or figure."""
    of_paper: ClassVar[bool] = True
    """Whether ``--suite all`` holds it; False for what the paper has no part in."""
    whole: ClassVar[Mapping[str, Any]] = {}
    """Fields of ``Options`` with which the suite covers the paper's claims, where its default is smaller to be fast;
    ``--suite all`` and ``dopd claims`` use them for what the user left open."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Fields that a profile may leave out and the suite cannot do without."""
    own_arms: ClassVar[bool] = False
    """Whether which methods it runs is its question, so that ``--methods`` is refused."""
    ranks_methods: ClassVar[bool] = False
    """Whether its main table may be a report's leaderboard: one that compares methods, each as its source sets it."""
    published_samples: ClassVar[tuple[str, ...]] = ()
    """Evaluations whose records are published too, ``<name>.jsonl`` beside the rows, for a figure of single responses;
    ``figures`` reads them with ``harness.analysis.results.samples``."""

    def lacks(self, profile: Profile) -> list[str]:
        """Of ``needs`` what a profile does not give."""
        return [name for name in self.needs if not getattr(profile, name)]

    def title_in(self, profile: Profile) -> str:
        """The title, with the table of the paper that the profile has in its place: ``(Table 2, Figure 1)``."""
        table = profile.part(self.name).table
        return re.sub(r"Table \d+", table.replace("table", "Table "), self.title, count=1) if table else self.title

    @abstractmethod
    def runs(self, profile: Profile, options: Options) -> list[RunSpec]:
        """Training runs and reference rows, in the order of the table."""

    @abstractmethod
    def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
        """What is measured on one of ``runs``."""

    @abstractmethod
    def tables(self, rows: DataFrame, costs: DataFrame, options: Options) -> list[Table]:
        """Of the rows (one line per ``harness.types.Row``), costs, and the answers behind the rows, which are where
        ``options`` say (``harness.analysis.answers``); of nothing else."""

    def figures(self, rows: DataFrame, costs: DataFrame, options: Options) -> Mapping[str, Figure]:
        """File stem (``figure7b``) to figure; a suite without figures returns nothing."""
        return {}

    def elsewhere(self, drawn: Sequence[str]) -> str:
        """Said when these figures are written: where to look for what was asked for and a figure does not show."""
        return ""

    def wholly(self, options: Options) -> Options:
        """The options for this suite, ``whole`` in place of what the user left open and the profile does not say."""
        part = registry.profile(options.profile).part(self.name)
        said = {"methods": part.arms, "seeds": part.seeds}
        open_ = {
            name: value for name, value in self.whole.items() if getattr(options, name) is None and not said.get(name)
        }
        return dataclasses.replace(options, suite=self.name, **open_)


class Together(Suite):
    """Several suites as one plan: a run that more than one asks for is trained once and evaluated for all.

    A profile may leave some out (``Profile.parts``).
    """

    name = ALL
    title = "every table and figure of the paper"

    def __init__(self, suites: Sequence[Suite]) -> None:
        self.suites = tuple(suites)
        self._askers: dict[str, dict[str, Suite]] = {}

    def runs(self, profile: Profile, options: Options) -> list[RunSpec]:
        """Of each suite of the profile in turn, each run once."""
        found: dict[str, RunSpec] = {}
        for suite in self.of(profile):
            for spec in suite.runs(profile, suite.wholly(options)):
                found.setdefault(spec.id, spec)
                self._askers.setdefault(spec.id, {})[suite.name] = suite
        return list(found.values())

    def of(self, profile: Profile) -> tuple[Suite, ...]:
        """Those that a profile holds, and gives what they need."""
        left_out = self.left_out(profile)
        return tuple(suite for suite in self.suites if profile.holds(suite.name) and suite.name not in left_out)

    def left_out(self, profile: Profile) -> dict[str, list[str]]:
        """Of those that it holds the others, with the fields that it lacks."""
        lacking = {suite.name: suite.lacks(profile) for suite in self.suites if profile.holds(suite.name)}
        return {name: fields for name, fields in lacking.items() if fields}

    def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
        """What any suite that planned the run asks of it."""
        asked = [suite.evaluations(spec) for suite in self._askers.get(spec.id, {}).values()]
        if len(asked) == 1:
            return asked[0]
        return tuple({(e.at(spec), e.benchmark, e.decoding, e.version): e for each in asked for e in each}.values())

    def tables(self, rows: DataFrame, costs: DataFrame, options: Options) -> list[Table]:
        """None of its own: each suite shows its own rows."""
        return []


def training_run(
    profile: Profile, options: Options, *, method: str, domains: Sequence[str], seed: int, **changes: Any
) -> RunSpec:
    """The profile's run of a method, with its overrides and the user's choices; ``changes`` come last.

    A profile with draws gives models and data of the seed's draw; other models among ``changes`` are those of
    ``profile.at(seed)``.

    Raises:
        HarnessError: unknown method or field, near names offered; no tuned learning rate is published; a model of
            ``changes`` is of no draw.
    """
    if not isinstance(method, str):  # pyright: ignore[reportUnnecessaryIsInstance] - a suite may be somebody else's
        raise HarnessError(
            f"method is {type(method).__name__}: give a registry name; for settings of its own, replace the field of "
            "the run: dataclasses.replace(spec, method=profile.method(name, settings))"
        )
    _check_drawn(profile, changes)
    rate, optim, at = learning_rate(profile, options, method), profile.optim, profile.at(seed)
    steps: int = changes.get("steps", profile.steps if options.steps is None else options.steps)
    spec = RunSpec(
        profile=profile.name,
        student=at.student,
        teacher=at.teacher,
        data=at.trained_on(tuple(domains)),
        method=profile.method(method),
        optim=optim if rate is optim.lr else dataclasses.replace(optim, lr=rate),
        steps=steps,
        prompts_per_step=profile.prompts_per_step,
        rollouts_per_prompt=profile.rollouts_per_prompt,
        max_response_tokens=profile.max_response_tokens,
        seed=seed,
        lora=profile.lora,
        extra_checkpoints=tuple(step for step in profile.extra_checkpoints if step < steps),
        **_how(profile),
    )
    return _changed(spec, changes)


def _check_drawn(profile: Profile, changes: Mapping[str, Any]) -> None:
    """Of a profile with draws no model that stands for those of all draws is trained or teaches."""
    if profile.draws is None or profile.data.draw is not None:
        return
    of_none = [profile.student, profile.teacher, *(profile.ladder.models.values() if profile.ladder else ())]
    for name in ("student", "teacher"):
        if (model := changes.get(name)) in of_none:
            raise HarnessError(
                f"{name} {model.name} stands for one model in each draw of profile {profile.name}: take it from "
                "profile.at(seed)"
            )


def learning_rate(profile: Profile, options: Options, method: str) -> float:
    """Peak rate of a method: the profile's, or its own if ``options`` ask for tuned rates.

    Raises:
        HarnessError: no tuned rate of the method is published.
    """
    if options.learning_rate == "shared":
        return profile.optim.lr
    rates = tuned_rates(profile, options)
    if method not in rates:
        raise HarnessError(
            f"no tuned learning rate of {method} is published for profile {profile.name}: run `dopd tune` and `dopd "
            f"publish --suite {registry.tuning_suite()}`, or use --learning-rate shared"
        )
    return rates[method]


def tuned_rates(profile: Profile, options: Options) -> dict[str, float]:
    """Published learning rates by registry name; empty before the first ``dopd publish --suite tuning``.

    Raises:
        HarnessError: the published file is damaged.
    """
    path = options.published / profile.name / registry.tuning_suite() / f"{LEARNING_RATES}.csv"
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        try:
            return {line["method"]: float(line["rate"]) for line in csv.DictReader(file)}
        except (KeyError, TypeError, ValueError) as error:
            raise HarnessError(
                f"{path} is damaged ({error}): restore it (git checkout) or run `dopd publish --suite "
                f"{registry.tuning_suite()}`"
            ) from error


def reference_run(profile: Profile, model: ModelSpec) -> RunSpec:
    """A model that is only evaluated: the student before training, a teacher.

    In a profile with draws it is asked the items of one draw: ``profile.in_draw(draw)`` and a model of that.

    Raises:
        HarnessError: the profile has draws and is in none.
    """
    if profile.draws and profile.data.draw is None:
        raise HarnessError(
            f"model {model.name} is evaluated in a draw of profile {profile.name}: give profile.at(seed) and a model "
            "of it"
        )
    return RunSpec(
        profile=profile.name,
        student=model,
        teacher=None,
        data=profile.data if profile.draws else None,
        method=None,
        optim=None,
        steps=0,
        max_response_tokens=profile.max_response_tokens,
        **_how(profile),
    )


def _how(profile: Profile) -> dict[str, Any]:
    """Fields of a run on how it is computed."""
    return {name: getattr(profile, name) for name in ("dtype", "device", "kernels", "micro_batch", "max_prompt_tokens")}


def made_model(
    name: str,
    *,
    recipe: str,
    settings: Mapping[str, Any] | None = None,
    base: ModelSpec = NOTHING,
    steps: int,
    data: DataSpec | None = None,
    optim: OptimSpec | None = None,
    seed: int = 0,
    **changes: Any,
) -> ModelSpec:
    """A model that a recipe trains, once, for every run of every suite that has it as student, teacher or reference.

    Args:
        name: what it is called; its identity is all the rest.
        recipe: a name of ``harness.training.recipes.RECIPES``. ``settings``: of the recipe.
        base: the model it starts from.
        changes: other fields of its ``RunSpec``, as ``prompts_per_step``.

    Raises:
        HarnessError: unknown recipe, setting or field, near names offered; a name that one of its ancestors has.
    """
    made = RunSpec(
        profile="",
        student=base,
        teacher=None,
        data=data,
        method=None,
        recipe=registry.recipe_spec(recipe, settings),
        optim=optim,
        steps=steps,
        seed=seed,
    )
    return ModelSpec(name=name, made=_changed(made, changes))


def _changed(spec: RunSpec, changes: Mapping[str, Any]) -> RunSpec:
    for name in changes:
        registry.lookup("field of a run:", name, [field.name for field in dataclasses.fields(RunSpec)])
    if not changes:
        return spec
    return registry.typed_fields(dataclasses.replace(spec, **changes), "a run of this suite", changes)
