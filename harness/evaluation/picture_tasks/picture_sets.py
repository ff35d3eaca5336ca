"""Data sets of VLMEvalKit made of the tables beside this file; needs VLMEvalKit and transformers, nothing else.

``python picture_sets.py MODEL_FOLDER [NAME ...]`` asks a model, one item at a time, and prints what it scores.
"""

# pyright: reportMissingImports=false, reportUntypedBaseClass=false

from __future__ import annotations

import csv
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from picture_rules import is_right, said
from PIL import Image
from vlmeval.dataset.image_base import ImageBaseDataset
from vlmeval.dataset.image_mcq import ImageMCQDataset
from vlmeval.dataset.utils.multiple_choice import report_acc
from vlmeval.inference import infer_data_job
from vlmeval.smp import dump, get_intermediate_file_path, load
from vlmeval.vlm.base import BaseModel

DATA = "LMUData"
"""The variable that names VLMEvalKit's folder of tables and pictures."""


def written(table: str | Path) -> list[dict[str, str]]:
    """The lines of a table as they are written: pandas makes numbers of ``07`` and nothing of ``NA``."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        with Path(table).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file, delimiter="\t"))
    finally:
        csv.field_size_limit(limit)


class Written:
    """Reads its texts as they are written; shows pictures where the question has their marks, else first."""

    def load_data(self, dataset: str) -> Any:
        """Of VLMEvalKit's folder."""
        path = Path(os.environ[DATA]) / f"{dataset}.tsv"
        data = load(str(path))
        for name in data.columns.drop("index"):
            data[name] = [line[name] for line in written(path)]
        return data

    def build_prompt(self, line: Any) -> list[dict[str, str]]:
        """As its engine asks."""
        pictures, (text,) = [], [[]]
        for part in super().build_prompt(line):  # pyright: ignore[reportAttributeAccessIssue]
            (pictures if part["type"] == "image" else text).append(part)
        pieces = re.split(r"<image (\d+)>", text[0]["value"])
        if len(pieces) == 1:
            return [*pictures, *text]
        out = [
            pictures[int(piece) - 1] if place % 2 else {"type": "text", "value": piece}
            for place, piece in enumerate(pieces)
        ]
        return [part for part in out if part["value"]]


class Choices(Written, ImageMCQDataset):
    """Multiple choice: VLMEvalKit's prompt and its rules (``model="exact_matching"``)."""


class OpenQuestions(Written, ImageBaseDataset):
    """The question as it is; the response is right if it ends in ``! <answer>``."""

    TYPE = "VQA"

    def grade(self, line: dict[str, str], response: str) -> tuple[bool, bool]:
        """Whether the response is right, and whether it holds an answer."""
        return is_right(line["answer"], response), said(response) is not None

    def evaluate(self, eval_file: str, **_: Any) -> Any:
        """Shares of right responses, whole and by kind and group; each item's beside the predictions."""
        data = load(eval_file)
        if eval_file.endswith(".tsv"):
            responses = [line["prediction"] for line in written(eval_file)]
        else:
            responses = ["" if said != said else str(said) for said in data["prediction"]]  # no response is no number
        lines = {str(line["index"]): dict(line) for _, line in self.data.iterrows()}
        grades = [self.grade(lines[str(i)], r) for i, r in zip(data["index"], responses, strict=True)]
        data["hit"] = [int(right) for right, _ in grades]
        data["parsed"] = [parsed for _, parsed in grades]
        dump(data, get_intermediate_file_path(eval_file, "_exact_matching_result"))
        for name in ("split", "category", "l2-category"):
            data[name] = [lines[str(i)][name] for i in data["index"]]
        shares = report_acc(data)
        dump(shares, get_intermediate_file_path(eval_file, "_acc", "csv"))
        return shares


def data_set(name: str, folder: str | Path) -> Any:
    """The table of that name in a folder, which then holds its pictures too."""
    os.environ[DATA] = str(folder)
    made: Any = Choices if "_choice_" in name else OpenQuestions
    return made(dataset=name)


class Stock(BaseModel):
    """A model and processor as transformers loads them."""

    INTERLEAVE = True

    def __init__(self, folder: str) -> None:
        from transformers import AutoModelForImageTextToText, AutoProcessor

        super().__init__()
        self.processor = AutoProcessor.from_pretrained(folder)
        self.model: Any = AutoModelForImageTextToText.from_pretrained(folder).eval()
        self.limit = 0
        """Tokens of a response."""

    def generate_inner(self, message: list[dict[str, str]], dataset: str | None = None) -> str:
        """Greedy."""
        content = [
            {"type": "image", "image": Image.open(part["value"]).convert("RGB")}
            if part["type"] == "image"
            else {"type": "text", "text": part["value"]}
            for part in message
        ]
        inputs = self.processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        found = self.model.generate(**inputs, max_new_tokens=self.limit, do_sample=False)
        return self.processor.decode(found[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def main(model: str, *names: str) -> None:
    """Ask a model every table, or those named, each in a new work folder: VLMEvalKit takes up what it finds in one."""
    os.environ["PRED_FORMAT"] = "tsv"
    here, stock = Path(__file__).resolve().parent, Stock(model)
    for name in names or sorted(path.stem for path in here.glob("*.tsv")):
        asked, work = data_set(name, here), tempfile.mkdtemp()
        stock.limit = int(written(here / f"{name}.tsv")[0]["max_new_tokens"])
        infer_data_job(model=stock, work_dir=work, model_name="model", dataset=asked, api_nproc=1)
        print(name, asked.evaluate(f"{work}/model_{name}.tsv", model="exact_matching", nproc=1), sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
