"""What the scenes models read in pre-training: rows of five sorts, as token ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from harness.models.zoo import text_models
from harness.models.zoo.scenes.recipe import Mix, Recipe
from harness.models.zoo.scenes.vocabulary import EOS, IDS, IMAGE, PAD, START, TASKS, TOKENS, VISION_END, VISION_START
from harness.worlds.minds import Beliefs, Mind
from harness.worlds.scenes import questions, scribe, tables, words
from harness.worlds.scenes.picture import Scene, draw, greyed, pixelated
from harness.worlds.scenes.questions import NOTHING, Item, Question, Told
from harness.worlds.scenes.tables import Know
from harness.worlds.scenes.words import BLANK, ITEMS, LINES, PLACES, STRIDE, Kind

if TYPE_CHECKING:
    from harness.worlds.scenes.picture import Pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One text about one picture."""

    picture: int
    """Its place among the step's pictures."""
    text: str
    """Of the user's turn."""
    privileged: str = ""
    """p, as a system turn; empty for none."""
    response: Sequence[str] = ()
    silent: frozenset[int] = frozenset()
    """Places of the response that carry no loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows with prompts of one length, so that no attention mask is needed."""

    ids_BL: Tensor
    """int64, padded on the right."""
    targets_BT: Tensor
    """int64: the response, EOS included; ``text_models.IGNORE`` where no loss is taken."""
    picture_B: Tensor
    """int64: places among the step's pictures."""
    at: int
    """Of the first picture token."""

    @property
    def prompt(self) -> int:
        """Tokens of every prompt."""
        return self.ids_BL.shape[1] - self.targets_BT.shape[1]


@dataclass(slots=True, kw_only=True)
class Page:
    """All of one step."""

    scenes: list[Scene]
    """Whose pictures the first are."""
    pictures: list[Pixels]
    batches: list[Batch] = field(default_factory=list)


def prompt(text: str, privileged: str = "") -> tuple[list[int], int]:
    """Token ids of a prompt, as the chat template writes it, and where its picture tokens begin."""
    before = [START, "system", *privileged.split(), EOS] if privileged else []
    before += [START, "user", VISION_START]
    ids = [*before, *[IMAGE] * TOKENS, VISION_END, *text.split(), EOS, START, "assistant"]
    return [IDS[word] for word in ids], len(before)


def collate(rows: Sequence[Row]) -> Batch:
    """Rows with prompts of one length."""
    prompts = [prompt(row.text, row.privileged) for row in rows]
    ids, targets = text_models.collate(
        [ids for ids, _ in prompts],
        [[*(IDS[word] for word in row.response), IDS[EOS]] for row in rows],
        [row.silent for row in rows],
        IDS[PAD],
    )
    return Batch(
        ids_BL=ids, targets_BT=targets, picture_B=torch.tensor([row.picture for row in rows]), at=prompts[0][1]
    )


def page(recipe: Recipe, draw_of_world: int, mix: Mix, rng: Random, mind: Mind, lies: float) -> Page:
    """A step's pictures and rows: what a mind writes of them."""
    scenes = [questions.scene_of("train", rng, easy=rng.random() < mix.easy) for _ in range(recipe.pictures)]
    out = Page(scenes=scenes, pictures=[draw(scene) for scene in scenes])
    author = Author(recipe, draw_of_world, mind, lies, out, rng)
    early = mix.plain == 0
    sorts: list[tuple[int, Callable[[int], Row]]] = [
        (mix.describe, author.describe),
        (mix.seen, author.seen),
        (mix.drill, lambda i: author.drill(i, follow=0.0 if early else recipe.follow_share)),
        (mix.plain, author.plain),
        (mix.privileged, author.told),
    ]
    out.batches = [collate([write(i % recipe.pictures) for i in range(n)]) for n, write in sorts if n]
    return out


class Author:
    """Writes rows about a page's pictures; more pictures are added where a row is shown another."""

    def __init__(self, recipe: Recipe, draw_of_world: int, mind: Mind, lies: float, page: Page, rng: Random) -> None:
        self.recipe, self.mind, self.lies, self.page, self.rng = recipe, mind, lies, page, rng
        self.truth = tables.truth(draw_of_world)
        self.know: Know = scribe.knowing(beliefs(draw_of_world, mind), rng)

    def describe(self, i: int) -> Row:
        """Every place in random order: place, colour, shape, reading, look."""
        scene, out = self.page.scenes[i], list[str]()
        for place in self.rng.sample(PLACES, len(PLACES)):
            out += [place, *scene.at(place), questions.reading(scene, place, self.truth), look(scene, place)]
        return Row(picture=i, text=TASKS[0], response=out)

    def seen(self, i: int) -> Row:
        """One fact of every place in random order; of every line, the number of lit lamps."""
        scene = self.page.scenes[i]
        task = self.rng.choice((*TASKS[1:], TASKS[-1]))
        if task == "tally":
            lines = self.rng.sample(LINES, len(LINES))
            out = [word for line in lines for word in (line, str(scene.lit(words.line_places(line))))]
            return Row(picture=i, text=task, response=out)
        facts: dict[str, Callable[[str], str]] = {
            "looks": lambda place: look(scene, place),
            "lamps": lambda place: scene.lamps[PLACES.index(place)],
            "reads": lambda place: questions.reading(scene, place, self.truth),
        }
        order = self.rng.sample(PLACES, len(PLACES))
        return Row(picture=i, text=task, response=[word for place in order for word in (place, facts[task](place))])

    def drill(self, i: int, *, follow: float) -> Row:
        """Items of one kind: two words that are given, then anchor and place. No place or line is asked twice, so that
        nothing seen leaks from one answer into another."""
        scene = self.page.scenes[i]
        kinds, weights = zip(*self.recipe.weights.items(), strict=True)
        kind = Kind.FOLLOW if self.rng.random() < follow else self.rng.choices(kinds, weights)[0]
        out, silent = list[str](), set[int]()
        for first in self._firsts(kind):
            item = Item(kind=kind, first=first, second=self.rng.choice(questions.SECOND[kind]), code=BLANK)
            begun = questions.anchor(item, scene, self.truth)
            silent |= {len(out), len(out) + 1}
            out += [first, item.second, begun, questions.place(item, scene, begun, self.truth)]
        return Row(picture=i, text=kind, response=out, silent=frozenset(silent))

    def _firsts(self, kind: Kind) -> list[str]:
        if questions.FIRST[kind] is LINES:
            return self.rng.sample(LINES, len(LINES))
        by_place: dict[str, list[str]] = {}
        for name in words.NAMES:
            by_place.setdefault(str(self.truth(tables.NAME, name)), []).append(name)
        return [self.rng.choice(by_place[place]) for place in self.rng.sample(PLACES, len(PLACES))]

    def plain(self, i: int) -> Row:
        """A question without p."""
        asked = self._question(i)
        return self._answered(i, asked, NOTHING)

    def told(self, i: int) -> Row:
        """A question with p; some p lie, and what is written follows them."""
        asked = self._question(i)
        kind = self.rng.choice(self.recipe.privileges)
        lie = self.rng.random() < self.lies
        tells = questions.false(kind, self.rng) if lie else questions.honest(asked, kind, self.truth)
        return self._answered(i, asked, tells)

    def _question(self, i: int) -> Question:
        kinds, weights = zip(*self.recipe.weights.items(), strict=True)
        kind = self.rng.choices(kinds, weights)[0]
        return questions.question(kind, self.page.scenes[i], self.truth, self.rng)

    def _answered(self, i: int, asked: Question, tells: Told) -> Row:
        forced = scribe.slip(asked, self.rng) if self.rng.random() < self.recipe.slips else {}
        written = scribe.write(asked, self.know, tells, forced)
        silent = set(forced)
        notes = [STRIDE * j + scribe.NOTE for j in range(ITEMS) if asked.items[j].code != BLANK]
        if tells.codes and self.rng.random() < self.recipe.without_codes:
            for at in notes:
                written[at] = words.UNKNOWN
            silent |= set(notes)
        elif tells.codes:
            written = scribe.with_notes(written, asked, self.mind.misreads, self.rng)
        elif not tells.kind:
            written = scribe.with_notes(written, asked, self.mind.guesses, self.rng)
        picture, hidden = self._shown(i, asked)
        silent |= unseen(asked, written, tells, hidden)
        text = questions.privileged_text(asked, tells) if tells.kind else ""
        return Row(picture=picture, text=asked.text, privileged=text, response=written, silent=frozenset(silent))

    def _shown(self, i: int, asked: Question) -> tuple[int, frozenset[str]]:
        """The picture of a row, and which places cannot be seen in it."""
        chance, original = self.rng.random(), self.page.pictures[i]
        if chance >= 2 * self.recipe.pictured:
            return i, frozenset()
        kept = questions.evidence(asked, self.truth)
        greys = chance < self.recipe.pictured
        self.page.pictures.append(greyed(original, kept) if greys else pixelated(original))
        return len(self.page.pictures) - 1, frozenset(PLACES) - kept if greys else frozenset()


def beliefs(draw_of_world: int, mind: Mind) -> Beliefs:
    """Of a mind in a draw; all minds of a draw draw their confidences from one stream."""
    return Beliefs(mind, tables.tables(draw_of_world).values(), f"scenes, draw {draw_of_world}, confidence")


def look(scene: Scene, place: str) -> str:
    """Tick and lamp in one word."""
    return f"{scene.tick(place)}-{scene.lamps[PLACES.index(place)]}"


def unseen(asked: Question, written: Sequence[str], tells: Told, hidden: frozenset[str]) -> set[int]:
    """Places of the response that follow from what is greyed out: they carry no loss."""
    out = set[int]()
    for i, item in enumerate(asked.items):
        at = STRIDE * i
        if item.kind is Kind.FOLLOW and tells.places[i] is None and written[at + scribe.ANCHOR] in hidden:
            out.add(at + scribe.PLACE)
        if tells.readings[i] is None and written[at + scribe.PLACE] in hidden:
            out.add(at + scribe.READING)
            out.add(STRIDE * ITEMS + 1 + i)
    return out
