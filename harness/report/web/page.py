"""From content to one HTML page: template, styles and script are the files beside this one. No torch."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from harness.report.web import decisions, trajectory
from harness.report.web.content import Content
from harness.show import tables
from harness.show.tables import Cell, Column, Line, Shade, Table
from harness.show.verdicts import effect_digits

FOLDER = Path(__file__).resolve().parent
TEMPLATE, STYLES, SCRIPT = "page.html", "page.css", "page.js"
PICTURE_STYLES = "pictures.css"
"""Only where there are pictures: a page of text is what it would be without them."""
SENTENCE = re.compile(r"(?<=[a-z0-9)%])\. (?=[A-Z])")
"""Where a caption may be cut: its first sentence is always shown, the others on demand."""
SHADES = {Shade.OVER_HALF: ("half", "◐"), Shade.ALL: ("all", "●")}
"""Class and sign."""


def render(content: Content) -> str:
    """The page. Equal content gives equal text."""
    sheets = (STYLES, PICTURE_STYLES) if content.problems or content.pictures else (STYLES,)
    styles = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in sheets)
    script = (FOLDER / SCRIPT).read_text(encoding="utf-8")
    return (
        _environment()
        .get_template(TEMPLATE)
        .render(
            content=content,
            policy=policy(styles, script, pictures=bool(content.pictures)),
            styles=styles,
            script=script,
            regimes=trajectory.MEANING,
            signs=decisions.SIGNS,
        )
    )


def policy(styles: str, script: str, *, pictures: bool = False) -> str:
    """Content security: this script and these styles by their hash, attributes of style, pictures that stand in the
    page where it has some, and nothing from anywhere."""
    return "; ".join(
        (
            "default-src 'none'",
            *(("img-src data:",) if pictures else ()),
            f"script-src '{_hash(script)}'",
            f"style-src-elem '{_hash(styles)}'",
            "style-src-attr 'unsafe-inline'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _environment() -> Environment:
    environment: Any = Environment(  # jinja's stubs allow no filters but its own
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(lead=lead, rest=rest, parts=parts, blocks=blocks, fixed=fixed, digits=effect_digits)
    environment.globals["shades"] = SHADES
    return environment


def lead(caption: str) -> str:
    """The first sentence."""
    first, cut, _ = _split(caption)
    return first + ("." if cut else "")


def rest(caption: str) -> str:
    """Everything after the first sentence."""
    return _split(caption)[2]


def _split(caption: str) -> tuple[str, bool, str]:
    pieces = SENTENCE.split(caption, maxsplit=1)
    return pieces[0], len(pieces) > 1, pieces[1] if len(pieces) > 1 else ""


def parts(cell: Cell, column: Column) -> tuple[str, str]:
    """The number alone; and what stands behind it: interval, seeds, notes."""
    whole = tables.text(cell, column.kind)
    number = tables.text(replace(cell, half=None, n=0, notes=()), column.kind)
    return number.replace("-", "−", 1) if number.startswith("-") else number, whole.removeprefix(number).strip()


def blocks(table: Table) -> Mapping[str, list[Line]]:
    """Lines that stand together, in the order of the table."""
    found: dict[str, list[Line]] = {}
    for line in table.lines:
        found.setdefault(line.block, []).append(line)
    return found


def fixed(value: Any, digits: int = 2) -> str:
    """A number for a reader, a dash for none; minus as a minus."""
    return "–" if value is None else f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")
