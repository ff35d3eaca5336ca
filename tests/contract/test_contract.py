"""What every registered method must hold; a new method is tested by standing in the registry."""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support import small, small_pictures
from support.small import fixed_batch, loss_and_gradient, small_method, tiny

from harness import registry
from harness.method import Method
from harness.training.reduce import coefficients, gather_pool
from harness.training.step import Batch, build_pool, score_views
from harness.types import PLAIN, PRIVILEGED, Policy

NAMES = list(registry.methods())
LEAKING = ("opcd", "eopd", "eopd_one_update")
"""Sources whose truncated KL has neither a tail nor renormalisation: even at agreement it pushes on its support."""
WORLDS = {"text": small, "pictures": small_pictures}
"""Where a method must hold: models that read, and models that see."""
SEEN = ("dopd", "vision_opd")
"""Methods that the quick tests try on pictures too; no other objective asks what its contexts hold."""


def everywhere(name: str, world: str) -> Any:
    """A method in a world, quick where it is text or ``SEEN``."""
    return pytest.param(
        name, world, id=f"{name}-{world}", marks=[] if world == "text" or name in SEEN else [pytest.mark.slow]
    )


EVERYWHERE = pytest.mark.parametrize(("name", "world"), [everywhere(name, world) for name in NAMES for world in WORLDS])
GOLDEN = Path(__file__).with_name("method_losses.json")


def assert_close(a: tuple, b: tuple, world: str) -> None:
    """To float64, but for what comes through a tower: the library turns its queries and keys in float32."""
    loose = 1.0 if world == "text" else 1e5
    assert a[0] == pytest.approx(b[0], rel=1e-10 * loose, abs=1e-13 * loose)
    scale = max(float(g.abs().max()) for g in a[1])
    for x, y in zip(a[1], b[1], strict=True):
        torch.testing.assert_close(x, y, rtol=1e-9 * loose, atol=1e-11 * loose * max(scale, 1e-3))


@EVERYWHERE
def test_gradient_reaches_the_student_and_nobody_else(name: str, world: str) -> None:
    here = WORLDS[world]
    models = here.policies()
    models[Policy.TEACHER].requires_grad_(True)
    losses, gradients = loss_and_gradient(
        small_method(name), here.fixed_batch(models[Policy.STUDENT], method=small_method(name)), models=models
    )
    assert all(torch.tensor(losses).isfinite())
    assert max(float(g.abs().max()) for g in gradients) > 1e-6
    for policy, model in models.items():
        if policy is not Policy.STUDENT:
            assert all(p.grad is None for p in model.parameters()), policy


@EVERYWHERE
def test_privileged_input_gets_no_gradient(name: str, world: str) -> None:
    """The student reads p in no-grad views only, unless the method trains its privileged view by design."""
    here = WORLDS[world]
    method = small_method(name)
    trains_privileged = any(t.trained.context == PRIVILEGED for t in method.terms)
    models = here.policies()
    batch = here.fixed_batch(models[Policy.STUDENT], method=method)
    seen: list[int] = []
    decoder = models[Policy.STUDENT].get_decoder()
    width = batch.contexts[PRIVILEGED].ids_QL.shape[1]
    decoder.register_forward_pre_hook(
        lambda m, a, kw: seen.append(kw["inputs_embeds"].shape[1]) if torch.is_grad_enabled() else None,
        with_kwargs=True,
    )
    loss_and_gradient(method, batch, models=models)
    assert seen, "the student's trained view was never read with gradient"
    assert (width in seen) == trains_privileged


def learnt(world: str, method: Method, *, microbatch: int = 64, **how: Any) -> tuple[list[float], list[torch.Tensor]]:
    """Loss and gradient of the fixed batch of a world."""
    here = WORLDS[world]
    models = here.policies()
    batch = here.fixed_batch(models[Policy.STUDENT], method=method, **how)
    return loss_and_gradient(method, batch, microbatch=microbatch, models=models)


@EVERYWHERE
@pytest.mark.parametrize("microbatch", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_independent_of_the_micro_batch(name: str, microbatch: int, world: str) -> None:
    method = small_method(name)
    assert_close(learnt(world, method), learnt(world, method, microbatch=microbatch), world)


@EVERYWHERE
def test_independent_of_padding(name: str, world: str) -> None:
    method = small_method(name)
    assert_close(learnt(world, method), learnt(world, method, pad_left=3, pad_right=4), world)


@EVERYWHERE
def test_independent_of_order(name: str, world: str) -> None:
    method = small_method(name)
    if method.updates > 1:
        pytest.skip("which prompts feed which optimiser step is the order itself")
    assert_close(learnt(world, method), learnt(world, method, order=(2, 0, 3, 1)), world)


@EVERYWHERE
def test_assignment_is_equal_for_every_order_and_padding(name: str, world: str) -> None:
    here = WORLDS[world]
    method, models = small_method(name), here.policies()
    student = models[Policy.STUDENT]

    def assignment(batch: Batch):
        pool, _ = gather_pool(build_pool(method, models, batch, score_views(method, models, batch, microbatch=3)))
        return pool, method.assign(pool, progress=0.25)

    pool, straight = assignment(here.fixed_batch(student, method=method))
    _, shuffled = assignment(here.fixed_batch(student, method=method, order=(2, 0, 3, 1), pad_left=2, pad_right=1))
    rows = torch.tensor([2 * p + i for p in (2, 0, 3, 1) for i in (0, 1)])
    rows = torch.cat([rows + offset for offset in range(0, len(pool.mask_BT), 8)])
    T = pool.mask_BT.shape[1]
    assert torch.equal(straight.mask_BT[rows], shuffled.mask_BT[:, :T])
    if straight.labels_BT is not None and shuffled.labels_BT is not None:
        assert torch.equal(straight.labels_BT[rows], shuffled.labels_BT[:, :T])
    assert straight.label_names == method.labels and (straight.labels_BT is None) == (not method.labels)
    assert (straight.mask_BT & ~pool.mask_BT).sum() == 0, "the mask must stay within the response"
    coefficient_BT = coefficients(method.reduction, pool, straight)
    assert float(coefficient_BT[~straight.mask_BT].abs().sum()) == 0.0


@EVERYWHERE
def test_no_loss_and_no_gradient_when_every_view_agrees(name: str, world: str) -> None:
    here = WORLDS[world]
    method = small_method(name)
    if method.needs_reward or not all(term.sources for term in method.terms):
        pytest.skip("learns from more than the difference between its views")
    models = dict.fromkeys(here.policies(), here.tiny(0).requires_grad_(False)) | {Policy.STUDENT: here.tiny(0)}
    batch = here.fixed_batch(models[Policy.STUDENT], method=method)
    same = replace(batch, contexts=dict.fromkeys(batch.contexts, batch.contexts[PLAIN]))
    losses, gradients = loss_and_gradient(method, same, models=models)
    assert losses == pytest.approx([0.0] * len(losses), abs=1e-12)
    assert (max(float(g.abs().max()) for g in gradients) < 1e-10) == (name not in LEAKING)


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_loss_needs_a_changed_version(name: str) -> None:
    """``nox -s pages`` records a new method, and one whose version was bumped."""
    known = json.loads(GOLDEN.read_text())
    assert name in known, "new method: run `nox -s pages`, which records its loss"
    method = small_method(name)
    losses, _ = loss_and_gradient(method, fixed_batch(tiny(0), method=method))
    if known[name]["version"] == method.version:
        assert losses == pytest.approx(known[name]["losses"], rel=1e-6), "bump version and say so in CHANGELOG"


@pytest.mark.parametrize("name", NAMES)
def test_says_where_it_comes_from(name: str) -> None:
    module = sys.modules[registry.method_class(name).__module__]
    assert module.__doc__ is not None
    named = re.search(r"arXiv:\d{4}\.\d{4,5}|[A-Z]\w+.*\b(19|20)\d\d\b|likelihood", module.__doc__)
    assert named, f"the docstring of {module.__name__} names no source: arXiv:NNNN.NNNNN, or Name, year (own work too)"
    tree = ast.parse(inspect.getsource(module))
    top = [n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))]
    imported = {a.name for n in top if isinstance(n, ast.Import) for a in n.names} | {
        n.module for n in top if isinstance(n, ast.ImportFrom)
    }
    assert not {m for m in imported if m and m.split(".")[0] in ("torch", "transformers", "datasets")}


def recorded(known: dict, names: list[str]) -> dict:
    """``known`` with the losses of ``names``; what agrees to 1e-12 stays as it was written, last digits are a CPU's."""
    made = dict(known)
    for name in names:
        chosen = small_method(name)
        losses = loss_and_gradient(chosen, fixed_batch(tiny(0), method=chosen))[0]
        before = known.get(name, {})
        if before.get("version") != chosen.version or before["losses"] != pytest.approx(losses, rel=1e-12, abs=1e-12):
            made[name] = {"version": chosen.version, "losses": losses}
    return {name: made[name] for name in NAMES if name in made}


@pytest.mark.slow
def test_recording_changes_what_changed_only() -> None:
    known = json.loads(GOLDEN.read_text())
    nearly = {n: {**r, "losses": [x * (1 + 1e-15) for x in r["losses"]]} for n, r in known.items()}
    assert recorded(nearly, NAMES[:3]) == nearly
    old = {**known, NAMES[0]: {"version": -1, "losses": []}, NAMES[1]: {"version": -1, "losses": []}}
    again = recorded(old, NAMES[:1])
    assert again[NAMES[0]]["losses"] == pytest.approx(known[NAMES[0]]["losses"], rel=1e-6)
    assert again[NAMES[1]]["version"] == -1, "not asked for"
