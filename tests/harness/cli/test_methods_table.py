"""``dopd methods``: what its rows say is what the methods declare, and what the harness then computes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from support.pages import tables
from support.small import fixed_batch, policies, small_method

from harness import registry
from harness.cli import methods_table
from harness.losses.objectives import Granularity
from harness.method import Method, forwards_per_token, untrained_views
from harness.models import forward as views
from harness.training import step
from harness.types import HarnessError, Policy, Source, Want
from methods import METHODS, NOT_IMPLEMENTED

ROOT = Path(__file__).resolve().parents[3]


def built(name: str) -> Method:
    return registry.build_method(registry.method_spec(name))


def test_a_row_says_what_the_method_declares() -> None:
    assert methods_table.cells("dopd", METHODS["dopd"]) == (
        "dopd",
        "dual",
        "Yu et al., arXiv:2606.30626",
        "student(plain) ← teacher(privileged), student(privileged)",
        "top-128 of the student, tail; full in HT",
        "seq_mean",
        "student",
        "–",
        "4",
        "",
    )


@pytest.mark.parametrize(
    ("name", "column", "cell"),
    [
        ("gkd", "sampler", "student 0.5, teacher 0.5"),
        ("sft", "sampler", "verified teacher"),
        ("sft", "trained ← sources", "student(plain)"),
        ("tip", "trained ← sources", "student(plain) ← teacher(plain); scored: student(plain)"),
        ("sdpo", "needs", "reward, siblings"),
        ("opcd", "granularity", "top-256 of the student, raw"),
        ("opcd", "reduction", "token_mean"),
        ("opsd_v1", "settings; departure", "divergence = js; entry_clip = None"),
        ("dopd_ablation", "settings; departure", "not in --methods all; not ranked"),
    ],
)
def test_cells(name: str, column: str, cell: str) -> None:
    row = dict(zip(methods_table.COLUMNS, methods_table.cells(name, METHODS[name]), strict=True))
    assert row[column] == cell


@pytest.mark.parametrize("name", METHODS)
def test_granularity_is_what_the_settings_say(name: str) -> None:
    """The phrase is written by hand, in the registry."""
    method, phrase = built(name), METHODS[name].granularity
    top_k = hasattr(method, "k") and getattr(method, "granularity", Granularity.TOP_K) is Granularity.TOP_K
    assert ("top-k" in phrase) == top_k
    if top_k and hasattr(method, "tail"):
        assert f"top-k of the {method.support}, {method.tail}" in phrase
    distributions = any(Want.DISTRIBUTION in view.wants for view in untrained_views(method))
    assert distributions == ("full" in phrase or "top-k" in phrase)


def test_the_page_of_methods_says_what_the_table_says() -> None:
    for row in tables(ROOT / "methods" / "README.md"):
        name = row["name"].strip("`")
        method = built(name)
        said = (methods_table.views_of(method), methods_table.granularity_of(method, METHODS[name]))
        assert (row["views"], row["granularity"]) == said, f"views and granularity of {name} in methods/README.md"


@pytest.mark.parametrize("name", ["vanilla_opd", "exopd", "tip", "dopd", "sft_oracle", "dapd"])
def test_forwards_per_token_are_those_that_happen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rollouts read in both passes, over the rollouts of the batch; the sampler reads those that are no references.

    Where every token stays: a rollout that a method leaves out whole is not read in the gradient pass.
    """
    method, models, seen = small_method(name), policies(), []
    if hasattr(method, "keep"):
        method = dataclasses.replace(method, keep=1.0)
    batch = fixed_batch(models[Policy.STUDENT], method=method)
    forward = views.response_hidden

    def counted(model: Any, prompts: Any, response_ids_BT: Any) -> Any:
        seen.append(len(response_ids_BT))
        return forward(model, prompts, response_ids_BT)

    monkeypatch.setattr(views, "response_hidden", counted)
    monkeypatch.setattr(step, "response_hidden", counted)
    list(step.optimiser_losses(method, models, batch, progress=0.0, microbatch=3))
    sampled = 0 if Source.DATASET in method.sampling else int((~batch.reference_B).sum())
    assert forwards_per_token(method) == (sum(seen) + sampled) / len(batch.reference_B)


@pytest.mark.parametrize(("name", "forwards"), [("sft", 2), ("gkd", 3), ("vanilla_opd", 3), ("dopd", 4), ("dapd", 8.5)])
def test_forwards_per_token(name: str, forwards: float) -> None:
    """DAPD: half of the tokens sampled, five views scored, six terms that read half of the tokens each."""
    assert forwards_per_token(built(name)) == forwards


def test_what_is_not_implemented_is_sketched_and_nothing_else() -> None:
    text = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8").partition("## Not implemented")[2]
    assert [block.split()[0] for block in text.split("```text\n")[1:]] == list(NOT_IMPLEMENTED)
    assert not set(NOT_IMPLEMENTED) & set(METHODS)


def test_a_method_that_is_not_implemented_is_refused_with_the_reason() -> None:
    for name in ("ta_opd", "TA-OPD"):
        with pytest.raises(HarnessError, match=r"method 'ta_opd' is not implemented: the form of its disagreement"):
            registry.method_name(name)


def test_who_implements_one_may_call_it_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "veto.py"
    path.write_text(
        "from dataclasses import dataclass\nfrom harness.method import Method\n"
        "@dataclass(frozen=True, kw_only=True)\nclass Veto(Method):\n    pass\n"
    )
    registry.load_plugin(path)
    try:
        assert registry.method_name("veto") == "veto"
        assert "veto" not in registry.not_implemented()
    finally:
        registry._plugin.clear()
