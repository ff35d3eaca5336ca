"""``--profile FILE.py``: a profile of the user's own is planned, run in workers and shown; a bad one is one line."""

from __future__ import annotations

import importlib.util
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from support.fakes import LAST
from support.synthetic import make_done

from harness import registry
from harness.cli import verbs
from harness.config import DataSpec
from harness.runs.local import launch
from harness.runs.plan import PlannedRun
from harness.storage.run_folder import RunState
from harness.suite import Options, training_run
from harness.types import Example, HarnessError
from harness.worlds import WORLDS
from harness.worlds.permutations.world import PermutationsWorld
from harness.worlds.world import HeldOut
from suites.profiles import PROFILES

HEAD = """from dataclasses import replace
from harness.config import DataSpec, ModelSpec, OptimSpec
from harness.profile import Ladder, Override, Profile
from suites.profiles.embedded import PROFILE
from suites.profiles.embedded import PROFILE as EMBEDDED
"""
FIELDS = {
    "name": "'mine'",
    "student": "ModelSpec(name='ant')",
    "teacher": "ModelSpec(name='bee')",
    "data": "DataSpec(world='permutations', domains=('law', 'chess'), draw=5)",
    "optim": "OptimSpec(lr=1)",
    "steps": "5",
    "prompts_per_step": "2",
    "max_response_tokens": "8",
    "benchmarks": "('exam',)",
    "seconds_per_step": "1.0",
    "seconds_per_evaluation": "1.0",
}
SHIPPED = [*PROFILES]
PAIR = "Ladder(models={'a': ModelSpec(name='a')}, pairs=(('a', 'z'),), erring=('a', 'a'), ratio='')"
LONE = "Ladder(models={'a': ModelSpec(name='a')}, pairs=(('a', 'a'),), erring=('a', 'a'), ratio='')"


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    registry._own_profile.clear()


def text(**changes: str | None) -> str:
    """A file with one profile; a field of None is left out."""
    fields = {name: value for name, value in (FIELDS | changes).items() if value is not None}
    return f"{HEAD}MINE = Profile({', '.join(f'{name}={value}' for name, value in fields.items())})\n"


def written(folder: Path, content: str) -> Path:
    path = folder / "my_profile.py"
    path.write_text(content, encoding="utf-8")
    return path


def test_a_model_of_a_folder_is_its_content_wherever_the_profile_names_it(tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("student", "teacher")}
    for folder in folders.values():
        folder.mkdir()
        (folder / "model.safetensors").write_text(folder.name)
    models = {name: f"ModelSpec(name={str(folder)!r})" for name, folder in folders.items()}
    ladder = (
        "Ladder(models={{'s': {student}, 't': {teacher}}}, pairs=(('t', 's'), ('s', 't')), erring=('s', 't'), ratio='')"
    )
    path = written(tmp_path, text(**models, ladder=ladder.format(**models)))
    first = registry.load_profile(path)
    assert first.ladder and first.student.content and first.student.content != first.teacher.content
    assert list(first.ladder.models.values()) == [first.student, first.teacher]
    (folders["teacher"] / "model.safetensors").write_text("another")
    again = registry.load_profile(path)
    assert again.student == first.student and again.teacher.content != first.teacher.content


@pytest.mark.parametrize("name", sorted(registry.shipped_profiles()))
def test_a_shipped_profile_is_a_start_for_one_of_the_users_own(tmp_path: Path, name: str) -> None:
    """Before, the function that names the models of draws was refused as a value."""
    own = f"from suites.profiles.{name} import PROFILE as _ours\nMINE = replace(_ours, name='mine', steps=7)\n"
    made = registry.load_profile(written(tmp_path, "from dataclasses import replace\n" + own))
    shipped = registry.profile(name)
    assert (made.name, made.steps, made.optim, made.parts) == ("mine", 7, shipped.optim, shipped.parts)
    for draw in shipped.draws.all if shipped.draws else ():
        assert made.in_draw(draw).student == shipped.in_draw(draw).student


def test_a_file_defines_one_profile_under_its_own_name(tmp_path: Path) -> None:
    made = registry.load_profile(written(tmp_path, text()))
    assert (made.name, made.data.domains, made.optim.lr) == ("mine", ("law", "chess"), 1.0)
    assert type(made.optim.lr) is float, "1 and 1.0 are one run"
    assert registry.profile("mine") is made
    assert list(registry.profiles()) == [*SHIPPED, "mine"]
    assert registry.default_profile() == "embedded"


def test_another_file_takes_the_place_of_the_first(tmp_path: Path) -> None:
    registry.load_profile(written(tmp_path, text()))
    registry.load_profile(written(tmp_path, text(name="'other'")))
    assert list(registry.profiles()) == [*SHIPPED, "other"]


def test_a_shipped_profile_may_be_changed(tmp_path: Path) -> None:
    made = registry.load_profile(
        written(tmp_path, f"{HEAD}_x = EMBEDDED\nMINE = replace(PROFILE, name='mine', steps=7)\n")
    )
    embedded = registry.profile("embedded")
    assert (made.steps, made.student, made.method("dopd")) == (7, embedded.student, embedded.method("dopd"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (text(steps=None), r"my_profile.py: Profile needs steps, int \(Optimiser steps of a run\); give it\n$"),
        (
            text(name=None, teacher=None),
            r"Profile needs name, str \(As in ``--profile``.*\); teacher, ModelSpec; give them\n$",
        ),
        (text(stpes="5"), r"my_profile.py: Profile has no field stpes: did you mean steps or dtype\?\n$"),
        (text(Steps="5", steps=None), r"my_profile.py: Profile has no field Steps: write steps\n$"),
        (text(zzz="5"), r"my_profile.py: Profile has no field zzz: known: name, modality, .*megabytes_per_run\n$"),
        (text(data="DataSpec(domain=('law',))"), r"my_profile.py: DataSpec has no field domain: did you mean domains"),
        (text(optim="OptimSpec()"), r"my_profile.py: OptimSpec needs lr, float \(Peak learning rate\); give it\n$"),
        (text() + "int('5', bass=3)\n", r"does not import \(TypeError: .*'bass'.*\): mend the file"),
        (text(steps="'5'"), r"steps of profile .*my_profile.py = '5': allowed is int; correct the value"),
        (text(student="'ant'"), r"student of profile .* = 'ant': allowed is ModelSpec"),
        (text(student="ModelSpec(name=3)"), r"name of student of profile .* = 3: allowed is str"),
        (text(targets="{'law': 3}"), r"law in targets of profile .* = 3: allowed is str"),
        (text(benchmarks="'exam'"), r"benchmarks of profile .* = 'exam': allowed is a tuple"),
        (text(modality="'smell'"), r"modality of profile .* = 'smell': allowed is text"),
        (text(name="'embedded'"), r"has the name 'embedded' of a shipped profile: rename it"),
        (text(name="'Embedded'"), r"has the name 'Embedded' of a shipped profile: rename it"),
        (text(name="'a b'"), r"profile 'a b': a name is small letters, digits and _, a letter first"),
        (text(targets="{'cooking': 'exam'}"), r"targets names cooking, none of the domains of its data \(law, chess\)"),
        (text(targets="{'law': 'exam'}"), r"data names chess, none of its targets \(law\): correct it"),
        (text(harder="{'cooking': 'exam'}"), r"harder names cooking, none of the domains"),
        (text(ladder=PAIR), r"ladder names z, none of its models \(a\): correct it"),
        (text(ladder=LONE), r"the pairs of its ladder need two students, as Figure 6 has"),
        (text(learning_rates="(2.0, 1.0)"), r"learning_rates must rise, each once"),
        (text(overrides="{'dopd': Override(settings={'kk': 1}, reason='')}"), r"unknown field of method dopd: 'kk'"),
        (text(overrides="{'dopdd': Override(settings={}, reason='')}"), r"unknown method 'dopdd': did you mean dopd"),
        (f"{text()}YOURS = replace(MINE, name='yours')\n", r"defines MINE, YOURS: it must hold one"),
        (HEAD, r"defines no profile: it must hold one harness.profile.Profile of its own"),
        (text().replace("MINE", "_MINE"), r"defines no profile"),
        ("1 / 0\n", r"profile .* does not import \(ZeroDivisionError: division by zero\): mend the file"),
        (None, r"profile .* is not a file: give the path of a Python file"),
    ],
)
def test_a_bad_file_is_one_line_before_compute(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, message: str
) -> None:
    path = written(tmp_path, content) if content else tmp_path / "nowhere.py"
    results = tmp_path / "results"
    assert verbs.main(["run", "--suite", "ood", "--profile", str(path), "--results", str(results)]) == 2
    said = capsys.readouterr().err
    assert re.search(message, said), said
    assert said.startswith("dopd: ") and said.count("\n") == 1
    assert not results.exists() and list(registry.profiles()) == SHIPPED


class Failing(PermutationsWorld):
    """Its first problem cannot be made."""

    def examples(self, data: DataSpec, split: str, n: int, start: int = 0) -> list[Example]:
        raise KeyError("tint")

    def benchmarks(self) -> list[HeldOut]:
        return []


@pytest.mark.parametrize("verb", ["plan", "run"])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            "world='slots', domains=('law',)",
            "unknown world 'slots': known: permutations, scenes, files, failing; a new one needs its line in",
        ),
        (
            "world='permutations', domains=('law',), draw=5",
            "unknown domain of world 'permutations': 'law': known: general, reasoning, coding",
        ),
        (
            "world='permutations', domains=('coding',), draw=5, privilege='hint'",
            "unknown privileged input of world 'permutations': 'hint': did you mean",
        ),
        (
            "world='permutations', version=7, domains=('coding',), draw=5",
            "world 'permutations' is version 1 here, the data ask for version 7",
        ),
        (
            "world='permutations', domains=('coding',)",
            "world 'permutations' has the draws 0, 1, 2, 3, 4, 5, the data name none: give one of these",
        ),
        (
            "world='failing', domains=('coding',), draw=5",
            "world 'failing' fails at its first problems (KeyError: 'tint', test_profile_file.py:",
        ),
    ],
)
def test_what_its_world_lacks_is_told_once_before_compute(
    data: str,
    message: str,
    verb: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(WORLDS, "failing", f"{__name__}:Failing")
    path = written(tmp_path, text(data=f"DataSpec({data})", benchmarks="('permutations_general',)"))
    flags = ["--suite", "in_distribution", "--profile", str(path), "--results", str(tmp_path / "results")]
    assert verbs.main([verb, *flags, "--seeds", "2,3"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"dopd: {message}") and said.count("\n") == 1, said
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("suite", "field"),
    [("ood", "targets"), ("continual", "targets"), ("robustness", "ladder"), ("tuning", "learning_rates")],
)
def test_a_suite_says_which_field_it_needs(tmp_path: Path, suite: str, field: str) -> None:
    profile = registry.load_profile(written(tmp_path, text()))
    with pytest.raises(
        HarnessError, match=rf"suite {suite} needs the field {field} of profile mine: give it there, or"
    ):
        registry.suite(suite).runs(profile, Options(suite=suite, profile="mine"))


def test_it_is_planned_and_shown_under_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(WORLDS, "tiny", "support.tiny_world:TinyWorld")
    data = "DataSpec(world='tiny', domains=('add', 'double'), privilege='tint')"
    own = text(benchmarks="('tiny_add',)", data=data)
    path, results = written(tmp_path, own), str(tmp_path / "results")
    flags = ["--suite", "in_distribution", "--profile", str(path), "--seeds", "1", "--results", results]
    flags += ["--methods", "vanilla_opd,dopd"]
    assert verbs.main(["plan", *flags]) == 0
    assert "dopd-bee-ant-add+double-seed0-" in capsys.readouterr().out
    suite, profile = registry.suite("in_distribution"), registry.profile("mine")
    spec = next(s for s in suite.runs(profile, Options(suite=suite.name, profile="mine", seeds=(0,))) if s.method)
    make_done(tmp_path / "results", spec, lambda *_: 0.5, suite)
    assert verbs.main(["table", *flags]) == 0
    assert (tmp_path / "results" / "reports" / "mine" / "in_distribution" / "table1.md").is_file()


@pytest.mark.slow
def test_workers_know_the_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, text())
    profile = registry.load_profile(path)
    (tmp_path / "asker.py").write_text(
        "from support import fakes\nfrom harness import registry\n\n\n"
        "def run(folder, evaluations, *tellers):\n"
        "    fakes.run(folder, evaluations, *tellers)\n"
        "    return f'{folder.spec.profile} learns from {registry.profile(folder.spec.profile).teacher.name}'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    options = Options(suite="fake", profile="mine", results=tmp_path / "results", jobs=1, profile_file=path)
    spec = training_run(profile, options, method="vanilla_opd", domains=("law",), seed=0)
    plan = [PlannedRun(spec=spec, state=RunState.ABSENT, wanted=(LAST,), estimate_seconds=0.0)]
    out = io.StringIO()
    ended = launch(plan, options, console=Console(file=out, width=200), target="asker:run")
    assert ended.failed == {}
    assert "mine learns from bee" in out.getvalue()


def test_adapters_without_their_package_can_be_planned_and_are_refused_before_compute(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "peft" else find(name, *rest))
    own = "MINE = replace(_ours, name='mine', lora=LoraSpec(rank=2, alpha=4.0))\n"
    heads = ("from dataclasses import replace", "from harness.config import LoraSpec")
    path = written(tmp_path, "\n".join((*heads, "from suites.profiles.embedded import PROFILE as _ours", own)))
    flags = ["--suite", "ood", "--profile", str(path), "--seeds", "1", "--results", str(tmp_path / "results")]
    assert verbs.main(["plan", *flags]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "it can be planned, not run: a run with lora needs the package peft: install the extra lora" in said
    assert verbs.main(["run", *flags]) == 2
    assert "needs the package peft" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_a_further_benchmark_is_looked_at_though_nobody_asks_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr("harness.runs.local.launch", lambda *_, **__: pytest.fail("something was begun"))
    lines = (
        "from dataclasses import replace",
        "from suites.profiles.embedded import PROFILE as _ours",
        "MINE = replace(_ours, name='mine', further=('permutations_codnig',))",
    )
    path = written(tmp_path, "\n".join(lines))
    flags = ["--suite", "ood", "--profile", str(path), "--seeds", "1", "--results", str(tmp_path / "results")]
    assert verbs.main([verb, *flags]) == 2
    assert "no benchmark 'permutations_codnig'; did you mean permutations_coding" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()
