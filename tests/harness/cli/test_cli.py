"""The command line: its docs, its errors, and a suite from plan to figure with a fake trainer."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import language
from support.fakes import BUG, LAST, PROFILE, USER_ERROR, FakeSuite

from harness import registry
from harness.cli import flags, select, skeleton
from harness.cli import verbs as cli
from harness.evaluation import benchmarks
from harness.evaluation.audits import AUDIT
from harness.evaluation.benchmarks import OwnBenchmark
from harness.report import publish
from harness.runs import local as launcher
from harness.storage import files
from harness.storage.run_folder import RunFolder, RunState, folders
from harness.suite import Evaluation, Options

ROOT = Path(__file__).resolve().parents[3]
DOCS = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
QUIZ = OwnBenchmark(name="quiz", domain="coding", data=language.data("coding"), max_new_tokens=8)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Our methods, a fake suite, profile and trainer, and an empty folder of published results."""
    monkeypatch.setattr(registry, "SUITES_MODULE", "support.fakes")
    monkeypatch.setattr(registry, "PROFILES_MODULE", "support.fakes")
    monkeypatch.setitem(benchmarks.BENCHMARKS, "quiz", QUIZ)
    monkeypatch.setattr(launcher, "launch", functools.partial(launcher.launch, target="support.fakes:run"))
    monkeypatch.setattr(select, "Options", functools.partial(Options, published=tmp_path / "published"))
    return tmp_path / "results"


def dopd(verb: str, results: Path, *flags: str) -> int:
    return cli.main([verb, "--suite", "fake", "--profile", "fake", "--results", str(results), *flags])


def subparsers() -> dict[str, argparse.ArgumentParser]:
    """By verb; ``methods new`` stands below ``methods``."""
    return dict(below(cli.parser()))


def below(parser: argparse.ArgumentParser, above: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, sub in action.choices.items():
                yield above + word, sub
                yield from below(sub, f"{above}{word} ")


def rows_of(section: str) -> list[list[str]]:
    """Cells of the table below a heading."""
    body = DOCS.split(f"\n## {section}\n")[1].split("\n## ")[0]
    lines = [line for line in body.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_docs_hold_exactly_the_flags_of_the_parser() -> None:
    parsed: dict[tuple[str, str], list[str]] = {}
    for verb, parser in subparsers().items():
        for action in parser._actions:
            if action.option_strings and not isinstance(action, argparse._HelpAction):
                (name,) = action.option_strings
                shown = f"`{name} {action.metavar}`" if action.nargs != 0 else f"`{name}`"
                parsed.setdefault((shown, action.help or ""), []).append(verb)
    documented = {(flag, meaning): verbs for flag, verbs, meaning in rows_of("Flags")}
    assert documented == {row: " ".join(verbs) for row, verbs in parsed.items()}


def test_docs_hold_exactly_the_verbs_of_the_parser() -> None:
    documented = {verb.strip("`"): meaning for verb, meaning in rows_of("Verbs")}
    assert documented == {verb: parser.description for verb, parser in subparsers().items()}
    assert set(documented) == set(cli.ACTIONS)


def test_docs_hold_exactly_the_states() -> None:
    assert {row[0].strip("`") for row in rows_of("What a run leaves")} == {state.value for state in RunState}


def test_nox_may_pass_every_flag_of_the_issue_to_run() -> None:
    text = (
        "run --suite ood --profile embedded --methods dopd,vanilla-opd --seeds 3 --steps 4 "
        "--train-domains all --jobs 2 --minutes 10 --results there --from runs --plugin my_method.py --force"
    )
    given = cli.parser().parse_args(text.split())
    assert given.methods == ("dopd", "vanilla-opd")
    assert (given.seeds, given.steps, given.train_domains, given.jobs) == ((0, 1, 2), 4, "all", 2)
    assert (given.minutes, given.results, given.source) == (10.0, Path("there"), "runs")
    assert (given.plugin, given.force) == (Path("my_method.py"), True)


@pytest.mark.parametrize(("text", "seeds"), [("4", (0, 1, 2, 3)), ("0,2,5", (0, 2, 5)), ("7,", (7,))])
def test_seeds(text: str, seeds: tuple[int, ...]) -> None:
    assert cli.parser().parse_args(["plan", "--suite", "ood", "--seeds", text]).seeds == seeds


@pytest.mark.parametrize(
    "flags",
    [
        ["--seeds", "0"],
        ["--seeds", "x"],
        ["--seeds", "1,1"],
        ["--seeds", "-1,"],
        ["--steps", "0"],
        ["--steps", "1.5"],
        ["--jobs", "0"],
        ["--minutes", "-1"],
        ["--minutes", "nan"],
        ["--methods", ","],
        ["--methods", "dopd,,vanilla_opd"],
        ["--train-domains", "coding,"],
        ["--seeds", "1000000000"],
        ["--seeds", "100000"],
        ["--seeds", ",".join(map(str, range(10_001)))],
        ["--from", "memory"],
        ["--learning-rate", "1e-3"],
        ["--results", __file__],
        ["--results", f"{__file__}/below"],
    ],
)
def test_wrong_values_are_one_line_and_end_with_2(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", "--suite", "ood", *flags])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"dopd run: argument {flags[0]}: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run --suite ood --see 3", "unknown argument '--see' of run: did you mean --seeds?"),
        ("run --suite ood --train_domains all", "did you mean --train-domains?"),
        ("claims --suite ood", "claims takes no --suite: it takes --profile"),
        ("claims --suite=ood", "claims takes no --suite: it takes --profile"),
        ("run --suite ood --methods dopd vanilla_opd", "several values of one are joined with commas, as in a,b"),
        ("runn --suite ood", "unknown verb 'runn': did you mean run?"),
        ("zzz", "unknown verb 'zzz': there are plan, run, "),
        ("", "give a verb: plan, run, "),
        ("export --out x --zzz", "unknown argument '--zzz' of export: it takes --out, --benchmarks"),
    ],
)
def test_unknown_flags_offer_near_ones(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words.split()) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--suite", "odo"], "unknown suite 'odo': did you mean ood"),
        (["--suite", "ood", "--profile", "embeded"], "unknown profile 'embeded': did you mean embedded"),
        (["--suite", "ood", "--methods", "dpod"], "unknown method 'dpod': did you mean dopd or "),
        (["--suite", "ood", "--methods", "vanila"], "unknown method 'vanila': did you mean vanilla_opd"),
        (["--suite", "ood", "--plugin", "nowhere.py"], "nowhere.py is not a file"),
    ],
)
def test_user_errors_are_one_line_and_end_with_2(
    flags: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli.main(["run", *flags, "--results", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("dopd: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words", ["report --output", "export --out", "methods new any --out", "table --suite ood --results"]
)
def test_a_file_is_no_folder(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([*words.split(), __file__])
    assert ended.value.code == 2
    assert f"{Path(__file__).name} is a file: give a folder" in capsys.readouterr().err


def test_a_rate_is_refused_with_the_way_to_give_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["run", "--suite", "ood", "--learning-rate", "1e-3"])
    assert "choose shared or tuned; a rate of your own is given by --rate" in capsys.readouterr().err


def test_a_missing_suite_is_asked_for_with_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["run"])
    assert "required: --suite (dopd suites lists them)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("7", "7 seeds: 0 to 6; for seed 7 alone write --seeds 7,"),
        ("1", "1 seed: 0; for seed 1 alone write --seeds 1,"),
        ("7,", ""),
        ("0,2", ""),
        ("0,1", ""),
    ],
)
def test_a_count_says_which_seeds_it_means(
    given: str, said: str, fake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dopd("plan", fake, "--seeds", given) == 0
    out = capsys.readouterr().out
    assert (said in out) and (bool(said) == ("alone write" in out))


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["table", "figure"])
def test_a_folder_without_the_runs_is_refused_and_stays_empty(
    verb: str, fake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dopd(verb, fake) == 2
    assert f"no runs in {fake / 'runs'}: give the folder" in capsys.readouterr().err
    assert not fake.exists()
    assert dopd("run", fake, "--steps", "4", "--methods", "dopd") == 0
    (reference,) = (folder for folder in folders(fake) if folder.spec.is_reference)
    shutil.rmtree(reference.path)
    before = sorted(fake.rglob("*"))
    assert dopd(verb, fake) == 2
    assert "none of the 3 runs asked for is in" in (error := capsys.readouterr().err) and "holds 1 others" in error
    assert sorted(fake.rglob("*")) == before


@pytest.mark.parametrize("words", ["claims", "report --output page"])
def test_what_shows_all_runs_needs_one(words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*words.split(), "--results", str(tmp_path / "nowhere")]) == 2
    assert "no runs in" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists() and not Path("page").exists()


@pytest.mark.slow
def test_a_report_folder_shows_one_selection(fake: Path) -> None:
    reports = fake / "reports" / "fake" / "fake"
    assert dopd("run", fake, "--seeds", "2") == 0
    assert json.loads((reports / "selection.json").read_text()) == {
        "selection": "--seeds 0,1",
        "files": ["figure0.pdf", "figure0.png", "table0.csv", "table0.md", "table0.tex"],
    }
    (reports / "mine.txt").touch()
    assert dopd("table", fake, "--seeds", "1") == 0
    left = {path.name for path in reports.iterdir()}
    assert left == {"mine.txt", "selection.json", "table0.csv", "table0.md", "table0.tex"}, "no figure of two seeds"
    assert dopd("figure", fake, "--seeds", "1") == 0
    assert "table0.csv" in json.loads((reports / "selection.json").read_text())["files"]


@pytest.mark.slow
def test_a_notebooks_backend_does_not_stop_a_figure(fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a fresh process: matplotlib reads it when it is imported."""
    command = [sys.executable, "-m", "harness", "figure", "--suite", "in_distribution", "--from", "paper"]
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    ended = subprocess.run([*command, "--results", str(fake)], cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert list(fake.rglob("*.png"))


def test_figures_say_where_the_rest_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert registry.suite("ood").elsewhere(["figure7b"]) == ""
    assert "ood_all shows every one" in registry.suite("ood").elsewhere(["figure7b", "ood_all"])


@pytest.mark.slow
def test_all_that_is_published_is_shown_unless_some_is_selected(
    fake: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert dopd("run", fake, "--seeds", "3") == 0
    assert dopd("publish", fake, "--seeds", "3") == 0
    shown = tmp_path / "results" / "reports" / "fake" / "fake-published" / "table0.csv"

    def lines(*flags: str) -> int:
        assert dopd("table", fake, "--from", "published", *flags) == 0
        return len(shown.read_text(encoding="utf-8").splitlines())

    assert lines() == 1 + 1 + 3 * 2, "a header, the reference, three seeds of two methods; one seed is the default"
    assert lines("--seeds", "2") == 1 + 1 + 2 * 2


def test_selection_is_told_as_flags() -> None:
    assert Options(suite="x").selection == ""
    chosen = Options(suite="x", seeds=(0, 2), steps=50, methods=("dopd",), train_domains="all")
    assert chosen.selection == "--methods dopd --seeds 0,2 --steps 50 --train-domains all"


def test_profile_out_of_reach_is_planned_and_not_run(fake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--suite", "fake", "--profile", "unreachable", "--results", str(fake)]
    assert cli.main(["plan", *flags]) == 0
    said = "it can be planned, not run: profile unreachable cannot run here: its models are huge; use"
    assert said in capsys.readouterr().out
    assert cli.main(["run", *flags]) == 2
    assert capsys.readouterr().err.startswith(
        "dopd: profile unreachable cannot run here: its models are huge; use --profile fake"
    )
    assert not fake.exists()


def test_plan_lists_runs_states_time_and_overrides(fake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dopd("plan", fake, "--jobs", "2") == 0
    text = capsys.readouterr().out
    assert "3 runs: 3 absent; about 28 s on 2 workers" in text
    assert "settings in which the runs differ" not in text, "they differ in nothing that the id does not say"
    for spec in FakeSuite().runs(PROFILE, Options(suite="fake")):
        assert spec.id in text
    assert re.search(r"dopd\s*│ k = 8\s*│ small vocabulary", text)
    assert not fake.exists()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Evaluation("last", "quizz", "greedy"), "no benchmark 'quizz'; did you mean quiz?"),
        (Evaluation("last", "quiz", "greedy", version=9), "benchmark quiz version 9 is not in this package"),
        (Evaluation("last", "quiz", "beam"), "no decoding 'beam'"),
        (Evaluation("last", "nothing", AUDIT), "no audit 'nothing'"),
        (Evaluation("last", "training", AUDIT, version=9), "audit training is version 1 here, 9 was asked for"),
    ],
)
@pytest.mark.parametrize("verb", ["plan", "run"])
def test_unknown_evaluation_is_refused_before_any_run(
    wanted: Evaluation,
    message: str,
    verb: str,
    fake: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FakeSuite, "evaluations", lambda self, spec: (LAST, wanted))
    assert dopd(verb, fake) == 2
    assert message in capsys.readouterr().err
    assert not fake.exists()


def test_run_shows_everything_and_the_second_time_trains_nothing(
    fake: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(cli.INSTALL_SECONDS, "90")
    assert dopd("run", fake, "--jobs", "2") == 0
    text = capsys.readouterr().out
    assert "[3/3] " in text
    assert "Table 0" in text
    reports = fake / "reports" / "fake" / "fake"
    for name in ("table0.csv", "table0.md", "table0.tex", "figure0.pdf", "figure0.png"):
        assert (reports / name).stat().st_size > 0
        assert str(reports / name) in text
    assert "no comparison with published rows: no published rows at " in text
    assert "installation 1.5 min, training 0.0 min, evaluation 0.0 min" in text
    metrics = {folder.path: folder.metrics.read_bytes() for folder in folders(fake) if folder.metrics.exists()}
    assert dopd("run", fake, "--jobs", "2") == 0
    assert "3 runs: 3 done; nothing to do" in capsys.readouterr().out
    assert metrics == {path: (path / "metrics.jsonl").read_bytes() for path in metrics}


@pytest.mark.slow
def test_more_seeds_train_only_the_new_one(fake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dopd("run", fake, "--methods", "vanilla-opd", "--seeds", "1") == 0
    capsys.readouterr()
    assert dopd("run", fake, "--methods", "vanilla-opd", "--seeds", "2") == 0
    text = capsys.readouterr().out
    assert "3 runs: 1 absent, 2 done" in text
    assert "[1/1] vanilla-opd-big-permutations-small-draw5-coding-seed1-" in text


@pytest.mark.slow
def test_failed_run_ends_with_1_after_the_others_are_shown(fake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dopd("run", fake, "--methods", "dopd", "--seeds", f"0,{BUG}") == 1
    captured = capsys.readouterr()
    assert "Table 0" in captured.out
    assert re.fullmatch(
        r"dopd: run dopd-\S+-seed101-\w+ failed: ZeroDivisionError: a bug, \w+\.py:\d+ \(traceback in .*\)\n",
        captured.err,
    )


@pytest.mark.slow
def test_a_fault_of_all_runs_is_told_once(fake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--seeds", f"{USER_ERROR},", "--jobs", "1"]
    assert dopd("run", fake, *flags) == 1
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    first, other = re.findall(r"vanilla-opd-\S+|dopd-big\S+", line.replace(",", " "))
    assert line.startswith(f"dopd: run {first} failed: ") and line.endswith(f"; so did {other}")
    assert re.search(rf"{other} FAILED as {first}$", captured.out, flags=re.M)


def test_no_minutes_show_nothing_and_end_with_0(fake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dopd("run", fake, "--minutes", "0") == 0
    text = capsys.readouterr().out
    assert "no run is done" in text
    assert "3 runs not started, the minutes were over: the same command goes on" in text


@pytest.mark.slow
def test_force_trains_anew(fake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dopd("run", fake) == 0
    capsys.readouterr()
    assert dopd("run", fake, "--force") == 0
    assert "[3/3] " in capsys.readouterr().out


@pytest.mark.slow
def test_evaluate_trains_nothing(fake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dopd("run", fake, "--methods", "dopd") == 0
    (trained,) = (folder for folder in folders(fake) if not folder.spec.is_reference)
    for name in ("done", "rows.jsonl"):
        (trained.path / name).unlink()
    capsys.readouterr()
    assert dopd("evaluate", fake, "--methods", "dopd,vanilla_opd") == 0
    assert "1 runs are not trained: `dopd run`" in capsys.readouterr().out
    assert trained.state((LAST,)) is RunState.DONE
    assert len(list(folders(fake))) == 2


@pytest.mark.slow
def test_table_and_figure_of_published_rows_stand_apart(fake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dopd("run", fake) == 0
    assert dopd("publish", fake) == 0
    published = fake.parent / "published" / "fake" / "fake"
    assert (published / "rows.jsonl").exists()
    before = {path: path.read_bytes() for path in published.iterdir()}
    for verb in ("table", "figure"):
        assert dopd(verb, fake, "--from", "published") == 0
    made = sorted(path.name for path in (fake / "reports" / "fake" / "fake-published").iterdir())
    assert made == ["figure0.pdf", "figure0.png", "selection.json", "table0.csv", "table0.md", "table0.tex"]
    assert before == {path: path.read_bytes() for path in published.iterdir()}
    capsys.readouterr()
    assert dopd("run", fake) == 0
    assert "no comparison" not in capsys.readouterr().out


@pytest.mark.slow
def test_run_from_published_trains_nothing(fake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dopd("run", fake) == 0
    assert dopd("publish", fake) == 0
    empty = fake.parent / "empty"
    assert dopd("run", empty, "--from", "published") == 0
    assert "Table 0" in capsys.readouterr().out
    assert not (empty / "runs").exists()


@pytest.mark.slow
def test_published_runs_are_reused_and_more_are_added(fake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dopd("run", fake, "--seeds", "2") == dopd("publish", fake, "--seeds", "2") == 0
    shutil.rmtree(fake)
    capsys.readouterr()
    assert dopd("plan", fake, "--seeds", "3", "--reuse", "published") == 0
    assert "7 runs: 2 absent, 5 published; about" in capsys.readouterr().out
    assert dopd("run", fake, "--seeds", "3", "--reuse", "published") == 0
    text = capsys.readouterr().out
    assert "[2/2] " in text and text.count("vanilla_opd") >= 3, "the table is of all three seeds"
    trained = [folder.spec.seed for folder in folders(fake) if folder.spec.method]
    assert trained == [2, 2]
    assert dopd("publish", fake, "--seeds", "3") == 0
    rows = (fake.parent / "published" / "fake" / "fake" / "rows.jsonl").read_text(encoding="utf-8")
    assert rows.count("\n") == 7
    assert dopd("run", fake, "--seeds", "3", "--reuse", "published", "--force") == 2
    assert "--force trains anew what --reuse takes as made: give one of the two" in capsys.readouterr().err


@pytest.mark.slow
def test_other_settings_are_published_only_in_place_of_what_is_there(
    fake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dopd("run", fake) == dopd("publish", fake) == dopd("run", fake, "--steps", "4") == 0
    assert dopd("publish", fake, "--steps", "4") == 2
    assert "holds 2 runs that may not stand beside these: 2 of other settings (" in capsys.readouterr().err
    assert dopd("publish", fake, "--steps", "4", "--replace") == 0
    assert (
        "dropped 2 published runs: 2 of other settings (dopd-big-permutations-small-draw5-coding-seed0-"
        in capsys.readouterr().out
    )


@pytest.mark.slow
def test_a_run_that_other_code_began_is_refused_or_trained_anew(
    fake: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert dopd("run", fake, "--seeds", "1") == 0
    begun = next(folder for folder in folders(fake) if folder.spec.label == "dopd")
    (begun.path / "done").unlink()
    shutil.rmtree(begun.checkpoints / "step-000010")
    environments = begun.environments()
    files.write_json_atomic(begun.path / "environment.json", [{**e, "training_code": "older"} for e in environments])
    capsys.readouterr()
    assert dopd("plan", fake, "--seeds", "1") == 0
    assert "partial, other code" in (text := capsys.readouterr().out) and "(1 made by other code)" in text
    assert dopd("run", fake, "--seeds", "1") == 2
    assert f"1 of the runs cannot go on, first {begun.spec.id}: it was begun by other code" in capsys.readouterr().err
    assert dopd("run", fake, "--seeds", "1", "--force") == 0
    assert begun.trained_by() != "older" and begun.state((LAST,)) is RunState.DONE


def test_publish_of_what_is_not_done_is_refused(fake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dopd("publish", fake) == 2
    assert "3 of 3 runs are not done" in capsys.readouterr().err


@pytest.mark.slow
def test_damaged_rows_are_one_line(fake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dopd("run", fake) == 0
    folder = next(folders(fake))
    (folder.path / "rows.jsonl").write_text("{}\n")
    capsys.readouterr()
    for verb in ("plan", "run", "table"):
        assert dopd(verb, fake) == 2
        error = capsys.readouterr().err
        assert "not what was written" in error
        assert error.count("\n") == 1


def test_interrupt_says_what_to_do_and_ends_with_130(
    fake: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(launcher, "launch", interrupt)
    assert dopd("run", fake) == 130
    assert capsys.readouterr().err == "dopd: interrupted; every finished step is kept, the same command goes on\n"


SLOW_RUN = f"""
import functools, signal, sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
from pathlib import Path
from support.fakes import SLOW
from harness import registry
from harness.cli import select, verbs
from harness.runs import local
from harness.suite import Options
if __name__ == "__main__":
    signal.signal(signal.SIGHUP, getattr(signal, sys.argv[2]))  # whatever started the tests may ignore it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    registry.SUITES_MODULE = registry.PROFILES_MODULE = "support.fakes"
    local.launch = functools.partial(local.launch, target="support.fakes:run")
    verbs.check_evaluations = lambda plan: None
    select.Options = functools.partial(Options, published=Path(sys.argv[1], "published"))
    given = ["--suite", "fake", "--profile", "fake", "--methods", "dopd", "--seeds", f"{{SLOW}},", "--jobs", "1"]
    sys.exit(verbs.main(["run", "--results", sys.argv[1], *given]))
"""


def slow_run(tmp_path: Path, hup: str = "SIG_DFL") -> subprocess.Popen[str]:
    """A real command whose run sleeps after its second step."""
    script = tmp_path / "slow.py"
    script.write_text(SLOW_RUN)
    command = [sys.executable, str(script), str(tmp_path), hup]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("runs/dopd-*/checkpoints/step-000002")):
        assert started.poll() is None, started.communicate()
        time.sleep(0.02)
    return started


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_that_ends_a_command_is_told_and_its_workers_end_with_it(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """Before, both were silent."""
    started = slow_run(tmp_path)
    started.send_signal(number)
    _, error = started.communicate(timeout=60)
    assert started.returncode == code
    assert error == f"dopd: stopped by {number.name}; every finished step is kept, the same command goes on\n"
    (folder,) = (each for each in folders(tmp_path) if each.spec.method)
    with folder.lock():
        assert folder.state((LAST,)) is RunState.PARTIAL


@pytest.mark.slow
def test_under_nohup_a_hang_up_ends_nothing(tmp_path: Path) -> None:
    started = slow_run(tmp_path, "SIG_IGN")
    started.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert started.poll() is None
    started.terminate()
    assert started.wait(timeout=60) == 143
    assert started.stdout and started.stderr
    started.stdout.close(), started.stderr.close()


def test_an_error_of_the_system_is_one_line(
    fake: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error", "/mnt/results")

    monkeypatch.setattr(launcher, "launch", fail)
    assert dopd("run", fake) == 2
    told = "/mnt/results: Input/output error; check that the folder is there and can be read and written"
    assert capsys.readouterr().err == f"dopd: {told}\n"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="no folder here that nobody can write")
def test_results_that_cannot_be_written_are_one_line(
    fake: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "check_room", lambda *_: None)
    assert dopd("run", Path("/sys/kernel")) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "/sys/kernel/runs" in error and "check that the folder" in error


def test_a_name_of_results_that_no_disk_takes_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert dopd("plan", Path("x" * 300)) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["run", "plan", "evaluate"])
def test_more_workers_than_cores_are_capped_with_a_line(
    fake: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    for module in (flags, select):
        monkeypatch.setattr(module, "cores", lambda: 2)
    assert dopd(verb, fake, "--jobs", "1000") == 0
    out = capsys.readouterr().out
    assert out.startswith("--jobs 1000: 2 cores are here, so 2 workers\n")
    assert "1000 workers" not in out
    assert dopd(verb, fake, "--jobs", "2") == 0
    assert "cores are here" not in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["table", "figure"])
def test_runs_none_of_which_is_done_make_no_table(verb: str, fake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before, pictures without a point were written, exit 0."""
    assert dopd("run", fake, "--seeds", "1") == 0
    for folder in folders(fake):
        (folder.path / "done").unlink()
    shutil.rmtree(fake / "reports")
    capsys.readouterr()
    assert dopd(verb, fake, "--seeds", "1") == 2
    assert f"none of the runs asked for is done in {fake / 'runs'}: " in capsys.readouterr().err
    assert not (fake / "reports").exists()


def test_a_plugin_that_exits_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text("import sys\nsys.exit(3)\n")
    assert cli.main(["methods", "--plugin", str(plugin)]) == 2
    assert capsys.readouterr().err == f"dopd: plugin {plugin} does not import (SystemExit: 3): mend the file\n"


@pytest.mark.slow
def test_one_damaged_costs_file_harms_no_other_suite(fake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dopd("run", fake, "--seeds", "1") == 0
    folder = next(each for each in folders(fake) if each.spec.method)
    (folder.path / "costs.json").write_text("{}")
    capsys.readouterr()
    assert dopd("plan", fake, "--seeds", "2") == 0
    assert dopd("table", fake, "--seeds", "1") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and str(folder.path / "costs.json") in error and "delete it" in error


@pytest.mark.slow
def test_a_shorter_publish_is_refused_and_replaces_with_a_line(fake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dopd("run", fake, "--seeds", "1") == dopd("publish", fake, "--seeds", "1") == 0
    rows = fake.parent / "published" / "fake" / "fake" / "rows.jsonl"
    before = rows.read_bytes()
    assert dopd("run", fake, "--seeds", "1", "--steps", "4") == 0
    capsys.readouterr()
    assert dopd("publish", fake, "--seeds", "1", "--steps", "4") == 2
    assert "2 of other settings" in capsys.readouterr().err and rows.read_bytes() == before
    assert dopd("publish", fake, "--seeds", "1", "--steps", "4", "--replace") == 0
    assert "dropped 2 published runs: 2 of other settings" in capsys.readouterr().out


def test_export_writes_tasks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", "--out", str(tmp_path), "--benchmarks", "permutations_coding"]) == 0
    said = capsys.readouterr().out
    for draw in language.WORLD.draws:
        file = tmp_path / f"permutations_coding_draw{draw}.jsonl"
        assert file.exists() and str(file) in said


def test_methods_lists_every_name_and_a_plugin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The plugin declares no terms, which must not end the listing."""
    path = tmp_path / "my_method.py"
    path.write_text(
        "from dataclasses import dataclass\nfrom harness.method import Method\n"
        "@dataclass(frozen=True, kw_only=True)\nclass MyMethod(Method):\n    pass\n"
    )
    try:
        assert cli.main(["methods", "--plugin", str(path)]) == 0
    finally:
        registry._plugin.clear()
    text = capsys.readouterr().out
    for name in (*registry.methods(), *registry.not_implemented(), "my_method"):
        assert re.search(rf"^ {name} ", text, flags=re.M), name
    assert "does not build:" in text and "NotImplementedError" in text
    assert max(map(len, text.splitlines())) <= cli.WIDTH and "…" not in text


@pytest.mark.slow
def test_a_new_method_is_tried_before_anything_else(
    fake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin = ["--plugin", str(skeleton.write("my_method", tmp_path)[0]), "--methods", "my_method"]
    try:
        assert dopd("run", fake, *plugin, "--seeds", f"{BUG},0") == 2
        error = capsys.readouterr().err
        told = r"dopd: on two prompts, before anything was evaluated: ZeroDivisionError: a bug, \w+\.py:\d+\n"
        assert re.fullmatch(told, error), error
        assert not fake.exists()
        assert dopd("run", fake, *plugin) == 0
        said = capsys.readouterr().out
        assert "trying my_method on two prompts" in said
        counts = re.findall(r"^\[(.*)\] \S+ done", said, flags=re.M)
        assert counts == ["trial 1/1", "1/2", "2/2"], "a trial is not counted as a run"
        assert len(list(folders(fake))) == 2, "the trial leaves nothing"
        assert dopd("run", fake, *plugin, "--seeds", "2") == 0
        assert "trying" not in capsys.readouterr().out
    finally:
        registry._plugin.clear()


def test_methods_new_writes_a_method_and_its_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = ["methods", "new", "my-method", "--out", str(tmp_path)]
    assert cli.main(new) == 0
    text = capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my_method.py", "test_my_method.py"]
    for path in tmp_path.iterdir():
        assert f"wrote {path}\n" in text
    assert f"nox -s tests -- -n 0 {tmp_path / 'test_my_method.py'}" in text, "the environment of a user has no pytest"
    command = text.splitlines()[-1].partition("dopd ")[2].split()
    assert cli.parser().parse_args(command).plugin == tmp_path / "my_method.py"
    assert cli.main(new) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_suites_lists_every_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["suites"]) == 0
    text = capsys.readouterr().out
    for name in registry.suites():
        assert name in text


def test_module_is_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "harness", "plan", "--suite", "odo"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("dopd: unknown suite 'odo'")
    assert "Traceback" not in ended.stderr


def test_options_are_the_flags() -> None:
    """A field without a flag could not be asked for; ``published`` is for tests, the file is of ``--profile``, the rest
    what flags of a profile make of it."""
    destinations = {action.dest for action in subparsers()["run"]._actions}
    assert {field.name for field in dataclasses.fields(Options)} - destinations == {
        *("profile_file", "published"),
        *("own", "flags"),
    }


@pytest.mark.slow
def test_states_are_seen_by_folder_and_publish_alike(fake: Path) -> None:
    assert dopd("run", fake) == 0
    for spec in FakeSuite().runs(PROFILE, Options(suite="fake")):
        assert RunFolder(fake, spec).state((LAST,)) is RunState.DONE
    assert publish.publish(FakeSuite(), PROFILE, Options(suite="fake", results=fake, published=fake.parent / "p"))
