"""What an optimiser moves: a model's own weights, or float32 copies of those in half precision.

In bfloat16 an update below 1/256 of a weight is rounded away, and an average moves towards it by less than that. So the
sum is kept in float32, its *master*, and the model holds it rounded. Of a wider weight the master is the weight itself:
nothing is copied, and no bit of a float32 run depends on this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch.nn import Module, Parameter

from harness.types import HarnessError


class Masters:
    """Of some weights of a model, in the model's order; a tied weight is one."""

    def __init__(self, model: Module, names: Iterable[str] | None = None) -> None:
        """``names``: by default those of the weights that are trained.

        Raises:
            HarnessError: a weight is float16.
        """
        named = dict(model.named_parameters())
        chosen = [name for name, weight in named.items() if weight.requires_grad] if names is None else names
        self._weights = {name: named[name] for name in chosen}
        if any(weight.dtype is torch.float16 for weight in self._weights.values()):
            raise HarnessError(
                "the student's weights are float16: its small gradients are zero without a scaled loss, which is not "
                "here; train in dtype bfloat16 or float32"
            )
        self._masters = {name: _master(weight) for name, weight in self._weights.items()}

    @property
    def names(self) -> list[str]:
        """Of the weights."""
        return list(self._weights)

    @property
    def moved(self) -> list[Tensor]:
        """The masters: what optimiser and averages move, in place."""
        return list(self._masters.values())

    def take_gradients(self) -> None:
        """The weights' gradients become the masters'."""
        for weight, master in self._copied():
            master.grad = None if weight.grad is None else weight.grad.to(master.dtype)

    @torch.no_grad()
    def write(self) -> None:
        """The model holds the masters, rounded."""
        for weight, master in self._copied():
            weight.copy_(master)

    def drop_gradients(self) -> None:
        """Of weights and masters."""
        for each in (*self._weights.values(), *self._masters.values()):
            each.grad = None

    def values(self) -> dict[str, Tensor]:
        """Every master by the name of its weight, for a checkpoint."""
        return {name: master.detach() for name, master in self._masters.items()}

    def copies(self) -> dict[str, Tensor]:
        """The same of those that are not the weights themselves, which a checkpoint holds anyway."""
        return {n: master.detach() for n, master in self._masters.items() if master is not self._weights[n]}

    @torch.no_grad()
    def load(self, values: Mapping[str, Tensor]) -> None:
        """The inverse of ``values`` and ``copies``; the model holds them afterwards."""
        for name, value in values.items():
            self._masters[name].copy_(value)
        self.write()

    def _copied(self) -> Iterable[tuple[Parameter, Parameter]]:
        pairs = zip(self._weights.values(), self._masters.values(), strict=True)
        return (pair for pair in pairs if pair[0] is not pair[1])


def _master(weight: Parameter) -> Parameter:
    if weight.dtype.itemsize >= torch.float32.itemsize:
        return weight
    return Parameter(weight.detach().float(), requires_grad=weight.requires_grad)
