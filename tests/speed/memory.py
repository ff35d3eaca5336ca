"""Peak memory of a score and gradient pass against response tokens, at a vocabulary of 151,936, beside TRL's.

Each cell is a fresh process (peak memory of a process never falls); its memory before the pass is subtracted, the
gradient's own is there before. ``dense`` lifts the bound on logits alive at once: what keeping the logits of a batch
costs. TRL's is the loss of its DistillationTrainer with forward passes of whole sequences; not run where TRL is not
installed (extra ``crosscheck``). Run: ``python tests/speed/memory.py``.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import multiprocessing
import os
import resource
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

VOCABULARY = 151_936
WIDTH = 32
LENGTH = 32
"""Tokens of a rollout; its prompt has 4."""
TOKENS = (256, 1024, 4096)
DENSE_UP_TO = 1024
"""A dense pass over more tokens does not fit a laptop."""
COLUMNS = ("reverse KL", "reverse KL, dense", "DOPD", "TRL")


def cell(tokens: int, what: str) -> float:
    """MiB above the start of one score and gradient pass over ``tokens`` response tokens."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.set_num_threads(1)
    torch.manual_seed(0)
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
    teacher.requires_grad_(False)
    for parameter in student.parameters():
        parameter.grad = torch.zeros_like(parameter)
    ids_BT = torch.randint(0, VOCABULARY, (tokens // LENGTH, LENGTH))
    work = trl(student, teacher, ids_BT) if what == "TRL" else ours(student, teacher, ids_BT, what)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    work()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def ours(student, teacher, ids_BT, what: str) -> Callable[[], object]:
    """The harness's two passes."""
    from rivals import batch_of

    from harness.losses import tokens as losses_tokens
    from harness.losses.objectives import Divergence
    from harness.models.prompts import Prompts
    from harness.training.step import optimiser_losses
    from harness.types import PLAIN, PRIVILEGED, Policy
    from methods.dopd import DualOnPolicyDistillation
    from methods.gkd import GeneralisedDistillation

    if what.endswith("dense"):
        losses_tokens.LOGIT_BUDGET = ids_BT.numel() * VOCABULARY
    method = (
        DualOnPolicyDistillation()
        if what == "DOPD"
        else GeneralisedDistillation(student_share=1.0, divergence=Divergence.REVERSE_KL)
    )
    batch = batch_of(Prompts.of_ids([[1] * 4] * len(ids_BT), 0), 1, ids_BT)
    batch = dataclasses.replace(batch, contexts={PLAIN: batch.contexts[PLAIN], PRIVILEGED: batch.contexts[PLAIN]})
    models = {Policy.STUDENT: student, Policy.TEACHER: teacher}
    return lambda: list(optimiser_losses(method, models, batch, progress=0.0, microbatch=64))


def trl(student, teacher, ids_BT) -> Callable[[], object]:
    """DistillationTrainer's loss on whole sequences."""
    import torch
    from trl.trainer.distillation_trainer import _chunked_divergence_loss

    inputs = torch.cat([torch.ones(len(ids_BT), 4, dtype=torch.int64), ids_BT], 1)

    def hidden(model):
        return model.base_model(input_ids=inputs, use_cache=False).last_hidden_state[:, 3:-1]

    def work() -> None:
        with torch.no_grad():
            source = hidden(teacher)
        heads = (m.get_output_embeddings().weight for m in (student, teacher))
        loss, _, _ = _chunked_divergence_loss(hidden(student), source, *heads, torch.ones_like(ids_BT), 1.0)
        loss.backward()

    return work


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    table = Table("response tokens", "one distribution, MiB", *(f"{what}, MiB" for what in COLUMNS))
    context = multiprocessing.get_context("spawn")
    for tokens in TOKENS:
        cells = []
        for what in COLUMNS:
            dense = what.endswith("dense") and tokens > DENSE_UP_TO
            if dense or (what == "TRL" and importlib.util.find_spec("trl") is None):
                cells.append("not run")
                continue
            with context.Pool(1) as pool:
                cells.append(f"{pool.apply(cell, (tokens, what)):.0f}")
        table.add_row(str(tokens), f"{tokens * VOCABULARY * 4 / 2**20:.0f}", *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
