"""The proof that nothing moved must see what moved."""

from __future__ import annotations

from pathlib import Path

import pytest
from checks.unmoved import differences, exceptions, verdict


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    """Two equal sides of three files."""
    for side in ("before", "now"):
        for name, text in {"ids.txt": "a\n", "shown/ood.md": "52.1", "shown/ood.png": "P"}.items():
            path = tmp_path / side / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (tmp_path / side / "complete").touch()
    return tmp_path / "before", tmp_path / "now"


def test_equal_sides_are_equal(sides: tuple[Path, Path]) -> None:
    assert differences(*sides) == (3, {})
    assert verdict(3, {}, {}) == (["3 files compared: 3 equal to the last byte"], True)


def test_a_byte_a_lost_and_a_new_file_are_seen(sides: tuple[Path, Path]) -> None:
    before, now = sides
    (now / "shown" / "ood.md").write_text("52.2")
    (now / "shown" / "ood.png").unlink()
    (now / "shown" / "new.md").touch()
    count, found = differences(before, now)
    assert (count, list(found)) == (4, ["shown/new.md", "shown/ood.md", "shown/ood.png"])
    assert [found[name] for name in found] == ["only now", "4 bytes before, 4 now", "only before"]
    assert not verdict(count, found, {})[1]


def test_only_what_is_named_may_differ_and_what_is_named_must(tmp_path: Path) -> None:
    file = tmp_path / "excepted.txt"
    file.write_text("# why\n\nshown/*.md: a caption says more\n")
    known = exceptions(file)
    assert known == {"shown/*.md": "a caption says more"}
    assert verdict(2, {"shown/ood.md": "x"}, known)[1]
    assert not verdict(2, {"shown/ood.md": "x", "ids.txt": "y"}, known)[1]
    lines, unmoved = verdict(2, {}, known)
    assert not unmoved and "IDLE" in lines[-1]
