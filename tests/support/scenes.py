"""A recipe of the scenes models that takes seconds and teaches nothing."""

from __future__ import annotations

from dataclasses import replace

from harness.models.zoo.scenes.recipe import RECIPE, Mix

SMALL = replace(
    RECIPE,
    vision_steps=4,
    vision_pictures=2,
    pictures=3,
    mixes=(Mix(until=2, describe=2, seen=3, drill=2), Mix(until=99, seen=2, drill=2, plain=3, privileged=3)),
    check_every=2,
    check_from=4,
    check_pictures=3,
    enough=0.0,
    mind_steps=2,
    truth_steps=2,
    mind_plain=2,
    mind_privileged=2,
)
