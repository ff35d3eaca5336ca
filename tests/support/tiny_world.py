"""A second world, to prove that nothing but a world knows the first: sums, with a tint that only p tells.

Its words are one token or several of its tokenizer (byte-level BPE with few merges), its kinds of p are its own.
Registered by one line: ``WORLDS["tiny"] = "support.tiny_world:TinyWorld"``; its profile by another.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from harness.config import DataSpec, ModelSpec, OptimSpec
from harness.profile import Profile
from harness.types import Example, Fact, Modality, Span
from harness.worlds.world import Grade, HeldOut, in_turn, word_spans

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

TINTS = ("amber", "blue", "crimson")
UNKNOWN = "grey"
"""In the place of the tint, where p does not tell it."""
KINDS = [Fact.FORMAT, Fact.CAPABILITY, Fact.FORMAT, Fact.INFORMATION, Fact.FORMAT, Fact.CAPABILITY]
"""Of the words ``sum 17 tint amber ! 17``."""
RESPONSE = re.compile(r"sum (\d+) tint (\S+) ! (\d+)")
TEMPLATE = (
    "{% for m in messages %}<|start|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


class TinyWorld:
    """Has reference responses and facts; shows no response, corrupts no step, counts no steps."""

    version = 1
    modality = Modality.TEXT
    domains = ("add", "double")
    privileges = ("tint", "worked")
    guesses = TINTS

    def examples(self, data: DataSpec, split: str, n: int, start: int = 0) -> list[Example]:
        """The same on every machine."""
        return in_turn(data, split, n, start, lambda domain, i: example(domain, split, i))

    def grade(self, example: Example, text: str) -> Grade:
        """The tint is never scored."""
        found = RESPONSE.fullmatch(text)
        said = re.search(r"! (\d+)$", text)
        trace = found is not None and found[1] == found[3] == example.answer
        return Grade(answer=said is not None and said[1] == example.answer, trace=trace, parsed=said is not None)

    def benchmarks(self) -> Sequence[HeldOut]:
        """``tiny_<domain>``."""
        return [
            HeldOut(
                name=f"tiny_{domain}",
                data=DataSpec(world="tiny", domains=(domain,), privilege="tint"),
                split="test",
                n=6,
                max_new_tokens=24,
            )
            for domain in self.domains
        ]

    def reference(self, example: Example) -> str:
        """Without the tint."""
        return f"sum {example.answer} tint {UNKNOWN} ! {example.answer}"

    def reference_facts(self, example: Example) -> tuple[Span, ...]:
        """Of every word."""
        return word_spans(self.reference(example), KINDS)

    def privileged_facts(self, example: Example, kind: str) -> tuple[Span, ...]:
        """Of the tint, and of the sum where p tells it."""
        text = example.privileged.get(kind, "")
        found = re.finditer(rf"{'|'.join(TINTS)}|\d+", text)
        kinds = {True: Fact.CAPABILITY, False: Fact.INFORMATION}
        return tuple(Span(m.start(), m.end(), kinds[m[0].isdigit()]) for m in found)


def example(domain: str, split: str, index: int) -> Example:
    """Problem number ``index``."""
    rng = Random(f"{domain}/{split}/{index}")
    a, b, tint = rng.randrange(50), rng.randrange(50), rng.choice(TINTS)
    total = str(a + b if domain == "add" else 2 * a)
    trace = f"sum {total} tint {tint} ! {total}"
    return Example(
        id=f"{domain}/{split}/{index}",
        domain=domain,
        split=split,
        messages=({"role": "user", "content": f"add {a} {b}" if domain == "add" else f"double {a}"},),
        answer=total,
        trace=trace,
        facts=word_spans(trace, KINDS),
        privileged={"tint": f"the tint is {tint}", "worked": f"sum {total}, tint {tint}"},
    )


def tokenizer() -> PreTrainedTokenizerFast:
    """272 tokens: most words of the world are two or more."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    texts = [example("add", "train", i).trace or "" for i in range(40)]
    trainer = trainers.BpeTrainer(
        vocab_size=272,
        special_tokens=["<|pad|>", "<|start|>", "<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        additional_special_tokens=["<|start|>"],
        padding_side="left",
        chat_template=TEMPLATE,
    )


def model(seed: int, hidden: int) -> Qwen3ForCausalLM:
    """Random weights over the tokenizer's vocabulary."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        vocab_size=272,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        tie_word_embeddings=True,
        max_position_embeddings=256,
        initializer_range=0.3,
        bos_token_id=None,
        pad_token_id=0,
        eos_token_id=2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Qwen3ForCausalLM(config).eval()


def save_pair(folder: Path) -> None:
    """A student and a larger teacher of one tokenizer, as folders that any run can load."""
    for name, seed, hidden in (("student", 0, 32), ("teacher", 1, 48)):
        model(seed, hidden).save_pretrained(folder / name)
        tokenizer().save_pretrained(folder / name)


PROFILE = Profile(
    name="tiny",
    student=ModelSpec(name="student"),
    teacher=ModelSpec(name="teacher"),
    data=DataSpec(world="tiny", version=TinyWorld.version, domains=TinyWorld.domains, size=40, privilege="tint"),
    optim=OptimSpec(lr=1e-3, warmup_steps=1),
    steps=3,
    prompts_per_step=4,
    rollouts_per_prompt=2,
    max_response_tokens=24,
    benchmarks=tuple(f"tiny_{domain}" for domain in TinyWorld.domains),
    seconds_per_step=0.1,
    seconds_per_evaluation=0.1,
)
"""Its models are folders of the working directory, see ``save_pair``."""
