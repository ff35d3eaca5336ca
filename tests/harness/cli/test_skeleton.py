"""``dopd methods new``: what it writes is a method by every test of ours, and it never spoils anything."""

from __future__ import annotations

import importlib.util
import inspect
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from contract import test_contract

from harness import registry
from harness.cli import skeleton, verbs
from harness.types import HarnessError
from methods import METHODS

ROOT = Path(__file__).resolve().parents[3]
SOURCE_IS_NAMED, GOLDEN = (
    test_contract.test_says_where_it_comes_from,
    test_contract.test_a_changed_loss_needs_a_changed_version,
)
CONTRACT = [
    test
    for name, test in vars(test_contract).items()
    if name.startswith("test_") and {"name"} <= inspect.signature(test).parameters.keys() <= {"name", "world"}
    if test not in (SOURCE_IS_NAMED, GOLDEN)
]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    skeleton.write("my_method", tmp_path)
    yield tmp_path
    registry._plugin.clear()


def its_tests(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("skeletons_test", folder / "test_my_method.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_name_of_the_example_is_free() -> None:
    assert skeleton.NAME not in METHODS, "docs and tests call their example so: give the method a name of its own"


@pytest.mark.parametrize("test", CONTRACT, ids=lambda test: test.__name__)
def test_it_is_a_method_by_the_contract(test: Callable[..., None], folder: Path) -> None:
    registry.load_plugin(folder / "my_method.py")
    worlds = test_contract.WORLDS if "world" in inspect.signature(test).parameters else ()
    for where in [{"world": world} for world in worlds] or [{}]:
        test("my_method", **where)


def test_the_contract_is_not_empty() -> None:
    assert len(CONTRACT) >= 6


def test_it_must_name_its_source_before_it_may_stay(folder: Path) -> None:
    registry.load_plugin(folder / "my_method.py")
    with pytest.raises(AssertionError):
        SOURCE_IS_NAMED("my_method")


@pytest.mark.slow
def test_its_test_is_green_in_any_folder(folder: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_method.py"]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout
    assert "2 passed" in ended.stdout


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("(teacher_NV - student_NV)", "(student_NV - teacher_NV)"), ("self.weight *", "1.0 *"), (".sum(-1)", ".mean(-1)")],
)
def test_its_test_sees_a_wrong_loss(folder: Path, right: str, wrong: str) -> None:
    its_tests(folder).test_loss_and_gradient_by_hand()
    path = folder / "my_method.py"
    text = path.read_text()
    assert right in text
    path.write_text(text.replace(right, wrong))
    registry._plugin.clear()
    with pytest.raises(AssertionError):
        its_tests(folder).test_loss_and_gradient_by_hand()


def test_its_test_sees_a_weight_that_is_let_through(folder: Path) -> None:
    its_tests(folder).test_a_weight_that_is_not_positive_is_refused()
    path = folder / "my_method.py"
    path.write_text(path.read_text().replace("if not self.weight > 0", "if self.weight < 0"))
    registry._plugin.clear()
    with pytest.raises(pytest.fail.Exception):
        its_tests(folder).test_a_weight_that_is_not_positive_is_refused()


@pytest.mark.parametrize(("name", "class_name"), [("top_k2_loss", "TopK2Loss"), ("veto", "Veto"), ("x", "X")])
def test_another_name_is_written_all_through(tmp_path: Path, name: str, class_name: str) -> None:
    for path in skeleton.write(name, tmp_path / "new" / "folder"):
        text = path.read_text()
        assert skeleton.NAME not in text and skeleton.CLASS not in text
    try:
        assert list(registry.load_plugin(tmp_path / "new" / "folder" / f"{name}.py")) == [name]
        assert registry.method_class(name).__name__ == class_name
    finally:
        registry._plugin.clear()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("MyMethod", r"'MyMethod' is no name of a method: small letters, digits and _, as in my_method"),
        ("1st", r"is no name of a method"),
        ("my method", r"is no name of a method"),
        ("../x", r"is no name of a method"),
        ("", r"is no name of a method"),
        ("lambda", r"is no name of a method"),
        ("dopd", r"method 'dopd' is registered already \(methods.dopd:DualOnPolicyDistillation\): give another name"),
        ("vanilla-opd", r"method 'vanilla_opd' is registered already"),
        ("a_b_method", r"would be the class ABMethod, whose registry name is ab_method: give that"),
        ("trailing_", r"whose registry name is trailing: give that"),
        ("term", r"would be the class Term, a name the file imports"),
        ("torch", r"'torch' is the name of a Python module \(.*torch/__init__\.py\), which torch.py could hide"),
        ("harness", r"is the name of a Python module"),
    ],
)
def test_bad_names_are_one_line_and_write_nothing(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(HarnessError, match=message) as error:
        skeleton.write(name, tmp_path)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["my_method.py", "test_my_method.py"])
def test_nothing_is_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine\n")
    with pytest.raises(HarnessError, match=rf"{there} exists and is not overwritten: move it away, or give another"):
        skeleton.write("my_method", tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine\n"]


def test_a_file_in_place_of_the_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HarnessError, match=r"file cannot be written to \(.*\): name another folder with --out"):
        skeleton.write("my_method", tmp_path / "file")


# --- suites new


@pytest.fixture
def suite_folder(tmp_path: Path) -> Path:
    skeleton.write_suite("my_suite", tmp_path)
    return tmp_path


def suites_tests(folder: Path) -> list[Callable[[], None]]:
    spec = importlib.util.spec_from_file_location("suite_skeletons_test", folder / "test_my_suite.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [test for name, test in vars(module).items() if name.startswith("test_")]


def test_its_tests_are_green_where_it_lies_and_it_plans(suite_folder: Path) -> None:
    tests = suites_tests(suite_folder)
    assert len(tests) == 3
    for test in tests:
        test()
    flags = ["--seeds", "1", "--steps", "4", "--results", str(suite_folder / "results")]
    assert verbs.main(["plan", "--suite", str(suite_folder / "my_suite.py"), *flags]) == 0
    assert verbs.main(["plan", "--suite", str(suite_folder / "my_suite.py"), "--profile", "paper", *flags]) == 0


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("(2, 4, 8)", "(2, 4)"), ('baseline="4"', 'baseline="2"'), ("rollouts_per_prompt=size", "rollouts_per_prompt=8")],
)
def test_its_tests_see_a_wrong_suite(suite_folder: Path, right: str, wrong: str) -> None:
    path = suite_folder / "my_suite.py"
    path.write_text(path.read_text().replace(right, wrong))
    failed = 0
    for test in suites_tests(suite_folder):
        try:
            test()
        except (AssertionError, ValueError):
            failed += 1
    assert failed


@pytest.mark.parametrize(
    ("name", "message"),
    [("ood", "suite 'ood' is registered already"), ("9", "is no name of a suite"), ("json", "name of a Python module")],
)
def test_a_suite_of_a_bad_name_is_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=message):
        skeleton.write_suite(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "must define one suite, a class with a name; it defines none"),
        ("import nowhere_at_all", "does not import \\(ModuleNotFoundError"),
        ("from suites.ood import OutOfDomain as A\nclass B(A):\n    pass", "has the name of suites.ood:OutOfDomain"),
    ],
)
def test_a_file_without_its_own_suite_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.py"
    path.write_text(text)
    with pytest.raises(HarnessError, match=message):
        registry.suite(str(path))


SUITE = """
from suites.kit.arms import ArmSuite

class Mine(ArmSuite):
    name = "mine"
    title = "mine"
    {line}

    def arms(self, profile, options):
        return []

    def {method}(self, scores):
        return []
"""


@pytest.mark.parametrize(
    ("line", "method", "message"),
    [
        ("of_papr = False", "tables_of", "Mine has no member of_papr: did you mean of_paper"),
        ("seeds = 2", "tables_of", r"Mine.seeds = 2: give a tuple of them, \(0, 1, 2\)"),
        ("", "shows", r"Mine has no tables_of: give it \(Tables of our runs\)"),
    ],
)
def test_a_suite_that_would_run_as_another_is_refused(line: str, method: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(SUITE.format(line="", method="tables_of"))
    assert registry.suite(str(path)).name == "mine"
    path.write_text(SUITE.format(line=line, method=method))
    with pytest.raises(HarnessError, match=message):
        registry.suite(str(path))


def test_a_suite_without_a_title_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(SUITE.format(line="", method="tables_of").replace('    title = "mine"\n', ""))
    with pytest.raises(HarnessError, match="Mine has no title: give it"):
        registry.suite(str(path))


def test_a_suite_file_that_is_absent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"odd.py is not a file: give the path"):
        registry.suite(str(tmp_path / "odd.py"))


def test_its_tests_may_ask_for_a_field_that_references_lack(suite_folder: Path) -> None:
    """A model that is only evaluated has no optimiser, no data and no method."""
    path = suite_folder / "test_my_suite.py"
    path.write_text(path.read_text().replace("spec.rollouts_per_prompt == 8", "spec.optim.lr > 0"))
    (test,) = (each for each in suites_tests(suite_folder) if each.__name__ == "test_what_is_missing_says_why")
    test()
