"""Write what pages only repeat of the code: ``nox -s pages``.

A method of the registry that has none yet gets its row in ``methods/README.md``, its block in ``docs/protocol.md`` and
its loss in ``tests/contract/method_losses.json``, which is recorded again where the version was bumped; ``README.md``
counts the methods. What is there already stays as somebody wrote it. The tests of these pages then hold them against
the code.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from contract.test_contract import GOLDEN, recorded  # noqa: E402 (the folders must be known first)
from support.pages import tables  # noqa: E402
from support.protocol import declared, sketch_text  # noqa: E402

from harness import registry  # noqa: E402
from harness.cli.methods_table import granularity_of, views_of  # noqa: E402
from harness.method import Entry, Method  # noqa: E402


def row(name: str, entry: Entry, method: Method) -> str:
    """Of the table of methods: what the registry, the method's fields and its docstring say of it."""
    paper = ", ".join(re.findall(r"arXiv:(\d{4}\.\d{5})", entry.citation)) or entry.citation
    divergence = str(getattr(method, "divergence", "its own")).replace("_", " ")
    cells = (f"`{name}`", paper, views_of(method), divergence, granularity_of(method, entry), first_line(method))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def first_line(method: Method) -> str:
    """Of the docstring of the method's class."""
    return (inspect.getdoc(type(method)) or "").splitlines()[0].rstrip(".")


def with_rows(page: str, methods: Mapping[str, tuple[Entry, Method]], listed: list[str]) -> str:
    """The page, a row for each name that has none, after the row of the name before it in the registry."""
    lines, names = page.splitlines(), list(methods)
    for name in names:
        if name in listed:
            continue
        before = [other for other in names[: names.index(name)] if other in listed][-1]
        at = next(i for i, line in enumerate(lines) if line.startswith(f"| `{before}` |"))
        lines.insert(at + 1, row(name, *methods[name]))
        listed.append(name)
    return "\n".join(lines) + "\n"


def with_blocks(page: str, methods: Mapping[str, tuple[Entry, Method]]) -> str:
    """The page, a block for each class that has none, at the end of the implemented ones."""
    seen = {methods[name][0].target for name in re.findall(r"^```text\n(\w+)", page, flags=re.M) if name in methods}
    head, mark, rest = page.partition("\n## Not implemented")
    for name, (entry, method) in methods.items():
        if entry.listed and entry.target not in seen:
            seen.add(entry.target)
            block = sketch_text(name, declared(name), says=entry.citation, loss=first_line(method))
            head = head.rstrip() + f"\n```text\n{block}\n```\n"
    return head + mark + rest


def with_count(page: str, methods: int) -> str:
    """The page, which says how many methods there are."""
    return re.sub(r"\b\d+ methods\b", f"{methods} methods", page, count=1)


def unrecorded(known: Mapping[str, Any], methods: Mapping[str, tuple[Entry, Method]]) -> list[str]:
    """Names of methods whose loss is not recorded, or that of another version is."""
    return [name for name, (_, method) in methods.items() if known.get(name, {}).get("version") != method.version]


def main() -> None:
    """Rewrite the four files where something is missing."""
    methods = {
        name: (entry, registry.build_method(registry.method_spec(name))) for name, entry in registry.methods().items()
    }
    first, readme, protocol = ROOT / "README.md", ROOT / "methods" / "README.md", ROOT / "docs" / "protocol.md"
    listed = [line["name"].strip("`") for line in tables(readme)]
    known = json.loads(GOLDEN.read_text(encoding="utf-8"))
    losses = recorded(known, unrecorded(known, methods))
    texts = {
        first: with_count(first.read_text(encoding="utf-8"), len(methods)),
        readme: with_rows(readme.read_text(encoding="utf-8"), methods, listed),
        protocol: with_blocks(protocol.read_text(encoding="utf-8"), methods),
        GOLDEN: json.dumps(losses, indent=1) + "\n",
    }
    for path, text in texts.items():
        if text != path.read_text(encoding="utf-8"):
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
