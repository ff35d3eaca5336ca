"""The command that makes a world's models: what is made, what is left out, what is measured again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.models.zoo import bounds
from harness.models.zoo.shelf import Making, Shelf, run
from harness.storage import checkpoint
from harness.types import HarnessError
from harness.worlds.minds import Class, Mind

MIND = Mind(mistaken={"sums": (0.0, 0.1)}, hard=0.2)
GATE = {"key": "G1", "words": "a gate", "value": 3.0, "bound": ">= 2", "passed": True}
LATE = bounds.Gate(key="G10", words="a late gate", low=20)


class Workshop:
    """Makes files that hold words, and notes what it was asked for."""

    def __init__(self, folder: Path) -> None:
        self.shelf = Shelf(world="sums", version=1, folder=folder)
        self.recipe, self.minds = {"steps": 3}, {"student": MIND}
        self.machine = "a machine"
        self.asked: list[str] = []

    def make(self, draw: int, name: str, attempt: int) -> dict[str, Any]:
        self.asked.append(f"{draw} {name}")
        file = self.shelf.folder_of(draw, name) / "model.safetensors"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{draw} {name} {attempt} {self.recipe} {self.machine}")
        trunk = None if name == "trunk" else "trunk"
        return self.shelf.entry(
            draw, name, mind=self.minds.get(name), recipe=self.recipe, trunk=trunk, attempt=attempt, steps=3
        )

    def measured(self, draw: int) -> dict[str, Any]:
        self.asked.append(f"{draw} measured")
        cells = {"student": {"sum, student_only": {"probability": 90.0}}}
        return {"cells": cells, "gates": [GATE, *bounds.read((LATE,), {})]}

    def cells(self, draw: int, weights: Mapping[str, torch.Tensor]) -> dict[str, dict[str, float]]:
        return {"sum, student_only": {"probability": float(weights["left"])}}

    def write(self, record: dict[str, Any]) -> None:
        sizes = {"sums": dict.fromkeys(Class, 2)}
        self.shelf.write(record, recipe=self.recipe, classes=sizes, card=lambda whole: f"{len(whole['models'])} models")

    def __call__(self, *arguments: str) -> list[str]:
        self.asked.clear()
        making = Making(
            shelf=self.shelf,
            models=("trunk", "student"),
            minds=self.minds,
            recipe=self.recipe,
            draws=2,
            check_draw=check_draw,
            make=self.make,
            measured=self.measured,
            write=self.write,
            cells=self.cells,
            alone="sum, student_only",
            gates=(LATE,),
        )
        run(making, arguments)
        return list(self.asked)


def check_draw(draw: int) -> int:
    if draw > 1:
        raise HarnessError(f"no draw {draw}")
    return draw


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


WHOLE = ["0 trunk", "0 student", "0 measured", "1 trunk", "1 student", "1 measured"]


def test_every_draw_is_made_and_measured(workshop: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    assert workshop() == WHOLE == workshop()
    assert "draw 1 ok       G1 a gate: 3.0 (>= 2)" in capsys.readouterr().out
    record = workshop.shelf.read()
    assert set(record["models"]) == {f"sums_{name}_draw{draw}" for name in ("trunk", "student") for draw in (0, 1)}
    assert set(record["draws"]) == {"0", "1"} and record["classes"]["sums"]["both"] == 2
    assert (workshop.shelf.folder / "CARD.md").read_text() == "4 models"
    assert workshop("--draws", "1", "--only", "student") == ["1 student", "1 measured"]
    assert workshop("--draws", "0", "--only") == ["0 measured"]
    with pytest.raises(HarnessError, match="no draw 2"):
        workshop("--draws", "2")


def test_resume_leaves_out_what_is_there(workshop: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    workshop("--draws", "0")
    assert workshop("--resume") == WHOLE[3:]
    assert workshop("--resume") == []
    assert "draw 0 student is there" in capsys.readouterr().out


def cut(workshop: Workshop) -> None:
    (workshop.shelf.folder_of(0, "student") / "model.safetensors").unlink()


def damaged(workshop: Workshop) -> None:
    (workshop.shelf.folder_of(0, "student") / "model.safetensors").write_text("half a file")


def other_mind(workshop: Workshop) -> None:
    workshop.minds["student"] = Mind(mistaken={"sums": (0.0, 0.2)}, hard=0.2)


def unmeasured(workshop: Workshop) -> None:
    record = workshop.shelf.read()
    del record["draws"]["0"]
    workshop.write(record)


def other_recipe(workshop: Workshop) -> None:
    workshop.recipe = {"steps": 4}


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (cut, ["0 student", "0 measured"]),
        (damaged, ["0 student", "0 measured"]),
        (other_mind, ["0 student", "0 measured"]),
        (unmeasured, ["0 measured"]),
        (other_recipe, ["0 trunk", "0 student", "0 measured"]),
    ],
)
def test_resume_makes_again_what_is_not_as_it_would_be(
    workshop: Workshop, change: Callable[[Workshop], None], again: list[str]
) -> None:
    workshop("--draws", "0")
    change(workshop)
    assert workshop("--resume", "--draws", "0") == again
    assert workshop("--resume", "--draws", "0") == []


def test_a_new_trunk_has_new_minds(workshop: Workshop) -> None:
    """Of another attempt; or of the same, by other weights."""
    workshop("--draws", "0")
    assert workshop("--resume", "--draws", "0", "--attempt", "1", "--only", "trunk") == ["0 trunk", "0 measured"]
    assert workshop("--resume", "--draws", "0", "--attempt", "1") == ["0 student", "0 measured"]
    workshop.machine = "another machine"
    assert workshop("--draws", "0", "--attempt", "1", "--only", "trunk") == ["0 trunk", "0 measured"]
    assert workshop("--resume", "--draws", "0", "--attempt", "1") == ["0 student", "0 measured"]


def test_a_killed_making_leaves_no_measurement_of_other_weights(workshop: Workshop) -> None:
    workshop("--draws", "0")
    workshop.recipe = {"steps": 4}
    workshop.measured = lambda draw: (_ for _ in ()).throw(KeyboardInterrupt)  # pyright: ignore
    with pytest.raises(KeyboardInterrupt):
        workshop("--draws", "0")
    assert workshop.shelf.read()["draws"] == {}


def test_what_vanilla_decides_is_read_when_it_has_run(
    workshop: Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    low, high = (
        str(checkpoint.save(tmp_path / "run", step, weights={"left": torch.tensor(left)}, state={}).path)
        for step, left in ((1, 71.0), (2, 65.0))
    )
    with pytest.raises(HarnessError, match=r"draw 1 is not measured: make and measure its models first \(--draws 1\)"):
        workshop("--draws", "1", "--distilled", high)
    workshop()
    before = workshop.shelf.read()
    with pytest.raises(SystemExit):
        workshop("--distilled", high)
    assert "--draws names 2" in capsys.readouterr().err
    with pytest.raises(HarnessError, match="is no checkpoint: give a run's"):
        workshop("--draws", "1", "--distilled", str(tmp_path))
    assert workshop("--draws", "1", "--distilled", low) == []
    assert "draw 1 FAILED   G10 a late gate: 19.0 (>= 20)" in capsys.readouterr().out
    workshop("--draws", "1", "--distilled", high)
    after = workshop.shelf.read()
    assert [gate["value"] for gate in after["draws"]["1"]["gates"]] == [3.0, 25.0]
    assert after["draws"]["1"]["gates"][0] == GATE and after["draws"]["0"] == before["draws"]["0"]
