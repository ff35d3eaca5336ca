"""What each method and each regime looks like, in every figure of every suite. No torch.

A method is known by its label, which is what a reader sees: DOPD with other settings has another label, and so
another look.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness import registry
from harness.show.looks import BASELINE, BLUE, GREEN, GREY, SUBJECT, YELLOW, Look, Role, other

OF_METHODS: Mapping[str, Look] = {"dopd": SUBJECT, "vanilla_opd": BASELINE}
"""By registry name."""
OTHERS = (
    "sft", "sft_oracle", "seqkd", "gkd", "minillm", "grpo", "vanilla_opd_sampled", "opcd", "exopd", "uni_opd", "sdft",
    "opsd", "opsd_v1", "sdpo", "eopd", "tip", "dapd", "privileged_teacher", "privileged_student", "privileged_both",
    "student_privileged", "dopd_initial_self", "dopd_ema_self", "dopd_ablation", "opd_dropped",
    "vision_opd", "va_opd", "dopd_reverse_kl", "iw_opd", "demopsd", "eopd_one_update", "no_teacher",
    "ar_opd", "purified_opsd",
)  # fmt: skip
"""Every other method of the published figures, each with the look of its place here. A method that comes later has one
after these, so that wherever its line stands in the registry no published figure changes; nothing is to be added."""
OF_REGIMES: Mapping[str, Look] = {
    "LH": Look(colour=YELLOW),
    "LL": Look(colour=GREY, hatch="////", marker="s"),
    "HT": Look(colour=GREEN, hatch="....", marker="^"),
    "HS": Look(colour=BLUE, hatch="xxxx", marker="D"),
}
"""The paper's colours, in Okabe and Ito's tones; those of the report's trajectories (``page.css``) too."""
ROLES: Mapping[str, Role] = {"Student": Role.STUDENT, "Teacher": Role.TEACHER}
"""Of models that are only evaluated, by their name in tables and figures."""


def method_look(name: str) -> Look:
    """Of a method by registry name."""
    if name in OF_METHODS:
        return OF_METHODS[name]
    later = (each for each in registry.methods() if each not in OF_METHODS and each not in OTHERS)
    return other([*OTHERS, *later].index(name))


def label_look(label: str) -> Look | None:
    """Of the method that has this label; None if none has, so that a figure chooses."""
    names = (name for name, entry in registry.methods().items() if entry.label == label)
    return next(map(method_look, names), None)
