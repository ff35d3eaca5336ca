"""Own items with pictures: by our sampler, by VLMEvalKit on our sampler, and by VLMEvalKit and transformers alone."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from support import squares

from harness.config import ModelSpec
from harness.evaluation import benchmarks
from harness.evaluation.evaluate import evaluate, export, prepare
from harness.evaluation.evaluator import Score
from harness.models import load
from harness.models.stock import save_stock
from harness.suite import Evaluation
from harness.types import HarnessError, TextPart
from harness.worlds import WORLDS

NAMES = ("squares_cells", "squares_counts")


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WORLDS, "squares", "support.squares:Squares")
    benchmarks.examples.cache_clear()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has seen the world for a moment: some answers are right."""
    made = tmp_path_factory.mktemp("squares")
    squares.save_model(made, steps=40)
    return made


@pytest.fixture(scope="module")
def own(folder: Path) -> tuple[Any, Any]:
    spec = ModelSpec(name=str(folder))
    return load.load(spec), load.load_reader(spec)


def rows(own: tuple[Any, Any], *names: str, decoding: str = "greedy", **how: Any) -> list[Score]:
    asked = [Evaluation("last", name, decoding) for name in names]
    return evaluate(*own, asked, **{"seed": 0, "step": 0} | how)


@pytest.mark.slow
def test_scores_are_shares_of_the_worlds_grades(own: tuple[Any, Any]) -> None:
    for answer, trace in zip(*[iter(rows(own, *NAMES))] * 2, strict=True):
        assert (answer.metric, trace.metric, answer.n, answer.decoding) == ("exact_answer", "exact_trace", 24, "greedy")
        examples = {e.id: e for e in benchmarks.examples(benchmarks.benchmark(answer.benchmark))}  # pyright: ignore
        grades = [squares.Squares().grade(examples[i["id"]], i["response"]) for i in answer.items]
        assert [(g.answer, g.trace, g.parsed) for g in grades] == [
            (i["answer"], i["trace"], i["parsed"]) for i in answer.items
        ]
        assert answer.value == sum(g.answer for g in grades) / 24 and 0 < answer.value < 1
        assert trace.value == sum(g.trace for g in grades) / 24


@pytest.mark.slow
def test_batches_change_nothing_and_draws_depend_on_seed_and_step(own: tuple[Any, Any]) -> None:
    def said(**how: Any) -> list[str]:
        first = rows(own, NAMES[0], **how)[0]
        return [item["response"] for item in first.items]

    assert said() == said(batch_size=5) == said(seed=1)
    drawn = said(decoding="sample4")
    assert len(drawn) == 96 and drawn == said(decoding="sample4")
    assert drawn != said(decoding="sample4", seed=1) and drawn != said(decoding="sample4", step=1)


def test_the_pictures_are_looked_at(own: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    before = rows(own, NAMES[1])[0]
    real = squares.Squares.examples

    def blank(self: Any, *asked: Any) -> list[Any]:
        import dataclasses

        white = squares.picture("blank", ["yellow"] * 4)
        return [
            dataclasses.replace(e, messages=({"role": "user", "content": (white, e.messages[0]["content"][1])},))
            for e in real(self, *asked)
        ]

    monkeypatch.setattr(squares.Squares, "examples", blank)
    benchmarks.examples.cache_clear()
    after = rows(own, NAMES[1])[0]
    assert [i["response"] for i in before.items] != [i["response"] for i in after.items]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (TextPart("colour of 1 hint"), "benchmark squares_cells: 'hint' is <|pad|> to the tokenizer"),
        (TextPart(" ".join(["of"] * 80)), "exceeds the model's 64 positions"),
    ],
)
def test_an_item_that_the_model_cannot_read_is_told(
    own: tuple[Any, Any], change: TextPart, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    item = squares.example("cells", "test", 0)
    turn = ({"role": "user", "content": (item.messages[0]["content"][0], change)},)  # pyright: ignore
    monkeypatch.setattr(squares.Squares, "examples", lambda *_: [dataclasses.replace(item, messages=turn)])
    benchmarks.examples.cache_clear()
    with pytest.raises(HarnessError, match=message.replace("|", r"\|")):
        rows(own, NAMES[0])


def test_p_in_a_question_is_refused_before_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    item = squares.example("cells", "test", 0)
    told = dataclasses.replace(item, privileged={"colours": "colour of"})
    monkeypatch.setattr(squares.Squares, "examples", lambda *_: [told])
    benchmarks.examples.cache_clear()
    with pytest.raises(HarnessError, match="holds its privileged input 'colours'"):
        prepare([Evaluation("last", NAMES[0], "greedy")])


# VLMEvalKit


@pytest.mark.vision
@pytest.mark.parametrize("name", NAMES)
def test_vlmevalkit_on_our_sampler_agrees_item_by_item(own: tuple[Any, Any], name: str) -> None:
    (ours, _), (theirs,) = rows(own, name), rows(own, f"{name}_open", decoding="native")
    for key in ("id", "response", "answer", "parsed", "finish", "truncated"):
        assert [i[key] for i in ours.items] == [i[key] for i in theirs.items], key
    assert theirs.value == pytest.approx(ours.value) and 0 < theirs.value < 1
    assert (theirs.n, theirs.errors, theirs.truncations) == (ours.n, ours.errors, ours.truncations)
    kinds = [squares.Squares().kind(e) for e in benchmarks.examples(benchmarks.benchmark(name))]  # pyright: ignore
    assert [i["kind"] for i in theirs.items] == kinds


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Module of an exported folder that was moved, as VLMEvalKit's users have it."""
    from harness.evaluation.contained import contained
    from harness.evaluation.vlm_data import modules

    export(tmp_path / "first", NAMES)
    moved = (tmp_path / "first" / "vlmevalkit").rename(tmp_path / "moved")
    with contained():
        modules()
        monkeypatch.syspath_prepend(str(moved))
        os.environ["PRED_FORMAT"] = "tsv"
        spec = importlib.util.spec_from_file_location("moved_sets", moved / "picture_sets.py")
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        torch.set_grad_enabled(True)
        yield module


@pytest.mark.vision
def test_vlmevalkit_and_transformers_alone_agree_item_by_item(
    own: tuple[Any, Any], exported: Any, tmp_path: Path
) -> None:
    """The exported model, by AutoProcessor and generate, in VLMEvalKit's own job on the exported table."""
    from vlmeval.inference import infer_data_job  # pyright: ignore[reportMissingImports]

    save_stock(*own, tmp_path / "model")
    stock = exported.Stock(str(tmp_path / "model"))
    for name in NAMES:
        ours, _ = rows(own, name)
        table, work = f"{name}_open_v1", tmp_path / name
        work.mkdir()
        stock.limit = 6
        asked = exported.data_set(table, Path(exported.__file__).parent)
        infer_data_job(model=stock, work_dir=str(work), model_name="m", dataset=asked, api_nproc=1)
        shares = asked.evaluate(str(work / f"m_{table}.tsv"), model="exact_matching", nproc=1)
        lines = exported.written(work / f"m_{table}_exact_matching_result.tsv")
        assert [line["id"] for line in lines] == [item["id"] for item in ours.items]
        assert [line["prediction"] for line in lines] == [item["response"] for item in ours.items]
        assert [line["hit"] == "1" for line in lines] == [item["answer"] for item in ours.items]
        assert [line["parsed"] == "True" for line in lines] == [item["parsed"] for item in ours.items]
        assert float(shares["Overall"].iloc[0]) == pytest.approx(ours.value)
        assert {"cells": {"colour", "pair"}, "counts": {"count"}}[name.partition("_")[2]] <= set(shares.columns)


@pytest.mark.vision
def test_an_exported_choice_is_asked_and_scored_by_vlmevalkit_alone(exported: Any, tmp_path: Path) -> None:
    from vlmeval.inference import infer_data_job  # pyright: ignore[reportMissingImports]
    from vlmeval.vlm.base import BaseModel  # pyright: ignore[reportMissingImports]

    lines = exported.written(Path(exported.__file__).with_name("squares_cells_choice_v1.tsv"))
    given = iter([line["answer"] if i % 3 else "none of them" for i, line in enumerate(lines)])

    class Scripted(BaseModel):
        INTERLEAVE = True

        def generate_inner(self, message: Any, dataset: Any = None) -> str:
            assert "Please select the correct answer from the options above." in message[-1]["value"]
            return next(given)

    asked = exported.data_set("squares_cells_choice_v1", Path(exported.__file__).parent)
    infer_data_job(model=Scripted(), work_dir=str(tmp_path), model_name="m", dataset=asked, api_nproc=1)
    shares = asked.evaluate(str(tmp_path / "m_squares_cells_choice_v1.tsv"), model="exact_matching", nproc=1)
    assert float(shares["Overall"].iloc[0]) == pytest.approx(16 / 24)


@pytest.mark.vision
def test_an_exported_model_loads_by_stock_classes_with_equal_logits(own: tuple[Any, Any], tmp_path: Path) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from harness.models.forward import response_hidden
    from harness.worlds.pictures import opened

    model, reader = own
    save_stock(model, reader, tmp_path / "model")
    processor = AutoProcessor.from_pretrained(tmp_path / "model")
    loaded = AutoModelForImageTextToText.from_pretrained(tmp_path / "model").eval()
    assert type(processor).__name__ == "Qwen3VLProcessor" and type(loaded) is type(model)
    record = json.loads((tmp_path / "model" / "processor_config.json").read_text())
    assert record["video_processor"]["video_processor_type"] == type(processor.video_processor).__name__
    assert processor.video_processor.patch_size == record["video_processor"]["patch_size"] == squares.PATCH
    for i in range(3):
        image, text = squares.example("cells", "test", i).messages[0]["content"]
        content = [{"type": "image", "image": opened(image)}, {"type": "text", "text": text.text}]  # pyright: ignore
        inputs = processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        prompts = reader.prompts([squares.example("cells", "test", i).messages])
        assert inputs["input_ids"].tolist() == prompts.ids_QL.tolist()
        with torch.no_grad():
            theirs = loaded(**inputs).logits[:, -1]
            # hidden states of the token before the response, through the head
            ours = model.lm_head(response_hidden(model, prompts, torch.tensor([[1]])))[:, 0]
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
