"""Tables of a Markdown page."""

from __future__ import annotations

import re
from pathlib import Path


def tables(path: Path) -> list[dict[str, str]]:
    """Every row of every table of a page, by header."""
    rows: list[dict[str, str]] = []
    header: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells:
            header = []
        elif not header:
            header = cells
        elif not set(line) <= set("|-: "):
            rows.append(dict(zip(header, cells, strict=True)))
    return rows
