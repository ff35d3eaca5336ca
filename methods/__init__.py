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
    "seqkd": Entry(
        target="methods.seqkd:SequenceLevelDistillation",
        label="SeqKD",
        paradigm="classical",
        citation="Kim and Rush, EMNLP 2016",
    ),
    "gkd": Entry(
        target="methods.gkd:GeneralisedDistillation",
        label="GKD",
        paradigm="classical",
        citation="Agarwal et al., arXiv:2306.13649",
    ),
    "minillm": Entry(
        target="methods.minillm:MiniLLM", label="MiniLLM", paradigm="classical", citation="Gu et al., arXiv:2306.08543"
    ),
    "grpo": Entry(
        target="methods.grpo:GroupRelativePolicyOptimisation",
        label="GRPO",
        paradigm="classical",
        citation="Shao et al., arXiv:2402.03300",
    ),
    "vanilla_opd": Entry(target=OPD, label="Vanilla OPD", paradigm="standard", citation=BLOG),
    "vanilla_opd_sampled": Entry(
        target=OPD,
        settings={"granularity": "sampled"},
        label="Vanilla OPD (sampled)",
        paradigm="standard",
        citation=BLOG,
    ),
    "opcd": Entry(
        target="methods.opcd:OnPolicyContextDistillation",
        label="OPCD",
        paradigm="standard",
        citation="Ye et al., arXiv:2602.12275",
    ),
    "exopd": Entry(
        target="methods.exopd:ExtrapolatedDistillation",
        label="ExOPD",
        paradigm="standard",
        citation="Yang et al., arXiv:2602.12125",
    ),
    "uni_opd": Entry(
        target="methods.uni_opd:UniversalDistillation",
        label="Uni-OPD",
        paradigm="standard",
        citation="Hou, Peng et al., arXiv:2605.03677",
    ),
    "sdft": Entry(
        target="methods.sdft:SelfDistillationFineTuning",
        label="SDFT",
        paradigm="self",
        citation="Shenfeld et al., arXiv:2601.19897",
    ),
    "opsd": Entry(
        target="methods.opsd:OnPolicySelfDistillation",
        label="OPSD",
        paradigm="self",
        citation="Zhao et al., arXiv:2601.18734v3",
    ),
    "opsd_v1": Entry(
        target="methods.opsd:OnPolicySelfDistillation",
        settings={"divergence": "js", "entry_clip": None},
        label="OPSD (v1)",
        paradigm="self",
        citation="Zhao et al., arXiv:2601.18734v1",
    ),
    "sdpo": Entry(
        target="methods.sdpo:SelfDistillationPolicyOptimisation",
        label="SDPO",
        paradigm="self",
        citation="Huebotter et al., arXiv:2601.20802",
    ),
    "eopd": Entry(
        target="methods.eopd:EntropyAwareDistillation",
        label="EOPD",
        paradigm="adaptive",
        citation="Jin, Min et al., arXiv:2603.07079",
    ),
    "tip": Entry(
        target="methods.tip:TokenImportance", label="TIP", paradigm="adaptive", citation="Xu et al., arXiv:2604.14084"
    ),
    "dapd": Entry(
        target="methods.dapd:DualAnchorDistillation",
        label="DAPD",
        paradigm="self",
        citation="Wu et al., arXiv:2608.01735",
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
    "dopd_ablation": Entry(
        target="methods.dopd_ablation:AblatedDistillation",
        label="DOPD (ablation)",
        paradigm="dual",
        citation=PAPER,
        ranked=False,
        listed=False,
    ),
}
