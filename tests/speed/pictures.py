"""One DOPD step on pictures, with features and prompts shared and without: seconds and memory, side by side.

``shared`` is the harness: a policy looks once at a picture, for every rollout and view, and reads a prompt once for its
rollouts. ``looked at anew`` encodes the pictures in each pass of each view. ``row by row`` also gives each rollout a
picture and a prompt of its own in every pass, as trainers do that know neither. The three take turns in one process;
ratios are step by step, so that a machine that slows down slows all. Memory is of a step of four times the prompts, in
a fresh process each, above the most that it held before. Random Qwen3-VL models of the embedded size, one core.

Run: ``python tests/speed/pictures.py [--steps 9]``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from unittest.mock import patch

import torch
from rich.console import Console
from rich.table import Table
from transformers import PreTrainedModel, Qwen3VLConfig, Qwen3VLForConditionalGeneration

from harness.models import media
from harness.models.media import Picture, PictureMedia, places
from harness.models.prompts import Prompts
from harness.models.sampler import RolloutBatch, sample
from harness.training.step import Batch, optimiser_losses
from harness.types import PLAIN, PRIVILEGED, Example, Policy
from methods.dopd import DualOnPolicyDistillation

WORDS, TOKEN = 172, 5
ROLLOUTS, LENGTH = 4, 17
PATCH, MERGE = 12, 2
SIZES = ((16, 72), (8, 288))
"""Prompts, and pixels along each side of a picture: the embedded size, and pictures of 144 tokens."""
TEXT, MORE = 13, 22
"""Words of a prompt beside its picture, and of p."""
MODES = ("shared", "looked at anew", "row by row")


class Reader:
    """What the sampler asks of one."""

    pad_id, eos_id = 0, 2


def model(seed: int, hidden: int, layers: int) -> PreTrainedModel:
    """Never ends a response: every rollout has the same length."""
    torch.manual_seed(seed)
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": WORDS,
            "hidden_size": hidden,
            "intermediate_size": 3 * hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 32,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e4,
                "mrope_section": [6, 5, 5],
                "mrope_interleaved": True,
            },
            "tie_word_embeddings": True,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 48,
            "intermediate_size": 96,
            "num_heads": 2,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "out_hidden_size": hidden,
            "num_position_embeddings": 36,
            "deepstack_visual_indexes": [0],
        },
        image_token_id=TOKEN,
        tie_word_embeddings=True,
    )
    made = Qwen3VLForConditionalGeneration(config).eval()
    made.generation_config.eos_token_id = WORDS  # no such word
    return made


def prompts_of(pictures: list[Picture], words: int) -> Prompts:
    """A picture and as many words."""
    side = pictures[0].grid[1] // MERGE
    ids = [[TOKEN] * side**2 + [7 + (row + i) % 100 for i in range(words)] for row in range(len(pictures))]
    placed, end = places([i == TOKEN for i in ids[0]], [(side, side)])
    held = PictureMedia(
        pictures=tuple((p,) for p in pictures),
        places_3QW=placed[:, None].expand(-1, len(ids), -1),
        ends_Q=torch.full((len(ids),), end),
    )
    return Prompts.of_ids(ids, 0, held)


def drawn(prompts: int, side: int) -> list[Picture]:
    """Noise."""
    across, width = side // PATCH, 3 * 2 * PATCH**2
    n, grid = across**2, (1, across, across)
    return [Picture(name="", patches_nC=torch.randn(n, width), grid=grid, tokens=n // MERGE**2) for _ in range(prompts)]


def anew(model: PreTrainedModel, pictures: list[Picture]) -> list[media.Features]:
    """In the place of ``media.features``: nothing is known, and nothing is the same."""
    return media._encoded(model, pictures)


def step(models: dict[Policy, PreTrainedModel], mode: str, prompts: int, side: int) -> None:
    """Rollouts, the scores of both views, the gradient."""
    pictures = drawn(prompts, side)
    repeats = ROLLOUTS if mode == MODES[2] else 1
    rows = [p for p in pictures for _ in range(repeats)]
    plain, hinted = prompts_of(rows, TEXT), prompts_of(rows, TEXT + MORE)
    example = Example(id="", domain="", split="train", messages=(), answer="", trace=None, facts=(), privileged={})
    batch: RolloutBatch = sample(
        models[Policy.STUDENT],
        Reader(),  # type: ignore[arg-type]
        [example] * len(rows),
        plain,
        rollouts_per_prompt=ROLLOUTS // repeats,
        max_new_tokens=LENGTH,
        generator=torch.Generator().manual_seed(0),
    )
    row_of_B, total = batch.prompts.row_of_B, prompts * ROLLOUTS
    given = Batch(
        rollouts=batch,
        contexts={PLAIN: batch.prompts, PRIVILEGED: replace(hinted, row_of_B=row_of_B)},
        draw_B=torch.zeros(total, dtype=torch.float64),
        reference_B=torch.zeros(total, dtype=torch.bool),
    )
    list(optimiser_losses(DualOnPolicyDistillation(k=32), models, given, progress=0.0, microbatch=64))
    models[Policy.STUDENT].zero_grad(set_to_none=True)


def looking(mode: str) -> AbstractContextManager[object]:
    """How pictures are encoded in this mode."""
    return nullcontext() if mode == MODES[0] else patch.object(media, "features", anew)


def pair() -> dict[Policy, PreTrainedModel]:
    """Student and teacher of the embedded size."""
    return {Policy.STUDENT: model(0, 64, 3), Policy.TEACHER: model(1, 64, 3).requires_grad_(False)}


def memory(mode: str, prompts: int, side: int) -> float:
    """MiB of a step of four times the prompts above what the process held before it."""
    torch.set_num_threads(1)
    models = pair()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with looking(mode):
        step(models, mode, 4 * prompts, side)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def in_a_process_of_its_own(work: Callable[..., float], *given: object) -> float:
    """Peak memory of a process never falls."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, given)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=9)
    given = parser.parse_args()
    torch.set_num_threads(1)
    models = pair()
    columns = ("pictures", "features and prompts", "CPU ms a step, median", "ratio to shared, quartiles", "MiB")
    table = Table(*columns)
    for prompts, side in SIZES:
        seconds: dict[str, list[float]] = {mode: [] for mode in MODES}
        for number in range(given.steps + 1):
            for mode in MODES:
                with looking(mode):
                    start = time.process_time()
                    step(models, mode, prompts, side)
                if number:  # the first warms up
                    seconds[mode].append(time.process_time() - start)
        for mode in MODES:
            ratios = [a / b for a, b in zip(seconds[mode], seconds[MODES[0]], strict=True)]
            low, middle, high = statistics.quantiles(ratios, n=4)
            table.add_row(
                f"{prompts} of {side} x {side}",
                mode,
                f"{1e3 * statistics.median(seconds[mode]):.0f}",
                f"{middle:.2f} ({low:.2f} to {high:.2f})",
                f"{in_a_process_of_its_own(memory, mode, prompts, side):.0f}",
            )
    Console().print(table)


if __name__ == "__main__":
    main()
