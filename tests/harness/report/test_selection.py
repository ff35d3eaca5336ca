"""Which options show what was published, where the default ones are not taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.synthetic import PROFILE, SUITE, options

from harness.config import to_json
from harness.report.selection import fitting
from harness.suite import Options
from harness.types import HarnessError


class Picky:
    """``ood`` for those who name their methods, as a suite at tuned rates of which some methods have none."""

    name = "ood"

    def runs(self, profile: Any, chosen: Options) -> list[Any]:
        if chosen.methods is None:
            raise HarnessError("no tuned learning rate of uni_opd is published")
        return SUITE.runs(profile, chosen)


def test_a_part_is_shown_where_the_default_methods_are_refused(tmp_path: Path) -> None:
    part = options(tmp_path, methods=("dopd", "vanilla_opd"), seeds=(0, 1))
    specs = [{**to_json(spec), "run": spec.id} for spec in SUITE.runs(PROFILE, part)]
    found = fitting(Picky(), PROFILE, options(tmp_path, methods=None, seeds=None), specs)  # type: ignore[arg-type]
    assert found.methods is not None and set(found.methods) == {"dopd", "vanilla_opd"} and found.seeds == (0, 1)


def test_a_suite_that_takes_none_says_why(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="no tuned learning rate of uni_opd"):
        fitting(Picky(), PROFILE, options(tmp_path, methods=None), [])  # type: ignore[arg-type]
