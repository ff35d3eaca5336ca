"""What every figure shares: type sizes, axes, and files whose bytes depend on the data only. No torch."""

from __future__ import annotations

import io
import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.storage import files

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PER_ROW, WIDEST = 3, 10.5
"""At most so many panels side by side, and so many inches."""


PANEL_INCHES, LINE_INCHES, CHARACTER_INCHES = 2.5, 0.145, 0.06
"""Height of a panel, height of a line of small text, width of a character of it."""


SMALL = 7.5
"""Points of small text."""


CHARACTERS_PER_INCH = 15.5
"""Of small text."""


STYLE: dict[Any, dict[str, Any]] = {
    "pdf": {"fonttype": 42},
    "font": {"family": "DejaVu Sans"},
    "hatch": {"linewidth": 0.6},
}
"""On top of matplotlib's defaults, so that a reader's own settings do not change our files."""


def save(figure: Figure, folder: Path, stem: str) -> list[Path]:
    """``stem``.pdf and ``stem``.png in ``folder``, without date or version: equal figures are equal files."""
    paths: list[Path] = []
    with styled():
        for kind, metadata in (
            ("pdf", {"CreationDate": None, "Producer": None, "Creator": None}),
            ("png", {"Software": None}),
        ):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, dpi=200, metadata=metadata)
            paths.append(folder / f"{stem}.{kind}")
            _write_bytes(paths[-1], buffer.getvalue())
    return paths


@contextmanager
def styled() -> Iterator[None]:
    """matplotlib's defaults and ``STYLE``, whatever a reader has set; drawing and saving happen inside."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        for group, settings in STYLE.items():
            mpl.rc(group, **settings)
        yield


def plain_axes(ax: Axes, grid: Literal["x", "y", "both"] = "both") -> None:
    """A faint grid behind the data; no frame above and at the right."""
    ax.grid(axis=grid, color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def wrapped(caption: str, inches: float) -> list[str]:
    """Lines of small text that fit into a width."""
    return textwrap.wrap(caption, int(CHARACTERS_PER_INCH * inches))


def _write_bytes(path: Path, data: bytes) -> None:
    """Beside ``path``, then renamed: a figure is whole or not there."""
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with files.disk_guard(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        os.replace(part, path)
