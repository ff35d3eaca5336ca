"""What a run logged while it trained, as rows: curves that stand beside the benchmarks'. No torch."""

from __future__ import annotations

from statistics import fmean

from harness.evaluation.audits import Findings, Subject
from harness.storage import files

LOGGED = ("entropy", "response_length", "truncation_rate")
PROBE = {"accuracy_with_p": "probe/accuracy_with_p"}
"""Read at the checkpoint itself."""


def training(subject: Subject) -> Findings:
    """Means over the steps since the probed step before; at step 0 only what was probed there."""
    spec = subject.folder.spec
    before = max((step for step in spec.probed_steps() if step < subject.step), default=-1)
    lines = [m for m in files.read_jsonl(subject.folder.metrics) if before < m["step"] <= subject.step]
    seen = {name: [m[name] for m in lines if m.get(name) is not None] for name in LOGGED}
    values = {name: fmean(found) for name, found in seen.items() if found}
    values |= {name: lines[-1][key] for name, key in PROBE.items() if lines and lines[-1].get(key) is not None}
    return Findings(values=values, n=spec.prompts_per_step * spec.rollouts_per_prompt)
