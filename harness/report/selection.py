"""Which runs are shown where the user selects none. No torch.

Of the runs on this machine that is the suite's default selection. What was published may be more (``--methods``,
``--seeds``, ``--train-domains``), and all of it is shown: the selection is read off the published specs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from harness.analysis import results
from harness.storage import files
from harness.storage.published_folder import RESTORE, SPECS_FILE
from harness.suite import Options, Profile, Suite
from harness.types import HarnessError


def published_specs(folder: Path) -> list[dict[str, Any]]:
    """Runs of one published suite as plain values, each with its id under ``run``; none if there are none.

    Raises:
        HarnessError: the file is damaged.
    """
    return files.read_jsonl(folder / SPECS_FILE, cure=RESTORE)


def as_published(suite: Suite, profile: Profile, options: Options) -> Options:
    """The options under which the suite plans most of its published runs and the fewest others.

    Raises:
        HarnessError: the suite refuses its default selection and every other; the published specs are damaged.
    """
    return fitting(suite, profile, options, published_specs(options.published / profile.name / options.folder))


def fitting(suite: Suite, profile: Profile, options: Options, specs: Sequence[Mapping[str, Any]]) -> Options:
    """The options under which the suite plans most of these runs and the fewest others; these, if they do.

    Args:
        specs: runs as plain values, each with its id under ``run``.

    Raises:
        HarnessError: the suite refuses the options that are given and every selection of these runs.
    """
    have = [str(spec["run"]) for spec in specs]

    def fit(chosen: Options) -> tuple[int, int]:
        planned = {spec.id for spec in suite.runs(profile, chosen)}
        found = len(results.match_runs(planned, have))
        return found, found - len(planned)

    best, best_fit, refused = options, (-1, 0), None
    for chosen in (options, *_selections(options, specs)):
        try:
            this = fit(chosen)
        except HarnessError as error:
            # What was published names something that this suite does not take as a flag; or not every default method
            # has what is asked for, a tuned rate.
            refused = refused or error
            continue
        if this > best_fit:
            best, best_fit = chosen, this
        if best_fit == (len(have), 0):
            break
    if best_fit[0] < 0 and refused is not None:
        raise refused
    return best


def _selections(options: Options, specs: Sequence[Mapping[str, Any]]) -> Iterator[Options]:
    """``options`` with methods, seeds and domains of the specs, alone and together."""
    trained = [spec for spec in specs if spec["method"] and spec["data"]]
    found: dict[str, tuple[Any, ...]] = {
        "methods": tuple(dict.fromkeys(spec["method"]["name"] for spec in trained)),
        "seeds": tuple(sorted({spec["seed"] for spec in trained})),
        "train_domains": tuple(dict.fromkeys(name for spec in trained for name in spec["data"]["domains"])),
    }
    given = {name: values for name, values in found.items() if values}
    for size in range(1, len(given) + 1):
        for names in combinations(given, size):
            yield dataclasses.replace(options, **{name: given[name] for name in names})
