"""The console command ``dopd``: verbs and flags of docs/cli.md, which a test compares. No torch."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console
from rich.table import Table

from harness import registry, selection, skeleton
from harness.methods_table import absent_table, methods_table
from harness.plan import (
    PlannedRun,
    check_evaluations,
    duration,
    makespan,
    missing,
    overrides_table,
    plan_table,
    planned,
)
from harness.runs import RunFolder, RunState
from harness.suite import ALL, TUNING, Options, Profile, Suite, Together
from harness.types import HarnessError

if TYPE_CHECKING:
    from pandas import DataFrame

    from harness.launch import LaunchReport

INSTALL_SECONDS = "DOPD_INSTALL_SECONDS"
"""Environment variable in which nox tells how long the installation took."""
WIDTH = 160
"""Columns where the output is no terminal."""
SOURCES = ("runs", "published", "paper")
EXIT_FAILED, EXIT_USER_ERROR, EXIT_INTERRUPTED = 1, 2, 130


def _names(text: str) -> tuple[str, ...] | str:
    if text.strip() == "all":
        return "all"
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise argparse.ArgumentTypeError("give names separated by commas, or all")
    return names


def _seeds(text: str) -> tuple[int, ...]:
    try:
        numbers = [int(number) for number in text.split(",") if number.strip()]
    except ValueError:
        numbers = []
    seeds = tuple(numbers) if "," in text else tuple(range(sum(numbers)))
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise argparse.ArgumentTypeError(f"{text!r}: give a count (3 is 0,1,2) or different seeds (0,2,5)")
    return seeds


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One flag of the command line and the verbs that take it."""

    name: str
    metavar: str = ""
    """Empty for a switch."""
    verbs: tuple[str, ...]
    help: str
    settings: dict[str, Any] = field(default_factory=dict)


def _jobs() -> int:
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 8)


ON_SUITES = ("plan", "run", "evaluate", "table", "figure", "publish")
SELECTING = (*ON_SUITES, "tune", "claims")
"""``tune`` is ``run`` of one suite, ``claims`` reads several."""
FLAGS = (
    Flag(
        name="--suite",
        metavar="NAME",
        verbs=ON_SUITES,
        help="what to run and show; all: every suite of the paper",
        settings={"required": True},
    ),
    Flag(
        name="--profile",
        metavar="NAME",
        verbs=(*SELECTING, "report"),
        help="sizes: models, data, steps (default: embedded)",
        settings={"default": "embedded"},
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
        verbs=SELECTING,
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
        settings={"choices": ("shared", "tuned"), "default": "shared"},
    ),
    Flag(
        name="--results",
        metavar="DIR",
        verbs=(*SELECTING, "report"),
        help="folder of runs and reports (default: results)",
        settings={"type": Path, "default": Path("results")},
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
        help="worker processes of one thread each (default: the cores, at most 8)",
        settings={"type": _at_least(1, int), "default": _jobs()},
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
        settings={"type": Path, "required": True},
    ),
    Flag(
        name="--force",
        verbs=("run", "tune"),
        help="delete the selected runs and train them anew",
        settings={"action": "store_true"},
    ),
    Flag(
        name="--out",
        metavar="DIR",
        verbs=("export",),
        help="folder to write",
        settings={"type": Path, "required": True},
    ),
    Flag(
        name="--out",
        metavar="DIR",
        verbs=("methods new",),
        help="folder to write to (default: the current one)",
        settings={"type": Path, "default": Path()},
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
    "export": "write the benchmarks as lm-eval tasks that run without this package",
    "publish": "copy rows, tables and figures of done runs to the committed results",
    "methods": "list the registry of methods, and what is not implemented",
    "methods new": "write NAME.py, a method that works, and test_NAME.py beside it",
    "suites": "list the suites",
}


class _Parser(argparse.ArgumentParser):
    """Tells a wrong value in one line, as every other error of a user."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USER_ERROR, f"{self.prog}: {message}; `{self.prog} --help` says more\n")


def parser() -> argparse.ArgumentParser:
    """The command line: one sub-command a verb, each with its flags; ``methods new`` is one of ``methods``."""
    top = _Parser(prog="dopd", description="Open benchmark of on-policy distillation.")
    groups = {"": top.add_subparsers(dest="verb", required=True, metavar="VERB")}
    for verb, meaning in VERBS.items():
        parent, _, word = verb.rpartition(" ")
        sub = groups[parent].add_parser(word, help=meaning, description=meaning, allow_abbrev=False)
        sub.set_defaults(verb=verb)
        for flag in FLAGS:
            if verb in flag.verbs:
                shown = {"metavar": flag.metavar} if flag.metavar else {}
                sub.add_argument(flag.name, help=flag.help, **shown, **flag.settings)
        if verb == "methods":
            groups[verb] = sub.add_subparsers(metavar="new")
        elif parent:
            sub.add_argument("name", metavar="NAME", help="registry name: small letters, digits and _")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb. Returns 0; 1 if a run failed; 2 after one line on a user's error; 130 after Ctrl-C."""
    given, unknown = parser().parse_known_args(arguments)
    try:
        if unknown:
            raise _unknown_flag(given.verb, unknown[0])
        if getattr(given, "plugin", None):
            registry.load_plugin(given.plugin)
        return ACTIONS[given.verb](given)
    except HarnessError as error:
        print(f"dopd: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        print("dopd: interrupted; every finished step is kept, the same command goes on", file=sys.stderr)
        return EXIT_INTERRUPTED


def _unknown_flag(verb: str, given: str) -> HarnessError:
    flags = [flag.name for flag in FLAGS if verb in flag.verbs]
    near = difflib.get_close_matches(given, flags, n=1)
    hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(flags) or 'none'}"
    return HarnessError(f"unknown argument {given!r} of {verb}: {hint}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What the flags of a suite's verb mean."""

    suite: Suite
    profile: Profile
    options: Options

    @property
    def reports(self) -> Path:
        """Folder of tables and figures; one per source, which are never mixed."""
        o = self.options
        name = o.folder if o.source == "runs" else f"{o.folder}-{o.source}"
        return o.results / "reports" / self.profile.name / name

    def plan(self) -> list[PlannedRun]:
        """The suite's runs and their states."""
        return planned(self.suite, self.profile, self.options, self.options.results)

    def parts(self) -> list[Selection]:
        """Each suite of ``--suite all``; this one alone otherwise."""
        if not isinstance(self.suite, Together):
            return [self]
        o = self.options
        return [
            replace(self, suite=s, options=replace(o, suite=s.name) if o.source == "published" else s.wholly(o))
            for s in self.suite.suites
        ]

    def load(self) -> tuple[DataFrame, DataFrame]:
        """Rows and costs of one suite."""
        from harness import results

        return results.load(self.options.source, self.suite, self.profile, self.options)

    def as_published(self) -> Selection:
        """All that is published of one suite, where the user selected nothing."""
        o = self.options
        if o.source != "published" or any((o.methods, o.seeds, o.steps, o.train_domains)):
            return self
        return replace(self, options=selection.as_published(self.suite, self.profile, o))


def select(given: argparse.Namespace) -> Selection:
    """Names looked up, options as a value.

    Raises:
        HarnessError: an unknown name, near names offered.
    """
    suite, profile = registry.suite(given.suite), registry.profile(given.profile)
    methods = given.methods
    if isinstance(methods, tuple):
        methods = tuple(dict.fromkeys(map(registry.method_name, methods)))
    options = Options(
        suite=suite.name,
        profile=profile.name,
        methods=methods,
        seeds=given.seeds,
        steps=given.steps,
        train_domains=given.train_domains,
        learning_rate=getattr(given, "learning_rate", "shared"),
        jobs=getattr(given, "jobs", 1),
        minutes=getattr(given, "minutes", None),
        results=given.results,
        source=getattr(given, "source", "runs"),
        plugin=given.plugin.resolve() if given.plugin else None,
        force=getattr(given, "force", False),
    )
    return Selection(suite=suite, profile=profile, options=options)


def _plan(given: argparse.Namespace) -> int:
    chosen, console = select(given), _console()
    plan = chosen.plan()
    obstacle = _obstacle(chosen, plan)
    console.print(plan_table(plan, title=f"{chosen.suite.name}: {chosen.suite.title}"))
    overrides = overrides_table(chosen.profile, (run.spec.method.name for run in plan if run.spec.method))
    if overrides:
        console.print(overrides)
    _say(console, _summary(plan, chosen.options.jobs))
    if obstacle:
        _say(console, f"it can be planned, not run: {obstacle}")
    return 0


def _obstacle(chosen: Selection, plan: Sequence[PlannedRun]) -> str:
    """Why the profile cannot run here; empty if it can, and then every evaluation must be known."""
    try:
        registry.require_profile(chosen.profile)
    except HarnessError as error:
        return str(error)
    check_evaluations(plan)
    return ""


def _run(given: argparse.Namespace) -> int:
    from harness.launch import LaunchReport

    chosen, console, start = select(given), _console(), time.monotonic()
    done = LaunchReport()
    if chosen.options.source == "runs":
        plan = chosen.plan()
        _say(console, f"{chosen.suite.name}: {_summary(plan, chosen.options.jobs)}")
        done = _launch(plan, chosen, console)
    for part, rows, costs in _loaded(chosen, console):
        if rows.empty and part.options.source != "paper":
            _say(console, f"{part.suite.name}: no run is done, there is nothing to show yet")
        else:
            _show(part, rows, costs, console)
    if isinstance(chosen.suite, Together):
        _show_claims(chosen, console)
    _say(console, _times(done, time.monotonic() - start))
    return _outcome(done, console)


def _tune(given: argparse.Namespace) -> int:
    return _run(argparse.Namespace(**vars(given), suite=TUNING))


def _show(chosen: Selection, rows: DataFrame, costs: DataFrame, console: Console) -> None:
    """Tables and figures, written and printed; then ours beside the published."""
    from harness import report

    _wrote(console, report.emit(chosen.suite, rows, costs, chosen.options, chosen.reports, console=console))
    if chosen.options.source == "runs":
        _compare(chosen, rows, console)


def _evaluate(given: argparse.Namespace) -> int:
    chosen, console = select(given), _console()
    left = missing(chosen.plan())
    trained = [run for run in left if _is_trained(run, chosen.options)]
    if len(trained) < len(left):
        untrained = len(left) - len(trained)
        _say(console, f"{untrained} runs are not trained: `dopd run` with the same flags trains them")
    return _outcome(_launch(trained, chosen, console), console)


def _is_trained(run: PlannedRun, options: Options) -> bool:
    return RunFolder(options.results, run.spec).last_step() == run.spec.steps


def _table(given: argparse.Namespace) -> int:
    from harness import report

    chosen, console = select(given), _console()
    for part, rows, costs in _loaded(chosen, console):
        tables = part.suite.tables(rows, costs, part.options)
        _wrote(console, report.write_tables(tables, part.reports, console=console))
    return 0


def _figure(given: argparse.Namespace) -> int:
    from harness import report

    chosen, console = select(given), _console()
    for part, rows, costs in _loaded(chosen, console):
        figures = part.suite.figures(rows, costs, part.options)
        _wrote(console, report.write_figures(figures, part.reports))
    return 0


def _claims(given: argparse.Namespace) -> int:
    chosen = select(argparse.Namespace(**vars(given), suite=ALL))
    _show_claims(chosen, _console())
    return 0


def _report(given: argparse.Namespace) -> int:
    from harness import webreport

    profile = registry.profile(given.profile)
    options = Options(suite="", profile=profile.name, results=given.results, source=given.source)
    _wrote(_console(), [webreport.write(given.output, profile, options)])
    return 0


def _export(given: argparse.Namespace) -> int:
    from harness import evaluate

    names = () if given.benchmarks == "all" else (given.benchmarks,)
    _wrote(_console(), evaluate.export(given.out, *names))
    return 0


def _publish(given: argparse.Namespace) -> int:
    from harness import publish

    chosen, console = select(given), _console()
    for part in chosen.parts():
        try:
            _wrote(console, publish.publish(part.suite, part.profile, part.options))
        except HarnessError as error:
            if part is chosen:
                raise
            _say(console, f"{part.suite.name} stays as it was published: {error}")
    if isinstance(chosen.suite, Together):
        _wrote(console, publish.publish_claims(chosen.profile, chosen.options))
    return 0


def _methods(given: argparse.Namespace) -> int:
    console = _console()
    console.print(methods_table())
    console.print(absent_table())
    return 0


def _methods_new(given: argparse.Namespace) -> int:
    console = _console()
    method, test = skeleton.write(given.name, given.out)
    _wrote(console, (method, test))
    _say(
        console,
        f"edit both, run the test with pytest, then try it: dopd run --suite ood --plugin {method} "
        f"--methods {method.stem},vanilla_opd --seeds 1",
    )
    return 0


def _suites(given: argparse.Namespace) -> int:
    table = Table("name", "what it tests")
    for name in registry.suites():
        table.add_row(name, registry.suite(name).title)
    _console().print(table)
    return 0


ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "plan": _plan,
    "run": _run,
    "tune": _tune,
    "evaluate": _evaluate,
    "table": _table,
    "figure": _figure,
    "report": _report,
    "claims": _claims,
    "export": _export,
    "publish": _publish,
    "methods": _methods,
    "methods new": _methods_new,
    "suites": _suites,
}


def _launch(plan: Sequence[PlannedRun], chosen: Selection, console: Console) -> LaunchReport:
    from harness.launch import launch

    if plan:
        registry.require_profile(chosen.profile)
        check_evaluations(plan)
    return launch(plan, chosen.options, console=console)


def _loaded(chosen: Selection, console: Console) -> Iterator[tuple[Selection, DataFrame, DataFrame]]:
    """Rows and costs suite by suite; among several, one that has none says why.

    Raises:
        HarnessError: a suite that was asked for by its own name has none in that source.
    """
    for part in chosen.parts():
        try:
            part = part.as_published()
            rows, costs = part.load()
        except HarnessError as error:
            if part is chosen:
                raise
            _say(console, f"{part.suite.name}: {error}")
            continue
        yield part, rows, costs


def _show_claims(chosen: Selection, console: Console) -> None:
    """The paper's claims with their verdicts, printed and written; the paper's own numbers decide none."""
    from harness import claims, report

    if chosen.options.source == "paper":
        return
    decisions = registry.claims(chosen.profile, chosen.options)
    console.print(claims.summary(decisions, chosen.profile.name, chosen.options.selection))
    table = claims.claims_table(decisions, chosen.profile.name, chosen.options.selection)
    folder = chosen.reports.with_name(chosen.reports.name.replace(ALL, "claims", 1))
    _wrote(console, report.write_tables([table], folder))


def _compare(chosen: Selection, rows: DataFrame, console: Console) -> None:
    """Prints our rows beside the published ones, or why there are none."""
    from harness import report, results

    try:
        published = results.published_rows(chosen.profile, chosen.options)
    except HarnessError as error:
        _say(console, f"no comparison with published rows: {error}")
        return
    console.print(report.compare(rows, published))


def _summary(plan: Sequence[PlannedRun], jobs: int) -> str:
    """``24 runs: 20 done, 4 absent; about 6 min on 2 workers``."""
    counts = Counter(run.state.value for run in plan)
    states = ", ".join(f"{counts[state.value]} {state.value}" for state in RunState if counts[state.value])
    left = missing(plan)
    work = f"about {duration(makespan(left, jobs))} on {jobs} worker{'s' * (jobs > 1)}" if left else "nothing to do"
    return f"{len(plan)} runs: {states or 'none'}; {work}"


def _times(report: LaunchReport, wall_seconds: float) -> str:
    """Minutes of installation (nox tells), training and evaluation of this call."""
    install = float(os.environ.get(INSTALL_SECONDS, "0"))
    return (
        f"installation {install / 60:.1f} min, training {report.train_seconds / 60:.1f} min, evaluation "
        f"{report.evaluation_seconds / 60:.1f} min (the last two summed over workers), this command "
        f"{wall_seconds / 60:.1f} min"
    )


def _outcome(report: LaunchReport, console: Console) -> int:
    """Lists what was not started and what failed; the exit code."""
    if report.left:
        _say(console, f"{len(report.left)} runs not started, the minutes were over: the same command goes on")
    for run, reason in report.failed.items():
        print(f"dopd: run {run} failed: {reason}", file=sys.stderr)
    return EXIT_FAILED if report.failed else 0


def _wrote(console: Console, paths: Sequence[Path]) -> None:
    for path in paths:
        _say(console, f"wrote {path}")


def _console() -> Console:
    """Standard output; wide where it is a file or a pipe, so that ids are not cut."""
    return Console(width=None if sys.stdout.isatty() else WIDTH)


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
