"""Gates: bounds are read as written, accuracies and judged tokens by hand."""

from __future__ import annotations

import numpy as np
import pytest

from harness.models.zoo import bounds
from harness.models.zoo.bounds import Gate, Judged
from harness.types import HarnessError

LADDER = ("rich", "default", "poor", "none")
STUDENT = {"rich": 80.0, "default": 60.0, "poor": 50.0, "none": 45.0}
TEACHER = {"rich": 95.0, "default": 85.0, "poor": 70.0, "none": 65.0}


def test_bounds_hold_their_ends() -> None:
    low, high, both = (
        Gate(key="a", words="", low=15),
        Gate(key="b", words="", high=80),
        Gate(key="c", words="", low=8, high=9),
    )
    assert [low.passes(value) for value in (14.9, 15.0, 99.0)] == [False, True, True]
    assert [high.passes(value) for value in (0.0, 80.0, 80.1)] == [True, True, False]
    assert [both.passes(value) for value in (7.9, 8.0, 9.0, 9.1)] == [False, True, True, False]
    assert [gate.bound for gate in (low, high, both)] == [">= 15", "<= 80", "8 to 9"]


def test_the_list_is_that_of_the_premise() -> None:
    keys = [gate.key for gate in (*bounds.PICTURES, *bounds.PREMISE)]
    assert len(set(keys)) == len(keys) and keys[-10:] == [f"G{i}" for i in range(1, 11)]
    assert [key.split()[0] for key in keys[:-10]] == ["P1", "P2", "P3", *["P4"] * 4, "P5", "P6", "P7"]


def test_bounds_of_pictures_and_language_are_equal_where_they_ask_the_same() -> None:
    def bound_of(gates: tuple[Gate, ...]) -> dict[str, set[str]]:
        out = dict[str, set[str]]()
        for gate in gates:
            out.setdefault(gate.key.split()[0], set()).add(gate.bound)
        return out

    pictures, language = bound_of(bounds.PICTURES), bound_of(bounds.LANGUAGE)
    assert pictures.keys() & language.keys() == {"P1", "P2", "P4", "P7"}
    assert all(pictures[key] == language[key] for key in ("P1", "P2", "P4", "P7"))
    assert language.keys() - pictures.keys() == {"L1", "L2", "L3"}


def test_cells_are_tallied_by_class() -> None:
    seen = {"b": [(0.5, True, "x"), (0.25, False, "x"), (0.75, True, "y")], "a": [(1.0, True, "z")]}
    assert bounds.by_class(seen) == {
        "a": {"n": 1, "cells": 1, "probability": 100.0, "argmax": 100.0},
        "b": {"n": 3, "cells": 2, "probability": 50.0, "argmax": 66.7},
    }


def test_gates_of_accuracies_by_hand() -> None:
    found = bounds.accuracies(STUDENT, TEACHER, LADDER)
    assert found == {"G1": 25.0, "G2": 60.0, "G3": 85.0, "G4": 20.0, "G5": 20.0, "G9": 5.0}
    lines = {line["key"]: line for line in bounds.read(bounds.PREMISE, found)}
    assert [lines[key]["passed"] for key in ("G1", "G2", "G3", "G4", "G5", "G9")] == [True] * 6
    assert lines["G10"]["passed"] is None and lines["G10"]["value"] is None
    flat = bounds.accuracies(STUDENT | {"poor": 59.0}, TEACHER, LADDER)
    assert flat["G9"] == 1.0 and not next(g for g in bounds.PREMISE if g.key == "G9").passes(1.0)


def test_a_value_of_no_gate_is_refused() -> None:
    with pytest.raises(HarnessError, match="no gate 'G11'; there are: G1, "):
        bounds.read(bounds.PREMISE, {"G11": 1.0})


def judged() -> Judged:
    """A is 0 for half, 1 for the rest but one outlier; the mean without it is .49 of 99."""
    a = np.asarray([0.0] * 50 + [1.0] * 49 + [1000.0])
    right = np.zeros((2, 100), dtype=bool)
    right[0, 50:80] = True  # teacher
    right[1, 70:90] = True  # student
    seen = np.ones(100, dtype=bool)
    seen[60:62] = False
    return Judged(advantage=a, judged=seen, teacher=right[0], student=right[1])


def test_high_tokens_are_judged_ones_at_or_above_the_mean_without_outliers() -> None:
    high = judged().high()
    assert high.nonzero()[0].tolist() == [*range(50, 60), *range(62, 100)]


def test_shares_by_hand() -> None:
    """Of 48: teacher alone on 18 (50-59, 62-69), both on 10 (70-79), student alone on 10 (80-89)."""
    assert judged().shares() == pytest.approx({"G6": 100 * 28 / 48, "G7": 100 * 18 / 48, "G8": 100 * 10 / 48})
    first = np.zeros(100, dtype=bool)
    first[75:85] = True
    assert judged().shares(first) == pytest.approx({"G6": 50.0, "G7": 0.0, "G8": 50.0})
    with pytest.raises(HarnessError, match="no judged token has A >= mean"):
        judged().shares(np.zeros(100, dtype=bool))
