"""Verbs and flags of docs/cli.md, which a test compares. No torch."""

from __future__ import annotations

import argparse
import difflib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from harness.config import DTYPES, KERNELS
from harness.registry import PROGRAM
from harness.types import HarnessError

SOURCES = ("runs", "published", "paper")


RATES = ("shared", "tuned")


EXIT_USER_ERROR = 2


MOST_SEEDS = 10_000
"""Of a plan: more are a slip, and would be planned for minutes before a word."""


def _names(text: str) -> tuple[str, ...] | str:
    if text.strip() == "all":
        return "all"
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r} has an empty name: give names separated by single commas, or all")
    return names


class Counted(tuple[int, ...]):
    """Seeds that were given as their number."""


def _seeds(text: str) -> tuple[int, ...]:
    try:
        numbers = [int(number) for number in text.split(",") if number.strip()]
    except ValueError:
        numbers = []
    if len(numbers) > MOST_SEEDS or ("," not in text and sum(numbers) > MOST_SEEDS):
        raise argparse.ArgumentTypeError(f"{text!r}: at most {MOST_SEEDS} seeds; for one seed write it with a comma")
    seeds = tuple(numbers) if "," in text else Counted(range(sum(numbers)))
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise argparse.ArgumentTypeError(
            f"{text!r}: give a count (3 is 0,1,2), different seeds (0,2,5) or one seed with a comma (7,)"
        )
    return seeds


def meant(seeds: tuple[int, ...]) -> str:
    """What seeds given as a count are, ``7 seeds: 0 to 6; for seed 7 alone write 7,``; empty of a list."""
    if not isinstance(seeds, Counted):
        return ""
    n = len(seeds)
    which = "1 seed: 0" if n == 1 else f"{n} seeds: 0 to {n - 1}"
    return f"{which}; for seed {n} alone write --seeds {n},"


def _folder(text: str) -> Path:
    path = Path(text)
    nearest = next(each for each in (path, *path.absolute().parents) if each.exists())
    if not nearest.is_dir():
        raise argparse.ArgumentTypeError(f"{nearest} is a file: give a folder")
    return path


def _rate(text: str) -> str:
    if text not in RATES:
        raise argparse.ArgumentTypeError(
            f"{text!r}: choose {' or '.join(RATES)}; a rate of your own is given by --rate"
        )
    return text


def _at_least(least: float, kind: type[int] | type[float]) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            number = kind(text)
        except ValueError:
            number = least - 1
        if not number >= least:
            raise argparse.ArgumentTypeError(f"{text!r}: give {kind.__name__} >= {least}")
        return number

    return parse


def _above_zero(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: give a number above 0, as 5e-6")
    return number


def _list(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r}: give files or names separated by commas, none empty")
    return names


def _columns(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """``prompt=question,grader:number``: columns by field, then values by field."""
    columns, values = dict[str, str](), dict[str, str]()
    for part in text.split(","):
        found = re.fullmatch(r"\s*([\w.-]+)\s*([=:])\s*(.*\S)\s*", part)
        if not found or found[1] in columns or found[1] in values:
            raise argparse.ArgumentTypeError(
                f"{part!r}: give FIELD=COLUMN for a column, FIELD:VALUE for one value of all lines, each field once"
            )
        (columns if found[2] == "=" else values)[found[1]] = found[3]
    return columns, values


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One flag of the command line and the verbs that take it."""

    name: str
    metavar: str = ""
    """Empty for a switch."""
    verbs: tuple[str, ...]
    help: str
    settings: dict[str, Any] = field(default_factory=dict)


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def capped(jobs: int) -> str:
    """What is said of more workers than cores: ``--jobs 1000: 2 cores are here, so 2 workers``; else nothing."""
    here = cores()
    return f"--jobs {jobs}: {here} cores are here, so {here} workers" if jobs > here else ""


ON_SUITES = ("plan", "run", "evaluate", "table", "figure", "publish")


SELECTING = (*ON_SUITES, "tune", "claims")
"""``tune`` is ``run`` of one suite, ``claims`` reads several."""


WITH_PROFILE = (*SELECTING, "report", "profile new")
"""Verbs that take the settings of a profile."""


FLAGS = (
    Flag(
        name="--suite",
        metavar="NAME",
        verbs=ON_SUITES,
        help="what to run and show: a suite, a Python file with one, or all, every suite of the paper",
        settings={"required": True},
    ),
    Flag(
        name="--profile",
        metavar="NAME",
        verbs=(*SELECTING, "report"),
        help="sizes: models, data, steps; or FILE.py with one of your own (default: embedded)",
        settings={},
    ),
    Flag(
        name="--methods",
        metavar="NAMES",
        verbs=SELECTING,
        help="registry names with commas, or all (default: the suite's)",
        settings={"type": _names},
    ),
    Flag(
        name="--seeds",
        metavar="SEEDS",
        verbs=SELECTING,
        help="a count (3 is 0,1,2) or seeds with commas (default: the suite's)",
        settings={"type": _seeds},
    ),
    Flag(
        name="--steps",
        metavar="N",
        verbs=(*SELECTING, "profile new"),
        help="optimiser steps, instead of the profile's",
        settings={"type": _at_least(1, int)},
    ),
    Flag(
        name="--train-domains",
        metavar="NAMES",
        verbs=SELECTING,
        help="domains with commas, or all (default: the suite's)",
        settings={"type": _names},
    ),
    Flag(
        name="--learning-rate",
        metavar="WHICH",
        verbs=ON_SUITES,
        help="shared, or tuned: each method's own as published by the suite tuning (default: shared)",
        settings={"type": _rate, "default": "shared"},
    ),
    Flag(
        name="--student",
        metavar="MODEL",
        verbs=WITH_PROFILE,
        help="the model that is trained: a folder, hub:owner/name, or zoo:NAME; with --teacher and --data",
    ),
    Flag(
        name="--teacher",
        metavar="MODEL",
        verbs=WITH_PROFILE,
        help="the model it learns from, written as --student",
    ),
    Flag(
        name="--data",
        metavar="FILE",
        verbs=WITH_PROFILE,
        help="problems of your own: a jsonl file, or a folder of datasets (docs/data.md)",
    ),
    Flag(
        name="--columns",
        metavar="MAP",
        verbs=WITH_PROFILE,
        help="how --data calls its fields: prompt=question,answer=final,privileged.hints=steps,grader:number",
        settings={"type": _columns},
    ),
    Flag(
        name="--privilege",
        metavar="KIND",
        verbs=WITH_PROFILE,
        help="the kind of p that is shown, or none (default: hints, else the only one of the data)",
    ),
    Flag(
        name="--benchmarks",
        metavar="NAMES",
        verbs=WITH_PROFILE,
        help="jsonl files, gsm8k, lm_eval:TASK; TASK=FILE asks items of your own (default: the data's test split)",
        settings={"type": _list},
    ),
    Flag(
        name="--rate",
        metavar="RATE",
        verbs=WITH_PROFILE,
        help="peak learning rate of all methods (default: the profile's; of your own models the paper's 5e-6)",
        settings={"type": _above_zero},
    ),
    Flag(
        name="--prompts",
        metavar="N",
        verbs=WITH_PROFILE,
        help="prompts of a step (default: the profile's; of your own models the paper's 128)",
        settings={"type": _at_least(1, int)},
    ),
    Flag(
        name="--rollouts",
        metavar="N",
        verbs=WITH_PROFILE,
        help="answers to each prompt (default: the profile's; of your own models the paper's 4)",
        settings={"type": _at_least(1, int)},
    ),
    Flag(
        name="--max-prompt-tokens",
        metavar="N",
        verbs=WITH_PROFILE,
        help="refuse longer prompts, p included (default: the profile's, else what the models have positions for)",
        settings={"type": _at_least(1, int)},
    ),
    Flag(
        name="--max-response-tokens",
        metavar="N",
        verbs=WITH_PROFILE,
        help="cut longer answers (default: the profile's; of your own models 1024)",
        settings={"type": _at_least(1, int)},
    ),
    Flag(
        name="--micro-batch",
        metavar="N",
        verbs=WITH_PROFILE,
        help="answers of a forward pass in training: memory, never the numbers (default: the profile's, 64)",
        settings={"type": _at_least(1, int)},
    ),
    Flag(
        name="--dtype",
        metavar="NAME",
        verbs=WITH_PROFILE,
        help="of the weights: float32, float64, bfloat16 or float16 (default: the profile's, float32)",
        settings={"choices": DTYPES},
    ),
    Flag(
        name="--device",
        metavar="NAME",
        verbs=WITH_PROFILE,
        help="cpu, cuda, cuda:1, or auto, a GPU where there is one (default: the profile's, auto)",
    ),
    Flag(
        name="--kernels",
        metavar="NAME",
        verbs=WITH_PROFILE,
        help="of the models' layers: torch, or liger on a GPU (default: the profile's, torch)",
        settings={"choices": KERNELS},
    ),
    Flag(
        name="--results",
        metavar="DIR",
        verbs=(*SELECTING, "report"),
        help="folder of runs and reports (default: results)",
        settings={"type": _folder, "default": Path("results")},
    ),
    Flag(
        name="--plugin",
        metavar="FILE",
        verbs=(*SELECTING, "methods"),
        help="Python file with methods of your own",
        settings={"type": Path},
    ),
    Flag(
        name="--jobs",
        metavar="N",
        verbs=("plan", "run", "tune", "evaluate"),
        help="worker processes of one thread each, no more than cores (default: the cores, at most 8)",
        settings={"type": _at_least(1, int), "default": min(cores(), 8)},
    ),
    Flag(
        name="--list",
        verbs=("plan",),
        help="print every run, one a line with tabs between, for other programs",
        settings={"action": "store_true"},
    ),
    Flag(
        name="--show-prompts",
        verbs=("plan",),
        help="print a training problem as the models read it, without and with privileged input",
        settings={"action": "store_true"},
    ),
    Flag(
        name="--minutes",
        metavar="N",
        verbs=("run", "tune", "evaluate"),
        help="start no run after N minutes",
        settings={"type": _at_least(0, float)},
    ),
    Flag(
        name="--from",
        metavar="SOURCE",
        verbs=("run", "tune", "table", "figure"),
        help="runs, published or paper (default: runs); run trains nothing for the last two",
        settings={"dest": "source", "choices": SOURCES, "default": "runs"},
    ),
    Flag(
        name="--from",
        metavar="SOURCE",
        verbs=("claims", "report"),
        help="whose numbers stand beside the paper's: runs or published (default: runs)",
        settings={"dest": "source", "choices": ("runs", "published"), "default": "runs"},
    ),
    Flag(
        name="--output",
        metavar="DIR",
        verbs=("report",),
        help="folder to write index.html to",
        settings={"type": _folder, "required": True},
    ),
    Flag(
        name="--force",
        verbs=("run", "tune"),
        help="delete the selected runs and train them anew",
        settings={"action": "store_true"},
    ),
    Flag(
        name="--reuse",
        metavar="SOURCE",
        verbs=("plan", "run"),
        help="published: a run whose rows are published counts as made",
        settings={"choices": ("published",), "default": ""},
    ),
    Flag(
        name="--replace",
        verbs=("publish",),
        help="drop what is published under other settings, versions or code",
        settings={"action": "store_true"},
    ),
    Flag(
        name="--out",
        metavar="DIR",
        verbs=("export",),
        help="folder to write",
        settings={"type": _folder, "required": True},
    ),
    Flag(
        name="--out",
        metavar="DIR",
        verbs=("methods new", "suites new", "profile new"),
        help="folder to write to (default: the current one)",
        settings={"type": _folder, "default": Path()},
    ),
    Flag(
        name="--benchmarks",
        metavar="NAMES",
        verbs=("export",),
        help="benchmarks with commas, or all (default: all)",
        settings={"type": _names, "default": "all"},
    ),
)


VERBS = {
    "plan": "list runs, ids, states and an estimate of time; computes nothing",
    "run": "train and evaluate what is missing, then tables and figures",
    "tune": "run the suite tuning: every method's learning rate on validation problems",
    "evaluate": "evaluate what is missing of trained runs; trains nothing",
    "table": "print tables and write them as CSV, Markdown and LaTeX",
    "figure": "write figures as PDF and PNG",
    "claims": "decide the paper's claims: reproduced, contradicted, undecided or not run",
    "report": "write one static HTML page of every suite, with nothing to fetch",
    "export": "write the benchmarks as tasks of lm-eval, with pictures of VLMEvalKit, that run without this package",
    "publish": "add rows of done runs to the committed results, with tables and figures of all",
    "methods": "list the registry of methods, and what is not implemented",
    "methods new": "write NAME.py, a method that works, and test_NAME.py beside it",
    "suites": "list the suites",
    "suites new": "write NAME.py, a suite that runs, and test_NAME.py beside it",
    "profile": "list the profiles",
    "profile new": "write NAME.py, a commented profile of your own models and data for --profile",
}


class _Parser(argparse.ArgumentParser):
    """Tells a wrong value in one line, as every other error of a user."""

    def error(self, message: str) -> NoReturn:
        if message.endswith("required: --suite"):
            message += " (dopd suites lists them)"
        self.exit(EXIT_USER_ERROR, f"{self.prog}: {message}; `{self.prog} --help` says more\n")


def parser() -> argparse.ArgumentParser:
    """The command line: one sub-command a verb, each with its flags; ``methods new`` is below ``methods``."""
    top = _Parser(prog=PROGRAM, description="Open benchmark of on-policy distillation.")
    groups = {"": top.add_subparsers(dest="verb", required=True, metavar="VERB")}
    for verb, meaning in VERBS.items():
        parent, _, word = verb.rpartition(" ")
        sub = groups[parent].add_parser(word, help=meaning, description=meaning, allow_abbrev=False)
        sub.set_defaults(verb=verb)
        for flag in FLAGS:
            if verb in flag.verbs:
                shown = {"metavar": flag.metavar} if flag.metavar else {}
                sub.add_argument(flag.name, help=flag.help, **shown, **flag.settings)
        if f"{verb} new" in VERBS:
            groups[verb] = sub.add_subparsers(metavar="new")
        elif parent:
            sub.add_argument("name", metavar="NAME", help="registry name: small letters, digits and _")
    return top


def unknown_flag(verb: str, given: str) -> HarnessError:
    """What is said of an argument that the verb does not take."""
    name = given.partition("=")[0]
    flags = [flag.name for flag in FLAGS if verb in flag.verbs]
    takes = f"it takes {', '.join(flags) or 'none'}"
    if name in {flag.name for flag in FLAGS}:
        return HarnessError(f"{verb} takes no {name}: {takes}")
    if not name.startswith("-") and flags:
        takes += "; several values of one are joined with commas, as in a,b"
    near = difflib.get_close_matches(name, flags, n=1)
    return HarnessError(f"unknown argument {given!r} of {verb}: {f'did you mean {near[0]}?' if near else takes}")


def check_verb(given: Sequence[str]) -> None:
    """Whether the first word is a verb.

    Raises:
        HarnessError: it is none, near ones are offered; or there is no word at all.
    """
    verbs = [verb for verb in VERBS if " " not in verb]
    if not given:
        raise HarnessError(f"give a verb: {', '.join(verbs)}; `dopd --help` says what each does")
    if not given[0].startswith("-") and given[0] not in verbs:
        near = difflib.get_close_matches(given[0], verbs, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(verbs)}"
        raise HarnessError(f"unknown verb {given[0]!r}: {hint}")
