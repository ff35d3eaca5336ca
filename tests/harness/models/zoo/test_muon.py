"""Muon in float32 beside torch's own, whose iterations are in bfloat16."""

from __future__ import annotations

import torch

from harness.models.zoo.muon import Muon, orthogonal


def test_singular_values_come_near_one() -> None:
    torch.manual_seed(0)
    for rows, columns in ((8, 8), (24, 6), (6, 24)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(3, rows, columns)))
        assert values.shape == (3, min(rows, columns)) and (values > 0.3).all() and (values < 1.3).all()


def test_updates_are_torchs_but_for_its_half_precision() -> None:
    torch.manual_seed(0)
    shapes = ((16, 16), (16, 16), (32, 16), (16, 48))
    ours = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    theirs = [torch.nn.Parameter(matrix.detach().clone()) for matrix in ours]
    pair = (Muon(ours, lr=0.1), torch.optim.Muon(theirs, lr=0.1, weight_decay=0.0, momentum=0.95))
    before = [matrix.detach().clone() for matrix in ours]
    for _ in range(3):
        for mine, other in zip(ours, theirs, strict=True):
            mine.grad = torch.randn_like(mine)
            other.grad = mine.grad.clone()
        for optim in pair:
            optim.step()
    for mine, other, start in zip(ours, theirs, before, strict=True):
        moved = (other - start).norm()
        assert (mine - other).norm() < 0.03 * moved and moved > 0.1


def test_a_matrix_without_a_gradient_stays() -> None:
    matrices = [torch.nn.Parameter(torch.ones(4, 4)) for _ in range(2)]
    matrices[0].grad = torch.eye(4)
    Muon(matrices, lr=0.1).step()
    assert (matrices[1] == 1).all() and not (matrices[0] == 1).all()
