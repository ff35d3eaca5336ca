"""The registry of methods: a visible dict, in table order. Values are imported on use.

Add a method: write its file, add its line. ``tests/test_contract.py`` then tests it.
"""

from __future__ import annotations

from harness.method import Entry

OPD = "methods.opd:OnPolicyDistillation"
DOPD = "methods.dopd:DualOnPolicyDistillation"
BLOG = "Thinking Machines Lab, On-Policy Distillation, 2025"
PAPER = "Yu et al., DOPD: Dual On-policy Distillation, arXiv:2606.30626, 2026"

METHODS: dict[str, Entry] = {
    "sft": Entry(
        target="methods.sft:SupervisedFineTuning",
        label="SFT",
        paradigm="classical",
        citation="maximum likelihood on verified teacher samples",
    ),
    "sft_oracle": Entry(
        target="methods.sft:SupervisedFineTuning",
        settings={"completions": "dataset"},
        label="SFT (oracle traces)",
        paradigm="reference",
        citation="maximum likelihood on the world's own traces",
        ranked=False,
        departure="sees reference traces that no other method may see",
    ),
    "vanilla_opd": Entry(target=OPD, label="Vanilla OPD", paradigm="standard", citation=BLOG),
    "vanilla_opd_sampled": Entry(
        target=OPD,
        settings={"granularity": "sampled"},
        label="Vanilla OPD (sampled)",
        paradigm="standard",
        citation=BLOG,
    ),
    "privileged_teacher": Entry(
        target=OPD,
        settings={"source_context": "privileged"},
        label="Priv. T→S",
        paradigm="privilege",
        citation=PAPER,
    ),
    "privileged_student": Entry(
        target=OPD,
        settings={"source_policy": "student", "source_context": "privileged"},
        label="Priv. S→S",
        paradigm="privilege",
        citation=PAPER,
    ),
    "privileged_both": Entry(
        target=OPD,
        settings={"source_context": "privileged", "trained_context": "privileged"},
        label="Priv. T→Priv. S",
        paradigm="privilege",
        citation=PAPER,
    ),
    "student_privileged": Entry(
        target=OPD,
        settings={"trained_context": "privileged"},
        label="T→Priv. S",
        paradigm="privilege",
        citation=PAPER,
    ),
    "dopd": Entry(target=DOPD, label="DOPD", paradigm="dual", citation=PAPER),
    "dopd_initial_self": Entry(
        target=DOPD,
        settings={"self_source": "initial"},
        label="DOPD (initial self)",
        paradigm="dual",
        citation=PAPER,
        departure="the self source is frozen at step 0; the paper's is the student in training",
    ),
    "dopd_ema_self": Entry(
        target=DOPD,
        settings={"self_source": "ema", "ema_rate": 0.05},
        label="DOPD (EMA self)",
        paradigm="dual",
        citation=PAPER,
        departure="the self source is a moving average of the student; the paper's is the student itself",
    ),
}
