"""Models, data and benchmarks of a user's own: by flags, in a profile file, in the plan of every suite."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import language, tiny_world
from support.own_folders import line, write_lines
from support.synthetic import frames

from harness import registry
from harness.cli import own as own_flags
from harness.cli import select, verbs
from harness.cli.flags import parser
from harness.config import ModelSpec
from harness.evaluation import benchmarks
from harness.evaluation.benchmarks import LmEvalBenchmark
from harness.profile import Profile
from harness.runs import local
from harness.runs.plan import check_evaluations, check_worlds, planned
from harness.suite import Options
from harness.types import HarnessError
from suites.profiles import own as own_defaults
from suites.profiles.paper import PROFILE as PAPER

PAIR = ["--student", "./student", "--teacher", "./teacher"]
OWN = [*PAIR, "--data", "problems.jsonl", "--benchmarks", "exam.jsonl"]
ONE = ["--suite", "in_distribution", "--methods", "vanilla_opd", "--seeds", "1"]
GSM8K = [{"question": "1+1?", "answer": "2 #### 2"}, {"question": "1+2?", "answer": "3 #### 3"}]


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two folders that a plan takes for models, problems and an exam; nothing is loaded."""
    monkeypatch.chdir(tmp_path)
    head = json.dumps({"w": {"dtype": "F32", "shape": [50, 20], "data_offsets": [0, 4000]}}).encode()
    for name in ("student", "teacher"):
        Path(name).mkdir()
        Path(name, "config.json").write_text(json.dumps({"name": name}))
        Path(name, "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head)
    lines = [line(domain, i) for domain in ("plus", "minus") for i in range(12)]
    write_lines(Path("problems.jsonl"), lines, grader="number")
    write_lines(Path("exam.jsonl"), [line(d, i) for d in ("plus", "minus") for i in range(50, 53)], grader="number")
    yield
    registry._own_profile.clear()


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert verbs.main(list(words)) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert verbs.main(list(words)) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("dopd") and captured.err.count("\n") == 1, captured.err
    assert not Path("results").exists()
    return captured.err


def table(text: str) -> dict[str, tuple[str, str]]:
    """Value and origin of each setting."""
    found: dict[str, tuple[str, str]] = {}
    name = ""
    for row in (row.split("│")[1:-1] for row in text.splitlines() if row.count("│") == 4):
        first, value, origin = map(str.strip, row)
        before = found.get(name := first or name, ("", ""))
        found[name] = (f"{before[0]} {value}".strip(), f"{before[1]} {origin}".strip())
    return found


def own() -> Profile:
    found = registry.own_profile()
    assert found is not None
    return found


# Flags.


def test_flags_make_a_profile_with_the_papers_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    shown = table(said(capsys, "plan", *ONE, *OWN, "--prompts", "4"))
    assert shown["rate"] == ("5e-06", "paper") and shown["rollouts"] == ("4", "paper")
    assert shown["steps"] == (str(PAPER.steps), "paper") and shown["prompts"] == ("4", "flag")
    assert shown["data"][1] == shown["student"][1] == "flag" and "20 train, 2 validation, 2 test" in shown["data"][0]
    assert shown["max-response-tokens"] == ("1024", "default: the paper is silent")
    assert shown["first-step"][0].startswith("full") and shown["k of methods"] == ("as published", "paper")
    made = own()
    assert (made.name, made.optim.lr, made.prompts_per_step, made.top_k) == ("own", 5e-6, 4, None)
    assert made.student.content and made.student.content != made.teacher.content
    assert made.benchmarks == ("exam_plus", "exam_minus") and made.directions == ("plus", "minus")
    assert made.targets == {"plus": "exam_plus", "minus": "exam_minus"}
    assert made.validation == {"plus": "problems_plus_validation", "minus": "problems_minus_validation"}
    embedded = registry.profile("embedded")
    for name in ("optim", "prompts_per_step", "max_response_tokens", "extra_checkpoints", "benchmarks"):
        assert getattr(made, name) != getattr(embedded, name), name


def test_every_size_is_a_flag(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = "--rate 1e-3 --prompts 2 --rollouts 3 --max-prompt-tokens 99 --max-response-tokens 7 --micro-batch 5"
    given = [*sizes.split(), "--dtype", "float64", "--device", "cpu", "--kernels", "liger", "--steps", "6"]
    shown = table(said(capsys, "plan", *ONE, *OWN, *given))
    flags = [word.removeprefix("--") for word in given if word.startswith("--")]
    assert {shown[name][1] for name in flags} == {"flag"} and len(flags) == 10
    options = Options(suite="in_distribution", profile="own", methods=("vanilla_opd",), seeds=(0,), steps=6)
    (spec,) = (s for s in registry.suite("in_distribution").runs(own(), options) if s.method)
    assert spec.optim and (spec.optim.lr, spec.prompts_per_step, spec.rollouts_per_prompt) == (1e-3, 2, 3)
    assert (spec.max_prompt_tokens, spec.max_response_tokens, spec.micro_batch) == (99, 7, 5)
    assert (spec.dtype, spec.device, spec.kernels, spec.steps) == ("float64", "cpu", "liger", 6)
    (first, *_) = registry.suite("in_distribution").runs(own(), options)
    assert first.is_reference and (first.dtype, first.device) == ("float64", "cpu")


def test_memory_and_machine_move_no_id_and_sizes_do(capsys: pytest.CaptureFixture[str]) -> None:
    def ids(*more: str) -> list[str]:
        text = said(capsys, "plan", *ONE, *OWN, *more, "--list")
        return [row.split("\t")[0] for row in text.splitlines()[1:]]

    usual = ids()
    assert ids("--micro-batch", "3", "--device", "cpu", "--kernels", "liger", "--max-prompt-tokens", "77") == usual
    assert all(a != b for a, b in zip(ids("--max-response-tokens", "9"), usual, strict=True))
    Path("moved").mkdir()
    Path("moved/other.jsonl").write_text(Path("problems.jsonl").read_text())
    moved = ids()
    assert moved == usual
    assert ids("--data", "moved/other.jsonl") == usual, "the same problems elsewhere"
    Path("problems.jsonl").write_text(Path("problems.jsonl").read_text().replace("What is 10", "How much is 10"))
    assert ids()[-1] != usual[-1]
    Path("teacher/model.safetensors").write_bytes(Path("teacher/model.safetensors").read_bytes() + b"1")
    assert ids()[1] != usual[1] and ids()[0] == usual[0]


def test_a_shipped_profile_takes_sizes_and_no_models(capsys: pytest.CaptureFixture[str]) -> None:
    shown = table(said(capsys, "plan", *ONE, "--rate", "1e-3"))
    assert shown["rate"] == ("0.001", "flag") and shown["prompts"] == ("16", "profile embedded")
    assert registry.profile("embedded").optim.lr == 1e-3
    plain = said(capsys, "plan", *ONE)
    assert "where its settings come from" not in plain and registry.profile("embedded").optim.lr == 2e-4
    assert "--student makes a setting of your own, --profile embedded is a shipped one" in refused(
        capsys, "plan", *ONE, *OWN, "--profile", "embedded"
    )


def test_flags_change_a_profile_file(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "profile", "new", "mine", *OWN, "--prompts", "2")
    shown = table(said(capsys, "plan", *ONE, "--profile", "mine.py", "--rollouts", "2", "--benchmarks", "gsm8k"))
    assert shown["rollouts"] == ("2", "flag") and shown["benchmarks"] == ("gsm8k", "flag")
    assert shown["prompts"] == ("2", "profile file mine.py") and shown["k of methods"][1] == "default"
    assert own().name == "mine" and own().benchmarks == ("gsm8k",) and not own().targets


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (PAIR, "--data missing: models and data of your own are given together"),
        (["--data", "problems.jsonl"], "--student and --teacher missing"),
        (["--privilege", "hints"], "--student and --teacher and --data missing"),
        ([*PAIR, "--data", "nowhere.jsonl"], "data nowhere.jsonl: there is no such file"),
        (
            [*OWN, "--student", "nowhere"],
            r"there is no such folder: give the path of one, a name of the hub \(hub:nowhere\), or one of the zoo",
        ),
        ([*OWN, "--student", "./studnet"], "there is no such folder, did you mean student\\? give the path of one"),
        ([*OWN, "--student", "org/name"], r"a name of the hub \(hub:org/name\)"),
        (
            [*OWN, "--teacher", "zoo:permutations_techer_draw5"],
            "unknown model of the zoo 'permutations_techer_draw5': did you mean permutations_teacher_draw5",
        ),
        ([*OWN, "--teacher", "hub:a/b/c"], "a name of the hub is hub:owner/name"),
        ([*OWN, "--teacher", "."], "the folder has no config.json"),
        ([*OWN, "--benchmarks", "gsm9k"], "no benchmark 'gsm9k'; did you mean gsm8k"),
        ([*OWN, "--benchmarks", "exam.jsonl,exam.jsonl"], "two of its benchmarks are called 'exam_minus'"),
        ([*OWN, "--benchmarks", "lm_eval:gsm9k"], "lm-eval ships no folder 'gsm9k'; did you mean"),
        ([*OWN, "--benchmarks", "gsm8k=nowhere.jsonl"], "its local data .*nowhere.jsonl is no file"),
        ([*OWN, "--benchmarks", "a,,b"], "give files or names separated by commas, none empty"),
        ([*OWN, "--privilege", "hint"], "unknown privileged input of problems.jsonl: 'hint': did you mean hints"),
        ([*OWN, "--device", "gpu"], "device 'gpu': give auto, cpu, cuda, cuda:1, mps or xpu"),
        ([*OWN, "--rate", "0"], "argument --rate: '0': give a number above 0"),
        ([*OWN, "--dtype", "float8"], "argument --dtype: invalid choice: 'float8'"),
        ([*OWN, "--columns", "prompt"], "give FIELD=COLUMN for a column, FIELD:VALUE"),
        (
            [*OWN, "--columns", "prompt=q"],
            "line 2: no column 'q' for prompt; there are id, domain, .*; 23 more lines are wrong",
        ),
        (
            [*OWN, "--rate", "1e-3", "--learning-rate", "tuned"],
            "--rate is one rate for all, --learning-rate tuned each",
        ),
    ],
)
def test_what_is_wrong_is_one_line_before_compute(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in ("plan", "run"):
        try:
            error = refused(capsys, verb, *ONE, *words)
        except SystemExit as ended:
            assert ended.code == 2
            error = capsys.readouterr().err
        assert re.search(message, error), error


def test_a_name_that_may_be_two_models_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    name, shipped = language.STUDENT, registry.profile("embedded").in_draw(language.DRAW).student
    Path(name).mkdir()
    Path(name, "config.json").write_text("{}")
    assert f"write ./{name} for the folder, zoo:{name} for the other" in refused(
        capsys, "plan", *ONE, *OWN, "--student", name
    )
    said(capsys, "plan", *ONE, *OWN, "--student", f"./{name}")
    folder = own().student
    said(capsys, "plan", *ONE, *OWN, "--student", f"zoo:{name}")
    assert folder.name == f"./{name}" and not folder.sha256 and own().student == shipped
    Path(name).rename("Qwen")
    said(capsys, "plan", *ONE, *OWN, "--student", "hub:Qwen/Qwen3-1.7B")
    assert own().student.name == "Qwen/Qwen3-1.7B"
    Path("Qwen/Qwen3-1.7B").mkdir()
    assert "is also a folder here" in refused(capsys, "plan", *ONE, *OWN, "--student", "hub:Qwen/Qwen3-1.7B")


def test_the_same_folder_is_the_same_model_however_it_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    names = set()
    for text in ("student", "./student", "./student/"):
        said(capsys, "plan", *ONE, *OWN, "--student", text)
        names.add(own().student.name)
    assert names == {"student"}


# Benchmarks.


def test_without_benchmarks_the_test_problems_are_asked(capsys: pytest.CaptureFixture[str]) -> None:
    shown = table(said(capsys, "plan", *ONE, *PAIR, "--data", "problems.jsonl"))
    assert shown["benchmarks"] == ("problems_plus, problems_minus", "default: the test problems of the data")


def test_data_without_a_grader_need_benchmarks_and_methods_without_reward(capsys: pytest.CaptureFixture[str]) -> None:
    write_lines(Path("problems.jsonl"), [line("plus", i) for i in range(9)])
    bare = [*PAIR, "--data", "problems.jsonl"]
    assert "has no grader, so nothing of it can be asked: give --benchmarks" in refused(capsys, "plan", *ONE, *bare)
    said(capsys, "plan", *ONE, *bare, "--benchmarks", "exam.jsonl")
    reward = [*ONE[:2], "--methods", "grpo", "--seeds", "1"]
    error = refused(capsys, "plan", *reward, *bare, "--benchmarks", "exam.jsonl")
    assert "this method needs a verified reward and 'files' cannot verify answers" in error


def test_tasks_of_lm_eval_are_asked_by_name_and_on_items_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    Path("items.jsonl").write_text("".join(json.dumps(each) + "\n" for each in GSM8K))
    said(capsys, "plan", *ONE, *OWN, "--benchmarks", "gsm8k=items.jsonl,lm_eval:arc/arc_easy,exam.jsonl")
    local_, shipped_, *_ = own().benchmarks
    assert re.fullmatch(r"gsm8k_items_[0-9a-f]{6}", local_) and shipped_ == "arc_easy"
    found = benchmarks.benchmark(local_)
    assert isinstance(found, LmEvalBenchmark) and (found.task, found.data, found.version) == ("gsm8k", "items.jsonl", 3)
    assert found.primary == benchmarks.BENCHMARKS["gsm8k"].primary
    assert benchmarks.benchmark("arc_easy").primary == ("native", "acc,none")
    Path("items.jsonl").write_text(Path("items.jsonl").read_text() * 2)
    said(capsys, "plan", *ONE, *OWN, "--benchmarks", "gsm8k=items.jsonl")
    assert own().benchmarks != (local_,), "other items are another benchmark"


def test_a_benchmark_with_the_name_of_a_shipped_one_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("exam.jsonl").rename("gsm8k.jsonl")
    write_lines(Path("gsm8k.jsonl"), [line("plus", i) for i in range(4)], grader="number")
    error = refused(capsys, "plan", *ONE, *PAIR, "--data", "problems.jsonl", "--benchmarks", "gsm8k.jsonl")
    assert "benchmark 'gsm8k' of your profile has the name of another: rename its file" in error


# The file.


def test_profile_new_writes_what_the_flags_make(capsys: pytest.CaptureFixture[str]) -> None:
    Path("items.jsonl").write_text("".join(json.dumps(each) + "\n" for each in GSM8K))
    flags = [*OWN, "--rate", "1e-3", "--steps", "6", "--max-response-tokens", "9", "--privilege", "hints"]
    flags[flags.index("exam.jsonl")] = "exam.jsonl,gsm8k=items.jsonl,gsm8k"
    text = said(capsys, "profile", "new", "mine", *flags)
    assert "wrote mine.py" in text
    command = text.splitlines()[-1].partition("dopd ")[2].split()
    by_file = own()
    said(capsys, "plan", *ONE, *flags)
    by_flags = dataclasses.replace(own(), name="mine")
    for field in dataclasses.fields(Profile):
        assert getattr(by_file, field.name) == getattr(by_flags, field.name), field.name
    shown = table(said(capsys, *command))
    assert {origin for name, (_, origin) in shown.items() if name != "k of methods"} == {"profile file mine.py"}
    assert "exists and is not overwritten" in refused(capsys, "profile", "new", "mine", *flags)


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("Mine!", OWN, "'Mine!' is no name of a profile"),
        ("own", OWN, "'own' is no name of a profile"),
        ("embedded", OWN, "profile 'embedded' is a shipped one"),
        ("mine", PAIR, "--data missing"),
        ("mine", [*OWN, "--data", "nowhere.jsonl"], "there is no such file"),
    ],
)
def test_a_profile_that_cannot_be_is_not_written(
    name: str, flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(capsys, "profile", "new", name, *flags)
    assert not list(Path().glob("*.py"))


def test_the_defaults_are_the_papers_where_it_states_them() -> None:
    found = own_defaults.DEFAULTS
    stated = {name: each.value for name, each in found.items() if each.source == "paper"}
    assert stated == {"rate": 5e-6, "steps": 200, "prompts": 128, "rollouts": 4}
    assert all(each.why for each in found.values() if each.source == "default")


# Suites.


@pytest.mark.slow
def test_every_suite_is_planned_or_says_what_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "plan", *ONE, *OWN)
    profile, told, references = own(), dict[str, str](), set[str]()
    mine = (profile.student, profile.teacher)
    for name in registry.suites():
        suite, options = registry.suite(name), Options(suite=name, profile=profile.name, seeds=(0,))
        try:
            plan = planned(suite, profile, options, Path("results"))
            check_worlds(plan)
            check_evaluations(plan)
            assert {run.spec.student.name for run in plan} <= {"student", "teacher"}
            references |= {name for run in plan if run.spec.is_reference and run.spec.student in mine}
        except HarnessError as error:
            told[name] = str(error)
    assert set(told) == {"robustness", "phases", "controls"}, told
    assert (
        told["phases"] == "suite phases needs the field phases of profile own: give it there, or choose another suite"
    )
    assert set(registry.suites()) - references <= {*told, "tuning", "trajectory", "regime_audit", "cell_audit"}
    assert "suite robustness needs the field ladder of profile own" in told["robustness"]


def test_all_leaves_out_what_the_profile_cannot_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--suite", "all", "--seeds", "1", "--steps", "2", *OWN]
    planned_all = " ".join(said(capsys, "plan", *flags).split())
    left_out = "left out, for what profile own does not give: robustness (needs ladder)"
    assert left_out in planned_all and "│ student-privileged-" in planned_all
    for name in registry.suites():
        suite = registry.suite(name)
        for field in suite.needs:
            options = Options(suite=name, profile="own", seeds=(0,))
            with pytest.raises(HarnessError, match=f"suite {name} needs the field {field} of profile own"):
                suite.runs(dataclasses.replace(own(), **{field: type(getattr(own(), field))()}), options)


# The launch.


@pytest.mark.slow
def test_a_pair_is_looked_at_before_anything_is_evaluated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local, "REHEARSAL", f"{__name__}:mismatch")
    flags = [*ONE, *OWN, "--jobs", "1"]
    assert verbs.main(["run", *flags]) == 2
    captured = capsys.readouterr()
    assert captured.err == "dopd: student and teacher have other words\n"
    assert "looking at the models together" in captured.out and not Path("results").exists()


def mismatch(*_: object) -> str:
    raise HarnessError("student and teacher have other words")


def test_answers_cut_in_the_first_batch_are_said_at_once() -> None:
    sent: list[object] = []
    clock = local.Clock(sent.append)
    for step, rate in ((1, 0.1), (2, 0.9)):
        clock.report(step, 3, {"truncation_rate": rate})
    assert [type(each).__name__ for each in sent] == ["Step", "Step"]
    clock.report(1, 3, {"truncation_rate": 0.11})
    assert isinstance(sent[-1], local.Said)
    assert sent[-1].text.startswith("11 % of the answers of the first batch were cut at the length limit")


def test_a_report_names_the_flags_it_shows() -> None:
    given = parser().parse_args(["plan", *ONE, *OWN, "--rate", "1e-3", "--privilege", "hints"])
    select.load_files(given)
    chosen = select.select(given).options
    assert chosen.own is not None and chosen.selection == (
        "--methods vanilla_opd --seeds 0 --student ./student --teacher ./teacher --data problems.jsonl --privilege "
        "hints --benchmarks exam.jsonl --rate 0.001"
    )


def test_flags_are_told_as_they_may_be_written_again() -> None:
    columns = ({"prompt": "question", "privileged.hints": "how"}, {"grader": "number"})
    chosen = {"columns": columns, "benchmarks": ("a.jsonl", "gsm8k"), "rate": 5e-6, "micro_batch": 2}
    assert own_flags.as_flags(chosen) == (
        "--columns prompt=question,privileged.hints=how,grader:number",
        "--benchmarks a.jsonl,gsm8k",
        "--rate 5e-06",
        "--micro-batch 2",
    )
    again = parser().parse_args(["plan", *ONE, *" ".join(own_flags.as_flags(chosen)).split()])
    assert (again.columns, again.benchmarks, again.rate) == (columns, ("a.jsonl", "gsm8k"), 5e-6)


def test_a_new_limit_reaches_the_benchmarks_of_a_profile_file(capsys: pytest.CaptureFixture[str]) -> None:
    """It was trained with the one and asked with the other: 1,024 tokens of a model with 256 positions."""
    assert verbs.main(["profile", "new", "mine", *OWN]) == 0
    said(capsys, "plan", *ONE, "--profile", "mine.py")
    before = {each.name: (each.max_new_tokens, each.version) for each in own().held_out}
    said(capsys, "plan", *ONE, "--profile", "mine.py", "--max-response-tokens", "24")
    after = {each.name: (each.max_new_tokens, each.version) for each in own().held_out}
    assert after.keys() == before.keys() and own().max_response_tokens == 24
    assert {limit for limit, _ in before.values()} == {1024} and {limit for limit, _ in after.values()} == {24}
    assert all(after[name][1] != before[name][1] for name in after)


def test_a_file_of_another_folder_says_what_is_missing_and_from_where(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert verbs.main(["profile", "new", "mine", *OWN]) == 0
    registry._own_profile.clear()
    assert verbs.main(["plan", *ONE, "--profile", "mine"]) == 2
    assert "no profile 'mine'; the file mine.py lies here: give --profile mine.py" in capsys.readouterr().err
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert verbs.main(["plan", *ONE, "--profile", "../mine.py"]) == 2
    error = capsys.readouterr().err
    assert "there is no such" in error and "(paths in it are from the folder where dopd runs)" in error
    assert "does not import" not in error


def test_suites_that_need_facts_are_left_out_of_all_where_the_problems_have_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plain = [{k: v for k, v in line(d, i).items() if k != "facts"} for d in ("plus", "minus") for i in range(12)]
    write_lines(Path("plain.jsonl"), plain, grader="number")
    given = [*PAIR, "--data", "plain.jsonl", "--benchmarks", "exam.jsonl"]
    told = " ".join(said(capsys, "plan", "--suite", "all", "--seeds", "1", "--steps", "2", *given).split())
    for name in ("regime_audit", "transfer_audit", "trajectory"):
        assert f"{name} (needs data of a world that knows facts" in told, name
    assert verbs.main(["plan", "--suite", "regime_audit", *given]) == 2
    assert "or give every problem a `trace` and its `facts` (docs/data.md)" in capsys.readouterr().err


@pytest.mark.parametrize("suite", ["transfer_audit", "trajectory"])
def test_captions_of_own_problems_hold_no_word_of_the_worlds_that_come_with_the_package(
    suite: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    said(capsys, "plan", *ONE, *OWN)
    found, own_profile = registry.suite(suite), own()
    chosen = Options(suite=suite, profile="own", seeds=(0,), results=tmp_path)
    loaded = frames(chosen, lambda *_: 0.5, suite=found, profile=own_profile)
    texts = [table.caption for table in found.tables(*loaded, chosen)]
    for figure in found.figures(*loaded, chosen).values():
        texts += [" ".join(text.get_text() for text in figure.texts)]
    words = " ".join(" ".join(texts).split())
    assert "_ (unknown)" not in words and "k and a digit" not in words and "_: unknown" not in words
    assert "the file's word for unknown" in words or suite == "trajectory"


def test_what_would_mislead_is_said_in_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    quiet = said(capsys, "plan", *ONE, *OWN)
    assert "asked and trained on" not in quiet and "have no p" not in quiet
    same = " ".join(
        said(capsys, "plan", *ONE, *PAIR, "--data", "problems.jsonl", "--benchmarks", "problems.jsonl").split()
    )
    assert "asked and trained on: 10 of the 12 problems of problems_plus, 10 of the 12" in same
    both = ["--suite", "in_distribution", "--methods", "dopd,vanilla_opd", "--seeds", "1"]
    told = " ".join(said(capsys, "plan", *both, *OWN, "--privilege", "none").split())
    assert "the problems have no p: nothing is shown in its place to DOPD" in told


def test_a_misspelt_folder_in_a_profile_is_no_model_of_a_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "student").mkdir(parents=True)
    (tmp_path / "models" / "student" / "config.json").write_text("{}")
    profile = tiny_world.PROFILE
    for right in ("models/student", "Qwen/Qwen3-1.7B", language.STUDENT):
        own_flags.check_models(dataclasses.replace(profile, student=ModelSpec(name=right)))
    with pytest.raises(HarnessError, match="there is no such folder, did you mean models/student"):
        own_flags.check_models(dataclasses.replace(profile, student=ModelSpec(name="models/studnt")))
