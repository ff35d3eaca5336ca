"""Two gloo ranks give the loss, the thresholds and the gradient of one process."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from support.small import fixed_batch, policies, small_method
from torch.multiprocessing.spawn import spawn

from harness import registry
from harness.training.step import optimiser_losses
from harness.types import Policy


def step(name: str, order: tuple[int, ...]) -> dict:
    """Loss, logged numbers and gradients of one batch on this rank."""
    models = policies()
    method = small_method(name)
    batch = fixed_batch(models[Policy.STUDENT], method=method, order=order)
    records = list(optimiser_losses(method, models, batch, progress=0.25, microbatch=3))
    gradients = [p.grad for p in models[Policy.STUDENT].parameters()]
    return {
        "losses": [r.loss for r in records],
        "entropies": [r.entropy for r in records],
        "metrics": [dict(r.metrics) for r in records],
        "gradients": [None if g is None else g.clone() for g in gradients],
    }


def rank_main(rank: int, port: int, names: list[str], folder: str) -> None:
    """One of two ranks: uneven parts, 3 prompts and 1."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=2)
    assert dist.get_world_size() == 2
    results = {name: step(name, ((0, 2, 1), (3,))[rank]) for name in names}
    torch.save(results, Path(folder) / f"{rank}.pt")
    dist.barrier()
    # gloo's threads sometimes abort the interpreter while it shuts down, after all work is done.
    os._exit(0)


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """Results of every registered method on both ranks, one start of the processes for all."""
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    spawn(rank_main, args=(port, list(registry.methods()), str(folder)), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


@pytest.mark.slow
@pytest.mark.parametrize("name", list(registry.methods()))
def test_two_ranks_equal_one(name: str, two_ranks: list[dict]) -> None:
    if small_method(name).updates > 1:
        pytest.skip("which prompts feed which optimiser step depends on the rank count by design")
    alone = step(name, (0, 1, 2, 3))
    for rank in two_ranks:
        got = rank[name]
        assert got["losses"] == pytest.approx(alone["losses"], rel=1e-10)
        assert got["entropies"] == pytest.approx(alone["entropies"], rel=1e-10)
        for a, b in zip(got["metrics"], alone["metrics"], strict=True):
            assert a == pytest.approx(b, rel=1e-10)
        for a, b in zip(got["gradients"], alone["gradients"], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
