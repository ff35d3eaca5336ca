"""Chat templates that users bring: none, without a system role, with a system turn of their own."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from support import language
from support.drive_run import short_run
from support.folders import model_folder

from harness.cli.verbs import main
from harness.config import ModelSpec, PrivilegedTurn, RunSpec, Template, from_json, to_json
from harness.models import load
from harness.models.prompts import both_prompts, render
from harness.models.reader import check_one_difference, check_template
from harness.training.loop import probe, train_step, written_batch
from harness.training.trainer import Trainer, prepare
from harness.types import PLAIN, PRIVILEGED, HarnessError

SHIPPED = (Path(load.zoo.path(language.STUDENT)) / "chat_template.jinja").read_text()
NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + SHIPPED
)
ITS_OWN = "{% if messages[0]['role'] != 'system' %}<|im_start|> system general <|im_end|> {% endif %}" + SHIPPED
LAST_ONLY = SHIPPED.replace("for message in messages", "for message in messages[-1:]")
SWALLOWS = "{% if messages[0]['role'] != 'system' %}general {% endif %}" + LAST_ONLY.replace(
    "messages[-1:]", "(messages[:1] if messages[0]['role'] == 'system' else messages)"
)


def pair(folder: Path, template: str | None, **fields: object) -> dict[str, ModelSpec]:
    """Student and teacher with this chat template."""
    made, shipped = {}, short_run("vanilla_opd", 2)
    assert shipped.teacher is not None
    for whose, name in (("student", shipped.student.name), ("teacher", shipped.teacher.name)):
        spec = model_folder(folder / whose, name)
        file = folder / whose / "chat_template.jinja"
        file.unlink() if template is None else file.write_text(template)
        made[whose] = dataclasses.replace(spec, **fields)
    return made


def spec_of(folder: Path, template: str | None, method: str = "vanilla_opd", **fields: object) -> RunSpec:
    return dataclasses.replace(short_run(method, 2), **pair(folder, template, **fields))


def texts(trainer: Trainer) -> tuple[str, str]:
    plain, told = trainer.reader.decode(
        both_prompts(trainer.reader, trainer.examples[0], trainer.data.privilege), special=True
    )
    return plain, told


@pytest.mark.slow
def test_without_a_system_role_a_method_that_reads_no_p_trains(tmp_path: Path) -> None:
    """To the bits of the shipped template, whose plain prompts are the same; the probe leaves p out."""
    trainer = prepare(spec_of(tmp_path, NO_SYSTEM))
    batch = written_batch(trainer)
    assert set(batch.contexts) == {PLAIN}, "a context that nobody reads is not rendered"
    assert probe(trainer).keys() == {"probe/accuracy"}
    assert train_step(trainer)["loss"] == train_step(prepare(short_run("vanilla_opd", 2)))["loss"]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["privileged_teacher", "dopd"])
def test_without_a_system_role_a_method_that_reads_p_is_refused_and_told_the_field(tmp_path: Path, method: str) -> None:
    said = (
        r"chat template of model .*student refuses the turns system, user \(System role not supported\): .* give "
        r"privileged_turn='user' of the model"
    )
    with pytest.raises(HarnessError, match=said):
        prepare(spec_of(tmp_path, NO_SYSTEM, method))


@pytest.mark.slow
def test_p_at_the_head_of_the_users_turn(tmp_path: Path) -> None:
    trainer = prepare(spec_of(tmp_path, NO_SYSTEM, "dopd", privileged_turn=PrivilegedTurn.USER))
    (turn,) = trainer.examples[0].messages
    plain, told = texts(trainer)
    p = trainer.examples[0].privileged[trainer.data.privilege]
    assert plain == f"<|im_start|> user {turn['content']} <|im_end|> <|im_start|> assistant"
    assert told == f"<|im_start|> user {p} {turn['content']} <|im_end|> <|im_start|> assistant"
    assert PRIVILEGED in written_batch(trainer).contexts
    assert probe(trainer).keys() == {"probe/accuracy", "probe/accuracy_with_p"}
    assert train_step(trainer)["gradient_norm"] > 0


def test_a_templates_own_system_turn_is_said_with_p_too(tmp_path: Path) -> None:
    """Was replaced by p, so that two contexts differed in more than p."""
    trainer = prepare(spec_of(tmp_path, ITS_OWN, "dopd"))
    plain, told = texts(trainer)
    assert plain.startswith("<|im_start|> system general <|im_end|> <|im_start|> user ")
    p = trainer.examples[0].privileged[trainer.data.privilege]
    assert told == f"<|im_start|> system {p} <|im_end|> {plain}"


def test_a_template_that_has_none_is_left_alone() -> None:
    reader = load.load_reader(ModelSpec(name=language.STUDENT))
    assert reader.default_turn == ""  # pyright: ignore[reportAttributeAccessIssue]


def test_a_template_that_loses_a_turn_beside_p_is_refused(tmp_path: Path) -> None:
    """This one shows the system turn alone."""
    said = r"chat template of model .*student writes x otherwise where p stands before it \(.* is lost\)"
    with pytest.raises(HarnessError, match=said):
        prepare(spec_of(tmp_path, SWALLOWS, "dopd"))


@pytest.mark.parametrize(
    ("plain", "told", "fits"),
    [
        ("user x end", "p user x end", True),
        ("user x end", "user p x end", True),
        ("general user x", "p user x", False),
        ("aa", "aaa", True),
        ("ab", "a", False),
    ],
)
def test_one_piece_more_and_no_other_difference(plain: str, told: str, fits: bool) -> None:
    tokenizer = load.load_tokenizer(ModelSpec(name=language.STUDENT))
    if fits:
        check_one_difference(plain, told, tokenizer)
    else:
        with pytest.raises(HarnessError, match="would differ in more than p"):
            check_one_difference(plain, told, tokenizer)


def test_no_template_is_told_what_to_give(tmp_path: Path) -> None:
    said = r"model .*student: its tokenizer has no chat template, .*template='plain' of the model in the profile"
    with pytest.raises(HarnessError, match=said):
        prepare(spec_of(tmp_path, None))


def test_the_plain_template_by_its_field(tmp_path: Path) -> None:
    """For lm-eval too, which asks the tokenizer by itself."""
    spec = dataclasses.replace(pair(tmp_path, None)["student"], template=Template.PLAIN)
    tokenizer = load.load_tokenizer(spec)
    check_template(tokenizer)
    turns = [{"role": "system", "content": "p"}, {"role": "user", "content": "x"}]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert text == "System:\np\n\nUser:\nx\n\nAssistant:\n"


def test_the_fields_are_part_of_a_run_and_of_no_older_one() -> None:
    spec = short_run("dopd", 2)
    other = dataclasses.replace(
        spec,
        student=dataclasses.replace(spec.student, privileged_turn=PrivilegedTurn.USER),
        teacher=spec.teacher and dataclasses.replace(spec.teacher, privileged_turn=PrivilegedTurn.USER),
    )
    assert other.id != spec.id and from_json(to_json(other)) == other
    assert not {"privileged_turn", "template"} & to_json(spec)["student"].keys()
    said = r"privileged_turn is 'user' of student \w+_student_draw0 and 'system' of teacher \w+_teacher_draw0"
    with pytest.raises(HarnessError, match=said):
        prepare(dataclasses.replace(spec, student=other.student))


def test_plan_prints_both_prompts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["plan", "--suite", "ood", "--methods", "dopd", "--seeds", "1", "--train-domains", "coding"]
    assert main([*words, "--results", str(tmp_path), "--show-prompts"]) == 0
    of_run = "permutations_student_draw0, permutations, coding"
    shown = capsys.readouterr().out.split(f"{of_run}: without p")[1]
    plain, told = shown.split(f"{of_run}: with p (hints)")
    spec = short_run("dopd", 2)
    reader, (first, *_) = load.load_reader(spec.student), prepare(spec).examples[:1]
    for text, kind in ((plain, "none"), (told, "hints")):
        (want,) = reader.decode(render(reader, [first], kind).ids_QL.tolist(), special=True)
        assert want in text
    assert "system hint" in told and "system hint" not in plain
