"""Where problems, privileged input and grades come from. No torch.

A world is a class (``harness.worlds.world.World``, or ``OfData`` where problems stand in files) and one line: in
``WORLDS``, or among the entry points of its own package (group ``dopd.worlds``, ``name = "module:Class"``). The name is
what ``DataSpec.world`` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import metadata

from harness import registry
from harness.config import DataSpec, HeldOut
from harness.types import HarnessError, Privilege
from harness.worlds.world import Drawn, OfData, World

WORLDS: dict[str, str] = {
    "permutations": "harness.worlds.permutations.world:PermutationsWorld",
    "scenes": "harness.worlds.scenes.world:ScenesWorld",
    "files": "harness.worlds.files.world:Files",
}
"""``module:Class`` by name, imported on use."""
ENTRY_POINTS = "dopd.worlds"
SPLITS = ("test", "validation")
"""Of held-out sets."""


def known() -> dict[str, str]:
    """Every world's ``module:Class`` by name: ours, then installed packages'.

    Raises:
        HarnessError: two of them have one name.
    """
    found = dict(WORLDS)
    for name, target in _installed():
        if name in found:
            raise HarnessError(f"world {name!r} ({target}) has the name of {found[name]}: rename the entry point")
        found[name] = target
    return found


def world(name: str) -> World:
    """The world of that name.

    Raises:
        HarnessError: unknown, near names are offered; its class does not import, or is no world's; or its problems
            stand in files, so that there is one for each data (``world_of``).
    """
    found = _registered(name)
    if isinstance(found, OfData):
        raise HarnessError(f"world {name!r} is another for each data: give it data (harness.worlds.world_of)")
    return found


def held_out(name: str) -> Sequence[HeldOut]:
    """The held-out sets that a world has by itself.

    Raises:
        HarnessError: as ``world`` does; one is of another split than test or validation, or of no number of items.
    """
    found = _registered(name)
    sets = () if isinstance(found, OfData) else found.benchmarks()
    for each in sets:
        if each.split not in SPLITS:
            raise HarnessError(
                f"world {name!r}: its benchmark {each.name} is of split {each.split!r}: give {' or '.join(SPLITS)}; "
                "what is trained on would tell nothing"
            )
        if type(each.n) is not int or each.n < 1:
            raise HarnessError(
                f"world {name!r}: its benchmark {each.name} has n={each.n!r}: give a whole number of items"
            )
    return sets


def draws(name: str) -> tuple[int, ...]:
    """Numbers of the draws of a world; empty of one without. Raises HarnessError as ``world`` does."""
    found = _registered(name)
    return found.draws if isinstance(found, Drawn) else ()


def _registered(name: str) -> World | OfData:
    targets = known()
    try:
        name = registry.lookup("world", name, targets)
    except HarnessError as error:
        more = f"a new one needs its line in harness.worlds.WORLDS, or an entry point of the group {ENTRY_POINTS}"
        raise HarnessError(f"{error}; {more}") from error
    return _made(targets[name], name)


def world_of(data: DataSpec) -> World:
    """The world of a run's data, which it has been checked against.

    Raises:
        HarnessError: the world is unknown or of another version, or lacks a draw, a domain or the kind of p that is
            asked for; a file of problems that cannot be read, or is not what it was.
    """
    found = _registered(data.world)
    if data.version != found.version:
        raise HarnessError(
            f"world {data.world!r} is version {found.version} here, the data ask for version {data.version}: set "
            f"version={found.version} in the data and plan the run again, or install the package that holds the other"
        )
    if isinstance(found, OfData):
        found = found.of(data)
    _check_draw(found, data)
    if not data.domains:
        raise HarnessError(f"domains is empty; name at least one of {', '.join(found.domains)}")
    for domain in data.domains:
        registry.lookup(f"domain of world {data.world!r}:", domain, found.domains)
    if data.privilege != Privilege.NONE:
        registry.lookup(f"privileged input of world {data.world!r}:", str(data.privilege), found.privileges)
    return found


def _check_draw(found: World, data: DataSpec) -> None:
    if not isinstance(found, Drawn):
        if data.draw is not None:
            raise HarnessError(f"world {data.world!r} has no draws, the data ask for draw {data.draw}: leave draw out")
        return
    if data.draw not in found.draws:
        asked = "the data name none" if data.draw is None else f"the data ask for draw {data.draw}"
        raise HarnessError(
            f"world {data.world!r} has the draws {', '.join(map(str, found.draws))}, {asked}: give one of these (a "
            "profile's draws do, see harness.profile.Draws)"
        )


@cache
def _installed() -> tuple[tuple[str, str], ...]:
    return tuple(sorted((point.name, point.value) for point in metadata.entry_points(group=ENTRY_POINTS)))


@cache
def _made(target: str, name: str) -> World | OfData:
    what = f"world {name!r} ({target})"
    found = registry.resolve(target, f"world {name!r}")
    try:
        made = found()
    except TypeError as error:
        raise HarnessError(f"{what} is not made without arguments ({error}): name a class that is") from error
    if isinstance(made, OfData):
        return made
    if lost := [name for name in vars(World) if not (name.startswith("_") or hasattr(made, name))]:
        raise HarnessError(f"{what} has no {', '.join(lost)}: a world has all that harness.worlds.world.World has")
    if type(made.version) is not int:
        raise HarnessError(f"{what} has version {made.version!r}: give a whole number")
    for names in ("domains", "privileges"):
        if isinstance(getattr(made, names), str):
            raise HarnessError(
                f"{what} has {names} {getattr(made, names)!r}, a text: give a tuple of them (of one: a comma behind it)"
            )
    return made
