"""Untrained models whose rows are published: used as they are, shipped weights are not evaluated again. No torch.

Only a reference run, which has no method and no training, and only where everything that decides its rows is equal:
the whole spec, with the sha256 of the weights; the weights on this machine, whose hash is taken; of every evaluation
that is wanted the benchmark, its version and its decoding; and the code, where it is known: rows of earlier code are
taken, and told of as such. Otherwise it is evaluated here, as it is with ``--force``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from harness.config import RunSpec
from harness.models import sources
from harness.storage import published_folder
from harness.storage.code import MadeBy, code_of, of_rows
from harness.storage.published_folder import SCHEMA
from harness.storage.run_folder import RunFolder, answered, asked
from harness.suite import Evaluation, Options, Suite, Together
from harness.types import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A published suite and what it has of what a run misses."""

    folder: Path
    rows: list[Row]


def published(folder: RunFolder, wanted: Sequence[Evaluation], options: Options) -> list[Source]:
    """Rows of everything that the reference misses, the suite's own first; none if not all of it is published.

    Raises:
        HarnessError: a published file is damaged.
    """
    spec, here = folder.spec, code_of(folder.spec)
    missing = {asked(evaluation, spec) for evaluation in folder.missing(wanted)}
    if not missing or not spec.is_reference or not sources.is_here(spec.student):
        return []
    found: list[Source] = []
    for path in _folders(options, spec.profile):
        rows = [r for r in published_folder.rows_of(path, spec) if answered(r) in missing and r.schema == SCHEMA]
        if rows and of_rows(rows, here) is not MadeBy.OTHER:
            found.append(Source(folder=path, rows=rows))
            missing -= {answered(row) for row in rows}
        if not missing:
            return found
    return []


def take(folder: RunFolder, wanted: Sequence[Evaluation], options: Options) -> None:
    """Copies what ``published`` finds and makes the reference done.

    Raises:
        HarnessError: another process writes the run, or it is not all published any more.
    """
    with folder.lock():
        for source in published(folder, wanted, options):
            name = source.folder.relative_to(options.published).as_posix()
            made_in = published_folder.environments_of(source.folder, folder.spec.id)
            folder.take_published(source.rows, name, made_in)
        folder.mark_done(wanted)


def copied(specs: Iterable[RunSpec], options: Options) -> list[str]:
    """Ids of the runs that hold published rows: to compare those with what is published would say nothing."""
    return [spec.id for spec in specs if RunFolder(options.results, spec).published()]


def shown(suite: Suite) -> Set[str]:
    """Evaluations whose single responses the suite shows, which are made here: rows alone would not do."""
    parts = suite.suites if isinstance(suite, Together) else (suite,)
    return {name for part in parts for name in part.published_samples}


def _folders(options: Options, profile: str) -> Iterator[Path]:
    every = sorted((options.published / profile).glob(f"*/{published_folder.ROWS_FILE}"))
    yield from sorted((path.parent for path in every), key=lambda path: path.name != options.folder)
