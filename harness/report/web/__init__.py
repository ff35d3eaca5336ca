"""The report: one static HTML page of a whole profile, for people who would rather look than read. No torch.

``dopd report --output DIR`` writes ``DIR/index.html`` with styles, script and figures inside, so that it opens by
double click and asks no network. It computes nothing of its own: tables and figures are the suites', the paper's stand
beside them under their own heading, and whatever is missing says why. Equal rows give equal bytes.
"""

from __future__ import annotations

from pathlib import Path

from harness.report.web.content import gather
from harness.report.web.page import render
from harness.storage import files
from harness.suite import Options, Profile

PAGE = "index.html"


def write(output: Path, profile: Profile, options: Options) -> Path:
    """Writes the page of every registered suite; ``options.source`` is runs or published.

    Returns its path.

    Raises:
        HarnessError: the disk is full. Rows that cannot be read are named on the page, in their suite's place.
    """
    path = output / PAGE
    files.write_text_atomic(path, render(gather(profile, options)))
    return path
