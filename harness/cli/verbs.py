"""The console command ``dopd``: one function a verb. No torch."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console
from rich.table import Table

from harness import registry
from harness.cli import own, profile_file, skeleton
from harness.cli.flags import EXIT_USER_ERROR, capped, check_verb, meant, parser, unknown_flag
from harness.cli.methods_table import absent_table, methods_table
from harness.cli.plan_table import plan_lines, plan_table, states
from harness.cli.select import Selection, load_files, require_runs, select
from harness.config import makings
from harness.runs import references
from harness.runs.plan import (
    PlannedRun,
    check_adapters,
    check_code,
    check_draws,
    check_evaluations,
    check_further,
    check_kernels,
    check_profile,
    check_worlds,
    duration,
    makespan,
    missing,
    overrides_table,
)
from harness.storage import files
from harness.storage.code import told
from harness.storage.run_folder import RUNS, RunFolder, RunState
from harness.suite import ALL, Options, Together
from harness.types import HarnessError

if TYPE_CHECKING:
    from pandas import DataFrame

    from harness.runs.local import LaunchReport

WIDTH = 160
"""Columns where the output is no terminal."""
EXIT_FAILED = 1
NOTHING_DONE = "no run is done, there is nothing to show yet"
INSTALL_SECONDS = "DOPD_INSTALL_SECONDS"
"""Environment variable in which nox tells how long the installation took."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb.

    Returns 0; 1 if a run failed; 2 after one line on a user's error or the system's; 128 and the signal's number after
    one that stopped it: 130 after Ctrl-C, 143 after SIGTERM, 129 after a hang-up.
    """
    words = sys.argv[1:] if arguments is None else arguments
    os.environ["MPLBACKEND"] = "agg"  # a notebook leaves one here that only a notebook can load
    try:
        with listening():
            check_verb(words)
            given, unknown = parser().parse_known_args(words)
            if unknown:
                raise unknown_flag(given.verb, unknown[0])
            if given.verb in ("run", "tune", "evaluate") and sys.flags.optimize > 1:
                _with_docstrings()
            load_files(given)
            return ACTIONS[given.verb](given)
    except HarnessError as error:
        print(f"{registry.PROGRAM}: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - what is left to write has no reader
        return EXIT_FAILED
    except OSError as error:
        print(f"{registry.PROGRAM}: {files.told(error, Path())}", file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt as stopped:
        name, code = ("interrupted", signal.SIGINT)
        if isinstance(stopped, Stopped):
            name, code = f"stopped by {stopped.signal.name}", stopped.signal
        with contextlib.suppress(OSError):  # the terminal of a hang-up is gone
            print(f"{registry.PROGRAM}: {name}; every finished step is kept, the same command goes on", file=sys.stderr)
        return 128 + code


def _with_docstrings() -> NoReturn:
    """Begins this command again under -O: transformers reads its own docstrings, which -OO strips, to make a model.

    Raises:
        HarnessError: it is not known where -OO was said.
    """
    words = ["-O" if word == "-OO" else word for word in sys.orig_argv]
    said = os.environ.pop("PYTHONOPTIMIZE", "")
    if words == sys.orig_argv and not said:
        raise HarnessError("python -OO strips docstrings that transformers reads: run without it, or with -O")
    os.execv(sys.executable, [sys.executable, *words[1:]])


class Stopped(KeyboardInterrupt):
    """A signal other than Ctrl-C that asks to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """SIGTERM and SIGHUP end a command as Ctrl-C does; one that is ignored, as under nohup, or taken stays so."""
    ours = threading.current_thread() is threading.main_thread()
    free = [each for each in (signal.SIGTERM, signal.SIGHUP) if ours and signal.getsignal(each) is signal.SIG_DFL]
    for each in free:
        signal.signal(each, _stop)
    try:
        yield
    finally:
        for each in free:
            signal.signal(each, signal.SIG_DFL)


def _stop(number: int, frame: object) -> None:
    raise Stopped(number)


def _plan(given: argparse.Namespace) -> int:
    chosen, console = select(given), _console()
    if given.list:
        sys.stdout.writelines(f"{line}\n" for line in plan_lines(chosen.plan()))
        return 0
    _say_meant(chosen, given.jobs, console)
    plan = chosen.plan()
    _say_if(console, own.without_p(chosen.profile, _method_names(plan)))
    obstacle = _obstacle(chosen, plan)
    if chosen.options.own or chosen.options.profile_file:
        console.print(
            own.settings_table(chosen.profile, given.chosen, chosen.options.profile_file, chosen.options.steps)
        )
    console.print(plan_table(plan, title=f"{chosen.suite.name}: {chosen.suite.title_in(chosen.profile)}"))
    overrides = overrides_table(chosen.profile, _method_names(plan))
    if overrides:
        console.print(overrides)
    _say(console, _summary(plan, chosen.options.jobs))
    if obstacle:
        _say(console, f"it can be planned, not run: {obstacle}")
    elif given.show_prompts:
        _show_prompts(plan, chosen.options.results, console)
    return 0


def _show_prompts(plan: Sequence[PlannedRun], root: Path, console: Console) -> None:
    from harness.runs import prompts

    for title, text in prompts.shown((run.spec for run in plan), root):
        console.rule(title, align="left")
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def _obstacle(chosen: Selection, plan: Sequence[PlannedRun]) -> str:
    """Why the profile cannot run here; empty if it can, and then worlds and evaluations must be known."""
    try:
        check_profile(chosen.profile)
        check_draws(chosen.profile, plan)
        check_adapters(plan)
        check_kernels(plan)
    except HarnessError as error:
        return str(error)
    check_worlds(plan)
    check_evaluations(plan)
    check_further(chosen.profile)
    own.check_models(chosen.profile)
    return ""


def _run(given: argparse.Namespace) -> int:
    from harness.runs.local import LaunchReport

    chosen, console, start = select(given), _console(), time.monotonic()
    done = LaunchReport()
    if chosen.options.source == "runs":
        _say_meant(chosen, given.jobs, console)
        plan = chosen.plan()
        _say_if(console, own.without_p(chosen.profile, _method_names(plan)))
        _say(console, f"{chosen.suite.name}: {_summary(plan, chosen.options.jobs)}")
        done = _launch(plan, chosen, console)
    for part, rows, costs in _loaded(chosen, console):
        if rows.empty and part.options.source != "paper":
            _say(console, f"{part.suite.name}: {NOTHING_DONE}")
        else:
            _show(part, rows, costs, console)
    if isinstance(chosen.suite, Together):
        _show_claims(chosen, console)
    _say(console, _times(done, time.monotonic() - start))
    return _outcome(done, console)


def _tune(given: argparse.Namespace) -> int:
    return _run(argparse.Namespace(**vars(given), suite=registry.tuning_suite()))


def _show(chosen: Selection, rows: DataFrame, costs: DataFrame, console: Console) -> None:
    """Tables and figures, written and printed; then ours beside the published."""
    from harness.report import output

    with output.of_selection(chosen.reports, chosen.options) as wrote:
        wrote += output.emit(chosen.suite, rows, costs, chosen.options, chosen.reports, console=console)
    _wrote(console, wrote)
    _say_if(console, chosen.suite.elsewhere([path.stem for path in wrote]))
    if chosen.options.source == "runs":
        _compare(chosen, rows, console)


def _evaluate(given: argparse.Namespace) -> int:
    chosen, console = select(given), _console()
    _say_if(console, capped(given.jobs))
    plan = chosen.plan()
    untrained = [run.spec.id for run in missing(plan) if not _is_trained(run, chosen.options)]
    if untrained:
        _say(console, f"{len(untrained)} runs are not trained: `dopd run` with the same flags trains them")
    return _outcome(_launch([run for run in plan if run.spec.id not in untrained], chosen, console), console)


def _is_trained(run: PlannedRun, options: Options) -> bool:
    """To its last step, and the models it was made of are there to evaluate it with."""
    runs = (*makings(run.spec), run.spec)
    return all(RunFolder(options.results, spec).last_step() == spec.steps for spec in runs)


def _table(given: argparse.Namespace) -> int:
    from harness.report import output

    chosen, console = select(given), _console()
    for part, rows, costs in _to_show(chosen, console):
        tables = output.tables_of(part.suite, rows, costs, part.options)
        with output.of_selection(part.reports, part.options) as wrote:
            wrote += output.write_tables(tables, part.reports, console=console)
        _wrote(console, wrote)
    return 0


def _figure(given: argparse.Namespace) -> int:
    from harness.report import output

    chosen, console = select(given), _console()
    for part, rows, costs in _to_show(chosen, console):
        figures = part.suite.figures(rows, costs, part.options)
        with output.of_selection(part.reports, part.options) as wrote:
            wrote += output.write_figures(figures, part.reports)
        _wrote(console, wrote)
        _say_if(console, part.suite.elsewhere(tuple(figures)))
        if not figures and part.options.source == "paper":
            _say(
                console, f"{part.suite.name}: what the paper states is numbers without a picture: dopd table shows them"
            )
    return 0


def _claims(given: argparse.Namespace) -> int:
    chosen = select(argparse.Namespace(**vars(given), suite=ALL))
    require_runs(chosen)
    _show_claims(chosen, _console())
    return 0


def _report(given: argparse.Namespace) -> int:
    from harness.report import web

    profile = registry.profile(given.profile or registry.default_profile())
    options = Options(suite=ALL, profile=profile.name, results=given.results, source=given.source)
    require_runs(Selection(suite=registry.suite(ALL), profile=profile, options=options))
    options = replace(options, suite="")
    _wrote(_console(), [web.write(given.output, profile, options)])
    return 0


def _export(given: argparse.Namespace) -> int:
    from harness.evaluation import evaluate

    names = () if given.benchmarks == "all" else (given.benchmarks,)
    _wrote(_console(), evaluate.export(given.out, *names))
    return 0


def _publish(given: argparse.Namespace) -> int:
    from harness.report import publish

    chosen, console = select(given), _console()
    say = partial(_say, console)
    for part in chosen.parts():
        try:
            _wrote(console, publish.publish(part.suite, part.profile, part.options, replace=given.replace, say=say))
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
        f"edit both, run the test (nox -s tests -- -n 0 {test}), then try it: dopd run --suite ood --plugin {method} "
        f"--methods {method.stem},vanilla_opd --seeds 1",
    )
    return 0


def _suites_new(given: argparse.Namespace) -> int:
    console = _console()
    suite, test = skeleton.write_suite(given.name, given.out)
    _wrote(console, (suite, test))
    _say(
        console,
        f"edit both, run the test (nox -s tests -- -n 0 {test}), then try it: dopd run --suite {suite} --seeds 1 "
        "--steps 4",
    )
    return 0


def _suites(given: argparse.Namespace) -> int:
    table = Table("name", "what it tests")
    for name in registry.suites():
        table.add_row(name, registry.suite(name).title)
    _console().print(table)
    return 0


def _profile(given: argparse.Namespace) -> int:
    table = Table("name", "student", "teacher", "modality")
    for name in registry.profiles():
        found = registry.profile(name)
        table.add_row(name, found.student.name, found.teacher.name, found.modality.value)
    _console().print(table)
    return 0


def _profile_new(given: argparse.Namespace) -> int:
    console = _console()
    path = profile_file.write(given.name, given.out, given.chosen, given.steps)
    _wrote(console, [path])
    first = next(iter(registry.suites()))
    _say(console, f"read it, change what you like, then: dopd plan --suite {first} --profile {path} --seeds 1")
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
    "suites new": _suites_new,
    "profile": _profile,
    "profile new": _profile_new,
}


def _launch(plan: Sequence[PlannedRun], chosen: Selection, console: Console) -> LaunchReport:
    from harness.runs.local import launch

    if plan:
        check_profile(chosen.profile)
        check_draws(chosen.profile, plan)
        check_adapters(plan)
        check_kernels(plan)
        check_worlds(plan)
        check_evaluations(plan)
        check_further(chosen.profile)
        own.check_models(chosen.profile)
        if not chosen.options.force:
            check_code(plan, chosen.options.results)
        _try_new(plan, chosen, console)
        _try_models(plan, chosen, console)
    _take_published(plan, chosen.options)
    return launch(plan, chosen.options, console=console)


def _take_published(plan: Sequence[PlannedRun], options: Options) -> None:
    """Makes the references done whose rows are published; with ``--force`` they are evaluated here."""
    left = [run for run in plan if run.state is RunState.PUBLISHED and run.spec.is_reference and not options.force]
    for run in left:
        folder = RunFolder(options.results, run.spec)
        if references.published(folder, run.wanted, options):  # else it is reused, and stays where it is
            references.take(folder, run.wanted, options)


def _try_new(plan: Sequence[PlannedRun], chosen: Selection, console: Console) -> None:
    """Two steps on two prompts of each method from outside that no run of the plan has yet, before anything else.

    Raises:
        HarnessError: one fails; nothing has been evaluated or trained.
    """
    from harness.runs import local

    foreign = [r.spec for r in plan if r.spec.method and r.spec.method.source_sha256 and not any(makings(r.spec))]
    new = {spec.method.name: spec for spec in reversed(foreign) if spec.method}
    for name in {run.spec.method.name for run in plan if run.spec.method and run.state is not RunState.ABSENT}:
        new.pop(name, None)
    if not new:
        return
    _say(console, f"trying {', '.join(new)} on two prompts")
    small = [replace(spec, steps=2, prompts_per_step=2, start="") for spec in new.values()]
    trial = [PlannedRun(spec=spec, state=RunState.ABSENT, wanted=(), estimate_seconds=0.0) for spec in small]
    with tempfile.TemporaryDirectory() as folder:
        options = replace(chosen.options, results=Path(folder), minutes=None)
        done = local.launch(trial, options, console=console, what="trial")
    for reason in done.failed.values():
        raise HarnessError(f"on two prompts, before anything was evaluated: {reason.partition(' (traceback')[0]}")


def _try_models(plan: Sequence[PlannedRun], chosen: Selection, console: Console) -> None:
    """Each pair of models of the user's own that no run of the plan has yet, loaded and looked at with its data.

    Raises:
        HarnessError: a run of it would be refused; nothing has been evaluated or trained.
    """
    from harness.runs import local

    if not (chosen.options.own or chosen.options.profile_file):
        return
    trained = [run for run in plan if run.spec.method and not run.spec.start and not any(makings(run.spec))]
    known = {run.spec.models for run in trained if run.state is not RunState.ABSENT}
    new = {run.spec.models: run.spec for run in reversed(trained) if run.spec.models not in known}
    if not new:
        return
    _say(console, "looking at the models together, before anything is evaluated")
    trial = [PlannedRun(spec=spec, state=RunState.ABSENT, wanted=(), estimate_seconds=0.0) for spec in new.values()]
    with tempfile.TemporaryDirectory() as folder:
        options = replace(chosen.options, results=Path(folder), minutes=None)
        done = local.launch(trial, options, console=console, target=local.REHEARSAL, what="models")
    for reason in done.failed.values():
        raise HarnessError(reason.partition(" (traceback")[0])


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


def _to_show(chosen: Selection, console: Console) -> Iterator[tuple[Selection, DataFrame, DataFrame]]:
    """As ``_loaded``, without suites of which no run is done.

    Raises:
        HarnessError: this machine's runs are asked for, and none is there, or none is done.
    """
    require_runs(chosen)
    nothing = True
    for part, rows, costs in _loaded(chosen, console):
        if rows.empty and chosen.options.source == "runs":
            if part is not chosen:
                _say(console, f"{part.suite.name}: {NOTHING_DONE}")
            continue
        nothing = False
        yield part, rows, costs
    if nothing and chosen.options.source == "runs":
        raise HarnessError(
            f"none of the runs asked for is done in {chosen.options.results / RUNS}: `dopd run` with the same flags "
            "goes on with them; or give another folder with --results"
        )


def _show_claims(chosen: Selection, console: Console) -> None:
    """The paper's claims with their verdicts, printed and written; the paper's own numbers decide none."""
    from harness.report import output
    from harness.show import verdicts

    if chosen.options.source == "paper":
        return
    decisions = registry.claims(chosen.profile, chosen.options)
    console.print(verdicts.summary(decisions, chosen.profile.name, chosen.options.selection))
    table = verdicts.claims_table(decisions, chosen.profile.name, chosen.options.selection)
    folder = chosen.reports.with_name(chosen.reports.name.replace(ALL, "claims", 1))
    _wrote(console, output.write_tables([table], folder))


def _compare(chosen: Selection, rows: DataFrame, console: Console) -> None:
    """Prints our rows beside the published ones, or why there are none."""
    from harness.analysis import results
    from harness.report import output

    try:
        published = results.published_rows(chosen.profile, chosen.options)
    except HarnessError as error:
        if chosen.profile.name in registry.shipped_profiles():  # of the user's own they are there if they made them
            _say(console, f"no comparison with published rows: {error}")
        return
    copied = references.copied(chosen.suite.runs(chosen.profile, chosen.options), chosen.options)
    table, said = output.compare(rows.loc[~rows["run"].isin(copied)], published)
    if table:
        console.print(table)
    for line in said:
        _say(console, line)


def _summary(plan: Sequence[PlannedRun], jobs: int) -> str:
    """``24 runs: 20 done, 4 absent (3 made by other code); about 6 min on 2 workers``."""
    published = [run for run in plan if run.state is RunState.PUBLISHED]
    references_only = {RunState.PUBLISHED: f"reference{'s' * (len(published) > 1)} from published rows"}
    named = references_only if all(run.spec.is_reference for run in published) else {}
    left = missing(plan)
    work = f"about {duration(makespan(left, jobs))} on {jobs} worker{'s' * (jobs > 1)}" if left else "nothing to do"
    again = Counter(run.again for run in plan if run.again)
    notes = [told(run.made for run in plan), *(f"{n} published, made again: {why}" for why, n in again.items())]
    said = "; ".join(filter(None, notes))
    return f"{len(plan)} runs: {states(plan, named) or 'none'}{f' ({said})' if said else ''}; {work}"


def _times(report: LaunchReport, wall_seconds: float) -> str:
    """Minutes of installation (nox tells), training and evaluation of this call."""
    install = float(os.environ.get(INSTALL_SECONDS, "0"))
    return (
        f"installation {install / 60:.1f} min, training {report.train_seconds / 60:.1f} min, evaluation "
        f"{report.evaluation_seconds / 60:.1f} min (the last two summed over workers), this command "
        f"{wall_seconds / 60:.1f} min"
    )


def _outcome(report: LaunchReport, console: Console) -> int:
    """Lists what was not started and what failed, a reason once; the exit code."""
    if report.left:
        _say(console, f"{len(report.left)} runs not started, the minutes were over: the same command goes on")
    runs: dict[str, list[str]] = {}
    for run, reason in report.failed.items():
        runs.setdefault(reason, []).append(run)
    for reason, (first, *others) in runs.items():
        more = f"; so did {', '.join(others)}" if others else ""
        print(f"{registry.PROGRAM}: run {first} failed: {reason}{more}", file=sys.stderr)
    return EXIT_FAILED if report.failed else 0


def _wrote(console: Console, paths: Sequence[Path]) -> None:
    for path in paths:
        _say(console, f"wrote {path}")


def _console() -> Console:
    """Standard output; wide where it is a file or a pipe, so that ids are not cut."""
    return Console(width=None if sys.stdout.isatty() else WIDTH, emoji=False)


def _method_names(plan: Sequence[PlannedRun]) -> list[str]:
    """Registry names, each once."""
    return list(dict.fromkeys(run.spec.method.name for run in plan if run.spec.method))


def _say_meant(chosen: Selection, jobs: int, console: Console) -> None:
    """Which seeds a count means, which suites are left out, how many workers there will be, before anything is run."""
    _say_if(console, meant(chosen.options.seeds or ()))
    _say_if(console, chosen.left_out())
    _say_if(console, own.known_problems(chosen.profile))
    _say_if(console, capped(jobs))


def _say_if(console: Console, text: str) -> None:
    if text:
        _say(console, text)


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
