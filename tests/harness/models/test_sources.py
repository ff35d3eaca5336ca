"""Where a model comes from, kind by kind."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest
from support import language
from support.drive_run import short_run
from support.folders import model_folder

from harness.config import NOTHING, ModelSpec
from harness.models import zoo
from harness.models.sources import Source, digest, identified, is_here, place, unsaid
from harness.storage.run_folder import RunFolder
from harness.suite import made_model
from harness.types import HarnessError

MADE = made_model(
    "child", recipe="fine_tune", base=ModelSpec(name=language.SMALL), data=language.data("coding"), steps=1
)


def found(spec: ModelSpec, root: Path | None = None) -> tuple[Source, str]:
    where = place(spec, root)
    return where.source, where.path


def test_an_embedded_name_is_the_shipped_one_even_beside_a_folder_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / language.STUDENT).mkdir()
    monkeypatch.chdir(tmp_path)
    assert found(ModelSpec(name=language.STUDENT)) == (Source.ZOO, str(zoo.path(language.STUDENT)))
    assert found(ModelSpec(name=f"./{language.STUDENT}")) == (Source.FOLDER, f"./{language.STUDENT}")


def test_a_folder_comes_before_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert found(ModelSpec(name="maker/model")) == (Source.HUB, "maker/model")
    (tmp_path / "maker" / "model").mkdir(parents=True)
    assert found(ModelSpec(name="maker/model")) == (Source.FOLDER, "maker/model")


@pytest.mark.parametrize("name", ["/nowhere/at/all", "./nowhere", "a/b/c", "maker/model/"])
def test_what_can_only_be_a_path_is_never_asked_of_the_hub(name: str) -> None:
    assert found(ModelSpec(name=name))[0] is Source.FOLDER


def test_weights_of_a_folder_are_those_of_the_spec(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"weights")
    spec = ModelSpec(name=str(tmp_path), sha256=hashlib.sha256(b"weights").hexdigest())
    assert found(spec) == (Source.FOLDER, str(tmp_path))
    weights.write_bytes(b"others")
    with pytest.raises(HarnessError, match=f"planned for weights {spec.sha256[:10]}, the folder holds"):
        place(spec)
    assert found(dataclasses.replace(spec, sha256=""))[0] is Source.FOLDER


def test_weights_are_here_only_where_their_hash_is_that_of_the_spec(tmp_path: Path) -> None:
    shipped = ModelSpec(name=language.STUDENT, sha256=zoo.MANIFEST[language.STUDENT]["sha256"])
    assert is_here(shipped) and not is_here(dataclasses.replace(shipped, sha256="0" * 64))
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    folder = ModelSpec(name=str(tmp_path), sha256=hashlib.sha256(b"weights").hexdigest())
    assert is_here(folder) and not is_here(dataclasses.replace(folder, sha256="")), "a spec that does not say which"
    assert not is_here(dataclasses.replace(folder, name="maker/model")) and not is_here(MADE)


def test_a_flipped_bit_of_a_shipped_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Teacher 79.0 -> 0.0, exit 0: before, only the spec was compared with the manifest, and nobody read the file."""
    folder = tmp_path / zoo.MANIFEST[language.TEACHER]["folder"]
    model_folder(folder, language.TEACHER)
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path)
    for spec in (
        ModelSpec(name=language.TEACHER),
        ModelSpec(name=language.TEACHER, sha256=zoo.MANIFEST[language.TEACHER]["sha256"]),
    ):
        assert found(spec)[0] is Source.ZOO
    weights = folder / "model.safetensors"
    damaged = bytearray(weights.read_bytes())
    damaged[185407] ^= 0x40
    weights.write_bytes(damaged)
    for spec in (
        ModelSpec(name=language.TEACHER),
        ModelSpec(name=language.TEACHER, sha256=zoo.MANIFEST[language.TEACHER]["sha256"]),
    ):
        with pytest.raises(HarnessError, match=r"teacher/model.safetensors is not the file the .* ships .*: restore"):
            place(spec)
    weights.unlink()
    with pytest.raises(HarnessError, match="is not the file the package ships"):
        place(ModelSpec(name=language.TEACHER))


def test_a_folder_is_the_content_of_its_files(tmp_path: Path) -> None:
    bare = model_folder(tmp_path / "m")
    spec = identified(bare)
    assert spec == dataclasses.replace(bare, content=digest(tmp_path / "m")) and found(spec)[0] is Source.FOLDER
    (tmp_path / "m" / "README.md").write_text("notes move nothing")
    assert identified(bare) == spec
    for name in ("config.json", "tokenizer.json", "chat_template.jinja", "model.safetensors"):
        kept = (tmp_path / "m" / name).read_bytes()
        (tmp_path / "m" / name).write_bytes(kept + b" ")
        assert identified(bare).content != spec.content
        with pytest.raises(HarnessError, match=f"planned for weights {spec.content[:10]}, the folder holds"):
            place(spec)
        (tmp_path / "m" / name).write_bytes(kept)
    assert identified(bare) == spec and identified(spec) == spec


def test_only_folders_are_told_by_content(tmp_path: Path) -> None:
    for spec in (
        ModelSpec(name=language.STUDENT),
        ModelSpec(name="maker/model"),
        ModelSpec(name="./nowhere"),
        NOTHING,
        MADE,
    ):
        assert identified(spec) == spec
    folder = model_folder(tmp_path / "m")
    made = made_model("child", recipe="fine_tune", base=folder, data=language.data("coding"), steps=1)
    of_folder = identified(made).made
    assert of_folder is not None and of_folder.student.content == digest(tmp_path / "m")


def test_content_that_nobody_said_is_told_by_name(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m")
    run = dataclasses.replace(short_run("dopd", 2), student=folder)
    assert unsaid(run) == {folder.name: digest(tmp_path / "m")}
    assert not unsaid(dataclasses.replace(run, student=identified(folder)))


def test_a_made_model_is_in_its_run_folder_and_nowhere_else(tmp_path: Path) -> None:
    assert MADE.made is not None
    folder = RunFolder(tmp_path, MADE.made)
    folder.prepare()
    folder.model.mkdir()
    (folder.model / "config.json").write_text("{}")
    folder.mark_done()
    assert found(MADE, tmp_path) == (Source.MADE, str(folder.model))
    with pytest.raises(HarnessError, match="model 'child' is made: give the results folder that holds it"):
        place(MADE)
    embedded = dataclasses.replace(MADE, name=language.TRUTH)
    with pytest.raises(HarnessError, match="has the name of an embedded one: give it another name"):
        place(embedded, tmp_path)
    (folder.model / "more.json").write_text("{}")
    with pytest.raises(HarnessError, match="is not the model that was made"):
        place(MADE, tmp_path)


def test_nothing_is_no_model() -> None:
    with pytest.raises(HarnessError, match="'nothing' stands for no model"):
        place(NOTHING)
    assert found(ModelSpec(name="./nothing"))[0] is Source.FOLDER
