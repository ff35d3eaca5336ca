"""Tables as LaTeX, checked without TeX; ``nox -s latex`` compiles them. The expected text was read by a person."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from checks import latex_check

from harness.show import latex
from harness.show.tables import Cell, Column, Kind, Line, Shade, Table, to_csv
from harness.suite import PUBLISHED
from suites.paper.numbers import PAPER

TABLE = Table(
    name="demo_table",
    title="Demo",
    caption="Greedy, 50 % of β_w & more.",
    block_header="trained → tested",
    label_header="method",
    columns=(
        Column(key="score", header="tested domain, %"),
        Column(key="gain", header="gain", kind=Kind.DIFFERENCE),
        Column(key="p", header="p", kind=Kind.P),
        *(Column(key=f"more{i}", header="minus baseline, points") for i in range(2)),
    ),
    lines=(
        Line(
            block="coding → reasoning",
            label="Priv. T→S",
            cells=(
                Cell(value=52.04, half=4.97, n=3, rank=2, shade=Shade.OVER_HALF),
                Cell(value=-0.14, half=1.0, n=3),
                Cell(value=0.0001),
                Cell(),
                Cell(),
            ),
        ),
        Line(
            block="coding → reasoning",
            label="a_b|c",
            cells=(
                Cell(value=73.0, n=1, rank=1, shade=Shade.ALL),
                Cell(value=3.1, n=3, notes=("collapsed 1/3",)),
                *(Cell(missing="not run"),) * 3,
            ),
        ),
        Line(block="reasoning → coding", label="DOPD", cells=(Cell(missing="not run"),) * 5),
    ),
    partial="20 of 24 runs done",
)

LATEX = r"""% needs \usepackage{booktabs,graphicx} and \usepackage[table]{xcolor}
\begin{table}[tp]
\centering
\caption{Demo (partial: 20 of 24 runs done)}
\label{tab:demo-table}
\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%
\begin{tabular}{lrrrrr}
\toprule
method & \shortstack[r]{tested \\ domain,~\%} & gain & p & \shortstack[r]{minus \\ baseline, \\ points} & \shortstack[r]{minus \\ baseline, \\ points} \\
\midrule
\multicolumn{6}{l}{\emph{coding $\rightarrow$ reasoning}} \\
Priv. T$\rightarrow$S & \cellcolor{blue!15}\underline{52.0 $\pm$ 5.0} & $-$0.1 $\pm$ 1.0 & $<$0.001 &  &  \\
a\_b$|$c & \cellcolor{green!20}\textbf{73.0} {\scriptsize (single run)} & +3.1 {\scriptsize (collapsed 1/3)} & not run & not run & not run \\
\midrule
\multicolumn{6}{l}{\emph{reasoning $\rightarrow$ coding}} \\
DOPD & not run & not run & not run & not run & not run \\
\bottomrule
\end{tabular}}
\par\medskip{\footnotesize\raggedright Greedy, 50 \% of $\beta_{w}$ \& more. n = 3 seeds unless said. Bold: best ranked method, underlined: second; blue: over half of the gap to the teacher closed, green: all of it.\par}
\end{table}
"""  # noqa: E501


def tall(count: int, blocks: int = 1, caption: str = "Notes.", columns: int = 2) -> Table:
    lines = tuple(
        Line(block=f"block {i * blocks // count}", label=f"line {i}", cells=(Cell(value=float(i)),) * columns)
        for i in range(count)
    )
    header = tuple(Column(key=f"c{i}", header="score") for i in range(columns))
    return replace(TABLE, caption=caption, columns=header, lines=lines, partial="")


def parts(table: Table) -> list[str]:
    return re.findall(r"\\begin\{(?:sideways)?table\}.*?\\end\{(?:sideways)?table\}", latex.to_latex(table), re.DOTALL)


def test_the_whole_of_a_small_table() -> None:
    assert latex.to_latex(TABLE) == LATEX


def test_the_usual_number_of_seeds_is_said_once() -> None:
    single = replace(TABLE, lines=(TABLE.lines[0], *(replace(TABLE.lines[1], cells=(Cell(value=1.0, n=1),) * 5),) * 2))
    written = latex.to_latex(single)
    assert "Single runs unless said." in written and "(single run)" not in written
    assert written.count("(n=3)") == 2  # the unusual ones
    assert "unless said" not in latex.to_latex(tall(3))


def test_braces_and_environments_balance_and_rows_are_even() -> None:
    written = latex.to_latex(replace(TABLE, caption="odd } and { and { and \\ and 100 % of $x_1$ #2 ~ ^"))
    bare = re.sub(r"(?m)(?<!\\)%.*$", "", written).replace("\\{", "").replace("\\}", "")
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    assert re.findall(r"\\begin\{(\w+)\}", bare) == re.findall(r"\\end\{(\w+)\}", bare)[::-1]
    rows = [row for row in bare.splitlines() if row.endswith("\\\\") and "multicolumn" not in row]
    assert len(rows) == 1 + len(TABLE.lines)
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(TABLE.columns)}
    assert bare.isascii()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("100 % & $5_a #1 {x}", r"100 \% \& \$5\_a \#1 \{x\}"),
        ("a\\b ~ ^ `", r"a\textbackslash{}b \textasciitilde{} \textasciicircum{} \textasciigrave{}"),
        ("→ ± − ≥ ≤ × β …", r"$\rightarrow$ $\pm$ $-$ $\geq$ $\leq$ $\times$ $\beta$ \ldots{}"),
        ("“so” — it’s – 1", "``so'' --- it's -- 1"),
        ("β_w and β_l1, λ", r"$\beta_{w}$ and $\beta_{l1}$, $\lambda$"),
        ("--from ---", "-{}-from -{}-{}-"),
        ("a | b < c > d", "a $|$ b $<$ c $>$ d"),
        ("[x] *y", "{[}x] {*}y"),
        ("Kraków, Żółw, café", "Kraków, Żółw, café"),
        ("☃ 数", "{[}snowman] {[}cjk unified ideograph-6570]"),
    ],
)
def test_escapes(written: str, expected: str) -> None:
    assert latex.escape(written) == expected


def test_every_character_of_our_tables_is_known() -> None:
    """Nothing published or redrawn needs the name of a character in its place."""
    made = [item.table(PUBLISHED) for item in PAPER.values() if item.table]
    texts = [to_csv(table) + table.caption + table.title for table in made]
    texts += ["".join(column.header for column in table.columns) for table in made]
    texts += [path.read_text(encoding="utf-8") for path in PUBLISHED.glob("*/*/*.csv")]
    assert len(texts) > 15
    shown = set("".join(texts)) - set("[")
    assert [character for character in sorted(shown) if latex.escape(character).startswith("{[}")] == []


def test_a_tall_table_goes_on_with_its_number_and_its_notes_at_the_end() -> None:
    first, second = parts(tall(60))
    assert "(continued)" not in first and "\\label" in first and "Notes." not in first
    assert "(continued)" in second and "\\addtocounter{table}{-1}" in second and "\\label" not in second
    assert second.count("Notes.") == 1
    labels = [re.findall(r"^line (\d+)", part, re.M) for part in (first, second)]
    assert [int(i) for part in labels for i in part] == list(range(60))
    assert "block 0" in second  # opens again


def test_a_tall_table_is_cut_between_blocks() -> None:
    for part in parts(tall(60, blocks=6)):
        assert len(re.findall(r"^line", part, re.M)) % 10 == 0


def test_notes_take_their_room_from_the_table() -> None:
    assert len(parts(tall(30))) == 1
    assert len(parts(tall(30, caption="word " * 300))) == 2


def test_notes_longer_than_half_a_page_stand_behind_the_table() -> None:
    written = latex.to_latex(tall(3, caption="word " * 1000))
    (table,) = parts(tall(3, caption="word " * 1000))
    assert "word" not in table
    assert "\\noindent{\\footnotesize Notes to Table~\\ref{tab:demo-table}: word word" in written


def test_a_wide_table_is_turned_and_says_what_it_needs() -> None:
    wide = latex.to_latex(tall(3, columns=20))
    assert wide.startswith("% needs \\usepackage{booktabs,graphicx,rotating}")
    assert "\\begin{sidewaystable}[p]" in wide and "\\end{sidewaystable}" in wide
    assert "sideways" not in latex.to_latex(tall(3, columns=5))
    assert len(parts(tall(30, columns=20))) == 2  # a turned page is lower


def test_what_pdflatex_complains_of_is_found_with_its_table() -> None:
    log = (
        "TABLE a.tex\nfine\nTABLE b.tex\nOverfull \\hbox (3.0pt too wide) in paragraph\nUnderfull \\hbox\n"
        "TABLE c.tex\nLaTeX Warning: Float too large for page by 9.0pt on input line 3.\n! Undefined control.\n"
    )
    found = latex_check.complaints(log)
    assert [line.split(": ", 1)[0] for line in found] == ["b.tex", "c.tex", "c.tex"]
    assert "Float too large" in found[1] and "Undefined" in found[2]


def test_the_check_compiles_every_published_and_redrawn_table() -> None:
    assert set(latex_check.redrawn()) >= {f"table{i}" for i in range(1, 9)}
    assert "embedded_vlm/ood/ood.tex" in latex_check.published()
