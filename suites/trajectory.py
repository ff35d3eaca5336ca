"""Figure 9: real rollouts of a DOPD run, each token in the colour of its regime, with A, q_T and q_S."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.analysis import results
from harness.config import ModelSpec, RunSpec
from harness.evaluation.audits import SOURCE_OF
from harness.show.tables import Table
from harness.show.tokens import GAP_TOP, Strip, Token, strips
from harness.suite import Evaluation, Options, Profile
from suites.kit import under
from suites.kit.arms import Arm, ArmScores
from suites.kit.audited import Audited, AuditSuite, asked
from suites.kit.columns import ColumnOf, Subject, table
from suites.kit.curves import step_at
from suites.kit.findings import Finding
from suites.kit.looks import OF_REGIMES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "trajectory"
SHARES = (0.0, 0.5, 1.0)
"""Of a run: where rollouts are shown."""
READ = "{items} rollouts at temperature 1 of the student without p, one to each test problem"
MEANING = (
    "They are routed by DOPD's rule among as many as a training step has; A, q_T and q_S are of the sampled token, "
    "both policies with p. Rollouts are the first of each problem, chosen by nothing else."
)
LEGEND = (
    "LH: small gap, both confident; LL: small gap, both unsure; HT: large gap, the teacher more confident; HS: large "
    f"gap, the student more confident. A: gap, cut at {GAP_TOP:g}, dashed the batch's threshold; q: triangle the "
    "teacher, circle the student, both with p. Thick frame and cross: the first error; what follows is not judged. "
    "{words}One run; the first problem of each domain, not chosen."
)
WORDS = "_: unknown, k and a digit: codes that only p holds. "
"""Of the worlds that come with the package."""


class Trajectory(AuditSuite):
    """The first seed of DOPD, read at three checkpoints."""

    name = NAME
    audit = NAME
    title = "real rollouts, each token coloured by its regime (Figure 9)"
    own_arms = True
    methods = ("dopd",)
    seeds = (0,)
    published_samples = (NAME,)

    def arms(self, profile: Profile, options: Options) -> list[Arm]:
        """DOPD alone."""
        return super().arms(profile, options)[: len(self.methods)]

    def models(self, profile: Profile) -> dict[str, ModelSpec]:
        """None: step 0 of a run is the untrained student."""
        return {}

    def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
        """The audit at three checkpoints."""
        return tuple(asked(NAME, step) for step in steps(spec))

    def tables_of(self, scores: ArmScores) -> list[Table]:
        """``trajectory``: share of the shown tokens by regime, at each step."""
        return [regimes_table(Audited(scores=scores, audit=NAME))]

    def figures_of(self, scores: ArmScores) -> Mapping[str, Figure]:
        """``figure9``: a problem of each domain at each step."""
        audited = Audited(scores=scores, audit=NAME)
        shown = list(panels(audited, results.samples(NAME, self, scores.profile, scores.options)))
        tokens = [token for strip in shown for token in strip.tokens]
        counts = Counter(token.label for token in tokens)
        quiet = max(counts, key=lambda label: counts[label], default="")
        found = finding(counts, sum(token.right is False for token in tokens))
        own = scores.profile.data.file is not None
        drawn = strips(
            shown,
            looks=OF_REGIMES,
            quiet=quiet,
            title=under.title(scores, "Rollouts by regime", found),
            caption=f"{found.sentence} {LEGEND.format(words='' if own else WORDS)}",
        )
        return {"figure9": drawn}


def finding(counts: Mapping[str, int], errors: int) -> Finding:
    """Which regime the shown tokens are mostly of, and how many first errors there are.

    Args:
        counts: tokens by regime.
    """
    whole = sum(counts.values())
    if not whole:
        return Finding(short="no rows yet", sentence="There are no rows yet.")
    most = max(counts, key=lambda label: counts[label])
    others = ", ".join(f"{label} {counts[label]}" for label in SOURCE_OF if label != most and label in counts)
    return Finding(
        short=f"{100 * counts[most] / whole:.0f} % of the tokens are {most}",
        sentence=(
            f"Of {whole} tokens {counts[most]} are {most} and left white{f' ({others})' if others else ''}; "
            f"{errors or 'none'} {'is' if errors == 1 else 'are'} a first error."
        ),
    )


def steps(spec: RunSpec) -> tuple[int, ...]:
    """The checkpoints nearest to ``SHARES`` of a run."""
    return tuple(dict.fromkeys(step_at(spec, share) for share in SHARES))


def regimes_table(audited: Audited) -> Table:
    """A line per step."""
    scores = audited.scores
    arm = next(iter(scores.arms.values()))
    headers = {"right": "answer right, %", **{regime: f"{regime}, % of tokens" for regime in SOURCE_OF}}

    def column(metric: str) -> ColumnOf[int, None]:
        return ColumnOf(key=metric, header=headers[metric], cell=lambda step: audited.cell(arm.key, metric, step))

    return table(
        [Subject(of=step, block=arm.label, label=str(step), ranked=False) for step in steps(arm.spec)],
        [column(metric) for metric in headers],
        name=NAME,
        title=f"Rollouts by regime, profile {scores.profile.name}",
        caption=audited.caption(READ, MEANING),
        headers=("run", "step"),
        partial=scores.partial,
    )


def panels(audited: Audited, records: Sequence[Mapping[str, Any]]) -> Iterator[Strip]:
    """The first problem of each domain at each step, of the first seed; a step without records says why."""
    arm = next(iter(audited.scores.arms.values()))
    assert arm.spec.data is not None
    run = next(iter(audited.scores.run_of(arm.key).values()))["run"]
    mine = [record for record in records if record["run"] == run]
    for domain in arm.spec.data.domains:
        for step in steps(arm.spec):
            found = [r for r in mine if r["step"] == step and is_of(r, domain)]
            where = f"{domain}, {'before training' if step == 0 else f'step {step}'}"
            if found:
                yield strip(where, found[0])
            else:
                yield Strip(title=f"{where}: {audited.missing(arm.key, step)}", tokens=())


def is_of(record: Mapping[str, Any], domain: str) -> bool:
    """Whether a record's problem is of a domain: ``coding/test/3``, in a world of draws ``draw0/coding/test/3``."""
    return domain in record["id"].split("/")


def strip(where: str, record: Mapping[str, Any]) -> Strip:
    """One record, ready to be drawn."""
    verdict = "right" if record["right"] else "wrong"
    return Strip(
        title=f"{where}: answer {verdict}",
        threshold=record["thresholds"]["gap"],
        tokens=tuple(
            Token(
                text="end" if token["text"].startswith("<|") else token["text"],
                label=token["regime"],
                gap=token["gap"],
                q_teacher=token["q_teacher"],
                q_student=token["q_student"],
                right=token["right"],
            )
            for token in record["tokens"]
        ),
    )
