"""What a run needs of the world it trains in, asked when it is planned and again before it is trained. No torch."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from harness import registry
from harness.config import DataSpec, RunSpec
from harness.method import Method, check_sampling
from harness.types import PRIVILEGED, Completion, Example, HarnessError, Privilege, Source, text_of
from harness.worlds import privilege, world_of
from harness.worlds.privilege import told
from harness.worlds.world import Demonstrates, HasReferences, Pictured, World, check_pictured, require


def check(spec: RunSpec) -> None:
    """All that can be asked without a model; a world that fails at its first problem is found here.

    Raises:
        HarnessError: see ``world_of``, ``first_examples``, ``check_world``, ``check_data``,
            ``harness.method.check_sampling``.
    """
    if spec.data is None:
        return
    world = world_of(spec.data)
    examples = first_examples(world, spec.data)
    if spec.method is not None:
        method = registry.build_method(spec.method)
        try:
            check_sampling(method, spec.temperature, spec.top_p)
        except HarnessError as error:
            raise HarnessError(f"method {spec.method.name}: {error}") from error
        check_world(spec, method, world)
        check_data(spec, method, world, examples)


def shows(world: World, method: type[Method]) -> bool:
    """Whether the world has every kind of pictures that the method shows; most show none."""
    return set(method.pictures) <= set(world.pictures if isinstance(world, Pictured) else ())


def first_examples(world: World, data: DataSpec) -> list[Example]:
    """A training problem of each domain, looked at before anything is trained on it.

    Raises:
        HarnessError: the world fails, or has none; where and why. Or ``check_example``; or another call gives others.
    """
    try:
        found = world.examples(data, "train", len(data.domains))
        for example in found:
            check_example(world, data, example)
        again = world.examples(data, "train", len(data.domains))
    except HarnessError:
        raise
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        raise HarnessError(
            f"world {data.world!r} fails at its first problems ({type(error).__name__}: {error}, "
            f"{Path(at.filename).name}:{at.lineno}): mend it"
        ) from error
    if len(found) != len(data.domains):
        raise HarnessError(
            f"world {data.world!r} gives {len(found)} problems where {len(data.domains)} are asked for: mend its "
            "examples"
        )
    if again != found:
        other = next(a.id for a, b in zip(found, again, strict=True) if a != b)
        raise HarnessError(
            f"world {data.world!r} gives another problem {other!r} at a second call: equal calls must give equal "
            "problems, on every machine; draw by Random(the problem's id), never by Random()"
        )
    return found


def check_example(world: World, data: DataSpec, example: Example) -> None:
    """One problem, as ``Example`` describes it: what is no fault of its types would be wrong in silence.

    Raises:
        HarnessError: its messages are no chat turns, its answer no text; p stands in its messages; its world grades its
            trace as wrong.
    """
    here = f"problem {example.id} of world {data.world!r}"
    turns, answer = cast(tuple[Any, Any], (example.messages, example.answer))  # a world may be somebody else's
    if not isinstance(turns, tuple) or not all(
        isinstance(turn, dict) and {"role", "content"} <= {*turn} for turn in turns
    ):
        raise HarnessError(
            f"{here} has messages {turns!r:.60}: give a tuple of chat turns, ({{'role': 'user', 'content': '...'}},)"
        )
    if not isinstance(answer, str):
        raise HarnessError(f"{here} has the answer {answer!r}: give it as text, responses are compared with it")
    asked = " ".join(" ".join(map(text_of, example.messages)).split())
    for kind, p in ((kind, told(given)) for kind, given in example.privileged.items()):
        if p.strip() and " ".join(p.split()) in asked:
            raise HarnessError(
                f"{here} holds its privileged input {str(kind)!r}, {p!r:.60}, in its messages: x must not"
            )
    if example.trace is not None and (grade := world.grade(example, example.trace)) and not grade.answer:
        raise HarnessError(
            f"{here}: its world grades its own trace, {example.trace!r:.60}, as wrong; the reference answer is "
            f"{example.answer!r}: mend trace, answer or grade"
        )


def check_world(spec: RunSpec, method: Method, world: World) -> None:
    """The world must have the powers the method asks for.

    Raises:
        HarnessError: it has no reference responses, or cannot show a response, where the method reads or shows one;
            it has no other pictures of its problems, or not of a kind that the method shows; it cannot tell p by
            half or alone;
            a prompt has one rollout where the method compares siblings.
    """
    assert spec.method is not None
    who = f"method {spec.method.name}"
    beside = any(term.completion is Completion.REFERENCE for term in method.terms)
    if beside or method.sampling.get(Source.DATASET, 0.0) > 0:
        require(world, HasReferences, who)
    if method.shows_responses:
        require(world, Demonstrates, who)
    for what in method.shows:
        require(world, privilege.POWERS[what], who)
    if method.pictures and not shows(world, type(method)):
        has = require(world, Pictured, who).pictures
        raise HarnessError(
            f"{who} shows pictures of kind {' and '.join(method.pictures)}, {type(world).__name__} has: "
            f"{', '.join(has) or 'none'}; choose other data, or give that world these kinds"
        )
    if method.needs_siblings and spec.rollouts_per_prompt < 2:
        raise HarnessError(
            f"rollouts_per_prompt={spec.rollouts_per_prompt}: this method compares the rollouts of a prompt; "
            "give at least 2"
        )


def check_data(spec: RunSpec, method: Method, world: World, examples: Sequence[Example]) -> None:
    """The examples must hold what the method will ask for.

    Raises:
        HarnessError: the privilege kind is missing from the data; rewards are needed and cannot be had; an example
            lacks its picture; p cannot be told as the method shows it.
    """
    assert spec.data is not None
    kind, name = spec.data.privilege, spec.data.world
    for example in examples[: len(spec.data.domains)]:
        check_pictured(world, example)
    contexts = {v.context for term in method.terms for v in (term.trained, *term.sources)}
    if PRIVILEGED in contexts and kind != Privilege.NONE and kind not in examples[0].privileged:
        has = ", ".join(sorted(examples[0].privileged)) or "none"
        raise HarnessError(
            f"privileged input {str(kind)!r} is not in the data of {name!r} (it has: {has}); "
            "choose one of these or add it to the data"
        )
    for what in method.shows:  # p of this kind may have no halves
        privilege.shown(examples[0], what(), world, kind)
    verifies = method.needs_reward or method.sampling.get(Source.VERIFIED_TEACHER, 0.0) > 0
    if verifies and world.grade(examples[0], "") is None:
        raise HarnessError(
            f"this method needs a verified reward and {name!r} cannot verify answers; "
            "choose data with a grader or a method without reward"
        )
