"""What the paper's text states of figures that exist as pictures only: tables, nothing read off. No torch.

Every function takes the folder that holds ``paper/``. Where the text states no number, a table says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness.analysis import results
from harness.show.tables import Cell, Kind, Table
from suites.kit.columns import ColumnOf, Subject, table
from suites.paper.tables import MAIN_PAIR, SUBJECT, Record

UNREAD = (
    "Values stated in the text of arXiv:2606.30626, single numbers without seeds or intervals. The figure itself "
    "exists as a picture only and was not read."
)
NO_NUMBER = "the text states no number"


Stated = Mapping[str, Cell]
"""What the text says of a line, by the key of the column; nothing belongs where it says nothing."""


def _line(block: str, label: str, **cells: Cell) -> Subject[Stated]:
    return Subject(of=cells, block=block, label=label, ranked=False)


def _column(key: str, header: str, kind: Kind = Kind.SCORE) -> ColumnOf[Stated, None]:
    return ColumnOf(key=key, header=header, kind=kind, cell=lambda stated: stated.get(key, Cell()))


def _stated_table(
    name: str,
    title: str,
    columns: Sequence[ColumnOf[Stated, None]],
    lines: Sequence[Subject[Stated]],
    *notes: str,
    headers: tuple[str, str] = ("", ""),
) -> Table:
    return table(
        lines,
        columns,
        name=f"{name}_paper",
        title=f"The paper's Figure {name.removeprefix('figure')}, as its text states it: {title}",
        caption=" ".join((UNREAD, *notes)),
        headers=headers,
    )


def _unstated(name: str, title: str, labels: Sequence[str], said: str) -> Callable[[Path], Table]:
    """The table of a figure of which the text gives no number: its lines, with the reason, and what is said."""
    lines = [_line("", label, value=Cell(missing=NO_NUMBER)) for label in labels]
    column = _column("value", "value")
    return lambda published: _stated_table(name, title, [column], lines, f"What the text says: {said}")


figure3_table = _unstated(
    "figure3",
    "four privilege arms",
    ("T→S", "Priv. T→S", "Priv. S→S", "Priv. T→Priv. S"),
    "with p on one side only, an early gain, a late fall and a collapse of the entropy; with p on both sides a "
    "gain below vanilla OPD's.",
)
figure7a_table = _unstated(
    "figure7a",
    "continual learning, general → reasoning → coding",
    ("DOPD", "Vanilla OPD"),
    "DOPD gains on each new domain with little forgetting.",
)


def figure4_table(published: Path) -> Table:
    """Gain left when a fifth of the tokens is dropped from vanilla OPD."""
    lines = [
        _line(
            line["modality"],
            f"{line['dropped']} dropped",
            gain=Cell(value=line["gain"]),
            share_of_gain=Cell(value=line["share_of_gain"], notes=("about",)),
        )
        for line in results.paper_numbers("figure4", published)
    ]
    lines += [
        _line("both", f"{which} dropped", gain=Cell(missing="“negligible” effect, no number"))
        for which in ("random", "lowest A")
    ]
    return _stated_table(
        "figure4",
        "vanilla OPD with 20 % of the tokens dropped, step 100",
        [_column("gain", "gain left, points", Kind.DIFFERENCE), _column("share_of_gain", "of the full gain, %")],
        lines,
    )


def figure7b_table(published: Path) -> Table:
    """Lead over the second best by direction."""
    return _stated_table(
        "figure7b",
        "lead over the second best, out of domain",
        [_column("lead_over_second_best", "lead over the second best, points", Kind.DIFFERENCE)],
        [
            _line(direction, SUBJECT, lead_over_second_best=Cell(value=lead))
            for direction, lead in _leads(published).items()
        ],
        FIGURE7B,
        headers=("trained → tested", "method"),
    )


FIGURE7B = f"{MAIN_PAIR}; no score and no second-best method is named; the order of the two directions is the text's."


def _leads(published: Path) -> dict[str, float]:
    """Points by direction, as ``coding → reasoning (MATH500)``."""
    return {
        f"{line['train']} → {line['test']} ({line['benchmark']})": line["lead_over_second_best"]
        for line in results.paper_numbers("figure7b", published)
    }


def figure8_table(published: Path) -> Table:
    """Steps the text names."""

    def step(line: Record) -> Cell:
        return Cell(value=line["step"], notes=() if line["step"] in (80, 200) else ("about",))

    return _stated_table(
        "figure8",
        "performance and entropy against step",
        [_column("step", "step", Kind.COUNT)],
        [
            _line(line["panel"], _moment_label(line), step=step(line))
            for line in results.paper_numbers("figure8", published)
        ],
    )


def _moment_label(line: Record) -> str:
    who = line["method"] if isinstance(line["method"], str) else ""
    return f"{who} {line['statement']}".strip()


def figure10_table(published: Path) -> Table:
    """The stated optimum of both weights."""
    return _stated_table(
        "figure10",
        "sensitivity to both weights",
        [_column("beta_w", "β_w", Kind.RATE), _column("beta_l", "β_l", Kind.RATE)],
        [
            _line("", line["statement"], beta_w=Cell(value=line["beta_w"]), beta_l=Cell(value=line["beta_l"]))
            for line in results.paper_numbers("figure10", published)
        ],
        "No score is stated at any point.",
    )
