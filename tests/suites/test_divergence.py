"""Table 7 from synthetic rows: nine cells twice, which of them are other suites' runs, and that they may be."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from support.small import SMALL, fixed_batch, loss_and_gradient, policies
from support.synthetic import PROFILE, frames, is_student

from harness import registry
from harness.config import RunSpec
from harness.show.tables import Cell, Table
from harness.suite import Evaluation, Options, Suite
from harness.types import PLAIN, PRIVILEGED, Policy
from suites.divergence import METHODS, SHARED

SUITE: Suite = registry.suite("divergence")
DIVERGENCES, GRANULARITIES = ("forward_kl", "reverse_kl", "js"), ("sampled", "top_k", "full")
CELLS = [f"{d}/{g}" for d in DIVERGENCES for g in GRANULARITIES]


def at_step(cell: str, seed: int, share: float) -> float:
    """JS full is best; each cell a point below the one after it, moved by seed, growing along the run."""
    return 0.4 + share * (0.10 + 0.01 * CELLS.index(cell) + (0.002 * seed if cell == "js/full" else 0.0))


def cell_of(spec: RunSpec) -> str:
    assert spec.method is not None
    s = spec.method.settings
    return f"{s['divergence']}/{s['granularity']}" if "divergence" in s else "js/top_k"


def score(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    factor = (0.5 if metric == "exact_trace" else 1) * (0.5 if evaluation.benchmark.endswith("_hard") else 1)
    if spec.method is None:
        return factor * (0.4 if is_student(spec) else 0.6)
    return factor * at_step(cell_of(spec), spec.seed, evaluation.at(spec) / spec.steps)


def options(root: Path, **changes: Any) -> Options:
    return Options(suite=SUITE.name, **{"results": root, "published": root / "published", **changes})


def arms(root: Path) -> dict[str, Any]:
    return {arm.key: arm for arm in SUITE.arms(PROFILE, options(root))}  # type: ignore[attr-defined]


def line(made: Table, block: str, label: str) -> dict[str, Cell]:
    (found,) = (each for each in made.lines if (each.block, each.label) == (block, label))
    return {column.key: cell for column, cell in zip(made.columns, found.cells, strict=True)}


def test_cells_are_the_setting_they_name(tmp_path: Path) -> None:
    made = arms(tmp_path)
    few = [f"{d}/top_k_few" for d in DIVERGENCES]
    assert list(made) == [*CELLS, *(f"plain/{cell}" for cell in CELLS), *few, *(f"plain/{cell}" for cell in few)]
    for key, arm in made.items():
        assert cell_of(arm.spec) == key.removeprefix("plain/").removesuffix("_few")
        if "top_k" in key:
            assert arm.spec.method.settings["k"] == (8 if key.endswith("_few") else 32), key
        method = registry.build_method(arm.spec.method)
        contexts = [view.context for term in method.terms for view in term.sources if view.policy is Policy.TEACHER]
        assert contexts == [PLAIN if key.startswith("plain/") else PRIVILEGED], key
    with_p = [arm.method for arm in list(made.values())[:9]]
    assert with_p == ["privileged_teacher"] * 7 + ["dopd_ablation", "privileged_teacher"]


@pytest.mark.parametrize(("context", "divergence", "granularity"), SHARED)
def test_a_shared_cell_is_the_same_loss(context: str, divergence: str, granularity: str) -> None:
    """Bit for bit, so that the run of another name may stand in this table."""
    batch = fixed_batch(policies()[Policy.STUDENT])
    name, settings = SHARED[context, divergence, granularity]  # type: ignore[index]
    pair = ((name, settings), (METHODS[context], {"divergence": str(divergence), "granularity": str(granularity)}))
    (loss, gradient), (own, its_gradient) = (
        loss_and_gradient(registry.build_method(registry.method_spec(n, {**small(n), **s})), batch) for n, s in pair
    )
    assert loss == own and loss[0] != 0
    assert all(torch.equal(a, b) for a, b in zip(gradient, its_gradient, strict=True))


def small(name: str) -> dict[str, Any]:
    return {k: v for k, v in SMALL.items() if k in registry.method_class(name).__dataclass_fields__}


def test_shared_arms_are_runs_of_other_suites(tmp_path: Path) -> None:
    def ids(name: str) -> set[str]:
        chosen = Options(suite=name, seeds=(0, 1, 2), published=tmp_path / "published")
        return {spec.id for spec in registry.suite(name).runs(PROFILE, chosen)}

    mine = {key: {spec.id for spec in arm.specs.values()} for key, arm in arms(tmp_path).items()}
    assert mine["reverse_kl/top_k"] <= ids("privilege_illusion")
    assert mine["js/top_k"] | mine["plain/js/top_k"] <= ids("ablation") & ids("token_ablation")
    assert mine["plain/reverse_kl/top_k"] <= ids("in_distribution")
    assert mine["plain/reverse_kl/sampled"] <= ids("methods")


def test_numbers_of_a_line(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    made = {each.name: each for each in SUITE.tables(*frames(chosen, score, suite=SUITE), chosen)}
    assert list(made) == ["table7", "table7_plain"]
    best = line(made["table7"], "JS", "full vocabulary")
    # .18, .182, .184 above the student at the end.
    assert [best[f"at_{share}"].value for share in (20, 40, 80, 100)] == pytest.approx([43.64, 47.28, 54.56, 58.2])
    assert best["difference"].missing == "baseline" and best["at_100"].rank == 1 and best["at_100"].n == 3
    first = line(made["table7"], "forward KL", "sampled token")
    assert first["difference"].value == pytest.approx(-8.2)
    assert first["recovery"].value == pytest.approx(50)
    assert first["entropy"].value == pytest.approx(500), "millinats"
    assert line(made["table7_plain"], "JS", "full vocabulary")["at_100"].rank == 1
    for table, same in (("table7", "Priv. T→S"), ("table7_plain", "vanilla OPD")):
        assert f"reverse KL on top-k is {same}: the same runs" in made[table].caption
        assert "Baseline: JS, full vocabulary; " in made[table].caption
        assert "adjusted by Holm over the 11 tests" in made[table].caption


def test_missing_and_collapsed(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    lost = list(arms(tmp_path)["js/full"].specs.values())
    rows, costs = frames(chosen, score, suite=SUITE, skip=lost)
    fallen = arms(tmp_path)["forward_kl/full"].specs[2].id
    rows.loc[(rows["run"] == fallen) & (rows["step"] > 80), "status"] = "collapsed"
    table7, _ = SUITE.tables(rows, costs, chosen)
    assert line(table7, "JS", "full vocabulary")["at_40"] == Cell(missing="not run")
    assert line(table7, "JS", "top-k")["difference"] == Cell(missing="no baseline of these seeds")
    fell = line(table7, "forward KL", "full vocabulary")
    assert fell["at_40"].notes == () and "collapsed 1/3" in fell["at_80"].notes
    assert "(partial: 75 of 78 runs done)" in table7.heading
    drawn = SUITE.figures(rows, costs, chosen)["table7"]
    assert "not run" in {text.get_text() for text in drawn.axes[0].texts}


def test_figure_is_two_matrices(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    drawn = SUITE.figures(*frames(chosen, score, suite=SUITE), chosen)["table7"]
    assert [ax.get_title() for ax in drawn.axes] == ["teacher with p", "teacher without p", ""]
    shown = [text.get_text().split("\n")[0] for text in drawn.axes[0].texts]
    wanted = [100 * sum(at_step(f"{d}/{g}", s, 1.0) for s in range(3)) / 3 for d, g in by_place()]  # top-k twice
    assert shown == [f"{value:.1f}" for value in wanted]
    labels = [label.get_text() for label in drawn.axes[0].get_yticklabels()]
    assert labels == ["forward KL", "reverse KL", "JS"]


def by_place() -> list[tuple[str, str]]:
    return list(itertools.product(DIVERGENCES, (*GRANULARITIES, "top_k")))
