"""Peak memory of DOPD's gradient pass against response tokens, at a vocabulary of 150,000.

Each cell is a fresh process (peak memory of a process never falls); its memory before the pass is subtracted.
``chunked`` is what the harness does; ``dense`` lifts the bound on logits alive at once, which is what keeping the
logits of a batch costs. Run: ``python tests/speed/memory.py``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource

from rich.console import Console
from rich.table import Table

VOCABULARY = 150_000
WIDTH = 32
TOKENS = (64, 256, 1024, 4096)
DENSE_UP_TO = 1024
"""A dense pass over more tokens does not fit a laptop."""


def cell(tokens: int, dense: bool) -> float:
    """MiB above the start of one score and gradient pass of DOPD over ``tokens`` response tokens."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from harness.losses import tokens as losses_tokens
    from harness.models.prompts import Prompts
    from harness.models.sampler import RolloutBatch
    from harness.training.step import Batch, optimiser_losses
    from harness.types import PLAIN, PRIVILEGED, Finish, Policy
    from methods.dopd import DualOnPolicyDistillation

    torch.set_num_threads(1)
    torch.manual_seed(0)
    if dense:
        losses_tokens.LOGIT_BUDGET = tokens * VOCABULARY
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=32,
        tie_word_embeddings=True,
    )
    student, teacher = (Qwen3ForCausalLM(config).eval() for _ in range(2))
    models = {Policy.STUDENT: student, Policy.TEACHER: teacher.requires_grad_(False)}
    B, T = tokens // 32, 32
    rollouts = RolloutBatch(
        examples=(),
        prompts=Prompts.of_ids([[1] * 4] * B, 0),
        response_ids_BT=torch.randint(0, VOCABULARY, (B, T)),
        mask_BT=torch.ones(B, T, dtype=torch.bool),
        logp_BT=torch.zeros(B, T),
        finish=(Finish.EOS,) * B,
    )
    plain = rollouts.prompts
    batch = Batch(
        rollouts=rollouts,
        contexts={PLAIN: plain, PRIVILEGED: plain},
        draw_B=torch.zeros(B, dtype=torch.float64),
        reference_B=torch.zeros(B, dtype=torch.bool),
    )
    for parameter in student.parameters():  # the gradient's own memory is not the loss's
        parameter.grad = torch.zeros_like(parameter)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    list(optimiser_losses(DualOnPolicyDistillation(), models, batch, progress=0.0, microbatch=64))
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    table = Table("response tokens", "one distribution, MiB", "chunked, MiB", "dense, MiB")
    context = multiprocessing.get_context("spawn")
    for tokens in TOKENS:
        cells = []
        for dense in (False, True):
            if dense and tokens > DENSE_UP_TO:
                cells.append("not run")
                continue
            with context.Pool(1) as pool:
                cells.append(f"{pool.apply(cell, (tokens, dense)):.0f}")
        table.add_row(str(tokens), f"{tokens * VOCABULARY * 4 / 2**20:.0f}", *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
