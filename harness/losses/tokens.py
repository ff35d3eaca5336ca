"""Some response tokens under one view, as a loss sees them: log-probabilities at hand, distributions on request.

Logits are rebuilt from hidden states in chunks, so peak memory does not grow with tokens times vocabulary.

Shapes: N response tokens laid flat, D hidden, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import torch
from torch import Tensor

from harness.losses import fused
from harness.losses.divergences import entropy, sampled
from harness.losses.objectives import Divergence, Granularity, Support, Tail, check
from harness.method import check_k

LOGIT_BUDGET = 2**24
"""Logits alive at once, in numbers: 64 MiB in fp32 for each distribution that a loss holds."""


class TokenView:
    """One view of N response tokens: sampled log-probabilities at hand, the distribution rebuilt on request.

    ``logp_N`` and ``token_divergence`` visit the vocabulary once (``harness.losses.fused``); ``logp_NV`` keeps it, for
    objectives of a method's own.
    """

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
        self._entropy_N: Tensor | None = None
        self._whole: tuple[TokenView, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.tokens_N)

    @cached_property
    def logp_NV(self) -> Tensor:
        """Log-probabilities over the vocabulary, [N, V], at least fp32 whatever the model's dtype."""
        hidden_ND, head = self._distribution()
        logits_NV = head(hidden_ND)
        logits_NV = logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32))
        return torch.log_softmax(logits_NV if self._temperature == 1 else logits_NV / self._temperature, dim=-1)

    @property
    def logp_N(self) -> Tensor:
        """Log-probability of each sampled token, [N]."""
        if self._logp_N is None:
            if "logp_NV" in self.__dict__:
                self._logp_N = self.logp_NV.gather(-1, self.tokens_N[:, None]).squeeze(-1)
            else:
                self._logp_N = self.objective(fused.log_likelihood(self.tokens_N))
        return self._logp_N

    @property
    def entropy_N(self) -> Tensor:
        """Entropy of each distribution, nats, [N]; without gradient where gradients are off."""
        if torch.is_grad_enabled() or "logp_NV" in self.__dict__:
            return entropy(self.logp_NV)
        if self._entropy_N is None or not bool(self._entropy_N.isfinite().all()):
            self.objective(fused.log_likelihood(self.tokens_N))
        assert self._entropy_N is not None
        return self._entropy_N

    def objective(self, objective: fused.Objective) -> Tensor:
        """An objective of these tokens through the output layer, [N]; the entropies it saw on the way are kept."""
        hidden_ND, head = self._distribution()
        value_N, entropy_N = fused.through_head(hidden_ND, head, objective, temperature=self._temperature)
        self._keep(entropy_N)
        return value_N

    def logits_NV(self) -> tuple[Tensor, Tensor | None]:
        """Log-probabilities up to a constant, to be read once, [N, V], no gradient; and what to give back to
        ``fused.SCRATCH`` afterwards."""
        if "logp_NV" in self.__dict__:
            return self.logp_NV.detach(), None
        return fused.logits(*self._distribution(), self._temperature)

    def rows(self, index: Tensor) -> TokenView:
        """The same view of fewer tokens; a distribution already built is reused."""
        part = TokenView(
            tokens_N=self.tokens_N[index],
            logp_N=None if self._logp_N is None else self._logp_N[index],
            hidden_ND=None if self._hidden_ND is None else self._hidden_ND[index],
            head=self._head,
            temperature=self._temperature,
        )
        part._whole = (self, index)
        if "logp_NV" in self.__dict__:
            part.__dict__["logp_NV"] = self.logp_NV[index]
        return part

    def _distribution(self) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        if self._hidden_ND is None or self._head is None:
            raise ValueError("this view keeps no distribution: add Want.DISTRIBUTION to View.wants in Method.terms")
        return self._hidden_ND, self._head

    def _keep(self, entropy_N: Tensor, index: Tensor | None = None) -> None:
        if index is None:
            self._entropy_N = entropy_N
        else:
            if self._entropy_N is None:
                self._entropy_N = entropy_N.new_full((len(self),), torch.nan)
            self._entropy_N[index] = entropy_N
        if self._whole is not None:
            whole, places = self._whole
            whole._keep(entropy_N, places if index is None else places[index])


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
    if granularity is Granularity.SAMPLED:
        return sampled(student.logp_N, source.logp_N, divergence, beta=beta)
    check(divergence, tail=tail if granularity is Granularity.TOP_K else Tail.TAIL, beta=beta)
    source_NV, lent = source.logits_NV()
    if granularity is Granularity.TOP_K:
        check_k(k, source_NV.shape[-1])
        objective = fused.top_k(source_NV, divergence, k=k, support=support, tail=tail, beta=beta)
    else:
        objective = fused.full(source_NV, divergence, beta=beta)
    value_N = student.objective(objective)
    fused.SCRATCH.give(lent)
    return value_N
