"""The words of the scenes world: kinds of question, places, what is seen, what p says. No torch."""

from __future__ import annotations

from enum import StrEnum

WORLD_VERSION = 1
"""Bumped when any problem changes; part of every run's identity."""
NAME = "scenes"
"""As in ``DataSpec.world``."""
SIDE = 3
"""Places a row and rows a picture."""
ITEMS = 3
"""Items a question."""
STRIDE = 4
"""Words of an item in x and in a response: the distance from one to the other is the same for every item."""


class Kind(StrEnum):
    """Kinds of question; all items of a question are of one kind."""

    POINT = "point"
    """A name: the place it stands for."""
    FOLLOW = "follow"
    """A name and a way: from the named place the way, by the tick seen there, to a neighbour."""
    COUNT = "count"
    """A line and a rule: lit objects are counted in the line, rule and count say which of its places."""
    BRANCH = "branch"
    """A line and a test: from the line's middle the test, by whether two or more are lit, to a neighbour."""
    RELATE = "relate"
    """A name and a relation: from the named place to the neighbour it says."""
    MEET = "meet"
    """Two names: the row of the first's place crossed with the column of the second's."""


GROUPS = {
    "general": (Kind.POINT, Kind.FOLLOW),
    "reasoning": (Kind.COUNT, Kind.BRANCH),
    "understanding": (Kind.RELATE, Kind.MEET),
}
"""The domains, each of two kinds in turn."""
DOMAINS = tuple(GROUPS)
KINDS = tuple(Kind)

PLACES = tuple(f"{row}{column}" for row in "abc" for column in "123")
"""Row by row, from the top left."""
ROWS, COLUMNS = ("row1", "row2", "row3"), ("col1", "col2", "col3")
LINES = (*ROWS, *COLUMNS)
DIRECTIONS = ("up", "right", "down", "left")
TICKS = ("north", "east", "south", "west")
"""The side of its cell at which an object's tick stands."""
LAMPS = ("lit", "dark")
LOOKS = tuple(f"{tick}-{lamp}" for tick in TICKS for lamp in LAMPS)
"""Tick and lamp of an object in one word; of pre-training text alone."""
COLOURS = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "white")
SHAPES = ("disc", "square", "triangle", "diamond", "cross", "ring", "bar", "pillar", "wedge")
READINGS = ("ba", "de", "fi", "go", "ku", "la", "me", "ni", "so", "tu")
"""What an object reads as: a secret table of colour and shape."""
COUNTS = ("0", "1", "2", "3")
NAMES = tuple(f"name{i}" for i in range(54))
"""Six aliases a place."""
RELATIONS = tuple(f"rel{i}" for i in range(32))
WAYS = tuple(f"way{i}" for i in range(8))
RULES = tuple(f"rule{i}" for i in range(8))
TESTS = tuple(f"test{i}" for i in range(16))
CODES = tuple(f"k{i}" for i in range(10))
BIN = 4
"""Pixels a word of a box stands for."""
BINS = tuple(f"at{i}" for i in range(19))
BLANK, MARK, UNKNOWN, END, NO_ANCHOR = ".", "?", "_", "!", "-"

FINAL_ANSWER, BOX_CAPTION, BOX_LABEL, CAPTION = "final_answer", "box_caption", "box_label", "caption"
HEADERS = {FINAL_ANSWER: "answer", BOX_CAPTION: "boxes-read", BOX_LABEL: "boxes", CAPTION: "caption"}
"""Kinds of p, in the order of tables, and the first word of each; the fifth kind is none."""
SLOT = 7
"""Words of p for an item: colour, four of the box, code, reading."""

WORDS = (
    *KINDS,
    *HEADERS.values(),
    *(*PLACES, *LINES, *COLOURS, *SHAPES, *READINGS, *COUNTS, *LOOKS, *LAMPS),
    *(*NAMES, *RELATIONS, *WAYS, *RULES, *TESTS, *CODES, *BINS),
    *(BLANK, MARK, UNKNOWN, END, NO_ANCHOR),
)
"""Every word there is in x, p and responses."""
EVIDENCE, DEGRADED = "evidence", "degraded"
"""Kinds of picture that may stand in the place of x's own."""


def neighbour(place: str, direction: str) -> str:
    """The place next to ``place``; the grid wraps round."""
    row, column = divmod(PLACES.index(place), SIDE)
    down, right = {"up": (-1, 0), "right": (0, 1), "down": (1, 0), "left": (0, -1)}[direction]
    return PLACES[(row + down) % SIDE * SIDE + (column + right) % SIDE]


def line_places(line: str) -> tuple[str, ...]:
    """The three places of a line, from the left or the top."""
    at = LINES.index(line) % SIDE
    return PLACES[SIDE * at : SIDE * at + SIDE] if line in ROWS else PLACES[at::SIDE]


def crossing(first: str, second: str) -> str:
    """The place in the row of ``first`` and the column of ``second``."""
    return PLACES[PLACES.index(first) // SIDE * SIDE + PLACES.index(second) % SIDE]
