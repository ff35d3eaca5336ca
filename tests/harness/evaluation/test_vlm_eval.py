"""Data sets of VLMEvalKit: its own job and scorers on local tables, and what they must not change."""

from __future__ import annotations

import base64
import csv
import dataclasses
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.evaluation import benchmarks, evaluator
from harness.evaluation.benchmarks import BENCHMARKS, PICTURED, Judge, VlmEvalBenchmark
from harness.evaluation.evaluator import Score
from harness.evaluation.rule_judge import RuleJudge, quoted
from harness.types import Example, Finish, HarnessError, text_of

ROOT = Path(__file__).resolve().parents[3]
Reply = Callable[[str], str]


def picture(colour: str = "red") -> str:
    """Encoded; noise, so that its cell is longer than a reference."""
    image, out = Image.new("RGB", (32, 32), colour), io.BytesIO()
    image.putpixel((3, 3), (1, 2, 3))
    image.save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def write(path: Path, lines: Sequence[Mapping[str, object]]) -> Path:
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(lines[0]), delimiter="\t")
        table.writeheader()
        table.writerows(lines)
    return path


def choices(n: int, **more: object) -> list[dict[str, object]]:
    """Of the schema of a multiple choice: the answer of line i is the i-th letter, its option the i-th colour."""
    options = {"A": "red", "B": "green", "C": "blue", "D": "yellow"}
    return [
        {
            "index": i,
            "image": picture(),
            "question": f"Which colour is number {i}?",
            **options,
            "answer": "ABCD"[i % 4],
            "category": ("one", "two")[i % 2],
            "l2-category": "colours",
            **more,
        }
        for i in range(n)
    ]


@pytest.fixture
def replies(monkeypatch: pytest.MonkeyPatch) -> Callable[[Reply], list[str]]:
    """The model replaced by a function of the question; gives the list of the questions it will be asked."""

    def script(reply: Reply) -> list[str]:
        from harness.evaluation import vlm_eval

        asked: list[str] = []

        def respond(model: Any, reader: Any, examples: Sequence[Example], **_: Any) -> dict[str, Any]:
            texts = {e.id: text_of(e.messages[0]) for e in examples}
            asked.extend(texts.values())
            return {name: [(reply(text), Finish.EOS)] for name, text in texts.items()}

        monkeypatch.setattr(vlm_eval, "respond", respond)
        return asked

    return script


def score(benchmark: VlmEvalBenchmark, monkeypatch: pytest.MonkeyPatch) -> Score:
    from harness.evaluation import vlm_eval

    (found,) = vlm_eval.ask(Any, Any, benchmark, batch_size=8)  # the scripted model is asked
    return found


def local(name: str, data: Path, **more: Any) -> VlmEvalBenchmark:
    found = BENCHMARKS[name]
    assert isinstance(found, VlmEvalBenchmark)
    return dataclasses.replace(found, data=str(data), **more)


def right(found: Score) -> list[bool | None]:
    return [item["answer"] for item in found.items]


# The paper's eight: the official scorer of each, on a stand-in of its schema.


@pytest.mark.vision
@pytest.mark.parametrize("name", ["realworldqa", "mmstar"])
def test_multiple_choice(name: str, replies: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = iter(["A", "The answer is B.", "green", "it may be", "A"])
    asked = replies(lambda _: next(given))
    found = score(local(name, write(tmp_path / "x.tsv", choices(5))), monkeypatch)
    assert (found.value, found.n, found.errors, right(found)) == (0.6, 5, 1, [True, True, False, False, True])
    assert asked[0] == (
        "Question: Which colour is number 0?\nOptions:\nA. red\nB. green\nC. blue\nD. yellow\n"
        "Please select the correct answer from the options above. \n"
    )
    assert found.items[3] == {
        "id": "3",
        "sample": 0,
        "response": "it may be",
        "answer": False,
        "score": 0.0,
        "parsed": False,
        "kind": "two",
        "group": "colours",
        "target": "D",
        "finish": "eos",
        "truncated": False,
    }


@pytest.mark.vision
def test_mmmu_counts_its_validation_split(replies: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = [line | {"split": ("dev", "validation")[i > 0]} for i, line in enumerate(choices(4))]
    lines[1]["question"] = "Is <image 1> green?"
    asked = replies(lambda text: "B" if "green?" in text else "C")
    found = score(local("mmmu", write(tmp_path / "x.tsv", lines)), monkeypatch)
    assert found.value == pytest.approx(2 / 3) and right(found) == [False, True, True, False]
    assert asked[1].startswith("Question: Is  green?")


@pytest.mark.vision
def test_mmmu_pro_asks_for_the_letter_of_up_to_ten(
    replies: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = [line | {"E": "grey", "F": "pink", "answer": "F"} for line in choices(3)]
    given = iter(["F", "pink", "E"])
    asked = replies(lambda _: next(given))
    found = score(local("mmmu_pro", write(tmp_path / "x.tsv", lines)), monkeypatch)
    assert right(found) == [True, True, False] and found.value == pytest.approx(2 / 3)
    assert "F. pink" in asked[0] and asked[0].endswith(
        "Answer directly with the option letter from the given choices. "
    )


@pytest.mark.vision
def test_mathvision_is_judged_by_rules(replies: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    about = {"image": picture(), "question": "How many?", "category": "counting", "choices": "[]"}
    options = {"choices": "['red', 'green']", "answer": "B", "category": "colour"}
    lines = [{"index": i, **about, "answer": 7} for i in range(4)]
    lines += [{"index": 4, **about, **options}, {"index": 5, **about, **options}]
    given = iter(["7", "I count 3, then 4, so the answer is 7", "\\boxed{8} 7", "none", "It is B.", "red"])
    replies(lambda _: next(given))
    found = score(local("mathvision", write(tmp_path / "x.tsv", lines)), monkeypatch)
    assert right(found) == [True, True, False, False, True, False]
    assert (found.value, found.n, found.metric) == (50.0, 6, "Subject=Overall|acc"), "MathVision counts to 100"


@pytest.mark.vision
def test_logicvista_wants_letters_of_the_judge(replies: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    skills = ("inductive", "deductive", "numerical", "spatial", "mechanical")
    lines = [
        {"index": i, "image": picture(), "question": "Which one?", "answer": "B", "skill": skill}
        for i, skill in enumerate(skills)
    ]
    given = iter(["B", "The answer is (B).", "7", "It is C", "The second, B"])
    replies(lambda _: next(given))
    found = score(local("logicvista", write(tmp_path / "x.tsv", lines)), monkeypatch)
    assert (found.value, right(found)) == (60.0, [True, True, False, False, True])


@pytest.mark.vision
def test_dynamath_reads_json_and_asks_the_judge_else(
    replies: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    about = {"image": picture(), "question": "What is it?", "subject": "algebra", "knowledge_level": "high school"}
    kinds = [("float", "3.5"), ("float", "3.5"), ("multiple choice", "B"), ("multiple choice", "B"), ("text", "green")]
    lines = [
        {"index": i, "qid": i, "varid": 1, **about, "answer_type": kind, "answer": answer}
        for i, (kind, answer) in enumerate(kinds)
    ]
    said = [
        json.dumps({"solution": "so", "short answer": "3.500"}),
        "It comes to 3.5",
        json.dumps({"solution": "so", "short answer": "A"}),
        "The answer is B, not A",
        json.dumps({"solution": "so", "short answer": "green"}),
    ]
    given = iter(said)
    asked = replies(lambda _: next(given))
    found = score(local("dynamath", write(tmp_path / "x.tsv", lines)), monkeypatch)
    assert right(found) == [True, True, False, True, True] and found.value == pytest.approx(0.8)
    assert "'solution' and 'short answer'" in asked[0]


@pytest.mark.vision
def test_vsi_bench_asks_frames_of_videos(replies: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import cv2

    file = cv2.VideoWriter(str(tmp_path / "room.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 8, (64, 48))
    for shade in range(0, 240, 6):
        file.write(np.full((48, 64, 3), shade, np.uint8))
    file.release()
    about = {"video": "room.avi", "question": "What is there?"}
    lines = [
        {"index": 0, **about, "question_type": "object_counting", "candidates": "", "answer": "4"},
        {"index": 1, **about, "question_type": "object_counting", "candidates": "", "answer": "4"},
        {
            "index": 2,
            **about,
            "question_type": "route_planning",
            "candidates": "['A. left', 'B. right']",
            "answer": "B",
        },
    ]
    given = iter(["4", "6", "B"])
    asked = replies(lambda _: next(given))
    found = score(local("vsi_bench", write(tmp_path / "x.tsv", lines), videos=str(tmp_path)), monkeypatch)
    shares = [item["score"] for item in found.items]
    assert (shares[0], shares[2]) == (1.0, 1.0) and 0 < shares[1] < 1, "a number counts by how near it is"
    assert right(found) == [None] * 3 and found.value == pytest.approx(100 * ((1 + shares[1]) / 2 + 1) / 2)
    assert asked[2].startswith("These are frames of a video.\nWhat is there?\nA. left\nB. right")


# Data that are not as meant


@pytest.mark.vision
def test_a_metric_that_is_not_given_is_told(replies: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    replies(lambda _: "A")
    lines = [line | {"split": ("dev", "validation")[i % 2]} for i, line in enumerate(choices(4))]
    with pytest.raises(
        HarnessError, match=r"mmstar: VLMEvalKit gives no metric 'Overall' of it, or several; .*split=dev"
    ):
        score(local("mmstar", write(tmp_path / "x.tsv", lines)), monkeypatch)


@pytest.mark.vision
def test_a_scorer_that_gives_nothing_is_told(replies: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """LogicVista returns None, and says nothing, where no judge answers."""
    replies(lambda _: "A")
    line = {"index": 0, "image": picture(), "question": "Which?", "answer": "B", "skill": "inductive"}
    asked = local("logicvista", write(tmp_path / "x.tsv", [line]), judge=Judge.EXACT)
    with pytest.raises(HarnessError, match=r"gave no scores of LogicVista with judge 'exact_matching'.*another judge"):
        score(asked, monkeypatch)


@pytest.mark.vision
def test_what_vlmevalkit_does_not_know_or_cannot_read_is_told(tmp_path: Path) -> None:
    from harness.evaluation import vlm_data, vlm_eval

    data = write(tmp_path / "x.tsv", [{"index": 0, "question": "?", "answer": "A"}])
    with pytest.raises(HarnessError, match=r"mmstar: VLMEvalKit could not read .*MMStar.*: mend the table"):
        vlm_eval.ask(Any, Any, local("mmstar", data), batch_size=1)
    unknown = dataclasses.replace(local("mmstar", data), data="", dataset="MMStart")
    with (
        pytest.raises(HarnessError, match=r"could not read its data set MMStart .it knows no data set of that name"),
        vlm_data.loaded(unknown),
    ):
        pass


def test_a_table_that_is_not_there_is_told_before_compute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(benchmarks.importlib.util, "find_spec", lambda name: name)
    with pytest.raises(HarnessError, match=r"mmstar: its local data .*none.tsv is no file: give a table"):
        evaluator.check(local("mmstar", tmp_path / "none.tsv"))
    data = write(tmp_path / "x.tsv", choices(1))
    evaluator.check(local("mmstar", data))
    with pytest.raises(HarnessError, match=r"its videos .*are no folder beside local data"):
        evaluator.check(local("vsi_bench", data, videos=str(tmp_path / "none")))


def test_without_vlmevalkit_its_data_sets_are_refused_before_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmarks.importlib.util, "find_spec", lambda name: None)
    for benchmark in PICTURED:
        with pytest.raises(HarnessError, match=rf"{benchmark.name}: VLMEvalKit is not installed.*extra `vlm`"):
            evaluator.check(benchmark)


# What is changed and what is kept


SIDES = """
import json, logging, os, random, ssl, sys, warnings
import harness, torch, numpy, PIL.Image
sys.path.insert(0, "tests")

def state():
    loggers = [logging.getLogger(name) for name in ("", "vlmeval", "jieba")]
    return {
        "grad": torch.is_grad_enabled(),
        "torch": torch.get_rng_state().tolist(),
        "numpy": [str(x) for x in numpy.random.get_state()],
        "python": list(map(str, random.getstate())),
        "certificates": ssl._create_default_https_context.__name__,
        "pictures": PIL.Image.MAX_IMAGE_PIXELS,
        "environment": dict(os.environ),
        "path": list(sys.path),
        "logging": [[x.level, len(x.handlers), x.propagate] for x in loggers],
        "warnings": list(map(str, warnings.filters)),
        "home": sorted(os.listdir(os.environ["HOME"])),
    }

from transformers import Qwen3VLForConditionalGeneration
from harness.evaluation import benchmarks
from harness.evaluation.vlm_data import loaded
import dataclasses
benchmark = dataclasses.replace(benchmarks.BENCHMARKS["mmstar"], data=sys.argv[1])
before = state()
RUN
after = state()
print(json.dumps([name for name in before if before[name] != after[name]]))
"""


@pytest.mark.vision
@pytest.mark.parametrize("how", ["contained", "bare"])
def test_importing_and_calling_vlmevalkit_changes_nothing(how: str, tmp_path: Path) -> None:
    """The bare import shows that there is something to contain."""
    run = {"contained": "with loaded(benchmark): pass", "bare": "import vlmeval.dataset, vlmeval.inference"}[how]
    data = write(tmp_path / "x.tsv", choices(2))
    (tmp_path / "home").mkdir()
    environment = os.environ | {"HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SIDES.replace("RUN", run), str(data)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    changed = json.loads(done.stdout.splitlines()[-1])
    if how == "contained":
        assert changed == []
    else:
        assert {"grad", "torch", "python", "certificates", "pictures", "environment", "path", "home"} <= set(changed)


@pytest.mark.vision
def test_settings_of_the_user_do_not_reach_the_scorer(
    replies: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {"PRED_FORMAT": "json", "SPLIT_THINK": "1", "LMUData": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    replies(lambda _: "B </think> A")
    found = score(local("mmstar", write(tmp_path / "x.tsv", choices(2))), monkeypatch)
    assert found.errors == 2, "cut at </think>, the response would be A"
    assert os.environ["PRED_FORMAT"] == "json" and [path.name for path in tmp_path.iterdir()] == ["x.tsv"]


@pytest.mark.vision
def test_other_pictures_under_an_old_name_are_seen(
    replies: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """VLMEvalKit keeps pictures by data set and index, and result files by model and data set."""
    from harness.evaluation import vlm_eval

    seen: list[list[str]] = []

    def respond(model: Any, reader: Any, examples: Sequence[Example], **_: Any) -> dict[str, Any]:
        parts = [e.messages[0]["content"][0] for e in examples]
        seen.append([part.sha256 for part in parts])  # pyright: ignore
        return {e.id: [("ABCD"[len(seen) % 4], Finish.LENGTH)] for e in examples}

    monkeypatch.setattr(vlm_eval, "respond", respond)
    found = []
    for colour in ("red", "green"):
        lines = [line | {"image": picture(colour)} for line in choices(2)]
        found.append(score(local("mmstar", write(tmp_path / "x.tsv", lines)), monkeypatch))
    assert seen[0] != seen[1]
    assert [item["response"] for each in found for item in each.items] == ["B", "B", "C", "C"]
    assert [each.truncations for each in found] == [2, 2]


# The judge by rules


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ("so it is \\boxed{12}", "12"),
        ("A first, then the answer is C.", "C"),
        ("between 3 and 4.5", "4.5"),
        ("no idea", ""),
        ("Answer: (b)", "b"),
        ("-7", "-7"),
    ],
)
def test_what_is_said_to_be_the_answer_is_read(reply: str, read: str) -> None:
    assert RuleJudge().generate(f"How many, 5?\nModel respone: {reply}Extracted answer:") == read
    assert RuleJudge().generate(f"Free-form answer: {reply}\nInstruction: Output B in a line.") == read


def test_only_the_reply_of_a_prompt_is_read() -> None:
    shown = "Model respone: The answer is A\nExtracted answer: A\n"
    assert quoted(f"{shown}Question 3?\nModel respone: it is B.Extracted answer:") == "it is B."
    letters = "Answer: <start>\nSpider\n<end>\nYour output: Z\nAnswer: <start>\n{}\n<end>\nYour output: "
    assert RuleJudge().generate(letters.format("7")) == "Z"
    assert RuleJudge().generate(letters.format("the answer is (b)")) == "B"
