"""One on-policy distillation step, TRL's parts against ours, side by side in one process on one core.

Same weights, prompts and rollouts; random Qwen3 models in float32; no end of sequence, so that every rollout has the
same length. A step is generation, the teacher's pass, loss, gradient and AdamW. TRL's side is what its trainers call:
``model.generate``, the backbone's whole-sequence passes, ``_chunked_divergence_loss`` of DistillationTrainer or
``generalized_jsd_loss`` of GKDTrainer, fused AdamW, no checkpointing of activations. Losses and gradients are first
compared, then the two take turns, and ratios are pair by pair, so that a machine that slows down slows both.

Run: ``python tests/speed/rivals.py [--vocabulary 4096] [--pairs 7]``; needs TRL (extra ``crosscheck``).
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from harness.config import OptimSpec
from harness.losses.objectives import Divergence
from harness.models.prompts import Prompts
from harness.models.sampler import RolloutBatch, sample
from harness.training.loop import descend
from harness.training.masters import Masters
from harness.training.step import Batch, optimiser_losses
from harness.training.trainer import build_optimiser
from harness.types import PLAIN, Example, Finish, Policy
from methods.gkd import GeneralisedDistillation

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

SHAPES = {4_096: (16, 4, 16), 32_000: (9, 4, 16), 151_936: (3, 4, 16)}
"""Vocabulary to prompts, rollouts of each and tokens of each rollout."""
PROMPT_TOKENS = 16
WIDTH, LAYERS, HEADS = 256, 4, 4
CLIP = 1.0


@dataclass(kw_only=True)
class Side:
    """Whose step it is: a student with its optimiser, and how each part is done."""

    student: PreTrainedModel
    teacher: PreTrainedModel
    optimiser: torch.optim.Optimizer
    generate: Callable[[], Tensor]
    gradient: Callable[[Tensor], float]
    """Response ids [B, T] to the loss, with the gradient in ``.grad``."""


def model(vocabulary: int, seed: int) -> PreTrainedModel:
    """A random model of the field's shape: tied heads, grouped attention."""
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        intermediate_size=3 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS // 2,
        head_dim=WIDTH // HEADS,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
        initializer_range=0.05,
    )
    return Qwen3ForCausalLM(config).eval()


class NoReader:
    """What the sampler asks of a reader."""

    pad_id = 0
    eos_id = -1
    """No word: nothing ends before its length."""


def ours(vocabulary: int, prompts_PL: Tensor, divergence: Divergence) -> Side:
    """The harness: ``sample``, ``optimiser_losses``, its optimiser."""
    rows, rollouts, length = SHAPES[vocabulary]
    student, teacher = model(vocabulary, 0), model(vocabulary, 1).requires_grad_(False)
    method = GeneralisedDistillation(student_share=1.0, divergence=divergence)
    optimiser, _ = build_optimiser(Masters(student).moved, OptimSpec(lr=1e-4), 1000)
    one_each = Prompts.of_ids(prompts_PL.tolist(), 0)
    nobody = Example(
        id="", domain="", split="train", messages=(), answer="", trace=None, facts=(), privileged={}, difficulty=None
    )

    def generate() -> Tensor:
        batch = sample(
            student,
            NoReader(),  # pyright: ignore[reportArgumentType]
            [nobody] * rows,
            one_each,
            rollouts_per_prompt=rollouts,
            max_new_tokens=length,
            generator=torch.Generator().manual_seed(0),
        )
        return batch.response_ids_BT

    def gradient(ids_BT: Tensor) -> float:
        batch = batch_of(one_each, rollouts, ids_BT)
        models: Mapping[Policy, PreTrainedModel] = {Policy.STUDENT: student, Policy.TEACHER: teacher}
        (record,) = optimiser_losses(method, models, batch, progress=0.0, microbatch=64)
        return record.loss

    return Side(student=student, teacher=teacher, optimiser=optimiser, generate=generate, gradient=gradient)


def batch_of(prompts: Prompts, rollouts: int, ids_BT: Tensor) -> Batch:
    """Rollouts as the step takes them."""
    B = len(ids_BT)
    plain = prompts.continued_by(torch.arange(B // rollouts).repeat_interleave(rollouts))
    return Batch(
        rollouts=RolloutBatch(
            examples=(),
            prompts=plain,
            response_ids_BT=ids_BT,
            mask_BT=torch.ones_like(ids_BT, dtype=torch.bool),
            logp_BT=torch.zeros(ids_BT.shape),
            finish=(Finish.LENGTH,) * B,
        ),
        contexts={PLAIN: plain},
        draw_B=torch.zeros(B, dtype=torch.float64),
        reference_B=torch.zeros(B, dtype=torch.bool),
    )


def trl(vocabulary: int, prompts_PL: Tensor, divergence: Divergence, trainer: str) -> Side:
    """TRL's parts, in the order in which its trainers call them."""
    from trl.experimental.gkd import GKDTrainer
    from trl.trainer.distillation_trainer import _chunked_divergence_loss

    _, rollouts, length = SHAPES[vocabulary]
    student, teacher = model(vocabulary, 0), model(vocabulary, 1).requires_grad_(False)
    optimiser = torch.optim.AdamW(student.parameters(), lr=1e-4, weight_decay=0.0, fused=True)
    repeated_BL = prompts_PL.repeat_interleave(rollouts, 0)
    beta = {Divergence.FORWARD_KL: 0.0, Divergence.REVERSE_KL: 1.0, Divergence.JS: 0.5}[divergence]
    sampling = GenerationConfig(
        max_new_tokens=length, do_sample=True, temperature=1.0, top_k=0, top_p=1.0, pad_token_id=0, use_cache=True
    )

    def generate() -> Tensor:
        ones = torch.ones_like(repeated_BL)
        with torch.no_grad():
            out = student.generate(repeated_BL, attention_mask=ones, generation_config=sampling)
        return out[:, repeated_BL.shape[1] :]

    def gradient(ids_BT: Tensor) -> float:
        inputs = torch.cat([repeated_BL, ids_BT], 1)
        settings = {"input_ids": inputs, "attention_mask": torch.ones_like(inputs), "use_cache": False}
        keep = slice(-ids_BT.shape[1] - 1, -1)
        if trainer == "GKDTrainer":
            logits_BTV = student(**settings).logits[:, keep]
            with torch.no_grad():
                source_BTV = teacher(**settings).logits[:, keep]
            loss = GKDTrainer.generalized_jsd_loss(
                student_logits=logits_BTV, teacher_logits=source_BTV, labels=ids_BT, beta=beta
            )
        else:
            hidden_BTD = student.base_model(**settings).last_hidden_state[:, keep]
            with torch.no_grad():
                source_BTD = teacher.base_model(**settings).last_hidden_state[:, keep]
            loss, _, _ = _chunked_divergence_loss(
                hidden_BTD,
                source_BTD,
                student.get_output_embeddings().weight,
                teacher.get_output_embeddings().weight,
                torch.ones_like(ids_BT),
                beta,
            )
        loss.backward()
        return loss.item()

    return Side(student=student, teacher=teacher, optimiser=optimiser, generate=generate, gradient=gradient)


def step(side: Side, ids_BT: Tensor) -> dict[str, float]:
    """CPU seconds of each part; the rollouts made are thrown away for the common ones."""
    seconds, start = {}, time.process_time()

    def lap(name: str) -> None:
        nonlocal start
        now = time.process_time()
        seconds[name], start = now - start, now

    side.generate()
    lap("generate")
    side.gradient(ids_BT)
    lap("gradient")
    descend(Masters(side.student), [side.optimiser], [], CLIP)
    lap("optimiser")
    return seconds | {"step": sum(seconds.values())}


def check(sides: Mapping[str, Side], ids_BT: Tensor) -> tuple[float, float]:
    """Largest relative distance between the sides' losses and gradients."""
    losses, gradients = {}, {}
    for name, side in sides.items():
        losses[name] = side.gradient(ids_BT)
        gradients[name] = torch.cat([p.grad.flatten() for p in side.student.parameters() if p.grad is not None])
        side.student.zero_grad(set_to_none=True)
    apart = [
        (abs(losses["ours"] - losses[k]) / abs(losses[k]), float((gradients["ours"] - g).norm() / g.norm()))
        for k, g in gradients.items()
    ]
    return max(a for a, _ in apart), max(b for _, b in apart)


def sgemm_rate() -> float:
    """Multiplications and additions a second of one square product of 2,048, the best of five."""
    a, best = torch.randn(2048, 2048), float("inf")
    for _ in range(5):
        start = time.process_time()
        a @ a
        best = min(best, time.process_time() - start)
    return 2 * 2048**3 / best


def operations(vocabulary: int) -> float:
    """Multiplications and additions a step cannot do without: six per weight and token trained, two per weight and
    token sampled or scored by the teacher."""
    rows, rollouts, length = SHAPES[vocabulary]
    layer = WIDTH * WIDTH * (1 + 1 + 1 + 3 * 3)  # queries, keys and values of half the heads, output; gate, up, down
    tokens = rows * rollouts * length
    return tokens * (6 + 2 + 2) * (vocabulary * WIDTH + LAYERS * layer)


def measure(vocabulary: int, divergence: Divergence, pairs: int, table: Table) -> None:
    """Fill the rows of one vocabulary and divergence."""
    rows, rollouts, length = SHAPES[vocabulary]
    torch.manual_seed(2)
    prompts_PL = torch.randint(1, vocabulary, (rows, PROMPT_TOKENS))
    ids_BT = torch.randint(1, vocabulary, (rows * rollouts, length))
    sides = {"ours": ours(vocabulary, prompts_PL, divergence)}
    sides |= {t: trl(vocabulary, prompts_PL, divergence, t) for t in ("DistillationTrainer", "GKDTrainer")}
    loss, gradient = check(sides, ids_BT)
    for side in sides.values():
        step(side, ids_BT)
    seconds: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for _ in range(pairs):
        for name, side in sides.items():
            seconds[name].append(step(side, ids_BT))
    rate = operations(vocabulary) / statistics.median(s["step"] for s in seconds["ours"]) / sgemm_rate()
    for name in list(sides)[1:]:
        cells = []
        for part in ("step", "generate", "gradient", "optimiser"):
            ratios = [a[part] / b[part] for a, b in zip(seconds[name], seconds["ours"], strict=True)]
            cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        mine = " + ".join(
            f"{statistics.median(s[p] for s in seconds['ours']):.2f}" for p in list(seconds["ours"][0])[:3]
        )
        table.add_row(
            f"{vocabulary:,} ({rows * rollouts * length:,})",
            divergence,
            name,
            *cells,
            f"{pairs}",
            mine,
            f"{100 * rate:.0f} %",
            f"{loss:.0e}, {gradient:.0e}",
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vocabulary", type=int, choices=list(SHAPES), help="default: all")
    parser.add_argument("--divergence", choices=list(Divergence), help="default: reverse_kl and js")
    parser.add_argument("--pairs", type=int, default=7)
    given = parser.parse_args()
    torch.set_num_threads(1)
    table = Table(
        "vocabulary (tokens a step)",
        "divergence",
        "TRL's",
        "whole step, theirs / ours",
        "generation",
        "gradient",
        "optimiser",
        "n",
        "ours, CPU s",
        "of sgemm",
        "loss, gradient apart",
    )
    for vocabulary in [given.vocabulary] if given.vocabulary else SHAPES:
        for divergence in [given.divergence] if given.divergence else ("reverse_kl", "js"):
            measure(vocabulary, Divergence(divergence), given.pairs, table)
    Console(width=200).print(table)


if __name__ == "__main__":
    main()
