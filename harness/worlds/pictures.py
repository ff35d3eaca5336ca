"""Pictures as parts of a message: read, checked, cut out, degraded. PIL, imported on use; no torch.

A picture is what its encoded bytes are: every function is a function of them, and what is made is encoded as PNG, so
equal calls give equal bytes with one version of Pillow. Pixels are counted from the upper left corner.
"""

from __future__ import annotations

import hashlib
import io
import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from harness.types import HarnessError, ImagePart

if TYPE_CHECKING:
    from PIL.Image import Image

LARGEST = 2**26
"""Pixels of a picture, asked before it is decoded: 8192 by 8192."""
CONVERTIBLE = ("RGB", "1", "L", "LA", "P", "PA", "RGBA", "RGBX", "CMYK", "YCbCr")
"""Modes that become RGB by PIL's own ``convert``, as the image processors of transformers do it: transparency is
dropped, not laid on a colour. Modes of more than eight bits a channel would be cut, and are refused."""

Box = tuple[int, int, int, int]
"""Left, upper, right, lower edge in pixels; right and lower are outside."""


def encoded(part: ImagePart) -> bytes:
    """The part's own bytes, or its file's.

    Raises:
        HarnessError: there is no such file, or nothing in it; the content is not that of ``sha256``.
    """
    data = part.data
    if not data:
        try:
            data = Path(part.path).read_bytes()
        except OSError as error:
            raise HarnessError(
                f"picture {part.path}: {error.strerror or error}; give a file that is there, or its bytes in "
                "ImagePart.data"
            ) from error
    if not data:
        raise HarnessError(f"picture {part.path} is of zero size: its file is empty, give a picture")
    found = hashlib.sha256(data).hexdigest()
    if found != part.sha256:
        raise HarnessError(
            f"picture {part.path} is not the one that is meant: sha256 {part.sha256[:10]} is expected, its content has "
            f"{found[:10]}; restore it, or plan anew with the sha256 of this one"
        )
    return data


def opened(part: ImagePart) -> Image:
    """The picture in RGB, see ``CONVERTIBLE``.

    Raises:
        HarnessError: it is missing or another one (``encoded``), no picture, damaged, animated, of no pixels, of too
            many, or of a mode that does not become RGB without loss of range.
    """
    from PIL import Image, UnidentifiedImageError

    data = encoded(part)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # `_check` has a bound of its own
            with Image.open(io.BytesIO(data)) as image:
                _check(image, part)
                return image.convert("RGB")
    except UnidentifiedImageError as error:
        raise HarnessError(
            f"picture {part.path} is not a picture ({len(data)} bytes of no known format): give PNG or JPEG"
        ) from error
    except Image.DecompressionBombError as error:
        raise HarnessError(f"picture {part.path} is too large ({error}); give at most {LARGEST} pixels") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise HarnessError(
            f"picture {part.path} cannot be decoded ({error}): it is damaged, give a whole PNG or JPEG"
        ) from error


def _check(image: Image, part: ImagePart) -> None:
    width, height = image.size
    here = f"picture {part.path}"
    if not width or not height:
        raise HarnessError(f"{here} is of zero size, {width} x {height} pixels: give a picture of some")
    if width * height > LARGEST:
        raise HarnessError(
            f"{here} is too large: {width} x {height} pixels, at most {LARGEST} are allowed; scale it down"
        )
    if (frames := getattr(image, "n_frames", 1)) > 1:
        raise HarnessError(f"{here} is animated, {frames} frames: give one of them as a picture of its own")
    if image.mode not in CONVERTIBLE:
        raise HarnessError(
            f"{here} is of mode {image.mode}, which does not become RGB without loss of range; allowed are "
            f"{', '.join(CONVERTIBLE)}: convert it first"
        )


def part_of(image: Image, name: str) -> ImagePart:
    """A picture as a part that holds its PNG; ``name`` stands in messages."""
    file = io.BytesIO()
    image.save(file, format="PNG")
    data = file.getvalue()
    return ImagePart(name, hashlib.sha256(data).hexdigest(), data)


def cropped(part: ImagePart, box: Box) -> ImagePart:
    """What lies in the box.

    Raises:
        HarnessError: the box is inverted, empty, or not within the picture; see ``opened``.
    """
    image = opened(part)
    left, upper, right, lower = box
    here = f"picture {part.path} of {image.width} x {image.height} pixels: the box {box}"
    if left >= right or upper >= lower:
        raise HarnessError(f"{here} is inverted or empty: give left < right and upper < lower")
    if left < 0 or upper < 0 or right > image.width or lower > image.height:
        raise HarnessError(f"{here} reaches outside: give one within (0, 0, {image.width}, {image.height})")
    return part_of(image.crop(box), f"{part.path}#crop={left},{upper},{right},{lower}")


def degraded(part: ImagePart, ratio: float) -> ImagePart:
    """Little is left: scaled down to ``ratio`` of each side (bilinear, at least one pixel), and back to its own size
    (nearest neighbour), as VA-OPD does, arXiv:2605.21924, at 0.10.

    Raises:
        HarnessError: a ratio outside (0, 1]; see ``opened``.
    """
    from PIL.Image import Resampling

    if not 0 < ratio <= 1:
        raise HarnessError(f"ratio {ratio}: give the share of each side that is left, in (0, 1]")
    image = opened(part)
    small = (max(1, math.floor(image.width * ratio + 0.5)), max(1, math.floor(image.height * ratio + 0.5)))
    back = image.resize(small, Resampling.BILINEAR).resize(image.size, Resampling.NEAREST)
    return part_of(back, f"{part.path}#degraded={ratio:g}")
