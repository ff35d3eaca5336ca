"""From names to methods, suites and profiles, with near names in every refusal. No torch.

The harness knows no method and no suite: it looks them up in three modules by name, in the entry points of
installed packages (group ``dopd.methods``, ``name = "module:Class"``) and in the files of ``--plugin``
and ``--profile``.
'-' and '_' are equal in names.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import functools
import hashlib
import importlib
import inspect
import itertools
import re
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Union, cast

from harness.config import MethodSpec, RecipeSpec, to_json
from harness.method import Entry, Method, check_views, untrained_views
from harness.types import PLAIN, PRIVILEGED, HarnessError, Policy, Reduction, Want

if TYPE_CHECKING:
    from harness.analysis.claims import Decision
    from harness.profile import Default, Profile
    from harness.show.looks import Look
    from harness.suite import Options, Suite
    from harness.training.recipes import Recipe

METHODS_MODULE = "methods"
SUITES_MODULE = "suites"
RECIPES_MODULE = "harness.training.recipes"
CLAIMS_MODULE = "suites.paper.claims"
SUITE_SKELETON_MODULE = "suites.kit.skeleton"
LOOKS_MODULE = "suites.kit.looks"
PROFILES_MODULE = "suites.profiles"
OWN_DEFAULTS_MODULE = "suites.profiles.own"
MODELS_MODULE = "harness.models.sources"
ENTRY_POINTS = "dopd.methods"
PROGRAM = ENTRY_POINTS.partition(".")[0]
"""The console command; groups of entry points begin with its name."""
PLUGIN_MODULE, PROFILE_MODULE, SUITE_FILE_MODULE = "dopd_plugin", "dopd_profile", "dopd_suite"
"""Names of the modules that files of the user's become."""
OWN = "_OWN"
"""The user's profile in the second."""
FIELDS_ERROR = re.compile(
    r"(\w+)\.__init__\(\) "
    r"(?:got an unexpected keyword argument '(\w+)'|missing \d+ required keyword-only arguments?: (.+))"
)
"""Python's words where a dataclass is made with a field too many or too few."""
T = TypeVar("T")

_plugin: dict[str, Entry] = {}
"""Methods of the ``--plugin`` file; one per process."""
_own_profile: dict[str, str] = {}
"""That of the ``--profile`` file or of flags, as in ``profiles``; one per process."""


def methods() -> dict[str, Entry]:
    """Every method by registry name, in table order: ours, then installed packages', then the plugin's.

    Raises:
        HarnessError: two of them have the same name.
    """
    found = dict(_ours())
    for entries in (_installed(), _plugin):
        for name, entry in entries.items():
            if taken := {_plain(other): other for other in found}.get(_plain(name)):
                raise HarnessError(
                    f"method {name!r} ({entry.target}) has the name of {found[taken].target}: rename the "
                    "class or the entry point"
                )
            found[name] = entry
    return found


def not_implemented() -> dict[str, tuple[str, str]]:
    """Methods left out: source and reason by name; one that a third party has registered is no longer among them."""
    known = {_plain(name) for name in methods()}
    absent = importlib.import_module(METHODS_MODULE).NOT_IMPLEMENTED
    return {name: why for name, why in absent.items() if name not in known}


def method_name(name: str) -> str:
    """The registry's spelling of a method's name.

    Raises:
        HarnessError: unknown; near names are offered. Known and left out; the reason is given.
    """
    if name in (known := methods()):
        return name
    if _plain(name) in (absent := not_implemented()):
        raise HarnessError(f"method {_plain(name)!r} is not implemented: {absent[_plain(name)][1]}")
    return lookup("method", name, known, listing="dopd methods")


def method_spec(name: str, overrides: Mapping[str, Any] | None = None) -> MethodSpec:
    """A method with every field spelled out: the class's defaults, the entry's settings, then ``overrides``.

    Raises:
        HarnessError: unknown method or field (near names are offered), or a value of the wrong type.
    """
    name = method_name(name)
    entry = methods()[name]
    cls = method_class(name)
    what = f"method {name}"
    method = _construct(what, cls, {**entry.settings, **(overrides or {})})
    return MethodSpec(
        name=name,
        settings=to_json(_construct(what, cls, to_json(method))),
        version=cls.version,
        source_sha256=_source_sha256(name, cls),
    )


def build_method(spec: MethodSpec) -> Method:
    """The method a run was planned with.

    Raises:
        HarnessError: the code on this machine is of another version than the spec.
    """
    name = method_name(spec.name)
    cls = method_class(name)
    have = (cls.version, _source_sha256(name, cls))
    if have != (spec.version, spec.source_sha256):
        raise HarnessError(
            f"method {spec.name} was planned with version {spec.version} {spec.source_sha256[:10]}, the code "
            f"here is version {have[0]} {have[1][:10]}: plan the run again"
        )
    return _construct(f"method {name}", cls, spec.settings)


def method_class(name: str) -> type[Method]:
    """The class behind a registry name.

    Raises:
        HarnessError: the target does not import, or is no frozen dataclass derived from ``Method``.
    """
    target = methods()[name].target
    cls = resolve(target, f"method {name!r}")
    frozen = dataclasses.is_dataclass(cls) and cls.__dict__.get("__dataclass_params__") is not None
    if not (isinstance(cls, type) and issubclass(cls, Method) and frozen):
        raise HarnessError(
            f"method {name!r} ({target}) is not a dataclass derived from harness.method.Method: "
            "decorate it with @dataclass(frozen=True, kw_only=True)"
        )
    return cls


def load_plugin(path: Path) -> dict[str, Entry]:
    """Registers the methods of a file: each public ``Method`` subclass in it, ``MyMethod`` as ``my_method``.

    Raises:
        HarnessError: the file is absent, fails to import, or defines no method; one has a member that is misspelt, or a
            value that no run would record.
    """
    path = path.resolve()
    module = _run_file(path, PLUGIN_MODULE, "plugin")
    classes = {n: c for n, c in vars(module).items() if _is_own_method(c, module) and not n.startswith("_")}
    if not classes:
        raise HarnessError(
            f"plugin {path} defines no method: derive a class from harness.method.Method, without _ in front"
        )
    for name, cls in classes.items():
        _check_members(snake(name), cls)
    _plugin.clear()
    _plugin.update({snake(n): _foreign_entry(snake(n), f"{PLUGIN_MODULE}:{n}", path.name) for n in classes})
    methods()
    return dict(_plugin)


def _check_members(name: str, cls: type[Method]) -> None:
    """What would make the class run as another method than its author reads in it.

    Raises:
        HarnessError: a member's name is nearly one of ``Method``'s; a public value is no hyper-parameter.
    """
    own, known = {n: v for n, v in vars(cls).items() if not n.startswith("_")}, set(vars(Method))
    for member, value in own.items():
        if member in known or member in cls.__annotations__:
            continue
        if near := difflib.get_close_matches(member, known - set(own), n=1, cutoff=0.85):
            raise HarnessError(f"method {name!r}: {cls.__name__} has no member {member}: did you mean {near[0]}?")
        if not (callable(value) or hasattr(value, "__get__")):
            raise HarnessError(
                f"method {name!r}: {cls.__name__}.{member} = {value!r} has no type and so is no field, which no run "
                f"would record: write {member}: {type(value).__name__} = {value!r}, or ClassVar for what is no "
                "hyper-parameter"
            )


def recipe_spec(name: str, settings: Mapping[str, Any] | None = None) -> RecipeSpec:
    """A recipe with every setting spelled out: the class's defaults, then ``settings``.

    Raises:
        HarnessError: unknown recipe or setting (near names are offered), or a value of the wrong type.
    """
    name = lookup("recipe", name, _recipes())
    recipe = _construct(f"recipe {name}", _recipe_class(name), settings or {})
    return RecipeSpec(name=name, settings=to_json(recipe), version=recipe.version)


def build_recipe(spec: RecipeSpec) -> Recipe:
    """The recipe a model was planned with.

    Raises:
        HarnessError: the code on this machine is of another version than the spec.
    """
    name = lookup("recipe", spec.name, _recipes())
    cls = _recipe_class(name)
    if cls.version != spec.version:
        raise HarnessError(
            f"recipe {spec.name} was planned with version {spec.version}, the code here is version {cls.version}: "
            "plan the run again"
        )
    return _construct(f"recipe {name}", cls, spec.settings)


def recipe_target(spec: RecipeSpec) -> str:
    """``module:Class`` of a recipe.

    Raises:
        HarnessError: unknown recipe, near names offered.
    """
    return _recipes()[lookup("recipe", spec.name, _recipes())]


def tuning_suite() -> str:
    """Name of the suite whose published table holds each method's own learning rate."""
    return importlib.import_module(SUITES_MODULE).TUNING


def suites() -> dict[str, str]:
    """``module:Class`` of every suite by name, in the order of the paper."""
    return importlib.import_module(SUITES_MODULE).SUITES


def suite(name: str) -> Suite:
    """A suite by name, alias or Python file; ``all`` is every suite of the paper as one.

    Raises:
        HarnessError: unknown; near names are offered. A file that fails to import or holds no or several suites.
    """
    if name.endswith(".py"):
        return _suite_of(Path(name))
    if _plain(name) == "all":
        from harness.suite import Together

        return Together([each for each in map(suite, suites()) if each.of_paper])
    aliases: Mapping[str, str] = importlib.import_module(SUITES_MODULE).ALIASES
    name = lookup("suite", aliases.get(_plain(name), name), suites(), listing="dopd suites")
    return resolve(suites()[name], f"suite {name!r}")()


def _suite_of(path: Path) -> Suite:
    """The one suite that a file defines."""
    from harness.suite import Suite

    module = _run_file(path.resolve(), SUITE_FILE_MODULE, "suite")
    found = [
        c
        for c in vars(module).values()
        if isinstance(c, type) and issubclass(c, Suite) and c.__module__ == module.__name__ and hasattr(c, "name")
    ]
    if len(found) != 1:
        named = ", ".join(c.__name__ for c in found) or "none"
        raise HarnessError(f"suite {path} must define one suite, a class with a name; it defines {named}")
    if found[0].name in suites():
        raise HarnessError(f"suite {path} has the name of {suites()[found[0].name]}, {found[0].name!r}: give another")
    _check_suite(f"suite {path}", found[0])
    return found[0]()


def _check_suite(what: str, cls: type[Suite]) -> None:
    """What a class lacks, or has under a name that nothing reads.

    Raises:
        HarnessError: a member's name is nearly one of its base's; a method or the title is missing; seeds are no tuple.
    """
    known = {name for base in cls.__mro__[1:] for name in (*vars(base), *vars(base).get("__annotations__", {}))}
    for member in vars(cls):
        if member.startswith("_") or member in known:
            continue
        if near := difflib.get_close_matches(member, known - {*vars(cls)}, n=1, cutoff=0.85):
            raise HarnessError(f"{what}: {cls.__name__} has no member {member}: did you mean {near[0]}?")
    abstract = getattr(cls, "__abstractmethods__", frozenset[str]())
    if lost := [name for name in ("title", *sorted(abstract)) if name in abstract or not hasattr(cls, name)]:
        doc = inspect.getdoc(getattr(cls, lost[0], None)) or "one phrase: what it tests"
        raise HarnessError(f"{what}: {cls.__name__} has no {lost[0]}: give it ({doc.splitlines()[0].rstrip('.')})")
    seeds: Any = getattr(cls, "seeds", ())
    if not isinstance(seeds, tuple):
        raise HarnessError(f"{what}: {cls.__name__}.seeds = {seeds!r}: give a tuple of them, (0, 1, 2)")


def suite_skeleton() -> types.ModuleType:
    """Texts of a suite and of its test to start from, and the names that stand in them."""
    return importlib.import_module(SUITE_SKELETON_MODULE)


def claims(profile: Profile, options: Options) -> list[Decision]:
    """Every claim of the paper with its verdict, from the rows ``options`` name."""
    return importlib.import_module(CLAIMS_MODULE).decisions(profile, options)


def look(label: str) -> Look | None:
    """How figures show the method of this label; None if there is none."""
    return importlib.import_module(LOOKS_MODULE).label_look(label)


def profiles() -> dict[str, str]:
    """``module:NAME`` of every profile by name: ours, then that of the user's file."""
    return {**shipped_profiles(), **_own_profile}


def own_defaults() -> Mapping[str, Default]:
    """What a profile made by flags has where they say nothing, by flag."""
    return importlib.import_module(OWN_DEFAULTS_MODULE).DEFAULTS


def default_profile() -> str:
    """Name of the first profile, used where none is named."""
    return next(iter(profiles()))


def profile(name: str) -> Profile:
    """A profile by name.

    Raises:
        HarnessError: unknown; near names are offered.
    """
    known = profiles()
    if name not in known and Path(f"{name}.py").is_file():
        raise HarnessError(f"no profile {name!r}; the file {name}.py lies here: give --profile {name}.py")
    name = lookup("profile", name, known)
    return resolve(known[name], f"profile {name!r}")


def own_profile() -> Profile | None:
    """The user's, of a file or of flags; None without one."""
    return next((resolve(target, f"profile {name!r}") for name, target in _own_profile.items()), None)


def use_profile(made: Profile) -> None:
    """Registers a profile of the user's under its name, in the place of another one; of ours, if it is changed."""
    module = sys.modules.setdefault(PROFILE_MODULE, types.ModuleType(PROFILE_MODULE))
    setattr(module, OWN, made)
    _own_profile.clear()
    _own_profile[made.name] = f"{PROFILE_MODULE}:{OWN}"


def forget_changes() -> None:
    """Ours are as they are shipped again, where flags had changed one."""
    for name in _own_profile.keys() & shipped_profiles().keys():
        del _own_profile[name]


def load_profile(path: Path) -> Profile:
    """Registers the one profile that a file defines under its own name; ours may be imported there to start from.

    Its models that are local folders get the digest of their files, hub names their commit: parts of a run's identity.

    Raises:
        HarnessError: the file is absent, fails to import, or defines none or several; a field is missing, unknown or
            of a wrong type, names what the profile does not have, or the name is one of ours.
    """
    from harness.profile import Profile

    path = path.resolve()
    module = _run_file(path, PROFILE_MODULE, "profile")
    ours = [id(profile(name)) for name in shipped_profiles()]
    found = {n: v for n, v in vars(module).items() if isinstance(v, Profile) and n[0] != "_" and id(v) not in ours}
    if len(found) != 1:
        raise HarnessError(
            f"profile {path} defines {', '.join(found) or 'no profile'}: it must hold one harness.profile.Profile of "
            "its own, without _ in front"
        )
    (value,) = found.values()
    made = typed_fields(value, f"profile {path}")
    if _plain(made.name) in map(_plain, shipped_profiles()):
        raise HarnessError(f"profile {path} has the name {made.name!r} of a shipped profile: rename it")
    made.check()
    made = made.with_models(importlib.import_module(MODELS_MODULE).identified)
    use_profile(made)
    return made


def typed_fields(value: T, what: str, names: Iterable[str] | None = None) -> T:
    """A dataclass with its fields, and those of dataclasses in it, as their types: 1 of a float field is 1.0.

    ``names`` are the fields that may be otherwise; all where it is not given.

    Raises:
        HarnessError: a value is not of its field's type.
    """
    hints, made = _hints(type(value)), {}
    for name in [field.name for field in dataclasses.fields(cast(Any, value))] if names is None else names:
        made[name] = _typed_part(getattr(value, name), hints[name], f"{name} of {what}")
    return dataclasses.replace(cast(Any, value), **made)


def _typed_part(value: Any, hint: Any, what: str) -> Any:
    given = [each for each in typing.get_args(hint) if each is not types.NoneType]
    if value is not None and len(given) == 1 and hint == given[0] | None:
        return _typed_part(value, given[0], what)
    if dataclasses.is_dataclass(value) and type(value) in (hint, *typing.get_args(hint)):
        return typed_fields(value, what)
    if typing.get_origin(hint) is Mapping and isinstance(value, Mapping):
        key_hint, value_hint = typing.get_args(hint)
        return {
            _typed(key, key_hint, f"a key of {what}"): _typed_part(each, value_hint, f"{key} in {what}")
            for key, each in cast("Mapping[Any, Any]", value).items()
        }
    if typing.get_origin(hint) is Callable and callable(value):
        return value
    as_it_is = hint is Any or (hint is str and isinstance(value, str))  # a member of a StrEnum stays one
    return value if as_it_is else _typed(value, hint, what)


def lookup(kind: str, name: str, known: Iterable[str], *, listing: str = "") -> str:
    """The spelling of ``name`` among ``known``, '-' and '_' being equal.

    Raises:
        HarnessError: not among them; says the near names, else all of them.
    """
    known = tuple(known)
    if name in known:
        return name
    spelling = {_plain(each): each for each in known}
    if _plain(name) in spelling:
        return spelling[_plain(name)]
    close = difflib.get_close_matches(_plain(name), spelling, n=3)
    # The same letters in another order are the likeliest slip.
    near = [spelling[each] for each in sorted(close, key=lambda each: sorted(each) != sorted(_plain(name)))]
    everything = ", ".join(spelling.values()) or "none"
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {everything}"
    more = f" ({listing} lists them all)" if listing else ""
    raise HarnessError(f"unknown {kind} {name!r}: {hint}{more}")


def resolve(target: str, what: str) -> Any:
    """What ``module:attribute`` names.

    Raises:
        HarnessError: it does not import, whatever its module raises on the way.
    """
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise HarnessError(f"{what} ({target}) does not import ({error}): mend its registration") from error
    except HarnessError:  # it says itself what is wrong, which may be of another file
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise HarnessError(f"{what} ({target}) does not import ({reason}): mend the module") from error


def snake(name: str) -> str:
    """Registry name of a plugin's class: ``MyOPDMethod`` is ``my_opd_method``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _run_file(path: Path, name: str, kind: str) -> types.ModuleType:
    """A user's file as the module ``name``.

    Raises:
        HarnessError: it is absent or fails.
    """
    if not path.is_file():
        raise HarnessError(f"{kind} {path} is not a file: give the path of a Python file")
    module = types.ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    try:
        # Not by importlib: its bytecode cache may be of an earlier text of the same size and second.
        exec(compile(path.read_bytes(), path, "exec"), vars(module))
    except (Exception, SystemExit) as error:
        if isinstance(error, HarnessError):
            raise HarnessError(f"{kind} {path}: {error} (paths in it are from the folder where dopd runs)") from error
        if told := _told_of_fields(error):
            raise HarnessError(f"{kind} {path}: {told}") from error
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise HarnessError(f"{kind} {path} does not import ({reason}): mend the file") from error
    return module


def _told_of_fields(error: BaseException) -> str:
    """What fields a dataclass was made without, or of which it has none; empty if the error is about anything else."""
    found = FIELDS_ERROR.search(str(error)) if isinstance(error, TypeError) else None
    cls = _dataclass(found[1]) if found else None
    if not found or not cls:
        return ""
    if found[2]:
        try:
            return f"{cls.__name__} has no field {found[2]}: write {lookup('', found[2], _hints(cls))}"
        except HarnessError as unknown:
            return f"{cls.__name__} has no field {found[2]}: {str(unknown).partition(': ')[2]}"
    lost = [
        f"{name}, {_allowed(_hints(cls)[name])}{_field_doc(cls, name)}" for name in re.findall(r"'(\w+)'", found[3])
    ]
    return f"{cls.__name__} needs {'; '.join(lost)}; give {'it' if len(lost) == 1 else 'them'}"


def _dataclass(name: str) -> type[Any] | None:
    ours = [module for key, module in sys.modules.items() if key.partition(".")[0] == __name__.partition(".")[0]]
    values = (value for module in ours for value in vars(module).values())
    return next((v for v in values if isinstance(v, type) and dataclasses.is_dataclass(v) and v.__name__ == name), None)


def _field_doc(cls: type[Any], name: str) -> str:
    """`` (Optimiser steps of a run)``: the first line of the docstring below a field; empty without one."""
    (made,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    body = made.body if isinstance(made, ast.ClassDef) else []
    for field, below in itertools.pairwise(body):
        is_it = isinstance(field, ast.AnnAssign) and ast.unparse(field.target) == name
        if is_it and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            return f" ({str(below.value.value).strip().splitlines()[0].rstrip('.')})"
    return ""


def shipped_profiles() -> dict[str, str]:
    """``module:NAME`` of ours by name."""
    return importlib.import_module(PROFILES_MODULE).PROFILES


def _ours() -> dict[str, Entry]:
    return importlib.import_module(METHODS_MODULE).METHODS


def _recipes() -> dict[str, str]:
    return importlib.import_module(RECIPES_MODULE).RECIPES


def _recipe_class(name: str) -> type[Recipe]:
    return resolve(_recipes()[name], f"recipe {name!r}")


@functools.cache
def _installed() -> dict[str, Entry]:
    points = sorted(metadata.entry_points(group=ENTRY_POINTS), key=lambda point: point.name)
    return {p.name: _foreign_entry(p.name, p.value, p.dist.name if p.dist else "") for p in points}


def _foreign_entry(name: str, target: str, origin: str) -> Entry:
    return Entry(target=target, label=name, paradigm="third party", citation=origin)


def _is_own_method(value: object, module: types.ModuleType) -> bool:
    return isinstance(value, type) and issubclass(value, Method) and value.__module__ == module.__name__


def _plain(name: str) -> str:
    return name.strip().lower().replace("-", "_")


def _source_sha256(name: str, cls: type[Method]) -> str:
    """Of a third party's file, which no test of ours watches; empty for our own methods."""
    source = None if name in _ours() else inspect.getsourcefile(cls)
    return hashlib.sha256(Path(source).read_bytes()).hexdigest() if source else ""


def _construct(what: str, cls: type[T], settings: Mapping[str, Any]) -> T:
    hints = _hints(cls)
    fields = [f.name for f in dataclasses.fields(cast(Any, cls))]
    values = {}
    for key, value in settings.items():
        field = lookup(f"field of {what}:", key, fields)
        values[field] = _typed(value, hints[field], f"{field} of {what}")
    _check_defaults(cls, hints, what)
    try:
        made = cls(**values)
    except TypeError as error:
        raise HarnessError(f"{what} is not complete ({error}): give every field a default") from error
    if isinstance(made, Method):
        _check_words(made, what)
        check_views(made)
    return made


def _check_defaults(cls: type[Any], hints: Mapping[str, Any], what: str) -> None:
    """A number written as text is told before anything compares it.

    Raises:
        HarnessError: a field's default is of another type than the field.
    """
    for each in dataclasses.fields(cls):
        if hints[each.name] in (int, float, bool, str) and each.default is not dataclasses.MISSING:
            _typed(each.default, hints[each.name], f"default of {each.name} of {what}")


def _check_words(made: Method, what: str) -> None:
    """Policies, quantities, contexts and the reduction must be those there are: the trainer would take a word that is
    none for another, or stop in the middle.

    Raises:
        HarnessError: one is not, near names offered.
    """
    if not isinstance(cast(Any, made.reduction), Reduction):
        lookup(f"reduction of {what}:", str(made.reduction), map(str, Reduction))
        raise HarnessError(f"{what} has the reduction {made.reduction!r}, a text: write it as a member of Reduction")
    if type(made).terms is Method.terms:  # told by the contract, where a method is run
        return
    own = type(made).contexts is not Method.contexts
    for view in (*untrained_views(made), *(term.trained for term in made.terms)):
        if not isinstance(cast(Any, view.policy), Policy):
            lookup(f"policy of a view of {what}:", str(view.policy), map(str, Policy))
            raise HarnessError(f"{what} has a view of {view.policy!r}, a text: write it as a member of Policy")
        for want in view.wants:
            lookup(f"quantity that a view of {what} wants:", str(want), map(str, Want))
        if not own:  # else the names are known when there are rollouts
            lookup(f"context of a view of {what}:", view.context, (PLAIN, PRIVILEGED))


@functools.cache
def _hints(cls: type[Any]) -> dict[str, Any]:
    """Types of the fields; evaluating the annotations takes most of the time of planning a run."""
    return typing.get_type_hints(cls)


def _typed(value: Any, hint: Any, what: str) -> Any:
    """A JSON value as the field's type, so that 1 and 1.0 of a float field are one run.

    Raises:
        HarnessError: the value is not of that type.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return _first_typed(value, arguments, what)
    if origin is typing.Literal and value in arguments:
        return value
    if origin is tuple and isinstance(value, (list, tuple)):
        each = arguments[:1] * len(value) if arguments[1:] == (...,) else arguments
        if len(each) == len(value):
            return tuple(_typed(v, h, what) for v, h in zip(value, each, strict=True))
    if isinstance(hint, type):
        if issubclass(hint, Enum) and value in [member.value for member in hint]:
            return hint(value)
        if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        if type(value) is hint:
            return value
    raise HarnessError(f"{what} = {value!r}: allowed is {_allowed(hint)}; correct the value")


def _first_typed(value: Any, hints: tuple[Any, ...], what: str) -> Any:
    for hint in hints:
        try:
            return _typed(value, hint, what)
        except HarnessError:
            continue
    allowed = " or ".join(map(_allowed, hints))
    raise HarnessError(f"{what} = {value!r}: allowed is {allowed}; correct the value")


def _allowed(hint: Any) -> str:
    if isinstance(hint, type) and issubclass(hint, Enum):
        return ", ".join(str(member.value) for member in hint)
    if typing.get_origin(hint) is tuple:
        each = ", ".join("..." if part is ... else _allowed(part) for part in typing.get_args(hint))
        return f"a tuple of {each} (of one: a comma behind it)"
    return getattr(hint, "__name__", str(hint))
