"""One visit of the vocabulary by a reverse KL with its gradient, by rows in a block, beside one product of the head.

Random logits in float32 on one core, 2**24 of them, blocks of all sizes taking turns. Run:
``python tests/speed/objective.py [--repeats 5]``.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table

from harness.losses import fused
from harness.losses.objectives import Divergence

WIDTH = 256
ROWS = (1, 4, 16, 64)
VOCABULARIES = (4_096, 32_000, 151_936)


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def kinds(vocabulary: int) -> dict[str, Callable[[], object]]:
    """What takes turns, by the name of its column."""
    tokens = 2**24 // vocabulary
    hidden_ND, weight_VD = torch.randn(tokens, WIDTH), 0.05 * torch.randn(vocabulary, WIDTH)
    logits_NV, source_NV = torch.randn(tokens, vocabulary), torch.randn(tokens, vocabulary)
    objective = fused.full(source_NV, Divergence.REVERSE_KL)

    def visit(rows: int) -> None:
        fused.BLOCK = rows * vocabulary
        fused._visit(logits_NV, objective, gradient=True)

    return {
        **{f"{rows} rows": (lambda rows=rows: visit(rows)) for rows in ROWS},
        "product, memory kept": lambda: torch.mm(hidden_ND, weight_VD.T, out=logits_NV),
        "product, fresh memory": lambda: hidden_ND @ weight_VD.T,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    table: Table | None = None
    for vocabulary in VOCABULARIES:
        turns = kinds(vocabulary)
        table = table or Table("vocabulary (tokens)", *(f"{name}, ms" for name in turns), title="median (min to max)")
        found: dict[str, list[float]] = {name: [] for name in turns}
        for _ in range(given.repeats + 1):
            for name, work in turns.items():
                found[name].append(1e3 * seconds(work))
        cells = [f"{statistics.median(ms[1:]):.0f} ({min(ms[1:]):.0f} to {max(ms[1:]):.0f})" for ms in found.values()]
        table.add_row(f"{vocabulary:,} ({2**24 // vocabulary:,})", *cells)
    assert table is not None
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
