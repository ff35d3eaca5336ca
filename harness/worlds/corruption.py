"""Privileged input made wrong on purpose, in the training set only. No torch.

Which examples are corrupted depends on their ids alone, so those of a smaller share are among those of a larger one,
the same for every corruption, method and seed. Probes and benchmarks keep the right p. Reference traces and
rewards are no privileged input: what a method learns from them stays right.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from harness.config import DataSpec
from harness.types import Corruption, Example, HarnessError, Privilege
from harness.worlds.slots import BLANK, CODES, STRIDE, apply_op

Step = tuple[str, ...]
"""One slot of p: choice, operation, note, result, ``STRIDE`` words; ``BLANK`` where the kind of p leaves one out."""
Pools = dict[tuple[str, int], list[str]]
"""Texts of p by domain and number of steps."""


def corrupt(examples: Sequence[Example], data: DataSpec) -> list[Example]:
    """The training set with p of kind ``data.privilege`` wrong in a share ``data.corrupted`` of it.

    A corrupted example keeps no other kind of p, so no method can read a right one. The number of words never
    changes. Shuffling leaves p as it is where all its steps are the same, for want of another order: 1.5 % of the
    hints and 43 % of the summaries of the embedded world.

    Raises:
        HarnessError: no other example of the same domain and number of steps has another p to take.
    """
    if data.corruption == Corruption.NONE:
        return list(examples)
    pools = _pools(examples, data.privilege) if data.corruption == Corruption.OTHER_EXAMPLE else {}
    return [
        _corrupted(example, data.privilege, data.corruption, pools)
        if is_corrupted(example.id, data.corrupted)
        else example
        for example in examples
    ]


def is_corrupted(example_id: str, share: float) -> bool:
    """Whether an example is among the ``share`` of all that are corrupted."""
    return int.from_bytes(_digest(f"corrupted/{example_id}")[:8], "big") < share * 2**64


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _corrupted(example: Example, kind: Privilege, corruption: Corruption, pools: Pools) -> Example:
    rng = Random(int.from_bytes(_digest(f"{corruption}/{example.id}")[:16], "big"))
    text = example.privileged[kind]
    if corruption == Corruption.OTHER_EXAMPLE:
        wrong = _other(text, pools[example.domain, example.difficulty], rng, example)
    else:
        header, *words = text.split()
        steps = [tuple(words[i : i + STRIDE]) for i in range(0, len(words), STRIDE)]
        changed = _wrong(example, steps, rng) if corruption == Corruption.WRONG_STEPS else _shuffled(steps, rng)
        wrong = " ".join([header, *(word for step in changed for word in step)])
    return replace(example, privileged={kind: wrong})


def _pools(examples: Sequence[Example], kind: Privilege) -> Pools:
    pools: Pools = defaultdict(list)
    for example in examples:
        pools[example.domain, example.difficulty].append(example.privileged[kind])
    return pools


def _other(text: str, pool: Sequence[str], rng: Random, example: Example) -> str:
    """A text of the pool that is not ``text``."""
    if all(candidate == text for candidate in pool):
        raise HarnessError(
            f"corruption other_example: every {example.domain} example of {example.difficulty} steps has the same "
            f"privileged input as {example.id}; give the data a larger size"
        )
    while (other := pool[rng.randrange(len(pool))]) == text:
        pass
    return other


def _wrong(example: Example, steps: Sequence[Step], rng: Random) -> list[Step]:
    """Every step with the other choice; its operation and result follow from that, so the plan is consistent."""
    _, start, *x = example.messages[-1]["content"].split()
    digit = int(start)
    out: list[Step] = []
    for i, (choice, op, note, result) in enumerate(steps):
        op_a, op_b = x[STRIDE * i + 2 : STRIDE * i + 4]
        if choice in ("A", "B"):
            choice = "AB"[choice == "A"]
        if op != BLANK:
            op = op_a if choice == "A" else op_b
            digit = apply_op(op, digit)
        if note in CODES:
            note = rng.choice([code for code in CODES if code != note])
        out.append((choice, op, note, result if result == BLANK else str(digit)))
    return out


def _shuffled(steps: Sequence[Step], rng: Random) -> list[Step]:
    """The steps that say something in another order, over the same places."""
    places = [i for i, step in enumerate(steps) if set(step) != {BLANK}]
    order = stated = [steps[i] for i in places]
    while order == stated and len(set(stated)) > 1:
        order = rng.sample(stated, len(stated))
    out = list(steps)
    for place, step in zip(places, order, strict=True):
        out[place] = step
    return out
