"""The sweep of learning rates: what is run, what is chosen, and that ``--learning-rate tuned`` reads it."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
from support import synthetic
from support.synthetic import PROFILE, frames, is_student, make_done

from harness import registry
from harness.analysis import results
from harness.cli import verbs
from harness.config import RunSpec
from harness.evaluation import benchmarks
from harness.report import publish
from harness.runs import run
from harness.show import tables
from harness.show.tables import Cell, Kind, Table
from harness.storage import files, published_folder
from harness.storage.run_folder import RunFolder
from harness.suite import Evaluation, Options, Suite, training_run, tuned_rates
from harness.types import HarnessError
from suites import tuning
from suites.kit.chosen import by_paradigm

SUITE: Suite = registry.suite("tuning")
GRID = PROFILE.learning_rates
MEANS = {
    "vanilla_opd": (0.50, 0.55, 0.60, 0.60, 0.30),  # a tie
    "sft": (0.20, 0.30, 0.35, 0.40, 0.50),  # best at the upper edge
    "sdpo": (0.55, 0.50, 0.45, 0.30, 0.001),  # best at the lower edge
}
DOMAIN = {"general": -0.1, "reasoning": 0.0, "coding": 0.1}
"""Added to the mean by domain: the mean over the domains is the method's."""


def score(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    if spec.method is None or spec.optim is None:
        return 0.2 if is_student(spec) else 0.7
    mean = MEANS[spec.method.name][GRID.index(spec.optim.lr)]
    domain = evaluation.benchmark.removeprefix("permutations_").removesuffix("_validation")
    share = mean if mean < 0.1 else mean + DOMAIN[domain]
    return share if metric == "exact_answer" else share / 2


def options(root: Path, **changes: Any) -> Options:
    given = {"methods": tuple(MEANS), "results": root, "published": root / "published", **changes}
    return Options(suite="tuning", **given)


def made(chosen: Options, skip: Any = ()) -> dict[str, Table]:
    return {table.name: table for table in SUITE.tables(*frames(chosen, score, skip, suite=SUITE), chosen)}


def line(table: Table, label: str) -> dict[str, Cell]:
    (found,) = (each for each in table.lines if each.label == label)
    return {column.key: cell for column, cell in zip(table.columns, found.cells, strict=True)}


def ood(root: Path, **changes: Any) -> Options:
    return synthetic.options(root, methods=("vanilla_opd",), seeds=(0,), train_domains=("coding",), **changes)


# --- what is run


def test_every_listed_method_has_the_same_grid_and_budget(tmp_path: Path) -> None:
    planned = SUITE.runs(PROFILE, options(tmp_path, methods=None))
    known = registry.methods().items()
    listed = [name for name, entry in known if entry.listed and not registry.method_class(name).pictures]
    assert [(s.method.name, s.optim.lr) for s in planned if s.method and s.optim] == [
        (name, rate) for name in listed for rate in GRID
    ]
    same = {
        (s.steps, s.prompts_per_step, s.rollouts_per_prompt, s.seed, s.data.domains, dataclasses.replace(s.optim, lr=1))
        for s in planned
        if s.data and s.optim
    }
    assert len(same) == 1 and len({s.id for s in planned}) == len(planned)
    assert planned[0].data and planned[0].data.domains == ("general", "reasoning", "coding")


def test_seeds_are_no_other_suites(tmp_path: Path) -> None:
    for seeds, wanted in ((None, {1000}), ((0, 1), {1000, 1001})):
        planned = SUITE.runs(PROFILE, options(tmp_path, seeds=seeds))
        assert {s.seed for s in planned if s.method} == wanted
        assert {s.data and s.data.draw for s in planned} == {5}, "the development draw, its untrained models too"
    for suite in map(registry.suite, set(registry.suites()) - {"tuning"}):
        chosen = Options(suite=suite.name, published=tmp_path / "published")
        planned = [] if suite.lacks(PROFILE) else suite.runs(PROFILE, chosen)
        assert all(spec.seed < tuning.FIRST_SEED and spec.data and spec.data.draw != 5 for spec in planned)


def test_only_validation_problems_are_asked(tmp_path: Path) -> None:
    for spec in SUITE.runs(PROFILE, options(tmp_path))[:1]:
        asked = [(e.step, benchmarks.benchmark(e.benchmark), e.decoding) for e in SUITE.evaluations(spec)]
        assert {(step, b.split, decoding) for step, b, decoding in asked} == {("last", "validation", "greedy")}
        assert [b.domain for _, b, _ in asked] == ["general", "reasoning", "coding"]


def test_domains_may_be_fewer_and_their_order_is_no_other_run(tmp_path: Path) -> None:
    first, second = (
        {s.id for s in SUITE.runs(PROFILE, options(tmp_path, train_domains=names)) if s.method}
        for names in (("coding", "general"), ("general", "coding"))
    )
    assert first == second and len(first) == 3 * len(GRID) and all("-general+coding-" in run for run in first)


def test_grids_rise_around_the_shared_rate() -> None:
    for profile in map(registry.profile, registry.profiles()):
        grid = profile.learning_rates
        assert list(grid) == sorted(set(grid)) and profile.optim.lr in grid[1:-1]
        wanted = {"embedded_vlm": [0.5, 1, 2, 4, 8], "embedded": [0.25, 0.5, 1, 2.5, 5]}
        whole = [0.25, 0.5, 1, 2.5, 5, 10, 25]
        assert [rate / profile.optim.lr for rate in grid] == pytest.approx(wanted.get(profile.name, whole))


def test_tuned_rates_are_not_asked_of_the_suite_that_finds_them(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="suite tuning tries every rate of the grid: leave out --learning-rate"):
        SUITE.runs(PROFILE, options(tmp_path, learning_rate="tuned"))


# --- what is chosen


def test_the_best_mean_of_the_domains_is_chosen(tmp_path: Path) -> None:
    table = made(options(tmp_path))["tuning"]
    vanilla = line(table, "Vanilla OPD")
    # 45, 55, 65 in the three domains at 1e-4.
    assert vanilla["lr_0.0001"].value == pytest.approx(55)
    assert vanilla["chosen"] == Cell(value=2e-4)  # 60 twice: the smaller rate
    assert tables.text(vanilla["chosen"], Kind.RATE) == "0.0002"
    assert tables.text(line(table, "SFT")["chosen"], Kind.RATE) == "0.001 (upper edge)"
    assert tables.text(line(table, "SDPO")["chosen"], Kind.RATE) == "5e-05 (lower edge)"
    assert "On the edge of the grid, so a better rate may lie beyond: SFT (upper), SDPO (lower)." in table.caption


PICTURES = registry.profile("embedded_vlm")


def of_pictures(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    """Late DOPD gains 12 points a rate from 20 % and vanilla OPD loses 1 from 60 %; early all have 5 %."""
    if spec.method is None or spec.optim is None:
        return 0.3
    if evaluation.at(spec) == PICTURES.early_step:
        return 0.05
    n = PICTURES.learning_rates.index(spec.optim.lr)
    return 0.2 + 0.12 * n if spec.method.name == "dopd" else 0.6 - 0.01 * n


def pictures(root: Path, **changes: Any) -> Any:
    chosen = options(root, profile="embedded_vlm", methods=("vanilla_opd", "dopd"), **changes)
    return SUITE.scores(*frames(chosen, of_pictures, suite=SUITE, profile=PICTURES), chosen)  # type: ignore[attr-defined]


def test_rates_are_shown_early_too_and_chosen_late(tmp_path: Path) -> None:
    scores = pictures(tmp_path)
    shown = {table.name: table for table in tuning.Tuning().tables_of(scores)}
    assert list(shown) == ["tuning", "tuning_early", "learning_rates"]
    early, late = (line(shown[name], "DOPD") for name in ("tuning_early", "tuning"))
    assert [early[f"lr_{rate:g}"].value for rate in PICTURES.learning_rates] == pytest.approx([5.0] * 5)
    assert [late[f"lr_{rate:g}"].value for rate in PICTURES.learning_rates] == pytest.approx([20, 32, 44, 56, 68])
    assert late["chosen"].value == 8e-4 and "chosen" not in early
    assert "Step 20 of the runs of table tuning" in shown["tuning_early"].caption


def test_the_figure_says_who_is_best_at_which_rate(tmp_path: Path) -> None:
    scores = pictures(tmp_path)
    found = tuning.best_of(scores, ("vanilla_opd", "dopd"))
    assert found.short == "DOPD is best at its own rate, Vanilla OPD at the shared one"
    assert (
        "DOPD leads with 68.0 % (at 0.0008); at the shared rate 0.0001 Vanilla OPD does with 59.0 %" in found.sentence
    )
    assert tuning.best_of(scores, ("dopd",)).short == "no two whole sweeps yet"
    figure = tuning.Tuning().figures_of(scores)["tuning"]
    texts = [each.get_text() for ax in figure.axes for each in (ax.title, *ax.texts)] + [
        t.get_text() for t in figure.texts
    ]
    assert {"early: step 20", "at the end"} <= set(texts) and not any("single draw" in each for each in texts)
    late = figure.axes[1]
    drawn = [list(each.get_ydata()) for each in late.lines if len(each.get_xdata()) == len(PICTURES.learning_rates)]
    assert any(ys == pytest.approx([20, 32, 44, 56, 68]) for ys in drawn)


def test_of_every_listed_method_four_are_drawn(tmp_path: Path) -> None:
    chosen = options(tmp_path, methods=None)
    few = [spec for spec in SUITE.runs(PROFILE, chosen) if not (spec.method and spec.method.name in tuning.MAIN)]
    scores: Any = SUITE.scores(*frames(chosen, lambda *_: 0.5, few, suite=SUITE), chosen)  # type: ignore[attr-defined]
    assert scores.drawn == tuning.MAIN
    assert pictures(tmp_path).drawn == ("vanilla_opd", "dopd")


@pytest.mark.parametrize(("more", "mean", "rate"), [(0.7, 65, 1e-3), (0.5, 55, 2e-4)])
def test_more_seeds_are_averaged(tmp_path: Path, more: float, mean: float, rate: float) -> None:
    """Seed 1001 is better than 1000 at the largest rate: 30 and 30 + more there, 60 at 0.0002."""

    def better_later(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
        move = more if spec.seed == 1001 and spec.optim and spec.optim.lr == GRID[-1] else 0.0
        return score(spec, evaluation, metric) + move

    chosen = options(tmp_path, methods=("vanilla_opd",), seeds=(0, 1))
    table = SUITE.tables(*frames(chosen, better_later, suite=SUITE), chosen)[0]
    cells = line(table, "Vanilla OPD")
    assert cells["lr_0.001"].value == pytest.approx(mean)
    assert (cells["lr_0.001"].n, cells["lr_0.001"].unit) == (1, "draw"), "both are of the development draw"
    assert cells["chosen"].value == rate


def test_an_unfinished_sweep_chooses_nothing(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    lost = [s for s in SUITE.runs(PROFILE, chosen) if s.method and s.method.name == "sft"][:2]
    shown = made(chosen, skip=lost)
    assert line(shown["tuning"], "SFT")["chosen"] == Cell(missing="3 of 5 runs done")
    assert line(shown["tuning"], "SFT")["lr_5e-05"].missing == "not run"
    assert shown["tuning"].partial == "15 of 17 runs done"
    assert line(shown["learning_rates"], "vanilla_opd")["rate"].value == 2e-4


def test_collapsed_runs_are_named(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    rows, costs = frames(chosen, score, suite=SUITE)
    rows.loc[(rows["method"] == "sdpo") & (rows["value"] == 0.001), "status"] = "collapsed"
    table = SUITE.tables(rows, costs, chosen)[0]
    assert "collapsed 1/1" in line(table, "SDPO")["lr_0.001"].notes
    assert line(table, "SDPO")["lr_0.0005"].notes == ()


def test_caption_says_how_it_was_chosen(tmp_path: Path) -> None:
    shown = made(options(tmp_path))
    assert "Step 20 of the runs of table tuning, whose caption names the settings" in shown.pop("tuning_early").caption
    assert list(shown) == ["tuning", "learning_rates"]
    for table in shown.values():
        for needed in (
            "400 validation problems each",
            f"last step ({PROFILE.steps})",
            "seed 1000, used by no other suite",
            "same grid of 5 rates",
            "the smaller rate of a tie",
            "not told apart for sure",
            "intervals speak of other draws of this world and of no other world",
            "sets k = 32 for Vanilla OPD: 128 is too large",
        ):
            assert needed in table.caption, needed


def test_a_seed_without_all_domains_has_no_mean(tmp_path: Path) -> None:
    chosen = options(tmp_path, seeds=(0, 1))

    def later_is_better(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
        return score(spec, evaluation, metric) + (0.1 if spec.seed == 1001 else 0.0)

    rows, costs = frames(chosen, later_is_better, suite=SUITE)
    lost = (rows["seed"] == 1001) & (rows["benchmark"] == "permutations_coding_validation")
    whole, part = (line(SUITE.tables(each, costs, chosen)[0], "SFT")["lr_0.0005"] for each in (rows, rows[~lost]))
    assert whole.value == pytest.approx(45) and part.value == pytest.approx(40), "without the better one"


def test_methods_of_one_paradigm_stand_together() -> None:
    assert list(by_paradigm(("sdft", "tip", "dapd"))) == ["sdft", "dapd", "tip"]


# --- what is done with it


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with a published sweep of three methods."""
    root = tmp_path_factory.mktemp("swept")
    for spec in SUITE.runs(PROFILE, options(root)):
        make_done(root, spec, score, SUITE)
    publish.publish(SUITE, PROFILE, options(root))
    return root


@pytest.mark.slow
def test_published_rates_are_read(swept: Path) -> None:
    folder = swept / "published" / "embedded" / "tuning"
    assert tuned_rates(PROFILE, options(swept)) == {"vanilla_opd": 2e-4, "sft": 1e-3, "sdpo": 5e-5}
    text = (folder / "learning_rates.csv").read_text(encoding="utf-8")
    assert text.splitlines()[0] == "paradigm,method,rate,rate_half,rate_n,rate_note"
    assert "classical,sft,0.001,,0,upper edge" in text.splitlines()
    assert len(published_folder.read_rows(folder / "rows.jsonl")) == (3 * 5 * 8 + 2) * 3 * 2, (
        "three methods, five rates, seven early steps and the last; two untrained models; three domains, both metrics"
    )
    rows, costs = results.load("published", SUITE, PROFILE, options(swept))
    assert SUITE.tables(rows, costs, options(swept)) == SUITE.tables(
        *results.load("runs", SUITE, PROFILE, options(swept)), options(swept)
    )


def test_tuned_runs_differ_by_their_rate_alone(swept: Path) -> None:
    for method, rate in (("sft", 1e-3), ("vanilla_opd", 2e-4)):
        shared, tuned = (
            training_run(PROFILE, options(swept, learning_rate=which), method=method, domains=("coding",), seed=0)
            for which in ("shared", "tuned")
        )
        assert tuned.optim and tuned.optim.lr == rate
        assert (shared.id == tuned.id) == (rate == PROFILE.optim.lr)
        assert dataclasses.replace(tuned, optim=shared.optim) == shared


def test_a_method_without_a_tuned_rate_is_refused(swept: Path, tmp_path: Path) -> None:
    for root, method in ((swept, "dopd"), (tmp_path, "sft")):
        chosen = options(root, learning_rate="tuned")
        with pytest.raises(HarnessError) as caught:
            training_run(PROFILE, chosen, method=method, domains=("coding",), seed=0)
        for needed in (f"rate of {method} ", "run `dopd tune`", "`dopd publish --suite tuning`", "shared"):
            assert needed in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["method,speed\nsft,1\n", "method,rate\nsft,\n", "method,rate\nsft,fast\n", "rate\n0.1\n"]
)
def test_a_damaged_file_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "published" / "embedded" / "tuning" / "learning_rates.csv"
    files.write_text_atomic(path, text)
    with pytest.raises(HarnessError, match=r"learning_rates.csv is damaged \(.*\): restore it"):
        tuned_rates(PROFILE, options(tmp_path))


def test_default_runs_are_what_they_were(tmp_path: Path) -> None:
    """Published rows and runs on disk stay valid: the rate of a default run is the profile's."""
    planned = synthetic.SUITE.runs(PROFILE, ood(tmp_path))
    pair = "permutations-teacher-draw0-permutations-student-draw0"
    assert planned[-1].id == f"vanilla-opd-{pair}-coding-seed0-b2c56de39a"


def test_another_suite_says_which_rates_it_used_and_keeps_them_apart(swept: Path) -> None:
    shared, tuned = (ood(swept, learning_rate=which) for which in ("shared", "tuned"))
    assert (shared.folder, tuned.folder) == ("ood", "ood-tuned")
    for source, name in (("runs", "ood-tuned"), ("published", "ood-tuned-published")):
        words = ["table", "--suite", "ood", "--learning-rate", "tuned", "--from", source]
        assert verbs.select(verbs.parser().parse_args(words)).reports == Path("results/reports/embedded") / name
    said = [synthetic.SUITE.tables(*frames(chosen), chosen)[0].caption for chosen in (shared, tuned)]
    assert "Learning rate 0.0002, shared by all methods (the paper's protocol)." in said[0]
    assert "tuned on the validation split, one by one (suite tuning): Vanilla OPD 0.0002." in said[1]


@pytest.mark.slow
def test_publishing_tuned_runs_leaves_the_shared_ones(swept: Path, tmp_path: Path) -> None:
    chosen = synthetic.options(tmp_path, methods=("sft",), seeds=(0,), train_domains=("coding",))
    shutil.copytree(swept / "published" / "embedded", chosen.published / "embedded")
    for options_ in (chosen, dataclasses.replace(chosen, learning_rate="tuned")):
        for spec in synthetic.specs(options_):
            make_done(tmp_path, spec, lambda spec, evaluation, metric: 0.5)
        publish.publish(synthetic.SUITE, PROFILE, options_)
    folders = [chosen.published / "embedded" / name for name in ("ood", "ood-tuned")]
    runs = [{row.run for row in published_folder.read_rows(f / "rows.jsonl") if row.method == "sft"} for f in folders]
    assert len(runs[0]) == len(runs[1]) == 1 and runs[0] != runs[1]
    costs = results.load("published", synthetic.SUITE, PROFILE, dataclasses.replace(chosen, learning_rate="tuned"))[1]
    assert costs["state"].tolist() == ["done"] * 3
    assert "--learning-rate tuned" in (folders[1] / "README.md").read_text(encoding="utf-8")


def test_tune_is_run_of_this_suite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--methods", "sft,vanilla_opd", "--results", str(tmp_path), "--jobs", "1", "--minutes", "0"]
    assert verbs.main(["tune", *flags]) == 0
    text = capsys.readouterr().out
    assert "tuning: 12 runs: 12 absent" in text and "12 runs not started" in text
    assert verbs.main(["run", "--suite", "tuning", *flags]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == text.splitlines()[:2]


# --- how often a method acted


def test_acted_is_the_mean_over_the_steps_that_say_it(tmp_path: Path) -> None:
    planned = SUITE.runs(PROFILE, options(tmp_path, methods=("tip",), seeds=(0,), steps=3))
    spec = next(each for each in planned if each.method)
    folder = RunFolder(tmp_path, spec)
    folder.prepare()
    for record in ({"step": 0}, {"step": 1, "acted": 0.5}, {"step": 2, "acted": None}, {"step": 3, "acted": 0.2}):
        files.append_jsonl(folder.metrics, record)
    run.write_cost(folder, 1.0)
    cost = folder.cost()
    assert cost and cost.acted == pytest.approx(0.35)
    files.write_text_atomic(folder.metrics, files.jsonl([{"step": step} for step in range(4)]))
    run.write_cost(folder, 1.0)
    cost = folder.cost()
    assert cost and cost.acted is None


def test_costs_written_before_acted_are_read(tmp_path: Path) -> None:
    spec = next(each for each in SUITE.runs(PROFILE, options(tmp_path)) if each.method)
    folder = make_done(tmp_path, spec, score, SUITE)
    record = files.read_json(folder.path / "costs.json")
    assert record.pop("acted") is None
    files.write_json_atomic(folder.path / "costs.json", record)
    assert folder.cost() == synthetic.cost(spec)
    record["train_domains"] = "+".join(record["train_domains"])
    text = f"{','.join(record)}\n{','.join(map(str, record.values()))}\n"
    files.write_text_atomic(tmp_path / "costs.csv", text)
    assert published_folder.read_costs(tmp_path / "costs.csv") == [synthetic.cost(spec)]


def test_acted_survives_publishing(tmp_path: Path) -> None:
    chosen = options(tmp_path, methods=("vanilla_opd",))
    trained = [spec for spec in SUITE.runs(PROFILE, chosen) if spec.method]
    for spec in SUITE.runs(PROFILE, chosen):
        number = trained.index(spec) if spec in trained else 0
        folder = make_done(tmp_path, spec, score, SUITE)
        folder.write_cost(dataclasses.replace(synthetic.cost(spec), acted=number / 10 if number else None))
    publish.publish(SUITE, PROFILE, chosen)
    costs = [results.load(source, SUITE, PROFILE, chosen)[1] for source in ("runs", "published")]
    here, there = (each[each["run"].isin(spec.id for spec in trained)] for each in costs)
    assert here["acted"].tolist()[1:] == there["acted"].tolist()[1:] == [0.1, 0.2, 0.3, 0.4]
    assert here["acted"].isna().tolist() == there["acted"].isna().tolist() == [True, *[False] * 4]
    assert here["lr"].tolist() == there["lr"].tolist() == list(GRID)
