"""Pictures: nine objects on a grid, drawn with numpy alone so that every machine draws the same. No torch."""

from __future__ import annotations

import io
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any

from harness.worlds.scenes.words import BIN, BINS, COLOURS, LAMPS, PLACES, SHAPES, SIDE, TICKS

CELL = 24
"""Pixels of a cell's side: with patches of 12 and a merge of 2, one picture token."""
PIXELS = SIDE * CELL
RADII = (5, 6, 7)
COLOUR_SHIFT = 14
NOISE = 8
GREY = 128
"""Of a cell that is greyed out."""
BACKGROUND, TICK_COLOUR = 40, (235, 235, 235)
LAMP_COLOURS = {"lit": (255, 240, 90), "dark": (75, 75, 95)}
RGB = {
    "red": (215, 45, 45),
    "orange": (235, 135, 35),
    "yellow": (220, 215, 45),
    "green": (50, 165, 60),
    "cyan": (60, 205, 215),
    "blue": (50, 80, 220),
    "purple": (130, 55, 175),
    "pink": (240, 135, 190),
    "white": (235, 235, 235),
}
if TYPE_CHECKING:  # a world is planned with where numpy is not
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A picture, taken apart; each tuple has one entry a place."""

    colours: tuple[str, ...]
    shapes: tuple[str, ...]
    ticks: tuple[str, ...]
    lamps: tuple[str, ...]
    radii: tuple[int, ...]
    shifts: tuple[tuple[int, int], ...]
    """Right and down, pixels."""
    noise: int
    """Seed of colour shifts and noise."""

    def at(self, place: str) -> tuple[str, str]:
        """Colour and shape of what stands there."""
        i = PLACES.index(place)
        return self.colours[i], self.shapes[i]

    def tick(self, place: str) -> str:
        """The side at which its tick stands."""
        return self.ticks[PLACES.index(place)]

    def lit(self, places: Collection[str]) -> int:
        """How many of these are lit."""
        return sum(self.lamps[PLACES.index(place)] == "lit" for place in places)

    def box(self, place: str) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the object, pixels; right and bottom are one after its last."""
        i = PLACES.index(place)
        (right, down), radius = self.shifts[i], self.radii[i]
        x, y = (CELL * at + CELL // 2 for at in (i % SIDE, i // SIDE))
        return x + right - radius, y + down - radius, x + right + radius + 1, y + down + radius + 1

    def cell(self, place: str) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the place's cell, pixels."""
        i = PLACES.index(place)
        left, top = CELL * (i % SIDE), CELL * (i // SIDE)
        return left, top, left + CELL, top + CELL

    def box_words(self, place: str) -> tuple[str, ...]:
        """The box in words of ``BIN`` pixels."""
        return tuple(BINS[edge // BIN] for edge in self.box(place))

    @property
    def key(self) -> str:
        """What is to be seen, in words: two pictures of one key differ in jitter and noise alone."""
        return " ".join((*self.colours, *self.shapes, *self.ticks, *self.lamps))


def scene(rng: Random, *, easy: bool = False) -> Scene:
    """A random scene: every colour and every shape once; ``easy`` ones have few different values."""
    n = len(PLACES)
    if easy:
        kinds = {name: rng.sample(all_of, rng.randint(1, 3)) for name, all_of in _POOLS.items()}
        lamps = rng.choice((["lit"], ["dark"], list(LAMPS)))
        colours, shapes = (tuple(rng.choices(kinds[name], k=n)) for name in ("colours", "shapes"))
    else:
        kinds, lamps = {"ticks": list(TICKS)}, list(LAMPS)
        colours, shapes = tuple(rng.sample(COLOURS, n)), tuple(rng.sample(SHAPES, n))
    return Scene(
        colours=colours,
        shapes=shapes,
        ticks=tuple(rng.choices(kinds["ticks"], k=n)),
        lamps=tuple(rng.choices(lamps, k=n)),
        radii=tuple(rng.choices(RADII, k=n)),
        shifts=tuple((rng.randint(-1, 1), rng.randint(-1, 1)) for _ in range(n)),
        noise=rng.getrandbits(32),
    )


_POOLS = {"colours": COLOURS, "shapes": SHAPES, "ticks": TICKS}


@cache
def _mask(shape: str, radius: int) -> NDArray[np.bool_]:
    """Which pixels of a square of ``2 radius + 1`` belong to the shape."""
    import numpy as np

    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    distance, thin = x * x + y * y, radius // 3
    masks = {
        "disc": distance <= radius * radius + 1,
        "square": np.ones_like(x, dtype=bool),
        "triangle": 2 * np.abs(x) <= y + radius,
        "diamond": np.abs(x) + np.abs(y) <= radius,
        "cross": (np.abs(x) <= thin) | (np.abs(y) <= thin),
        "ring": (distance <= radius * radius + 1) & (distance >= (radius - 2) ** 2),
        "bar": np.abs(y) <= thin,
        "pillar": np.abs(x) <= thin,
        "wedge": x <= y,
    }
    return masks[shape]


def draw(scene: Scene) -> Pixels:
    """uint8 [72, 72, 3]."""
    import numpy as np

    rng = np.random.default_rng(scene.noise)
    out = np.full((PIXELS, PIXELS, 3), BACKGROUND, dtype=np.int16)
    shades = rng.integers(-COLOUR_SHIFT, COLOUR_SHIFT + 1, size=(len(PLACES), 3))
    for i, place in enumerate(PLACES):
        left, top, right, bottom = scene.box(place)
        colour = np.asarray(RGB[scene.colours[i]]) + shades[i]
        out[top:bottom, left:right][_mask(scene.shapes[i], scene.radii[i])] = colour
        cell = out[CELL * (i // SIDE) :, CELL * (i % SIDE) :]
        _tick(cell, scene.ticks[i])
        cell[1:4, 1:4] = LAMP_COLOURS[scene.lamps[i]]
    out += rng.integers(-NOISE, NOISE + 1, size=out.shape, dtype=np.int16)
    return out.clip(0, 255).astype(np.uint8)


def _tick(cell: NDArray[Any], side: str) -> None:
    far, middle = slice(CELL - 3, CELL - 1), slice(CELL // 2 - 3, CELL // 2 + 3)
    near = slice(1, 3)
    at = {"north": (near, middle), "south": (far, middle), "west": (middle, near), "east": (middle, far)}[side]
    cell[at] = TICK_COLOUR


def greyed(pixels: Pixels, kept: Collection[str]) -> Pixels:
    """The picture on its own grid with every cell greyed out but those of the places ``kept``."""
    out = pixels.copy()
    for i, place in enumerate(PLACES):
        if place not in kept:
            top, left = CELL * (i // SIDE), CELL * (i % SIDE)
            out[top : top + CELL, left : left + CELL] = GREY
    return out


def pixelated(pixels: Pixels) -> Pixels:
    """Bilinear to a tenth of each side, and back by the nearest pixel: little is left but some colour."""
    import numpy as np
    from PIL import Image

    image = Image.fromarray(pixels)
    few = image.resize((max(1, image.width // 10), max(1, image.height // 10)), Image.Resampling.BILINEAR)
    return np.asarray(few.resize(image.size, Image.Resampling.NEAREST))


def png(pixels: Pixels) -> bytes:
    """The picture as a PNG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()
