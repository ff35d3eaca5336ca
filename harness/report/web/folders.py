"""A page travels: no folder of the machine that made it may stand on it. No torch."""

from __future__ import annotations

import re

from harness.suite import Options

FOLDERS = re.compile(r"(?<!\S)/\S*/(?=[^/\s])")
"""What stands before the own name of a file that is told from the root on."""


def without_folders(text: str, options: Options) -> str:
    """An error's words with the folders of results told as ``results``."""
    for folder in (options.published, options.results):
        for path in sorted({str(folder), str(folder.resolve())}, key=len, reverse=True):
            text = text.replace(path, "results")
    return text


def names_alone(text: str) -> str:
    """An error's words with every file told by its own name: pictures lie wherever their owner keeps them."""
    return FOLDERS.sub("", text)
