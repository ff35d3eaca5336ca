"""Runs whose rows are published, in the place of runs (``--reuse published``). No torch.

A run counts as made where every row that is wanted of it is published by the suite that wants it. It is made again
where more than rows is needed: its weights by a run that is to be made, or its single responses by a suite.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from pathlib import Path

from harness.config import RunSpec
from harness.storage import published_folder
from harness.storage.run_folder import answered, asked
from harness.suite import Evaluation, Options, Profile, Suite, Together
from harness.types import Cost, Row

WEIGHTS = "a run to be made needs its weights"
RESPONSES = "a suite shows its responses"


def folder(profile: Profile, options: Options) -> Path:
    """Of what is published of the suite that the options name."""
    return options.published / profile.name / options.folder


def rows(profile: Profile, options: Options) -> defaultdict[str, list[Row]]:
    """What is published of the suite that the options name, by run; none of a run that is not.

    Raises:
        HarnessError: the file is damaged.
    """
    path = folder(profile, options) / published_folder.ROWS_FILE
    found: dict[str, list[Row]] = defaultdict(list)
    for row in published_folder.read_rows(path) if path.is_file() else ():
        found[row.run].append(row)
    return found


def costs(profile: Profile, options: Options) -> dict[str, Cost]:
    """The same of costs."""
    found = published_folder.read_costs(folder(profile, options) / published_folder.COSTS_FILE)
    return {cost.run: cost for cost in found}


def published(suite: Suite, profile: Profile, options: Options) -> dict[str, list[Row]]:
    """Rows of the suite's runs of which all that is wanted is published.

    Raises:
        HarnessError: a file is damaged.
    """
    if not isinstance(suite, Together):
        have = rows(profile, options)
        specs = {spec.id: spec for spec in suite.runs(profile, options)}
        return {run: have[run] for run, spec in specs.items() if _all_there(have[run], spec, suite.evaluations(spec))}
    found: dict[str, list[Row]] = defaultdict(list)
    lacking: set[str] = set()
    for part in suite.of(profile):
        chosen = part.wholly(options)
        whole = published(part, profile, chosen)
        lacking |= {spec.id for spec in part.runs(profile, chosen)} - whole.keys()
        for run, of_run in whole.items():
            found[run] += of_run
    return {run: of_run for run, of_run in found.items() if run not in lacking}


def _all_there(have: Iterable[Row], spec: RunSpec, wanted: Iterable[Evaluation]) -> bool:
    return {asked(evaluation, spec) for evaluation in wanted} <= {answered(row) for row in have}


def made_again(
    specs: Mapping[str, RunSpec], to_do: Iterable[str], published: Set[str], shown: Set[str]
) -> dict[str, str]:
    """Of the published runs those that are made all the same, with the reason.

    Args:
        specs: every run of the plan.
        to_do: those of which something is left to do here.
        shown: those of which a suite shows responses.
    """
    left = set(to_do)
    again = dict.fromkeys(left & published & shown, RESPONSES)
    todo = [run for run in left if run not in published or run in again]
    while todo:
        new = (specs[todo.pop()].needs & left & published) - again.keys()
        again |= dict.fromkeys(new, WEIGHTS)
        todo += new
    return again
