"""The paper's Tables 1 to 8 as printed, ranked and shaded by its rule. No torch.

Every function takes the folder that holds ``paper/``; slips of the print are named in the captions, never mended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.analysis import results
from harness.analysis.statistics import gap_recovery
from harness.show.tables import Cell, Table, shade
from suites.kit.columns import ColumnOf, Subject, table

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
    printed = results.paper_numbers("table1_llm_main", published)
    ends = _ends(printed)
    lines = [
        _line(line["type"], line["method"], line, None if line["type"] == "reference" else ends) for line in printed
    ]
    return _table(
        "table1",
        f"language models, {MAIN_PAIR}",
        ("paradigm", "method"),
        {**LLM_BENCHMARKS, **AVERAGE},
        lines,
        stated_recovery("table1", published),
        "As printed: OPCD's average is 44.3, its row averages 44.4.",
    )


def table2(published: Path) -> Table:
    """Vision-language models: four baselines and DOPD on eight benchmarks."""
    printed = results.paper_numbers("table2_vlm_main", published)
    ends = _ends(printed)
    lines = [
        _line("reference", line["method"], line, None)
        if line["method"] in ("Teacher", "Student")
        else _line("method", line["method"], line, ends)
        for line in printed
    ]
    return _table(
        "table2",
        "vision-language models, Qwen3-VL-8B → Qwen3-VL-2B",
        ("", "method"),
        {**VLM_BENCHMARKS, **AVERAGE},
        lines,
        stated_recovery("table2", published),
    )


def table3(published: Path) -> Table:
    """Five pairs of teacher and student, each ranked and shaded by itself."""
    columns = LLM_BENCHMARKS | AVERAGE
    printed = results.paper_numbers("table3_model_pairs", published)
    models = {line["teacher"]: line for line in printed if line["method"] == "base"}
    lines = [_line("not trained", name, line, None) for name, line in models.items()] + [
        _line(f"{teacher} → {student}", line["method"], line, (models[student], models[teacher]))
        for teacher, student in pairs(printed)
        for line in printed
        if line["method"] != "base" and (line["teacher"], line["student"]) == (teacher, student)
    ]
    return _table(
        "table3",
        "pairs of teacher and student",
        ("teacher → student", "method"),
        columns,
        lines,
        stated_recovery("table3", published),
        "As printed: Qwen3-4B's average is 51.6, its row averages 51.7. Ranks are within a pair.",
        across=False,
    )


def table4(published: Path) -> Table:
    """Forms of the privileged input, language."""
    ends = _main_ends("table1_llm_main", published)
    printed = results.paper_numbers("table4_privileged_input_llm", published)
    return _table(
        "table4",
        f"form of the privileged input, {MAIN_PAIR}",
        ("", "privileged input"),
        {name: LLM_BENCHMARKS[name] for name in ("ceval", "livebench")},
        [_line("", line["privileged_input"], line, ends) for line in printed],
        "Student and teacher of the shades are Table 1's.",
        "As printed: “no privileged input” is 63.0 and 39.4 here, 63.6 and 38.3 in Table 8; both are below vanilla "
        "OPD's 65.2 and 40.9 in Table 1.",
    )


def table5(published: Path) -> Table:
    """Forms of the privileged input, vision-language."""
    ends = _main_ends("table2_vlm_main", published)
    printed = results.paper_numbers("table5_privileged_input_vlm", published)
    return _table(
        "table5",
        "form of the privileged input, Qwen3-VL-8B → Qwen3-VL-2B",
        ("", "privileged input"),
        {name: VLM_BENCHMARKS[name] for name in ("realworldqa", "mmstar")},
        [_line("", line["privileged_input"], line, ends) for line in printed],
        "Student and teacher of the shades are Table 2's.",
        "As printed: the text says that final answers stay below “no privileged input”; the table shows the reverse.",
    )


def table6(published: Path) -> Table:
    """Regimes alone and combined, under one loss for all tokens and under adaptive routing."""
    ends = _livebench_ends(published)
    lines = [
        _line(
            "adaptive routing" if line["adaptive"] else "uniform loss",
            " + ".join(regime for regime in REGIMES if line[regime]),
            line,
            ends,
        )
        for line in results.paper_numbers("table6_token_regimes", published)
    ]
    return _table(
        "table6",
        "tokens of which regimes are trained",
        ("loss", "regimes"),
        STEPS,
        lines,
        LIVEBENCH,
        "As printed: the text says that HT alone beats the uniform row by 4.6; the table gives 2.6, 2.8 and 4.0. The "
        "uniform row ends at 41.3, vanilla OPD in Table 1 at 40.9.",
    )


def table7(published: Path) -> Table:
    """Divergence × granularity, the same for all tokens."""
    ends = _livebench_ends(published)
    printed = results.paper_numbers("table7_divergence", published)
    lines = [_line(line["objective"], line["strategy"], line, ends) for line in printed]
    return _table(
        "table7",
        "divergence and granularity, the same for all tokens",
        ("divergence", "granularity"),
        STEPS,
        lines,
        LIVEBENCH,
    )


def table8(published: Path) -> Table:
    """Components of DOPD removed."""
    ends = _main_ends("table1_llm_main", published)
    lines = [_line("", line["variant"], line, ends) for line in results.paper_numbers("table8_ablation", published)]
    return _table(
        "table8",
        f"components removed, {MAIN_PAIR}",
        ("", "variant"),
        {name: LLM_BENCHMARKS[name] for name in ("ceval", "livebench")},
        lines,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """A line of a table as printed."""

    numbers: Record
    """By column, percent."""
    ends: tuple[Record, ...] = ()
    """The numbers of student and teacher between which it is shaded; nothing: not shaded."""

    def cell(self, key: str) -> Cell:
        """Its number in a column."""
        ends = [end[key] for end in self.ends]
        return Cell(value=self.numbers[key], shade=shade(gap_recovery(self.numbers[key], *ends) if ends else None))


def _line(block: str, label: str, numbers: Record, ends: tuple[Record, Record] | None) -> Subject[Printed]:
    """Ranked and shaded between the ends; a reference, which is neither, has none."""
    return Subject(of=Printed(numbers=numbers, ends=ends or ()), block=block, label=label, ranked=ends is not None)


def _ends(lines: Sequence[Record]) -> tuple[Record, Record]:
    """Numbers of the student and of the teacher."""
    by_label = {line["method"]: line for line in lines}
    return by_label["Student"], by_label["Teacher"]


def _main_ends(name: str, published: Path) -> tuple[Record, Record]:
    return _ends(results.paper_numbers(name, published))


def _livebench_ends(published: Path) -> tuple[Record, Record]:
    """LiveBench's student and teacher under every step."""
    student, teacher = (dict.fromkeys(STEPS, end["livebench"]) for end in _main_ends("table1_llm_main", published))
    return student, teacher


def _table(
    name: str,
    title: str,
    headers: tuple[str, str],
    columns: Mapping[str, str],
    lines: Sequence[Subject[Printed]],
    *notes: str,
    across: bool = True,
) -> Table:
    """Ranked in every column: among all lines, or block by block."""
    return table(
        lines,
        [_column(key, header) for key, header in columns.items()],
        name=f"{name}_paper",
        title=f"The paper's Table {name.removeprefix('table')}: {title}",
        caption=" ".join(filter(None, (SINGLE, *notes, SHADED))),
        headers=headers,
        across=across,
    )


def _column(key: str, header: str) -> ColumnOf[Printed, None]:
    return ColumnOf(key=key, header=f"{header}, %", cell=lambda line: line.cell(key), ranked=True)
