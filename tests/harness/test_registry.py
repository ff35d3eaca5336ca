"""Names to methods, suites and profiles; settings as JSON; third parties' methods."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Literal

import pytest
from support import language

from harness import registry
from harness.config import MethodSpec, to_json
from harness.method import Entry, Method, check_views
from harness.storage import files
from harness.types import HarnessError
from methods.dopd import DualOnPolicyDistillation, SelfSource


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Painted(Method):
    """Every kind of field a method may have."""

    colour: Colour = Colour.RED
    weight: float = 1
    k: int = 8
    band: tuple[float, float] = (0.1, 0.9)
    steps: tuple[int, ...] = (1,)
    rate: float | None = None
    mode: Literal["a", "b"] = "a"
    live: bool = True


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two methods of this file beside ours; no plugin left behind."""
    ours = registry._ours()
    entry = Entry(target=f"{__name__}:Painted", label="Painted", paradigm="x", citation="x")
    red = dataclasses.replace(entry, settings={"colour": "blue", "k": 4})
    monkeypatch.setattr(registry, "_ours", lambda: {**ours, "painted": entry, "painted_blue": red})
    yield
    registry._plugin.clear()
    registry._installed.cache_clear()


def write_plugin(path: Path, *, weight: float = 1.0, name: str = "MyMethod") -> Path:
    path.write_text(
        "from dataclasses import dataclass\nfrom harness.method import Method\n\n\n"
        "class _Helper(Method):\n    pass\n\n\n"
        f"@dataclass(frozen=True, kw_only=True)\nclass {name}(_Helper):\n    weight: float = {weight}\n"
    )
    return path


def test_spec_spells_out_every_field_as_json() -> None:
    spec = registry.method_spec("painted_blue", {"weight": 2})
    assert spec == MethodSpec(
        name="painted_blue",
        version=1,
        settings={
            "colour": "blue",
            "weight": 2.0,
            "k": 4,
            "band": [0.1, 0.9],
            "steps": [1],
            "rate": None,
            "mode": "a",
            "live": True,
        },
    )
    assert json.loads(json.dumps(spec.settings)) == spec.settings


@pytest.mark.parametrize("name", [*registry.methods(), "painted", "painted_blue"])
def test_every_method_comes_back_from_its_spec(name: str) -> None:
    spec = registry.method_spec(name)
    method = registry.build_method(MethodSpec(**json.loads(json.dumps(to_json(spec)))))
    assert to_json(method) == spec.settings
    assert isinstance(method, registry.method_class(name))


def test_equal_numbers_are_one_run() -> None:
    specs = [registry.method_spec("painted", {"weight": weight}) for weight in (1, 1.0)]
    assert json.dumps(specs[0].settings) == json.dumps(specs[1].settings)
    assert json.dumps(registry.method_spec("painted").settings) == json.dumps(specs[0].settings)


def test_types_come_back() -> None:
    settings = {"colour": "blue", "band": [0, 1], "steps": [3, 4, 5], "rate": 0.5, "mode": "b"}
    method = registry.build_method(registry.method_spec("painted", settings))
    expected = {"colour": Colour.BLUE, "weight": 1.0, "k": 8, "band": (0.0, 1.0), "steps": (3, 4, 5)}
    expected |= {"rate": 0.5, "mode": "b", "live": True}
    assert vars(method) == expected
    assert [type(value).__name__ for value in vars(method).values()][:2] == ["Colour", "float"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"wieght": 2.0}, r"unknown field of method painted: 'wieght': did you mean weight\?"),
        ({"zzz": 2.0}, r"unknown field .* known: colour, weight, k"),
        ({"colour": "green"}, r"colour of method painted = 'green': allowed is red, blue"),
        ({"colour": ["red"]}, r"allowed is red, blue"),
        ({"k": 1.5}, r"k of method painted = 1.5: allowed is int"),
        ({"k": True}, r"k of method painted = True: allowed is int"),
        ({"live": 1}, r"live of method painted = 1: allowed is bool"),
        ({"weight": "big"}, r"weight .* allowed is float"),
        ({"band": [0.1]}, r"band .* allowed is a tuple of float, float"),
        ({"rate": "fast"}, r"rate .* allowed is float or None"),
        ({"mode": "c"}, r"mode of method painted = 'c'"),
    ],
)
def test_wrong_settings_are_one_line(settings: dict[str, object], message: str) -> None:
    with pytest.raises(HarnessError, match=message) as error:
        registry.method_spec("painted", settings)
    assert "\n" not in str(error.value)


def test_spec_of_another_version_is_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = registry.method_spec("painted")
    monkeypatch.setattr(registry.method_class("painted"), "version", 2)
    with pytest.raises(HarnessError, match=r"planned with version 1 .*version 2 : plan the run again"):
        registry.build_method(spec)


@pytest.mark.parametrize("spelling", ["vanilla_opd", "vanilla-opd", "Vanilla-OPD", " vanilla_opd "])
def test_dash_underscore_and_case_are_equal(spelling: str) -> None:
    assert registry.method_name(spelling) == "vanilla_opd"
    assert registry.method_spec(spelling).name == "vanilla_opd"


@pytest.mark.parametrize(
    ("look_up", "message"),
    [
        (
            lambda: registry.method_name("vanila_opd"),
            r"unknown method 'vanila_opd': did you mean vanilla_opd",
        ),
        (lambda: registry.method_name("zzzz"), r"unknown method 'zzzz': known: sft, .*`?dopd methods"),
        (lambda: registry.suite("odo"), r"unknown suite 'odo': did you mean ood"),
        (lambda: registry.profile("embeded"), r"unknown profile 'embeded': did you mean embedded"),
    ],
)
def test_unknown_names_offer_near_ones(look_up: Callable[[], object], message: str) -> None:
    with pytest.raises(HarnessError, match=message):
        look_up()


def test_continual_learning_is_an_alias(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "SUITES_MODULE", "support.fakes")
    for name in ("continual", "continual-learning", "continual_learning"):
        assert registry.suite(name).title == "nothing at all"


def test_every_suite_and_profile_is_what_its_name_says() -> None:
    for name in registry.suites():
        suite = registry.suite(name)
        assert registry._plain(suite.name) == registry._plain(name)
        assert suite.title
    for name in registry.profiles():
        assert registry.profile(name).name == name


def test_target_that_does_not_import_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for target, reason in (("nowhere:X", "No module named"), (f"{__name__}:Nothing", "no attribute")):
        entry = Entry(target=target, label="x", paradigm="x", citation="x")
        monkeypatch.setattr(registry, "_ours", lambda entry=entry: {"lost": entry})
        with pytest.raises(HarnessError, match=rf"method 'lost' \({target}\) does not import .*{reason}"):
            registry.method_spec("lost")


@pytest.mark.parametrize("target", [f"{__name__}:Colour", f"{__name__}:test_types_come_back"])
def test_target_that_is_no_method_is_one_line(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Entry(target=target, label="x", paradigm="x", citation="x")
    monkeypatch.setattr(registry, "_ours", lambda: {"odd": entry})
    with pytest.raises(HarnessError, match=r"is not a dataclass derived from harness.method.Method"):
        registry.method_spec("odd")


def test_plugin_registers_its_public_methods(tmp_path: Path) -> None:
    path = write_plugin(tmp_path / "my_method.py")
    assert list(registry.load_plugin(path)) == ["my_method"]
    assert list(registry.methods())[-1] == "my_method"
    spec = registry.method_spec("my-method", {"weight": 3})
    assert spec.settings == {"weight": 3.0}
    assert spec.source_sha256 == files.sha256(path)
    assert registry.build_method(spec) == registry.method_class("my_method")(weight=3.0)


def test_edited_plugin_is_another_run_and_does_not_build_the_old_one(tmp_path: Path) -> None:
    path = write_plugin(tmp_path / "my_method.py")
    registry.load_plugin(path)
    old = registry.method_spec("my_method", {"weight": 5.0})
    path.write_text(path.read_text() + "# edited\n")
    registry.load_plugin(path)
    assert registry.method_spec("my_method", {"weight": 5.0}) != old
    with pytest.raises(HarnessError, match=r"planned with version 1 \w{10}, the code here is version 1 \w{10}"):
        registry.build_method(old)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, r"is not a file: give the path of a Python file"),
        ("x = 1\n", r"defines no method: derive a class from harness.method.Method"),
        ("from methods.opd import OnPolicyDistillation\n", r"defines no method"),
        ("def f(:\n", r"does not import \(SyntaxError: .*\): mend the file"),
        ("1 / 0\n", r"does not import \(ZeroDivisionError: division by zero\)"),
    ],
)
def test_bad_plugin_is_one_line(tmp_path: Path, source: str | None, message: str) -> None:
    path = tmp_path / "bad.py"
    if source is not None:
        path.write_text(source)
    with pytest.raises(HarnessError, match=message) as error:
        registry.load_plugin(path)
    assert "\n" not in str(error.value)


def test_undecorated_plugin_method_is_told_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "bare.py"
    path.write_text("from harness.method import Method\nclass Bare(Method):\n    weight: float = 1.0\n")
    registry.load_plugin(path)
    with pytest.raises(HarnessError, match=r"decorate it with @dataclass\(frozen=True, kw_only=True\)"):
        registry.method_spec("bare")


def test_field_without_default_is_told_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "p.py"
    path.write_text(write_plugin(path).read_text().replace(" = 1.0", ""))
    registry.load_plugin(path)
    with pytest.raises(HarnessError, match=r"my_method is not complete .*weight.*give every field a default"):
        registry.method_spec("my_method")


def test_plugin_may_not_take_a_name_of_ours(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"has the name of .*test_registry:Painted: rename the class"):
        registry.load_plugin(write_plugin(tmp_path / "p.py", name="Painted"))


@pytest.mark.parametrize(
    ("class_name", "name"),
    [("MyMethod", "my_method"), ("MyOPDMethod", "my_opd_method"), ("TopK2Loss", "top_k2_loss")],
)
def test_class_names_become_registry_names(tmp_path: Path, class_name: str, name: str) -> None:
    assert list(registry.load_plugin(write_plugin(tmp_path / "p.py", name=class_name))) == [name]


def test_installed_package_registers_by_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_plugin(tmp_path / "their_package.py", name="Theirs")
    info = tmp_path / "their_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[dopd.methods]\ntheirs = their_package:Theirs\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry._installed.cache_clear()
    assert registry.methods()["theirs"].citation == "their-package"
    spec = registry.method_spec("theirs")
    assert spec.source_sha256 == files.sha256(tmp_path / "their_package.py")
    assert registry.build_method(spec) == registry.method_class("theirs")()


def test_a_source_that_moves_between_the_steps_of_a_batch_is_refused() -> None:
    """Hidden states of one set of weights, output layer of another: only where a batch takes several steps."""

    class Several(DualOnPolicyDistillation):
        updates = 2

    with pytest.raises(
        HarnessError, match=r"updates=2 .*view student/privileged wants its distribution.*set updates to 1"
    ):
        check_views(Several())
    check_views(Several(self_source=SelfSource.INITIAL))
    for name in registry.methods():
        check_views(registry.build_method(registry.method_spec(name)))


def test_views_are_checked_where_a_method_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DualOnPolicyDistillation, "updates", 2)
    with pytest.raises(HarnessError, match="updates=2 with the student in training as a source"):
        registry.method_spec("dopd")


PLUGIN = """
from dataclasses import dataclass
from harness.method import Method

@dataclass(frozen=True, kw_only=True)
class MyMethod(Method):
    weight: float = 1.0
    {line}

    @property
    def terms(self):
        return ()

    def {name}(self, term, views, fields):
        return None
"""


@pytest.mark.parametrize(
    ("line", "name", "message"),
    [
        ("", "token_lose", r"MyMethod has no member token_lose: did you mean token_loss\?"),
        ("beta = 0.5", "token_loss", r"MyMethod.beta = 0.5 has no type and so is no field, .* write beta: float = 0.5"),
    ],
)
def test_a_plugin_that_would_run_as_another_method_is_refused(
    line: str, name: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "my_method.py"
    path.write_text(PLUGIN.format(line="", name="token_loss"))
    registry.load_plugin(path)
    path.write_text(PLUGIN.format(line=line, name=name))
    with pytest.raises(HarnessError, match=message):
        registry.load_plugin(path)


WORDS = """
from dataclasses import dataclass
from typing import ClassVar
from harness.method import Method
from harness.types import *

@dataclass(frozen=True, kw_only=True)
class MyMethod(Method):
    beta: float = {beta}
    reduction: ClassVar = {reduction}

    @property
    def terms(self):
        return (Term(View(Policy.STUDENT), (View({view}),)),)

    def token_loss(self, term, views, fields):
        return None
"""
RIGHT = {"beta": "0.5", "reduction": "Reduction.SEQ_MEAN", "view": "Policy.TEACHER, PRIVILEGED"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"view": "'teachr'"}, "unknown policy of a view of method my_method: 'teachr': did you mean teacher"),
        ({"view": "'ema'"}, "has a view of 'ema', a text: write it as a member of Policy"),
        ({"view": "Policy.TEACHER, 'privilegd'"}, "unknown context of a view .* 'privilegd': did you mean privileged"),
        (
            {"view": "Policy.TEACHER, PLAIN, frozenset({'lgp'})"},
            "unknown quantity that a view .* 'lgp': did you mean logp",
        ),
        ({"reduction": "'sequence'"}, "unknown reduction of method my_method: 'sequence'"),
        ({"reduction": "'seq_mean'"}, "has the reduction 'seq_mean', a text: write it as a member of Reduction"),
        ({"beta": "'0.5'"}, "default of beta of method my_method = '0.5': allowed is float"),
    ],
)
def test_a_word_that_the_trainer_would_take_for_another_is_refused(
    changed: dict[str, str], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "my_method.py"
    path.write_text(WORDS.format(**RIGHT))
    registry.load_plugin(path)
    assert registry.method_spec("my_method").settings == {"beta": 0.5}
    path.write_text(WORDS.format(**RIGHT | changed))
    registry.load_plugin(path)
    with pytest.raises(HarnessError, match=message):
        registry.method_spec("my_method")


def test_an_error_that_says_itself_what_is_wrong_is_not_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A world that is registered wrongly is found when a profile asks for it; the profile is not at fault."""

    def broken(_: str) -> None:
        raise HarnessError("world 'mine' has no grade")

    monkeypatch.setattr(registry.importlib, "import_module", broken)
    with pytest.raises(HarnessError, match=r"^world 'mine' has no grade$"):
        registry.resolve("suites.profiles.paper:PROFILE", "profile 'paper'")


def test_a_tuple_of_one_without_its_comma_is_told() -> None:
    with pytest.raises(HarnessError, match=r"allowed is a tuple of str, ... \(of one: a comma behind it\)"):
        registry.typed_fields(dataclasses.replace(language.data("coding"), domains="coding"), "data")
