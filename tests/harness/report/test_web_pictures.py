"""The report of a profile of pictures: a problem of each kind with what p points at, pictures beside rollouts."""

from __future__ import annotations

import base64
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import picture_world, rollouts
from support.parsed import Parsed
from support.picture_world import PictureWorld

from harness import registry
from harness.report.web import album, content, page, problems, trajectory
from harness.report.web.album import Album
from harness.report.web.content import Content
from harness.suite import PUBLISHED, Options
from harness.types import HarnessError, ImagePart, Modality, Pictures
from harness.worlds import WORLDS, pictures
from harness.worlds.regions import Pointing, Region
from harness.worlds.scenes import words
from harness.worlds.scenes.world import ScenesWorld

SCENES = registry.profile("embedded_vlm")
OWN = picture_world.PROFILE
OURS = {"trajectory": "suites.trajectory:Trajectory"}
KINDS = [f"{domain}: {kind}" for domain, kinds in words.GROUPS.items() for kind in kinds]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[PictureWorld]]:
    """The world ``pictures``, of which ``OWN`` is a profile."""
    monkeypatch.setitem(WORLDS, "pictures", "support.picture_world:PictureWorld")
    yield PictureWorld


def one(profile: Any = SCENES, **changes: Any) -> Any:
    """The first problem of a profile."""
    data = profile.at(0).data
    return ScenesWorld().examples(replace(data, **changes), "test", 1)[0]


def records() -> list[dict[str, Any]]:
    """Of the planned run: three problems before training, and two that are others now."""
    made = rollouts.of_pictures(SCENES, 5)
    made[3]["prompt"] = "another question"
    made[4]["id"] = "draw0/general/test/99"
    return made


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Options:
    folder = tmp_path_factory.mktemp("published")
    (folder / "paper").symlink_to(PUBLISHED / "paper")
    rollouts.write(folder / SCENES.name / "trajectory" / "trajectory.jsonl", records())
    return Options(suite="", profile=SCENES.name, source="published", published=folder)


@pytest.fixture(scope="module")
def gathered(published: Options) -> Iterator[Content]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "suites", lambda: OURS)
        patch.setattr(registry, "claims", lambda profile, options: [])
        yield content.gather(SCENES, published)


@pytest.fixture(scope="module")
def html(gathered: Content) -> str:
    return page.render(gathered)


def test_one_problem_of_each_kind_under_every_kind_of_p(gathered: Content) -> None:
    found = gathered.problems
    assert found and [problem.kind for problem in found.problems] == KINDS and found.found == len(KINDS)
    for problem in found.problems:
        assert [panel.title for panel in problem.panels] == [
            "no privileged input",
            "final answer",
            "bounding box with caption",
            "bounding box with object label",
            "caption",
            "other picture: evidence",
            "other picture: degraded",
        ]
        drawn = [[mark.boxed for d in panel.drawn for mark in d.marks] for panel in problem.panels]
        assert drawn == [[], [], [True] * 3, [True] * 3, [False] * 2, [], []]


def test_boxes_are_those_of_the_objects(gathered: Content) -> None:
    """By hand: the object is all that is not of the ground's grey within its box, and touches the box's edges."""
    assert gathered.problems
    for problem in gathered.problems.problems:
        boxes = problem.panels[3].drawn[0]
        encoded = base64.b64decode(boxes.picture.address.split(",")[1])
        pixels = np.asarray(Image.open(io.BytesIO(encoded))).astype(int)
        said = problem.panels[3].text.split()[1:]
        for i, mark in enumerate(boxes.marks):
            edges = (mark.left, mark.top, mark.left + mark.width, mark.top + mark.height)
            assert [f"at{edge // words.BIN}" for edge in edges] == said[7 * i + 1 : 7 * i + 5]
            inside = pixels[edges[1] : edges[3], edges[0] : edges[2]]
            shape = np.abs(inside - 40).max(-1) > 60  # ground is 40, noise 8
            assert shape.any(0)[len(shape) // 2] and shape.any(1)[len(shape) // 2]
            assert mark.said.startswith(f"{i + 1} {said[7 * i]} at {mark.left}, {mark.top}")


def test_the_page_is_nested_and_holds_each_picture_once(gathered: Content, html: str) -> None:
    parsed = Parsed(html)
    ids = Counter(attributes["id"] for _, attributes in parsed.tags if "id" in attributes)
    assert [name for name, count in ids.items() if count > 1] == []
    images = parsed.all("image")
    assert len(images) == len(gathered.pictures) == len({image["href"] for image in images})
    assert all(image["href"].startswith("data:image/png;base64,") for image in images)
    used = [use["href"].removeprefix("#") for use in parsed.all("use") if "href" in use]
    assert {*used} == {image["id"] for image in images}
    assert gathered.problems
    panels = [[panel.drawn[0].picture for panel in problem.panels] for problem in gathered.problems.problems]
    nothing_to_grey = sum(own[0] == own[5] for own in panels)
    assert len(used) == 6 * 7 + 3, "six problems in seven panels, three rollouts of draw 0"
    assert len(images) == 6 * 3 - nothing_to_grey > 12, "rollouts are of the first problems, which stand already"
    drawings = [p for p in parsed.all("svg") if p.get("class") == "drawn"]
    assert len(drawings) == len(used)
    assert all(p["role"] == "img" and "picture of 72 by 72 pixels" in p["aria-label"] for p in drawings)


def test_pictures_may_be_shown_and_nothing_else_comes_in(html: str) -> None:
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', html)
    assert "img-src data:" in policy and "default-src 'none'" in policy
    assert not re.search(r"(?:https?:)?//\w", re.sub(r"data:image/png;base64,[\w+/=]+", "", html).replace("// ", ""))


def test_a_page_of_text_has_nothing_of_it(gathered: Content) -> None:
    text = page.render(replace(gathered, problems=None, pictures=(), trajectories=trajectory.Trajectories(reason="x")))
    assert "img-src" not in text and ".drawn" not in text and "problems" not in text
    assert problems.load(registry.profile("embedded"), Album()) is None


def test_equal_problems_give_equal_bytes(published: Options, html: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "suites", lambda: OURS)
    monkeypatch.setattr(registry, "claims", lambda profile, options: [])
    assert page.render(content.gather(SCENES, published)) == html


def test_a_rollout_has_its_picture_beside_it(gathered: Content, html: str) -> None:
    shown = gathered.trajectories.rollouts
    assert [len(rollout.drawn) for rollout in shown] == [1, 1, 1, 0, 0]
    assert [mark.label for mark in shown[0].drawn[0].marks] == ["1", "2", "3"]
    assert [bool(rollout.undrawn) for rollout in shown] == [False, False, False, True, True]
    assert html.count('<div class="beside">') == 3
    assert Parsed(html).text.count("Its picture is not available: the problem is not here, or another one than") == 2


def test_what_is_not_planned_any_more_has_no_picture(published: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "suites", lambda: OURS)
    found = trajectory.load(SCENES, published)
    gone = replace(found, rollouts=tuple(replace(each, run="dopd-other-1") for each in found.rollouts))
    assert all(each.undrawn for each in trajectory.with_pictures(gone, SCENES, published, Album()).rollouts)


# Worlds of other pictures: several of them, in p, in the place of x's own, large or missing.


def test_several_pictures_and_pictures_in_p(world: type[PictureWorld]) -> None:
    found = problems.load(OWN, held := Album())
    assert found and [problem.kind for problem in found.problems] == ["one", "many"]
    _, many = found.problems
    counts = {panel.title: len(panel.drawn) for panel in many.panels}
    own = counts["no privileged input"]
    assert own in (2, 3) and counts == {
        "no privileged input": own,
        "where": own,
        "worked": own,
        "close": own + 1,
        "instead": own,
        "other picture: evidence": own,
        "other picture: degraded": own,
    }
    by_title = {panel.title: [drawn.picture for drawn in panel.drawn] for panel in many.panels}
    assert by_title["where"] == by_title["no privileged input"] == by_title["close"][1:]
    assert not {*by_title["instead"]} & {*by_title["where"]}
    assert len(held.pictures) == len({picture.address for picture in held.pictures})


class Pointed(PictureWorld):
    """Points at the left half of the last picture."""

    box = (0, 0, 8, 8)

    def regions(self, example: object, kind: str) -> tuple[Region, ...]:
        return (Region(box=self.box, label="<here>", picture=1),) if kind == "close" else ()


def test_a_region_is_drawn_on_the_picture_that_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(Pointed(), Pointing) and not isinstance(PictureWorld(), Pointing)
    example = picture_world.example("many", "test", 0)
    drawn = Album().shown(Pointed(), example, "close")
    assert [len(each.marks) for each in drawn] == [0, 1, *[0] * (len(drawn) - 2)]
    assert not any(each.marks for each in Album().shown(Pointed(), example, Pictures("evidence")))
    monkeypatch.setattr(Pointed, "box", (0, 0, 800, 8))
    with pytest.raises(HarnessError, match=r"\(0, 0, 800, 8\) of '<here>' is not within its picture of"):
        Album().shown(Pointed(), example, "close")


@pytest.mark.parametrize(
    ("box", "x", "y", "anchor"),
    [((2, 40, 20, 60), 2, 37.5, "start"), ((80, 40, 110, 60), 110, 37.5, "end"), ((2, 3, 20, 60), 2, 70, "start")],
)
def test_labels_stay_within_the_picture(box: Any, x: float, y: float, anchor: str) -> None:
    picture = album.Picture(anchor="a", address="", width=120, height=100)
    mark = album._mark(Region(box=box, label="1"), picture)
    assert (mark.x, mark.y, mark.anchor, mark.letter) == (x, y, anchor, 10)


def test_a_large_picture_is_made_smaller_and_keeps_its_measures() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), dtype=np.uint8)
    part = pictures.part_of(Image.fromarray(noise), "noise.png")
    example = replace(one(), messages=({"role": "user", "content": (part,)},))
    ((drawn,),) = [Album().shown(ScenesWorld(), example, "none")]
    assert (drawn.picture.width, drawn.picture.height, drawn.picture.coarse) == (1200, 900, False)
    media, data = drawn.picture.address.removeprefix("data:").split(";base64,")
    held = Image.open(io.BytesIO(base64.b64decode(data)))
    assert media == "image/jpeg" and held.format == "JPEG" and held.size == (512, 384)


def test_what_cannot_be_read_is_a_reason_without_a_folder(world: type[PictureWorld], tmp_path: Path) -> None:
    gone = ImagePart(path=str(tmp_path / "deep" / "cat.png"), sha256="0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PictureWorld, "pictured", lambda self, example, kind: ({"role": "user", "content": (gone,)},))
        found = problems.load(replace(OWN, modality=Modality.VISION), Album())
    assert found and not found.problems and "picture cat.png: No such file" in found.reason
    assert str(tmp_path) not in found.reason
