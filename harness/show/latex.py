"""A table as LaTeX that fits an article's page: ``report`` writes it beside the CSV and the Markdown. No torch.

A table wider than the page is scaled down, one that would become too small is turned, one that is too tall goes on in a
second part. What a reader must know of the numbers stands below them as notes; the caption is the title alone.
"""

from __future__ import annotations

import math
import re
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.show.tables import LEGEND, Cell, Column, Line, Shade, Table, concise, is_marked, is_text, text, with_block

COLOURS = {Shade.OVER_HALF: "blue!15", Shade.ALL: "green!20"}
SHADES = f"{LEGEND}; blue: over half of the gap to the teacher closed, green: all of it."
WIDTH, HEIGHT = 345.0, 550.0
"""Points of the text of an article at 10 points, the smallest page a table must fit."""
CHARACTER, COLUMN_GAP, ROW = 5.0, 12.0, 12.0
"""Points of a character, of the space between two columns and of a row, unscaled."""
NOTE_CHARACTER, NOTE_ROW = 4.3, 9.5
"""The same of the notes."""
HEADING = 80.0
"""Points of the caption, the header, the rules and the space around them."""
LEAST_SCALE = 0.6
"""A table that would be scaled below this is turned by a quarter."""
BLOCK = 1.5
"""Rows that a block's name and its rule take."""
HEADER_CHARACTERS, FEW_COLUMNS = 9, 4
"""A column's words are broken where they are longer than this and than its numbers; in few columns, than thrice it."""


def to_latex(table: Table) -> str:
    """One ``table`` or ``sidewaystable`` environment per part; the first line names the packages they need."""
    table = concise(table)
    said = f"{table.caption} {SHADES if is_marked(table) else ''}".strip()
    least = HEADER_CHARACTERS if len(table.columns) > FEW_COLUMNS else 3 * HEADER_CHARACTERS
    widths = [
        _column_width(column, [line.cells[i] for line in table.lines], least) for i, column in enumerate(table.columns)
    ]
    names = [table.label_header, *(line.label for line in table.lines)]
    total = (max(map(len, names)) + sum(widths)) * CHARACTER + (len(widths) + 1) * COLUMN_GAP
    turned = total * LEAST_SCALE > WIDTH
    across, down = (HEIGHT, WIDTH) if turned else (WIDTH, HEIGHT)
    height = NOTE_ROW * math.ceil(len(said) * NOTE_CHARACTER / across)
    inside = height < down / 2
    pages = _pages(table.lines, down, min(1.0, across / total), height if inside else 0.0)
    parts = [
        Part(lines=lines, first=i == 0, notes=said if inside and i == len(pages) - 1 else "", turned=turned)
        for i, lines in enumerate(pages)
    ]
    packages = "booktabs,graphicx,rotating" if turned else "booktabs,graphicx"
    return "\n".join(
        [
            f"% needs \\usepackage{{{packages}}} and \\usepackage[table]{{xcolor}}",
            *(_environment(table, part, widths) for part in parts),
            *(
                []
                if inside
                else [f"\\noindent{{\\footnotesize Notes to Table~\\ref{{{_label(table)}}}: {escape(said)}\\par}}\n"]
            ),
        ]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Lines of one page."""

    lines: Sequence[Line]
    first: bool
    notes: str
    """Of the last part, unless they stand outside; else empty."""
    turned: bool


def escape(written: str) -> str:
    """Text as LaTeX sets it, whatever is in it; a character it cannot set becomes its name in brackets."""
    return _TOKEN.sub(_escaped, written)


def _pieces(cell: Cell, column: Column) -> tuple[str, str]:
    """The number, or why there is none, and what stands behind it in brackets."""
    whole = text(cell, column.kind)
    number = text(replace(cell, n=0, notes=()), column.kind)
    return number, whole.removeprefix(number).strip()


def _column_width(column: Column, cells: Sequence[Cell], least: int) -> int:
    """In characters, bracketed words counted as the small print they are; the header is broken above ``least``."""
    pieces = [_pieces(cell, column) for cell in cells]
    longest = max((math.ceil(len(number) + 0.75 * len(behind)) for number, behind in pieces), default=0)
    return max([longest, *map(len, _broken(column.header, max(longest, least)))])


def _pages(lines: Sequence[Line], down: float, scale: float, notes: float) -> list[Sequence[Line]]:
    """Lines by page, cut before a block where one begins in the latter half; the last page has room for the notes."""
    room, last = ((down - HEADING - taken) / (ROW * scale) for taken in (0.0, notes))
    pages: list[Sequence[Line]] = []
    while len(lines) > 1 and _rows(lines) > last:
        fitting = max(1, *(i for i in range(len(lines)) if _rows(lines[:i]) <= room))
        starts = [i for i in range(fitting // 2 + 1, fitting + 1) if lines[i].block != lines[i - 1].block]
        cut = starts[-1] if starts else fitting
        pages.append(lines[:cut])
        lines = lines[cut:]
    return [*pages, lines]


def _label(table: Table) -> str:
    return f"tab:{table.name.replace('_', '-')}"


def _rows(lines: Sequence[Line]) -> float:
    return len(lines) + BLOCK * sum(bool(block) for _, block in with_block(lines))


def _environment(table: Table, part: Part, widths: Sequence[int]) -> str:
    headers = [_header(c.header, width) for c, width in zip(table.columns, widths, strict=True)]
    body: list[str] = []
    for line, block in with_block(part.lines):
        if block:
            body += ["\\midrule", f"\\multicolumn{{{len(headers) + 1}}}{{l}}{{\\emph{{{escape(block)}}}}} \\\\"]
        elif line is part.lines[0]:
            body.append("\\midrule")
        cells = (_cell(cell, c) for cell, c in zip(line.cells, table.columns, strict=True))
        body.append(" & ".join([escape(line.label), *cells]) + " \\\\")
    kind = "sidewaystable" if part.turned else "table"
    return "\n".join(
        [
            f"\\begin{{{kind}}}[{'p' if part.turned else 'tp'}]",
            *([] if part.first else ["\\addtocounter{table}{-1}"]),
            "\\centering",
            f"\\caption{{{escape(table.heading)}{'' if part.first else ' (continued)'}}}",
            *([f"\\label{{{_label(table)}}}"] if part.first else []),
            "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%",
            f"\\begin{{tabular}}{{l{''.join('l' if is_text(c) else 'r' for c in table.columns)}}}",
            "\\toprule",
            " & ".join([escape(table.label_header), *headers]) + " \\\\",
            *body,
            "\\bottomrule",
            "\\end{tabular}}",
            *([f"\\par\\medskip{{\\footnotesize\\raggedright {escape(part.notes)}\\par}}"] if part.notes else []),
            f"\\end{{{kind}}}",
            "",
        ]
    )


def _header(words: str, width: int) -> str:
    """In lines no longer than the column's numbers."""
    lines = _broken(words, width)
    stacked = " \\\\ ".join(map(escape, lines))
    return stacked if len(lines) == 1 else f"\\shortstack[r]{{{stacked}}}"


def _broken(words: str, width: int) -> list[str]:
    """Lines of a header; a per cent sign does not stand alone."""
    return textwrap.wrap(words.replace(", %", ",\u00a0%"), width, break_long_words=False)


def _cell(cell: Cell, column: Column) -> str:
    number, behind = _pieces(cell, column)
    written = escape("−" + number[1:] if number.startswith("-") else number)
    marked = {1: f"\\textbf{{{written}}}", 2: f"\\underline{{{written}}}"}.get(cell.rank, written)
    small = f" {{\\scriptsize {escape(behind)}}}" if behind else ""
    return (f"\\cellcolor{{{COLOURS[cell.shade]}}}" if cell.shade else "") + marked + small


def _greek(letters: str) -> dict[str, str]:
    """Letters to the names of their commands."""
    return {letter: unicodedata.name(letter).split()[-1].lower().replace("lamda", "lambda") for letter in letters}


_GREEK = _greek("αβγδεζηθικλμνξπρστυφχψω") | {
    letter: name.capitalize() for letter, name in _greek("ΓΔΘΛΞΠΣΦΨΩ").items()
}
_MATHS = {
    **_GREEK,
    **{"→": "rightarrow", "←": "leftarrow", "↔": "leftrightarrow", "↑": "uparrow", "↓": "downarrow"},
    **{"±": "pm", "×": "times", "÷": "div", "≥": "geq", "≤": "leq", "≠": "neq", "≈": "approx", "∞": "infty"},
    **{"·": "cdot", "∗": "ast", "∨": "vee", "∥": "parallel", "∈": "in", "√": "surd", "✓": "surd"},
}
CHARACTERS = {
    **{character: f"$\\{name}$" for character, name in _MATHS.items()},
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "`": "\\textasciigrave{}",
    "|": "$|$",
    "[": "{[}",  # a row that begins with one of these would be an argument of the row break before it
    "*": "{*}",
    '"': "''",
    "<": "$<$",
    ">": "$>$",
    "−": "$-$",
    "✗": "$\\times$",
    "½": "$\\frac12$",
    "µ": "$\\mu$",
    "§": "\\S{}",
    "²": "$^2$",
    "³": "$^3$",
    "°": "$^\\circ$",
    "…": "\\ldots{}",
    "–": "--",
    "—": "---",
    "\u2018": "`",
    "\u2019": "'",
    "“": "``",
    "”": "''",
    "\u00a0": "~",
    "\u202f": "\\,",
}
"""What LaTeX writes for a character that it reads otherwise, or not at all."""
_TOKEN = re.compile(rf"([{''.join(_GREEK)}])_([A-Za-z0-9]+)|(-)(?=-)|.", re.DOTALL)
"""A Greek letter with its index, a hyphen that would join the next one to a dash, or one character."""
_ACCENTS = set("\u0300\u0301\u0302\u0303\u0304\u0307\u0308\u030a\u030b\u030c\u0327")
"""Combining characters of the Latin letters that every font encoding can set."""


def _escaped(found: re.Match[str]) -> str:
    letter, index, hyphen = found.groups()
    if letter:
        return f"$\\{_GREEK[letter]}_{{{index}}}$"
    if hyphen:
        return "-{}"
    character = found[0]
    if character in CHARACTERS:
        return CHARACTERS[character]
    if character.isascii() or _is_latin(character):
        return character
    return f"{{[}}{unicodedata.name(character, f'U+{ord(character):04X}').lower()}]"


def _is_latin(character: str) -> bool:
    """A Latin letter with an accent, or one of the few without a base."""
    base, *accents = unicodedata.normalize("NFD", character)
    return character in "ßæøåłœÆØÅŁŒ" or (base.isascii() and base.isalpha() and set(accents) <= _ACCENTS)
