"""Audits: judged by hand, routed as the method would, deterministic, and without a trace on what they read."""

from __future__ import annotations

import dataclasses
import importlib
import random
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from support import language
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harness import registry
from harness.config import RunSpec
from harness.evaluation.audits import (
    AUDIT,
    AUDITS,
    CLASSES,
    SOURCE_OF,
    Findings,
    Subject,
    Unit,
    audit,
    cells,
    routing,
    support,
    transfer,
)
from harness.evaluation.audits.reference import Verdict, each_once, judge, span_of_tokens, trace_of
from harness.evaluation.audits.routing import Routed, record, regime_values, route, routing_method
from harness.evaluation.audits.transfer import Places, places_of, with_p, without_p
from harness.losses.objectives import Support
from harness.models import load
from harness.models.prompts import Prompts, render
from harness.models.reader import TextReader
from harness.models.sampler import RolloutBatch, from_texts
from harness.profile import DEVELOPMENT_SEEDS
from harness.runs.run import evaluate_missing
from harness.storage import files
from harness.storage.run_folder import RunFolder
from harness.suite import Evaluation, Options, reference_run, training_run
from harness.types import Assignment, Example, Fact, Finish, HarnessError, Policy, Privilege, ScorePool, text_of
from harness.worlds import privilege
from harness.worlds.world import word_spans
from methods import METHODS
from methods.dopd import REGIMES, DualOnPolicyDistillation, Side
from suites.regime_audit import READ

PROFILE = registry.profile("embedded").in_draw(language.DRAW)
SEED = DEVELOPMENT_SEEDS
"""It runs this draw."""
WORLD = language.WORLD
STEP = 30
ROLLOUTS = routing.ROLLOUTS


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return load.load_tokenizer(PROFILE.student)


@cache
def student() -> PreTrainedModel:
    return load.load(PROFILE.student)


def run(**changes: Any) -> RunSpec:
    options = Options(suite="none")
    spec = training_run(PROFILE, options, method="dopd", domains=PROFILE.data.domains, seed=SEED)
    return dataclasses.replace(spec, **changes)


def subject(spec: RunSpec, tokenizer: PreTrainedTokenizerBase, step: int = STEP) -> Subject:
    """The student as it came stands in for any checkpoint."""
    folder = RunFolder(Path("nowhere"), spec)
    return Subject(folder=folder, step=step, student=student, reader=TextReader(tokenizer))


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """The audits are the same on fewer problems."""
    monkeypatch.setattr(routing, "PROBLEMS", 6)
    monkeypatch.setattr(routing, "ROLLOUTS", 2)
    monkeypatch.setattr(transfer, "PROBLEMS", 9)
    monkeypatch.setattr(cells, "PROBLEMS", 9)


KINDS = {"c": Fact.CAPABILITY, "i": Fact.INFORMATION, "f": Fact.FORMAT}
EXAMPLE = dataclasses.replace(
    language.example("coding", "test", 0, (2, 2)),
    trace="A C k4 6 B D . 2 ! 2",
    answer="2",
    difficulty=2,
    facts=word_spans("A C k4 6 B D . 2 ! 2", [KINDS[letter] for letter in "ccicccfcfc"]),
)
"""Two steps; the first note is a code, the second is blank, and the grader reads neither."""
GRADED = [True, True, False, True, True, True, False, True, True, True, True]
"""With the end."""


def written(tokenizer: PreTrainedTokenizerBase, *texts: str, example: Example = EXAMPLE) -> RolloutBatch:
    prompts = Prompts.of_ids([[5]], 0).continued_by(torch.zeros(len(texts), dtype=torch.int64))
    return from_texts(TextReader(tokenizer), [example], prompts, texts)


# What the reference says of a token.


def test_targets_are_the_words_the_grader_reads(tokenizer: PreTrainedTokenizerBase) -> None:
    found = trace_of(TextReader(tokenizer), WORLD, EXAMPLE)
    assert [span is None for span in found.free] == GRADED
    assert " ".join(tokenizer.batch_decode([[id] for id in found.ids])) == f"{EXAMPLE.trace} <|im_end|>"
    assert [i for i, only_p in enumerate(found.information) if only_p] == [2]


RIGHT = "A C _ 6 B D . 2 ! 2"
CASES = {
    "right": (RIGHT, None),
    "any note will do": ("A C k1 6 B D 7 2 ! 2", None),
    "one wrong choice, later words happen to be right": ("A C _ 6 A D . 2 ! 2", 4),
    "two errors": ("A E _ 6 A D . 2 ! 2", 1),
    "ends early": ("A C _ 6", 4),
    "ends where any word would do": ("A C", 2),
    "goes on": ("A C _ 6 B D . 2 ! 2 2", 10),
}


@pytest.mark.parametrize("name", CASES)
def test_the_first_error_by_hand(name: str, tokenizer: PreTrainedTokenizerBase) -> None:
    text, at = CASES[name]
    verdict = judge(TextReader(tokenizer), WORLD, written(tokenizer, text))
    length = len(text.split()) + 1
    assert verdict.first_error_BT[0].nonzero().flatten().tolist() == ([] if at is None else [at])
    until = length if at is None else at + 1
    assert verdict.judged_BT[0].tolist() == [GRADED[i] and i < until if i < 11 else False for i in range(length)]
    assert verdict.information_BT[0].nonzero().flatten().tolist() == ([2] if at is None or at >= 2 else [])


def test_rollouts_of_different_lengths_and_problems(tokenizer: PreTrainedTokenizerBase) -> None:
    other = language.example("general", "test", 1)
    prompts = Prompts.of_ids([[5], [6]], 0).continued_by(torch.tensor([1, 0, 0]))
    rollouts = from_texts(TextReader(tokenizer), [other, EXAMPLE], prompts, [RIGHT, RIGHT, language.plain_trace(other)])
    verdict = judge(TextReader(tokenizer), WORLD, rollouts)
    assert verdict.first_error_BT.sum(-1).tolist() == [0, 1, 0]
    assert not (verdict.judged_BT | verdict.first_error_BT | verdict.information_BT)[~rollouts.mask_BT].any()
    assert (verdict.target_BT[~rollouts.mask_BT] == -1).all()


def test_a_rollout_that_was_cut_has_no_error_at_its_end(tokenizer: PreTrainedTokenizerBase) -> None:
    whole = written(tokenizer, "A C _")
    mask_BT = torch.tensor([[True, True, True, False]])
    cut = dataclasses.replace(whole, mask_BT=mask_BT, finish=(Finish.LENGTH,))
    assert not judge(TextReader(tokenizer), WORLD, cut).first_error_BT.any()


@pytest.mark.slow
def test_no_first_error_is_what_the_grader_accepts(tokenizer: PreTrainedTokenizerBase) -> None:
    found = route(subject(run(), tokenizer), problems=18, rollouts=2, audit="regimes")
    grades = [
        language.grade(found.rollouts.examples[p], text).trace
        for p, text in zip(
            found.rollouts.prompt_of_B.tolist(), found.rollouts.responses(TextReader(tokenizer)), strict=True
        )
    ]
    assert (~found.verdict.first_error_BT.any(-1)).tolist() == grades
    assert 5 < sum(grades) < 31


@pytest.mark.parametrize("kind", [str(Privilege.NONE), *WORLD.privileges])
def test_tokens_of_permutations_have_the_facts_of_its_words(tokenizer: PreTrainedTokenizerBase, kind: str) -> None:
    """As before facts were spans: one token a word, and what the word is by its place or its spelling."""
    reader = TextReader(tokenizer)
    for i, domain in enumerate(language.DOMAINS * 4):
        example = language.example(domain, "test", i, language.HARD_DIFFICULTY)
        marked = iter(text_of(example.messages[0]).split()[3 :: language.STRIDE])
        by_place = [*("cc?c" * (example.difficulty or 0)), "f", "c"]
        words = ["if"[next(marked) != "?"] if letter == "?" else letter for letter in by_place]
        texts = [
            (example.trace or "", example.facts, words),
            (language.plain_trace(example), language.plain_facts(example), words),
        ]
        if kind != Privilege.NONE:
            said = example.privileged[kind]
            by_spelling = [
                "i" if w in language.CODES else "c" if re.fullmatch(r"[A-V]|\d", w) else "f" for w in said.split()
            ]
            texts.append((said, language.privileged_facts(example, kind), by_spelling))
        for text, spans, letters in texts:
            found = span_of_tokens(reader.places(text), spans)
            assert [span and span.kind for span in found] == [KINDS[letter] for letter in letters]


# Regimes.


def by_hand() -> Routed:
    """Two rollouts of three tokens and one of two; regimes LH LH HT | HS LL HT | LH HS; targets 5 but one note."""
    rollouts = RolloutBatch(
        examples=(EXAMPLE,),
        prompts=Prompts.of_ids([[5]], 0).continued_by(torch.tensor([0, 0, 0])),
        response_ids_BT=torch.tensor([[5, 5, 5], [5, 7, 5], [5, 7, 0]]),
        mask_BT=torch.tensor([[True] * 3, [True] * 3, [True, True, False]]),
        logp_BT=torch.zeros(3, 3),
        finish=(Finish.EOS,) * 3,
    )
    return Routed(
        rollouts=rollouts,
        assignment=Assignment(
            mask_BT=rollouts.mask_BT,
            labels_BT=torch.tensor([[0, 0, 2], [3, 1, 2], [0, 3, -1]]),
            label_names=REGIMES,
            metrics={"threshold/gap": 0.1},
        ),
        logp_BT={"teacher": torch.zeros(3, 3), "self": torch.full((3, 3), -1.0)},
        top_BT={
            "student": torch.tensor([[5, 6, 5], [5, 6, 5], [5, 6, -1]]),
            "plain_teacher": torch.tensor([[6, 6, 6], [6, 6, 6], [6, 6, -1]]),
            "teacher": torch.tensor([[5, 5, 5], [6, 5, 5], [6, 6, -1]]),
            "self": torch.tensor([[5, 5, 6], [5, 5, 5], [6, 5, -1]]),
        },
        verdict=Verdict(
            target_BT=torch.tensor([[5, 5, 5], [5, 5, 5], [-1, 5, -1]]),
            judged_BT=torch.tensor([[True] * 3, [True, True, False], [False, True, False]]),
            information_BT=torch.tensor([[False] * 3, [False] * 3, [True, False, False]]),
            first_error_BT=torch.tensor([[False] * 3, [False, True, False], [False, True, False]]),
        ),
    )


def test_values_of_the_regimes_by_hand() -> None:
    third = pytest.approx(3 / 8)
    assert regime_values(by_hand()) == {
        # Of eight tokens LH has three; one of them is a note, so two are judged.
        "LH/share": third,
        "LH/first_error": 0,
        "LH/information": 1,
        "LH/right": 1,
        "LH/student_right": 0.5,
        "LH/plain_teacher_right": 0,
        "LH/teacher_right": 1,
        "LH/self_right": 1,
        "LH/source_right": 1,
        "LL/share": 0.125,
        "LL/first_error": 0.5,
        "LL/information": 0,
        "LL/right": 0,
        "LL/student_right": 0,
        "LL/plain_teacher_right": 0,
        "LL/teacher_right": 1,
        "LL/self_right": 1,
        "LL/source_right": 1,
        # The second one follows an error.
        "HT/share": 0.25,
        "HT/first_error": 0,
        "HT/information": 0,
        "HT/right": 1,
        "HT/student_right": 1,
        "HT/plain_teacher_right": 0,
        "HT/teacher_right": 1,
        "HT/self_right": 0,
        "HT/source_right": 1,
        "HS/share": 0.25,
        "HS/first_error": 0.5,
        "HS/information": 0,
        "HS/right": 0.5,
        "HS/student_right": 0.5,
        "HS/plain_teacher_right": 0,
        "HS/teacher_right": 0,
        "HS/self_right": 1,
        "HS/source_right": 1,
    }


def test_a_metric_without_tokens_is_absent() -> None:
    found = by_hand()
    nothing = torch.zeros_like(found.verdict.first_error_BT)
    assert found.assignment.labels_BT is not None
    all_lh = dataclasses.replace(found.assignment, labels_BT=found.assignment.labels_BT.clamp(max=0))
    verdict = dataclasses.replace(found.verdict, first_error_BT=nothing, information_BT=nothing)
    values = regime_values(dataclasses.replace(found, assignment=all_lh, verdict=verdict))
    assert values["LH/share"] == 1 and not any(name.endswith(("first_error", "information")) for name in values)
    assert {name for name in values if not name.startswith("LH")} == {"LL/share", "HT/share", "HS/share"}


def test_regimes_and_sources_are_those_of_the_method() -> None:
    method = routing_method("embedded")
    assert isinstance(method, DualOnPolicyDistillation) and tuple(SOURCE_OF) == REGIMES
    sides = {Side.TEACHER: "teacher", Side.STUDENT: "self"}
    assert [sides[s.source] for s in method.supervision()] == list(SOURCE_OF.values())
    assert method.k == PROFILE.method("dopd").settings["k"]


def test_without_a_method_that_knows_the_regimes_there_is_no_routing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by what it labels tokens with, not by a name; the first that does, in the order of tables."""
    monkeypatch.setattr(registry, "methods", lambda: {"vanilla_opd": METHODS["vanilla_opd"]})
    with pytest.raises(HarnessError, match="no method labels tokens with LH, LL, HT, HS: register one"):
        routing_method("embedded")


@pytest.mark.slow
def test_routing_is_the_methods_own(tokenizer: PreTrainedTokenizerBase) -> None:
    """Labels and most probable tokens again, from one full forward pass per rollout."""
    found = route(subject(run(), tokenizer), problems=4, rollouts=3, audit="regimes")
    assert PROFILE.teacher is not None
    teacher, kind = load.load(PROFILE.teacher), PROFILE.data.privilege
    readers = {
        "student": (student(), Privilege.NONE),
        "plain_teacher": (teacher, Privilege.NONE),
        "teacher": (teacher, kind),
        "self": (student(), kind),
    }
    logp = {name: full_logp(tokenizer, model, found.rollouts, kind) for name, (model, kind) in readers.items()}
    mask_BT, ids_BT = found.mask_BT, found.rollouts.response_ids_BT
    for name, logp_BTV in logp.items():
        assert (found.top_BT[name] == logp_BTV.argmax(-1))[mask_BT].all(), name
    method = routing_method("embedded")
    views = {view.policy: view for view in method.terms[0].sources}
    sampled = {name: logp[name].gather(-1, ids_BT[..., None]).squeeze(-1) for name in ("teacher", "self")}
    B = len(mask_BT)
    pool = ScorePool(
        mask_BT=mask_BT,
        logp_BT={views[Policy.TEACHER]: sampled["teacher"], views[Policy.STUDENT]: sampled["self"]},
        entropy_BT={},
        sampler_logp_BT=found.rollouts.logp_BT,
        group_B=torch.zeros(B, dtype=torch.long),
        update_B=torch.zeros(B, dtype=torch.long),
        draw_B=torch.zeros(B),
        reference_B=torch.zeros(B, dtype=torch.bool),
    )
    expected = method.assign(pool, progress=0.0)
    assert expected.labels_BT is not None and (found.label_BT == expected.labels_BT).all()
    assert found.assignment.metrics == pytest.approx(expected.metrics, abs=1e-5)
    for name, logp_BT in sampled.items():
        torch.testing.assert_close(found.logp_BT[name][mask_BT], logp_BT[mask_BT], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def full_logp(
    tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, rollouts: RolloutBatch, kind: Privilege
) -> Tensor:
    """[B, T, V], without cache or padding."""
    out = torch.zeros(*rollouts.response_ids_BT.shape, model.config.vocab_size)
    for b, p in enumerate(rollouts.prompt_of_B.tolist()):
        prompt = TextReader(tokenizer).ids(privilege.messages(rollouts.examples[p], kind))
        response = rollouts.response_ids_BT[b][rollouts.mask_BT[b]]
        logits = model(input_ids=torch.cat([torch.tensor(prompt), response])[None]).logits[0]
        out[b, : len(response)] = logits.log_softmax(-1)[len(prompt) - 1 : -1]
    return out


def test_captions_say_how_many_rollouts() -> None:
    assert f" {ROLLOUTS} to each of " in READ


# Trajectories.


def test_records_of_a_trajectory(tokenizer: PreTrainedTokenizerBase) -> None:
    spec = run()
    found = audit("trajectory", subject(spec, tokenizer))
    assert found.n == len(found.records) == 12
    assert [r["id"] for r in found.records] == [
        f"draw{language.DRAW}/{d}/test/{i}" for i in range(4) for d in PROFILE.data.domains
    ]
    assert {(r["run"], r["step"]) for r in found.records} == {(spec.id, STEP)}
    assert files.jsonl(found.records)  # plain values only
    for each in found.records:
        assert set(each["thresholds"]) == {"gap", "q_teacher", "q_student"}
        assert each["privileged"].startswith("hints ") and each["prompt"].startswith(each["id"].split("/")[1])
        for token in each["tokens"]:
            assert list(token) == ["text", "regime", "gap", "q_teacher", "q_student", "right"]
            assert 0 <= token["q_teacher"] <= 1 and 0 <= token["q_student"] <= 1 and token["gap"] >= 0
        judged = [token["right"] for token in each["tokens"] if token["right"] is not None]
        assert False not in judged[:-1]  # nothing is judged after an error
    tokens = [token for each in found.records for token in each["tokens"]]
    for regime in SOURCE_OF:
        share = sum(token["regime"] == regime for token in tokens) / len(tokens)
        assert found.values[regime] == pytest.approx(share)
    assert found.values["right"] == sum(r["right"] for r in found.records) / 12


def test_thresholds_are_of_a_batch_as_in_training(
    tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    assign = DualOnPolicyDistillation.assign

    def counted(self: DualOnPolicyDistillation, pool: ScorePool, *, progress: float) -> Assignment:
        sizes.append(len(pool.mask_BT))
        return assign(self, pool, progress=progress)

    monkeypatch.setattr(DualOnPolicyDistillation, "assign", counted)
    audit("trajectory", subject(run(), tokenizer))
    assert sizes == [PROFILE.prompts_per_step * PROFILE.rollouts_per_prompt]


def test_a_record_by_hand(tokenizer: PreTrainedTokenizerBase) -> None:
    found = by_hand()
    hinted = dataclasses.replace(EXAMPLE, privileged={Privilege.HINTS: "hints A . k4 ."})
    found = dataclasses.replace(found, rollouts=dataclasses.replace(found.rollouts, examples=(hinted,)))
    made = record(subject(run(), tokenizer), found, 2)
    words = tokenizer.batch_decode([[5], [7]])
    common = {"gap": 1.0, "q_teacher": 1.0, "q_student": pytest.approx(0.367879)}
    assert made["tokens"] == [
        {"text": words[0], "regime": "LH", "right": None, **common},
        {"text": words[1], "regime": "HS", "right": False, **common},
    ]
    assert made["thresholds"] == {"gap": 0.1} and made["right"] is False


# Transfer.


def test_places_are_the_plain_reference_with_its_end(tokenizer: PreTrainedTokenizerBase) -> None:
    examples = [EXAMPLE, language.example("general", "test", 0)]
    places = places_of(TextReader(tokenizer), WORLD, examples, [language.plain_trace(e) for e in examples])
    assert tokenizer.batch_decode([[code] for code in places.asserted]) == list(language.CODES)
    words = tokenizer.batch_decode(places.target_N[:11, None])
    assert words == [*RIGHT.split(), "<|im_end|>"]
    told = tokenizer.batch_decode(places.told_N[:11, None])
    assert [i for i, (a, b) in enumerate(zip(words, told, strict=True)) if a != b] == [2] and told[2] == "k4"
    assert places.facts[:11] == (*(span.kind for span in EXAMPLE.facts), Fact.FORMAT)
    assert len(places.facts) == len(places.target_N) == 11 + len(examples[1].facts) + 1


def test_values_of_transfer_by_hand(tokenizer: PreTrainedTokenizerBase) -> None:
    """Two tokens that x decides, two that only p knows, one of the format."""
    a, b, unknown, k0, k4, end = [*tokenizer("A B _ k0 k4")["input_ids"], tokenizer.eos_token_id]
    places = Places(
        facts=(Fact.CAPABILITY, Fact.CAPABILITY, Fact.INFORMATION, Fact.INFORMATION, Fact.FORMAT),
        target_N=torch.tensor([a, b, unknown, unknown, end]),
        told_N=torch.tensor([a, b, k4, k0, end]),
        asserted=(k0, k4),
    )
    p_NV = torch.full((5, len(tokenizer)), 1e-12)
    for row, masses in enumerate(
        ({a: 0.9, b: 0.1}, {a: 0.7, b: 0.3}, {unknown: 0.5, k0: 0.3, k4: 0.1, a: 0.1}, {unknown: 1.0}, {end: 1.0})
    ):
        for token, mass in masses.items():
            p_NV[row, token] = mass
    assert without_p(p_NV.log(), places) == pytest.approx(
        {
            "capability_probability": 0.6,
            "capability_top1": 0.5,
            "format_top1": 1.0,
            "information_abstained": 0.75,
            "information_asserted": 0.2,
            "information_other": 0.05,
            "information_right": 0.05,
        },
        abs=1e-6,
    )
    expected = {"capability_top1_with_p": 0.5, "information_right_with_p": 0.05}
    assert with_p(p_NV.log(), places) == pytest.approx(expected, abs=1e-6)


def test_teacher_forcing_reads_what_a_full_pass_reads(tokenizer: PreTrainedTokenizerBase) -> None:
    examples = [EXAMPLE, language.example("general", "test", 0)]
    reader, texts = TextReader(tokenizer), [language.plain_trace(e) for e in examples]
    forced = from_texts(reader, examples, render(reader, examples), texts)
    for kind in (Privilege.NONE, Privilege.HINTS):
        expected = full_logp(tokenizer, student(), forced, kind)[forced.mask_BT]
        found = transfer.logp(student(), reader, examples, texts, kind)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_transfer_reads_the_same_problems_of_every_run(tokenizer: PreTrainedTokenizerBase) -> None:
    """An untrained model, and runs on one domain, on corrupted p and without p, all with the same weights."""
    reference = audit("transfer", subject(reference_run(PROFILE, PROFILE.student), tokenizer, 0))
    trained = run().data
    assert trained is not None and set(reference.values) == set(AUDITS["transfer"].metrics)
    alone = run(data=dataclasses.replace(trained, domains=("coding",)))
    assert audit("transfer", subject(alone, tokenizer)).values == reference.values
    without = run(data=dataclasses.replace(trained, privilege=Privilege.NONE))
    rest = {name: value for name, value in reference.values.items() if not name.endswith("_with_p")}
    assert audit("transfer", subject(without, tokenizer)).values == rest
    masses = [reference.values[f"information_{name}"] for name in ("abstained", "asserted", "other")]
    assert sum(masses) == pytest.approx(1) and masses[0] > 0.9  # this student abstains
    assert reference.values["information_right_with_p"] > 0.9  # and reads p


# Classes of tokens.


CELLS = cells.Read(
    class_N=torch.tensor([0, 0, 1, 1, 1, 2, 2]),
    before_N=torch.tensor([True, False, False, False, False, True, True]),
    right_N=torch.tensor([True, True, True, True, False, False, True]),
    probability_N=torch.tensor([0.9, 0.7, 0.8, 0.6, 0.1, 0.2, 0.6], dtype=torch.float64),
)


def test_values_of_the_classes_by_hand() -> None:
    """Two words both have, of which one was learnt; three of the teacher's, of which two were; of two of the student's
    one was lost; none that neither has, and none to learn or to lose where all were right or wrong."""
    assert dict(cells.cell_values(CELLS)) == pytest.approx(
        {
            "both/share": 2 / 7,
            "both/right": 1.0,
            "both/probability": 0.8,
            "both/learnt": 1.0,
            "both/lost": 0.0,
            "teacher_only/share": 3 / 7,
            "teacher_only/right": 2 / 3,
            "teacher_only/probability": 0.5,
            "teacher_only/learnt": 2 / 3,
            "student_only/share": 2 / 7,
            "student_only/right": 0.5,
            "student_only/probability": 0.4,
            "student_only/lost": 0.5,
            "neither/share": 0.0,
        }
    )


def test_a_class_says_who_has_the_word() -> None:
    found = cells.class_of(torch.tensor([True, True, False, False]), torch.tensor([True, False, True, False]))
    assert [CLASSES[i] for i in found] == ["both", "teacher_only", "student_only", "neither"]


def test_values_of_the_routes_by_hand() -> None:
    """Six tokens are judged. Teacher and untrained student have: both, both, teacher | student, teacher | student."""
    untrained_BT = torch.tensor([[5, 5, 6], [5, 6, 5], [6, 5, -1]])
    expected_BT = torch.tensor([[0.9, 0.7, 0.4], [0.2, 0.6, 0.9], [0.9, 0.1, 0.0]], dtype=torch.float64)
    # Judged tokens are one nat apart, one of the two others three; of eight tokens the mean is 1.25.
    self_BT = torch.tensor([[-1.0, 1.0, -1.0], [-1.0, 1.0, -3.0], [-1.0, -1.0, -9.0]])
    routed = by_hand()
    routed = dataclasses.replace(routed, logp_BT={**routed.logp_BT, "self": self_BT})
    found = dict(cells.route_values(routed, untrained_BT, expected_BT))
    assert found == pytest.approx(
        {
            "both/share": 2 / 6,
            **{"both/LH": 1.0, "both/LL": 0.0, "both/HT": 0.0, "both/HS": 0.0, "both/expected": 0.8},
            "teacher_only/share": 2 / 6,
            **{"teacher_only/LH": 0.0, "teacher_only/LL": 0.5, "teacher_only/HT": 0.5, "teacher_only/HS": 0.0},
            "teacher_only/expected": 0.5,
            "student_only/share": 2 / 6,
            **{"student_only/LH": 0.0, "student_only/LL": 0.0, "student_only/HT": 0.0, "student_only/HS": 1.0},
            "student_only/expected": 0.15,
            "neither/share": 0.0,
            "gap": 1.25,
        }
    )


@cache
def moved() -> PreTrainedModel:
    """A student that is no longer the one that it began as, with p neither."""
    model = load.load(PROFILE.student)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter += 0.25 * parameter.std() * torch.randn(parameter.shape, generator=generator)
    return model


def test_cells_are_what_full_passes_read(tokenizer: PreTrainedTokenizerBase) -> None:
    """Again from one forward pass a response."""
    found = audit("cells", dataclasses.replace(subject(run(), tokenizer), student=moved)).values
    reader, data = TextReader(tokenizer), PROFILE.data
    examples = each_once(WORLD, data, cells.PROBLEMS)
    forced = from_texts(reader, examples, render(reader, examples), [language.plain_trace(e) for e in examples])
    assert PROFILE.teacher is not None
    passes = {
        "teacher": (load.load(PROFILE.teacher), data.privilege),
        "student": (student(), data.privilege),
        "before": (student(), Privilege.NONE),
        "now": (moved(), Privilege.NONE),
    }
    logp = {name: full_logp(tokenizer, model, forced, kind) for name, (model, kind) in passes.items()}
    ids_BT = forced.response_ids_BT
    facts = [[span.kind for span in language.plain_facts(e)] for e in examples]
    decides_BT = torch.zeros_like(forced.mask_BT)
    for b, kinds in enumerate(facts):
        decides_BT[b, : len(kinds)] = torch.tensor([kind is Fact.CAPABILITY for kind in kinds])
    right = {name: (each.argmax(-1) == ids_BT)[decides_BT] for name, each in logp.items()}
    here = {
        "both": right["teacher"] & right["student"],
        "teacher_only": right["teacher"] & ~right["student"],
        "student_only": ~right["teacher"] & right["student"],
        "neither": ~right["teacher"] & ~right["student"],
    }
    p_N = logp["now"].double().exp().gather(-1, ids_BT[..., None])[..., 0][decides_BT]
    for name, in_N in here.items():
        assert found[f"{name}/share"] == pytest.approx(float(in_N.double().mean()))
        expected = {"right": right["now"][in_N].double(), "probability": p_N[in_N]}
        expected |= {"learnt": right["now"][in_N & ~right["before"]].double()}
        expected |= {"lost": (~right["now"])[in_N & right["before"]].double()}
        for metric, values in expected.items():
            assert (f"{name}/{metric}" in found) == bool(len(values))
            if len(values):
                assert found[f"{name}/{metric}"] == pytest.approx(float(values.mean()), abs=1e-5)
    assert {"both/learnt", "both/lost"} <= found.keys()


def test_before_training_nothing_is_learnt_or_lost(tokenizer: PreTrainedTokenizerBase) -> None:
    found = audit("cells", subject(run(), tokenizer)).values
    assert found["both/learnt"] == found["both/lost"] == 0
    assert sum(found[f"{name}/share"] for name in CLASSES) == pytest.approx(1)


def test_expected_is_the_students_mass_on_the_teachers_word(tokenizer: PreTrainedTokenizerBase) -> None:
    """And classes are those of the untrained student, whatever it is now."""
    asked = dataclasses.replace(subject(run(), tokenizer), student=moved)
    found = audit("routes", asked).values
    routed = route(asked, problems=routing.PROBLEMS, rollouts=routing.ROLLOUTS, audit="routes")
    top_BT, judged_BT = routed.top_BT, routed.verdict.judged_BT
    plain_BTV = full_logp(tokenizer, moved(), routed.rollouts, Privilege.NONE).double().exp()
    mass_BT = plain_BTV.gather(-1, top_BT["teacher"].clamp(min=0)[..., None])[..., 0]
    untrained_BT = full_logp(tokenizer, student(), routed.rollouts, PROFILE.data.privilege).argmax(-1)
    right = {"teacher": top_BT["teacher"], "student": untrained_BT}
    right = {name: (each == routed.verdict.target_BT) & judged_BT for name, each in right.items()}
    both_BT = right["teacher"] & right["student"]
    assert found["both/share"] == pytest.approx(float(both_BT.sum() / judged_BT.sum()))
    assert found["both/expected"] == pytest.approx(float(mass_BT[both_BT].mean()), abs=1e-5)
    assert sum(found[f"both/{regime}"] for regime in SOURCE_OF) == pytest.approx(1)


def test_a_run_without_a_teacher_has_no_classes(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(HarnessError, match=r"audit cells needs a teacher, .* has none: leave it out"):
        audit("cells", subject(reference_run(PROFILE, PROFILE.student), tokenizer))


# Supports.


def test_masses_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of probabilities .5, .3, .2 and .1, .2, .7 the student's top two hold .8, and .3 of the source's."""
    p: dict[Any, Tensor] = {"student": torch.tensor([[0.5, 0.3, 0.2]]), "source": torch.tensor([[0.1, 0.2, 0.7]])}
    monkeypatch.setattr(support, "logits_layer", lambda model: lambda _: p[model].log())
    monkeypatch.setattr(support, "vocabulary_size", lambda _: 3)
    models: Any = list(p)
    for whose, wanted in ((Support.STUDENT, [0.8, 0.3]), (Support.TEACHER, [0.5, 0.9])):
        found = support.masses(models, [torch.zeros(1, 1)] * 2, k=2, support=whose)
        assert [float(each) for each in found] == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("method", "kind", "read"),
    [
        ("dopd", Privilege.HINTS, Privilege.HINTS),
        ("dopd", Privilege.NONE, Privilege.NONE),
        ("vanilla_opd", Privilege.HINTS, Privilege.NONE),
    ],
)
def test_what_lies_outside_is_what_full_passes_say(
    method: str, kind: Privilege, read: Privilege, tokenizer: PreTrainedTokenizerBase
) -> None:
    """The teacher as the method reads it: vanilla OPD's has no p, whatever the data hold."""
    spec = run(method=PROFILE.method(method, {"k": 2}))
    assert spec.data is not None and PROFILE.teacher is not None
    asked = subject(dataclasses.replace(spec, data=dataclasses.replace(spec.data, privilege=kind)), tokenizer)
    found = audit("support", asked).values
    _, teacher, rollouts = routing.sampled(
        asked, problems=routing.PROBLEMS, rollouts=routing.ROLLOUTS, audit="support", routes=False
    )
    q = full_logp(tokenizer, student(), rollouts, Privilege.NONE)[rollouts.mask_BT].double().exp()
    t = full_logp(tokenizer, teacher, rollouts, read)[rollouts.mask_BT].double().exp()
    top = q.topk(2).indices
    for name, p in (("student_outside", q), ("source_outside", t)):
        expected = float(1 - p.gather(-1, top).sum(-1).mean())
        assert found[name] == pytest.approx(expected, abs=1e-5) and found[name] > 1e-4, name


def test_a_method_without_a_top_k_has_no_support(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(HarnessError, match=r"audit support needs a method with a top-k, .* has none: leave it out"):
        audit("support", subject(run(method=PROFILE.method("sft")), tokenizer))


# All of them.


NAMES = ("regimes", "trajectory", "transfer", "cells", "routes", "support")


@pytest.mark.parametrize("name", NAMES)
def test_declared_shares_and_the_same_twice(name: str, tokenizer: PreTrainedTokenizerBase) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        first = audit(name, subject(run(), tokenizer))
        torch.manual_seed(2)  # of no account
        second = audit(name, subject(run(), tokenizer))
    assert first == second
    assert first.values.keys() <= AUDITS[name].metrics.keys()
    units = AUDITS[name].metrics
    for metric, value in first.values.items():
        assert type(metric) is str and (0 <= value <= 1 or (value >= 0 and units[metric] is Unit.NATS))
    for part in ("share", "first_error", "information"):
        if name == "regimes":
            assert sum(first.values[f"{regime}/{part}"] for regime in SOURCE_OF) == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ("regimes", "trajectory", "routes", "support"))
def test_another_seed_or_step_is_another_sample(name: str, tokenizer: PreTrainedTokenizerBase) -> None:
    first = audit(name, subject(run(), tokenizer))
    for other in (subject(run(seed=SEED + 1), tokenizer), subject(run(), tokenizer, step=STEP + 10)):
        assert audit(name, other).values != first.values


@pytest.mark.parametrize("name", NAMES)
def test_random_states_and_modes_stay(name: str, tokenizer: PreTrainedTokenizerBase) -> None:
    model = student()
    model.train()
    try:
        before = random.getstate(), torch.get_rng_state(), {k: v.clone() for k, v in model.state_dict().items()}
        audit(name, subject(run(), tokenizer))
        assert all(module.training for module in model.modules())
        assert random.getstate() == before[0] and torch.equal(torch.get_rng_state(), before[1])
        assert all(torch.equal(value, before[2][k]) for k, value in model.state_dict().items())
        assert all(parameter.grad is None for parameter in model.parameters())
    finally:
        model.eval()


@pytest.mark.parametrize("name", NAMES)
def test_a_student_in_training_mode_is_read_without_dropout(name: str, tokenizer: PreTrainedTokenizerBase) -> None:
    model = load.load(PROFILE.student)
    for module in model.modules():
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.5
    expected = audit(name, subject(run(), tokenizer)).values
    model.train()
    with torch.random.fork_rng(devices=[]):
        found = audit(name, dataclasses.replace(subject(run(), tokenizer), student=lambda: model)).values
    assert found == expected


@pytest.mark.parametrize("name", ("regimes", "trajectory", "routes"))
def test_a_run_without_teacher_or_p_is_refused(name: str, tokenizer: PreTrainedTokenizerBase) -> None:
    trained = run().data
    assert trained is not None
    without = run(data=dataclasses.replace(trained, privilege=Privilege.NONE))
    for spec in (reference_run(PROFILE, PROFILE.student), without):
        with pytest.raises(HarnessError, match="needs a teacher and privileged input") as caught:
            audit(name, subject(spec, tokenizer))
        assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_classes_of_pictures_are_those_the_minds_were_made_with() -> None:
    """The shipped pair of a draw, before training: by design the student has right, without p too, what it alone has,
    and lacks most of what the teacher alone has."""
    profile = registry.profile("embedded_vlm").in_draw(0)
    spec = training_run(profile, Options(suite="none"), method="dopd", domains=profile.data.domains, seed=0)
    asked = Subject(
        folder=RunFolder(Path("nowhere"), spec),
        step=0,
        student=lambda: load.load(profile.student),
        reader=load.load_reader(profile.student),
    )
    found, routed, outside = (audit(name, asked).values for name in ("cells", "routes", "support"))
    assert sum(found[f"{name}/share"] for name in CLASSES) == pytest.approx(1)
    assert found["student_only/right"] > 0.9 and found["teacher_only/right"] < 0.3
    assert found["teacher_only/learnt"] == found["student_only/lost"] == 0
    assert routed["gap"] > 0.05 and 0 <= outside["student_outside"] < 0.01


def test_every_audit_is_a_function() -> None:
    for each in AUDITS.values():
        module, _, function = each.target.partition(":")
        found: Callable[[Subject], Findings] = getattr(importlib.import_module(module), function)
        assert callable(found) and found.__doc__


def test_rows_of_an_untrained_model(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, reference_run(PROFILE, PROFILE.student))
    folder.prepare()
    asked = Evaluation("last", "transfer", AUDIT, AUDITS["transfer"].version)
    evaluate_missing(folder, [asked])
    assert {row.metric for row in folder.rows()} == set(AUDITS["transfer"].metrics)
    assert {(row.n, row.benchmark, row.decoding) for row in folder.rows()} == {(9, "transfer", AUDIT)}
    assert folder.missing([asked]) == ()


def test_a_file_with_few_problems_is_asked_each_once() -> None:
    class Few:
        def examples(self, data: object, split: str, n: int) -> list[Any]:
            return [SimpleNamespace(id=f"p{i % 3}") for i in range(n)]

    found = each_once(Few(), None, 96)  # pyright: ignore[reportArgumentType]
    assert [each.id for each in found] == ["p0", "p1", "p2"]
    assert len(each_once(Few(), None, 2)) == 2  # pyright: ignore[reportArgumentType]
