"""The paper's own tables and figures, redrawn from its own numbers: ``--from paper``. No torch.

A suite mixes in ``PaperNumbers``, names what it shows in ``paper``, and in ``tables`` and ``figures`` returns
``paper_tables`` and ``paper_figures`` where ``options.source`` is ``paper``. The figures exist as pictures only and
were not read: Figures 1 and 6 are drawn from the tables they show, the others hold what the text states, and where
it states no number there is a table that says so and no figure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from harness import results
from harness.statistics import gain, gap_recovery
from harness.suite import Options
from harness.tables import Cell, Column, Kind, Line, Table, ranked, shade
from harness.types import HarnessError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from harness.curves import Moment, Series
    from harness.figures import Group

SINGLE = "The paper's numbers (arXiv:2606.30626): single numbers without seeds or intervals."
SHADED = "Shades are computed here from the printed numbers, by the paper's rule."
UNREAD = (
    "Values stated in the text of arXiv:2606.30626, single numbers without seeds or intervals. The figure itself "
    "exists as a picture only and was not read."
)
NO_NUMBER = "the text states no number"
MAIN_PAIR = "Qwen3-8B → Qwen3-1.7B"
SUBJECT, BASELINE = "DOPD", "Vanilla OPD"
BILLIONS = {"Qwen3-8B": 8.0, "Qwen3-4B": 4.0, "Qwen3-1.7B": 1.7, "Qwen3-0.6B": 0.6}
"""Parameters, as the names of the models say."""
REGIMES = ("HT", "LH", "LL", "HS")
LLM_BENCHMARKS = {
    "ceval": "C-Eval",
    "livebench": "LiveBench",
    "math500": "MATH500",
    "aime25": "AIME25",
    "zebralogic": "ZebraLogic",
    "autologi": "AutoLogi",
    "bfcl_v3": "BFCLv3",
    "lcb_v5": "LCBv5",
}
VLM_BENCHMARKS = {
    "realworldqa": "RealWorldQA",
    "mmstar": "MMStar",
    "mathvision": "MathVision",
    "dynamath": "DynaMath",
    "logicvista": "LogicVista",
    "mmmu": "MMMU",
    "mmmu_pro": "MMMU-Pro",
    "vsi_bench": "VSI-Bench",
}
AVERAGE = {"average": "average"}
STEPS = {f"step{n}": f"step {n}" for n in (40, 80, 160)}
Record = Mapping[str, Any]
"""A line of a file of ``results/paper/``."""


class PaperNumbers:
    """Mixed into a suite: what it shows under ``--from paper``."""

    name: ClassVar[str]
    paper: ClassVar[tuple[str, ...]] = ()
    """Names of ``PAPER``, in order."""

    def paper_rows(self, options: Options) -> DataFrame:
        """The numbers of ``paper_tables`` in the columns of rows; what the paper does not state is absent.

        Raises:
            HarnessError: the suite shows nothing of the paper.
        """
        if not self.paper:
            raise HarnessError(f"suite {self.name}: the paper states no numbers for it; use --from runs or published")
        return rows(self.paper_tables(options))

    def paper_tables(self, options: Options) -> list[Table]:
        """Every table of ``paper`` that has one."""
        return [make(options.published) for name in self.paper if (make := PAPER[name].table)]

    def paper_figures(self, options: Options) -> dict[str, Figure]:
        """Every figure of ``paper``, by file stem."""
        drawn: dict[str, Figure] = {}
        for name in self.paper:
            if draw := PAPER[name].figures:
                drawn |= draw(options.published)
        return drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Redrawn:
    """What can be shown of one table or figure of the paper; arguments are the folder that holds ``paper/``."""

    table: Callable[[Path], Table] | None = None
    figures: Callable[[Path], dict[str, Figure]] | None = None


def rows(tables: Sequence[Table]) -> DataFrame:
    """The numbers of some tables as rows: method the line's label, metric the table's name, values as shares.

    Counts and ratios are no scores and are left out.
    """
    import pandas as pd

    records = [
        {
            "run": results.PAPER,
            "method": line.label,
            "profile": results.PAPER,
            "train_domains": line.block,
            "benchmark": column.key,
            "metric": table.name,
            "value": round(cell.value / 100, 6),
        }
        for table in tables
        for line in table.lines
        for column, cell in zip(table.columns, line.cells, strict=True)
        if cell.value is not None and column.kind in (Kind.SCORE, Kind.DIFFERENCE)
    ]
    return pd.DataFrame(records, columns=list(results.ROW_COLUMNS))


# --- tables


def table1(published: Path) -> Table:
    """Language models: nine baselines and DOPD on eight benchmarks."""
    lines = [
        (line["type"], line["method"], line, line["type"] != "reference")
        for line in results.paper_numbers("table1_llm_main", published)
    ]
    return _table(
        "table1",
        f"language models, {MAIN_PAIR}",
        ("paradigm", "method"),
        {**LLM_BENCHMARKS, **AVERAGE},
        _shaded(lines, LLM_BENCHMARKS | AVERAGE, *_ends(lines)),
        stated_recovery("table1", published),
        "As printed: OPCD's average is 44.3, its row averages 44.4.",
    )


def table2(published: Path) -> Table:
    """Vision-language models: four baselines and DOPD on eight benchmarks."""
    lines = [
        ("reference" if line["method"] in ("Teacher", "Student") else "method", line["method"], line, True)
        for line in results.paper_numbers("table2_vlm_main", published)
    ]
    lines = [(block, label, line, block != "reference") for block, label, line, _ in lines]
    return _table(
        "table2",
        "vision-language models, Qwen3-VL-8B → Qwen3-VL-2B",
        ("", "method"),
        {**VLM_BENCHMARKS, **AVERAGE},
        _shaded(lines, VLM_BENCHMARKS | AVERAGE, *_ends(lines)),
        stated_recovery("table2", published),
    )


def table3(published: Path) -> Table:
    """Five pairs of teacher and student, each ranked and shaded by itself."""
    columns = LLM_BENCHMARKS | AVERAGE
    printed = results.paper_numbers("table3_model_pairs", published)
    models = {line["teacher"]: line for line in printed if line["method"] == "base"}
    lines = _shaded([("not trained", name, line, False) for name, line in models.items()], columns, {}, {})
    for teacher, student in pairs(printed):
        pair = [
            (f"{teacher} → {student}", line["method"], line, True)
            for line in printed
            if (line["teacher"], line["student"]) == (teacher, student)
        ]
        lines += _shaded(pair, columns, models[student], models[teacher])
    table = _table(
        "table3",
        "pairs of teacher and student",
        ("teacher → student", "method"),
        columns,
        lines,
        stated_recovery("table3", published),
        "As printed: Qwen3-4B's average is 51.6, its row averages 51.7. Ranks are within a pair.",
        across=False,
    )
    return table


def table4(published: Path) -> Table:
    """Forms of the privileged input, language."""
    lines = [
        ("", line["privileged_input"], line, True)
        for line in results.paper_numbers("table4_privileged_input_llm", published)
    ]
    ends = _main_ends("table1_llm_main", published)
    return _table(
        "table4",
        f"form of the privileged input, {MAIN_PAIR}",
        ("", "privileged input"),
        {name: LLM_BENCHMARKS[name] for name in ("ceval", "livebench")},
        _shaded(lines, ("ceval", "livebench"), *ends),
        "Student and teacher of the shades are Table 1's.",
        "As printed: “no privileged input” is 63.0 and 39.4 here, 63.6 and 38.3 in Table 8; both are below vanilla "
        "OPD's 65.2 and 40.9 in Table 1.",
    )


def table5(published: Path) -> Table:
    """Forms of the privileged input, vision-language."""
    lines = [
        ("", line["privileged_input"], line, True)
        for line in results.paper_numbers("table5_privileged_input_vlm", published)
    ]
    return _table(
        "table5",
        "form of the privileged input, Qwen3-VL-8B → Qwen3-VL-2B",
        ("", "privileged input"),
        {name: VLM_BENCHMARKS[name] for name in ("realworldqa", "mmstar")},
        _shaded(lines, ("realworldqa", "mmstar"), *_main_ends("table2_vlm_main", published)),
        "Student and teacher of the shades are Table 2's.",
        "As printed: the text says that final answers stay below “no privileged input”; the table shows the reverse.",
    )


def table6(published: Path) -> Table:
    """Regimes alone and combined, under one loss for all tokens and under adaptive routing."""
    lines = [
        (
            "adaptive routing" if line["adaptive"] else "uniform loss",
            " + ".join(regime for regime in REGIMES if line[regime]),
            line,
            True,
        )
        for line in results.paper_numbers("table6_token_regimes", published)
    ]
    return _table(
        "table6",
        "tokens of which regimes are trained",
        ("loss", "regimes"),
        STEPS,
        _shaded(lines, STEPS, *_livebench_ends(published)),
        LIVEBENCH,
        "As printed: the text says that HT alone beats the uniform row by 4.6; the table gives 2.6, 2.8 and 4.0. The "
        "uniform row ends at 41.3, vanilla OPD in Table 1 at 40.9.",
    )


def table7(published: Path) -> Table:
    """Divergence × granularity, the same for all tokens."""
    lines = [
        (line["objective"], line["strategy"], line, True)
        for line in results.paper_numbers("table7_divergence", published)
    ]
    return _table(
        "table7",
        "divergence and granularity, the same for all tokens",
        ("divergence", "granularity"),
        STEPS,
        _shaded(lines, STEPS, *_livebench_ends(published)),
        LIVEBENCH,
    )


def table8(published: Path) -> Table:
    """Components of DOPD removed."""
    lines = [("", line["variant"], line, True) for line in results.paper_numbers("table8_ablation", published)]
    return _table(
        "table8",
        f"components removed, {MAIN_PAIR}",
        ("", "variant"),
        {name: LLM_BENCHMARKS[name] for name in ("ceval", "livebench")},
        _shaded(lines, ("ceval", "livebench"), *_main_ends("table1_llm_main", published)),
        "Student and teacher of the shades are Table 1's.",
        "As printed: “w/o privileged input” is 63.6 and 38.3 here, “no privileged input” 63.0 and 39.4 in Table 4.",
    )


LIVEBENCH = (
    "The benchmark is our reading: 49.8 and 41.3 are LiveBench's numbers in Tables 1 and 8, so LiveBench's student and "
    "teacher of Table 1 give the shades."
)


def stated_recovery(table: str, published: Path) -> str:
    """What the text says of a table's gap."""
    return " ".join(
        f"The text states that {line['method']} closes {line['gap_recovered']} % of the gap ({line['pair']})."
        for line in results.paper_numbers("recovery", published)
        if line["table"] == table
    )


def pairs(printed: Sequence[Record]) -> list[tuple[str, str]]:
    """(teacher, student) of Table 3, in its order."""
    return list(dict.fromkeys((line["teacher"], line["student"]) for line in printed if line["method"] != "base"))


Printed = tuple[str, str, Record, bool]
"""Block, label, numbers and whether it is ranked."""


def _ends(lines: Sequence[Printed]) -> tuple[Record, Record]:
    """Numbers of the student and of the teacher."""
    by_label = {label: line for _, label, line, _ in lines}
    return by_label["Student"], by_label["Teacher"]


def _main_ends(name: str, published: Path) -> tuple[Record, Record]:
    by_label = {line["method"]: line for line in results.paper_numbers(name, published)}
    return by_label["Student"], by_label["Teacher"]


def _livebench_ends(published: Path) -> tuple[Record, Record]:
    """LiveBench's student and teacher under every step."""
    student, teacher = (dict.fromkeys(STEPS, end["livebench"]) for end in _main_ends("table1_llm_main", published))
    return student, teacher


def _shaded(lines: Sequence[Printed], columns: Sequence[str] | Mapping[str, str], *ends: Record) -> list[Line]:
    """Lines of a table, shaded between the student's and the teacher's numbers where they are ranked."""
    return [
        Line(
            block=block,
            label=label,
            ranked=is_ranked,
            cells=tuple(_cell(line[key], *(end[key] for end in ends) if is_ranked else ()) for key in columns),
        )
        for block, label, line, is_ranked in lines
    ]


def _cell(value: float, *ends: float) -> Cell:
    return Cell(value=value, shade=shade(gap_recovery(value, *ends) if ends else None))


def _table(
    name: str,
    title: str,
    headers: tuple[str, str],
    columns: Mapping[str, str],
    lines: Sequence[Line],
    *notes: str,
    across: bool = True,
) -> Table:
    """Ranked in every column: among all lines, or block by block."""
    for column in range(len(columns)):
        lines = ranked(lines, column, across=across)
    return Table(
        name=f"{name}_paper",
        title=f"The paper's Table {name.removeprefix('table')}: {title}",
        caption=" ".join(filter(None, (SINGLE, *notes, SHADED))),
        block_header=headers[0],
        label_header=headers[1],
        columns=tuple(Column(key=key, header=f"{header}, %") for key, header in columns.items()),
        lines=tuple(lines),
    )


# --- figures drawn from tables


def figure1(published: Path) -> dict[str, Figure]:
    """Average and every benchmark of Tables 1 and 2."""
    from harness.clusters import clustered_bars

    return {
        f"figure1{suffix}_paper": clustered_bars(
            _bars(table),
            title=f"The paper's Figure 1, drawn from its Table {number}: {what}",
            axis="score, %",
            caption=SINGLE,
        )
        for suffix, number, what, table in (
            ("", 1, "language models", table1(published)),
            ("_vlm", 2, "vision-language models", table2(published)),
        )
    }


def _bars(table: Table) -> list[Group]:
    """A group per column, the average first; student and teacher as lines."""
    from harness.figures import Bar, Group, Reference

    order = [len(table.columns) - 1, *range(len(table.columns) - 1)]
    ends = {line.label: line for line in table.lines if not line.ranked}
    return [
        Group(
            title=table.columns[i].header.removesuffix(", %"),
            bars=tuple(Bar(label=line.label, mean=line.cells[i].value) for line in table.lines if line.ranked),
            references=tuple(
                Reference(label=label, value=value)
                for label in ("Student", "Teacher")
                if (value := ends[label].cells[i].value) is not None
            ),
        )
        for i in order
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A method on one pair of Table 3."""

    teacher: str
    student: str
    method: str
    ratio: float
    """Parameters of the teacher over those of the student."""
    gain: float
    """Points over the student, of the printed averages."""
    recovery: float
    """Percent of the gap."""


def size_pairs(published: Path) -> list[Pair]:
    """Figure 6's points: Table 3's averages against the ratio of sizes, rising."""
    printed = results.paper_numbers("table3_model_pairs", published)
    models = {line["teacher"]: line["average"] for line in printed if line["method"] == "base"}
    found: list[Pair] = []
    for line in printed:
        if line["method"] == "base":
            continue
        teacher, student = models[line["teacher"]], models[line["student"]]
        share = gap_recovery(line["average"], student, teacher)
        assert share is not None, "no two models of Table 3 have equal averages"
        found.append(
            Pair(
                teacher=line["teacher"],
                student=line["student"],
                method=line["method"],
                ratio=BILLIONS[line["teacher"]] / BILLIONS[line["student"]],
                gain=gain(line["average"], student),
                recovery=100 * share,
            )
        )
    return sorted(found, key=lambda pair: pair.ratio)


DERIVED = (
    "Derived here from the averages of the paper's Table 3 (arXiv:2606.30626): single numbers without seeds or "
    "intervals. Sizes are those in the models' names."
)


def figure6_table(published: Path) -> Table:
    """Gain and gap closed by ratio of sizes."""
    return Table(
        name="figure6_paper",
        title="The paper's Figure 6: gain and gap closed against the ratio of sizes",
        caption=DERIVED,
        block_header="teacher → student",
        label_header="method",
        columns=(
            Column(key="ratio", header="size ratio", kind=Kind.RATE),
            Column(key="gain", header="gain, points", kind=Kind.DIFFERENCE),
            Column(key="recovery", header="gap closed, %"),
        ),
        lines=tuple(
            Line(
                block=f"{pair.teacher} → {pair.student}",
                label=pair.method,
                cells=(Cell(value=round(pair.ratio, 2)), Cell(value=pair.gain), Cell(value=pair.recovery)),
                ranked=False,
            )
            for pair in size_pairs(published)
        ),
    )


def figure6(published: Path) -> dict[str, Figure]:
    """6a: gain; 6b: gap closed. Student 0.6B solid, 1.7B dashed."""
    from harness.curves import LinePanel, curves

    points = size_pairs(published)
    return {
        f"figure6{letter}_paper": curves(
            [LinePanel(title="", y_axis=axis, series=_size_lines(points, of))],
            title=f"The paper's Figure 6{letter}: {what} against size ratio",
            x_axis="parameters of the teacher ÷ of the student",
            caption=f"{DERIVED} Solid: student Qwen3-0.6B; dashed: Qwen3-1.7B.",
        )
        for letter, what, axis, of in (
            ("a", "gain", "average minus the student's, points", lambda pair: pair.gain),
            ("b", "gap closed", "share of the gap to the teacher closed, %", lambda pair: pair.recovery),
        )
    }


def _size_lines(points: Sequence[Pair], of: Callable[[Pair], float]) -> tuple[Series, ...]:
    from harness.curves import Series

    lines: list[Series] = []
    for method in (SUBJECT, BASELINE):
        for student, style in (("Qwen3-0.6B", "solid"), ("Qwen3-1.7B", "dashed")):
            own = [pair for pair in points if (pair.method, pair.student) == (method, student)]
            line = Series(
                label=f"{method}, {student.removeprefix('Qwen3-')}",
                x=tuple(pair.ratio for pair in own),
                y=tuple(map(of, own)),
                kin=method,
            )
            lines.append(replace(line, line=style))
    return tuple(lines)


# --- figures of which the text states something


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
    from harness.curves import LinePanel, Point, curves

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
    from harness.figures import Bar, Group, grouped_bars

    return {
        "figure7b_paper": grouped_bars(
            [Group(title=t, bars=(Bar(label=SUBJECT, mean=lead),)) for t, lead in _leads(published).items()],
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
    from harness.curves import LinePanel, Moment, curves
    from harness.figures import Reference

    moments: dict[str, list[Moment]] = {}
    for line in results.paper_numbers("figure8", published):
        moments.setdefault(line["panel"], []).append(Moment(label=_moment_label(line), x=line["step"]))
    scores = {line["method"]: line["livebench"] for line in results.paper_numbers("table1_llm_main", published)}
    ends = tuple(Reference(label=label, value=scores[label]) for label in (SUBJECT, "EOPD", "ExOPD", "SDPO"))
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
    from harness.curves import LinePanel, Point, curves

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


PAPER: dict[str, Redrawn] = {
    "table1": Redrawn(table=table1),
    "table2": Redrawn(table=table2),
    "table3": Redrawn(table=table3),
    "table4": Redrawn(table=table4),
    "table5": Redrawn(table=table5),
    "table6": Redrawn(table=table6),
    "table7": Redrawn(table=table7),
    "table8": Redrawn(table=table8),
    "figure1": Redrawn(figures=figure1),
    "figure3": Redrawn(
        table=_unstated(
            "figure3",
            "four privilege arms",
            ("T→S", "Priv. T→S", "Priv. S→S", "Priv. T→Priv. S"),
            "with p on one side only, an early gain, a late fall and a collapse of the entropy; with p on both sides a "
            "gain below vanilla OPD's.",
        )
    ),
    "figure4": Redrawn(table=figure4_table, figures=figure4),
    "figure6": Redrawn(table=figure6_table, figures=figure6),
    "figure7a": Redrawn(
        table=_unstated(
            "figure7a",
            "continual learning, general → reasoning → coding",
            ("DOPD", "Vanilla OPD"),
            "DOPD gains on each new domain with little forgetting.",
        )
    ),
    "figure7b": Redrawn(table=figure7b_table, figures=figure7b),
    "figure8": Redrawn(table=figure8_table, figures=figure8),
    "figure10": Redrawn(table=figure10_table, figures=figure10),
}
"""By the paper's name, in its order: tables, then figures."""
