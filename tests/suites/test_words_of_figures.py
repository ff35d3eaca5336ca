"""Every figure of every suite, of text and of pictures: a finding first, n and unit said, short, and no code names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from support.synthetic import frames

from harness import registry
from harness.config import RunSpec
from harness.suite import Evaluation, Options
from suites.profiles import PROFILES

LONGEST = 640
"""Characters of a caption: four to six lines at the width of a page."""
CODE = re.compile(r"[a-z0-9]+_[a-z0-9]+|\b\w+/\w+/\d+")
"""A name of a benchmark, a method or a problem as it is written in code."""
SHOWN = [
    (profile, suite)
    for profile in PROFILES
    if profile in ("embedded", "embedded_vlm")
    for suite in registry.suites()
    if registry.profile(profile).holds(suite) and not registry.suite(suite).lacks(registry.profile(profile))
]


def score(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    """Each method has its own, and each seed moves it."""
    if spec.method is None:
        return 0.45
    return 0.4 + 0.01 * (sum(map(ord, spec.id.rpartition("-")[0])) % 7) + 0.004 * (spec.seed % 5) ** 2


def drawn(profile: str, suite: str, root: Path, seeds: tuple[int, ...], lost: int = 0) -> dict[str, Figure]:
    made, known = registry.suite(suite), registry.profile(profile)
    options = Options(suite=suite, profile=profile, seeds=seeds, results=root, published=root / "published")
    runs = [spec for spec in made.runs(known, options) if spec.method]
    rows, costs = frames(options, score, suite=made, profile=known, skip=runs[:lost])
    return dict(made.figures(rows, costs, options))


def words(figure: Figure) -> Iterator[str]:
    for text in figure.findobj(Text):
        yield re.sub(r"\$[^$]*\$", "", " ".join(text.get_text().split()))  # mathematics is no code


def caption(figure: Figure) -> str:
    return " ".join(figure.texts[-1].get_text().split())


@pytest.mark.slow
@pytest.mark.parametrize(("profile", "suite"), SHOWN)
def test_words(profile: str, suite: str, tmp_path: Path) -> None:
    unit = "draws" if registry.profile(profile).draws else "seeds"
    for stem, figure in drawn(profile, suite, tmp_path, (0, 1, 2)).items():
        assert [each for each in words(figure) if CODE.search(each)] == [], stem
        said, title = caption(figure), " ".join(figure.get_suptitle().split())
        assert len(said) <= LONGEST, (stem, len(said), said)
        assert "exceeds" not in said and "{" not in said + title, stem
        if suite != "trajectory":  # of one run: nothing is repeated, and without records nothing is shown
            one = suite == "tuning" and unit == "draws"  # three seeds of the development draw
            assert ("one draw, so no interval" if one else f"over 3 {unit}") in said, (stem, said)
            assert ": " in title, (stem, title)
        other = {"draws": "seeds", "seeds": "draws"}[unit]
        assert not re.search(rf"\d {other}|over {other}|dots {other}", said), (stem, said)


@pytest.mark.slow
@pytest.mark.parametrize(("profile", "suite"), [each for each in SHOWN if each[1] != "tuning"])
def test_a_figure_of_some_of_the_runs_says_so_in_its_title(profile: str, suite: str, tmp_path: Path) -> None:
    for stem, figure in drawn(profile, suite, tmp_path, (0, 1), lost=1).items():
        assert "(partial: " in " ".join(figure.get_suptitle().split()), stem


@pytest.mark.slow
@pytest.mark.parametrize(("profile", "suite"), SHOWN)
def test_a_single_run_has_no_half_of_an_interval(profile: str, suite: str, tmp_path: Path) -> None:
    for stem, figure in drawn(profile, suite, tmp_path, (0,)).items():
        assert "±" not in caption(figure), stem


def test_what_is_code_is_found() -> None:
    for name in ("permutations_general", "general/test/0 right", "wrong_steps"):
        assert CODE.search(name), name
    for name in ("β_w = 0.3", "coding → reasoning", "w/o teacher", "Priv. T→S", "_", "HT at four times (β / 4)"):
        assert not CODE.search(name), name


def test_every_kind_of_profile_is_asked() -> None:
    assert {profile for profile, _ in SHOWN} == {"embedded", "embedded_vlm"}
