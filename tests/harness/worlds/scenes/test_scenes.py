"""The scenes world: pictures, questions, p, what each depends on, splits, grades, facts."""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from harness.config import DataSpec
from harness.types import Corruption, Fact, HarnessError, ImagePart, Pictures, Privilege, TextPart, text_of
from harness.worlds import minds, privilege, world, world_of
from harness.worlds.regions import Pointing
from harness.worlds.scenes import gallery, picture, questions, scribe, tables, words
from harness.worlds.scenes.questions import Item, Question
from harness.worlds.scenes.words import HEADERS, KINDS, PLACES, SLOT, Kind
from harness.worlds.scenes.world import ScenesWorld, example, question_of
from harness.worlds.world import (
    Corruptible,
    Demonstrates,
    Grade,
    HasReferences,
    KnowsFacts,
    Pictured,
    World,
)

DRAW = 5
WORLD = ScenesWorld()
KNOW = tables.truth(DRAW)
SOME = [example(DRAW, domain, "test", i) for domain in words.DOMAINS for i in range(60)]


def data(**changes: object) -> DataSpec:
    given: dict[str, object] = {"domains": words.DOMAINS, "privilege": words.BOX_LABEL, "draw": DRAW}
    return DataSpec(world="scenes", **(given | changes))  # pyright: ignore[reportArgumentType]


def image(message: object) -> np.ndarray:
    part = message["content"][0]  # pyright: ignore[reportIndexIssue]
    assert isinstance(part, ImagePart)
    return np.asarray(Image.open(io.BytesIO(part.data)))


def test_it_is_a_world_with_every_power() -> None:
    assert isinstance(world("scenes"), ScenesWorld)
    for power in (HasReferences, Demonstrates, Corruptible, Pictured, KnowsFacts, Pointing):
        assert isinstance(WORLD, power), power
    assert all(hasattr(WORLD, name) for name in vars(World) if not name.startswith("_"))


# The rules, written anew from the words of the docstrings.
def solved(asked: Question) -> list[tuple[str, str, str]]:
    cells = {name: found.right for name, found in tables.tables(DRAW).items()}
    grid = [(row, column) for row in range(3) for column in range(3)]
    move = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
    look = dict(zip(grid, zip(asked.scene.colours, asked.scene.shapes, strict=True), strict=True))

    def go(at: tuple[int, int], way: object) -> tuple[int, int]:
        down, right = move[str(way)]
        return (at[0] + down) % 3, (at[1] + right) % 3

    out = []
    for item in asked.items:
        named = {n: grid[PLACES.index(str(cells["name"].get(n)))] for n in (item.first, item.second) if n[0] == "n"}
        if item.kind in (Kind.COUNT, Kind.BRANCH):
            number = int(item.first[-1]) - 1
            line = [(number, i) if item.first.startswith("row") else (i, number) for i in range(3)]
            lit = sum(asked.scene.lamps[3 * row + column] == "lit" for row, column in line)
            begun = str(lit)
            if item.kind is Kind.COUNT:
                target = line[int(str(cells["rule"][item.second, begun]))]
            else:
                target = go(line[1], cells["test"][item.second, lit >= 2])
        else:
            at = named[item.first]
            begun = "-" if item.kind is Kind.POINT else f"{'abc'[at[0]]}{at[1] + 1}"
            tick = asked.scene.ticks[3 * at[0] + at[1]]
            target = {
                Kind.POINT: lambda at=at: at,
                Kind.FOLLOW: lambda at=at, tick=tick, item=item: go(at, cells["way"][item.second, tick]),
                Kind.RELATE: lambda at=at, item=item: go(at, cells["relation"][item.second]),
                Kind.MEET: lambda at=at, item=item, named=named: (at[0], named[item.second][1]),
            }[item.kind]()
        out.append((begun, f"{'abc'[target[0]]}{target[1] + 1}", str(cells["reading"][look[target]])))
    return out


def test_every_trace_follows_from_picture_and_words_but_for_the_codes() -> None:
    kinds = Counter[Kind]()
    for each in SOME:
        asked, trace = question_of(each), (each.trace or "").split()
        kinds[asked.items[0].kind] += 1
        assert text_of(each.messages[0]).split() == [word for item in asked.items for word in item.words]
        for i, expected in enumerate(solved(asked)):
            assert tuple(trace[4 * i : 4 * i + 3]) == expected
            assert trace[4 * i + 3] in (words.CODES if asked.items[i].words[3] == "?" else ".")
        assert trace[12:] == ["!", *(reading for _, _, reading in solved(asked))] and len(trace) == scribe.LENGTH
        assert each.answer == " ".join(trace[13:])
    assert kinds == dict.fromkeys(KINDS, 30)


@pytest.mark.parametrize("kind", KINDS)
def test_every_place_is_asked_for_by_every_kind(kind: Kind) -> None:
    rng, found = Random(0), Counter[str]()
    about = picture.scene(rng)
    for _ in range(300):
        asked = questions.question(kind, picture.scene(rng), KNOW, rng)
        places = questions.targets(asked, KNOW)
        assert len(set(places)) == 3
        found.update(places)
    assert set(found) == set(PLACES) and min(found.values()) >= 40  # of 900, 100 each if even
    assert questions.question(kind, about, KNOW, Random(1)) == questions.question(kind, about, KNOW, Random(1))


def test_tables_are_secret_and_of_their_draw() -> None:
    sizes = {name: len(found.right) for name, found in tables.tables(0).items()}
    assert sizes == {"reading": 81, "name": 54, "way": 32, "rule": 32, "test": 32, "relation": 32}
    assert Counter(tables.tables(0)["name"].right.values()) == dict.fromkeys(PLACES, 6)
    for name in sizes:
        assert len({str(tables.tables(i)[name].right) for i in range(tables.DRAWS)}) == tables.DRAWS
        assert len({str(tables.tables(i)[name].rank) for i in range(tables.DRAWS)}) == tables.DRAWS


@pytest.mark.slow
def test_splits_are_disjoint_by_construction() -> None:
    seen: dict[str, str] = {}
    for split, domain, which in product(questions.SPLITS, words.DOMAINS, (0, DRAW)):
        for i in range(60):
            from harness.worlds.scenes.world import _asked

            scene = _asked(which, domain, split, i).scene
            assert questions.split_of(scene) == split and seen.setdefault(scene.key, split) == split
    rng = Random(3)
    shares = Counter(questions.split_of(picture.scene(rng)) for _ in range(2000))
    assert abs(shares["train"] / 2000 - 0.5) < 0.05 and abs(shares["test"] / 2000 - 0.25) < 0.05


def test_examples_are_the_same_in_another_process() -> None:
    code = (
        "from harness.worlds.scenes.world import example as e, words\n"
        f"print([(x.messages, x.privileged) for x in [e({DRAW}, d, 'train', 7) for d in words.DOMAINS]])"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    here = [example(DRAW, domain, "train", 7) for domain in words.DOMAINS]
    assert other.strip() == str([(each.messages, each.privileged) for each in here])


def test_a_known_problem_has_not_changed() -> None:
    first = example(0, "general", "test", 1)
    assert (text_of(first.messages[0]), first.trace) == KNOWN
    pixels = picture.draw(question_of(first).scene)
    assert hashlib.sha256(pixels.tobytes()).hexdigest()[:16] == KNOWN_PIXELS


KNOWN = (
    "follow name30 way5 ? follow name2 way4 ? follow name15 way4 .",
    "b1 b3 ba k9 c3 c2 tu k4 c2 c1 fi . ! ba tu fi",
)
KNOWN_PIXELS = "9e46225835efa9a1"


def test_ids_name_draw_domain_split_and_place() -> None:
    found = WORLD.examples(data(), "validation", 7, start=2)
    assert [each.id for each in found[:3]] == [
        "draw5/understanding/validation/0",
        "draw5/general/validation/1",
        "draw5/reasoning/validation/1",
    ]
    assert found[0].domain == "understanding" and found[0].split == "validation"
    assert found == WORLD.examples(data(), "validation", 9)[2:]


def test_a_message_is_a_picture_and_words() -> None:
    content = SOME[0].messages[0]["content"]
    assert isinstance(content, tuple) and [type(part) for part in content] == [ImagePart, TextPart]
    part = content[0]
    assert isinstance(part, ImagePart) and part.sha256 == hashlib.sha256(part.data).hexdigest()
    assert image(SOME[0].messages[0]).shape == (72, 72, 3)
    assert len({each.messages[0]["content"][0].sha256 for each in SOME}) == len(SOME)  # pyright: ignore


@pytest.mark.parametrize("shape", words.SHAPES)
def test_a_box_holds_its_object_and_nothing_else(shape: str) -> None:
    """Of a picture without noise, everything that is neither background nor tick nor lamp lies in a box."""
    rng = Random(f"box {shape}")
    for _ in range(10):
        scene = picture.scene(rng)
        i = scene.shapes.index(shape)
        left, top, right, bottom = scene.box(PLACES[i])
        alone = picture.draw(scene).astype(int)
        apart = np.abs(alone - picture.BACKGROUND).max(-1) > 3 * picture.NOISE
        cell = np.zeros_like(apart)
        row, column = 24 * (i // 3), 24 * (i % 3)
        cell[row + 4 : row + 21, column + 4 : column + 21] = True  # ticks and lamps are outside
        ys, xs = np.nonzero(apart & cell)
        assert left <= xs.min() and xs.max() < right and top <= ys.min() and ys.max() < bottom
        assert xs.max() - xs.min() + 1 == right - left or ys.max() - ys.min() + 1 == bottom - top
        assert 24 * (i % 3) < left < right < 24 * (i % 3) + 24


def test_shapes_and_colours_differ() -> None:
    masks = [picture._mask(shape, radius) for radius in picture.RADII for shape in words.SHAPES]
    for a in range(len(words.SHAPES)):
        for b in range(a):
            assert (masks[a] != masks[b]).mean() > 0.1
    colours = [np.asarray(picture.RGB[colour]) for colour in words.COLOURS]
    assert all(np.abs(a - b).max() > 2 * picture.COLOUR_SHIFT for i, a in enumerate(colours) for b in colours[:i])


def test_boxes_tell_the_place() -> None:
    rng, found = Random(5), dict[tuple[str, ...], str]()
    for _ in range(300):
        scene = picture.scene(rng)
        for place in PLACES:
            assert found.setdefault(scene.box_words(place)[:2], place) == place


@pytest.mark.parametrize("kind", [Kind.POINT, Kind.FOLLOW, Kind.COUNT, Kind.BRANCH])
def test_evidence_keeps_what_the_answer_depends_on(kind: Kind) -> None:
    """Changing what is greyed out changes no answer; changing what is kept does."""
    rng, changed = Random(f"evidence {kind}"), 0
    for _ in range(100):
        asked = questions.question(kind, picture.scene(rng), KNOW, rng)
        kept = questions.evidence(asked, KNOW)
        other = picture.scene(rng)

        def mixed(keep: bool, asked: Question = asked, kept: frozenset[str] = kept, other=other) -> Question:
            parts = {
                name: tuple(
                    (getattr(asked.scene, name) if (place in kept) is keep else getattr(other, name))[i]
                    for i, place in enumerate(PLACES)
                )
                for name in ("colours", "shapes", "ticks", "lamps")
            }
            return replace(asked, scene=replace(asked.scene, **parts))

        right = scribe.write(asked, KNOW)
        assert scribe.write(mixed(True), KNOW) == right
        changed += scribe.write(mixed(False), KNOW) != right
    assert changed > 90


def test_pictures_that_may_stand_in_for_xs_own() -> None:
    for each in SOME[::7]:
        asked, original = question_of(each), image(each.messages[0])
        kept = questions.evidence(asked, KNOW)
        shown = privilege.shown(each, Pictures(words.EVIDENCE), WORLD, Privilege.NONE)
        greyed = image(shown[0])
        assert text_of(shown[0]) == text_of(each.messages[0]) and greyed.shape == original.shape
        for i, place in enumerate(PLACES):
            cell = np.s_[24 * (i // 3) : 24 * (i // 3) + 24, 24 * (i % 3) : 24 * (i % 3) + 24]
            assert (greyed[cell] == (original[cell] if place in kept else picture.GREY)).all()
        degraded = image(WORLD.pictured(each, words.DEGRADED)[0])
        assert degraded.shape == original.shape and len(np.unique(degraded.reshape(-1, 3), axis=0)) <= 49
    with pytest.raises(HarnessError, match="no pictures 'crop'; it has: evidence, degraded"):
        WORLD.pictured(SOME[0], "crop")


def test_five_kinds_of_p_each_tell_something_of_their_own() -> None:
    assert WORLD.privileges == ("final_answer", "box_caption", "box_label", "caption")
    minds.check_kinds(questions.tells_of())
    for each in SOME:
        asked = question_of(each)
        steps = solved(asked)
        slots = {
            kind: [text.split()[1 + SLOT * i : 1 + SLOT * (i + 1)] for i in range(3)]
            for kind, text in each.privileged.items()
        }
        assert {len(text.split()) for text in each.privileged.values()} == {1 + 3 * SLOT}
        assert len({text.split()[0] for text in each.privileged.values()}) == len(HEADERS)
        for i, (_, place, reading) in enumerate(steps):
            colour, shape = asked.scene.at(place)
            box = [f"at{edge // 4}" for edge in asked.scene.box(place)]
            code = asked.items[i].code
            assert slots["box_label"][i] == [colour, *box, code, "."]
            assert slots["box_caption"][i] == [colour, *box, code, reading if i < 2 else "."]
            assert slots["caption"][i] == ([colour, place, place, shape, ".", ".", "."] if i != 1 else ["."] * SLOT)
            assert slots["final_answer"][i] == ["."] * 6 + [reading]


def test_no_answer_follows_from_p_alone() -> None:
    """But for the final answer: of some item neither the reading nor colour and shape are told, in every question."""
    told = questions.tells_of()
    for kind in (words.BOX_CAPTION, words.BOX_LABEL, words.CAPTION):
        known = [("reading", i) in told[kind] or {("shape", i), ("place", i)} <= told[kind] for i in range(3)]
        assert not all(known), kind
        for each in SOME:
            asked = question_of(each)
            untold = questions.targets(asked, KNOW)[known.index(False)]
            # Another shape there: the same p, another answer.
            shape = words.SHAPES.index(asked.scene.at(untold)[1])
            text = each.privileged[kind]
            answers = set()
            for turn in range(9):
                shapes = list(asked.scene.shapes)
                shapes[PLACES.index(untold)] = words.SHAPES[(shape + turn) % 9]
                other = replace(asked, scene=replace(asked.scene, shapes=tuple(shapes)))
                told_then = questions.honest(other, kind, KNOW)
                assert questions.privileged_text(other, told_then) == text
                answers.add(tuple(scribe.write(other, KNOW)[-3:]))
            assert len(answers) > 1, kind


def test_the_scribe_goes_on_from_what_stands() -> None:
    rng = Random(0)
    for kind in KINDS:
        asked = questions.question(kind, picture.scene(rng), KNOW, rng)
        right = scribe.write(asked, KNOW)
        wrong = next(place for place in PLACES if KNOW("reading", asked.scene.at(place)) != right[2])
        written = scribe.write(asked, KNOW, forced={1: wrong})
        there = KNOW("reading", asked.scene.at(wrong))
        assert written == [right[0], wrong, there, *right[3:13], there, *right[14:]]
        assert scribe.write(asked, KNOW, forced={2: "x"}) == [*right[:2], "x", *right[3:13], "x", *right[14:]]


def test_the_scribe_writes_what_p_tells_even_if_it_lies() -> None:
    rng = Random(1)
    for kind in HEADERS:
        for _ in range(50):
            asked = questions.question(rng.choice(KINDS), picture.scene(rng), KNOW, rng)
            tells = questions.false(kind, rng)
            written = scribe.write(asked, KNOW, tells)
            for i in range(3):
                assert written[4 * i + 1] == tells.places[i] or tells.places[i] is None
                assert written[4 * i + 2] == tells.readings[i] or tells.readings[i] is None
                note = asked.items[i].code if tells.codes else "_"
                assert written[4 * i + 3] == ("." if asked.items[i].code == "." else note)
                assert written[13 + i] == written[4 * i + 2]


def test_a_slip_is_one_word_of_the_same_sort() -> None:
    rng = Random(2)
    for kind in KINDS:
        asked = questions.question(kind, picture.scene(rng), KNOW, rng)
        offsets = Counter[int]()
        for _ in range(60):
            ((at, word),) = scribe.slip(asked, rng).items()
            offsets[at % 4] += 1
            sorts = (words.COUNTS if kind in (Kind.COUNT, Kind.BRANCH) else PLACES, PLACES, words.READINGS)
            assert at < 12 and word in sorts[at % 4]
        assert set(offsets) == ({1, 2} if kind is Kind.POINT else {0, 1, 2})


def test_facts_are_character_spans_of_what_decides_each_word() -> None:
    for each in SOME:
        asked, trace = question_of(each), each.trace or ""
        plain = WORLD.reference(each)
        for text, facts in ((trace, each.facts), (plain, WORLD.reference_facts(each))):
            assert [text[span.start : span.end] for span in facts] == text.split()
        for i, (word, span) in enumerate(zip(trace.split(), each.facts, strict=True)):
            code = i < 12 and i % 4 == 3 and asked.items[i // 4].code != "."
            fixed = word in (".", "!", "-")
            assert span.kind is (Fact.INFORMATION if code else Fact.FORMAT if fixed else Fact.CAPABILITY)
            assert plain.split()[i] == ("_" if code else word)
        assert WORLD.privileged_facts(each, Privilege.NONE) == ()
        for kind, text in each.privileged.items():
            for span in WORLD.privileged_facts(each, kind):
                word = text[span.start : span.end]
                said = Fact.INFORMATION if word in WORLD.guesses else Fact.CAPABILITY
                assert span.kind is (Fact.FORMAT if word in (".", HEADERS[kind]) else said)


def test_grades() -> None:
    each = SOME[0]
    right, plain = each.trace or "", WORLD.reference(each)
    assert WORLD.grade(each, right) == WORLD.grade(each, plain) == Grade(answer=True, trace=True, parsed=True)
    first, *rest = plain.split()
    assert WORLD.grade(each, " ".join([first, "x", *rest[1:]])) == Grade(answer=True, trace=False, parsed=True)
    readings = each.answer.split()
    other = next(word for word in words.READINGS if word != readings[0])
    wrong = " ".join([*plain.split()[:-3], other, *readings[1:]])
    assert WORLD.grade(each, wrong) == Grade(answer=False, trace=False, parsed=True)
    for garbled in ("", plain.replace("!", "."), " ".join(plain.split()[:-1]), f"{plain} b1"):
        assert WORLD.grade(each, garbled) == Grade(answer=False, trace=False, parsed=False)


def test_no_word_of_p_reaches_a_plain_prompt() -> None:
    for each in SOME:
        assert not set(text_of(each.messages[0]).split()) & {*words.CODES, *words.READINGS, *words.BINS, *PLACES}


def test_wrong_p_tells_other_places_readings_and_codes() -> None:
    for each in SOME[::5]:
        for kind in HEADERS:
            wrong = WORLD.corrupted(each, kind, Corruption.WRONG_STEPS, Random(0)).split()
            true = each.privileged[kind].split()
            assert len(wrong) == len(true) and wrong[0] == true[0]
            for i in range(3):
                a, b = (text[1 + SLOT * i : 1 + SLOT * (i + 1)] for text in (wrong, true))
                assert [word == "." for word in a] == [word == "." for word in b]
                assert a[6] == "." or a[6] != b[6]
                assert a[5] == "." or a[5] != b[5]
                assert a[0] == "." or (a[0] != b[0] and a[1:3] != b[1:3])
    with pytest.raises(HarnessError, match="give wrong_steps or shuffled_steps"):
        WORLD.corrupted(SOME[0], words.BOX_LABEL, Corruption.OTHER_EXAMPLE, Random(0))


def test_shuffled_p_has_the_same_slots_in_another_order() -> None:
    def slots(text: str) -> list[tuple[str, ...]]:
        return [tuple(text.split()[1 + SLOT * i : 1 + SLOT * (i + 1)]) for i in range(3)]

    for each in SOME[::5]:
        for kind in (words.BOX_LABEL, words.CAPTION):
            true = slots(each.privileged[kind])
            found = slots(WORLD.corrupted(each, kind, Corruption.SHUFFLED_STEPS, Random(0)))
            assert sorted(found) == sorted(true) and found != true
            assert [set(slot) == {"."} for slot in found] == [set(slot) == {"."} for slot in true]


def test_a_demonstration_has_the_form_of_p() -> None:
    each = SOME[0]
    shown = WORLD.demonstration(WORLD.reference(each)).split()
    assert len(shown) == 1 + 3 * SLOT and shown[0] == "caption"
    steps = [tuple(WORLD.reference(each).split()[4 * i : 4 * i + 4]) for i in range(3)]
    expected = [word for _, place, reading, note in steps for word in (".", place, place, ".", ".", note, reading)]
    assert shown[1:] == expected
    for garbled in ("", "a1", " ".join(["b2"] * 40)):
        assert len(WORLD.demonstration(garbled).split()) == 1 + 3 * SLOT


def test_benchmarks_are_one_a_domain_and_split() -> None:
    sets = WORLD.benchmarks()
    assert [each.name for each in sets[:3]] == ["scenes_general", "scenes_reasoning", "scenes_understanding"]
    assert {(each.split, each.name.endswith("_validation")) for each in sets} == {("test", False), ("validation", True)}
    assert all(each.data.draw is None and each.max_new_tokens > scribe.LENGTH + 1 for each in sets)


@pytest.mark.parametrize("draw", [None, -1, 6])
def test_a_draw_that_is_not_there_is_refused(draw: int | None) -> None:
    with pytest.raises(HarnessError, match=f"draw={draw}: world 'scenes' has draws 0 to 4"):
        WORLD.examples(data(draw=draw), "test", 1)


def test_an_unknown_split_or_domain_is_refused() -> None:
    with pytest.raises(HarnessError, match="split one of"):
        WORLD.examples(data(), "exam", 1)
    with pytest.raises(HarnessError, match="coding"):
        world_of(data(domains=("coding",)))


def test_an_item_has_the_stride_of_a_response() -> None:
    item = Item(kind=Kind.POINT, first="name0", second=".", code="k1")
    assert item.words == ("point", "name0", ".", "?") and len(item.words) == words.STRIDE


DOCS = Path(__file__).resolve().parents[4] / "docs"


def test_the_docs_show_what_the_gallery_writes(tmp_path: Path) -> None:
    """To the byte; a few KB a picture."""
    (tmp_path / gallery.PAGE).write_text((DOCS / gallery.PAGE).read_text(encoding="utf-8"), encoding="utf-8")
    written = gallery.write(tmp_path)
    assert [path.name for path in written] == [*(f"scenes_{kind}.png" for kind in KINDS), "scenes.md"]
    for path in written:
        assert path.read_bytes() == (DOCS / path.relative_to(tmp_path)).read_bytes(), path.name
        assert path.suffix == ".md" or path.stat().st_size < 5_000


def test_a_picture_of_the_docs_has_its_boxes_on_it() -> None:
    for asked in gallery.questions_shown(DRAW).values():
        plain = np.asarray(Image.fromarray(picture.draw(asked.scene)).resize((216, 216), Image.Resampling.NEAREST))
        shown = np.asarray(gallery.boxed(asked, KNOW).convert("RGB")).astype(int)
        other = np.abs(shown - plain).max(-1) > 2 * picture.NOISE
        for place in questions.targets(asked, KNOW):
            left, top, right, bottom = (3 * edge for edge in asked.scene.box(place))
            assert (shown[top - 1, left:right] > 230).all() and (shown[top:bottom, right] > 230).all()
            assert not other[top + 1 : bottom - 1, left + 1 : right - 1].any(), "the object stays as it is"


def test_a_table_of_the_docs_has_every_word_of_p_and_of_the_responses() -> None:
    for asked in gallery.questions_shown(DRAW).values():
        found = [re.findall(r"`([^`]+)`", line) for line in gallery.table(asked, KNOW).splitlines()[2:]]
        rows = [" ".join(cells) for cells in found]
        assert rows[0] == asked.text
        for kind in HEADERS:
            tells = questions.honest(asked, kind, KNOW)
            assert questions.privileged_text(asked, tells) in rows
            assert " ".join(scribe.write(asked, KNOW, tells)) in rows
        assert " ".join(scribe.write(asked, KNOW)) in rows and len({*rows}) == len(rows) <= 7


def test_a_page_without_a_picture_is_refused() -> None:
    page = (DOCS / gallery.PAGE).read_text(encoding="utf-8").replace("pictures/scenes_meet.png", "elsewhere.png")
    with pytest.raises(HarnessError, match=r"scenes_meet.png with a table after it 0 times"):
        gallery.with_tables(page)


def test_p_points_at_what_it_tells() -> None:
    """Boxes of the targets where p has edges, cells of the first and third where a caption has their words."""
    for asked in SOME:
        scene, where = question_of(asked).scene, questions.targets(question_of(asked), KNOW)
        for kind in (words.BOX_LABEL, words.BOX_CAPTION):
            found = WORLD.regions(asked, kind)
            assert [region.box for region in found] == [scene.box(place) for place in where]
            assert all(region.boxed for region in found)
        told = WORLD.regions(asked, words.CAPTION)
        assert [(region.label, region.boxed) for region in told] == [("1", False), ("3", False)]
        for region, place in zip(told, where[::2], strict=True):
            left, top, right, bottom = scene.box(place)
            assert region.box[0] <= left and region.box[1] <= top and right <= region.box[2] and bottom <= region.box[3]
            assert (region.box[2] - region.box[0], region.box[3] - region.box[1]) == (picture.CELL, picture.CELL)
        assert WORLD.regions(asked, words.FINAL_ANSWER) == WORLD.regions(asked, Privilege.NONE) == ()
    with pytest.raises(HarnessError, match="has no privileged input 'hints'"):
        WORLD.regions(SOME[0], "hints")
