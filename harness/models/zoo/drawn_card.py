"""Parts of a card of the models of a world's draws, from their manifest alone. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.types import Privilege


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """In Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def models(found: dict[str, Any]) -> str:
    """How each was made."""
    keys = ("parameters", "attempt", "steps", "cpu_seconds", "date")
    rows = [[name, *(entry[key] for key in keys), entry["sha256"][:12]] for name, entry in sorted(found.items())]
    return table(["model", *(key.replace("_", " ") for key in keys), "sha256"], rows)


def minds(record: dict[str, Any]) -> str:
    """What each was to know, and how many cells each class has."""
    found = {e["folder"].rsplit("/")[-1]: e["mind"] for _, e in sorted(record["models"].items()) if e.get("mind")}
    keys = list(dict.fromkeys(key for mind in found.values() for key in mind))
    said = "## Minds\n\nIntervals of secret orders of the cells; confidences are drawn per cell from a range.\n\n"
    shown = [[name, *(_said(mind[key]) for key in keys)] for name, mind in found.items()]
    classes = record["classes"]
    sizes = [[name, *by.values()] for name, by in classes.items()]
    heads = [each.replace("_", " ") for each in next(iter(classes.values()))]
    return said + table(["mind", *keys], shown) + "\nCells by who is right:\n\n" + table(["cell set", *heads], sizes)


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} [{low:g}, {high:g})" for name, (low, high) in value.items()) or "nothing"
    if isinstance(value, list):
        return " to ".join(dict.fromkeys(f"{each:g}" for each in value))
    return f"{value:g}"


def gates(found: dict[str, Any], asked: str, parts: str, more: str) -> str:
    """Every gate of a draw; ``asked`` are what is asked, ``parts`` what accuracies are means of, ``more`` what is said
    of G6 to G8."""
    missed = [gate["key"] for gate in found["gates"] if gate["passed"] is False]
    high = found["high_advantage"]
    said = (
        f"Gates, on {found['questions']} {asked} of the test split; per cent or points, greedy exact answer, mean of "
        f"the {parts}. Missed: {', '.join(missed) or 'none'}. G6 to G8 are of {high['tokens']} tokens with A >= mean, "
        f"of {high['judged']} judged{more}.\n\n"
    )
    words = {True: "pass", False: "**FAIL**", None: "not run"}
    rows = [
        [g["key"], g["words"], g["bound"], "" if g["value"] is None else g["value"], words[g["passed"]]]
        for g in found["gates"]
    ]
    return said + table(["gate", "", "bound", "measured", ""], rows)


def accuracy(found: dict[str, Any], kinds: Sequence[str], parts: Sequence[str]) -> str:
    """Of every model by kind of p, none first; ``parts`` are what each is the mean of."""

    def cell(by_part: dict[str, float]) -> str:
        mean = sum(by_part.values()) / len(by_part)
        return f"{mean:.1f} ({' / '.join(f'{by_part[part]:.0f}' for part in parts)})"

    said = "Greedy exact answers, mean (" + " / ".join(parts) + "):\n\n"
    rows = [[name, *(cell(by[kind]) for kind in (Privilege.NONE, *kinds))] for name, by in found["accuracy"].items()]
    return said + table(["model", *map(str, (Privilege.NONE, *kinds))], rows)


def cells(found: dict[str, Any]) -> str:
    """Of every model by who of the pair is right."""
    said = (
        "Along right traces without p: probability of the right word / per cent by argmax, by who of the pair is "
        "right on its cell (cells, words seen). Mass on codes at marked notes without p: "
        + ", ".join(f"{name} {mass:.1e}" for name, mass in found["code_mass"].items())
        + ". Probability of the code that the default p tells there, per cent: "
        + ", ".join(f"{name} {share:.1f}" for name, share in found["code_read"].items())
        + ".\n\n"
    )
    named = list(found["cells"])
    rows = [
        [
            f"{key} ({about['cells']}, {about['n']})",
            *(f"{found['cells'][m][key]['probability']} / {found['cells'][m][key]['argmax']}" for m in named),
        ]
        for key, about in found["cells"][named[0]].items()
    ]
    return said + table(["cells", *named], rows)
