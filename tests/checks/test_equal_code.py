"""The proof of equal code must see one bit, and must not call equal what shares a digest with something that is not."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from checks import equal_code
from checks.equal_code import differs, found_equal, keep, stale

from harness.storage import code
from harness.storage.code import MadeBy


def recorded(training: str, evaluation: str) -> dict[str, Any]:
    return {
        "code": {"training": training, "evaluation": evaluation},
        "steps": [{"step": 0, "probe": 0.5}, {"step": 1, "loss": 0.25}],
        "weights": "w",
        "rows": [{"benchmark": "a", "value": 0.5}],
        "responses": {"step-1.a@1.greedy.jsonl": "r"},
    }


@pytest.fixture
def sides() -> tuple[dict[str, Any], dict[str, Any]]:
    """Three methods before and now; the first two are of one module, so of one digest; only digests differ."""
    names = {"opd": "o", "arm": "o", "sft": "s"}
    return tuple({n: recorded(f"{d}{which}", f"e{which}") for n, d in names.items()} for which in (1, 2))  # type: ignore[return-value]


def test_equal_methods_give_a_pair_for_each_digest(sides: tuple[dict[str, Any], dict[str, Any]]) -> None:
    pairs, unequal = found_equal(*sides)
    assert unequal == {}
    assert pairs == {
        "training": {"arm, opd": ["o1", "o2"], "sft": ["s1", "s2"]},
        "evaluation": {"arm, opd, sft": ["e1", "e2"]},
    }


def test_digests_that_stayed_need_no_pair(sides: tuple[dict[str, Any], dict[str, Any]]) -> None:
    before, now = sides
    for name in now:
        now[name]["code"] = dict(before[name]["code"])
    assert found_equal(before, now) == ({"training": {}, "evaluation": {}}, {})


@pytest.mark.parametrize(
    ("part", "value", "why"),
    [
        ("steps", [{"step": 0, "probe": 0.5}, {"step": 1, "loss": 0.25 + 2**-54}], "step 1, loss: 0.25 before"),
        ("weights", "v", "weights"),
    ],
)
def test_one_bit_of_a_training_takes_its_digest_and_the_evaluation(
    sides: tuple[dict[str, Any], dict[str, Any]], part: str, value: Any, why: str
) -> None:
    before, now = sides
    now["arm"][part] = value
    pairs, unequal = found_equal(before, now)
    assert list(unequal) == ["arm"] and unequal["arm"].startswith(why)
    assert pairs == {"training": {"sft": ["s1", "s2"]}, "evaluation": {}}, "opd has the digest of arm"


@pytest.mark.parametrize("part", ["rows", "responses"])
def test_one_bit_of_an_evaluation_takes_the_evaluation_alone(
    sides: tuple[dict[str, Any], dict[str, Any]], part: str
) -> None:
    before, now = sides
    now["sft"][part] = type(now["sft"][part])()
    pairs, unequal = found_equal(before, now)
    assert unequal == {"sft": part}
    assert list(pairs["training"]) == ["arm, opd", "sft"] and pairs["evaluation"] == {}


def test_an_evaluation_that_is_new_is_not_compared(sides: tuple[dict[str, Any], dict[str, Any]]) -> None:
    before, now = sides
    now["sft"]["rows"].append({"benchmark": "b", "value": 0.25})
    now["sft"]["responses"]["step-1.b@1.audit.jsonl"] = "s"
    assert found_equal(before, now)[1] == {}
    before["sft"]["rows"].append({"benchmark": "b", "value": 0.5})
    assert found_equal(before, now)[1] == {"sft": "rows"}
    before["sft"]["rows"].append({"benchmark": "c", "value": 0.5})
    now["sft"]["rows"][1]["value"] = 0.5
    assert found_equal(before, now)[1] == {"sft": "rows"}, "one that is no longer asked is a difference"


def test_a_log_that_is_longer_is_not_equal() -> None:
    before = recorded("t", "e")
    now = copy.deepcopy(before)
    now["steps"].append({"step": 2, "loss": 0.0})
    assert differs(before, now, "steps", "weights") == "steps"
    assert differs(before, copy.deepcopy(before), "steps", "weights") == ""


def test_what_is_kept_is_read_as_equal_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equal_code, "EQUAL", tmp_path / "equal_code.json")
    keep({"training": {"sft": ["s1", "s2"]}, "evaluation": {}}, "abc", "def with changes")
    keep({"training": {"sft": ["s2", "s3"]}, "evaluation": {"sft": ["e1", "e2"]}}, "def", "ghi")
    records = json.loads((tmp_path / "equal_code.json").read_text(encoding="utf-8"))
    assert [(each["before"], each["after"]) for each in records] == [("abc", "def with changes"), ("def", "ghi")]
    assert all(each["compared"] and each["versions"]["torch"] for each in records)
    monkeypatch.setattr(code, "EQUAL", tmp_path / "equal_code.json")
    assert code.made_by("s1", "s3") is code.made_by("e1", "e2") is MadeBy.THIS
    assert code.made_by("s1", "e1") is MadeBy.OTHER
    code.shown_equal.cache_clear()


def test_stale_is_what_is_published_with_a_run_of_the_method() -> None:
    assert stale(["no_method"]) == []
    assert {"ood", "trajectory", "in_distribution-tuned"} <= set(stale(["dopd"]))
    assert "trajectory" not in stale(["sft"]) and "continual" in stale(["sft"]), "its rows have no sft"


def test_a_profile_of_pictures_has_the_methods_that_show_them_and_one_of_text_has_not() -> None:
    of_text, of_pictures = (dict(equal_code.specs((), name)) for name in ("", "embedded_vlm"))
    assert "vision_opd" in of_pictures and "vision_opd" not in of_text
    assert {"dopd", "recipe/fine_tune"} <= of_text.keys() and "recipe/permutations_mind" not in of_text
    assert {spec.profile for spec in of_pictures.values()} == {"embedded_vlm"}
    assert list(dict(equal_code.specs(("dopd",), "embedded_vlm"))) == ["dopd"]
