"""Models, data and benchmarks of the user's own, given by flags: a profile of them, its settings. No torch."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from rich.table import Table

from harness import registry, worlds
from harness.config import DataSpec, HeldOut, ModelSpec, OptimSpec
from harness.evaluation import benchmarks, shipped
from harness.evaluation.benchmarks import NATIVE, LmEvalBenchmark, Metric
from harness.method import Method, contexts_read
from harness.models import sources
from harness.profile import Profile, Task
from harness.types import PLAIN, Example, HarnessError, Modality, Privilege
from harness.worlds import world_of
from harness.worlds.files import world as files
from harness.worlds.files.reading import read

NAME = "own"
"""Of the profile that flags alone make."""
LM_EVAL = "lm_eval:"
"""Before the name of a task that lm-eval ships and this package does not know."""
NEEDED = ("student", "teacher", "data")
"""Without a profile file all three."""
SIZES: Mapping[str, str] = {
    "prompts": "prompts_per_step",
    "rollouts": "rollouts_per_prompt",
    "max_prompt_tokens": "max_prompt_tokens",
    "max_response_tokens": "max_response_tokens",
    "micro_batch": "micro_batch",
    "dtype": "dtype",
    "device": "device",
    "kernels": "kernels",
}
"""Flags and the fields of a profile they are."""
WHOSE = (*NEEDED, "columns", "privilege", "benchmarks")
"""Flags that make another setting of the whole: no shipped profile takes them."""
FLAGS = (*WHOSE, "rate", *SIZES)
LOOKED_AT = 1000
"""Training problems of each domain with which the items of a world from outside are compared."""
SECONDS = 60.0
"""A guess where the size of a model is not known; ``plan`` takes what was measured as soon as a run is done."""
FLOPS = 2e10
"""Of one core, a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a set of benchmarks becomes in a profile."""

    names: tuple[str, ...]
    held_out: tuple[HeldOut, ...] = ()
    tasks: tuple[Task, ...] = ()


def given_flags(given: argparse.Namespace) -> dict[str, Any]:
    """Those of ``FLAGS`` that the user gave and the verb has, by name."""
    verbatim = {name: getattr(given, name, None) for name in FLAGS}
    if given.verb == "export":
        verbatim.pop("benchmarks")
    return {name: value for name, value in verbatim.items() if value is not None}


def as_flags(chosen: Mapping[str, Any]) -> tuple[str, ...]:
    """``--student ./s``, as they may be written again."""
    return tuple(f"--{name.replace('_', '-')} {_written(value)}" for name, value in chosen.items())


def _written(value: Any) -> str:
    if isinstance(value, tuple) and value and isinstance(value[0], dict):  # --columns
        pairs = zip("=:", cast("tuple[dict[str, str], ...]", value), strict=True)
        return ",".join(f"{key}{sign}{each}" for sign, part in pairs for key, each in part.items())
    return (
        ",".join(map(str, value))
        if isinstance(value, tuple)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def profile(chosen: Mapping[str, Any], base: Profile | None, *, steps: int | None = None, name: str = NAME) -> Profile:
    """The profile that the flags make, of nothing or of another one.

    Args:
        chosen: see ``given_flags``.
        base: the profile they change; None: none was named.
        steps: for one that is made.

    Raises:
        HarnessError: a flag that the base does not take; a model, file or benchmark that is not there; a field missing.
    """
    whose = [flag for flag in WHOSE if flag in chosen]
    if base is not None and base.name in registry.shipped_profiles() and whose:
        raise HarnessError(
            f"--{whose[0]} makes a setting of your own, --profile {base.name} is a shipped one: leave one of the two "
            "out, or name a profile file"
        )
    if base is None and not whose:
        base = registry.profile(registry.default_profile())
    made = _new(chosen, steps, name) if base is None else _changed(chosen, base)
    made.check()
    return made.with_models(sources.identified)


def check_models(profile: Profile) -> None:
    """A folder's name, misspelt, would be taken for a hub's.

    Raises:
        HarnessError: a model is not here, and other models lie where it would.
    """
    profile.with_models(_spelt)


def _spelt(model: ModelSpec) -> ModelSpec:
    path = Path(model.name).expanduser()
    if "/" in model.name and not path.exists() and any(path.parent.glob(f"*/{sources.CONFIG}")):
        sources.named(model.name)
    return model


def _new(chosen: Mapping[str, Any], steps: int | None, name: str) -> Profile:
    if lost := [flag for flag in NEEDED if flag not in chosen]:
        raise HarnessError(f"--{' and --'.join(lost)} missing: models and data of your own are given together")
    value = {key: chosen.get(key, each.value) for key, each in registry.own_defaults().items()}
    student, teacher = (sources.named(chosen[each]) for each in ("student", "teacher"))
    data = _data(chosen, value["privilege"])
    asked = _asked(chosen.get("benchmarks", ()), data, value["max_response_tokens"])
    validation = (
        files.held_out_of(data, "validation", max_new_tokens=value["max_response_tokens"]) if files.asks(data) else ()
    )
    targets = _targets(data, asked)
    parameters = [sources.parameters(model) for model in (student, teacher)]
    tokens = value["prompts"] * value["rollouts"] * value["max_response_tokens"]
    sizes = {field: value[flag] for flag, field in SIZES.items()}
    return Profile(
        name=name,
        modality=_modality([data, *(each.data for each in asked.held_out)]),
        student=student,
        teacher=teacher,
        data=data,
        optim=OptimSpec(lr=value["rate"], first_step=value["first_step"]),
        learning_rates=tuple(value["rate"] * each for each in value["learning_rates"]),
        steps=steps or value["steps"],
        **sizes,
        benchmarks=asked.names,
        targets=targets,
        directions=data.domains if targets and len(data.domains) > 1 else (),
        validation={each.domain: each.name for each in validation},
        privileges=_privileges(data),
        held_out=(*asked.held_out, *validation),
        tasks=asked.tasks,
        seconds_per_step=_seconds(parameters, tokens, 10),
        seconds_per_evaluation=_seconds(parameters[:1], 100 * value["max_response_tokens"], 2),
        megabytes_per_run=11 * 12 * (parameters[0] or 0) / 1e6 + 1,
    )


def _privileges(data: DataSpec) -> dict[str, str]:
    """Every kind of p that the problems have, and none, by what they are called in tables; empty without any."""
    kinds = {kind: kind.replace("_", " ") for kind in world_of(data).privileges}
    return {**kinds, Privilege.NONE.value: "no privileged input"} if kinds else {}


def _modality(data: Sequence[DataSpec]) -> Modality:
    """Vision where any problem, trained on or asked, has an image."""
    return Modality.VISION if Modality.VISION in (world_of(each).modality for each in data) else Modality.TEXT


def _seconds(parameters: Sequence[int | None], tokens: int, passes: int) -> float:
    """A first guess, on one core."""
    known = [each for each in parameters if each is not None]
    return round(sum(known) * tokens * passes / FLOPS, 3) or 0.001 if len(known) == len(parameters) else SECONDS


def _changed(chosen: Mapping[str, Any], base: Profile) -> Profile:
    """The base with the flags in the place of its fields; new limits reach its own benchmarks."""
    fields = {SIZES[flag]: value for flag, value in chosen.items() if flag in SIZES}
    fields |= {each: sources.named(chosen[each]) for each in ("student", "teacher") if each in chosen}
    if "rate" in chosen:
        fields["optim"] = replace(base.optim, lr=chosen["rate"])
    made = replace(base, **fields)
    if "max_response_tokens" in chosen:
        made = replace(made, held_out=tuple(_cut(each, base.max_response_tokens, made) for each in base.held_out))
    if {"data", "privilege"} & chosen.keys():
        made = replace(made, data=_data(chosen, chosen.get("privilege", ""), base.data))
        made = replace(made, privileges=_privileges(made.data)) if "data" in chosen else made
    if "data" in chosen:
        made = replace(made, modality=_modality([made.data, *(each.data for each in made.held_out)]))
    if "benchmarks" not in chosen:
        return made
    asked = _asked(chosen["benchmarks"], made.data, made.max_response_tokens)
    kept = tuple(each for each in made.held_out if each.split != "test")
    return replace(
        made,
        modality=_modality([made.data, *(each.data for each in (*asked.held_out, *kept))]),
        benchmarks=asked.names,
        held_out=(*asked.held_out, *kept),
        tasks=asked.tasks,
        targets=(targets := _targets(made.data, asked)),
        directions=made.data.domains if targets and len(made.data.domains) > 1 else (),
    )


def _cut(each: HeldOut, before: int, made: Profile) -> HeldOut:
    """A benchmark of problems of one's own, cut where the profile now cuts answers, if it was cut where it did."""
    if each.data.file is None or each.max_new_tokens != before:
        return each
    return files.cut_at(each, made.max_response_tokens)


def _data(chosen: Mapping[str, Any], privilege: str, base: DataSpec | None = None) -> DataSpec:
    if "data" in chosen:
        columns, values = chosen.get("columns", ({}, {}))
        return files.data(chosen["data"], privilege=privilege, columns=columns, values=values)
    assert base is not None
    changed = replace(base, privilege=privilege)
    world_of(changed)
    return changed


def _targets(data: DataSpec, asked: Asked) -> dict[str, str]:
    """By domain its own benchmark, where every domain has one; one domain has the only one there is."""
    found = {each.domain: each.name for each in asked.held_out}
    if found.keys() == set(data.domains):
        return {domain: found[domain] for domain in data.domains}
    return {data.domains[0]: asked.names[0]} if len(data.domains) == len(asked.names) == 1 else {}


def _asked(names: Sequence[str], data: DataSpec, max_new_tokens: int) -> Asked:
    """Each of ``--benchmarks``; without any, the test problems of the data.

    Raises:
        HarnessError: a name that is none; data that nothing can be asked of.
    """
    if not names:
        if not files.graded(data):
            raise HarnessError(
                f"data {data.file.path if data.file else data.world} has no grader, so nothing of it can be asked: "
                "give --benchmarks, or its problems a grader (docs/data.md)"
            )
        found = files.held_out_of(data, "test", max_new_tokens=max_new_tokens)
        return Asked(names=tuple(each.name for each in found), held_out=found)
    each = [_one(name, max_new_tokens) for name in names]
    return Asked(
        names=tuple(name for one in each for name in one.names),
        held_out=tuple(held_out for one in each for held_out in one.held_out),
        tasks=tuple(task for one in each for task in one.tasks),
    )


def _one(text: str, max_new_tokens: int) -> Asked:
    """A file, a folder, a name, ``lm_eval:TASK``, either with ``=FILE`` for items of one's own."""
    if is_file(text):
        found = files.held_out(text, max_new_tokens=max_new_tokens)
        return Asked(names=tuple(each.name for each in found), held_out=found)
    name, _, items = text.partition("=")
    if not items and not name.startswith(LM_EVAL):
        return Asked(names=(benchmarks.benchmark(name).name,))
    task = _task(name, items)
    return Asked(names=(task.name,), tasks=(task,))


def is_file(text: str) -> bool:
    """Whether a benchmark is given as a file of problems, or a folder of them."""
    return (text.endswith(".jsonl") and "=" not in text) or Path(text).is_dir()


def _task(name: str, items: str) -> Task:
    """A task of lm-eval, on local items where some are named; its name then says which, by their content."""
    ours = not name.startswith(LM_EVAL)
    known = benchmarks.benchmark(name) if ours else _shipped(name.removeprefix(LM_EVAL))
    if not isinstance(known, LmEvalBenchmark):
        raise HarnessError(f"benchmark {name}={items}: {name} is no task of lm-eval, so it has items of its own")
    made = Task(
        name=known.name,
        task=known.task,
        folder=known.folder,
        version=known.version,
        metrics=(known.primary[1], *(each.name for each in known.metrics if each.name != known.primary[1])),
        data=items,
        fewshot=known.fewshot,
        max_new_tokens=known.max_new_tokens,
        chat=known.chat,
    )
    if not items:
        return made
    shipped.check(replace(known, data=items))
    path = Path(items)
    held = sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]
    digest = hashlib.sha256(b"".join(each.read_bytes() for each in held)).hexdigest()[:6]
    return replace(made, name=f"{known.name}_{re.sub(r'[^a-zA-Z0-9]+', '_', path.stem)}_{digest}")


def _shipped(text: str) -> LmEvalBenchmark:
    """``TASK``, or ``FOLDER/TASK`` where lm-eval keeps it in a folder of another name."""
    folder, _, task = text.rpartition("/")
    asked = Metric(name="?")
    probe = LmEvalBenchmark(name=task, task=task, folder=folder, metrics=(asked,), primary=(NATIVE, asked.name))
    stated = shipped.settings(probe)
    names = shipped.metrics(stated)
    if not names:
        raise HarnessError(
            f"benchmark {LM_EVAL}{text}: its file names no metric; give a Task with some in a profile file"
        )
    version = (stated.get("metadata") or {}).get("version", 1)
    metrics = tuple(Metric(name=name) for name in names)
    return replace(probe, metrics=metrics, primary=(NATIVE, names[0]), version=version)


# What is no error and would mislead.


def known_problems(profile: Profile) -> str:
    """A line on benchmarks that ask what is trained on; empty where none does."""
    lines = _known_of_files(profile) if profile.data.file else _known_of_world(profile)
    return f"asked and trained on: {', '.join(lines)}; scores on them say what was remembered" if lines else ""


def _known_of_world(profile: Profile) -> list[str]:
    """Of a world from outside; those that come with the package keep them apart, which their tests see.

    Raises:
        HarnessError: two items of a benchmark have one id, so that one would be asked in the place of both.
    """
    data, lines = profile.data, list[str]()
    target = worlds.known().get(data.world, "")
    if not target or target.startswith(f"{__name__.partition('.')[0]}.") or profile.draws:
        return lines
    named = map(benchmarks.told, (*profile.benchmarks, *profile.validation.values()))
    own = [each for each in named if isinstance(each, benchmarks.OwnBenchmark)]
    try:
        first = world_of(data).examples(data, "train", min(data.size, LOOKED_AT) * len(data.domains))
        asked = [(benchmark, benchmarks.examples(benchmark)) for benchmark in own]
    except Exception:  # a world that fails, as an unknown one, is told by its own check
        return lines
    trained = set(map(_asked_in, first))
    for benchmark, items in asked:
        ids = [item.id for item in items]
        if twice := sorted({each for each in ids if ids.count(each) > 1}):
            raise HarnessError(
                f"benchmark {benchmark.name}: {ids.count(twice[0])} of its {len(ids)} problems have the id "
                f"{twice[0]!r}: one would be asked for all; give each an id of its own"
            )
        if same := sum(_asked_in(item) in trained for item in items):
            lines.append(f"{same} of the {len(items)} problems of {benchmark.name}")
    return lines


def _known_of_files(profile: Profile) -> list[str]:
    assert profile.data.file is not None
    trained = {
        _asked_in(each)
        for (_, split), found in read(profile.data.file).of.items()
        if split == "train"
        for each in found
    }
    lines: list[str] = []
    for each in profile.held_out:
        if each.data.file is None:
            continue
        asked = [
            example for domain in each.data.domains for example in read(each.data.file).of.get((domain, each.split), ())
        ]
        if same := sum(_asked_in(example) in trained for example in asked):
            lines.append(f"{same} of the {len(asked)} problems of {each.name}")
    return lines


def _asked_in(example: Example) -> str:
    return str(example.messages)


def without_p(profile: Profile, methods: Iterable[str]) -> str:
    """A line on methods that read p, of problems that have none; empty where there is nothing to say."""
    if profile.data.privilege != Privilege.NONE:
        return ""
    blind = [
        registry.methods()[name].label for name in methods if contexts_read(profile_method(profile, name)) - {PLAIN}
    ]
    return f"the problems have no p: nothing is shown in its place to {', '.join(blind)}" if blind else ""


def profile_method(profile: Profile, name: str) -> Method:
    """As the profile sets it."""
    return registry.build_method(profile.method(name))


# Where each setting comes from.

SHOWN: Mapping[str, Callable[[Profile], str]] = {
    "student": lambda p: p.student.name,
    "teacher": lambda p: p.teacher.name,
    "data": lambda p: _told_data(p.data),
    "privilege": lambda p: str(p.data.privilege),
    "benchmarks": lambda p: ", ".join(p.benchmarks),
    "rate": lambda p: f"{p.optim.lr:g}",
    "first_step": lambda p: f"{p.optim.first_step}, warm-up {p.optim.warmup_steps} steps",
    "steps": lambda p: str(p.steps),
    "prompts": lambda p: str(p.prompts_per_step),
    "rollouts": lambda p: str(p.rollouts_per_prompt),
    "max_prompt_tokens": lambda p: "no limit" if p.max_prompt_tokens is None else str(p.max_prompt_tokens),
    "max_response_tokens": lambda p: str(p.max_response_tokens),
    "micro_batch": lambda p: str(p.micro_batch),
    "dtype": lambda p: p.dtype,
    "device": lambda p: p.device,
    "kernels": lambda p: p.kernels,
    "k of methods": lambda p: f"{p.top_k.k} above {p.top_k.vocabulary} words" if p.top_k else "as published",
}
"""Settings of a profile, as the plan shows them."""
FIELDS = {
    "privilege": "data",
    "rate": "optim",
    "first_step": "optim",
    "k of methods": "top_k",
    **SIZES,
}
"""The field of a profile that holds a setting, where it is called otherwise."""


def settings_table(profile: Profile, chosen: Mapping[str, Any], path: Path | None, steps: int | None) -> Table:
    """Each setting of a profile of the user's, and where it comes from: flag, profile file, paper, default.

    Args:
        chosen: the flags that were given.
        path: of the profile file; None without one.
        steps: of ``--steps``, in the place of the profile's.
    """
    table = Table(
        "setting",
        "value",
        "from",
        title=f"profile {profile.name}, and where its settings come from",
        title_justify="left",
    )
    named = _named_in(path) if path else set[str]()
    flags = {*chosen, *(["steps"] if steps else [])}
    shown = profile if steps is None else replace(profile, steps=steps)
    for name, text in SHOWN.items():
        table.add_row(name.replace("_", "-"), text(shown), _source(name, profile, flags, path, named))
    return table


def _source(name: str, profile: Profile, flags: set[str], path: Path | None, named: set[str]) -> str:
    if name in flags:
        return "flag"
    field = FIELDS.get(name, name)
    if path is not None:
        default = {each.name: each.default for each in dataclasses.fields(Profile)}[field]
        left_out = field not in named and getattr(profile, field) == default
        return "default" if left_out else f"profile file {path.name}"
    if profile.name in registry.shipped_profiles():
        return f"profile {profile.name}"
    stated = registry.own_defaults().get(name)
    if stated is None:
        return {"benchmarks": "default: the test problems of the data", "k of methods": "paper"}.get(name, "default")
    return f"{stated.source}{f': {stated.why}' if stated.why else ''}"


def _named_in(path: Path) -> set[str]:
    """Keywords of the calls in a profile file."""
    tree = ast.parse(path.read_bytes())
    return {each.arg for each in ast.walk(tree) if isinstance(each, ast.keyword) and each.arg}


def _told_data(data: DataSpec) -> str:
    if data.file is None:
        return f"world {data.world}, {data.size} of each domain"
    found = world_of(data)
    p = f", kinds of p: {', '.join(found.privileges)}" if found.privileges else ""
    domains = f"{len(data.domains)} domain{'s' * (len(data.domains) > 1)}: {', '.join(data.domains)}"
    return f"{data.file.path} (content {data.content[:10]}), {domains}, {files.counts(data)}{p}"
