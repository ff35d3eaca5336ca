"""Digests of the code that decides a number: what moves them, what does not, and what was shown equal."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.fakes import PROFILE, spec

from harness import registry
from harness.cli import skeleton
from harness.config import RunSpec
from harness.storage import code
from harness.storage.code import UNTRAINED, Code, MadeBy, code_of
from harness.suite import made_model, reference_run
from harness.types import HarnessError

TUNED = made_model("tuned", recipe="fine_tune", base=PROFILE.student, steps=1, data=PROFILE.data, optim=PROFILE.optim)
RUNS = {"dopd": spec(method="dopd"), "opd": spec(), "tuned": dataclasses.replace(spec(), teacher=TUNED)}
EVERY = {*RUNS, "evaluation"}
ADDED = "\nADDED = 1\n"


def digests() -> dict[str, str]:
    """As a fresh process would find them."""
    code._digest.cache_clear()
    code._file.cache_clear()
    code._modules.cache_clear()
    return {name: code_of(run).training for name, run in RUNS.items()} | {"evaluation": code_of(spec()).evaluation}


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Our packages in a folder of their own, which the digests are of."""
    for name in ("harness", "methods"):
        ignored = shutil.ignore_patterns("weights", "__pycache__")
        shutil.copytree(code.ROOT / name, tmp_path / name, ignore=ignored)
    before = digests()
    monkeypatch.setattr(code, "ROOT", tmp_path)
    assert digests() == before, "equal files elsewhere are equal code"
    yield tmp_path
    monkeypatch.undo()
    digests()


def edit(path: Path, change: Callable[[str], str]) -> None:
    before = path.read_text(encoding="utf-8")
    after = change(before)
    assert after != before, f"nothing to change in {path}"
    path.write_text(after, encoding="utf-8")


def added(text: str) -> str:
    return text + ADDED


def replaced(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new)


MOVES: dict[str, tuple[set[str], Callable[[str], str]]] = {
    "methods/dopd.py": ({"dopd"}, added),
    "methods/opd.py": ({"opd", "tuned"}, added),
    "harness/method.py": (EVERY, added),
    "harness/seeds.py": (EVERY, added),
    "harness/losses/divergences.py": (EVERY, added),
    "harness/models/sampler.py": (EVERY, added),
    "harness/worlds/permutations/world.py": (EVERY, added),
    "harness/training/step.py": (EVERY, added),
    "harness/training/trainer.py": ({*RUNS}, added),
    "harness/training/recipes/fine_tune.py": ({"tuned"}, added),
    "harness/evaluation/own.py": ({"evaluation"}, added),
    "harness/types.py": (EVERY, replaced("temperature: float = 1.0", "temperature: float = 2.0")),
}
"""By file: the digests that change with it."""


@pytest.mark.slow
@pytest.mark.parametrize("file", MOVES)
def test_code_that_decides_moves_the_digests_it_decides(copy: Path, file: str) -> None:
    before, (expected, change) = digests(), MOVES[file]
    edit(copy / file, change)
    after = digests()
    assert {name for name in before if before[name] != after[name]} == expected


STAYS: dict[str, Callable[[str], str]] = {
    "methods/gkd.py": added,
    "methods/__init__.py": added,
    "harness/types.py": replaced("    schema: int = 1\n", "    schema: int = 1\n    more: str = ''\n"),
    "harness/config.py": added,
    "harness/registry.py": added,
    "harness/suite.py": added,
    "harness/runs/run.py": added,
    "harness/show/tables.py": added,
    "harness/storage/run_folder.py": added,
    "harness/training/phases.py": added,
    "harness/training/recipes/__init__.py": added,
    "harness/models/zoo/__init__.py": added,
    "harness/worlds/__init__.py": added,
}


@pytest.mark.slow
@pytest.mark.parametrize("file", STAYS)
def test_code_that_decides_nothing_moves_none(copy: Path, file: str) -> None:
    before = digests()
    edit(copy / file, STAYS[file])
    assert digests() == before


@pytest.mark.slow
def test_a_function_that_moves_to_another_module_moves_none(copy: Path) -> None:
    before = digests()
    losses = copy / "harness" / "losses"
    text = (losses / "tokens.py").read_text(encoding="utf-8")
    start = text.index("def token_divergence(")
    there, moved = text[:start], text[start:]  # the last of the module
    edit(losses / "tokens.py", lambda _: there)
    assert digests() != before, "gone, it is missed"
    edit(
        losses / "tokens.py",
        replaced("import torch\n", "import torch\nfrom harness.losses.moved import token_divergence\n"),
    )
    (losses / "moved.py").write_text(f'"""New."""\n\nimport torch\n\n\n{moved}', encoding="utf-8")
    assert digests() == before


def test_a_model_that_is_only_evaluated_has_no_training_code() -> None:
    reference = code_of(reference_run(PROFILE, PROFILE.student))
    assert reference.training == UNTRAINED and reference.evaluation not in ("", UNTRAINED)


def own(folder: Path, text: str, name: str = "my_method.py") -> Code:
    """Of a method in a file of one's own."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    registry.load_plugin(folder / name)
    return code_of(dataclasses.replace(spec(), method=registry.method_spec("my_method")))


@pytest.fixture
def method(tmp_path: Path) -> Iterator[str]:
    """What ``dopd methods new`` writes."""
    yield skeleton.write("my_method", tmp_path)[0].read_text(encoding="utf-8")
    registry._plugin.clear()


def at_rest(text: str) -> str:
    """Nothing in it that decides: docstrings, comments, lines, words of errors, the order of functions of a class."""
    check = text[text.index("    def __post_init__") : text.index("    @property")]
    words = check.replace("give a number above 0", "a number above 0 is wanted")
    last = text.replace(check, "").rstrip() + "\n\n" + words
    field = "# why\n    weight: float = (\n        1.0\n    )\n    'Of the loss.'"
    return last.replace('"""', '"""Other words. ', 1).replace("weight: float = 1.0", field)


def test_format_and_words_of_a_plugin_do_not_count_its_numbers_do(tmp_path: Path, method: str) -> None:
    first = own(tmp_path / "a", method)
    assert first.training != code_of(spec()).training and first.evaluation == code_of(spec()).evaluation
    assert at_rest(method) != method and own(tmp_path / "b", at_rest(method)) == first
    assert own(tmp_path / "c", method.replace("1.0", "2.0")) != first


def test_what_a_plugin_imports_of_its_folder_counts(
    tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_helper.py").write_text("FACTOR = 1.0\n", encoding="utf-8")
    text = method.replace("\nfrom harness", "\nfrom my_helper import FACTOR\nfrom harness", 1)
    first = own(tmp_path, text)
    (tmp_path / "my_helper.py").write_text("FACTOR = 2.00\n", encoding="utf-8")
    code._digest.cache_clear()
    assert own(tmp_path, text) != first
    (tmp_path / "unread.py").write_text("FACTOR = 3\n", encoding="utf-8")
    second = code_of(dataclasses.replace(spec(), method=registry.method_spec("my_method")))
    code._digest.cache_clear()
    assert own(tmp_path, text) == second


@pytest.fixture
def proven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes the file of what was shown equal."""
    monkeypatch.setattr(code, "EQUAL", tmp_path / "equal_code.json")

    def write(*pairs: tuple[str, str]) -> None:
        records = [{"training": {"dopd": list(pair)}, "evaluation": {}} for pair in pairs]
        code.EQUAL.write_text(json.dumps(records), encoding="utf-8")
        code.shown_equal.cache_clear()

    return write


def test_earlier_other_and_this_code(proven: Callable[..., None]) -> None:
    proven()
    here = Code("t", "e")
    assert Code("t", "e").beside(here) is MadeBy.THIS
    assert Code("t", "x").beside(here) is Code("x", "e").beside(here) is MadeBy.OTHER
    assert Code("", "x").beside(here) is Code().beside(here) is MadeBy.EARLIER
    assert Code(UNTRAINED, "e").beside(Code(UNTRAINED, "e")) is MadeBy.THIS


def test_what_was_shown_equal_is_this_code_through_any_chain(proven: Callable[..., None]) -> None:
    proven(("a", "b"), ("c", "d"))
    assert code.made_by("a", "b") is code.made_by("b", "a") is MadeBy.THIS
    assert code.made_by("a", "c") is MadeBy.OTHER
    proven(("a", "b"), ("c", "d"), ("b", "c"))
    assert code.made_by("a", "d") is MadeBy.THIS and code.made_by("a", "e") is MadeBy.OTHER
    assert code.made_by("", "a") is MadeBy.EARLIER


def test_a_damaged_file_of_pairs_is_named(proven: Callable[..., None], tmp_path: Path) -> None:
    proven()
    (tmp_path / "equal_code.json").write_text('[{"training": 3, "evaluation": {}}]', encoding="utf-8")
    code.shown_equal.cache_clear()
    with pytest.raises(HarnessError, match=r"equal_code.json is damaged .*: restore it"):
        code.made_by("a", "b")


def test_a_plan_of_ten_thousand_runs_asks_for_it_in_passing() -> None:
    """CPU seconds: 0.15 for the files, measured, then 20 microseconds a run."""
    digests()
    runs: list[RunSpec] = [dataclasses.replace(spec(), seed=seed) for seed in range(10_000)]
    begun = time.process_time()
    assert len({code_of(run) for run in runs}) == 1
    assert time.process_time() - begun < 1.0
