"""A training problem as the models of a run read it, so that a chat template is seen before it costs anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from harness.config import RunSpec
from harness.models import load
from harness.models.prompts import both_prompts
from harness.types import HarnessError, Privilege
from harness.worlds import needs, world_of


def shown(specs: Iterable[RunSpec], root: Path) -> Iterator[tuple[str, str]]:
    """Title and text of both prompts of the first problem, without p and with it, for each student and data once.

    Where a prompt cannot be had, the text says why.
    """
    different = {(s.student.canonical, s.data.canonical): s for s in specs if s.data is not None and s.method}
    for spec in different.values():
        assert spec.data is not None
        about = f"{spec.student.name}, {spec.data.world}, {', '.join(spec.data.domains)}"
        kinds = dict.fromkeys((str(Privilege.NONE), str(spec.data.privilege)))
        for kind in kinds:
            title = f"{about}: " + ("without p" if kind == Privilege.NONE else f"with p ({kind})")
            try:
                yield title, prompt(spec, kind, root)
            except HarnessError as error:
                yield title, str(error)


def prompt(spec: RunSpec, kind: str, root: Path) -> str:
    """The first training problem with p of ``kind``, special tokens as they are written.

    Raises:
        HarnessError: the model is not here, or its chat template refuses the turns.
    """
    assert spec.data is not None
    example = needs.first_examples(world_of(spec.data), spec.data)[0]
    reader = load.load_reader(spec.student, root=root)
    return reader.decode([both_prompts(reader, example, kind)[-1]], special=True)[0]
