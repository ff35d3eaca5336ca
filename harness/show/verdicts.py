"""Decided claims as a table, and for a terminal. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.analysis.claims import Decision, Verdict
from harness.show.tables import Cell, Column, Kind, Line, Table

if TYPE_CHECKING:
    from rich.table import Table as RichTable

BEFORE, AFTER = "before its rows", "after its rows"


def columns(decisions: Sequence[Decision]) -> tuple[Column, ...]:
    """Of the table of claims; what is counted is the same for all of them."""
    return (
        Column(key="verdict", header="verdict", kind=Kind.TEXT),
        Column(key="effect", header="effect", kind=Kind.DIFFERENCE),
        Column(key="low", header="low", kind=Kind.DIFFERENCE),
        Column(key="high", header="high", kind=Kind.DIFFERENCE),
        Column(key="unit", header="unit", kind=Kind.TEXT),
        Column(key="n", header=_over(decisions), kind=Kind.COUNT),
        Column(key="predicted", header="paper", kind=Kind.TEXT),
        Column(key="source", header="where", kind=Kind.TEXT),
        Column(key="written", header="written", kind=Kind.TEXT),
        *([Column(key="place", header="its suite in the diagram", kind=Kind.TEXT)] if _placed(decisions) else []),
        Column(key="rule", header="rule", kind=Kind.TEXT),
        Column(key="note", header="note", kind=Kind.TEXT),
    )


def _placed(decisions: Sequence[Decision]) -> bool:
    """Whether they are of a profile with a diagram."""
    return any(d.place for d in decisions)


def _over(decisions: Sequence[Decision]) -> str:
    return decisions[0].over if decisions else "seeds"


def heading(decisions: Sequence[Decision], profile: str) -> str:
    """How many of each verdict."""
    counts = ", ".join(f"{sum(d.verdict is verdict for d in decisions)} {verdict}" for verdict in Verdict)
    return f"The paper's claims, profile {profile}: {counts}"


def summary(decisions: Sequence[Decision], profile: str, selection: str = "") -> RichTable:
    """For a terminal: what was claimed, what was found, the paper's effect in its own setting."""
    from rich.table import Table as RichTable

    said = f" ({selection})" if selection else ""
    out = RichTable(title=f"{heading(decisions, profile)}{said}", title_justify="left")
    for name in ("suite", "claim", "verdict", "effect and 95 % interval", _over(decisions), "paper"):
        out.add_column(name, no_wrap=name == "verdict")
    for d in decisions:
        found = d.note if d.effect is None else f"{effect_text(d)} {d.unit}"
        out.add_row(d.suite, d.statement, d.verdict.value, found, str(d.n or ""), d.predicted)
    return out


def effect_text(decision: Decision) -> str:
    """``+1.3 [+0.4, +2.2]``; with a second decimal where one would round an end of the interval to 0."""
    digits = effect_digits(decision)
    numbers = (decision.effect, decision.low, decision.high)
    effect, *ends = (f"{value:+.{digits}f}" for value in numbers if value is not None)
    return f"{effect} [{', '.join(ends)}]" if ends else effect


def effect_digits(decision: Decision) -> int:
    """Decimals that keep effect and ends of the interval apart from 0."""
    numbers = (decision.effect, decision.low, decision.high)
    return 2 if any(value is not None and abs(value) < 0.05 for value in numbers) else 1


def claims_table(decisions: Sequence[Decision], profile: str, selection: str = "") -> Table:
    """Every claim with its verdict, in the order of the paper.

    Args:
        selection: of the runs, where it is not the suites' own.
    """
    return Table(
        name="claims",
        title=heading(decisions, profile),
        caption=(
            f"{f'Selection: {selection}. ' if selection else ''}Rules were fixed before the runs they decide, except "
            f"where the claim was written {AFTER} (docs/log.md has the dates, and one later change that made "
            "'reproduced' of orders harder). An order's effect is the smallest difference it claims. Each claim is "
            "decided on its own at 95 %, without correction over claims. The column paper gives the paper's effect "
            "in its own setting (Qwen3, other data), on which no verdict depends. Contradicted means: not so here."
        ),
        block_header="suite",
        label_header="claim",
        columns=columns(decisions),
        lines=tuple(_line(d, placed=_placed(decisions)) for d in decisions),
    )


def _line(d: Decision, *, placed: bool) -> Line:
    places = (d.place,) if placed else ()
    cells = (
        Cell(words=d.verdict.value),
        *(Cell() if value is None else Cell(value=value) for value in (d.effect, d.low, d.high)),
        Cell(words=d.unit if d.effect is not None else ""),
        Cell(value=d.n) if d.n else Cell(),
        *(Cell(words=words) for words in (d.predicted, d.source, AFTER if d.late else BEFORE, *places, d.rule, d.note)),
    )
    return Line(block=d.suite, label=d.statement, cells=cells, ranked=False)
