"""``dopd profile new``: a profile file of a user's own models and data, whole and commented. No torch."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from harness import registry
from harness.cli import own
from harness.profile import Profile, Task
from harness.storage import files
from harness.types import HarnessError

TEXT = '''"""Profile {name}: models, data and sizes of your own, for `--profile {name}.py`. All is yours to change.

Paths are relative to where you run. Fields that are not here have their defaults (`harness/profile.py`); `dopd plan`
prints every setting with where it comes from, and refuses a suite that needs a field you leave out by its name.
"""

from harness.config import FirstStep, OptimSpec
from harness.models.sources import named
from harness.profile import {profile_names}
from harness.types import Modality
from harness.worlds.files.world import data, held_out, held_out_of

# The problems, every line checked when this file is read (docs/data.md). `privilege`: the kind of p that privileged
# views see, "none" for none. `columns`: the column of each field, where a file calls it otherwise.
DATA = data({path}, privilege={privilege}, columns={columns}, values={values})

# What is longer is cut, in training and in the benchmarks of your own (from: {max_response_tokens_from}).
MAX_RESPONSE_TOKENS = {max_response_tokens}

# What is asked of every model: files of problems, one benchmark for each domain. Their version is made of their
# content, so that changed items are asked anew.
BENCHMARKS = {benchmarks}
{validation}
# Tasks that lm-eval ships, on your own items or not known to this package. Others are named below alone ("gsm8k").
TASKS = {tasks}

PROFILE = Profile(
    name={quoted_name},  # in every row, and the folder of its reports
    modality={modality},
    # A folder is its path, a name of the hub begins with hub:, a shipped model with zoo:. A pair shares a tokenizer.
    student=named({student}),
    teacher=named({teacher}),
    data=DATA,
    # The rate is from: {rate_from}; the first step from: {first_step_from}.
    optim=OptimSpec(lr={rate!r}, first_step={first_step}),
    learning_rates={learning_rates},  # the grid of `dopd tune`
    steps={steps},  # from: {steps_from}
    prompts_per_step={prompts},  # from: {prompts_from}
    rollouts_per_prompt={rollouts},  # from: {rollouts_from}
    # Longer prompts, p included, are refused, never cut (from: {max_prompt_tokens_from}).
    max_prompt_tokens={max_prompt_tokens},
    max_response_tokens=MAX_RESPONSE_TOKENS,
    # Rollouts of a forward pass (from: {micro_batch_from}).
    micro_batch={micro_batch},
    dtype={dtype},  # from: {dtype_from}
    device={device},  # from: {device_from}
    kernels={kernels},  # from: {kernels_from}
    # Every score of a table is the mean of these.
    benchmarks={names},
    held_out={held_out},
    tasks=TASKS,
    # By domain, the benchmark that stands for it; suites that train one domain and ask another need it.
    targets={targets},
    directions={directions},  # of suite ood, which needs two domains
    privileges={privileges},  # of suite privileged_input: what is compared, as tables call it
    validation={validations},  # by domain, what chooses a rate in suite tuning
    # First guesses for `dopd plan`, until a run was measured; the disk that one run takes.
    seconds_per_step={seconds_per_step},
    seconds_per_evaluation={seconds_per_evaluation},
    megabytes_per_run={megabytes_per_run},
)
'''


def write(name: str, folder: Path, chosen: Mapping[str, Any], steps: int | None) -> Path:
    """The file ``NAME.py``, read again before this returns.

    Raises:
        HarnessError: the name is none, or is taken; the file exists; what the flags name is not there or wrong.
    """
    name = name.strip().replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or name == own.NAME:
        raise HarnessError(f"{name!r} is no name of a profile: small letters, digits and _, not {own.NAME!r}")
    if name in registry.shipped_profiles():
        raise HarnessError(f"profile {name!r} is a shipped one: give another name")
    path = folder / f"{name}.py"
    if path.exists():
        raise HarnessError(f"{path} exists and is not overwritten: move it away, or give another name or --out")
    if lost := [flag for flag in own.NEEDED if flag not in chosen]:
        raise HarnessError(f"--{' and --'.join(lost)} missing: a profile is of models and data")
    made = own.profile(chosen, None, steps=steps, name=name)
    text = TEXT.format(**_values(made, chosen, steps))
    try:
        files.write_text_atomic(path, text)
    except OSError as error:
        raise HarnessError(f"{folder} cannot be written to ({error.strerror}): name another with --out") from error
    registry.load_profile(path)
    return path


def _values(made: Profile, chosen: Mapping[str, Any], steps: int | None) -> dict[str, Any]:
    """What stands in ``TEXT``."""
    columns, values = chosen.get("columns", ({}, {}))
    flags = {*chosen, *(["steps"] if steps else [])}
    validation = bool(made.validation)
    sources = {f"{name}_from": _from(name, name in flags) for name in registry.own_defaults()}
    asked = [text for text in chosen.get("benchmarks", ()) if own.is_file(text)]
    return {
        **sources,
        "name": made.name,
        "quoted_name": _code(made.name),
        "profile_names": "Profile, Task" if made.tasks else "Profile",
        "path": _code(chosen["data"]),
        "privilege": _code(str(made.data.privilege)),
        "columns": _code(columns),
        "values": _code(values),
        "max_response_tokens": made.max_response_tokens,
        "benchmarks": _benchmarks(asked, chosen),
        "validation": VALIDATION if validation else "",
        "tasks": _tasks(made.tasks),
        "modality": f"Modality.{made.modality.name}",
        "student": _code(chosen["student"]),
        "teacher": _code(chosen["teacher"]),
        "rate": made.optim.lr,
        "first_step": f"FirstStep.{made.optim.first_step.name}",
        "learning_rates": made.learning_rates,
        "steps": made.steps,
        "prompts": made.prompts_per_step,
        "rollouts": made.rollouts_per_prompt,
        "max_prompt_tokens": made.max_prompt_tokens,
        "micro_batch": made.micro_batch,
        "dtype": _code(made.dtype),
        "device": _code(made.device),
        "kernels": _code(made.kernels),
        "names": _names(made),
        "held_out": "(*BENCHMARKS, *VALIDATION)" if validation else "BENCHMARKS",
        "targets": _code(made.targets),
        "directions": _code(made.directions),
        "privileges": _code(made.privileges),
        "validations": "{each.domain: each.name for each in VALIDATION}" if validation else "{}",
        "seconds_per_step": made.seconds_per_step,
        "seconds_per_evaluation": made.seconds_per_evaluation,
        "megabytes_per_run": made.megabytes_per_run,
    }


VALIDATION = """
# What chooses a learning rate, and decides nothing else: the validation problems of the data.
VALIDATION = held_out_of(DATA, "validation", max_new_tokens=MAX_RESPONSE_TOKENS)
"""


def _from(name: str, given: bool) -> str:
    if given:
        return "flag"
    stated = registry.own_defaults()[name]
    return f"{stated.source}{f', {stated.why}' if stated.why else ''}"


def _code(value: Any) -> str:
    """A value as Python is written here, texts in double quotes."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return f"{{{', '.join(f'{_code(key)}: {_code(each)}' for key, each in items)}}}"
    if isinstance(value, tuple):
        inner = ", ".join(map(_code, cast("tuple[Any, ...]", value)))
        return f"({inner},)" if len(cast("tuple[Any, ...]", value)) == 1 else f"({inner})"
    return repr(value)


def _benchmarks(asked: list[str], chosen: Mapping[str, Any]) -> str:
    limit = "max_new_tokens=MAX_RESPONSE_TOKENS"
    if not chosen.get("benchmarks"):
        return f'held_out_of(DATA, "test", {limit})'
    made = ", ".join(f"*held_out({_code(text)}, {limit})" for text in asked)
    return f"({made},)" if made else "()"


def _names(made: Profile) -> str:
    own_names = {each.name for each in made.held_out}
    others = tuple(name for name in made.benchmarks if name not in own_names)
    own_ones = "each.name for each in BENCHMARKS"
    if not others:
        return f"tuple({own_ones})"
    listed = ", ".join(map(_code, others))
    return f"(*({own_ones}), {listed})" if len(others) < len(made.benchmarks) else f"({listed},)"


def _tasks(tasks: tuple[Task, ...]) -> str:
    return "".join(["(\n", *(f"    {task!r},\n" for task in tasks), ")"]) if tasks else "()"
