"""What the paper's text states of figures that exist as pictures only: tables and points, nothing read off. No torch.

Every function takes the folder that holds ``paper/``. Where the text states no number, a table says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis import results
from harness.show.tables import Cell, Column, Kind, Line, Table
from suites.kit.looks import label_look
from suites.paper.tables import MAIN_PAIR, SUBJECT, Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harness.show.lines import Moment

UNREAD = (
    "Values stated in the text of arXiv:2606.30626, single numbers without seeds or intervals. The figure itself "
    "exists as a picture only and was not read."
)
NO_NUMBER = "the text states no number"


def _stated_table(name: str, title: str, columns: Sequence[Column], lines: Sequence[Line], *notes: str) -> Table:
    return Table(
        name=f"{name}_paper",
        title=f"The paper's Figure {name.removeprefix('figure')}, as its text states it: {title}",
        caption=" ".join((UNREAD, *notes)),
        block_header="",
        label_header="",
        columns=tuple(columns),
        lines=tuple(lines),
    )


def _unstated(name: str, title: str, labels: Sequence[str], said: str) -> Callable[[Path], Table]:
    """The table of a figure of which the text gives no number: its lines, with the reason, and what is said."""
    lines = [Line(block="", label=label, cells=(Cell(missing=NO_NUMBER),), ranked=False) for label in labels]
    column = Column(key="value", header="value")
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
        Line(
            block=line["modality"],
            label=f"{line['dropped']} dropped",
            cells=(Cell(value=line["gain"]), Cell(value=line["share_of_gain"], notes=("about",))),
            ranked=False,
        )
        for line in results.paper_numbers("figure4", published)
    ]
    lines += [
        Line(
            block="both",
            label=f"{which} dropped",
            cells=(Cell(missing="“negligible” effect, no number"), Cell()),
            ranked=False,
        )
        for which in ("random", "lowest A")
    ]
    return _stated_table(
        "figure4",
        "vanilla OPD with 20 % of the tokens dropped, step 100",
        [
            Column(key="gain", header="gain left, points", kind=Kind.DIFFERENCE),
            Column(key="share_of_gain", header="of the full gain, %"),
        ],
        lines,
    )


def figure4(published: Path) -> dict[str, Figure]:
    """The two stated gains as points."""
    from harness.show.lines import LinePanel, Point, curves

    panels = [
        LinePanel(
            title=line["modality"],
            y_axis="gain over the student, points",
            points=(
                Point(
                    label=f"{line['dropped']} dropped: {line['gain']:+.1f}, about {line['share_of_gain']:g} % of all",
                    x=line["step"],
                    y=line["gain"],
                    place="above",
                ),
            ),
            x_limits=(0, 200),
            y_limits=(0, 5),
        )
        for line in results.paper_numbers("figure4", published)
    ]
    return {
        "figure4_paper": curves(
            panels,
            title="The paper's Figure 4, as its text states it: 20 % of the tokens dropped from vanilla OPD",
            x_axis="step",
            caption=f"{UNREAD} For random and lowest A the text says “negligible”, so they have no point.",
        )
    }


def figure7b_table(published: Path) -> Table:
    """Lead over the second best by direction."""
    return replace(
        _stated_table(
            "figure7b",
            "out of domain",
            [Column(key="lead_over_second_best", header="lead over the second best, points", kind=Kind.DIFFERENCE)],
            [
                Line(block=direction, label=SUBJECT, cells=(Cell(value=lead),), ranked=False)
                for direction, lead in _leads(published).items()
            ],
            FIGURE7B,
        ),
        block_header="trained → tested",
        label_header="method",
    )


def figure7b(published: Path) -> dict[str, Figure]:
    """The two stated leads as bars; no score is known, so none is drawn."""
    from harness.show.bars import Bar, Group, grouped_bars

    return {
        "figure7b_paper": grouped_bars(
            [
                Group(title=direction, bars=(Bar(label=SUBJECT, mean=lead, look=label_look(SUBJECT)),))
                for direction, lead in _leads(published).items()
            ],
            title="The paper's Figure 7b, as its text states it",
            axis="lead over the second best, points",
            caption=f"{UNREAD} {FIGURE7B}",
        )
    }


FIGURE7B = f"{MAIN_PAIR}; no score and no second-best method is named; the order of the two directions is the text's."


def _leads(published: Path) -> dict[str, float]:
    """Points by direction, as ``coding → reasoning (MATH500)``."""
    return {
        f"{line['train']} → {line['test']} ({line['benchmark']})": line["lead_over_second_best"]
        for line in results.paper_numbers("figure7b", published)
    }


def figure8_table(published: Path) -> Table:
    """Steps the text names."""
    return _stated_table(
        "figure8",
        "performance and entropy against step",
        [Column(key="step", header="step", kind=Kind.COUNT)],
        [
            Line(
                block=line["panel"],
                label=_moment_label(line),
                cells=(Cell(value=line["step"], notes=() if line["step"] in (80, 200) else ("about",)),),
                ranked=False,
            )
            for line in results.paper_numbers("figure8", published)
        ],
    )


def figure8(published: Path) -> dict[str, Figure]:
    """The steps the text names as lines, over LiveBench's last values from Table 1."""
    from harness.show.bars import Reference
    from harness.show.lines import LinePanel, Moment, curves

    moments: dict[str, list[Moment]] = {}
    for line in results.paper_numbers("figure8", published):
        moments.setdefault(line["panel"], []).append(Moment(label=_moment_label(line), x=line["step"]))
    scores = {line["method"]: line["livebench"] for line in results.paper_numbers("table1_llm_main", published)}
    ends = tuple(
        Reference(label=label, value=scores[label], look=label_look(label))
        for label in (SUBJECT, "EOPD", "ExOPD", "SDPO")
    )
    panels = [
        LinePanel(
            title=title,
            y_axis=axis,
            moments=tuple(moments[title]),
            references=lines,
            x_limits=(0, 210),
        )
        for title, axis, lines in (
            ("performance", "LiveBench, %", ends),
            ("entropy", "entropy (no value is stated)", ()),
        )
    ]
    return {
        "figure8_paper": curves(
            panels,
            title="The paper's Figure 8, as its text states it: stability",
            x_axis="step",
            caption=f"{UNREAD} Vertical: steps the text names. Horizontal: LiveBench at the end, from Table 1.",
        )
    }


def _moment_label(line: Record) -> str:
    who = line["method"] if isinstance(line["method"], str) else ""
    return f"{who} {line['statement']}".strip()


def figure10_table(published: Path) -> Table:
    """The stated optimum of both weights."""
    return _stated_table(
        "figure10",
        "sensitivity to both weights",
        [Column(key=key, header=header, kind=Kind.RATE) for key, header in (("beta_w", "β_w"), ("beta_l", "β_l"))],
        [
            Line(
                block="",
                label=line["statement"],
                cells=(Cell(value=line["beta_w"]), Cell(value=line["beta_l"])),
                ranked=False,
            )
            for line in results.paper_numbers("figure10", published)
        ],
        "No score is stated at any point.",
    )


def figure10(published: Path) -> dict[str, Figure]:
    """The stated optimum as a point in the plane of both weights."""
    from harness.show.lines import LinePanel, Point, curves

    points = tuple(
        Point(label=f"{line['statement']}: {line['beta_w']:g}, {line['beta_l']:g}", x=line["beta_w"], y=line["beta_l"])
        for line in results.paper_numbers("figure10", published)
    )
    return {
        "figure10_paper": curves(
            [LinePanel(title="", y_axis=r"$\beta_l$", points=points, x_limits=(0, 1), y_limits=(0, 1))],
            title="The paper's Figure 10, as its text states it",
            x_axis=r"$\beta_w$",
            caption=f"{UNREAD} No score is stated at any point.",
        )
    }
