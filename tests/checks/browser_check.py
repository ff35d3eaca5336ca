"""The published report in headless Chromium: `nox -s browser`. Not collected by `nox -s tests`, which needs no browser.

Screenshots of the whole page, wide and narrow, light and dark, are written to a folder whose name is printed: look at
them.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from support import rollouts

from harness import registry
from harness.report import web
from harness.suite import PUBLISHED, Options, Profile

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
if CHROMIUM is None:
    pytest.skip(f"no Chromium on this machine ({', '.join(NAMES)})", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: nox -s browser does")
pytestmark = pytest.mark.filterwarnings("default")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
"""Chromium as root, and without calls home of its own."""
WIDE, NARROW = 1280, 390
RIM = 4
"""Pixels."""
MOST_TABS = 300
"""Tab presses after which the tokens must have been reached."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of everything published of text."""
    return written(registry.profile("embedded"), rollouts.records(30), tmp_path_factory)


@pytest.fixture(scope="module")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the profile of pictures, with its problems."""
    profile = registry.profile("embedded_vlm")
    return written(profile, rollouts.of_pictures(profile, 12), tmp_path_factory)


def written(profile: Profile, made_up: list[dict[str, Any]], folders: pytest.TempPathFactory) -> Path:
    """The page of all that is published of a profile; rollouts are made up where none are published."""
    published = folders.mktemp("published")
    for source in (*PUBLISHED.glob(f"{profile.name}/*"), *PUBLISHED.glob("paper/*")):
        path = published / source.relative_to(PUBLISHED)
        path.parent.mkdir(exist_ok=True)
        path.symlink_to(source)
    shown = published / profile.name / "trajectory"
    if not (shown / "trajectory.jsonl").exists():
        shown.unlink(missing_ok=True)
        rollouts.write(shown / "trajectory.jsonl", made_up)
    options = Options(suite="", profile=profile.name, source="published", published=published)
    return web.write(folders.mktemp("page"), profile, options)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


Open = Callable[..., "Page"]


@pytest.fixture
def opened(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens the page without a network, that of text unless a test names the other; complaints of the console, of
    scripts and foreign requests fail the test."""
    report: Path = request.getfixturevalue(getattr(request, "param", "report"))
    complaints: list[str] = []
    contexts: list[Any] = []

    def open_page(width: int = WIDE, **settings: Any) -> Page:
        contexts.append(chromium.new_context(viewport={"width": width, "height": 900}, offline=True, **settings))
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"page error: {error}"))
        page.on("request", lambda sent: None if sent.url == report.as_uri() else complaints.append(sent.url))
        page.goto(report.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def overflow(page: Page) -> int:
    """Pixels by which the page is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def unfold(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")


BOTH = pytest.mark.parametrize("opened", ["report", "pictured"], indirect=True)
OF_PICTURES = pytest.mark.parametrize("opened", ["pictured"], indirect=True)


@BOTH
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW, 320])
def test_page_never_scrolls_sideways(opened: Open, width: int, scheme: str) -> None:
    page = opened(width, color_scheme=scheme)
    assert overflow(page) == 0
    unfold(page)
    assert overflow(page) == 0


@BOTH
def test_screenshots(opened: Open) -> None:
    folder = Path(tempfile.mkdtemp(prefix="dopd-report-"))
    for width in (WIDE, NARROW):
        for scheme in ("light", "dark"):
            path = folder / f"{width}-{scheme}.png"
            opened(width, color_scheme=scheme).screenshot(path=path, full_page=True)
            assert path.stat().st_size > 100_000
    opened(WIDE).pdf(path=folder / "print.pdf", format="A4")
    print(f"\nscreenshots and the print: {folder}")


@BOTH
def test_tab_reaches_the_tokens_and_arrows_walk_them(opened: Open) -> None:
    page = opened()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('token')"):
            break
    else:
        pytest.fail(f"{MOST_TABS} tabs did not reach a token")
    tip = page.locator("#token-tip")
    first, place = tip.inner_text(), tip.bounding_box()
    assert tip.is_visible()
    assert all(word in first for word in ("Regime", "q teacher", "q student")), first
    page.keyboard.press("ArrowRight")
    assert page.evaluate("[...document.activeElement.parentElement.children].indexOf(document.activeElement)") == 1
    assert tip.is_visible() and tip.bounding_box() != place, "two tokens may say the same, at places of their own"
    page.keyboard.press("Escape")
    assert tip.is_hidden()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY", "one tab leaves the tokens"


@pytest.mark.parametrize("width", [WIDE, NARROW])
@BOTH
def test_hover_shows_the_tooltip_inside_the_window(opened: Open, width: int) -> None:
    page = opened(width)
    tokens = page.locator("article.rollout:visible button.token")
    for at in (0, tokens.count() - 1):
        tokens.nth(at).hover()
        box = page.locator("#token-tip").bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= width
    page.mouse.move(0, 0)
    assert page.locator("#token-tip").is_hidden()


def test_select_chooses_one_rollout(opened: Open) -> None:
    page = opened()
    shown = page.locator("article.rollout:visible")
    assert shown.count() == 1
    first = shown.inner_text()
    page.locator("#rollout").select_option(index=1)
    assert shown.count() == 1 and shown.inner_text() != first


@OF_PICTURES
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_pictures_are_painted_with_their_boxes(opened: Open, width: int) -> None:
    """Each panel of a problem: the picture; p's boxes are seen on it, and on no other."""
    page = opened(width)
    drawings = page.locator("article.problem").first.locator("svg.drawn")
    shots = [painted(drawings.nth(i).screenshot()) for i in range(5)]
    assert all(len({*shot}) > 500 for shot in shots), "a picture, not its empty place"
    plain, answer, *others = map(white, shots)
    assert max(plain, answer) < 20 and min(others) > 60, (plain, answer, others)


@OF_PICTURES
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_rollouts_picture_is_beside_its_tokens(opened: Open, width: int) -> None:
    page = opened(width)
    for index in (0, 1):
        page.locator("#rollout").select_option(index=index)
        picture = page.locator("article.rollout:visible svg.drawn").bounding_box()
        tokens = page.locator("article.rollout:visible .tokens").bounding_box()
        assert picture and tokens and picture["width"] > 150
        if width == WIDE:
            assert picture["x"] + picture["width"] < tokens["x"] and picture["y"] < tokens["y"]
        else:
            assert picture["y"] + picture["height"] < tokens["y"]
        assert len({*painted(page.locator("article.rollout:visible svg.drawn").screenshot())}) > 500


def painted(shot: bytes) -> list[tuple[int, int, int]]:
    """Pixels of a screenshot, without the rim that the page may share."""
    image = Image.open(io.BytesIO(shot)).convert("RGB")
    return [*image.crop((RIM, RIM, image.width - RIM, image.height - RIM)).get_flattened_data()]  # pyright: ignore


def white(pixels: list[tuple[int, int, int]]) -> int:
    """How many are as white as a box."""
    return sum(min(pixel) > 250 for pixel in pixels)


def test_runs_are_sorted_and_searched(opened: Open) -> None:
    page = opened()
    header = page.locator("#runs th[aria-sort]").nth(2)
    seeds = "[...document.querySelectorAll('#runs tbody tr')].map((r) => r.cells[2].textContent).filter(Boolean)"
    for direction in ("ascending", "descending"):
        header.get_by_role("button").click()
        assert header.get_attribute("aria-sort") == direction
        values = [int(seed) for seed in page.evaluate(seeds)]
        assert values == sorted(values, reverse=direction == "descending") and len(set(values)) > 1
    every = page.locator("#runs tbody tr").count()
    page.get_by_label("Search the runs").fill("seed1 dopd")
    left = page.locator("#runs tbody tr:visible").count()
    assert 0 < left < every
    assert page.locator("#run-count").inner_text() == f"{left} of {every} runs"


def test_without_script_nothing_is_hidden(opened: Open) -> None:
    page = opened(java_script_enabled=False)
    assert page.locator("article.rollout:visible").count() > 1
    assert page.locator("#runs tbody tr:visible").count() == page.locator("#runs tbody tr").count() > 0
    assert page.locator("#run-search").is_hidden(), "a field that does nothing is not offered"


def test_boxes_that_scroll_can_be_reached_by_keyboard(opened: Open) -> None:
    page = opened(NARROW)
    wrong = page.evaluate(
        "[...document.querySelectorAll('.scroll')].filter((box) => box.checkVisibility() && "
        "(box.scrollWidth > box.clientWidth) && box.tabIndex !== 0).map((box) => box.outerHTML.slice(0, 200))"
    )
    assert wrong == []
