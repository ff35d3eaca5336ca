"""Tokens per second of ``harness.models.sampler.sample`` beside ``model.generate``, in one process on one thread.

    python tests/speed/sampler.py [--prompts 16 64] [--repeats 9]

Both sample four rollouts a prompt at temperature 1 from the same prompts. They take turns, the first turn is
not counted, and the ratio is that of the medians of tokens per CPU second. The shipped student is asked for the
problems it is distilled on, whose prompts have one length; ``random`` is an untrained model of its size with
prompts of 38 to 49 tokens, three of whose 90 tokens end a response.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from transformers import (
    GenerationConfig,
    PreTrainedModel,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from harness import registry
from harness.models import load
from harness.models.prompts import Prompts, render
from harness.models.reader import Reader
from harness.models.sampler import sample
from harness.profile import DEVELOPMENT_SEEDS
from harness.types import Example
from harness.worlds import world_of

ROLLOUTS = 4
MAX_NEW_TOKENS = 48


def random_model() -> Qwen3ForCausalLM:
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=90,
        hidden_size=64,
        intermediate_size=160,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        tie_word_embeddings=True,
        max_position_embeddings=256,
        bos_token_id=None,
        pad_token_id=0,
        eos_token_id=[1, 2, 3],
    )
    return Qwen3ForCausalLM(config).eval()


def random_prompts(count: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(38, 50, (count,), generator=generator).tolist()
    return [torch.randint(4, 90, (n,), generator=generator).tolist() for n in lengths]


def generate_arm(model: PreTrainedModel, reader: Reader, prompts: Prompts) -> Callable[[], int]:
    """Stock sampling; returns the response tokens, EOS included."""
    ids_PL, mask_PL = prompts.ids_QL, prompts.mask_QL
    eos = model.generation_config.eos_token_id
    eos_E = torch.tensor(eos if isinstance(eos, list) else [eos])
    config = GenerationConfig(
        do_sample=True,
        top_k=0,
        num_return_sequences=ROLLOUTS,
        max_new_tokens=MAX_NEW_TOKENS,
        eos_token_id=eos,
        pad_token_id=reader.pad_id,
    )

    def run() -> int:
        out = model.generate(ids_PL, attention_mask=mask_PL.long(), generation_config=config)
        ended_BT = torch.isin(out[:, ids_PL.shape[1] :], eos_E)
        return int((ended_BT.cumsum(-1) - ended_BT.long() == 0).sum())

    return run


def sample_arm(
    model: PreTrainedModel, reader: Reader, examples: Sequence[Example], prompts: Prompts
) -> Callable[[], int]:
    """Ours; returns the response tokens, EOS included."""
    generator = torch.Generator().manual_seed(0)

    def run() -> int:
        return sample(
            model,
            reader,
            examples,
            prompts,
            rollouts_per_prompt=ROLLOUTS,
            max_new_tokens=MAX_NEW_TOKENS,
            generator=generator,
        ).n_tokens

    return run


def measure(arms: Sequence[Callable[[], int]], repeats: int) -> list[tuple[float, float]]:
    """Median tokens per CPU second and mean tokens per call of each arm, the arms taking turns."""
    rates: list[list[float]] = [[] for _ in arms]
    counts: list[list[int]] = [[] for _ in arms]
    for turn in range(repeats + 1):
        for arm, run in enumerate(arms):
            start = time.process_time()
            tokens = run()
            if turn:
                rates[arm].append(tokens / (time.process_time() - start))
                counts[arm].append(tokens)
    return [(statistics.median(r), statistics.mean(c)) for r, c in zip(rates, counts, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--repeats", type=int, default=9)
    args = parser.parse_args()
    torch.set_num_threads(1)
    profile = registry.profile("embedded").at(DEVELOPMENT_SEEDS)
    reader = load.load_reader(profile.student)
    cases = {"random": random_model(), "student": load.load(profile.student)}
    print("model    prompts  tokens/rollout  generate tok/s  sample tok/s  ratio")
    for name, model in cases.items():
        for count in args.prompts:
            examples = world_of(profile.data).examples(profile.data, "train", count)
            prompts = render(reader, examples)
            if name == "random":
                prompts = Prompts.of_ids(random_prompts(count), 0)
            arms = (generate_arm(model, reader, prompts), sample_arm(model, reader, examples, prompts))
            (theirs, _), (ours, tokens) = measure(arms, args.repeats)
            mean = tokens / (count * ROLLOUTS)
            print(f"{name:7}{count:9}{mean:16.1f}{theirs:16.0f}{ours:14.0f}{ours / theirs:7.2f}")


if __name__ == "__main__":
    main()
