"""Checkpoints come back bit by bit, or the one before does and says so."""

from __future__ import annotations

import copy
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from torch import nn

from harness.storage import checkpoint, files
from harness.storage.checkpoint import LOG, MANIFEST, STATE, WEIGHTS
from harness.types import HarnessError


class Tied(nn.Module):
    """Input and output embedding share their weight, as in the embedded models."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 3)
        self.inner = nn.Linear(3, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.inner(self.embed(ids)))


def trained(steps: int) -> tuple[Tied, torch.optim.AdamW]:
    torch.manual_seed(0)
    model = Tied()
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1, betas=(0.9, 0.95))
    for _ in range(steps):
        step(model, optimiser)
    return model, optimiser


def step(model: Tied, optimiser: torch.optim.AdamW) -> None:
    model(torch.arange(5)).square().sum().backward()
    optimiser.step()
    optimiser.zero_grad()


def save(folder: Path, number: int) -> checkpoint.Checkpoint:
    state = {"tokens": number, "optimiser": {"m": torch.full((3,), float(number))}}
    return checkpoint.save(folder, number, weights={"w": torch.full((4,), float(number))}, state=state)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (0, 10, 20):
        save(tmp_path / "checkpoints", number)
    return tmp_path / "checkpoints"


def test_training_goes_on_bit_by_bit(tmp_path: Path) -> None:
    model, optimiser = trained(3)
    state = {"optimiser": optimiser.state_dict(), "tokens": 7, "schedule": {"last": [0.1]}}
    checkpoint.save(tmp_path, 3, weights=model.state_dict(), state=state)
    found, message = checkpoint.latest_valid(tmp_path)
    assert found is not None
    assert (found.step, message) == (3, "")
    fresh, fresh_optimiser = trained(0)
    fresh.load_state_dict(found.weights())
    fresh_optimiser.load_state_dict(found.state()["optimiser"])
    assert found.state()["tokens"] == 7
    for m, o in ((model, optimiser), (fresh, fresh_optimiser)):
        step(m, o)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, fresh.state_dict()[name]), name


def test_tied_weights_are_stored_once_and_come_back_under_both_names(tmp_path: Path) -> None:
    weights = trained(1)[0].state_dict()
    found = checkpoint.save(tmp_path, 1, weights=weights, state={})
    assert found.weights().keys() == weights.keys()
    assert torch.equal(found.weights()["head.weight"], weights["embed.weight"])
    untied = copy.deepcopy(weights) | {"head.weight": weights["head.weight"].clone()}
    twice = checkpoint.save(tmp_path, 2, weights=untied, state={})
    sizes = [(c.path / WEIGHTS).stat().st_size for c in (found, twice)]
    assert sizes[1] - sizes[0] >= 5 * 3 * 4 - 64, "60 bytes of float32, less what the header gains"


def test_state_that_would_run_code_is_not_loaded(tmp_path: Path) -> None:
    found = checkpoint.save(tmp_path, 1, weights={}, state={"object": Path("x")})
    with pytest.raises(Exception, match="Weights only load failed"):
        found.state()


def test_weights_are_kept_for_all_and_states_for_the_newest_two(folder: Path) -> None:
    save(folder, 30)
    have = {path.name: sorted(f.name for f in path.iterdir()) for path in folder.iterdir()}
    thin, full = [MANIFEST, WEIGHTS], [MANIFEST, STATE, WEIGHTS]
    expected = {"step-000000": thin, "step-000010": thin, "step-000020": full, "step-000030": full}
    assert have == expected
    assert checkpoint.at_step(folder, 0).weights()["w"].tolist() == [0.0] * 4


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif how == "flipped":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    else:
        path.unlink()


@pytest.mark.parametrize("name", [WEIGHTS, STATE, MANIFEST])
@pytest.mark.parametrize("how", ["truncated", "flipped", "missing"])
def test_damaged_newest_falls_back_to_the_one_before_and_says_so(folder: Path, name: str, how: str) -> None:
    damage(folder / "step-000020" / name, how)
    found, message = checkpoint.latest_valid(folder)
    assert found is not None
    assert found.step == 10
    assert found.state()["tokens"] == 10
    assert "step-000020" in message
    assert name in message or name == MANIFEST
    assert message.endswith("goes on from step 10")
    assert "\n" not in message


def test_both_damaged_starts_again_and_says_so(folder: Path) -> None:
    damage(folder / "step-000020" / STATE, "flipped")
    damage(folder / "step-000010" / WEIGHTS, "truncated")
    found, message = checkpoint.latest_valid(folder)
    assert found is None
    assert "step-000020 (sha256 of state.pt differs), step-000010 (sha256 of weights" in message
    assert message.endswith("starts again from step 0")


def test_no_checkpoint_is_no_message(tmp_path: Path) -> None:
    assert checkpoint.latest_valid(tmp_path / "absent") == (None, "")


def test_going_on_from_an_earlier_step_drops_the_later_ones(folder: Path) -> None:
    """Else the damaged newest would be asked again, and the state of the new one thinned out."""
    damage(folder / "step-000020" / STATE, "flipped")
    save(folder, 15)
    assert sorted(path.name for path in folder.iterdir()) == ["step-000000", "step-000010", "step-000015"]
    found, message = checkpoint.latest_valid(folder)
    assert found is not None
    assert (found.step, message) == (15, "")


def test_steps_are_ordered_as_numbers(tmp_path: Path) -> None:
    for number in (999_999, 1_000_000, 1_000_010):
        save(tmp_path, number)
    found, _ = checkpoint.latest_valid(tmp_path)
    assert found is not None
    assert found.step == 1_000_010
    assert not (tmp_path / "step-999999" / STATE).exists()


@pytest.mark.parametrize("how", ["truncated", "flipped", "missing"])
def test_damaged_weights_are_not_evaluated(folder: Path, how: str) -> None:
    damage(folder / "step-000010" / WEIGHTS, how)
    with pytest.raises(HarnessError, match=r"step-000010 cannot be evaluated .*weights.*--force") as error:
        checkpoint.at_step(folder, 10)
    assert "\n" not in str(error.value)
    assert checkpoint.at_step(folder, 20).step == 20


def test_absent_step_is_not_evaluated(folder: Path) -> None:
    with pytest.raises(HarnessError, match=r"manifest.json is missing"):
        checkpoint.at_step(folder, 5)


def test_save_stopped_before_the_rename_leaves_the_old_ones(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(source: Any, target: Any) -> None:
        if Path(target).name == "step-000030":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            save(folder, 30)
    assert sorted(path.name for path in folder.iterdir()) == ["step-000000", "step-000010", "step-000020"]


def test_leftovers_of_a_killed_save_are_not_taken_for_a_checkpoint(folder: Path) -> None:
    part = folder / ".step-000030.tmp"
    part.mkdir()
    (part / WEIGHTS).write_bytes(b"half")
    found, message = checkpoint.latest_valid(folder)
    assert found is not None
    assert (found.step, message) == (20, "")
    assert save(folder, 30).weights()["w"].tolist() == [30.0] * 4
    assert not part.exists()


def full_disk_of_safetensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it raises on a full file system; it renames, so a full device cannot stand in."""

    def fail(*_: Any, **__: Any) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoint, "save_file", fail)


def full_disk_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it raises on a full file system: the writer's own error on top of the system's."""

    def fail(*_: Any) -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        finally:
            raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598")

    monkeypatch.setattr(torch, "save", fail)


@pytest.mark.parametrize("fill", [full_disk_of_safetensors, full_disk_of_torch])
def test_full_disk_is_one_line_and_older_checkpoints_stay(
    folder: Path, fill: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both writers hide the system's error, each in its own way."""
    fill(monkeypatch)
    with pytest.raises(HarnessError, match=r"disk full.*step-000030") as error:
        save(folder, 30)
    assert "\n" not in str(error.value)
    assert sorted(path.name for path in folder.iterdir()) == ["step-000000", "step-000010", "step-000020"]


def test_manifest_names_what_was_written(folder: Path) -> None:
    path = folder / "step-000020"
    manifest = files.read_json(path / MANIFEST)
    assert manifest == {"step": 20, "sha256": {n: files.sha256(path / n) for n in (WEIGHTS, STATE)}}


@pytest.fixture
def logged(folder: Path) -> Path:
    """The log of a run with checkpoints at 0, 10 and 20, a line a step and two after the last checkpoint."""
    log = folder.parent / LOG
    log.write_text("")
    for number in range(23):
        files.append_jsonl(log, {"step": number})
        if number in (0, 10, 20):
            checkpoint.save(folder, number, weights={"w": torch.ones(1)}, state={}, log=log)
    return log


def steps_of(log: Path) -> list[int]:
    return [record["step"] for record in files.read_jsonl(log)]


def lose(log: Path) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:5] + lines[7:]))


def tear(log: Path) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:8]) + lines[8][:4])


def double(log: Path) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:8] + lines[3:]))


def spoil(log: Path) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:8]) + b"\xff\n" + b"".join(lines[9:]))


LOSSES = [lose, tear, double, spoil, Path.unlink]


@pytest.mark.parametrize("harm", LOSSES)
def test_a_resume_has_the_lines_up_to_its_checkpoint_whatever_became_of_the_log(
    logged: Path, folder: Path, harm: Callable[[Path], None]
) -> None:
    """Before, lost and doubled lines stayed, and a damaged one asked to move the file away: tokens and status fell."""
    harm(logged)
    found, message = checkpoint.latest_valid(folder)
    assert found is not None and (found.step, message) == (20, "")
    checkpoint.restore_log(logged, found)
    assert steps_of(logged) == list(range(21))


def test_a_damaged_copy_of_the_log_falls_back_with_its_checkpoint(logged: Path, folder: Path) -> None:
    damage(folder / "step-000020" / LOG, "truncated")
    found, message = checkpoint.latest_valid(folder)
    assert found is not None and found.step == 10
    assert "sha256 of metrics.jsonl differs" in message
    checkpoint.restore_log(logged, found)
    assert steps_of(logged) == list(range(11))


@pytest.mark.parametrize("harm", LOSSES)
def test_the_log_of_a_trained_run_is_brought_back(logged: Path, folder: Path, harm: Callable[[Path], None]) -> None:
    checkpoint.restore_log(logged, checkpoint.latest_valid(folder)[0])
    assert checkpoint.mend_log(folder, 20, logged) == ""
    harm(logged)
    said = checkpoint.mend_log(folder, 20, logged)
    assert said == "metrics.jsonl was not what was written: brought back from step-000020"
    assert steps_of(logged) == list(range(21))


def test_a_log_without_a_whole_copy_is_refused(logged: Path, folder: Path) -> None:
    checkpoint.restore_log(logged, checkpoint.latest_valid(folder)[0])
    damage(folder / "step-000020" / LOG, "flipped")
    assert checkpoint.mend_log(folder, 20, logged) == "", "the log itself is whole"
    lose(logged)
    with pytest.raises(HarnessError, match=r"metrics.jsonl is not what was written, .*step-000020 .*--force") as error:
        checkpoint.mend_log(folder, 20, logged)
    assert "\n" not in str(error.value)


def test_a_checkpoint_without_a_copy_keeps_the_lines_up_to_it(folder: Path) -> None:
    """Of an older version."""
    log = folder.parent / LOG
    for number in range(25):
        files.append_jsonl(log, {"step": number})
    assert checkpoint.mend_log(folder, 20, log) == ""
    checkpoint.restore_log(log, checkpoint.latest_valid(folder)[0])
    assert steps_of(log) == list(range(21))


def test_copies_of_the_log_are_kept_for_the_newest_two(logged: Path, folder: Path) -> None:
    assert sorted(path.parent.name for path in folder.glob(f"*/{LOG}")) == ["step-000010", "step-000020"]


@pytest.mark.parametrize("name", ["step-000020.bak", "step-000010 (copy)", "step-", "step-x", "step-00002"])
def test_a_stray_folder_is_no_checkpoint(folder: Path, name: str) -> None:
    """Before, a copy beside the checkpoints ended every verb in a ValueError."""
    (folder / name).mkdir()
    (folder / name / MANIFEST).write_text("{}")
    found, message = checkpoint.latest_valid(folder)
    assert found is not None and (found.step, message) == (20, "")
    save(folder, 30)
    assert (folder / name).is_dir()


@pytest.mark.parametrize("text", ["{}", "[]", "5", '{"sha256": 5}', '{"sha256": []}', '{"sha256": {}}', "null"])
def test_a_manifest_of_another_kind_is_damaged(folder: Path, text: str) -> None:
    (folder / "step-000020" / MANIFEST).write_text(text)
    found, message = checkpoint.latest_valid(folder)
    assert found is not None and found.step == 10
    assert "step-000020 (manifest.json is damaged)" in message
