"""A few sums told in English as a file of the user's: worked steps as p; the colour of a basket is what only p tells.

For models that read English: every text is words, and facts are spans of characters in them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random
from typing import Any

DOMAIN, PRIVILEGE = "apples", "worked"
COLOURS = ("red", "blue", "green")
NAMES = ("Ada", "Tom", "Lea", "Ben")
TOLD = re.compile(rf"(?<== )-?\d+|(?<=#### )-?\d+|(?<=Basket )(?:{'|'.join(COLOURS)})")
"""Results, the answer, the colour."""


def line(split: str, index: int) -> dict[str, Any]:
    """Problem number ``index``, as ``docs/data.md`` has it."""
    rng = Random(f"{split}/{index}")
    name, colour = rng.choice(NAMES), rng.choice(COLOURS)
    a, b = rng.randrange(10, 50), rng.randrange(2, 30)
    c = rng.randrange(1, a)
    worked = f"{a} + {b} = {a + b}. {a + b} - {c} = {a + b - c}. Basket {colour}"
    trace = f"{worked}\n#### {a + b - c}"
    return {
        "id": f"{split}-{index}",
        "split": split,
        "prompt": f"{name} has {a} apples in a basket, picks {b} more and eats {c}. How many are left?",
        "answer": a + b - c,
        "privileged": {PRIVILEGE: f"The worked steps: {worked}"},
        "trace": trace,
        "facts": [
            [found.start(), found.end(), "information" if found[0].isalpha() else "capability"]
            for found in TOLD.finditer(trace)
        ],
    }


def write(path: Path) -> Path:
    """40 problems to train on, four to validate with, two to be asked."""
    head = {"schema": 1, "domain": DOMAIN, "grader": {"kind": "number", "after": "####"}}
    problems = [line(split, i) for split, n in (("train", 40), ("validation", 4), ("test", 2)) for i in range(n)]
    path.write_text("".join(json.dumps(each) + "\n" for each in (head, *problems)))
    return path
