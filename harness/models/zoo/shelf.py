"""Where the models of a world's draws lie: folders, manifest, card; and the command that makes them. No torch."""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.models import zoo
from harness.models.zoo import bounds
from harness.storage.run_folder import checkpoint_step
from harness.types import HarnessError
from harness.worlds.minds import Class, Mind

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "model.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Of one world."""

    world: str
    version: int
    folder: Path

    def folder_of(self, draw: int, name: str) -> Path:
        """Of a model's files."""
        return self.folder / f"draw{draw}" / name

    def shipped_name(self, name: str, draw: int) -> str:
        """As in ``ModelSpec.name``: ``scenes_student_draw0``."""
        return f"{self.world}_{name}_draw{draw}"

    def there(self, draw: int, name: str) -> Path:
        """The folder of a model.

        Raises:
            HarnessError: it is not there.
        """
        folder = self.folder_of(draw, name)
        if not (folder / WEIGHTS).is_file():
            raise HarnessError(f"draw {draw} has no {name} in {folder}: make it first (--only {name})")
        return folder

    def entry(
        self, draw: int, name: str, *, mind: Mind | None, recipe: Mapping[str, Any], trunk: str | None, **about: int
    ) -> dict[str, Any]:
        """Of a model whose files are there, for the manifest; ``about`` its making, ``trunk`` the name of the model it
        began from."""
        found = {
            "folder": f"{self.world}/draw{draw}/{name}",
            "sha256": zoo.sha256(self.folder_of(draw, name) / WEIGHTS),
            "draw": draw,
            **about,
            "date": time.strftime("%Y-%m-%d"),
            "made_of": self._made_of(draw, mind, recipe, trunk, about["attempt"]),
        }
        return found if mind is None else found | {"mind": asdict(mind)}

    def _made_of(self, draw: int, mind: Mind | None, recipe: Mapping[str, Any], trunk: str | None, attempt: int) -> str:
        """Digest of all that a model is made of."""
        file = trunk and self.folder_of(draw, trunk) / WEIGHTS
        begun = zoo.sha256(file) if file and file.is_file() else ""
        known = [self.version, draw, mind and asdict(mind), recipe, attempt, begun]
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()

    def read(self) -> dict[str, Any]:
        """What is known of the models and draws so far."""
        file = self.folder / "manifest.json"
        empty = {"world_version": self.version, "models": {}, "draws": {}}
        return json.loads(file.read_text()) if file.exists() else empty

    def write(
        self,
        record: Mapping[str, Any],
        *,
        recipe: Mapping[str, Any],
        classes: Mapping[str, Mapping[Class, int]],
        card: Callable[[dict[str, Any]], str],
    ) -> None:
        """Manifest and card, never half a file."""
        sizes = {name: {str(each): n for each, n in by.items()} for name, by in classes.items()}
        whole = json.loads(json.dumps({**record, "recipe": recipe, "classes": sizes}))  # as it is read again
        draft = self.folder / "manifest.json.new"
        self.folder.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(whole, indent=1) + "\n")
        draft.replace(self.folder / "manifest.json")
        (self.folder / "CARD.md").write_text(card(whole))

    def holds(
        self, draw: int, name: str, *, mind: Mind | None, recipe: Mapping[str, Any], trunk: str | None, attempt: int
    ) -> bool:
        """Whether a model is there as this recipe makes it from the trunk that is there."""
        file = self.folder_of(draw, name) / WEIGHTS
        entry = self.read()["models"].get(self.shipped_name(name, draw), {})
        wanted = self._made_of(draw, mind, recipe, trunk, attempt)
        return entry.get("made_of") == wanted and file.is_file() and entry["sha256"] == zoo.sha256(file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """What the command of a world is made of."""

    shelf: Shelf
    models: tuple[str, ...]
    """Of a draw, in the order in which they are made; the first is what the others begin from."""
    minds: Mapping[str, Mind]
    recipe: Mapping[str, Any]
    draws: int
    check_draw: Callable[[int], int]
    make: Callable[[int, str, int], dict[str, Any]]
    """(draw, name, attempt) to its entry."""
    measured: Callable[[int], dict[str, Any]]
    write: Callable[[dict[str, Any]], None]
    cells: Callable[[int, Mapping[str, Tensor]], dict[str, dict[str, float]]]
    """(draw, other weights of its student) to its cells by class, as they stand in the manifest."""
    alone: str
    """The class of cells that the student alone has right, of which G10 asks."""
    gates: Sequence[bounds.Gate]
    """In the order of the card."""

    def held(self, draw: int, name: str, attempt: int) -> bool:
        """Whether a model is there as it would be made."""
        trunk = None if name == self.models[0] else self.models[0]
        mind = self.minds.get(name)
        return self.shelf.holds(draw, name, mind=mind, recipe=self.recipe, trunk=trunk, attempt=attempt)


def run(making: Making, arguments: Sequence[str] | None = None) -> None:
    """Command line: make the models of some draws, measure them, read the gates, write manifest and card."""
    shelf = making.shelf
    parser = argparse.ArgumentParser(prog=f"python -m harness.models.zoo.{shelf.world}", description=run.__doc__)
    parser.add_argument("--draws", nargs="+", type=int, default=list(range(making.draws)), metavar="DRAW")
    parser.add_argument(
        "--only", nargs="*", choices=making.models, default=making.models, metavar="NAME", help="none: measure alone"
    )
    parser.add_argument(
        "--attempt", type=int, default=0, help="another initialisation of the trunk; counted in the card"
    )
    parser.add_argument("--resume", action="store_true", help="leave out what this recipe has made already")
    parser.add_argument(
        "--distilled",
        type=Path,
        metavar="CHECKPOINT",
        help="what plain distillation left of the one named draw's student, late: its gates alone",
    )
    args = parser.parse_args(arguments)
    if args.distilled:
        if len(args.draws) != 1:
            parser.error(f"--distilled is a run in one draw, --draws names {len(args.draws)}: name its own")
        _read_late(making, making.check_draw(args.draws[0]), args.distilled)
        return
    for draw in map(making.check_draw, args.draws):
        for name in (name for name in making.models if name in args.only):
            if args.resume and making.held(draw, name, args.attempt):
                print(f"draw {draw} {name} is there", flush=True)
                continue
            entry = making.make(draw, name, args.attempt)
            record = shelf.read()
            record["models"][shelf.shipped_name(name, draw)] = entry
            record["draws"].pop(str(draw), None)  # measured on other weights
            making.write(record)
        if not (args.resume and str(draw) in shelf.read()["draws"]):
            _measure(making, draw)


def _measure(making: Making, draw: int) -> None:
    found = making.measured(draw)
    record = making.shelf.read()
    record["draws"][str(draw)] = found
    making.write(record)
    _say(draw, found["gates"])


def _read_late(making: Making, draw: int, checkpoint: Path) -> None:
    record = making.shelf.read()
    if str(draw) not in record["draws"]:
        raise HarnessError(f"draw {draw} is not measured: make and measure its models first (--draws {draw})")
    from harness.storage import checkpoint as checkpoints  # imports torch, which a reader of the manifest does not need

    if (step := checkpoint_step(checkpoint)) is None:
        raise HarnessError(
            f"--distilled {checkpoint} is no checkpoint: give a run's checkpoints/step-000200 or its like"
        )
    weights = checkpoints.at_step(checkpoint.parent, step).weights()
    found = record["draws"][str(draw)]
    before, after = (
        cells[making.alone]["probability"] for cells in (found["cells"]["student"], making.cells(draw, weights))
    )
    found["gates"] = bounds.read_late(found["gates"], making.gates, {"G10": before - after})
    making.write(record)
    _say(draw, found["gates"])


def _say(draw: int, gates: Sequence[Mapping[str, Any]]) -> None:
    for gate in gates:
        passed = {True: "ok", False: "FAILED", None: "not run"}[gate["passed"]]
        print(f"draw {draw} {passed:8} {gate['key']} {gate['words']}: {gate['value']} ({gate['bound']})", flush=True)
