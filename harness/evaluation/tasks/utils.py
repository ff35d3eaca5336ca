"""Data and scorer of the exported embedded benchmarks; needs lm-eval, nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets


def docs(file: str, items: int | None = None, **_: Any) -> dict[str, datasets.Dataset]:
    """The first ``items`` lines of a file beside this one, so that the folder can be moved."""
    lines = (Path(__file__).resolve().parent / file).read_text(encoding="utf-8").splitlines()
    return {"test": datasets.Dataset.from_list([json.loads(line) for line in lines[:items]])}


def grade(doc: dict[str, Any], response: str) -> dict[str, float]:
    """Is the response right: ``! <answer>`` at its end; the reference trace, where None takes any word."""
    words, reference = response.split(), doc["trace"]
    pairs = zip(reference, words, strict=False)
    trace = len(words) == len(reference) and all(r is None or r == word for r, word in pairs)
    return {"exact_answer": float(words[-2:] == ["!", doc["answer"]]), "exact_trace": float(trace)}


def process_results(doc: dict[str, Any], results: list[list[str]]) -> dict[str, float]:
    """Mean over the responses to one item."""
    grades = [grade(doc, response) for response in results[0]]
    return {metric: sum(g[metric] for g in grades) / len(grades) for metric in grades[0]}
