"""The registry of methods: a visible dict, in table order. Values are imported on use.

Add a method: write its file, add its line. ``tests/contract/test_contract.py`` then tests it.
"""

from __future__ import annotations

from harness.method import Entry

OPD = "methods.opd:OnPolicyDistillation"
DOPD = "methods.dopd:DualOnPolicyDistillation"
BLOG = "Thinking Machines Lab, 2025"
STUDENT_TAIL = "top-k of the student, tail"
ROUTED = f"{STUDENT_TAIL}; full in HT"
PAPER = "Yu et al., arXiv:2606.30626"

METHODS: dict[str, Entry] = {
    "sft": Entry(
        target="methods.sft:SupervisedFineTuning",
        label="SFT",
        paradigm="classical",
        citation="maximum likelihood on verified teacher samples",
        granularity="label",
    ),
    "sft_oracle": Entry(
        target="methods.sft:SupervisedFineTuning",
        settings={"completions": "dataset"},
        label="SFT (oracle traces)",
        paradigm="reference",
        citation="maximum likelihood on the world's own traces",
        granularity="label",
        ranked=False,
        departure="sees reference traces that no other method may see",
    ),
    "seqkd": Entry(
        target="methods.seqkd:SequenceLevelDistillation",
        label="SeqKD",
        paradigm="classical",
        citation="Kim and Rush, EMNLP 2016",
        granularity="label",
    ),
    "gkd": Entry(
        target="methods.gkd:GeneralisedDistillation",
        label="GKD",
        paradigm="classical",
        citation="Agarwal et al., arXiv:2306.13649",
        granularity="full",
    ),
    "minillm": Entry(
        target="methods.minillm:MiniLLM",
        label="MiniLLM",
        paradigm="classical",
        citation="Gu et al., arXiv:2306.08543",
        granularity="full + sampled",
    ),
    "grpo": Entry(
        target="methods.grpo:GroupRelativePolicyOptimisation",
        label="GRPO",
        paradigm="classical",
        citation="Shao et al., arXiv:2402.03300",
        granularity="sampled",
    ),
    "vanilla_opd": Entry(target=OPD, label="Vanilla OPD", paradigm="standard", citation=BLOG, granularity=STUDENT_TAIL),
    "vanilla_opd_sampled": Entry(
        target=OPD,
        settings={"granularity": "sampled"},
        label="Vanilla OPD (sampled)",
        paradigm="standard",
        citation=BLOG,
        granularity="sampled",
    ),
    "opcd": Entry(
        target="methods.opcd:OnPolicyContextDistillation",
        label="OPCD",
        paradigm="standard",
        citation="Ye et al., arXiv:2602.12275",
        granularity="top-k of the student, raw",
    ),
    "exopd": Entry(
        target="methods.exopd:ExtrapolatedDistillation",
        label="ExOPD",
        paradigm="standard",
        citation="Yang et al., arXiv:2602.12125",
        granularity="sampled",
    ),
    "uni_opd": Entry(
        target="methods.uni_opd:UniversalDistillation",
        label="Uni-OPD",
        paradigm="standard",
        citation="Hou, Peng et al., arXiv:2605.03677",
        granularity="sampled",
    ),
    "sdft": Entry(
        target="methods.sdft:SelfDistillationFineTuning",
        label="SDFT",
        paradigm="self",
        citation="Shenfeld et al., arXiv:2601.19897",
        granularity="full",
    ),
    "opsd": Entry(
        target="methods.opsd:OnPolicySelfDistillation",
        label="OPSD",
        paradigm="self",
        citation="Zhao et al., arXiv:2601.18734v3",
        granularity="full",
    ),
    "opsd_v1": Entry(
        target="methods.opsd:OnPolicySelfDistillation",
        settings={"divergence": "js", "entry_clip": None},
        label="OPSD (v1)",
        paradigm="self",
        citation="Zhao et al., arXiv:2601.18734v1",
        granularity="full",
    ),
    "sdpo": Entry(
        target="methods.sdpo:SelfDistillationPolicyOptimisation",
        label="SDPO",
        paradigm="self",
        citation="Huebotter et al., arXiv:2601.20802",
        granularity=STUDENT_TAIL,
    ),
    "eopd": Entry(
        target="methods.eopd:EntropyAwareDistillation",
        label="EOPD",
        paradigm="adaptive",
        citation="Jin, Min et al., arXiv:2603.07079",
        granularity="sampled + top-k of the teacher, raw",
    ),
    "tip": Entry(
        target="methods.tip:TokenImportance",
        label="TIP",
        paradigm="adaptive",
        citation="Xu et al., arXiv:2604.14084",
        granularity="full",
    ),
    "dapd": Entry(
        target="methods.dapd:DualAnchorDistillation",
        label="DAPD",
        paradigm="self",
        citation="Wu et al., arXiv:2608.01735",
        granularity="full",
        ranked=False,
        departure="reads the data's reference responses, which no ranked method may see",
    ),
    "vision_opd": Entry(
        target="methods.vision_opd:VisionDistillation",
        label="Vision-OPD",
        paradigm="self",
        citation="Yuan et al., arXiv:2605.18740",
        granularity=STUDENT_TAIL,
    ),
    "va_opd": Entry(
        target="methods.va_opd:VisualAdvantageDistillation",
        label="VA-OPD",
        paradigm="adaptive",
        citation="Liu, Lv et al., arXiv:2605.21924",
        granularity="full",
    ),
    "privileged_teacher": Entry(
        target=OPD,
        settings={"source_context": "privileged"},
        label="Priv. T→S",
        paradigm="privilege",
        citation=PAPER,
        granularity=STUDENT_TAIL,
    ),
    "privileged_student": Entry(
        target=OPD,
        settings={"source_policy": "student", "source_context": "privileged"},
        label="Priv. S→S",
        paradigm="privilege",
        citation=PAPER,
        granularity=STUDENT_TAIL,
    ),
    "privileged_both": Entry(
        target=OPD,
        settings={"source_context": "privileged", "trained_context": "privileged"},
        label="Priv. T→Priv. S",
        paradigm="privilege",
        citation=PAPER,
        granularity=STUDENT_TAIL,
    ),
    "student_privileged": Entry(
        target=OPD,
        settings={"trained_context": "privileged"},
        label="T→Priv. S",
        paradigm="privilege",
        citation=PAPER,
        granularity=STUDENT_TAIL,
    ),
    "dopd": Entry(target=DOPD, label="DOPD", paradigm="dual", citation=PAPER, granularity=ROUTED),
    "dopd_initial_self": Entry(
        target=DOPD,
        settings={"self_source": "initial"},
        label="DOPD (initial self)",
        paradigm="dual",
        citation=PAPER,
        granularity=ROUTED,
        departure="the self source is frozen at step 0; the paper's is the student in training",
    ),
    "dopd_ema_self": Entry(
        target=DOPD,
        settings={"self_source": "ema", "ema_rate": 0.05},
        label="DOPD (EMA self)",
        paradigm="dual",
        citation=PAPER,
        granularity=ROUTED,
        departure="the self source is a moving average of the student; the paper's is the student itself",
    ),
    "dopd_reverse_kl": Entry(
        target="methods.dopd_ablation:AblatedDistillation",
        settings={"one_divergence": True},
        label="DOPD (reverse KL)",
        paradigm="dual",
        citation=PAPER,
        granularity=ROUTED,
        listed=False,
        departure="reverse KL in every regime; the paper's HT learns by JS",
    ),
    "dopd_ablation": Entry(
        target="methods.dopd_ablation:AblatedDistillation",
        label="DOPD (ablation)",
        paradigm="dual",
        citation=PAPER,
        granularity=ROUTED,
        ranked=False,
        listed=False,
    ),
    "opd_dropped": Entry(
        target="methods.opd_dropped:DroppedDistillation",
        label="Vanilla OPD (tokens dropped)",
        paradigm="standard",
        citation=PAPER,
        granularity=STUDENT_TAIL,
        ranked=False,
        listed=False,
    ),
    "eopd_one_update": Entry(
        target="methods.eopd_one_update:SingleUpdateEntropyAware",
        label="EOPD (one update)",
        paradigm="adaptive",
        citation="Jin, Min et al., arXiv:2603.07079",
        granularity="sampled + top-k of the teacher, raw",
        listed=False,
        departure="one optimiser step a batch; EOPD takes four",
    ),
    "no_teacher": Entry(
        target="methods.no_teacher:NoTeacher",
        label="No teacher",
        paradigm="standard",
        citation="after arXiv:2608.31046",
        granularity="sampled",
        listed=False,
        departure="penalty and threshold are ours; the source's dependence on entropy is left out",
    ),
    "iw_opd": Entry(
        target="methods.iw_opd:ImportanceWeightedDistillation",
        label="IW-OPD",
        paradigm="adaptive",
        citation="Xie, Zhu et al., arXiv:2606.22600",
        granularity="sampled",
        listed=False,
    ),
}

NOT_IMPLEMENTED: dict[str, tuple[str, str]] = {
    "reopold": (
        "Ko et al., arXiv:2603.11137",
        "mixture weight, entropy threshold and switch step are in no primary source",
    ),
    "ta_opd": ("Wang et al., arXiv:2605.26844", "the form of its disagreement is in no primary source"),
    "veto": ("Jang et al., arXiv:2601.07155", "secondary sources only: whether its target carries gradient is open"),
    "pi_distill": (
        "Penaloza et al., arXiv:2602.04942",
        "off-policy, rollouts with p; its coefficients are not published",
    ),
    "rlsd": ("Yang et al., arXiv:2604.03128", "secondary sources only: the clip of its weights is open"),
    "gates": (
        "Stein et al., arXiv:2602.20574",
        "rollouts with and without p in one batch; its clip is in no primary source",
    ),
}
"""Compared with in the papers and left out here: source, and why. ``docs/protocol.md`` sketches each."""
