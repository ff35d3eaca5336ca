"""Problems in files: what is read, what is refused in one line, what a run knows them by."""

from __future__ import annotations

import base64
import dataclasses
import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from support.own_folders import line, write_lines

from harness.config import DataSpec, MethodSpec, ModelSpec, OptimSpec, RunSpec, from_json, to_json
from harness.evaluation import benchmarks
from harness.types import Fact, HarnessError, ImagePart, Modality, Privilege, Span, TextPart
from harness.worlds import held_out, world, world_of
from harness.worlds.files import graders
from harness.worlds.files.graders import Grader
from harness.worlds.files.reading import read
from harness.worlds.files.world import data, held_out_of, source
from harness.worlds.files.world import held_out as benchmarks_of
from harness.worlds.needs import first_examples
from harness.worlds.regions import Pointing
from harness.worlds.world import Demonstrates, Halves, HasReferences, KnowsFacts, TellsAlone

PNG = b"\x89PNG\r\n\x1a\n the rest"
FIVE = [{"prompt": f"{i}?", "answer": i} for i in range(5)]
GOOD = '{"prompt": "1+1?", "answer": 2, "split": "train"}'


def sums(folder: Path, n: int = 20, **head: Any) -> Path:
    """Two domains with everything."""
    lines = [line(domain, i) for domain in ("plus", "minus") for i in range(n)]
    return write_lines(folder / "sums.jsonl", lines, **{"grader": {"kind": "number", "after": "####"}} | head)


def text_file(folder: Path, text: str | bytes) -> Path:
    path = folder / "p.jsonl"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


# What is read.


def test_boxes_of_p_are_shown_where_the_one_picture_holds_them(tmp_path: Path) -> None:
    """Text and boxes mixed, boxes outside, and boxes of two pictures point at nothing."""
    Image.new("RGB", (40, 30), "white").save(tmp_path / "a.png")
    boxes = [{"label": "a red cat", "box": [0, 1, 20.6, 30]}, {"label": "dog", "box": [4, 4, 40, 5]}]
    told = {
        "boxes": boxes,
        "outside": [boxes[0], {"label": "dog", "box": [4, 4, 41, 5]}],
        "words": "a red cat 0 1 20 3\nit sleeps",
    }
    one = {"prompt": "What?", "images": ["a.png"], "privileged": told, "split": "train"}
    two = one | {"prompt": "Which?", "images": ["a.png", "a.png"]}
    lines = [one, two, one | {"prompt": "Where?", "split": "validation"}]
    spec = data(str(write_lines(tmp_path / "p.jsonl", lines)), privilege="boxes")
    found = world_of(spec)
    assert isinstance(found, Pointing)
    first, second = found.examples(spec, "train", 2)
    expected = [("a red cat", (0, 1, 21, 30)), ("dog", (4, 4, 40, 5))]
    assert [(region.label, region.box) for region in found.regions(first, "boxes")] == expected
    for kind in ("outside", "words", Privilege.NONE):
        assert found.regions(first, kind) == ()
    assert found.regions(second, "boxes") == ()


def test_a_problem_has_all_that_its_line_says(tmp_path: Path) -> None:
    spec = data(str(sums(tmp_path)))
    found = world_of(spec)
    assert (found.domains, found.privileges, found.modality) == (("plus", "minus"), ("hints",), Modality.TEXT)
    (first, other) = found.examples(spec, "train", 2)
    number = int(first.id.rpartition("-")[2])
    written = line("plus", number)
    assert first.id == f"plus/train/plus-{number}" and other.domain == "minus"
    assert first.messages == ({"role": "user", "content": written["prompt"]},)
    assert (first.answer, first.trace, first.privileged) == (
        str(written["answer"]),
        written["trace"],
        written["privileged"],
    )
    start, end, kind = written["facts"][1]
    assert first.facts[1] == Span(start, end, Fact(kind))


def test_messages_and_images_are_read_by_path_or_encoded(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    encoded = base64.b64encode(PNG).decode()
    boxes = [{"label": "cat", "box": [0, 1, 2.5, 3]}, {"label": "dog", "box": [4, 4, 5, 5]}]
    turns = [
        {"role": "system", "content": "Look."},
        {"role": "user", "content": [{"type": "image", "base64": encoded}, {"type": "text", "text": "Which?"}]},
    ]
    lines = [
        {"prompt": "What?", "images": ["a.png"], "privileged": {"box_label": boxes}},
        {"messages": turns, "privileged": {"box_label": "a cat"}},
    ]
    first, second = read(source(str(write_lines(tmp_path / "p.jsonl", lines, split="train")))).problems
    image, words = first.example.messages[0]["content"]
    assert isinstance(image, ImagePart) and words == TextPart("What?")
    assert Path(image.path) == tmp_path / "a.png" and image.data == b""
    assert first.example.privileged == {"box_label": "cat 0 1 2.5 3\ndog 4 4 5 5"}
    sent, _ = second.example.messages[1]["content"]
    assert isinstance(sent, ImagePart) and sent.data == PNG and sent.sha256 == image.sha256
    assert read(source(str(tmp_path / "p.jsonl"))).modality is Modality.VISION


def test_domains_take_turns_and_begin_again(tmp_path: Path) -> None:
    spec = data(str(write_lines(tmp_path / "p.jsonl", FIVE)))
    train = world_of(spec).examples(spec, "train", 7)
    assert spec.size == 3 and [e.id for e in train[3:]] == [*(e.id for e in train[:3]), train[0].id]
    assert len({e.id for e in train}) == 3 and world_of(spec).examples(spec, "train", 1, start=4) == [train[1]]


def test_without_splits_each_domain_is_cut_by_the_digest_of_its_ids(tmp_path: Path) -> None:
    whole = sums(tmp_path)
    spec = data(str(whole))
    found = world_of(spec)
    parts = {
        s: [e.id for e in found.examples(spec, s, 2 * n)] for s, n in (("train", 16), ("validation", 2), ("test", 2))
    }
    assert all(len(set(ids)) == len(ids) for ids in parts.values())
    (tmp_path / "other.jsonl").write_text(
        "\n".join([*whole.read_text().splitlines()[:1], *reversed(whole.read_text().splitlines()[1:])])
    )
    again = data(str(tmp_path / "other.jsonl"))
    for split, ids in parts.items():
        assert {e.id for e in world_of(again).examples(again, split, len(ids))} == set(ids)


def test_data_without_p_show_none_outside_training(tmp_path: Path) -> None:
    spec = data(str(sums(tmp_path)), privilege="none")
    found = world_of(spec)
    assert spec.privilege == Privilege.NONE
    assert {bool(e.privileged) for s in ("validation", "test") for e in found.examples(spec, s, 2)} == {False}
    assert found.examples(spec, "train", 1)[0].privileged, "a method may show a kind of its own"


# What a run knows them by.


def test_the_same_problems_are_the_same_data_wherever_and_however_they_stand(tmp_path: Path) -> None:
    spec = data(str(sums(tmp_path)))
    spaced = tmp_path / "moved" / "spaced.jsonl"
    spaced.parent.mkdir()
    lines = (tmp_path / "sums.jsonl").read_text().splitlines()
    spaced.write_text("\n\n".join(json.dumps(json.loads(each), indent=None, sort_keys=True) for each in lines) + "\n")
    moved = data(str(spaced))
    assert moved == spec and moved.canonical == spec.canonical and moved.file != spec.file
    spaced.write_text(spaced.read_text().replace("What is 10 + 0", "How much is 10 + 0"))
    changed = data(str(spaced))
    assert changed.content != spec.content
    run = RunSpec(profile="own", student=None, teacher=None, data=spec, method=None, optim=None, steps=0)  # pyright: ignore[reportArgumentType]
    assert str(tmp_path) not in str(to_json(run)) and spec.content in str(to_json(run))


@pytest.mark.parametrize(
    "change",
    [
        {"answer": 999},
        {"trace": "another"},
        {"privileged": {"hints": "another"}},
        {"domain": "times"},
        {"id": "another"},
        {"prompt": "another"},
    ],
)
def test_every_field_is_part_of_the_content(tmp_path: Path, change: dict[str, Any]) -> None:
    lines = [line("plus", i) | {"facts": []} for i in range(12)]
    before = read(source(str(write_lines(tmp_path / "a.jsonl", lines)))).content
    lines[0] |= change
    if "domain" in change:
        lines[1]["domain"] = lines[2]["domain"] = "times"
    assert read(source(str(write_lines(tmp_path / "b.jsonl", lines)))).content != before


def test_grader_facts_and_the_word_for_unknown_are_part_of_the_content(tmp_path: Path) -> None:
    contents = {
        read(source(str(sums(tmp_path, **head)))).content
        for head in ({}, {"grader": "number"}, {"grader": {"kind": "number", "after": "##"}}, {"unknown": "?"})
    }
    lines = [line("plus", i) for i in range(4)]
    contents.add(read(source(str(write_lines(tmp_path / "c.jsonl", lines)))).content)
    lines[0]["facts"][0][2] = "format"
    contents.add(read(source(str(write_lines(tmp_path / "d.jsonl", lines)))).content)
    assert len(contents) == 6


def test_a_file_that_changed_since_the_plan_is_refused(tmp_path: Path) -> None:
    path = sums(tmp_path)
    spec = data(str(path))
    path.write_text(path.read_text().replace("What is 10 + 0", "How much is 10 + 0"))
    with pytest.raises(HarnessError, match=r"planned were problems of content \w{10}, the file holds \w{10}: plan the"):
        first_examples(world_of(spec), spec)


def test_a_spec_from_a_folder_says_that_its_file_is_not_known(tmp_path: Path) -> None:
    spec = data(str(sums(tmp_path)))
    with pytest.raises(HarnessError, match="data of the world 'files' without a file: name it with --data"):
        world_of(dataclasses.replace(spec, file=None))


def test_there_is_no_world_of_files_without_data() -> None:
    assert held_out("files") == ()
    with pytest.raises(HarnessError, match="world 'files' is another for each data"):
        world("files")


# What is refused, one line each.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no problem"),
        ('{"schema": 1}\n\n', "holds no problem"),
        (f"{GOOD}\n{{", r"line 2: no JSON \(Expecting property name"),
        (f"{GOOD}\n[1]", r"line 2: a list stands where an object must"),
        ('{"schema": 2}\n' + GOOD, "line 1: schema 2: this package reads schema 1"),
        ('{"schema": 1, "prompt": "a"}\n' + GOOD, "line 1: unknown field 'prompt': known: domain, grader, split"),
        ('{"promt": "a"}', "line 1: unknown field 'promt': did you mean prompt"),
        ('{"Prompt": "a"}', "line 1: unknown field 'Prompt': write prompt"),
        ('{"question": "a"}', "known: prompt, .*; --columns prompt=NAME"),
        ('{"answer": "a"}', "line 1: no field prompt or messages: give one of the two"),
        ('{"prompt": "a", "messages": []}', "line 1: both prompt and messages"),
        ('{"prompt": " "}', "line 1: prompt is empty"),
        ('{"prompt": 3}', "line 1: prompt is 3: give a text"),
        ('{"prompt": "a", "prompt": "b"}', "line 1: field 'prompt' stands there twice"),
        ('{"prompt": NaN}', "line 1: NaN is no JSON"),
        (b'{"prompt": "caf\xe9"}', "line 1: byte 0xe9 at 16 is not UTF-8"),
        ("[" * 100_000, "line 1: no JSON"),
        (
            '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}',
            "must end with a turn",
        ),
        ('{"messages": [{"role": "human", "content": "a"}]}', "role 'human': choose one of system, user, assistant"),
        ('{"messages": [{"role": "user"}]}', "it has role and content, nothing else"),
        ('{"messages": "a"}', 'messages is "a": give a list'),
        ('{"prompt": "a", "images": ["no.png"]}', r"image .*no.png is no file; a path is relative to the file"),
        ('{"prompt": "a", "images": [{"base64": "%%"}]}', "base64 of an image is not valid"),
        ('{"prompt": "a", "images": [{"base64": "YWJj"}]}', "is neither PNG nor JPEG"),
        ('{"prompt": "a", "privileged": "p"}', "give a text by kind"),
        ('{"prompt": "a", "privileged": {"none": "p"}}', "stands for no p"),
        ('{"prompt": "a", "privileged": {"b": [{"label": "x", "box": [2, 0, 1, 1]}]}}', "numbers with x0 < x1"),
        ('{"prompt": "a", "facts": [[0, 1, "format"]]}', "facts without a trace"),
        ('{"prompt": "a", "trace": "ab", "facts": [[1, 3, "format"]]}', "the span 1:3 .* is not within its text of 2"),
        (
            '{"prompt": "a", "trace": "ab", "facts": [[0, 2, "format"], [1, 2, "format"]]}',
            "begins before the one before",
        ),
        ('{"prompt": "a", "trace": "ab", "facts": [[0, 1, "fromat"]]}', "unknown kind of fact 'fromat': did you mean"),
        ('{"prompt": "a", "trace": "ab", "facts": [[0, 1]]}', r"give \[start, end, kind\]"),
        ('{"prompt": "a", "split": "dev"}', "unknown split 'dev': known: train, validation, test"),
        ('{"prompt": "a", "domain": "a/b"}', "domain 'a/b': a name is letters"),
        ('{"prompt": "a", "grader": "number"}', "no field answer, which the grader 'number' compares with"),
        (
            '{"prompt": "a", "answer": 20, "grader": "number", "trace": "It is 20. The code is 7."}',
            "the grader 'number' reads '7' in trace .*, and the answer is '20': correct one of the two .*last number",
        ),
        (
            '{"prompt": "a", "answer": "b", "grader": {"kind": "exact", "after": "##"}, "trace": "b"}',
            "the grader 'exact' reads no answer in trace 'b', and the answer is 'b'",
        ),
        ('{"prompt": "a", "grader": "number", "answer": "two"}', "answer 'two' is none to the grader 'number'"),
        ('{"prompt": "a", "grader": "choice", "answer": "b"}', "which reads one capital letter"),
        ('{"prompt": "a", "grader": "nubmer", "answer": 1}', "unknown grader 'nubmer': did you mean number"),
        ('{"prompt": "a", "grader": {"kind": "regex"}, "answer": 1}', "with pattern '': give one to regex"),
        ('{"prompt": "a", "grader": {"kind": "regex", "pattern": "("}, "answer": 1}', "is no regular expression"),
        ('{"prompt": "a", "grader": {"knd": "regex"}, "answer": 1}', "unknown field 'knd': did you mean kind"),
        (f"{GOOD}\n{GOOD}", r"line 2: id '\w{12}' is that of line 1; .* known by its prompt"),
        ('{"prompt": "a", "id": 1}\n{"prompt": "b", "id": "1"}', "line 2: id '1' is that of line 1"),
        (f'{GOOD}\n{{"prompt": "b"}}', "line 2: no split, which 1 of 2 problems have: give it to all or to none"),
        (
            '{"prompt": "a", "grader": "exact", "answer": 1}\n{"prompt": "b"}',
            "line 2: no grader, which 1 of 2 problems have",
        ),
        ('{"prompt": "a", "privileged": {"h": "x"}}\n{"prompt": "b"}', "line 2: no privileged 'h', which 1 of 2"),
        ('{"prompt": "a"}\n{"prompt": "b"}', "domain 'problems' has 2 problems, too few for train, validation, test"),
        ('{"promt": "a"}\n{"promt": "b"}\n{"promt": "c"}', "line 1: unknown field .*; 2 more lines are wrong"),
        (GOOD, "has no problem of the split 'validation', which a training reads"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_number(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = text_file(tmp_path, text)
    with pytest.raises(HarnessError, match=message) as told:
        data(str(path))
    assert "\n" not in str(told.value) and str(path) in str(told.value)


@pytest.mark.parametrize("name", ["nowhere.jsonl", "notes.txt", "folder"])
def test_what_is_no_file_of_problems_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").write_text("a")
    (tmp_path / "folder").mkdir()
    with pytest.raises(HarnessError, match=r"there is no such file|ends in .jsonl|is a folder without dataset_dict"):
        data(str(tmp_path / name))


def test_several_kinds_of_p_are_chosen_among_never_guessed(tmp_path: Path) -> None:
    lines = [{"prompt": str(i), "privileged": {"steps": "a", "answer": "b"}} for i in range(5)]
    path = str(write_lines(tmp_path / "p.jsonl", lines))
    with pytest.raises(HarnessError, match="has several kinds of p: name the one that is shown, --privilege steps or"):
        data(path)
    assert data(path, privilege="steps").privilege == "steps"
    with pytest.raises(HarnessError, match=r"unknown privileged input of .*: 'step': did you mean steps"):
        data(path, privilege="step")


# Folders of the library datasets.


def test_columns_of_other_names_are_mapped_and_others_not_read(tmp_path: Path) -> None:
    rows = [{"q": f"{i}?", "final": i, "how": f"by {i}", "noise": None} for i in range(6)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "anything.parquet")
    columns = {"prompt": "q", "answer": "final", "privileged.hints": "how"}
    spec = data(str(tmp_path), columns=columns, values={"grader": "number", "domain": "sums"})
    (first,) = world_of(spec).examples(spec, "train", 1)
    assert first.privileged == {"hints": f"by {first.answer}"} and first.domain == "sums"
    written = [{"prompt": r["q"], "answer": r["final"], "privileged": {"hints": r["how"]}} for r in rows]
    as_lines = write_lines(tmp_path / "p.jsonl", written, grader="number", domain="sums")
    assert data(str(as_lines)).content == spec.content, "the same problems"
    with pytest.raises(HarnessError, match="row 1: no column 'question' for prompt; there are q, final, how, noise"):
        data(str(tmp_path), columns={"prompt": "question"})
    with pytest.raises(HarnessError, match="unknown field 'promt': did you mean prompt"):
        data(str(tmp_path), columns={"promt": "q"})


@pytest.mark.slow
def test_a_saved_data_set_is_read_with_its_splits(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    parts = {"train": range(4), "validation": range(4, 6), "test": range(6, 9)}
    made = DatasetDict(
        {name: Dataset.from_list([{"prompt": f"{i}?", "answer": str(i)} for i in ids]) for name, ids in parts.items()}
    )
    made.save_to_disk(str(tmp_path / "saved"))
    spec = data(str(tmp_path / "saved"), values={"grader": "exact"})
    found = world_of(spec)
    assert {e.answer for e in found.examples(spec, "test", 3)} == {"6", "7", "8"} and spec.size == 4
    with pytest.raises(HarnessError, match="train row 1: unknown field 'other'"):
        Dataset.from_list([{"other": "a"}]).save_to_disk(str(tmp_path / "one"))
        DatasetDict({"train": Dataset.from_list([{"other": "a"}])}).save_to_disk(str(tmp_path / "two"))
        data(str(tmp_path / "two"))
    (asked,) = benchmarks_of(str(tmp_path / "saved"), max_new_tokens=4, values={"grader": "exact"})
    assert asked.n == 3, "of a data set with splits a benchmark asks the test problems alone"


def test_parquet_files_named_after_splits_are_these(tmp_path: Path) -> None:
    for split, ids in {"train": range(4), "validation": range(4, 6)}.items():
        rows = [{"prompt": f"{i}?"} for i in ids]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{split}-00000-of-00001.parquet")
    spec = data(str(tmp_path))
    assert len({e.id for e in world_of(spec).examples(spec, "train", 4)}) == 4


# Powers.


def test_a_world_can_what_its_lines_hold(tmp_path: Path) -> None:
    explained = data(str(sums(tmp_path)))
    found = world_of(explained)
    assert isinstance(found, KnowsFacts) and isinstance(found, HasReferences) and isinstance(found, Demonstrates)
    (example,) = found.examples(explained, "train", 1)
    text, spans = found.reference(example), found.reference_facts(example)
    assert "note unknown." in text and [s.kind for s in spans] == [s.kind for s in example.facts]
    assert [text[s.start : s.end] for s in spans] == [example.answer, "unknown", example.answer]
    assert set(found.guesses) == {f"k{i}" for i in range(7)}
    p = example.privileged["hints"]
    assert [p[s.start : s.end] for s in found.privileged_facts(example, "hints")] == [p[-2:]]
    assert found.demonstration("so 4").endswith("\n\nso 4")
    assert isinstance(found, Halves) and isinstance(found, TellsAlone)
    told = dataclasses.replace(example, privileged={"hints": "add  the\ntwo ", "word": "add", "seen": ()})
    assert found.first_half(told, "hints") == "add  the", "two of three words, as they stand"
    assert found.alone(told, "hints") == ({"role": "user", "content": "add  the\ntwo "},)
    with pytest.raises(HarnessError, match=r"'word' of .*'add', has no halves"):
        found.first_half(told, "word")
    with pytest.raises(HarnessError, match=r"'seen' of .* has images, and is neither halved nor shown alone"):
        found.alone(told, "seen")
    traced = data(str(write_lines(tmp_path / "t.jsonl", [line("plus", i) | {"facts": []} for i in range(4)])))
    assert isinstance(world_of(traced), HasReferences) and not isinstance(world_of(traced), KnowsFacts)
    bare = data(str(write_lines(tmp_path / "b.jsonl", FIVE)))
    assert not isinstance(world_of(bare), HasReferences)


def test_a_trace_is_right_whatever_only_p_tells(tmp_path: Path) -> None:
    spec = data(str(sums(tmp_path)))
    found = world_of(spec)
    (example,) = found.examples(spec, "train", 1)
    trace = example.trace or ""
    code = trace[example.facts[1].start : example.facts[1].end]
    for text, answer, right in (
        (trace, True, True),
        (trace.replace(code, "anything"), True, True),
        (f"so #### {example.answer}", True, False),
        (trace + "1", False, False),
        ("no idea", False, False),
    ):
        grade = found.grade(example, text)
        assert grade is not None and (grade.answer, grade.trace) == (answer, right), text


# Graders.


@pytest.mark.parametrize(
    ("kind", "text", "answer", "right"),
    [
        ("exact", "  the  cat\n", "the cat", True),
        ("exact", "The cat", "the cat", False),
        ("exact", r"so \boxed{the cat} it is", "the cat", True),
        ("number", "so 1,200.50 dollars", "1200.5", True),
        ("number", "x=-5", "-5", True),
        ("number", "3-5", "5", True),
        ("number", r"\boxed{\$1,000} of 3", "1000", True),
        ("number", "a half, 1/2", "0.5", True),
        ("number", "1e3", "1000", True),
        ("number", "it is 7.", "7.0", True),
        ("number", "7 or 8", "7", False),
        ("choice", "The answer is (B).", "B", True),
        ("choice", "A is wrong. Answer: C", "C", True),
        ("choice", "I like D) best", "D", True),
        ("choice", "B", "B", True),
        ("choice", "B, no: Answer: A", "B", False),
    ],
)
def test_graders(kind: str, text: str, answer: str, right: bool) -> None:
    assert Grader(kind=kind).right(text, answer) == (right, True)


@pytest.mark.parametrize(
    ("kind", "text"), [("number", "none"), ("number", "1/0"), ("choice", "A good day"), ("exact", " ")]
)
def test_a_response_without_an_answer_is_counted_apart(kind: str, text: str) -> None:
    answer = {"choice": "A", "exact": "a"}.get(kind, "1")
    assert Grader(kind=kind).right(text, answer) == (False, False)


def test_an_answer_may_follow_words_or_match_a_pattern() -> None:
    after = Grader(kind="number", after="####")
    assert after.right("5 #### 6", "6") == (True, True) and after.right("6", "6") == (False, False)
    pattern = Grader(kind="regex", pattern=r"! (\d+)$")
    assert pattern.right("a ! 6", "6") == (True, True) and pattern.right("a 6", "6") == (False, False)


def test_math_verify_is_asked_for_before_compute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graders.importlib.util, "find_spec", lambda name: None)
    spec = data(str(write_lines(tmp_path / "p.jsonl", FIVE, grader="math_verify")))
    with pytest.raises(
        HarnessError, match="grader 'math_verify' needs the package math-verify, which is not installed"
    ):
        world_of(spec)


@pytest.fixture
def math_verify(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the package is asked: the reference first."""
    package: Any = types.ModuleType("math_verify")
    package.parse = lambda text: [text.strip("$ ")] if any(c.isdigit() for c in text) else []
    package.verify = lambda gold, found: gold == found
    monkeypatch.setitem(sys.modules, "math_verify", package)
    yield


def test_math_verify_grades_where_it_is_installed(math_verify: None) -> None:
    grader = Grader(kind="math_verify")
    assert grader.right("$7$", "7") == (True, True) and grader.right("8", "7") == (False, True)
    assert grader.right("none", "7") == (False, False)


# Benchmarks.


def test_the_test_problems_become_benchmarks_whose_version_is_their_content(tmp_path: Path) -> None:
    path = sums(tmp_path)
    spec = data(str(path))
    made = held_out_of(spec, "test", max_new_tokens=9)
    assert [(each.name, each.n, each.domain) for each in made] == [("sums_plus", 2, "plus"), ("sums_minus", 2, "minus")]
    assert held_out_of(spec, "test", max_new_tokens=9) == made
    versions = {made[0].version, held_out_of(spec, "test", max_new_tokens=8)[0].version}
    path.write_text(path.read_text().replace("What is 10 + 0", "How much is 10 + 0"))
    versions.add(held_out_of(data(str(path)), "test", max_new_tokens=9)[0].version)
    assert len(versions) == 3 and all(float(each) == each for each in versions)
    assert [each.name for each in held_out_of(data(str(path)), "validation", max_new_tokens=9)] == [
        "sums_plus_validation",
        "sums_minus_validation",
    ]
    assert spec.privilege == "hints" and made[0].data.privilege == Privilege.NONE


def test_a_benchmark_without_traces_grades_answers_alone(tmp_path: Path) -> None:
    (bare,) = benchmarks_of(str(write_lines(tmp_path / "quiz.jsonl", FIVE, grader="number")), max_new_tokens=4)
    asked = benchmarks._own(bare, Modality.TEXT)
    assert (asked.name, asked.n, [m.name for m in asked.metrics]) == ("quiz", 5, ["exact_answer"])
    assert len(benchmarks.examples(asked)) == 5


@pytest.mark.parametrize(
    ("lines", "head", "message"),
    [
        (FIVE, {}, "has no grader, so its problems cannot be asked as a benchmark"),
        (
            [{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}], "answer": 1}],
            {"grader": "number"},
            "is more than one turn, and a benchmark asks no more",
        ),
        ([FIVE[0] | {"split": "train"}], {"grader": "number"}, "has no problem of the split 'test' to be asked"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    tmp_path: Path, lines: list[dict[str, Any]], head: dict[str, Any], message: str
) -> None:
    with pytest.raises(HarnessError, match=message):
        benchmarks_of(str(write_lines(tmp_path / "p.jsonl", lines, **head)), max_new_tokens=4)


def test_a_spec_comes_back_from_json_with_its_content(tmp_path: Path) -> None:
    spec = RunSpec(
        profile="own",
        student=ModelSpec(name="s"),
        teacher=ModelSpec(name="t"),
        data=data(str(sums(tmp_path))),
        method=MethodSpec(name="dopd"),
        optim=OptimSpec(lr=1e-3),
        steps=2,
    )
    back = from_json(json.loads(json.dumps(to_json(spec))))
    assert back == spec and back.id == spec.id and isinstance(back.data, DataSpec) and back.data.file is None
