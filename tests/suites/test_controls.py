"""Controls: what each arm is told and by whom, numbers by hand, the better teacher that is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support import synthetic

from harness import registry
from harness.config import RunSpec, makings
from harness.show.tables import Cell, Table
from harness.suite import Evaluation, Options
from harness.types import Corruption, HarnessError
from harness.worlds import world_of
from suites.profiles.embedded import BETTER

PROFILE = registry.profile("embedded")
SUITE = registry.suite("controls")


def options(root: Path, **changes: Any) -> Options:
    return Options(suite="controls", profile="embedded", results=root, **changes)


def score(spec: RunSpec, evaluation: Evaluation, _: str) -> float:
    """Useful p is worth 10 points, the better teacher 20; each draw a thousandth of that more."""
    assert spec.data is not None and spec.data.draw is not None
    if spec.method is None:
        return {"s": 0.5, "t": 0.65, "b": 0.8}[spec.student.name.removeprefix("permutations_")[0]]
    assert spec.teacher is not None
    gain = 0.2 if spec.teacher.name.startswith("better") else 0.0
    useful = spec.data.privilege == "hints" and not spec.data.corrupted
    if useful and spec.method.name in ("privileged_teacher", "dopd"):
        gain = 0.1
    return 0.6 + gain * (1 + 0.001 * spec.data.draw)


def cells(table: Table, block: str, label: str) -> dict[str, Cell]:
    (line,) = (line for line in table.lines if (line.block, line.label) == (block, label))
    return dict(zip((column.key for column in table.columns), line.cells, strict=True))


def test_what_every_arm_is_told(tmp_path: Path) -> None:
    arms = {arm.key: arm.specs[2] for arm in SUITE.arms(PROFILE, options(tmp_path))}  # pyright: ignore[reportAttributeAccessIssue]
    told = {key: (s.data.privilege, s.data.corruption, s.data.corrupted) for key, s in arms.items() if s.data}
    right = ("hints", Corruption.NONE, 0.0)
    for method in ("privileged_teacher", "dopd"):
        assert told[f"right/{method}"] == right
        assert told[f"useless/{method}"] == ("masked_hints", Corruption.NONE, 0.0)
        assert told[f"wrong/{method}"] == ("hints", Corruption.OTHER_EXAMPLE, 1.0)
    assert {key for key in told if told[key] == right} == {
        *("plain/vanilla_opd", "right/privileged_teacher", "right/dopd", "better/vanilla_opd", "none/no_teacher")
    }
    default = PROFILE.in_draw(2)
    assert {key for key, spec in arms.items() if spec.teacher != default.teacher} == {"better/vanilla_opd"}
    assert {spec.student for spec in arms.values()} == {default.student}


def test_useless_p_says_all_that_only_p_tells_and_no_choice() -> None:
    (example,) = world_of(PROFILE.in_draw(0).data).examples(PROFILE.in_draw(0).data, "train", 1)
    hints, useless = (str(example.privileged[kind]).split() for kind in ("hints", "masked_hints"))
    assert len(hints) == len(useless) and not {"A", "B"} & {*useless}
    codes = [word for word in hints if word.startswith("k")]
    assert codes == [word for word in useless if word.startswith("k")] and {"A", "B"} & {*hints}


def test_the_better_teacher_is_one_mind_a_draw(tmp_path: Path) -> None:
    specs = SUITE.runs(PROFILE, options(tmp_path))
    made = {each.id: each for spec in specs for each in makings(spec)}
    assert len(made) == 3 and len([spec for spec in specs if spec.method]) == 9 * 3
    assert sum(spec.is_reference and spec.student.made is not None for spec in specs) == 3
    (one, *_) = made.values()
    assert one.recipe and registry.build_recipe(one.recipe).mind == BETTER  # pyright: ignore[reportAttributeAccessIssue]
    assert BETTER.depth == 7 and BETTER.mistaken["result"] == (0.12, 0.16)


def test_numbers_by_hand(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    frames = synthetic.frames(chosen, score, suite=SUITE, profile=PROFILE)
    (made,) = SUITE.tables(*frames, chosen)
    for label in ("Priv. T→S", "DOPD"):
        assert cells(made, "the right p", label)["difference"].value == pytest.approx(10.01)
        assert cells(made, "useless p", label)["difference"].value == pytest.approx(0)
        assert cells(made, "another problem's p", label)["difference"].value == pytest.approx(0)
    assert cells(made, "a better teacher, no p", "Vanilla OPD")["difference"].value == pytest.approx(20.02)
    assert cells(made, "not trained", "Better teacher")["score"].value == pytest.approx(80)
    assert list(SUITE.figures(*frames, chosen)) == ["controls"]


def test_a_profile_without_controls_is_told(tmp_path: Path) -> None:
    pictures = registry.profile("embedded_vlm")
    with pytest.raises(HarnessError, match="suite controls needs the field controls of profile embedded_vlm"):
        SUITE.runs(pictures, Options(suite="controls", profile="embedded_vlm", results=tmp_path))
