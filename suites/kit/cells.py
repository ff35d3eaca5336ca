"""Cells of tables that compare with the untrained student and the teacher."""

from __future__ import annotations

from harness.analysis import statistics
from harness.show.tables import Cell

FIXED_WEIGHTS = "fixed weights"
"""Note of a model that was only evaluated."""


def recovery(score: float, student: float | None, teacher: float | None) -> float | None:
    """Share of the gap; None without both references or without a gap."""
    return None if student is None or teacher is None else statistics.gap_recovery(score, student, teacher)


def recovery_cell(score: Cell, student: float | None, teacher: float | None) -> Cell:
    """Student and teacher are fixed, so the interval is the score's, divided by the gap."""
    if score.value is None:
        return Cell(missing=score.missing)
    if student is None or teacher is None:
        return Cell(missing="no reference row")
    share = statistics.gap_recovery(score.value, student, teacher)
    if share is None:
        return Cell(missing="no gap")
    half = None if score.half is None else 100 * score.half / (teacher - student)
    return Cell(value=100 * share, half=half, n=score.n)


def gain_cell(score: Cell, student: float | None) -> Cell:
    """The student is fixed, so the interval is the score's."""
    if score.value is None:
        return Cell(missing=score.missing)
    if student is None:
        return Cell(missing="no reference row")
    notes = (FIXED_WEIGHTS,) if FIXED_WEIGHTS in score.notes else ()
    return Cell(value=statistics.gain(score.value, student), half=score.half, n=score.n, notes=notes)


def reference_cell(value: float | None) -> Cell:
    """A model that was only evaluated, percent."""
    return Cell(missing="not run") if value is None else Cell(value=value, notes=(FIXED_WEIGHTS,))
