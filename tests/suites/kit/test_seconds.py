"""Wherever seconds are shown, the caption says once what they are worth; where none are, it does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.synthetic import PROFILE, frames, options

from harness import registry
from suites import SUITES
from suites.kit.sentences import SECONDS


@pytest.mark.parametrize("name", [name for name in SUITES if not registry.suite(name).lacks(PROFILE)])
def test_captions_of_seconds(name: str, tmp_path: Path) -> None:
    suite = registry.suite(name)
    chosen = replace(options(tmp_path), suite=name, seeds=(0,))
    loaded = frames(chosen, lambda *_: 0.5, suite=suite)
    for table in suite.tables(*loaded, chosen):
        shown = any(column.header.endswith(", s") for column in table.columns)
        assert table.caption.count(SECONDS) == shown, table.name
    for stem, figure in suite.figures(*loaded, chosen).items():
        shown = any(label.endswith(", s") for ax in figure.axes for label in (ax.get_xlabel(), ax.get_ylabel()))
        words = " ".join(" ".join(text.get_text() for text in figure.texts).split())
        assert words.count(SECONDS) == shown, stem
