"""What a method gives back, checked at every call in the words of its contract (``harness.method.Method``).

A wrong shape would broadcast: a loss of [N, 1] times weights of [N] is [N, N], and trains without an error. Nothing
here reads the vocabulary; a check costs one look at [N] or [B, T].
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.method import Method
from harness.types import Assignment, HarnessError, ScorePool

WIDE = (torch.float32, torch.float64)


def token_loss(method: Method, loss_N: Tensor, tokens: int) -> Tensor:
    """The loss itself.

    Raises:
        HarnessError: it is not one number per token, in float32 or wider, with a gradient.
    """
    said = f"{type(method).__name__}.token_loss returned"
    if _shape(loss_N) != (tokens,):
        raise HarnessError(
            f"{said} {_told(loss_N)}, it must be one loss per token, [N], here [{tokens}]: sum over the vocabulary, "
            ".sum(-1), not over tokens"
        )
    if loss_N.dtype not in WIDE:
        raise HarnessError(f"{said} {loss_N.dtype}, it must be float32 or wider: a loss in half precision loses tokens")
    if not loss_N.requires_grad:
        raise HarnessError(
            f"{said} a loss without gradient, it must flow through views[term.trained]: nothing may be detached, made "
            "under no_grad or compared on the way from there"
        )
    return loss_N


def quantity(method: Method, where: str, name: str, value_N: Tensor, tokens: int) -> Tensor:
    """One quantity per token of ``token_stats`` or ``diagnostics``, without gradient.

    Raises:
        HarnessError: it is not one number per token.
    """
    if _shape(value_N) != (tokens,):
        raise HarnessError(
            f"{type(method).__name__}.{where} returned {_told(value_N)} for {name!r}, it must be one number per token, "
            f"[N], here [{tokens}]"
        )
    return value_N.detach()


def assignment(method: Method, given: Assignment, pool: ScorePool) -> Assignment:
    """The assignment itself.

    Raises:
        HarnessError: a part of it is not one value per token of the whole batch; the mask is no choice of response
            tokens; a weight in it is not finite; a label has no name.
    """
    said, shape = f"{type(method).__name__}.assign returned", tuple(pool.mask_BT.shape)
    parts = {"mask_BT": given.mask_BT, "weight_BT": given.weight_BT, "labels_BT": given.labels_BT}
    parts |= {f"fields[{name!r}]": value for name, value in given.fields.items()}
    for name, value in parts.items():
        if value is not None and _shape(value) != shape:
            raise HarnessError(f"{said} {name} of {_told(value)}, it must be one value per token, [B, T], here {shape}")
    if given.mask_BT.dtype is not torch.bool or bool((given.mask_BT & ~pool.mask_BT).any()):
        raise HarnessError(
            f"{said} a mask_BT of {given.mask_BT.dtype} that is no choice of response tokens: it must be bool, False "
            "outside pool.mask_BT"
        )
    if given.weight_BT is not None and (broken := int((~given.weight_BT[given.mask_BT].isfinite()).sum())):
        raise HarnessError(f"{said} a weight_BT that is not finite at {broken} of {int(given.mask_BT.sum())} tokens")
    if given.labels_BT is not None and bool((given.labels_BT[given.mask_BT] >= len(given.label_names)).any()):
        raise HarnessError(f"{said} labels_BT with a label beyond its {len(given.label_names)} label_names: name each")
    return given


def _shape(value: object) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, Tensor) else None


def _told(value: object) -> str:
    shape = _shape(value)
    return f"shape {shape}" if shape is not None else f"a {type(value).__name__}"
