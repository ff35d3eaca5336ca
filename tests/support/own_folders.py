"""What a user brings: a pair of tiny models of two architectures, problems and a benchmark, as files. None is shipped.

The student is Qwen2.5-like, the teacher Gemma2; they share a tokenizer of 300 words and are padded to 320 and 384 rows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.tiny_world import TEMPLATE

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

WORDS = 300
ROWS = {"student": 320, "teacher": 384}


def tokenizer(words: int = WORDS) -> PreTrainedTokenizerFast:
    """Byte-level BPE, trained on sums. It cuts texts as Qwen2's: transformers loads the tokenizer of a folder of that
    architecture with these rules, whatever tokenizer.json says."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast
    from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

    core = Tokenizer(models.BPE())
    core.normalizer = normalizers.NFC()
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=words,
        special_tokens=["<|endoftext|>", "<|start|>", "<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator([line(domain, i)["trace"] for domain in DOMAINS for i in range(60)], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<|endoftext|>",
        eos_token="<|end|>",
        additional_special_tokens=["<|start|>"],
        padding_side="left",
        chat_template=TEMPLATE,
    )


def model(name: str, seed: int) -> PreTrainedModel:
    """Random weights."""
    import torch
    from transformers import Gemma2Config, Gemma2ForCausalLM, Qwen2Config, Qwen2ForCausalLM

    sizes: dict[str, Any] = {
        "vocab_size": ROWS[name],
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 256,
        "initializer_range": 0.3,
        "bos_token_id": None,
        "pad_token_id": 0,
        "eos_token_id": 2,
        "tie_word_embeddings": True,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name == "student":
            return Qwen2ForCausalLM(Qwen2Config(**sizes)).eval()
        return Gemma2ForCausalLM(Gemma2Config(**sizes, head_dim=16, final_logit_softcapping=30.0)).eval()


DOMAINS = ("plus", "minus")


def line(domain: str, i: int) -> dict[str, Any]:
    """A sum with worked steps, and a code word that only p tells."""
    a, b = 10 + 7 * i % 50, i % 9
    sign, total = ("+", a + b) if domain == "plus" else ("-", a - b)
    code = f"k{i % 7}"
    trace = f"{a} {sign} {b} is {total}, note {code}. #### {total}"
    at = trace.index(f"is {total}") + 3
    facts = [
        [at, at + len(str(total)), "capability"],
        [trace.index(code), trace.index(code) + 2, "information"],
        [trace.rindex(" ") + 1, len(trace), "capability"],
    ]
    return {
        "id": f"{domain}-{i}",
        "domain": domain,
        "prompt": f"What is {a} {sign} {b}?",
        "answer": total,
        "privileged": {"hints": f"{a} {sign} {b}, note {code}"},
        "trace": trace,
        "facts": facts,
    }


def write_lines(path: Path, lines: list[dict[str, Any]], **head: Any) -> Path:
    """A jsonl file."""
    path.write_text("".join(json.dumps(each) + "\n" for each in ([{"schema": 1, **head}] if head else []) + lines))
    return path


def save_all(folder: Path, n: int = 30) -> None:
    """``student``, ``teacher``, ``problems.jsonl`` and ``exam.jsonl``."""
    folder.mkdir(parents=True, exist_ok=True)
    words = tokenizer()
    for seed, name in enumerate(ROWS):
        model(name, seed).save_pretrained(folder / name)
        words.save_pretrained(folder / name)
    grader = {"kind": "number", "after": "####"}
    write_lines(folder / "problems.jsonl", [line(d, i) for d in DOMAINS for i in range(n)], grader=grader)
    exam = [{k: v for k, v in line(d, i).items() if k != "privileged"} for d in DOMAINS for i in range(100, 104)]
    write_lines(folder / "exam.jsonl", exam, grader=grader)
