"""Own benchmarks with pictures as tables of VLMEvalKit; without VLMEvalKit."""

from __future__ import annotations

import base64
import csv
import dataclasses
import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support import squares
from support.squares import COLOURS, Squares
from support.tiny_world import TinyWorld

from harness.evaluation import benchmarks, tsv
from harness.evaluation.benchmarks import DECODINGS, ExportedBenchmark, Form, PicturedBenchmark
from harness.evaluation.evaluate import export
from harness.evaluation.picture_tasks.picture_rules import is_right, said
from harness.types import Example, HarnessError, ImagePart, TextPart
from harness.worlds import WORLDS


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WORLDS, "squares", "support.squares:Squares")


def own(name: str = "squares_cells") -> PicturedBenchmark:
    found = benchmarks.benchmark(name)
    assert isinstance(found, PicturedBenchmark)
    return found


def table(form: Form, name: str = "squares_cells") -> list[dict[str, str]]:
    csv.field_size_limit(10**7)
    return list(csv.DictReader(io.StringIO(tsv.text(own(name), form)), delimiter="\t"))


def asked_with(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Every item of the world with other fields."""
    monkeypatch.setattr(
        Squares,
        "examples",
        lambda self, data, split, n, start=0: [
            dataclasses.replace(squares.example("cells", split, i), **changes) for i in range(n)
        ],
    )
    benchmarks.examples.cache_clear()


@pytest.fixture(autouse=True)
def fresh() -> None:
    benchmarks.examples.cache_clear()


# The registry


def test_a_held_out_set_of_a_picture_world_becomes_its_own_and_two_of_vlmevalkit() -> None:
    names = [name for name in benchmarks.every() if name.startswith("squares_")]
    assert names == [f"squares_{d}{end}" for d in Squares.domains for end in ("", "_open", "_choice")]
    assert own().engine == "pictured" and own().decodings == tuple(DECODINGS)
    choice = benchmarks.benchmark("squares_cells_choice")
    assert isinstance(choice, ExportedBenchmark) and choice.engine == "vlmeval"
    assert (choice.own, choice.form, choice.n, choice.max_new_tokens) == (own(), Form.CHOICE, 24, 6)


@pytest.mark.parametrize("name", ["mmbench_cells", "squares-cells"])
def test_a_name_by_which_vlmevalkit_would_score_otherwise_is_refused(name: str) -> None:
    with pytest.raises(HarnessError, match=rf"data set '{name}_open_v1'.*rename the benchmark"):
        tsv.data_set(dataclasses.replace(own(), name=name), Form.OPEN)


def test_a_name_says_form_and_version() -> None:
    assert tsv.data_set(dataclasses.replace(own(), version=3), Form.CHOICE) == "squares_cells_choice_v3"


# The table


def test_a_line_holds_picture_question_answer_kind_and_group() -> None:
    first, second = table(Form.OPEN)[:2]
    item = squares.example("cells", "test", 0)
    (picture,) = tsv.pictures(item)
    assert base64.b64decode(first["image"]) == picture
    assert Image.open(io.BytesIO(picture)).getpixel((1, 1)) in COLOURS.values()
    del first["image"]
    assert first == {
        "index": "0",
        "id": "cells/test/0",
        "question": tsv.question(item),
        "answer": item.answer,
        "category": "colour",
        "l2-category": "cells",
        "split": "test",
        "max_new_tokens": "6",
    }
    assert (second["category"], len(second["answer"].split())) == ("pair", 2)
    assert not any(word in tsv.text(own(), Form.OPEN) for word in ("hint", "privileged"))


def test_a_choice_is_between_the_answer_and_three_others_of_its_kind() -> None:
    lines = table(Form.CHOICE)
    for line, example in zip(lines, benchmarks.examples(own()), strict=True):
        options = [line[letter] for letter in tsv.LETTERS]
        assert line[line["answer"]] == example.answer and len(set(options)) == 4
        assert {len(option.split()) for option in options} == {1 if line["category"] == "colour" else 2}
    assert {line["answer"] for line in lines} == set(tsv.LETTERS)
    assert lines == table(Form.CHOICE)


def test_a_kind_of_too_few_answers_is_open_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked_with(monkeypatch, answer="red", trace="at ! red")
    with pytest.raises(
        HarnessError, match=r"squares_cells: a choice needs 4 answers of the kind of cells/test/0.*have 1"
    ):
        tsv.text(own(), Form.CHOICE)
    assert tsv.forms(own()) == (Form.OPEN,)
    written = export(tmp_path, ["squares_cells"])
    assert [path.name for path in written if path.suffix == ".tsv"] == ["squares_cells_open_v1.tsv"]


def test_an_answer_that_pandas_takes_for_none_is_refused() -> None:
    first = squares.example("cells", "test", 0)
    with pytest.raises(HarnessError, match="takes the answer 'None' for none"):
        tsv._options(own(), first, ["None", "red", "blue", "green"])


def test_a_world_without_kinds_sorts_by_domain() -> None:
    item = squares.example("cells", "test", 1)
    assert (tsv.kind(Squares(), item), tsv.kind(TinyWorld(), item)) == ("pair", "cells")


def test_pictures_between_words_have_marks() -> None:
    first, second = (squares.picture(name, ["red"] * 4) for name in "ab")
    turn = (TextPart("is "), first, TextPart(" as "), second)
    example = dataclasses.replace(squares.example("cells", "test", 0), messages=({"role": "user", "content": turn},))
    assert tsv.question(example) == "is <image 1> as <image 2>"
    assert tsv.pictures(example) == [first.data, second.data]
    spoken = dataclasses.replace(example, messages=({"role": "user", "content": (first, TextPart("<image 1>"))},))
    with pytest.raises(HarnessError, match="which stands for pictures"):
        tsv.question(spoken)


@pytest.mark.parametrize(
    "messages",
    [
        ({"role": "user", "content": "colour of 1"},),
        ({"role": "user", "content": (TextPart("colour of 1"),)},),
        ({"role": "system", "content": "at"}, *squares.example("cells", "test", 0).messages),
    ],
)
def test_an_item_that_is_no_turn_with_a_picture_is_refused(messages: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_with(monkeypatch, messages=messages)
    with pytest.raises(HarnessError, match=r"cells/test/0 has the turns .*one user turn with a picture"):
        tsv.text(own(), Form.OPEN)


def test_a_picture_in_a_file_is_read_from_it(tmp_path: Path) -> None:
    example = squares.example("cells", "test", 0)
    (data,) = tsv.pictures(example)
    (tmp_path / "x.png").write_bytes(data)
    part = ImagePart(path=str(tmp_path / "x.png"), sha256=hashlib.sha256(data).hexdigest())
    moved = dataclasses.replace(example, messages=({"role": "user", "content": (part, TextPart("colour of 1"))},))
    assert tsv.pictures(moved) == [data]


def test_p_in_a_question_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    words = tsv.question(squares.example("cells", "test", 0))
    asked_with(monkeypatch, privileged={"colours": words})
    with pytest.raises(HarnessError, match="holds its privileged input 'colours'"):
        tsv.text(own(), Form.OPEN)


# The exported folder


def test_export_writes_open_and_choice_with_their_code(tmp_path: Path) -> None:
    export(tmp_path, ["squares_cells", "squares_counts", "permutations_coding"])
    tables = {f"squares_{name}_v1.tsv" for name in ("cells_open", "cells_choice", "counts_open")}
    assert {p.name for p in (tmp_path / "vlmevalkit").iterdir()} == tables | {
        "picture_sets.py",
        "picture_rules.py",
        "README.md",
    }
    assert "harness" not in (tmp_path / "vlmevalkit" / "picture_sets.py").read_text()
    assert (tmp_path / "permutations_coding_draw0.yaml").is_file() and not (tmp_path / "squares_cells.yaml").exists()


def test_a_world_with_draws_has_a_table_a_draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WORLDS, "squares", "support.squares:DrawnSquares")
    export(tmp_path, ["squares_cells"])
    tables = [f"squares_cells_draw{draw}_{form}_v1" for draw in (0, 1) for form in ("choice", "open")]
    assert sorted(path.stem for path in (tmp_path / "vlmevalkit").glob("*.tsv")) == tables
    of_draw = benchmarks.benchmark("squares_cells_open").in_draw(1)
    assert isinstance(of_draw, ExportedBenchmark) and tsv.data_set(of_draw.own, of_draw.form) == tables[3]
    assert "cells/test/100" in tsv.text(of_draw.own, of_draw.form)


def test_pictures_alone_write_no_task_of_lm_eval(tmp_path: Path) -> None:
    export(tmp_path, ["squares_cells"])
    assert [path.name for path in tmp_path.iterdir()] == ["vlmevalkit"]


@pytest.mark.parametrize(
    ("response", "right", "answer"),
    [
        ("at ! red blue", True, "red blue"),
        ("! red blue", True, "red blue"),
        ("red blue", False, None),
        ("! red", False, "red"),
        ("! red ! blue", False, "blue"),
        ("! green red blue", False, "green red blue"),
        ("at !", False, None),
        ("", False, None),
    ],
)
def test_the_exported_rule(response: str, right: bool, answer: str | None) -> None:
    assert (is_right("red blue", response), said(response)) == (right, answer)


def test_a_world_that_grades_otherwise_is_not_exported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    grade = Squares.grade

    def generous(self: Squares, example: Example, text: str) -> Any:
        return dataclasses.replace(grade(self, example, text), answer=example.answer in text)

    monkeypatch.setattr(Squares, "grade", generous)
    with pytest.raises(HarnessError, match=r"cells/test/\d+: an exported data set reads .*otherwise than its world"):
        export(tmp_path, ["squares_cells"])
