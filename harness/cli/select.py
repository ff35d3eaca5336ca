"""What the flags of a suite's verb mean: a suite, a profile and options. No torch."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness import registry
from harness.cli import own
from harness.cli.flags import cores
from harness.cli.waiting import shown_when_slow
from harness.report import selection
from harness.runs.plan import PlannedRun, planned
from harness.storage import published_folder, run_folder
from harness.suite import SHIPPED, Options, Profile, Suite, Together
from harness.types import HarnessError

if TYPE_CHECKING:
    from pandas import DataFrame


NEW = "profile new"
"""The verb whose flags are written to a file, not used."""


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
        """The suite's runs and their states; what takes long is shown to a terminal."""
        with shown_when_slow() as track:
            return planned(self.suite, self.profile, self.options, self.options.results, track)

    def parts(self) -> list[Selection]:
        """Each suite of ``--suite all``; this one alone otherwise."""
        if not isinstance(self.suite, Together):
            return [self]
        o = self.options
        return [
            replace(self, suite=s, options=replace(o, suite=s.name) if o.source == "published" else s.wholly(o))
            for s in self.suite.of(self.profile)
        ]

    def left_out(self) -> str:
        """A line on the suites of ``--suite all`` for which the profile lacks something; empty where it has all."""
        if not isinstance(self.suite, Together):
            return ""
        found = self.suite.left_out(self.profile)
        named = (f"{suite} (needs {', '.join(fields)})" for suite, fields in found.items())
        return f"left out, for what profile {self.profile.name} does not give: {', '.join(named)}" if found else ""

    def load(self) -> tuple[DataFrame, DataFrame]:
        """Rows and costs of one suite."""
        from harness.analysis import results

        return results.load(self.options.source, self.suite, self.profile, self.options)

    def as_published(self) -> Selection:
        """All that is published of one suite, where the user selected nothing."""
        o = self.options
        if o.source != "published" or any((o.methods, o.seeds, o.steps, o.train_domains)):
            return self
        return replace(self, options=selection.as_published(self.suite, self.profile, o))


def load_files(given: argparse.Namespace) -> None:
    """Reads the user's files: methods of ``--plugin``, then ``--profile``, in whose place its name is put, and what
    other flags make of it (``harness.cli.own``).

    Raises:
        HarnessError: one cannot be read, or what a flag names is not there.
    """
    registry.forget_changes()
    if getattr(given, "plugin", None):
        registry.load_plugin(given.plugin)
    named = str(getattr(given, "profile", None) or "")
    given.profile_file = Path(named).resolve() if named.endswith(".py") else None
    if given.profile_file:
        given.profile = registry.load_profile(given.profile_file).name
    given.chosen = own.given_flags(given)
    if given.chosen and given.verb != NEW:
        base = registry.profile(given.profile) if given.profile else None
        given.own = own.profile(given.chosen, base, steps=getattr(given, "steps", None))
        registry.use_profile(given.own)
        given.profile = given.own.name


def select(given: argparse.Namespace) -> Selection:
    """Names looked up, options as a value.

    Raises:
        HarnessError: an unknown name, near names offered.
    """
    suite, profile = registry.suite(given.suite), registry.profile(given.profile or registry.default_profile())
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
        jobs=min(getattr(given, "jobs", 1), cores()),
        minutes=getattr(given, "minutes", None),
        results=given.results,
        source=getattr(given, "source", "runs"),
        **published(given, profile),
        plugin=given.plugin.resolve() if given.plugin else None,
        profile_file=getattr(given, "profile_file", None),
        own=getattr(given, "own", None),
        flags=own.as_flags(getattr(given, "chosen", {})),
        force=getattr(given, "force", False),
        reuse=getattr(given, "reuse", ""),
    )
    if options.learning_rate == "tuned" and "rate" in getattr(given, "chosen", {}):
        raise HarnessError("--rate is one rate for all, --learning-rate tuned each method's own: give one of the two")
    if options.force and options.reuse:
        raise HarnessError("--force trains anew what --reuse takes as made: give one of the two")
    return Selection(suite=suite, profile=profile, options=options)


def published(given: argparse.Namespace, profile: Profile) -> dict[str, Path]:
    """The field of the options, where it is not its default: an installed package is only read.

    Then what is published goes to the folder of ``--results``, and is read there once something is.
    """
    own = any((given.results / profile.name).glob(f"*/{published_folder.ROWS_FILE}"))
    shown = getattr(given, "source", "runs") == "published" and own
    return {"published": given.results} if SHIPPED.is_dir() and (given.verb == "publish" or shown) else {}


def require_runs(chosen: Selection) -> None:
    """To be called before runs are shown: a folder without any is a wrong folder, not a table of what is missing.

    Raises:
        HarnessError: this machine's runs are asked for, and none of them is in the folder of ``--results``.
    """
    root = chosen.options.results
    if chosen.options.source != "runs":
        return
    there = run_folder.count(root)
    if not there:
        raise HarnessError(
            f"no runs in {root / run_folder.RUNS}: give the folder of your runs with --results, make some with "
            "`dopd run`, or use --from published"
        )
    planned = [] if isinstance(chosen.suite, Together) else chosen.suite.runs(chosen.profile, chosen.options)
    if planned and not any(run_folder.RunFolder(root, spec).path.exists() for spec in planned):
        raise HarnessError(
            f"none of the {len(planned)} runs asked for is in {root / run_folder.RUNS}, which holds {there} others: "
            "give the flags they were run with (--methods, --seeds, --steps), or another folder with --results"
        )
