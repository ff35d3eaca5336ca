"""Minds: joint errors are the overlap of intervals; beliefs; what contradicts itself is refused."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from harness.types import HarnessError
from harness.worlds.minds import (
    KNOWING,
    Beliefs,
    Class,
    Mind,
    balanced,
    cell_set,
    check_kinds,
    class_of,
    class_sizes,
)

CELLS = cell_set("sums", balanced(list(range(100)), "abcd", Random(1)), Random(2))
STUDENT = Mind(mistaken={"sums": (0.0, 0.2)}, hard=0.4, right=(0.8, 0.9), wrong=(0.6, 0.7))
TEACHER = Mind(mistaken={"sums": (0.15, 0.3)}, hard=0.4)


def test_values_are_balanced_and_every_distractor_is_wrong() -> None:
    assert [list(CELLS.right.values()).count(value) for value in "abcd"] == [25] * 4
    assert all(CELLS.distractor[cell] != value for cell, value in CELLS.right.items())
    assert set(CELLS.distractor.values()) == set("abcd")
    assert sorted(CELLS.rank.values()) == list(range(100))


def test_the_overlap_of_two_intervals_is_the_joint_error_table() -> None:
    sizes = class_sizes(STUDENT, TEACHER, CELLS)
    assert sizes == {Class.BOTH: 70, Class.TEACHER_ONLY: 15, Class.STUDENT_ONLY: 10, Class.NEITHER: 5}
    by_rank = sorted(CELLS.rank, key=CELLS.rank.__getitem__)
    found = [class_of(STUDENT, TEACHER, CELLS, cell) for cell in by_rank]
    expected = [Class.TEACHER_ONLY] * 15 + [Class.NEITHER] * 5 + [Class.STUDENT_ONLY] * 10 + [Class.BOTH] * 70
    assert found == expected


def test_beliefs_are_what_the_mind_says() -> None:
    beliefs = Beliefs(STUDENT, [CELLS], "a draw")
    by_rank = sorted(CELLS.rank, key=CELLS.rank.__getitem__)
    for i, cell in enumerate(by_rank):
        belief = beliefs.of("sums", cell)
        pair = (CELLS.distractor[cell], CELLS.right[cell])
        assert (belief.believed, belief.other) == (pair if i < 20 else pair[::-1])
        low, high = (0.6, 0.7) if i < 20 else (0.8, 0.9) if i < 40 else (1.0, 1.0)
        assert low <= belief.confidence <= high
    assert len({beliefs.of("sums", cell).confidence for cell in by_rank[:40]}) == 40  # drawn per cell
    assert Beliefs(STUDENT, [CELLS], "another").of("sums", by_rank[0]) != beliefs.of("sums", by_rank[0])


def test_a_belief_is_drawn_as_probable_as_it_is_held() -> None:
    cell = min(CELLS.rank, key=CELLS.rank.__getitem__)
    belief, rng = Beliefs(STUDENT, [CELLS], "a draw").of("sums", cell), Random(0)
    drawn = [belief.drawn(rng) for _ in range(4000)]
    assert abs(drawn.count(belief.believed) / 4000 - belief.confidence) < 0.03
    assert set(drawn) == {belief.believed, belief.other}
    certain = Beliefs(KNOWING, [CELLS], "a draw").of("sums", cell)
    assert {certain.drawn(rng) for _ in range(100)} == {CELLS.right[cell]}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"mistaken": {"sums": (0.2, 0.2)}}, "0 <= start < end <= 1"),
        ({"mistaken": {"sums": (0.3, 0.1)}}, "0 <= start < end <= 1"),
        ({"mistaken": {"sums": (-0.1, 0.1)}}, "0 <= start < end <= 1"),
        ({"mistaken": {"sums": (0.3, 0.5)}}, "contradict"),
        ({"hard": 1.5}, "hard=1.5"),
        ({"right": (0.5, 1.0)}, r"right=\(0.5, 1.0\): a confidence lies between 0 and 1"),
        ({"wrong": (0.0, 0.5)}, "wrong="),
        ({"wrong": (0.7, 0.6)}, "wrong="),
        ({"guesses": 1.0}, "guesses=1.0"),
        ({"misreads": -0.1}, "misreads=-0.1"),
    ],
)
def test_a_mind_that_contradicts_itself_is_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(HarnessError, match=says):
        replace(STUDENT, **change)


def test_an_interval_without_cells_or_of_no_set_is_refused() -> None:
    with pytest.raises(HarnessError, match=r"holds none of the 100 cells: widen it to at least 0.010"):
        Beliefs(Mind(mistaken={"sums": (0.001, 0.009)}, hard=0.4), [CELLS], "a draw")
    with pytest.raises(HarnessError, match="no such cell set, choose from sums"):
        Beliefs(Mind(mistaken={"products": (0.0, 0.1)}, hard=0.4), [CELLS], "a draw")


def test_cells_need_two_values() -> None:
    with pytest.raises(HarnessError, match="0 cells and 4 values"):
        balanced([], "abcd", Random(0))
    with pytest.raises(HarnessError, match="'sums' has 1 cells and 1 values"):
        cell_set("sums", {0: "a"}, Random(0))


def test_an_idle_kind_of_p_is_refused() -> None:
    check_kinds({"boxes": frozenset({"place"}), "answer": frozenset({"reading"})})
    with pytest.raises(HarnessError, match="'empty' is idle, it tells nothing"):
        check_kinds({"boxes": frozenset({"place"}), "empty": frozenset()})
    with pytest.raises(HarnessError, match="'twin' is idle, it tells what 'boxes' tells"):
        check_kinds({"boxes": frozenset({"place"}), "twin": frozenset({"place"})})
