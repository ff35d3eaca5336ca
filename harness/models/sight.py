"""Checks of models that see, before any compute: a pair sees the same, and a model what its own code would show it."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from transformers import PreTrainedModel

from harness.models.forward import CHECKED, apart, response_hidden, vocabulary_size
from harness.models.image_reader import ImageReader
from harness.models.media import PictureMedia
from harness.models.reader import Reader
from harness.types import HarnessError, ImagePart, Message, TextPart
from harness.worlds import pictures


def check_pair(student: Reader, teacher: Reader) -> None:
    """A teacher sees in a prompt what the student sees: prompts are made once, by the student's reader.

    Raises:
        HarnessError: one reads pictures and the other does not; the token of a picture, patch or merge size differ, or
            the numbers that a picture becomes.
    """
    if not isinstance(student, ImageReader) and not isinstance(teacher, ImageReader):
        return
    if not isinstance(student, ImageReader) or not isinstance(teacher, ImageReader):
        blind = "teacher" if isinstance(student, ImageReader) else "student"
        raise HarnessError(f"the {blind} reads text only and the other reads pictures: give a pair of one kind")
    pairs = {
        "the token of a picture": (student.eye.image_token_id, teacher.eye.image_token_id),
        "patch_size and temporal_patch_size": (student.eye.patch, teacher.eye.patch),
        "merge_size": (student.eye.merge, teacher.eye.merge),
    }
    for what, (ours, theirs) in pairs.items():
        if ours != theirs:
            raise HarnessError(
                f"student and teacher see pictures in other ways: {what} is {ours} to the student and {theirs} to the "
                "teacher; choose a pair of one family"
            )
    ours, theirs = (reader.picture(probe_picture()) for reader in (student, teacher))
    if ours.grid != theirs.grid or not torch.equal(ours.patches_nC, theirs.patches_nC):
        raise HarnessError(
            "the image processors of student and teacher make other numbers of a picture (size, mean or deviation): "
            "give both the same preprocessor_config.json"
        )


def probe_picture() -> ImagePart:
    """Noise of a shape that no processor leaves as it is."""
    noise = np.random.default_rng(0).integers(0, 256, (45, 70, 3), dtype=np.uint8)
    return pictures.part_of(Image.fromarray(noise), "probe.png")


@torch.no_grad()
def check_seen(model: PreTrainedModel, reader: Reader) -> None:
    """A model that sees must say of a prompt with a picture what it says when it is handed pixels and finds the places
    itself; what is trained and sampled hands it features and places.

    Raises:
        HarnessError: its first layers cannot take all features of its tower; some log-probability is off by more than
            rounding.
    """
    if not isinstance(reader, ImageReader):
        return
    name = model.name_or_path or type(model).__name__
    deeper = getattr(model.config.vision_config, "deepstack_visual_indexes", ())
    layers = model.config.get_text_config().num_hidden_layers
    if len(deeper) > layers:
        raise HarnessError(
            f"model {name}: its tower makes features for {len(deeper)} layers (deepstack_visual_indexes) and it has "
            f"{layers}, the rest would be dropped: give a model with at least as many layers"
        )
    turn: Message = {"role": "user", "content": (probe_picture(), TextPart("x"))}
    prompts = reader.prompts([[turn]]).to(model.device)
    assert isinstance(prompts.media, PictureMedia)
    ((picture,),) = prompts.media.pictures
    response_1T = torch.arange(CHECKED, device=model.device)[None] % vocabulary_size(model)
    response_1T = response_1T.masked_fill(response_1T == reader.eye.image_token_id, CHECKED)
    whole_1L = torch.cat([prompts.ids_QL, response_1T], dim=1)
    stock = model(
        input_ids=whole_1L,
        mm_token_type_ids=(whole_1L == reader.eye.image_token_id).int(),
        pixel_values=picture.patches_nC.to(model.device),
        image_grid_thw=torch.tensor([picture.grid], device=model.device),
    ).logits[:, -CHECKED - 1 : -1]
    if (off := apart(model, response_hidden(model, prompts, response_1T), stock)) is not None:
        raise HarnessError(
            f"model {name}: log-probabilities after a picture are off by {off:.2g} nats from its own forward pass: "
            f"{type(model).__name__} places or reads pictures in a way that is not known here, choose another model"
        )
