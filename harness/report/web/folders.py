"""A page travels: no folder of the machine that made it may stand on it. No torch."""

from __future__ import annotations

from harness.suite import Options


def without_folders(text: str, options: Options) -> str:
    """An error's words with the folders of results told as ``results``."""
    for folder in (options.published, options.results):
        for path in sorted({str(folder), str(folder.resolve())}, key=len, reverse=True):
            text = text.replace(path, "results")
    return text
