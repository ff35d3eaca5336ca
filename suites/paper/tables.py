"""The paper's Tables 1 to 8 as printed, ranked and shaded by its rule. No torch.

Every function takes the folder that holds ``paper/``; slips of the print are named in the captions, never mended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.analysis import results
from harness.analysis.statistics import gap_recovery
from harness.show.tables import Cell, Column, Line, Table, ranked, shade

SINGLE = "The paper's numbers (arXiv:2606.30626): single numbers without seeds or intervals."
SHADED = "Shades are computed here from the printed numbers, by the paper's rule."
MAIN_PAIR = "Qwen3-8B → Qwen3-1.7B"
SUBJECT, BASELINE = "DOPD", "Vanilla OPD"
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
