"""A pair that sees and problems with pictures, brought as folders and files: trained, asked and shown as any other.

The problems are those of a shipped world, written down as a user would, so that what is right is known.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness import registry
from harness.cli import own, verbs
from harness.models import zoo
from harness.storage import files
from harness.types import Example, ImagePart, Modality
from harness.worlds import world_of

PROFILE = registry.profile("embedded_vlm").in_draw(5)
HEAD = {"schema": 1, "grader": {"kind": "exact", "after": "!"}}


def line(example: Example, place: int, folder: Path) -> dict[str, Any]:
    """Every other picture is a file beside, the others stand in the line."""
    (turn,) = example.messages
    image, text = turn["content"]
    assert isinstance(image, ImagePart) and not isinstance(text, (str, ImagePart))
    picture: str | dict[str, str] = {"base64": base64.b64encode(image.data).decode()}
    if place % 2:
        picture = f"{place}.png"
        (folder / picture).write_bytes(image.data)
    told = {"boxes": example.privileged["box_label"], "answer": example.privileged["final_answer"]}
    return {
        "prompt": text.text,
        "images": [picture],
        "answer": example.answer,
        "privileged": told,
        "domain": example.domain,
    }


def write(folder: Path, name: str, examples: Sequence[Example]) -> Path:
    folder.mkdir(exist_ok=True)
    lines = [HEAD, *(line(example, place, folder) for place, example in enumerate(examples))]
    (folder / name).write_text("\n".join(map(json.dumps, lines)))
    return folder / name


def flags(tmp_path: Path, training: Path, exam: Path) -> list[str]:
    student, teacher = (str(zoo.path(spec.name)) for spec in (PROFILE.student, PROFILE.teacher))
    return [
        *("--student", student, "--teacher", teacher, "--data", str(training), "--benchmarks", str(exam)),
        *("--privilege", "boxes", "--methods", "vanilla_opd,dopd", "--seeds", "1", "--steps", "1", "--prompts", "2"),
        *("--max-response-tokens", "24", "--rate", "1e-4", "--results", str(tmp_path / "results"), "--jobs", "1"),
    ]


@pytest.mark.slow
def test_own_pictures_are_trained_asked_and_graded_as_their_world_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = world_of(PROFILE.data)
    asked = world.examples(PROFILE.data, "test", 12)
    training = write(tmp_path / "train", "own.jsonl", world.examples(PROFILE.data, "train", 24))
    exam = write(tmp_path / "exam", "exam.jsonl", asked)
    assert verbs.main(["run", "--suite", "in_distribution", *flags(tmp_path, training, exam)]) == 0
    assert "DOPD" in capsys.readouterr().out
    (teacher,) = (tmp_path / "results" / "runs").glob("reference*teacher-*")
    said = [
        (record["response"], record["answer"])
        for domain in PROFILE.data.domains
        for (path,) in [list((teacher / "samples").glob(f"*exam_{domain}@*greedy*"))]
        for record in files.read_jsonl(path)
    ]
    by_domain = [example for domain in PROFILE.data.domains for example in asked if example.domain == domain]
    assert [right for _, right in said] == [
        getattr(world.grade(example, response), "answer", None)
        for example, (response, _) in zip(by_domain, said, strict=True)
    ]
    assert 0 < sum(right for _, right in said) < len(said), "a teacher that sees is right sometimes"
    rows = [row for path in (tmp_path / "results" / "runs").glob("dopd*/rows.jsonl") for row in files.read_jsonl(path)]
    assert {row["benchmark"] for row in rows} >= {f"exam_{domain}" for domain in PROFILE.data.domains}


@pytest.mark.parametrize(("trained", "asked"), [("text", "pictures"), ("pictures", "text"), ("text", "text")])
def test_a_profile_has_pictures_where_anything_trained_or_asked_has(trained: str, asked: str, tmp_path: Path) -> None:
    """Made of flags alone, and of flags over a profile of text."""
    examples = world_of(PROFILE.data).examples(PROFILE.data, "train", 24)
    paths = {"pictures": {name: write(tmp_path, f"{name}.jsonl", examples) for name in ("train", "exam")}}
    bare = [{key: value for key, value in line(e, 0, tmp_path).items() if key != "images"} for e in examples]
    texts = {}
    for name in ("train", "exam"):
        texts[name] = tmp_path / f"{name}_text.jsonl"
        texts[name].write_text("\n".join(map(json.dumps, [HEAD, *bare])))
    paths["text"] = texts
    student, teacher = (str(zoo.path(spec.name)) for spec in (PROFILE.student, PROFILE.teacher))
    pair = {"student": student, "teacher": teacher, "privilege": "boxes"}
    chosen: dict[str, Any] = {"data": str(paths[trained]["train"]), "benchmarks": (str(paths[asked]["exam"]),)}
    expected = Modality.TEXT if (trained, asked) == ("text", "text") else Modality.VISION
    assert own.profile(pair | chosen, None).modality == expected
    of_text = own.profile(pair | {"data": str(texts["train"]), "benchmarks": (str(texts["exam"]),)}, None)
    assert own.profile(chosen | {"privilege": "boxes"}, of_text).modality == expected
