"""A model's folder as transformers loads it without this package: stock classes, named by the model's family."""

# pyright: reportPrivateImportUsage=false

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES
from transformers.models.auto.video_processing_auto import VIDEO_PROCESSOR_MAPPING_NAMES

from harness.models.image_reader import ImageReader
from harness.models.reader import Reader
from harness.storage.files import write_text_atomic
from harness.types import HarnessError

CONFIG = "processor_config.json"
SHARED = ("patch_size", "temporal_patch_size", "merge_size", "image_mean", "image_std", "size")
"""Settings that films share with pictures: what the model's tower and its training say of both."""


def save_stock(model: PreTrainedModel, reader: Reader, folder: Path) -> None:
    """Weights, tokenizer and, of a model that sees, a whole processor: ``AutoProcessor`` and ``AutoModel...`` load it.

    The stock processor also wants a part for films, which nothing here reads: it gets the settings for pictures. It is
    written without torchvision and loaded with it.

    Raises:
        HarnessError: transformers has no processor for the model's family.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    reader.save(folder)
    if isinstance(reader, ImageReader):
        write_text_atomic(folder / CONFIG, json.dumps(_processor(model, reader, folder / CONFIG), indent=2) + "\n")


def _processor(model: PreTrainedModel, reader: ImageReader, found: Path) -> dict[str, Any]:
    """What the reader's own record says, completed."""
    family = model.config.model_type
    if family not in PROCESSOR_MAPPING_NAMES:
        raise HarnessError(
            f"models of the family {family!r} have no processor in transformers, so none can be written: save the "
            "model with the processor that it was loaded with"
        )
    pictures: dict[str, Any] = json.loads(reader.image_processor.to_json_string())
    whole: dict[str, Any] = {"processor_class": PROCESSOR_MAPPING_NAMES[family], "image_processor": pictures}
    films = VIDEO_PROCESSOR_MAPPING_NAMES.get(family)
    if films:
        shared = {name: pictures[name] for name in SHARED if name in pictures}
        whole["video_processor"] = shared | {"video_processor_type": films["torchvision"]}
    own: dict[str, Any] = json.loads(found.read_text(encoding="utf-8")) if found.is_file() else {}
    return whole | own
