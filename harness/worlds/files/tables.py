"""Records of a folder that the library datasets wrote (``save_to_disk``), or of parquet files. No torch."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.types import HarnessError
from harness.worlds.files.schema import SPLITS

WRITTEN = ("dataset_dict.json", "state.json")
"""What ``save_to_disk`` leaves in the folder: of several splits, of one data set."""


def records(path: Path) -> Iterator[tuple[str, Any, str]]:
    """Place, record and split of each row: that of a ``DatasetDict``, or of files that are named after splits, else
    none.

    Raises:
        HarnessError: the folder is neither, or cannot be read.
    """
    found = _saved(path) if any((path / name).is_file() for name in WRITTEN) else _parquet(path)
    for split, rows in found:
        for number, row in enumerate(rows, start=1):
            yield f"{split} row {number}".strip(), dict(row), split


def _saved(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        found: Any = importlib.import_module("datasets").load_from_disk(str(path))
    except (OSError, ValueError) as error:
        raise HarnessError(
            f"data {path} cannot be read ({' '.join(str(error).split())[:160]}): save it again"
        ) from error
    if hasattr(found, "column_names") and isinstance(found.column_names, dict):
        yield from found.items()
    else:
        yield "", found


def _parquet(path: Path) -> Iterator[tuple[str, Any]]:
    files = sorted(path.rglob("*.parquet"))
    if not files:
        raise HarnessError(
            f"data {path} is a folder without {' or '.join(WRITTEN)} (datasets' save_to_disk) and without parquet "
            "files: give one of these, or a jsonl file"
        )
    splits = [file.stem.partition("-")[0] for file in files]
    named = all(split in SPLITS for split in splits)
    for file, split in zip(files, splits, strict=True):
        try:
            rows: Any = importlib.import_module("pyarrow.parquet").read_table(file).to_pylist()
        except (OSError, ValueError) as error:
            raise HarnessError(f"data {file} is no parquet file ({' '.join(str(error).split())[:160]})") from error
        yield (split if named else ""), rows
