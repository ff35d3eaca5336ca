"""What the permutations models read in pre-training, as token ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from torch import Tensor

from harness.models.zoo import text_models
from harness.models.zoo.permutations.recipe import Recipe
from harness.models.zoo.permutations.vocabulary import EOS, IDS, PAD, prompt
from harness.worlds.permutations import planner, problems, scribe, tables
from harness.worlds.permutations.planner import Planner
from harness.worlds.permutations.problems import Problem, Told
from harness.worlds.permutations.words import (
    BLANK,
    CHOICE,
    DOMAINS,
    EXECUTION,
    NOTE,
    OP,
    RESULT,
    STRIDE,
    UNKNOWN,
    X_WORDS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One problem and its response."""

    text: str
    """Of the user's turn."""
    privileged: str = ""
    """p, as a system turn; empty for none."""
    response: Sequence[str]
    silent: frozenset[int] = frozenset()
    """Places of the response that carry no loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows with prompts of one length."""

    ids_BL: Tensor
    """int64, padded on the right."""
    targets_BT: Tensor
    """int64: the response, EOS included; ``text_models.IGNORE`` where no loss is taken."""


def collate(rows: Sequence[Row]) -> Batch:
    """Rows with prompts of one length: all with p, or all without."""
    ids, targets = text_models.collate(
        [prompt(row.text, row.privileged) for row in rows],
        [[*(IDS[word] for word in row.response), IDS[EOS]] for row in rows],
        [row.silent for row in rows],
        IDS[PAD],
    )
    return Batch(ids_BL=ids, targets_BT=targets)


def page(recipe: Recipe, draw: int, difficulty: tuple[int, int], rng: Random, mind: Planner) -> list[Batch]:
    """A step's rows, without p and with it, the domains in turn: what a mind writes of them."""
    author, half = Author(recipe, draw, mind, rng), recipe.batch // 2
    asked = [problems.problem_of("train", DOMAINS[i % len(DOMAINS)], difficulty, rng) for i in range(2 * half)]
    return [collate([author.plain(a) for a in asked[:half]]), collate([author.told(a) for a in asked[half:]])]


class Author:
    """Writes rows in the name of a mind."""

    def __init__(self, recipe: Recipe, draw: int, mind: Planner, rng: Random) -> None:
        self.recipe, self.mind, self.rng = recipe, mind, rng
        self.truth, self.know = tables.truth(draw), planner.knowing(draw, mind, rng)

    def plain(self, asked: Problem) -> Row:
        """Without p."""
        tells = problems.nothing(len(asked.slots))
        written, silent = self._written(asked, tells)
        written = scribe.with_notes(written, asked, [True] * len(asked.slots), self.mind.guesses, self.rng)
        return Row(text=asked.text, response=written, silent=silent)

    def told(self, asked: Problem) -> Row:
        """With p; some p lie, and what is written follows them."""
        kind = self.rng.choice(self.recipe.privileges)
        lie = self.rng.random() < self.recipe.lies
        tells = problems.false(asked, kind, self.rng) if lie else problems.honest(asked, kind, self.truth)
        alone = False
        if any(tells.codes):
            tells, alone = self._in_part(tells)
        written, silent = self._written(asked, tells)
        if any(tells.codes) and self.rng.random() < self.recipe.without_codes:
            notes = {STRIDE * i + NOTE for i, slot in enumerate(asked.slots) if slot.code != BLANK}
            written = [UNKNOWN if i in notes else word for i, word in enumerate(written)]
            silent |= notes
        else:
            written = scribe.with_notes(written, asked, tells.codes, self.mind.misreads, self.rng)
        if alone:
            silent |= untold(tells)
        text = " ".join([BLANK] * X_WORDS) if alone else asked.text
        return Row(text=text, privileged=problems.privileged_text(asked, tells), response=written, silent=silent)

    def _in_part(self, tells: Told) -> tuple[Told, bool]:
        """As a control shows it: masked, halved, or alone."""
        chance, recipe = self.rng.random(), self.recipe
        if chance < recipe.masked:
            return problems.masked(tells), False
        if chance < recipe.masked + recipe.halved:
            return problems.halved(tells), False
        return tells, chance < recipe.masked + recipe.halved + recipe.alone

    def _written(self, asked: Problem, tells: Told) -> tuple[list[str], frozenset[int]]:
        forced = scribe.slip(asked, self.rng) if self.rng.random() < self.recipe.slips else {}
        return scribe.write(asked, self.know, tells, forced), frozenset(forced)


def untold(tells: Told) -> frozenset[int]:
    """Places of the steps that do not follow from p."""
    out = set[int]()
    for i, choice in enumerate(tells.choices):
        known = {
            CHOICE: choice is not None,
            OP: choice is not None and tells.kind == EXECUTION,
            NOTE: tells.codes[i],
            RESULT: tells.results[i] is not None,
        }
        out |= {STRIDE * i + offset for offset, told in known.items() if not told}
    return frozenset(out)
