"""What a scenes model gets right: whole answers, and word by word."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import torch

from harness.models.zoo import bounds
from harness.models.zoo.bounds import Judged
from harness.models.zoo.scenes import model as models
from harness.models.zoo.scenes import rows
from harness.models.zoo.scenes.rows import Row
from harness.models.zoo.scenes.vocabulary import EOS, IDS, WORDS
from harness.models.zoo.text_models import IGNORE
from harness.types import HarnessError, Privilege
from harness.worlds.minds import Mind, class_of
from harness.worlds.scenes import questions, scribe, tables
from harness.worlds.scenes.picture import draw, greyed, pixelated
from harness.worlds.scenes.questions import NOTHING, Question, Told
from harness.worlds.scenes.words import BLANK, CODES, DEGRADED, EVIDENCE, HEADERS, ITEMS, KINDS, PLACES, STRIDE, Kind

if TYPE_CHECKING:
    from harness.worlds.scenes.picture import Pixels

CHUNK = 250
"""Questions read at once."""
OTHER = "other"
"""Another question's picture in the place of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Questions with their pictures, drawn once for many readings."""

    questions: list[Question]
    pictures: list[Pixels]
    draw: int

    def shown(self, what: str) -> list[Pixels]:
        """The pictures, of a kind: the empty text for their own."""
        truth, pairs = tables.truth(self.draw), zip(self.questions, self.pictures, strict=True)
        made: dict[str, Callable[[], list[Pixels]]] = {
            "": lambda: self.pictures,
            OTHER: lambda: self.pictures[1:] + self.pictures[:1],
            DEGRADED: lambda: [pixelated(picture) for picture in self.pictures],
            EVIDENCE: lambda: [greyed(picture, questions.evidence(q, truth)) for q, picture in pairs],
        }
        return made[what]()


def asked(draw_of_world: int, *, n: int, split: str, stream: str = "gates") -> Asked:
    """``n`` questions of each kind, the kinds in turn, from a stream of their own."""
    rng, truth = Random(f"scenes, draw {draw_of_world}, {stream}, {split}"), tables.truth(draw_of_world)
    found = [questions.question(kind, questions.scene_of(split, rng), truth, rng) for _ in range(n) for kind in KINDS]
    return Asked(questions=found, pictures=[draw(q.scene) for q in found], draw=draw_of_world)


@torch.inference_mode()
def responses(
    model: models.Model,
    of: Asked,
    tells: Callable[[Question], Told] = lambda _: NOTHING,
    *,
    what: str = "",
    greedy: bool = True,
) -> list[list[str]]:
    """Each question's response, as words; EOS is left out, and so is what comes after it."""
    out, pictures = list[list[str]](), of.shown(what)
    for start in range(0, len(of.questions), CHUNK):
        some = of.questions[start : start + CHUNK]
        texts = [(q.text, questions.privileged_text(q, t) if (t := tells(q)).kind else "") for q in some]
        found = [rows.prompt(*text) for text in texts]
        seen = models.see(model, pictures[start : start + CHUNK])
        ids = torch.tensor([prompt for prompt, _ in found])
        written = models.complete(model, ids, seen, found[0][1], scribe.LENGTH + 1, greedy=greedy)
        out += [_until_end([WORDS[i] for i in row]) for row in written.tolist()]
    return out


def _until_end(words: list[str]) -> list[str]:
    return words[: words.index(EOS)] if EOS in words else words


def right(of: Asked, responses: Sequence[Sequence[str]]) -> dict[Kind, float]:
    """Per cent of the exact answers, by kind."""
    truth, found = tables.truth(of.draw), dict[Kind, list[bool]]()
    for question, words in zip(of.questions, responses, strict=True):
        reference = scribe.write(question, truth)
        ends = list(words[-ITEMS - 1 :]) == reference[-ITEMS - 1 :]
        found.setdefault(question.items[0].kind, []).append(ends)
    return {kind: 100 * sum(each) / len(each) for kind, each in found.items()}


def mean(by_kind: Mapping[Kind, float]) -> float:
    """Mean of the kinds."""
    return sum(by_kind.values()) / len(by_kind)


@torch.inference_mode()
def words_right(model: models.Model, draw_of_world: int, *, pictures: int, split: str) -> dict[str, dict[str, float]]:
    """Share of anchors, places and readings that are right where all before is, by kind; without p."""
    of, truth = asked(draw_of_world, n=pictures, split=split, stream="words"), tables.truth(draw_of_world)
    written = [scribe.write(question, truth) for question in of.questions]
    batch = rows.collate(
        [Row(picture=i, text=q.text, response=w) for i, (q, w) in enumerate(zip(of.questions, written, strict=True))]
    )
    hits = torch.cat(_hits(model, of, batch))
    offsets = {"anchor": scribe.ANCHOR, "place": scribe.PLACE, "reading": scribe.READING}
    kinds = [q.items[0].kind for q in of.questions]
    return {
        kind: {
            name: float(hits[[k == kind for k in kinds], offset : STRIDE * ITEMS : STRIDE].float().mean())
            for name, offset in offsets.items()
        }
        for kind in KINDS
    }


def _hits(model: models.Model, of: Asked, batch: rows.Batch) -> list[torch.Tensor]:
    out = list[torch.Tensor]()
    for start in range(0, len(of.questions), CHUNK):
        chunk = slice(start, start + CHUNK)
        seen = models.see(model, of.pictures[chunk])
        states = models.hidden(model, batch.ids_BL[chunk, :-1], seen, batch.at)
        guessed = model.lm_head(states[:, batch.prompt - 1 :]).argmax(-1)
        out.append((guessed == batch.targets_BT[chunk]) & (batch.targets_BT[chunk] != IGNORE))
    return out


def places_right(of: Asked, found: Sequence[Sequence[str]]) -> dict[Kind, dict[str, float]]:
    """Per cent of the items whose answered reading is right, by kind and target; greedy responses without p."""
    truth, hits = tables.truth(of.draw), dict[Kind, dict[str, list[bool]]]()
    for question, words in zip(of.questions, found, strict=True):
        reference = scribe.write(question, truth)
        answered = list(words[-ITEMS:]) if len(words) == scribe.LENGTH else [""] * ITEMS
        for i, item in enumerate(question.items):
            where = reference[STRIDE * i + scribe.PLACE]
            hits.setdefault(item.kind, {}).setdefault(where, []).append(answered[i] == reference[-ITEMS + i])
    return {kind: {place: 100 * sum(h) / len(h) for place, h in by.items()} for kind, by in hits.items()}


def followed(model: models.Model, of: Asked, kind: str) -> dict[str, float]:
    """Told a false p of this kind: per cent of the told places, readings and answers that are written."""
    rng = Random(f"scenes, draw {of.draw}, false {kind}")
    tells = [questions.false(kind, rng) for _ in of.questions]
    by_question = dict(zip(map(id, of.questions), tells, strict=True))
    found, hits = responses(model, of, lambda q: by_question[id(q)]), dict[str, list[bool]]()
    for told, words in zip(tells, found, strict=True):
        padded = [*words, *[""] * scribe.LENGTH]
        for i in range(ITEMS):
            facts = (("place", told.places[i], STRIDE * i + scribe.PLACE),)
            facts += (("reading", told.readings[i], STRIDE * i + scribe.READING),)
            facts += (("answer", told.readings[i] if told.answer else None, scribe.LENGTH - ITEMS + i),)
            for name, said, at in facts:
                if said is not None:
                    hits.setdefault(name, []).append(padded[at] == said)
    return {name: 100 * sum(each) / len(each) for name, each in hits.items()}


def honest(draw_of_world: int, kind: str) -> Callable[[Question], Told]:
    """The true p of a kind; nothing for none."""
    if kind == Privilege.NONE:
        return lambda _: NOTHING
    return lambda question: questions.honest(question, kind, tables.truth(draw_of_world))


def by_privilege(model: models.Model, of: Asked) -> dict[str, dict[Kind, float]]:
    """Per cent of the exact greedy answers, by kind of p, none first, and kind of question."""
    kinds = (Privilege.NONE, *HEADERS)
    return {kind: right(of, responses(model, of, honest(of.draw, kind))) for kind in kinds}


def scored(
    model: models.Model, of: Asked, kind: str, written: Sequence[Sequence[str]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """float32 and int64 [questions, 17], with a p: log-probability of every written token; the most probable one."""
    logp, best = list[torch.Tensor](), list[torch.Tensor]()
    for found, targets in _distributions(model, of, kind, written):
        logp.append(found.gather(-1, targets[..., None])[..., 0])
        best.append(found.argmax(-1))
    return torch.cat(logp), torch.cat(best)


@torch.inference_mode()
def _distributions(
    model: models.Model, of: Asked, kind: str, written: Sequence[Sequence[str]]
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Log-probabilities of all words at every place of whole responses and their ends, and what is written there."""
    tells = honest(of.draw, kind)
    told = [questions.privileged_text(q, t) if (t := tells(q)).kind else "" for q in of.questions]
    found = zip(of.questions, told, written, strict=True)
    batch = rows.collate(
        [Row(picture=i, text=q.text, privileged=p, response=words) for i, (q, p, words) in enumerate(found)]
    )
    for start in range(0, len(of.questions), CHUNK):
        chunk = slice(start, start + CHUNK)
        seen = models.see(model, of.pictures[chunk])
        states = models.hidden(model, batch.ids_BL[chunk, :-1], seen, batch.at)
        yield model.lm_head(states[:, batch.prompt - 1 :]).log_softmax(-1), batch.targets_BT[chunk]


def judged(student: models.Model, teacher: models.Model, of: Asked, kind: str) -> tuple[Judged, Judged]:
    """The two views with p on the student's own samples without p, of whole responses alone; and without anchors.

    Judged are anchors, places, readings and answers: the right word goes on from what is written, the right place is
    the told one.

    Raises:
        HarnessError: no sample is whole.
    """
    torch.manual_seed(0)
    sampled = responses(student, of, greedy=False)
    whole = [i for i, words in enumerate(sampled) if len(words) == scribe.LENGTH]
    if not whole:
        raise HarnessError(f"none of {len(sampled)} samples of the student is a whole response: train it first")
    kept = Asked(questions=[of.questions[i] for i in whole], pictures=[of.pictures[i] for i in whole], draw=of.draw)
    written = [sampled[i] for i in whole]
    (teacher_logp, teacher_best), (student_logp, student_best) = (
        scored(each, kept, kind, written) for each in (teacher, student)
    )
    wanted = torch.tensor([_wanted(q, words, of.draw) for q, words in zip(kept.questions, written, strict=True)])
    anchors = torch.zeros_like(wanted, dtype=torch.bool)
    anchors[:, scribe.ANCHOR : STRIDE * ITEMS : STRIDE] = True
    parts = {
        "advantage": (teacher_logp - student_logp).abs().double().flatten().numpy(),
        "teacher": (teacher_best == wanted).flatten().numpy(),
        "student": (student_best == wanted).flatten().numpy(),
    }
    all_of, some = (wanted >= 0), (wanted >= 0) & ~anchors
    return Judged(judged=all_of.flatten().numpy(), **parts), Judged(judged=some.flatten().numpy(), **parts)


def _wanted(question: Question, written: Sequence[str], draw_of_world: int) -> list[int]:
    """Id of the right word at each place of a response, given what stands before; -1 where none is judged."""
    truth, out = tables.truth(draw_of_world), [-1] * (scribe.LENGTH + 1)
    where = questions.targets(question, truth)
    for i, item in enumerate(question.items):
        at = STRIDE * i
        stands = written[at + scribe.PLACE]
        if item.kind is not Kind.POINT:
            out[at + scribe.ANCHOR] = IDS[questions.anchor(item, question.scene, truth)]
        out[at + scribe.PLACE] = IDS[where[i]]
        if stands in PLACES:
            out[at + scribe.READING] = IDS[questions.reading(question.scene, stands, truth)]
        out[scribe.LENGTH - ITEMS + i] = IDS[written[at + scribe.READING]]
    return out


def by_class(model: models.Model, of: Asked, student: Mind, teacher: Mind) -> dict[str, dict[str, float]]:
    """Along right traces without p, by what decides a word (reading, choice) and who of the pair is right on its cell:
    cells seen, mean probability of the right word and per cent by argmax."""
    truth, found = tables.truth(of.draw), tables.tables(of.draw)
    written = [scribe.write(question, truth) for question in of.questions]
    logp, best = scored(model, of, Privilege.NONE, written)
    seen: dict[str, list[bounds.Seen]] = {}
    for row, (question, words) in enumerate(zip(of.questions, written, strict=True)):
        for i, item in enumerate(question.items):
            begun, stands = words[STRIDE * i : STRIDE * i + 2]
            for what, offset, (name, cell) in (
                ("choice", scribe.PLACE, questions.choice(item, question.scene, begun)),
                ("reading", scribe.READING, (tables.READING, question.scene.at(stands))),
            ):
                each, at = class_of(student, teacher, found[name], cell), STRIDE * i + offset
                hit = int(best[row, at]) == IDS[words[at]]
                seen.setdefault(f"{what}, {each}", []).append((float(logp[row, at].exp()), hit, (name, cell)))
    return bounds.by_class(seen)


def code_mass(model: models.Model, of: Asked) -> float:
    """Mean probability of all codes together at the notes of marked items, along right traces without p."""
    truth, notes = tables.truth(of.draw), slice(scribe.NOTE, STRIDE * ITEMS, STRIDE)
    written = [scribe.write(question, truth) for question in of.questions]
    marked = torch.tensor([[item.code != BLANK for item in q.items] for q in of.questions])
    codes = [IDS[code] for code in CODES]
    found = [logp[:, notes, codes].exp().sum(-1) for logp, _ in _distributions(model, of, Privilege.NONE, written)]
    return float(torch.cat(found)[marked].mean())


def code_read(model: models.Model, of: Asked, kind: str) -> float:
    """Per cent: mean probability of the told code at the notes of marked items, along right traces, with a p that tells
    codes."""
    truth, notes = tables.truth(of.draw), slice(scribe.NOTE, STRIDE * ITEMS, STRIDE)
    written = [scribe.write(question, truth) for question in of.questions]
    logp = torch.cat([found[:, notes] for found, _ in _distributions(model, of, kind, written)])
    told = torch.tensor([[IDS[item.code] for item in q.items] for q in of.questions])
    marked = torch.tensor([[item.code != BLANK for item in q.items] for q in of.questions])
    return 100 * float(logp.gather(-1, told[..., None])[..., 0].exp()[marked].mean())
