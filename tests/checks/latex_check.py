"""Compiles every published table, the paper's and one of all characters; ``nox -s latex``. Needs pdflatex.

``python tests/checks/latex_check.py [FILE.pdf]`` keeps the document. Anything that does not fit its page is an error.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from harness.show import latex
from harness.show.tables import Cell, Column, Line, Shade, Table
from harness.suite import PUBLISHED
from suites.paper.numbers import PAPER

PREAMBLE = "\\documentclass{article}\n\\usepackage{booktabs,graphicx,rotating}\n\\usepackage[table]{xcolor}\n"
COMPLAINTS = re.compile(
    r"^(! .*|Overfull .*|LaTeX Warning: (?:Float too large|Reference|Label .* multiply).*|Missing character.*)", re.M
)
LATIN = "".join(map(chr, range(0xA1, 0x180)))


def published() -> dict[str, str]:
    """Every committed table by its path."""
    found = sorted(path for path in PUBLISHED.glob("*/*/*.tex") if path.parts[-3] != "runs")
    texts = {path: path.read_text(encoding="utf-8") for path in found}
    # A suite at two learning rates or under two profiles has the same tables twice, which no paper would show under one
    # label.
    return {
        str(path.relative_to(PUBLISHED)): text.replace("{tab:", f"{{tab:{'-'.join(path.parts[-3:-1])}-")
        for path, text in texts.items()
    }


def redrawn() -> dict[str, str]:
    """The paper's tables by name."""
    return {name: latex.to_latex(item.table(PUBLISHED)) for name, item in PAPER.items() if item.table}


def characters() -> dict[str, str]:
    """A table of every character ``harness.show.latex`` knows and some it does not, in every place a text can stand."""
    printable = "".join(map(chr, range(0x21, 0x7F)))
    samples = [
        *textual(printable),
        *textual("".join(latex.CHARACTERS)),
        *textual(LATIN),
        "数学 ☃",
        "[0] * first",
        "* first",
        "β_w β_l --flag \\end{table} 100 %",
    ]
    lines = [
        Line(
            block=sample,
            label=sample,
            cells=(Cell(value=-1.0, half=2.0, n=n, rank=n, shade=Shade.ALL, notes=(sample,)), Cell(missing=sample)),
        )
        for n, sample in enumerate(samples)
    ]
    table = Table(
        name="every_character",
        title=f"Characters {samples[0]}",
        caption=" ".join(samples),
        block_header="",
        label_header="β_w, %",
        columns=(Column(key="a", header="β_w, %"), Column(key="b", header="a — b")),
        lines=tuple(lines),
    )
    return {"characters": latex.to_latex(table)}


def textual(letters: str) -> list[str]:
    """In words of five, words of eight to a text."""
    words = [letters[i : i + 5] for i in range(0, len(letters), 5)]
    return [" ".join(words[i : i + 8]) for i in range(0, len(words), 8)]


def compile_all(tables: dict[str, str], folder: Path) -> list[str]:
    """What pdflatex complains of, with the table it complained in; ``folder``/all.pdf is written."""
    body = [f"\\typeout{{TABLE {name}}}\n{written}\\clearpage\n" for name, written in tables.items()]
    source = f"{PREAMBLE}\\begin{{document}}\n{''.join(body)}\\end{{document}}\n"
    (folder / "all.tex").write_text(source, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "all.tex"]
    for _ in range(2):  # the second pass knows the references
        done = subprocess.run(command, cwd=folder, capture_output=True, env=os.environ | {"max_print_line": "1000"})
    log = (folder / "all.log").read_text(encoding="utf-8", errors="replace")
    if done.returncode and not COMPLAINTS.search(log):
        return [f"pdflatex ended with {done.returncode}"]
    return complaints(log)


def complaints(log: str) -> list[str]:
    """Each with the table that was being set."""
    parts = re.split(r"^TABLE (\S+)$", log, flags=re.M)
    named = zip(("preamble", *parts[1::2]), parts[::2], strict=True)
    return [f"{name}: {found.group(1)}" for name, text in named for found in COMPLAINTS.finditer(text)]


def main(keep: str | None = None) -> str:
    """One line on success, else what is wrong, for ``sys.exit``."""
    if shutil.which("pdflatex") is None:
        return "no pdflatex here: install Debian's texlive-latex-recommended"
    tables = published() | redrawn() | characters()
    with tempfile.TemporaryDirectory() as name:
        wrong = compile_all(tables, Path(name))
        if keep and (Path(name) / "all.pdf").exists():
            shutil.copy(Path(name) / "all.pdf", keep)
    print(f"{len(tables)} tables given to pdflatex, {len(wrong)} complaints", flush=True)
    return "\n".join(wrong)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]) or None)
