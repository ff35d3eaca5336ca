"""Faults of the world outside, with real processes: the end is bit-equal to an undisturbed run, or a clear refusal.

A process is a fork of this one, so that it begins at once and random moments fall into its work, not its imports.
"""

from __future__ import annotations

import dataclasses
import random
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from support import language
from support.drive_run import EVALUATIONS, short_run

from harness import registry
from harness.config import ModelSpec, RunSpec
from harness.evaluation.benchmarks import BENCHMARKS, benchmark
from harness.evaluation.evaluate import prepare
from harness.runs.run import run
from harness.storage import files
from harness.storage.run_folder import RunFolder, RunState
from harness.suite import Evaluation, made_model
from harness.training import trainer
from harness.types import HarnessError

pytestmark = pytest.mark.slow

CODING = "permutations_coding"
KILLS = 30
FORK = get_context("fork")
TIMES = ("seconds/", "memory", "tokens_per_second")
"""Of a logged step, what differs from process to process."""


def tiny_run() -> RunSpec:
    """Six steps of a method with a copy that moves, a checkpoint after every second."""
    return short_run("dopd_ema_self", 6, checkpoints=3)


def tiny_making() -> RunSpec:
    profile = registry.profile("embedded")
    model = made_model(
        "small-tuned",
        recipe="fine_tune",
        settings={"privileged_share": 0.5},
        base=ModelSpec(name=language.SMALL),
        data=language.data(*profile.data.domains, size=32),
        optim=profile.optim,
        steps=6,
        prompts_per_step=6,
        checkpoints=3,
        max_response_tokens=34,
    )
    assert model.made is not None
    return model.made


SPECS = {"run": tiny_run, "made model": tiny_making}


@dataclasses.dataclass
class Gold:
    """An undisturbed run."""

    folder: RunFolder
    wanted: tuple[Evaluation, ...]
    seconds: float

    def at(self, root: Path) -> RunFolder:
        return RunFolder(root, self.folder.spec)


@pytest.fixture(scope="module", params=SPECS)
def gold(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gold]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BENCHMARKS, CODING, dataclasses.replace(benchmark(CODING), n=8))
        patch.setattr(trainer, "PROBE_SIZE", 4)
        spec = SPECS[request.param]()
        wanted = EVALUATIONS if spec.method else ()
        prepare(wanted, spec.data.draw if spec.data else None)
        folder = RunFolder(tmp_path_factory.mktemp("gold"), spec)
        start = time.monotonic()
        assert attempt(folder, wanted) == ""
        yield Gold(folder=folder, wanted=wanted, seconds=time.monotonic() - start)


def process(folder: RunFolder, wanted: tuple[Evaluation, ...]) -> tuple[Any, Connection]:
    ours, theirs = FORK.Pipe()
    started = FORK.Process(target=work, args=(folder, wanted, theirs))
    started.start()
    theirs.close()
    return started, ours


def work(folder: RunFolder, wanted: tuple[Evaluation, ...], pipe: Connection) -> None:
    """Sends nothing for done, a refusal, or what no user should see."""
    try:
        state = folder.state(wanted)
        run(folder, wanted, lambda *_: None)
        state = folder.state(wanted)
        pipe.send("" if state is RunState.DONE else f"it ended {state}")
    except HarnessError as error:
        pipe.send(f"refused: {error}")
    except BaseException as bug:
        pipe.send(f"{type(bug).__name__}: {bug}")


def attempt(folder: RunFolder, wanted: tuple[Evaluation, ...]) -> str:
    started, pipe = process(folder, wanted)
    said = pipe.recv()
    started.join()
    return said


def result(folder: RunFolder) -> Mapping[str, Any]:
    """Everything of a run that is a number: rows, log without times, weights of its last step, model."""
    weights = folder.checkpoints / f"step-{folder.spec.steps:06d}" / "weights.safetensors"
    paths = [folder.path / "rows.jsonl", folder.path / "done", weights, *sorted(folder.model.glob("*"))]
    log = files.read_jsonl(folder.metrics)
    kept = [{k: v for k, v in line.items() if not k.startswith(TIMES)} for line in log]
    return {path.name: path.read_bytes() for path in paths if path.exists()} | {"log": kept}


def test_killed_at_random_moments_the_end_is_that_of_an_undisturbed_run(gold: Gold, tmp_path: Path) -> None:
    """Until so many were killed; a run that came to its end between two kills is compared and begun anew."""
    moments: list[float] = []
    killed = rounds = 0
    while killed < KILLS:
        folder = gold.at(tmp_path / str(rounds))
        rounds += 1
        while folder.state(gold.wanted) is not RunState.DONE and killed < KILLS:
            moments.append(random.SystemRandom().uniform(0, gold.seconds / 2))
            started, pipe = process(folder, gold.wanted)
            started.join(moments[-1])
            killed += started.is_alive()
            started.kill()
            started.join()
            pipe.close()
        assert attempt(folder, gold.wanted) == "", moments
        assert result(folder) == result(gold.folder), moments
        assert not list(folder.path.rglob(".*.tmp")), moments


def files_of(folder: RunFolder) -> list[Path]:
    return [path.relative_to(folder.path) for path in sorted(folder.path.rglob("*")) if path.is_file()]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("harm", [cut, empty, Path.unlink], ids=["cut", "empty", "gone"])
@pytest.mark.parametrize("done", [True, False], ids=["done", "not done"])
def test_whatever_file_is_damaged_the_end_is_the_same_or_a_refusal(
    gold: Gold, tmp_path: Path, harm: Any, done: bool
) -> None:
    """Every file of a done run, with and without its ``done``. Samples are compared when they are shown."""
    expected, refused = result(gold.folder), []
    names = files_of(gold.folder)
    assert len(names) > 15
    for number, name in enumerate(names):
        folder = gold.at(tmp_path / str(number))
        shutil.copytree(gold.folder.path, folder.path)
        if not done:
            (folder.path / "done").unlink()
        if (folder.path / name).exists():
            harm(folder.path / name)
        said = attempt(folder, gold.wanted)
        if said:
            assert said.startswith("refused: ") and "\n" not in said and ": " in said, (name, said)
            refused.append(name)
        else:
            assert result(folder) == expected, name
        shutil.rmtree(folder.root)
    may = {"spec.json", "environment.json", "done", "rows.jsonl"}
    assert {path.name for path in refused if path.parts[0] != "model"} <= may, refused


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"no file system may be mounted here: {made.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_is_told_and_with_more_room_the_run_goes_on(gold: Gold, disk: Path) -> None:
    folder, full = gold.at(disk), 0
    for kilobytes in (16, 64, 256, 700, 1100, 1500, 1900, 2300, 3100, 65536):
        subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", disk], check=True)
        said = attempt(folder, gold.wanted)
        if said:
            assert "disk full" in said or "No space left" in said, said
            assert "\n" not in said
            full += 1
    assert full >= 3
    assert said == ""
    assert result(folder) == result(gold.folder)
