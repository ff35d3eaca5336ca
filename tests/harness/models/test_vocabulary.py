"""Rows that only pad a vocabulary are cut off before any softmax, so that they move no number."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

import pytest
import torch
from support import language
from support.drive_run import short_run
from support.folders import Weights, model_folder

from harness.models import load, vocabulary
from harness.models.forward import vocabulary_size
from harness.models.zoo.permutations.vocabulary import IDS
from harness.profile import DEVELOPMENT_SEEDS
from harness.runs.run import student_at
from harness.storage.run_folder import RunFolder
from harness.training.loop import train
from harness.training.trainer import prepare

WORDS = len(IDS)


def padded(weights: Weights, rows: int) -> Weights:
    """Rows of random numbers after the last word, as large as those of words."""
    name = "model.embed_tokens.weight"
    generator = torch.Generator().manual_seed(1)
    more = torch.randn(rows - WORDS, weights[name].shape[1], generator=generator) * weights[name].std()
    return weights | {name: torch.cat([weights[name], more])}


def trained(root: Path, **rows: int) -> tuple[RunFolder, list[float]]:
    """Two steps of a pair of which some are padded to so many rows: the run and its losses."""
    pair = {
        whose: model_folder(
            root / whose,
            name,
            weights=partial(padded, rows=rows[whose]) if whose in rows else None,
            config={"vocab_size": rows.get(whose, WORDS)},
        )
        for whose, name in (("student", language.STUDENT), ("teacher", language.TEACHER))
    }
    folder = RunFolder(root / "results", dataclasses.replace(short_run("dopd", 2, seed=DEVELOPMENT_SEEDS), **pair))
    losses: list[float] = []
    with folder.lock():
        folder.prepare()
        train(folder, prepare(folder.spec), lambda step, steps, metrics: losses.append(metrics["loss"]))
    return folder, losses


@pytest.mark.parametrize(
    "rows",
    [
        {"student": 100, "teacher": 90},
        *(pytest.param({whose: 100}, marks=pytest.mark.slow) for whose in ("student", "teacher")),
    ],
    ids=str,
)
def test_rows_beyond_the_words_of_the_pair_move_no_number(rows: dict[str, int], tmp_path: Path) -> None:
    common = min(rows.get(whose, WORDS) for whose in ("student", "teacher"))
    wanted = {"student": common, "teacher": common} if common > WORDS else {}
    _, losses = trained(tmp_path / "plain", **wanted)
    folder, found = trained(tmp_path / "padded", **rows)
    assert found == losses
    assert vocabulary_size(student_at(folder, 2)) == common, "and what is evaluated is what was trained"


def test_a_cut_model_keeps_its_words_and_its_tied_head(tmp_path: Path) -> None:
    whole = load.load(model_folder(tmp_path / "m", weights=partial(padded, rows=100), config={"vocab_size": 100}))
    kept = whole.get_input_embeddings().weight[:WORDS].clone()
    vocabulary.cut(whole, WORDS)
    assert torch.equal(whole.get_input_embeddings().weight, kept)
    assert whole.get_output_embeddings().weight is whole.get_input_embeddings().weight
    assert whole.config.vocab_size == WORDS
