"""Some response tokens under one view, as a loss sees them: log-probabilities at hand, distributions on request.

Logits are rebuilt from hidden states in chunks, so peak memory does not grow with tokens times vocabulary.

Shapes: N response tokens laid flat, D hidden, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import torch
from torch import Tensor

from harness.losses.divergences import entropy, full, sampled, top_k
from harness.losses.objectives import Divergence, Granularity, Support, Tail

LOGIT_BUDGET = 2**24
"""Logits alive at once, in numbers: 64 MiB in fp32 for each distribution that a loss holds."""


class TokenView:
    """One view of N response tokens: sampled log-probabilities at hand, the distribution rebuilt on request."""

    def __init__(
        self,
        *,
        tokens_N: Tensor,
        logp_N: Tensor | None = None,
        hidden_ND: Tensor | None = None,
        head: Callable[[Tensor], Tensor] | None = None,
        temperature: float = 1.0,
    ) -> None:
        self.tokens_N = tokens_N
        self._logp_N = logp_N
        self._hidden_ND = hidden_ND
        self._head = head
        self._temperature = temperature

    @cached_property
    def logp_NV(self) -> Tensor:
        """Log-probabilities over the vocabulary, [N, V], at least fp32 whatever the model's dtype."""
        if self._hidden_ND is None or self._head is None:
            raise ValueError("this view keeps no distribution: add Want.DISTRIBUTION to View.wants in Method.terms")
        logits_NV = self._head(self._hidden_ND)
        logits_NV = logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32))
        return torch.log_softmax(logits_NV / self._temperature, dim=-1)

    @property
    def logp_N(self) -> Tensor:
        """Log-probability of each sampled token, [N]."""
        if self._logp_N is not None:
            return self._logp_N
        return self.logp_NV.gather(-1, self.tokens_N[:, None]).squeeze(-1)

    @property
    def entropy_N(self) -> Tensor:
        """Entropy of each distribution, nats, [N]."""
        return entropy(self.logp_NV)

    def rows(self, index: Tensor) -> TokenView:
        """The same view of fewer tokens; a distribution already built is reused."""
        part = TokenView(
            tokens_N=self.tokens_N[index],
            logp_N=None if self._logp_N is None else self._logp_N[index],
            hidden_ND=None if self._hidden_ND is None else self._hidden_ND[index],
            head=self._head,
            temperature=self._temperature,
        )
        if "logp_NV" in self.__dict__:
            part.__dict__["logp_NV"] = self.logp_NV[index]
        return part


def chunks(n: int, vocabulary: int) -> Iterator[slice]:
    """Slices of n tokens that keep each logit block within ``LOGIT_BUDGET``."""
    size = max(1, LOGIT_BUDGET // vocabulary)
    yield from (slice(i, min(i + size, n)) for i in range(0, n, size))


def token_divergence(
    student: TokenView,
    source: TokenView,
    *,
    divergence: Divergence,
    granularity: Granularity,
    k: int = 128,
    support: Support = Support.STUDENT,
    tail: Tail = Tail.TAIL,
    beta: float = 0.5,
) -> Tensor:
    """One cell of the paper's Table 7 for N tokens, [N]; gradient reaches ``student`` only.

    ``k``, ``support`` and ``tail`` are read at top-k, ``beta`` by JS. At the sampled token, value and gradient
    are unbiased for responses of the current student (``harness.losses.divergences.sampled``).

    Raises:
        HarnessError: k outside 1..V; choices that do not go together.
    """
    match granularity:
        case Granularity.SAMPLED:
            return sampled(student.logp_N, source.logp_N, divergence, beta=beta)
        case Granularity.TOP_K:
            return top_k(student.logp_NV, source.logp_NV, divergence, k=k, support=support, tail=tail, beta=beta)
        case Granularity.FULL:
            return full(student.logp_NV, source.logp_NV, divergence, beta=beta)
