"""Pictures of problems as the page holds them: each once, small, with what p points at. No torch."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

from harness.types import Example, HarnessError, ImagePart, Pictures, Privilege, images_of
from harness.worlds import pictures, privilege
from harness.worlds.regions import Pointing, Region
from harness.worlds.world import World

LONGEST = 512
"""Pixels of the longer side; a larger picture is made smaller."""
LARGEST, QUALITY = 64_000, 85
"""Bytes of a PNG; what would be more is a JPEG of this quality."""
COARSE = 200
"""Pixels: what is smaller on both sides is drawn with its pixels to be seen."""
LETTER = 12
"""Letters that a picture is high."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture on the page."""

    anchor: str
    address: str
    """A data address."""
    width: int
    """Of the problem's picture, pixels; what the page holds may be smaller."""
    height: int

    @property
    def coarse(self) -> bool:
        """Whether its pixels are to be seen."""
        return max(self.width, self.height) < COARSE


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A region as it is drawn; pixels of the picture."""

    left: int
    top: int
    width: int
    height: int
    boxed: bool
    label: str
    words: str
    x: float
    """Of the label's baseline."""
    y: float
    anchor: str
    """SVG's text-anchor."""
    letter: float
    """Height of its letters."""

    @property
    def said(self) -> str:
        """``1 cyan at 27, 40 to 38, 51``."""
        named = " ".join(filter(None, (self.label, self.words)))
        return f"{named} at {self.left}, {self.top} to {self.left + self.width}, {self.top + self.height}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A picture with what p points at."""

    picture: Picture
    marks: tuple[Mark, ...]

    @property
    def said(self) -> str:
        """In words, for those who do not see it."""
        size = f"picture of {self.picture.width} by {self.picture.height} pixels"
        return "; ".join((size, *(mark.said for mark in self.marks)))


class Album:
    """The pictures of one page, in the order in which they were first asked for."""

    def __init__(self) -> None:
        self._held: dict[str, Picture] = {}

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Each once."""
        return tuple(self._held.values())

    def shown(self, world: World, example: Example, what: str | Pictures) -> tuple[Drawn, ...]:
        """The pictures of x with a kind of p, and where that points; or other pictures in the place of x's own.

        Raises:
            HarnessError: the example has no such p, the world no such pictures; a picture cannot be read.
        """
        parts = images_of(privilege.shown(example, what, world, what if isinstance(what, str) else ""))
        regions = world.regions(example, what) if isinstance(what, str) and isinstance(world, Pointing) else ()
        return tuple(self._drawn(part, [r for r in regions if r.picture == i]) for i, part in enumerate(parts))

    def _drawn(self, part: ImagePart, regions: Sequence[Region]) -> Drawn:
        if part.sha256 not in self._held:
            self._held[part.sha256] = _picture(part, f"picture-{len(self._held) + 1}")
        picture = self._held[part.sha256]
        return Drawn(picture=picture, marks=tuple(_mark(region, picture) for region in regions))


def _picture(part: ImagePart, anchor: str) -> Picture:
    """Encoded anew: transparency and the turns that a file asks of a browser are nothing that a model sees."""
    image = pictures.opened(part)
    width, height = image.size
    image.thumbnail((LONGEST, LONGEST))  # smaller ones stay as they are
    data, media = pictures.part_of(image, part.path).data, "image/png"
    if len(data) > LARGEST:
        file, media = io.BytesIO(), "image/jpeg"
        image.save(file, format="JPEG", quality=QUALITY)
        data = file.getvalue()
    address = f"data:{media};base64,{base64.b64encode(data).decode()}"
    return Picture(anchor=anchor, address=address, width=width, height=height)


def _mark(region: Region, picture: Picture) -> Mark:
    """The label stands over the region, or under it at the upper edge; it grows away from the nearer side."""
    left, top, right, bottom = region.box
    if not (0 <= left < right <= picture.width and 0 <= top < bottom <= picture.height):
        raise HarnessError(
            f"the region {region.box} of {region.label!r} is not within its picture of {picture.width} by "
            f"{picture.height} pixels: give left < right and top < bottom, inside"
        )
    letter = max(picture.width, picture.height) / LETTER
    late = left + right > picture.width
    return Mark(
        left=left,
        top=top,
        width=right - left,
        height=bottom - top,
        boxed=region.boxed,
        label=region.label,
        words=region.words,
        x=right if late else left,
        y=round(top - letter / 4 if top > letter else bottom + letter, 1),
        anchor="end" if late else "start",
        letter=round(letter, 1),
    )


def kinds_of_p(world: World, example: Example) -> tuple[str, ...]:
    """None, then the kinds the example has, in the world's order."""
    return (Privilege.NONE.value, *(kind for kind in world.privileges if kind in example.privileged))
