"""Pictures: what is refused before compute, what becomes of modes, crops and degraded copies; p with pictures."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import picture_world
from support.picture_world import PROFILE, PictureWorld

from harness import worlds
from harness.types import HarnessError, ImagePart, Instead, Privilege, TextPart, images_of
from harness.worlds import pictures, privilege
from harness.worlds.privilege import told
from harness.worlds.world import check_pictured, training_set

NOISE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
PICTURE = pictures.part_of(Image.fromarray(NOISE), "a.png")
DATA = PROFILE.data


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(worlds.WORLDS, "pictures", "support.picture_world:PictureWorld")


def part(data: bytes, name: str = "a.png") -> ImagePart:
    return ImagePart(name, hashlib.sha256(data).hexdigest(), data)


def encoded(image: Image.Image, form: str = "PNG", **how: object) -> ImagePart:
    file = io.BytesIO()
    image.save(file, format=form, **how)
    return part(file.getvalue(), f"a.{form.lower()}")


def pixels(shown: ImagePart) -> np.ndarray:
    return np.asarray(pictures.opened(shown))


def test_a_picture_is_read_from_its_bytes_or_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PICTURE.data)
    stored = ImagePart(str(tmp_path / "a.png"), PICTURE.sha256)
    assert np.array_equal(pixels(stored), NOISE) and np.array_equal(pixels(PICTURE), NOISE)
    assert pictures.opened(encoded(Image.fromarray(NOISE), "JPEG")).size == (30, 20)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_modes_become_rgb_as_transformers_converts_them(mode: str) -> None:
    from transformers.image_transforms import convert_to_rgb

    image = Image.fromarray(NOISE).convert(mode)
    assert np.array_equal(pixels(encoded(image)), np.asarray(convert_to_rgb(image)))


def damaged() -> ImagePart:
    return part(PICTURE.data[: len(PICTURE.data) // 2])


def animated() -> ImagePart:
    frames = [Image.fromarray(NOISE // i) for i in (1, 2)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


def too_large() -> ImagePart:
    return encoded(Image.new("1", (8192, 8193)))


def bomb() -> ImagePart:
    return encoded(Image.new("1", (20000, 20000)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (too_large, r"a\.png is too large: 8192 x 8193 pixels, at most 67108864 are allowed; scale it down"),
        (bomb, r"a\.png is too large .*; give at most 67108864 pixels"),
        (lambda: part(b""), r"a\.png: No such file"),
        (
            lambda: encoded(Image.fromarray(NOISE[..., 0].astype("uint16"))),
            r"is of mode I.*, which does not become RGB without",
        ),
        (lambda: encoded(Image.fromarray(NOISE).convert("F"), "TIFF"), "is of mode F, .*allowed are RGB, 1, L"),
        (animated, r"a\.gif is animated, 2 frames: give one of them"),
        (lambda: ImagePart("no/such.png", "0" * 64), r"no/such\.png: No such file or directory; give a file that is"),
        (lambda: part(b"hello"), r"a\.png is not a picture \(5 bytes of no known format\): give PNG or JPEG"),
        (damaged, r"a\.png cannot be decoded .*: it is damaged, give a whole PNG or JPEG"),
        (lambda: ImagePart("a.png", "0" * 64, PICTURE.data), "is not the one that is meant: sha256 0000000000 is"),
        (lambda: part(b"P6 0 0 255\n", "a.ppm"), r"a\.ppm (is of zero size|is not a picture|cannot be decoded)"),
    ],
)
def test_bad_pictures_are_refused_in_one_line(given: Callable[[], ImagePart], message: str) -> None:
    with pytest.raises(HarnessError, match=message) as error:
        pictures.opened(given())
    assert "\n" not in str(error.value)


def test_an_empty_file_is_of_zero_size(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    with pytest.raises(HarnessError, match=r"empty\.png is of zero size: its file is empty"):
        pictures.opened(ImagePart(str(tmp_path / "empty.png"), "0" * 64))


def test_a_crop_is_what_lies_in_the_box() -> None:
    crop = pictures.cropped(PICTURE, (3, 4, 10, 20))
    assert np.array_equal(pixels(crop), NOISE[4:20, 3:10])
    assert crop.path == "a.png#crop=3,4,10,20" and crop == pictures.cropped(PICTURE, (3, 4, 10, 20))


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((10, 4, 3, 20), r"30 x 20 pixels: the box \(10, 4, 3, 20\) is inverted or empty: give left < right"),
        ((3, 4, 3, 20), "is inverted or empty"),
        ((3, 20, 10, 4), "is inverted or empty"),
        ((3, 4, 31, 20), r"reaches outside: give one within \(0, 0, 30, 20\)"),
        ((-1, 4, 3, 20), "reaches outside"),
        ((3, 4, 10, 21), "reaches outside"),
    ],
)
def test_bad_boxes_are_refused(box: pictures.Box, message: str) -> None:
    with pytest.raises(HarnessError, match=message):
        pictures.cropped(PICTURE, box)


def test_a_degraded_picture_has_its_size_and_little_else() -> None:
    """A tenth of 30 x 20 is 3 x 2 blocks of 10 x 10 pixels, one colour each."""
    found = pixels(pictures.degraded(PICTURE, 0.1))
    blocks = found.reshape(2, 10, 3, 10, 3)
    assert (blocks == blocks[:, :1, :, :1]).all() and len(np.unique(blocks[:, 0, :, 0].reshape(-1, 3), axis=0)) == 6
    assert np.array_equal(pixels(pictures.degraded(PICTURE, 1.0)), NOISE)
    assert pictures.degraded(PICTURE, 0.01).data, "never less than a pixel"


@pytest.mark.parametrize("ratio", [0.0, -0.1, 1.5])
def test_a_ratio_is_a_share(ratio: float) -> None:
    with pytest.raises(HarnessError, match=f"ratio {ratio}: give the share of each side"):
        pictures.degraded(PICTURE, ratio)


# Privileged input with pictures.


def test_text_alone_is_a_system_turn() -> None:
    problem = picture_world.example("one", "train", 1)
    hinted = dataclasses.replace(problem, privileged={"a": "go left", "b": (TextPart("go "), TextPart("left"))})
    turn = {"role": "system", "content": "go left", "privileged": True}
    assert privilege.messages(hinted, "a") == (turn, *problem.messages)
    assert privilege.messages(hinted, "b") == privilege.messages(hinted, "a")


def test_parts_with_a_picture_begin_the_first_user_turn() -> None:
    problem = picture_world.example("many", "train", 0)
    (system, user) = problem.messages
    shown = privilege.messages(problem, "close")
    assert shown[0] == system and shown[1]["role"] == "user"
    p = problem.privileged["close"]
    assert isinstance(p, tuple) and shown[1]["content"] == (*p, *user["content"])
    bare = dataclasses.replace(problem, messages=(system,))
    with pytest.raises(HarnessError, match="has no user turn, which privileged input with images begins"):
        privilege.messages(bare, "close")


def test_other_pictures_stand_in_the_place_of_its_own() -> None:
    problem = picture_world.example("many", "train", 1)
    own, other = images_of(problem.messages), images_of(privilege.messages(problem, "instead"))
    assert len(own) == len(other) > 1 and not {p.sha256 for p in own} & {p.sha256 for p in other}
    short = dataclasses.replace(problem, privileged={"instead": Instead((PICTURE,))})
    with pytest.raises(HarnessError, match=rf"example {problem.id}: 1 images for the place of {len(own)}; give one"):
        privilege.messages(short, "instead")


def test_what_p_says_in_words() -> None:
    assert [told("a b"), told((TextPart("a "), PICTURE, TextPart("b"))), told(Instead((PICTURE,)))] == [
        "a b",
        "a b",
        "",
    ]


def test_a_problem_without_its_picture_is_refused_when_it_is_read() -> None:
    class Blind(PictureWorld):
        def examples(self, data, split, n, start=0):
            made = super().examples(data, split, n, start)
            return [e if i + start < 3 else without(e) for i, e in enumerate(made)]

    def without(example):
        return dataclasses.replace(example, messages=({"role": "user", "content": "the colour is"},))

    problems = training_set(Blind(), DATA)
    assert images_of(problems[2].messages)
    with pytest.raises(HarnessError, match=r"example many/train/1 of Blind has no picture, and this is a world of"):
        problems[3]
    check_pictured(PictureWorld(), problems[0])
    assert privilege.messages(problems[0], Privilege.NONE) == problems[0].messages
