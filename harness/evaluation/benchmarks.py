"""The benchmarks: who asks and grades, what is asked, how it is decoded, what is measured. No torch.

The primary metric belongs to the benchmark. That of the embedded ones, fixed before any method was run, is the greedy
exact answer.
"""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from harness import registry, worlds
from harness.config import DataSpec, HeldOut
from harness.evaluation.audits import AUDITS, Unit
from harness.profile import Task
from harness.types import Example, HarnessError, Modality


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One number of a benchmark."""

    name: str
    """As in rows; of an lm-eval task as lm-eval writes it, filter included: ``exact_match,strict-match``."""
    label: str = ""
    """Words of headers, axes and captions; by default the name's."""
    unit: Unit = Unit.SHARE

    @property
    def words(self) -> str:
        """``exact answer``."""
        return self.label or self.name.removesuffix(",none").replace(",", ", ").replace("_", " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How responses are drawn."""

    name: str
    samples: int
    """Responses per item; a metric is their mean."""
    temperature: float
    """0 is greedy."""
    items: int | None
    """Only the first so many items; None: all."""


OWN_METRICS = (Metric(name="exact_answer"), Metric(name="exact_trace"))
"""Share of responses with the reference answer; with every graded token of the reference trace."""
LISTED = 16
"""Names in a message at most."""
NATIVE = "native"
"""The decoding that a task states itself; in the place of a ``Decoding``'s name."""
DECODINGS = {
    "greedy": Decoding(name="greedy", samples=1, temperature=0.0, items=None),
    "sample4": Decoding(name="sample4", samples=4, temperature=1.0, items=200),
}


PLAIN: Mapping[str, Any] = {
    "num_beams": 1,
    "num_return_sequences": 1,
    "min_length": 0,
    "min_new_tokens": None,
    "max_time": None,
    "stop_strings": None,
    "repetition_penalty": 1.0,
    "encoder_repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "encoder_no_repeat_ngram_size": 0,
    "bad_words_ids": None,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
    "sequence_bias": None,
    "forced_bos_token_id": None,
    "forced_eos_token_id": None,
    "exponential_decay_length_penalty": None,
    "guidance_scale": None,
    "watermarking_config": None,
    "token_healing": False,
    "penalty_alpha": None,
    "dola_layers": None,
    "prompt_lookup_num_tokens": None,
}
"""Settings of transformers that change which token is the most probable, how many there are or where they end, each at
the value at which it does nothing: what an exported task leaves out, a model's generation_config.json decides. Only
``max_new_tokens`` cannot be said: lm-eval gives a length of prompt and response, which transformers takes second."""
WHOLE: Mapping[str, Any] = {
    "top_k": 0,  # transformers' own default keeps the 50 most probable tokens
    "top_p": 1.0,
    "min_p": None,
    "typical_p": 1.0,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
}
"""The same of sampling: what cuts the distribution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One held-out set of problems, and what is measured on it.

    One that is no subclass is known by name only: it can be planned and shown, not evaluated.

    Raises:
        HarnessError: the primary metric or decoding is not among the benchmark's.
    """

    engine: ClassVar[str] = ""
    """Key of ``harness.evaluation.evaluator.EVALUATORS``: who asks and grades."""

    name: str
    version: float = 1
    """Of the items, their grading and the length limit; part of every row."""
    domain: str = ""
    split: str = "test"
    """test, or validation for tuning."""
    n: int | None = None
    """Items; None: as many as there are."""
    decodings: tuple[str, ...] = tuple(DECODINGS)
    """Ways its responses may be drawn."""
    metrics: tuple[Metric, ...] = OWN_METRICS
    primary: tuple[str, str] = ("greedy", "exact_answer")
    """Decoding and metric that tables, figures and claims are about."""

    def __post_init__(self) -> None:
        decoding, metric = self.primary
        for what, name, known in (
            ("decoding", decoding, self.decodings),
            ("metric", metric, tuple(m.name for m in self.metrics)),
        ):
            if name not in known:
                raise HarnessError(f"benchmark {self.name}: no {what} {name!r} to be primary; {near(name, known)}")

    def metric(self, name: str) -> Metric:
        """Its metric of that name. Raises HarnessError for an unknown one, near names offered."""
        by_name = {metric.name: metric for metric in self.metrics}
        if name not in by_name:
            raise HarnessError(f"benchmark {self.name} has no metric {name!r}; {near(name, by_name)}")
        return by_name[name]

    def check(self) -> None:
        """Refuse before compute what cannot be evaluated; an engine's benchmark says how. Imports no torch."""

    def in_draw(self, draw: int | None) -> Benchmark:
        """As a run of some draw of a world is asked it; itself where the items are of no world with draws."""
        return self

    @property
    def short(self) -> str:
        """Of headers: the name, without that of the world whose problems these are."""
        return self.name

    @property
    def words(self) -> str:
        """Of its primary metric: ``exact answer, greedy``."""
        decoding, metric = self.primary
        return f"{self.metric(metric).words}, {decoding}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnBenchmark(Benchmark):
    """Items and grader of a world.

    Example::

        data = DataSpec(world="mine", domains=("coding",))
        OwnBenchmark(name="mine_coding", domain="coding", data=data, max_new_tokens=32)
    """

    engine: ClassVar[str] = "own"
    data: DataSpec
    """Whose problems these are."""
    n: int = 400
    max_new_tokens: int
    """What is cut there was wrong already."""

    @property
    def draws(self) -> tuple[int | None, ...]:
        """Of its world; None alone where that has none."""
        return worlds.draws(self.data.world) or (None,)

    def in_draw(self, draw: int | None) -> OwnBenchmark:
        """With the items of that draw, if its world has draws."""
        return self if self.draws == (None,) else replace(self, data=replace(self.data, draw=draw))

    @property
    def short(self) -> str:
        """``coding`` of ``permutations_coding``."""
        return self.name.removeprefix(f"{self.data.world}_")


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturedBenchmark(OwnBenchmark):
    """Items with pictures and grader of a world."""

    engine: ClassVar[str] = "pictured"


class Judge(StrEnum):
    """Who reads an answer out of a response that says more, for a scorer of VLMEvalKit. No judge is a model."""

    EXACT = "exact_matching"
    """VLMEvalKit's own rules for multiple choice: a letter or the words of an option."""
    RULES = "rules"
    """Ours, in the place of the model that the scorer would ask: the last box, option letter or number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VlmEvalBenchmark(Benchmark):
    """A data set that VLMEvalKit knows: its data, prompts and scorer; decoding is greedy.

    Metrics are called as VLMEvalKit calls them in a summary, ``split=validation|Overall``; where only one has that end,
    by the end: ``Overall``.

    Example::

        VlmEvalBenchmark(
            name="mmstar",
            dataset="MMStar",
            metrics=(Metric(name="Overall", label="accuracy"),),
            primary=(NATIVE, "Overall"),
        )
    """

    engine: ClassVar[str] = "vlmeval"
    dataset: str
    """VLMEvalKit's name of it."""
    data: str = ""
    """A local table (tsv) of its schema in place of the hub's."""
    videos: str = ""
    """A folder with the videos that the table names, where it names any; only beside ``data``."""
    decodings: tuple[str, ...] = (NATIVE,)
    judge: Judge = Judge.EXACT
    graded: tuple[str, ...] = ("hit",)
    """Columns of VLMEvalKit's scored table, the first that holds something says how right an item is; or the function
    that says it of a line, ``module:name``."""
    max_new_tokens: int = 512
    """Of a response."""
    batch_size: int = 32
    """Responses at once at most; changes memory."""

    def check(self) -> None:
        """Refuse before compute. Raises HarnessError if VLMEvalKit, the local table or the videos are not there."""
        if importlib.util.find_spec("vlmeval") is None:
            raise HarnessError(
                f"benchmark {self.name}: VLMEvalKit is not installed, its data sets cannot be asked: install the extra "
                "`vlm` in an environment of its own, as `nox -s vision` does"
            )
        if self.data and not Path(self.data).is_file():
            raise HarnessError(
                f"benchmark {self.name}: its local data {self.data} is no file: give a table (tsv) of the schema of "
                f"VLMEvalKit's {self.dataset}"
            )
        if self.videos and not (self.data and Path(self.videos).is_dir()):
            raise HarnessError(
                f"benchmark {self.name}: its videos {self.videos!r} are no folder beside local data: give both, or none"
            )


class Form(StrEnum):
    """How VLMEvalKit asks an item of ours."""

    OPEN = "open"
    """The question as it is, graded by its world."""
    CHOICE = "choice"
    """The right answer and three others, VLMEvalKit's prompt and rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedBenchmark(VlmEvalBenchmark):
    """Items of a world as VLMEvalKit asks them: the table that ``dopd export`` writes."""

    own: OwnBenchmark
    form: Form
    dataset: str = ""
    """Made of the benchmark's name, form and version, see ``harness.evaluation.tsv.data_set``."""
    metrics: tuple[Metric, ...] = (Metric(name="Overall", label="exact answer"),)
    primary: tuple[str, str] = (NATIVE, "Overall")

    def in_draw(self, draw: int | None) -> ExportedBenchmark:
        """With the items of that draw, if their world has draws."""
        return replace(self, own=self.own.in_draw(draw))


@dataclass(frozen=True, slots=True, kw_only=True)
class LmEvalBenchmark(Benchmark):
    """A task or a group of tasks that lm-eval ships: its data, prompts, decoding, scorer and metrics.

    ``version`` is that of lm-eval's task, which must be the one that is installed.

    Example::

        LmEvalBenchmark(
            name="gsm8k",
            task="gsm8k",
            version=3,
            metrics=(Metric(name="exact_match,strict-match"), Metric(name="exact_match,flexible-extract")),
            primary=(NATIVE, "exact_match,strict-match"),
        )
    """

    engine: ClassVar[str] = "lm_eval"
    task: str
    """lm-eval's name of it."""
    folder: str = ""
    """Of lm-eval's tasks, that holds it; by default of the same name."""
    decodings: tuple[str, ...] = (NATIVE,)
    data: str = ""
    """A local jsonl file of the task's schema in place of the hub's data set, of a group a folder with one
    ``<task>.jsonl`` each. Few-shot examples then come from the same file, the item itself left out."""
    fewshot: int | None = None
    """Examples in each prompt; None: as the task says."""
    max_new_tokens: int | None = None
    """Of a response; None: as the task says, 256 where it does not."""
    chat: bool = False
    """Whether the prompt is rendered as a user's turn by the model's chat template."""
    batch_size: int = 32
    """Requests at once; changes memory."""

    def check(self) -> None:
        """Refuse a task, version, metric or local file that is not there. Raises HarnessError."""
        from harness.evaluation import shipped

        shipped.check(self)


OWN = {Modality.TEXT: OwnBenchmark, Modality.VISION: PicturedBenchmark}
"""What a held-out set becomes, by its world's modality."""


def _own(held_out: HeldOut, modality: Modality) -> OwnBenchmark:
    return OWN[modality](
        name=held_out.name,
        version=held_out.version,
        domain=held_out.domain,
        data=held_out.data,
        split=held_out.split,
        n=held_out.n,
        max_new_tokens=held_out.max_new_tokens,
        metrics=OWN_METRICS if held_out.traces else OWN_METRICS[:1],
    )


def _task(task: Task) -> LmEvalBenchmark:
    return LmEvalBenchmark(
        name=task.name,
        task=task.task,
        folder=task.folder,
        version=task.version,
        metrics=tuple(Metric(name=name) for name in task.metrics),
        primary=(NATIVE, task.metrics[0]),
        data=task.data,
        fewshot=task.fewshot,
        max_new_tokens=task.max_new_tokens,
        chat=task.chat,
    )


def exported(own: PicturedBenchmark, form: Form) -> ExportedBenchmark:
    """``<name>_open``, ``<name>_choice``."""
    return ExportedBenchmark(
        name=f"{own.name}_{form.value}",
        version=own.version,
        domain=own.domain,
        split=own.split,
        n=own.n,
        max_new_tokens=own.max_new_tokens,
        own=own,
        form=form,
    )


def _of_world(name: str) -> Iterator[Benchmark]:
    for held_out in worlds.held_out(name):
        made = _own(held_out, worlds.world(name).modality)
        yield made
        if isinstance(made, PicturedBenchmark):
            yield from (exported(made, form) for form in Form)


CHOICE = (Metric(name="acc,none", label="accuracy"), Metric(name="acc_norm,none", label="length-normalised accuracy"))
"""Of multiple choice by likelihood."""
SHIPPED = (
    LmEvalBenchmark(
        name="ceval",
        task="ceval-valid",
        folder="ceval",
        version=2,
        domain="general",
        split="val",
        n=1346,
        metrics=CHOICE,
        primary=(NATIVE, "acc,none"),
    ),
    LmEvalBenchmark(
        name="math500",
        task="minerva_math500",
        folder="minerva_math",
        version=3.1,
        domain="reasoning",
        n=500,
        metrics=(Metric(name="math_verify,none", label="verified answer"), Metric(name="exact_match,none")),
        primary=(NATIVE, "math_verify,none"),
        fewshot=0,
        max_new_tokens=4096,
        chat=True,
    ),
    LmEvalBenchmark(
        name="aime25",
        task="aime25",
        folder="aime",
        version=0,
        domain="reasoning",
        n=30,
        metrics=(Metric(name="exact_match,none"),),
        primary=(NATIVE, "exact_match,none"),
        chat=True,
    ),
    LmEvalBenchmark(
        name="gsm8k",
        task="gsm8k",
        version=3,
        domain="reasoning",
        n=1319,
        metrics=(Metric(name="exact_match,strict-match"), Metric(name="exact_match,flexible-extract")),
        primary=(NATIVE, "exact_match,strict-match"),
    ),
)
"""Tasks of lm-eval: the paper's that it ships, and one that is quick to try."""


def _kit(name: str, dataset: str, metric: str, *, domain: str, unit: Unit = Unit.SHARE, **more: Any) -> Benchmark:
    known = Metric(name=metric, label="accuracy", unit=unit)
    return VlmEvalBenchmark(
        name=name, dataset=dataset, domain=domain, metrics=(known,), primary=(NATIVE, metric), **more
    )


PICTURED = (
    _kit("realworldqa", "RealWorldQA", "Overall", domain="general"),
    _kit("mmstar", "MMStar", "Overall", domain="general"),
    _kit(
        "mathvision",
        "MathVision",
        "Subject=Overall|acc",
        domain="reasoning",
        unit=Unit.PERCENT,
        judge=Judge.RULES,
        graded=("vlmeval.dataset.utils.mathv:post_check",),
    ),
    _kit(
        "dynamath",
        "DynaMath",
        "Setting=Average|Overall",
        domain="reasoning",
        judge=Judge.RULES,
        graded=("correct",),
    ),
    _kit(
        "logicvista", "LogicVista", "Task&Skill=Overall|acc", domain="reasoning", unit=Unit.PERCENT, judge=Judge.RULES
    ),
    _kit("mmmu", "MMMU_DEV_VAL", "split=validation|Overall", domain="understanding"),
    _kit("mmmu_pro", "MMMU_Pro_10c", "Overall", domain="understanding"),
    _kit(
        "vsi_bench",
        "VSI-Bench_32frame",
        "overall",
        domain="understanding",
        unit=Unit.PERCENT,
        graded=("hit", "MRA:.5:.95:.05"),
    ),
)
"""The paper's eight with pictures (Table 2), as VLMEvalKit has them."""


@cache
def _of_worlds(names: tuple[str, ...]) -> Mapping[str, Benchmark]:
    """Of these worlds, in their order.

    Raises:
        HarnessError: two, or one of ``SHIPPED`` and ``PICTURED``, have one name.
    """
    found: dict[str, Benchmark] = {}
    shipped = {benchmark.name for benchmark in (*SHIPPED, *PICTURED)}
    for name in names:
        for made in _of_world(name):
            if made.name in found or made.name in shipped:
                raise HarnessError(
                    f"world {name!r}: another world or an evaluator has a benchmark {made.name!r}: rename it"
                )
            found[made.name] = made
    return found


BENCHMARKS: dict[str, Benchmark] = {benchmark.name: benchmark for benchmark in (*SHIPPED, *PICTURED)}
"""Those of no world, by name."""


def _of_profile() -> Mapping[str, Benchmark]:
    """Those that come with the user's profile."""
    own = registry.own_profile()
    return _made_of(own.held_out, own.tasks, own.modality) if own else {}


@cache
def _made_of(held_out: tuple[HeldOut, ...], tasks: tuple[Task, ...], modality: Modality) -> Mapping[str, Benchmark]:
    return {each.name: each for each in (*(_own(each, modality) for each in held_out), *map(_task, tasks))}


def every() -> Mapping[str, Benchmark]:
    """Those of every world by name, as ``embedded_<domain>``, then ``BENCHMARKS``, then those of the user's profile.

    Made when asked, not on import: a mistake in a world's registration is then told as any other.

    Raises:
        HarnessError: two have one name; a world is registered wrongly.
    """
    known, own = {**_of_worlds(tuple(worlds.known())), **BENCHMARKS}, _of_profile()
    if taken := sorted(known.keys() & own.keys()):
        raise HarnessError(f"benchmark {taken[0]!r} of your profile has the name of another: rename its file")
    return {**known, **own}


def benchmark(name: str, version: float | None = None) -> Benchmark:
    """The benchmark of that name; of any version unless one is meant.

    Raises:
        HarnessError: an unknown one, near names offered; another version.
    """
    if name not in (known := every()):
        raise HarnessError(f"no benchmark {name!r}; {near(name, known)}")
    found = known[name]
    if version not in (None, found.version):
        raise HarnessError(
            f"benchmark {name} version {version} is not in this package, version {found.version} is: ask for that one, "
            "or install the package that measured the other"
        )
    return found


def told(name: str) -> Benchmark:
    """The benchmark of that name; of one that this package does not have, what is told of it by name only."""
    return (
        BENCHMARKS.get(name)
        or _of_profile().get(name)
        or _of_worlds(tuple(worlds.known())).get(name)
        or Benchmark(name=name)
    )


def decoding(benchmark: Benchmark, name: str) -> str:
    """The name, if the benchmark's responses may be drawn so. Raises HarnessError if not, near names offered."""
    if name not in benchmark.decodings:
        raise HarnessError(f"benchmark {benchmark.name} has no decoding {name!r}; {near(name, benchmark.decodings)}")
    return name


def is_primary(row: Mapping[str, Any]) -> bool:
    """Whether a row is of its benchmark's primary decoding and metric."""
    return (row["decoding"], row["metric"]) == told(row["benchmark"]).primary


def is_share(name: str, metric: str) -> bool:
    """Whether a row's value must lie in [0, 1]: an audit and a benchmark say the unit of each of their metrics."""
    if name in AUDITS:
        return AUDITS[name].metrics.get(metric) is Unit.SHARE
    return all(known.unit is Unit.SHARE for known in told(name).metrics if known.name == metric)


def label(names: Iterable[str]) -> str:
    """Words of the primary metric of these benchmarks, ``exact answer``."""
    return _common((told(name).metric(told(name).primary[1]).words for name in names), "primary metric")


def words(names: Iterable[str]) -> str:
    """The same with its decoding, ``exact answer, greedy``."""
    return _common((told(name).words for name in names), "primary metric of each benchmark")


def sentence(text: str) -> str:
    """With a capital, as captions begin."""
    return text[:1].upper() + text[1:]


def _common(said: Iterable[str], else_: str) -> str:
    different = set(said)
    return different.pop() if len(different) == 1 else else_


def near(name: str, known: Iterable[str]) -> str:
    """What to write instead: the names like it, else the first ones."""
    like = difflib.get_close_matches(name, known := tuple(known))
    more = ", ..." if len(known) > LISTED else ""
    return f"did you mean {', '.join(like)}?" if like else f"choose one of {', '.join(known[:LISTED])}{more}"


def task_name(benchmark: Benchmark, decoding: Decoding) -> str:
    """Name of the lm-eval task: the benchmark's own for greedy, with the decoding appended for others."""
    return benchmark.name if decoding.name == "greedy" else f"{benchmark.name}_{decoding.name}"


@cache
def examples(benchmark: OwnBenchmark) -> tuple[Example, ...]:
    """The items, in order. Raises HarnessError for one of a world with draws that is in none, see ``in_draw``."""
    return tuple(worlds.world_of(benchmark.data).examples(benchmark.data, benchmark.split, benchmark.n))


def lm_eval_config(benchmark: OwnBenchmark, decoding: Decoding) -> dict[str, Any]:
    """The lm-eval task, its data and scorer left out: one text for the task in memory and the exported one.

    A document has at least the fields ``id``, ``question`` (the user turn) and ``answer``.
    """
    generation: dict[str, Any] = {"until": [], "max_gen_toks": benchmark.max_new_tokens, "do_sample": False, **PLAIN}
    if decoding.temperature > 0:
        generation |= {"do_sample": True, "temperature": decoding.temperature, **WHOLE}
    return {
        "task": task_name(benchmark, decoding),
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "question",
        "doc_to_target": "answer",
        "generation_kwargs": generation,
        "repeats": decoding.samples,
        # lm-eval's default filter keeps the first response only.
        "filter_list": [{"name": "none", "filter": [{"function": "take_first_k", "k": decoding.samples}]}],
        "metric_list": [{"metric": m.name, "aggregation": "mean", "higher_is_better": True} for m in benchmark.metrics],
        "num_fewshot": 0,
        "metadata": {"version": benchmark.version},
    }
