"""A recipe of the permutations models that takes seconds and teaches nothing."""

from __future__ import annotations

from dataclasses import replace

from harness.models.zoo.permutations.recipe import RECIPE

SMALL = replace(
    RECIPE, hidden=32, layers=1, feed_forward=32, batch=6, short_steps=2, trunk_steps=6, truth_steps=2, mind_steps=2,
    keep_every=2,
)  # fmt: skip
