"""``dopd methods``: the registry as a table, and what is not implemented. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich import box
from rich.table import Table

from harness import registry
from harness.method import Entry, Method, forwards_per_token
from harness.types import Policy, View

COLUMNS = {
    "name": 19,
    "paradigm": 9,
    "citation": 18,
    "trained ← sources": 24,
    "granularity": 14,
    "reduction": 13,
    "sampler": 11,
    "needs": 8,
    "forwards\na token": 8,
    "settings; departure": None,
}
"""Headers and largest widths, which leave 26 of 160 columns to the last."""


def methods_table() -> Table:
    """One row a name, at the source's settings; a third party's method that does not build says why."""
    caption = "At the sources' own settings; `dopd plan` shows what a profile changes."
    table = Table(title="Methods", caption=caption, box=box.SIMPLE_HEAD, padding=0, leading=1)
    for header, width in COLUMNS.items():
        table.add_column(header, max_width=width, overflow="fold")
    for name, entry in registry.methods().items():
        table.add_row(*cells(name, entry))
    return table


def absent_table() -> Table:
    """What the papers compare with and the registry leaves out."""
    table = Table("name", "citation", "why not", title="Not implemented", box=box.SIMPLE_HEAD, padding=0)
    for name, (citation, reason) in registry.not_implemented().items():
        table.add_row(name, citation, reason)
    return table


def cells(name: str, entry: Entry) -> tuple[str, ...]:
    """The row of one method, in the order of ``COLUMNS``."""
    known, remarks = (name, entry.paradigm, entry.citation), "; ".join(_remarks(entry))
    try:
        method = registry.build_method(registry.method_spec(name))
        views, forwards = views_of(method), f"{forwards_per_token(method):g}"
    except Exception as error:  # a listing must not end at one broken file of somebody else
        reason = " ".join(str(error).split()) or type(error).__name__
        return (*known, f"does not build: {reason}", *[""] * 5, remarks)
    needs = ["reward"] * method.needs_reward + ["siblings"] * method.needs_siblings
    needs += ["pictures"] * bool(method.pictures)
    return (
        *known,
        views,
        granularity_of(method, entry),
        method.reduction.value,
        sampler_of(method),
        ", ".join(needs) or "–",
        forwards,
        remarks,
    )


def views_of(method: Method) -> str:
    """``student(plain) ← teacher(privileged), student(privileged)``; views scored for statistics follow."""
    parts = (
        ("", (term.trained for term in method.terms)),
        (" ← ", (view for term in method.terms for view in term.sources)),
        ("; scored: ", method.scored),
    )
    return "".join(f"{before}{text}" for before, views in parts if (text := described(views)))


def described(views: Iterable[View]) -> str:
    """Contexts by policy, each once: ``initial(solution, plain), snapshot(solution)``."""
    contexts: dict[Policy, dict[str, None]] = {}
    for view in views:
        contexts.setdefault(view.policy, {})[view.context] = None
    return ", ".join(f"{policy}({', '.join(names)})" for policy, names in contexts.items())


def granularity_of(method: Method, entry: Entry) -> str:
    """The entry's phrase with the method's own k in it."""
    return entry.granularity.replace("top-k", f"top-{getattr(method, 'k', 'k')}") or "–"


def sampler_of(method: Method) -> str:
    """Who writes the responses, with shares where there are several."""
    parts = (f"{source} {share:g}" if share < 1 else source.value for source, share in method.sampling.items())
    return ", ".join(parts).replace("_", " ")


def _remarks(entry: Entry) -> Iterator[str]:
    yield from (f"{key} = {value}" for key, value in entry.settings.items())
    if entry.departure:
        yield entry.departure
    if not entry.listed:
        yield "not in --methods all"
    if not entry.ranked:
        yield "not ranked"
