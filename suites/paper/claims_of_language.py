"""The claims of DOPD (arXiv:2606.30626) on language models, each with the rows and the rule that decide it.

Written before the rows that decide them were seen, but for those marked ``late`` (docs/log.md).
``harness.analysis.claims`` holds the rules, ``suites.paper.quantities`` what is measured; the arms named here are
those of the suites, models and domains are roles that a profile's own play (``suites.paper.roles``). The ids keep the
names of the profile they were first decided in.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.claims import Claim, Direction, Equivalence
from suites.kit.chosen import BASELINE
from suites.paper.orders import first_best, inner_peak, rising
from suites.paper.quantities import (
    SUBJECT,
    ahead_of_time,
    all_arms,
    backward_transfer,
    difference,
    entropy_loss,
    entropy_path,
    gain,
    gain_lost,
    gains,
    gap_share,
    inactive,
    late_fall,
    means,
    out_of_domain,
    stage_gain,
)

STANDARD = ("vanilla_opd", "opcd", "exopd", "uni_opd")
SELF = ("sdft", "opsd", "sdpo")
ADAPTIVE = ("eopd", "tip")
OOD_RIVALS = ("exopd", "uni_opd", "eopd", "vanilla_opd")
STABILITY_RIVALS = ("exopd", "sdpo", "eopd", "vanilla_opd")
NEGLIGIBLE = 2.0
"""Points: a seventh of vanilla OPD's embedded gain, and below every difference the paper calls an effect."""
SUBSTANTIAL = 0.25
"""A quarter of what there was: the least that is called a collapse, or about half with room for noise."""
EARLY_SHARE, SHARE_80 = 0.2, 0.4
"""Shares of a run: the first fifth, the paper's step 80 of 200."""
FAMILY = (
    "{largest_teacher}-{smaller_student}",
    "{middle_teacher}-{smaller_student}",
    "{smallest_teacher}-{smaller_student}",
)
"""Pairs of the smaller student, strongest teacher first."""


def headline(source: str, *, gain: str, recovery: str) -> list[Claim]:
    """A main table's first two claims; ``gain`` and ``recovery`` are the paper's own."""
    return [
        Claim(
            id="main_gain",
            statement="DOPD beats vanilla OPD",
            source=source,
            predicted=gain,
            suite="in_distribution",
            rule=Direction(),
            values=difference(SUBJECT, BASELINE),
        ),
        Claim(
            id="main_recovery",
            statement="DOPD closes more than half of the gap to the teacher",
            source=source,
            predicted=recovery,
            suite="in_distribution",
            rule=Direction(),
            values=gap_share,
        ),
    ]


def beats(paradigm: str, rivals: Sequence[str], predicted: str) -> Claim:
    """DOPD is above every method of a paradigm."""
    return Claim(
        id=f"beats_{paradigm}",
        statement=f"DOPD beats every {paradigm} method",
        source="Table 1",
        predicted=predicted,
        suite="in_distribution",
        rule=first_best(f"DOPD above {', '.join(rivals)}"),
        values=means(SUBJECT, *rivals),
    )


def pair_claim(teacher: str, student: str, paper: str, predicted: str, *, id: str) -> Claim:
    """DOPD against vanilla OPD in one pair of models, each a role."""
    pair = f"{teacher}-{student}"
    return Claim(
        id=id,
        statement=f"DOPD beats vanilla OPD, {teacher} → {student} (paper: {paper})",
        source="Table 3",
        predicted=predicted,
        suite="robustness",
        rule=Direction(),
        values=difference(f"{pair}/{SUBJECT}", f"{pair}/{BASELINE}"),
    )


def illusion(arm: str, label: str) -> list[Claim]:
    """Figure 3 of one arm with single-sided p."""
    return [
        Claim(
            id=f"illusion_early_{arm}",
            statement=f"{label} gains faster than vanilla OPD early on",
            source="Figure 3",
            suite="privilege_illusion",
            rule=Direction(),
            values=difference(arm, BASELINE, EARLY_SHARE),
        ),
        Claim(
            id=f"illusion_late_{arm}",
            statement=f"{label} ends below vanilla OPD",
            source="Figure 3",
            suite="privilege_illusion",
            rule=Direction(),
            values=difference(BASELINE, arm),
        ),
        Claim(
            id=f"illusion_fall_{arm}",
            statement=f"{label} falls late, from its best checkpoint of the first half",
            source="Figure 3",
            suite="privilege_illusion",
            rule=Direction(),
            values=late_fall(arm),
        ),
        Claim(
            id=f"illusion_entropy_{arm}",
            statement=f"{label} loses entropy against vanilla OPD",
            source="Figure 3",
            suite="privilege_illusion",
            rule=Direction(unit="millinats"),
            values=entropy_loss(arm),
        ),
        Claim(
            id=f"illusion_collapse_{arm}",
            statement=f"{label} loses at least a quarter of vanilla OPD's entropy",
            source="Figure 3",
            predicted="collapse",
            suite="privilege_illusion",
            rule=Direction(unit="millinats"),
            values=entropy_loss(arm, beyond=SUBSTANTIAL),
            late=True,
        ),
    ]


def dropped(predicted: str, source: str, *, late: bool = False) -> list[Claim]:
    """Figure 4: vanilla OPD without a fifth of its tokens.

    Args:
        predicted: what those with the highest A are worth.
        late: whether the claim of size was written after its rows had been seen.
    """
    return [
        Claim(
            id="tokens_high",
            statement="Dropping the fifth of the tokens with the highest A costs more than dropping a random fifth",
            source=source,
            predicted=predicted,
            suite="token_ablation",
            rule=Direction(),
            values=difference("drop_random", "drop_high"),
        ),
        Claim(
            id="tokens_half",
            statement="Dropping the fifth of the tokens with the highest A costs at least a quarter of the gain",
            source=source,
            predicted=predicted,
            suite="token_ablation",
            rule=Direction(),
            values=gain_lost("drop_high", beyond=SUBSTANTIAL),
            late=late,
        ),
        *(
            Claim(
                id=f"tokens_{which}",
                statement=f"Dropping {what} is negligible",
                source=source,
                predicted="negligible",
                suite="token_ablation",
                rule=Equivalence(margin=NEGLIGIBLE),
                values=difference(BASELINE, f"drop_{which}"),
            )
            for which, what in (
                ("random", "a random fifth of the tokens"),
                ("low", "the fifth of the tokens with the lowest A"),
            )
        ),
    ]


def form_beats_answer(kind: str, label: str, predicted: str, *, source: str, id: str) -> Claim:
    """Tables 4 and 5: a form of p against the final answer; ``label`` begins the sentence."""
    return Claim(
        id=id,
        statement=f"{label} the final answer as privileged input",
        source=source,
        predicted=predicted,
        suite="privileged_input",
        rule=Direction(),
        values=difference(kind, "final_answer"),
    )


def answers_hurt(predicted: str, *, source: str) -> Claim:
    """No p against the final answer."""
    return Claim(
        id="answers_hurt",
        statement="The final answer as privileged input is worse than none",
        source=source,
        predicted=predicted,
        suite="privileged_input",
        rule=Direction(),
        values=difference("none", "final_answer"),
    )


def form_is_best(kinds: Sequence[str], label: str, order: str, predicted: str, *, source: str, id: str) -> Claim:
    """The first of these forms of p against all others; ``order`` says so in the rule's words."""
    return Claim(
        id=id,
        statement=f"{label} the best privileged input",
        source=source,
        predicted=predicted,
        suite="privileged_input",
        rule=first_best(order),
        values=means(*kinds),
    )


def routed(regime: str, uniform: str, predicted: str) -> Claim:
    """Table 6: adaptive against uniform with the same regimes on."""
    on = f"HT+{regime}"
    return Claim(
        id=f"routing_{regime.lower()}",
        statement=f"Adaptive beats uniform supervision with {on} on",
        source="Table 6",
        predicted=predicted,
        suite="token_ablation",
        rule=Direction(),
        values=difference(f"adaptive/{on}", f"{uniform}/{on}"),
    )


def component(key: str, what: str, predicted: str, *, by_support: bool = False) -> Claim:
    """Table 8: DOPD against itself without one part; ``by_support``: a part that says where the loss looks."""
    return Claim(
        id=f"component_{key}",
        statement=f"DOPD is worse {what}",
        source="Table 8",
        predicted=predicted,
        suite="ablation",
        rule=Direction(),
        values=difference(SUBJECT, key),
        idle=inactive(key) if by_support else None,
    )


def leads_out_of_domain(trained: str, tested: str, predicted: str, *, id: str) -> Claim:
    """Figure 7b, one direction, each end a role."""
    return Claim(
        id=id,
        statement=f"DOPD is ahead of every rival, {trained} → {tested}",
        source="Figure 7b",
        predicted=predicted,
        suite="ood",
        rule=first_best(f"DOPD above {', '.join(OOD_RIVALS)}"),
        values=out_of_domain(trained, tested, (SUBJECT, *OOD_RIVALS)),
        late=True,
    )


def learns(before: str, stage: str, *, id: str) -> Claim:
    """A new domain's stage adds to that domain; stages are roles."""
    return Claim(
        id=id,
        statement=f"DOPD gains on {stage} when its turn comes",
        source="Figure 7a",
        suite="continual",
        rule=Direction(),
        values=stage_gain(before, stage),
    )


CELLS = tuple(f"{d}/{g}" for d in ("forward_kl", "reverse_kl", "js") for g in ("sampled", "top_k", "full"))

CLAIMS: tuple[Claim, ...] = (
    *headline("Table 1", gain="+7.5 points", recovery="89.8 % of the gap"),
    beats("standard", STANDARD, "+4.4 points over the best"),
    beats("self", SELF, "+8.6 points over the best"),
    beats("adaptive", ADAPTIVE, "+5.3 points over the best"),
    *illusion("privileged_teacher", "Priv. T→S"),
    *illusion("privileged_student", "Priv. S→S"),
    Claim(
        id="illusion_both",
        statement="Priv. T→Priv. S, uniform, stays below vanilla OPD",
        source="Figure 3",
        suite="privilege_illusion",
        rule=Direction(),
        values=difference(BASELINE, "privileged_both"),
    ),
    Claim(
        id="illusion_both_gain",
        statement="Priv. T→Priv. S, uniform, gains over the untrained student",
        source="Figure 3",
        predicted="a marginal gain",
        suite="privilege_illusion",
        rule=Direction(),
        values=gain("privileged_both"),
        late=True,
    ),
    *dropped("about half of the gain", "Figure 4", late=True),
    pair_claim("{largest_teacher}", "{smaller_student}", "8B → 0.6B", "+10.6 points", id="pair_strong_small"),
    pair_claim("{middle_teacher}", "{smaller_student}", "4B → 0.6B", "+9.0 points", id="pair_mid_small"),
    pair_claim("{smallest_teacher}", "{smaller_student}", "1.7B → 0.6B", "+6.4 points", id="pair_base_small"),
    pair_claim("{largest_teacher}", "{larger_student}", "8B → 1.7B", "+7.5 points", id="pair_strong_base"),
    pair_claim("{middle_teacher}", "{larger_student}", "4B → 1.7B", "+6.2 points", id="pair_mid_base"),
    Claim(
        id="pairs_trend_dopd",
        statement="DOPD's gain grows with the teacher, same student",
        source="Figure 6a",
        predicted="+11.9, +13.7, +14.1",
        suite="robustness",
        rule=rising("gain from {smallest_teacher} below {middle_teacher} below {largest_teacher}"),
        values=gains(SUBJECT, FAMILY[::-1]),
    ),
    Claim(
        id="pairs_trend_vanilla",
        statement="Vanilla OPD's gain shrinks as the teacher grows, same student",
        source="Figure 6a",
        predicted="+5.5, +4.7, +3.5",
        suite="robustness",
        rule=rising("gain from {largest_teacher} below {middle_teacher} below {smallest_teacher}"),
        values=gains(BASELINE, FAMILY),
    ),
    learns("{first_stage}", "{second_stage}", id="continual_gain_reasoning"),
    learns("{second_stage}", "{third_stage}", id="continual_gain_coding"),
    Claim(
        id="continual_forgetting",
        statement="DOPD forgets little of earlier domains",
        source="Figure 7a",
        predicted="little",
        suite="continual",
        rule=Equivalence(margin=NEGLIGIBLE),
        values=backward_transfer,
    ),
    leads_out_of_domain(
        "{first_domain}", "{second_domain}", "+3.1 points over the second best", id="ood_coding_reasoning"
    ),
    leads_out_of_domain(
        "{second_domain}", "{first_domain}", "+4.3 points over the second best", id="ood_reasoning_coding"
    ),
    Claim(
        id="efficiency",
        statement="DOPD at 40 % of the run is past the others' end",
        source="Figure 8",
        predicted="step 80 of 200",
        suite="stability",
        rule=first_best(f"DOPD at 40 % above {', '.join(STABILITY_RIVALS)} at 100 %"),
        values=ahead_of_time(SHARE_80, STABILITY_RIVALS),
    ),
    Claim(
        id="sdpo_falls",
        statement="SDPO falls late, from its best checkpoint of the first half",
        source="Figure 8",
        predicted="collapse near step 95 of 200",
        suite="stability",
        rule=Direction(),
        values=late_fall("sdpo"),
    ),
    Claim(
        id="entropy_path",
        statement="DOPD's entropy rises before it falls",
        source="Figure 8",
        predicted="settles near step 110 of 200",
        suite="stability",
        rule=inner_peak("the highest tenth is neither the first nor the last", unit="millinats"),
        values=entropy_path,
    ),
    form_beats_answer(
        "hints", "Hints beat", "+12.5 points (mean of two benchmarks)", source="Table 4", id="hints_beat_answers"
    ),
    answers_hurt("+3.1 points for none", source="Table 4"),
    form_is_best(
        ("hints", "summary", "hints_with_execution", "final_answer", "none"),
        "Hints without execution are",
        "hints above every other form and none",
        "+5.9 points over the second best",
        source="Table 4",
        id="hints_best",
    ),
    Claim(
        id="routing_all",
        statement="Adaptive routing beats uniform supervision, all regimes on",
        source="Table 6",
        predicted="+8.5 points",
        suite="token_ablation",
        rule=Direction(),
        values=difference(SUBJECT, "uniform/all"),
    ),
    routed("LH", "uniform", "+2.9 points"),
    routed("LL", "uniform", "+2.1 points"),
    routed("HS", "uniform", "+3.1 points"),
    Claim(
        id="ht_alone",
        statement="HT tokens alone beat all tokens, uniform supervision",
        source="Table 6",
        predicted="+4.0 points",
        suite="token_ablation",
        rule=Direction(),
        values=difference("uniform/HT", "uniform/all"),
    ),
    Claim(
        id="js_full_best",
        statement="JS over the full vocabulary is the best uniform objective",
        source="Table 7",
        predicted="+0.6 points over the second best",
        suite="divergence",
        rule=first_best("js/full above the eight others"),
        values=means(*sorted(CELLS, key=lambda cell: cell != "js/full")),
    ),
    component("no_privilege", "without privileged input", "+9.6 points (mean of two benchmarks)"),
    component("no_student_source", "without the student as source", "+1.4 points"),
    component("no_teacher_source", "without the teacher as source", "+7.0 points"),
    component("not_adaptive", "without advantage-aware routing", "+6.1 points"),
    component("one_divergence", "with one divergence", "+2.2 points"),
    component("one_granularity", "with one granularity", "+2.1 points", by_support=True),
    Claim(
        id="beta_optimum",
        statement="β_w = 0.3, β_l = 0.6 is the best point of the grid",
        source="Figure 10",
        suite="sensitivity",
        rule=first_best("the paper's point above every other"),
        values=all_arms("0.3-0.6"),
    ),
)
