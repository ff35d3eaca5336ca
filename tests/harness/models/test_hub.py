"""A hub name is known by its commit, told from a cache made here: the cache's main, and no other, is loaded."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants
from support import language
from support.drive_run import short_run
from support.folders import model_folder

from harness.config import ModelSpec, from_json, to_json
from harness.models import sources, zoo

NAME = "somebody/base"
NORM = "model.norm.weight"
OLD, NEW = "0" * 39 + "1", "0" * 39 + "2"
LOAD = """
import dataclasses, json, sys
from harness.config import ModelSpec
from harness.models import load, sources
found = sources.identified(ModelSpec(name=sys.argv[1]))
norm = {r: float(load.load(dataclasses.replace(found, revision=r)).model.norm.weight[0]) for r in sys.argv[2:]}
tokenizer = load.load_tokenizer(found)
print(json.dumps([found.revision, norm, tokenizer.eos_token]))
"""


def cache(folder: Path, main: str) -> Path:
    """Two commits of one repository, as the hub's own client keeps them."""
    repository = folder / "models--somebody--base"
    for commit, factor in ((OLD, 1.0), (NEW, 2.0)):
        (repository / "snapshots").mkdir(parents=True, exist_ok=True)

        model_folder(repository / "snapshots" / commit, weights=lambda w, by=factor: w | {NORM: w[NORM] * by})
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(main)
    return folder


@pytest.mark.parametrize("main", [OLD, NEW])
def test_the_commit_in_the_cache_is_part_of_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, main: str
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache(tmp_path, main)))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    found = sources.identified(ModelSpec(name=NAME))
    assert found.revision == main and sources.identified(found) is found
    place = sources.place(found)
    assert (place.source, place.path, place.revision) == (sources.Source.HUB, NAME, main)
    run = short_run("dopd", 2)
    named = dataclasses.replace(run, student=found)
    assert named.id != dataclasses.replace(run, student=ModelSpec(name=NAME)).id
    assert from_json(to_json(named)) == named and "revision" not in to_json(run)["student"]
    for other in (
        ModelSpec(name=language.STUDENT),
        ModelSpec(name="somebody/else"),
        ModelSpec(name=str(zoo.path(language.STUDENT))),
    ):
        assert sources.identified(other).revision == "", other.name


@pytest.mark.slow
def test_that_commit_is_loaded_and_an_older_one_by_its_name(tmp_path: Path) -> None:
    """In a process of its own: the client reads where its cache is when it is imported."""
    where = {"HF_HUB_CACHE": str(cache(tmp_path, NEW)), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, NAME, OLD, NEW], env=os.environ | where, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    revision, norm, end = json.loads(done.stdout)
    assert (revision, end) == (NEW, "<|im_end|>")
    assert norm[NEW] == pytest.approx(2 * norm[OLD])


def test_a_hub_that_does_not_answer_knows_no_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Before, the client's own error of no connection went through to the user."""

    def unreachable(*_: object, **__: object) -> None:
        raise huggingface_hub.errors.HTTPError("Name or service not known")

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unreachable)
    assert sources.identified(ModelSpec(name=NAME)).revision == ""
