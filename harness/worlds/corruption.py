"""Privileged input made wrong on purpose, in the training set only. No torch.

Which examples are corrupted depends on their ids alone, so those of a smaller share are among those of a larger one,
the same for every corruption, method and seed. Probes and benchmarks keep the right p. Reference traces and
rewards are no privileged input: what a method learns from them stays right. What a wrong step is, the world says
(``harness.worlds.world.Corruptible``).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from harness.config import DataSpec
from harness.types import Corruption, Example, HarnessError, PrivilegedInput
from harness.worlds.world import Corruptible, OnDemand, World, require

Pools = dict[tuple[str, int | None], list[PrivilegedInput]]
"""Every p by domain and number of steps."""
Slot = tuple[str, ...]
"""Words of p that are read together."""


def corrupt(examples: Sequence[Example], data: DataSpec, world: World) -> Sequence[Example]:
    """The training set with p of kind ``data.privilege`` wrong in a share ``data.corrupted`` of it.

    Made when read, but for p of another example, which needs them all.

    A corrupted example keeps no other kind of p, so no method can read a right one.

    Raises:
        HarnessError: the world has no steps to make wrong; no other example of the same domain and number
            of steps has another p to take.
    """
    if data.corruption == Corruption.NONE:
        return examples
    other = data.corruption == Corruption.OTHER_EXAMPLE
    pools = _pools(examples, data.privilege) if other else {}
    if not other:
        require(world, Corruptible, f"corruption {str(data.corruption)!r}")

    def changed(place: int) -> Example:
        example = examples[place]
        if not is_corrupted(example.id, data.corrupted):
            return example
        return replace(example, privileged={data.privilege: _wrong(example, data, world, pools)})

    made = OnDemand(changed, len(examples))
    return list(made) if other else made


def is_corrupted(example_id: str, share: float) -> bool:
    """Whether an example is among the ``share`` of all that are corrupted."""
    return int.from_bytes(_digest(f"corrupted/{example_id}")[:8], "big") < share * 2**64


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _wrong(example: Example, data: DataSpec, world: World, pools: Pools) -> PrivilegedInput:
    kind, corruption = data.privilege, data.corruption
    rng = Random(int.from_bytes(_digest(f"{corruption}/{example.id}")[:16], "big"))
    if corruption == Corruption.OTHER_EXAMPLE:
        return _other(example.privileged[kind], pools[example.domain, example.difficulty], rng, example)
    return require(world, Corruptible, f"corruption {str(corruption)!r}").corrupted(example, kind, corruption, rng)


def _pools(examples: Sequence[Example], kind: str) -> Pools:
    pools: Pools = defaultdict(list)
    for example in examples:
        pools[example.domain, example.difficulty].append(example.privileged[kind])
    return pools


def _other(p: PrivilegedInput, pool: Sequence[PrivilegedInput], rng: Random, example: Example) -> PrivilegedInput:
    """One of the pool that is not ``p``."""
    if all(candidate == p for candidate in pool):
        raise HarnessError(
            f"corruption other_example: every {example.domain} example of {example.difficulty} steps has the same "
            f"privileged input as {example.id}; give the data a larger size"
        )
    while (other := pool[rng.randrange(len(pool))]) == p:
        pass
    return other


def shuffled(slots: Sequence[Slot], empty: str, rng: Random) -> list[Slot]:
    """The slots of a p that say something in another order, over the same places; as they are where all say the same.

    Args:
        empty: the word of which a slot that says nothing is made.
    """
    places = [i for i, slot in enumerate(slots) if set(slot) != {empty}]
    order = stated = [slots[i] for i in places]
    while order == stated and len(set(stated)) > 1:
        order = rng.sample(stated, len(stated))
    out = list(slots)
    for place, slot in zip(places, order, strict=True):
        out[place] = slot
    return out
