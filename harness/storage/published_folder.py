"""A published suite: ``<published>/<profile>/<suite>/``, plain files that ``dopd publish`` writes. No torch."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.config import RunSpec, to_json
from harness.storage import files
from harness.types import Cost, HarnessError, NoRowsError, Row

ROWS_FILE = "rows.jsonl"
COSTS_FILE = "costs.csv"
SPECS_FILE = "specs.jsonl"
ENVIRONMENTS_FILE = "environments.json"
RESTORE = "restore it (git checkout) or publish again"
"""What helps where a published file is damaged."""
SCHEMA: int = Row.__dataclass_fields__["schema"].default
JSON_TYPES: Mapping[str, tuple[type, ...]] = {
    "tuple[str, ...]": (list,),
    "float": (float, int),
    "int": (int,),
    "int | None": (int, type(None)),
    "str": (str,),
}
"""By annotation."""
ROW_TYPES: Mapping[str, tuple[type, ...]] = {
    field.name: JSON_TYPES[str(field.type)] for field in dataclasses.fields(Row)
}
"""Of a row's fields as JSON holds them."""


def read_rows(path: Path) -> list[Row]:
    """Rows of a published file.

    Raises:
        NoRowsError: absent.
        HarnessError: empty, cut off, damaged, or written by another version.
    """
    rows: list[Row] = []
    for number, record in enumerate(read_whole(path, "rows"), start=1):
        try:
            rows.append(_parsed(record))
        except (KeyError, TypeError) as error:
            raise HarnessError(
                f"{path} line {number} is of another schema ({error}); this version reads schema {SCHEMA}: "
                "publish again"
            ) from error
    return rows


def read_whole(path: Path, what: str) -> list[dict[str, Any]]:
    """Records of a published file, which has some and ends with a line.

    Args:
        what: the file holds, for the message.

    Raises:
        NoRowsError: absent.
        HarnessError: empty, cut off or damaged.
    """
    if not path.is_file():
        raise NoRowsError(f"no published {what} at {path}: run the suite and publish it, or use --from runs")
    if not path.stat().st_size:
        raise HarnessError(f"{path} is empty: restore it (git checkout) or publish again")
    if not path.read_bytes().endswith(b"\n"):
        raise HarnessError(f"{path} is cut off in its last line: restore it (git checkout) or publish again")
    return files.read_jsonl(path, cure=RESTORE)


def _parsed(record: Mapping[str, Any]) -> Row:
    """A row from JSON. Raises KeyError or TypeError: a field is missing, unknown or of another type."""
    for name, kinds in ROW_TYPES.items():
        if name in record and type(record[name]) not in kinds:
            allowed = " or ".join(kind.__name__ for kind in kinds)
            raise TypeError(f"{name} is {record[name]!r}, allowed is {allowed}")
    values: dict[str, Any] = {**record, "train_domains": tuple(record["train_domains"])}
    return Row(**values)


def rows_of(folder: Path, spec: RunSpec) -> list[Row]:
    """Rows of one run; none unless the suite published this very run, whatever an id of few digits says.

    Raises:
        HarnessError: a line of the run is damaged or of another version.
    """
    if {"run": spec.id, **to_json(spec)} not in _lines_of(folder / SPECS_FILE, spec.id):
        return []
    try:
        return [_parsed(record) for record in _lines_of(folder / ROWS_FILE, spec.id)]
    except (KeyError, TypeError) as error:
        raise HarnessError(f"{folder / ROWS_FILE} is of another schema ({error}): publish again") from error


def environments_of(folder: Path, run: str) -> list[dict[str, Any]]:
    """Where a published run was made, as its folder held it; none if that was not published."""
    path = folder / ENVIRONMENTS_FILE
    found = files.read_json(path) if path.is_file() else []
    return [{key: value for key, value in each.items() if key != "runs"} for each in found if run in each["runs"]]


def _lines_of(path: Path, run: str) -> list[dict[str, Any]]:
    """Records of one run; the lines of others are not parsed, a file may hold thousands."""
    if not path.is_file():
        return []
    try:
        found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if run in line]
    except ValueError as error:
        raise HarnessError(f"{path} is damaged ({error}): restore it (git checkout) or publish again") from error
    return [record for record in found if record.get("run") == run]


def read_costs(path: Path) -> list[Cost]:
    """Costs of a ``costs.csv`` that ``publish`` wrote; none if there is no such file.

    Raises:
        HarnessError: damaged, or written by another version.
    """
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        try:
            return [_cost(record) for record in csv.DictReader(file)]
        except (KeyError, TypeError, ValueError) as error:
            raise HarnessError(f"{path} is damaged or of another version ({error}): publish again") from error


def _cost(record: dict[str, str]) -> Cost:
    return Cost(
        run=record["run"],
        method=record["method"],
        seed=int(record["seed"]),
        train_domains=tuple(filter(None, record["train_domains"].split("+"))),
        steps=int(record["steps"]),
        tokens=int(record["tokens"]),
        forwards_per_token=float(record["forwards_per_token"]),
        train_seconds=float(record["train_seconds"]),
        evaluation_seconds=float(record["evaluation_seconds"]),
        peak_memory_mb=float(record["peak_memory_mb"]),
        acted=float(record["acted"]) if record.get("acted") else None,
    )
