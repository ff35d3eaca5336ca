"""DOPD: dual on-policy distillation, token by token from the privileged teacher or the privileged student.

Yu et al., arXiv:2606.30626, section 3. For a rollout y of the deployed student, q_T and q_S are the probabilities
of the sampled token under teacher and student *with the same privileged input*. A = |log q_T - log q_S|. Against
batch averages of A, q_T and q_S, every response token falls into one of four regimes:

    LH  A < mean, q_S + q_T >= mean   teacher, reverse KL on top-k, weight beta_l
    LL  A < mean, q_S + q_T <  mean   privileged student, reverse KL on top-k, weight beta_w
    HT  A >= mean, q_T >= q_S         teacher, JS over the vocabulary, weight 1
    HS  A >= mean, q_T <  q_S         privileged student, reverse KL on top-k, weight beta_l

Only the deployed student's view (x without p) carries gradient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from harness.losses.objectives import Divergence, Granularity, Support, Tail
from harness.method import Method
from harness.types import PRIVILEGED, Assignment, HarnessError, Policy, ScorePool, Term, View, Want

if TYPE_CHECKING:
    from torch import Tensor

    from harness.losses.tokens import TokenView


class Regime(StrEnum):
    """Where a token's supervision comes from; an exact partition of the response tokens."""

    LH = "LH"
    """Small gap, both confident: what is missing is p."""
    LL = "LL"
    """Small gap, both unsure."""
    HT = "HT"
    """Large gap in the teacher's favour: a credible capability gap."""
    HS = "HS"
    """Large gap in the student's favour: the teacher is taken to be unreliable."""


REGIMES = tuple(Regime)
LH, LL, HT, HS = range(4)


class Side(StrEnum):
    """Which of the two privileged views supervises."""

    TEACHER = "teacher"
    STUDENT = "student"


class Trim(StrEnum):
    """What the discarded 5 % are taken of."""

    BY_A = "by_A"
    """Tokens with an extreme A leave all three averages."""
    EACH = "each"
    """Each of A, q_S and q_T is trimmed at its own quantile."""


class Normalisation(StrEnum):
    """How q_S and q_T are normalised within the batch before they are compared."""

    NONE = "none"
    """Not at all. An affine map common to both changes no mask, so ``common`` would be the same."""
    SEPARATE = "separate"
    """Each standardised to mean 0 and deviation 1; this moves tokens between regimes."""


class SelfSource(StrEnum):
    """Whose weights the privileged student has."""

    LIVE = "live"
    """The student in training, stopped gradient: the paper's words."""
    INITIAL = "initial"
    """The student at step 0."""
    EMA = "ema"
    """A moving average of the student."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervision:
    """What the tokens of one regime learn from, and how."""

    source: Side
    divergence: Divergence
    granularity: Granularity
    weight: float


@dataclass(frozen=True, kw_only=True)
class DualOnPolicyDistillation(Method):
    """The paper's settings; every choice it is silent about is a field with its reason."""

    labels: ClassVar[tuple[str, ...]] = REGIMES

    k: int = 128
    beta_l: float = 0.6
    """Weight of LH and HS."""
    beta_w: float = 0.3
    """Weight of LL."""
    trim: Trim = Trim.BY_A
    """Silent: "discard the top 5 % of outliers". A is the quantity the section is about."""
    trim_quantile: float = 0.95
    """Linear interpolation; tokens strictly above it leave the averages and are still routed and trained."""
    q_normalisation: Normalisation = Normalisation.NONE
    """Silent: "normalise within the batch". Any map common to q_S and q_T changes nothing."""
    support: Support = Support.STUDENT
    """Silent: whose top-k. The expectation of reverse KL is under the deployed student."""
    tail: Tail = Tail.TAIL
    """Silent: mass outside the top-k. The tail bucket makes it a lower bound of the full reverse KL."""
    self_source: SelfSource = SelfSource.LIVE
    ema_rate: float = 0.05
    """Read by self_source = ema only."""

    def __post_init__(self) -> None:
        if not 0 < self.trim_quantile <= 1:
            raise HarnessError(f"trim_quantile={self.trim_quantile}: give a number in (0, 1]; 1 trims nothing")
        _ = self.terms  # a wrong EMA rate is refused here

    @property
    def terms(self) -> tuple[Term, ...]:
        wants = frozenset({Want.LOGP, Want.DISTRIBUTION})
        own = {
            SelfSource.LIVE: View(Policy.STUDENT, PRIVILEGED, wants),
            SelfSource.INITIAL: View(Policy.INITIAL, PRIVILEGED, wants),
            SelfSource.EMA: View(Policy.EMA, PRIVILEGED, wants, rate=self.ema_rate),
        }[self.self_source]
        trained = View(Policy.STUDENT, wants=frozenset({Want.DISTRIBUTION}))
        return (Term(trained, (View(Policy.TEACHER, PRIVILEGED, wants), own)),)

    def supervision(self) -> tuple[Supervision, ...]:
        """One per regime, in the order of ``REGIMES``."""
        teacher, student, js, kl = Side.TEACHER, Side.STUDENT, Divergence.JS, Divergence.REVERSE_KL
        top_k, full = Granularity.TOP_K, Granularity.FULL
        return (
            Supervision(source=teacher, divergence=kl, granularity=top_k, weight=self.beta_l),
            Supervision(source=student, divergence=kl, granularity=top_k, weight=self.beta_w),
            Supervision(source=teacher, divergence=js, granularity=full, weight=1.0),
            Supervision(source=student, divergence=kl, granularity=top_k, weight=self.beta_l),
        )

    def assign(self, pool: ScorePool, *, progress: float) -> Assignment:
        """Route every response token of the global batch; thresholds in float64, independent of order."""
        import torch

        regime_BT, thresholds = self.route(pool)
        weights = torch.tensor([s.weight for s in self.supervision()], dtype=torch.float64)
        return Assignment(
            mask_BT=pool.mask_BT,
            weight_BT=weights[regime_BT.clamp(min=0)],
            fields={"regime": regime_BT},
            labels_BT=regime_BT,
            label_names=self.labels,
            metrics=thresholds,
        )

    def route(self, pool: ScorePool) -> tuple[Tensor, dict[str, float]]:
        """Regime of each response token, int64 [B, T] (-1 elsewhere), and the three batch averages."""
        import torch

        teacher, own = self.terms[0].sources
        mask_BT = pool.mask_BT
        lt_N, ls_N = pool.logp_BT[teacher][mask_BT].double(), pool.logp_BT[own][mask_BT].double()
        gap_N, qt_N, qs_N = (lt_N - ls_N).abs(), lt_N.exp(), ls_N.exp()
        if self.q_normalisation is Normalisation.SEPARATE:
            qt_N, qs_N = (_standardise(q) for q in (qt_N, qs_N))
        gap, qt, qs = self._averages(gap_N, qt_N, qs_N)
        regime_N = torch.where(
            gap_N < gap,
            torch.where(qs_N + qt_N >= qs + qt, LH, LL),
            torch.where(qt_N >= qs_N, HT, HS),
        )
        regime_BT = torch.full(mask_BT.shape, -1).masked_scatter(mask_BT, regime_N)
        return regime_BT, {"threshold/gap": gap, "threshold/q_teacher": qt, "threshold/q_student": qs}

    def _averages(self, gap_N: Tensor, qt_N: Tensor, qs_N: Tensor) -> tuple[float, float, float]:
        values = (gap_N, qt_N, qs_N)
        if self.trim is Trim.EACH:
            kept = tuple(v[v <= _quantile(v, self.trim_quantile)] for v in values)
        else:
            keep_N = gap_N <= _quantile(gap_N, self.trim_quantile)
            kept = tuple(v[keep_N] for v in values)
        # Sorted before summing, so that not even the last bit depends on the order of the batch.
        gap, qt, qs = (float(v.sort().values.mean()) for v in kept)
        return gap, qt, qs

    def token_loss(self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]) -> Tensor:
        import torch

        from harness.losses.tokens import token_divergence

        student, regime_N = views[term.trained], fields["regime"]
        sides = dict(zip(Side, term.sources, strict=True))
        places, values = [], []
        for (side, divergence, granularity), regimes in self._objectives().items():
            rows = torch.isin(regime_N, torch.tensor(regimes, device=regime_N.device)).nonzero().squeeze(-1)
            places.append(rows)
            values.append(
                token_divergence(
                    student.rows(rows),
                    views[sides[side]].rows(rows),
                    divergence=divergence,
                    granularity=granularity,
                    k=self.k,
                    support=self.support,
                    tail=self.tail,
                )
            )
        # The regimes are a partition: every place is there once.
        return torch.cat(values)[torch.cat(places).argsort()]

    def _objectives(self) -> dict[tuple[Side, Divergence, Granularity], list[int]]:
        """Regimes by what they have in common, so that each objective is computed once."""
        groups: dict[tuple[Side, Divergence, Granularity], list[int]] = {}
        for regime, s in enumerate(self.supervision()):
            groups.setdefault((s.source, s.divergence, s.granularity), []).append(regime)
        return groups


def _quantile(values_N: Tensor, q: float) -> Tensor:
    return values_N.quantile(q, interpolation="linear")


def _standardise(q_N: Tensor) -> Tensor:
    sorted_N = q_N.sort().values
    return (q_N - sorted_N.mean()) / sorted_N.std(unbiased=False).clamp(min=1e-12)
