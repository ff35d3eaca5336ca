"""Numbers of pages that are copied from published rows are those of the rows."""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from harness.analysis import statistics
from harness.models import zoo
from harness.storage import files
from methods import METHODS

ROOT = Path(__file__).resolve().parents[2]
FINDINGS = " ".join((ROOT / "docs" / "findings.md").read_text(encoding="utf-8").split())
README = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
FOLDER = ROOT / "results" / "embedded_vlm" / "in_distribution"
ROWS, TABLE = files.read_jsonl(FOLDER / "rows.jsonl"), (FOLDER / "table2.md").read_text(encoding="utf-8")
LATE = 200
NAMES = {
    "vanilla_opd": "vanilla OPD",
    "uni_opd": "Uni-OPD",
    "va_opd": "VA-OPD",
    "vision_opd": "Vision-OPD",
    "privileged_student": "privileged S→S",
    "privileged_teacher": "privileged T→S",
    "dopd": "DOPD",
    "dopd_reverse_kl": "DOPD, reverse KL everywhere",
}
"""As the table of the page has them."""


def points(method: str, rows: list[dict[str, Any]] = ROWS) -> dict[int, float]:
    """By draw, the mean of the groups, greedy, late."""
    found = defaultdict[int, list[float]](list)
    for row in rows:
        if (row["method"], row["step"], row["decoding"], row["metric"]) == (method, LATE, "greedy", "exact_answer"):
            found[row["draw"]].append(row["value"])
    assert len(found) == 5 and set(map(len, found.values())) <= {3, 6}, "three groups of one seed a draw, or of two"
    return {draw: 100 * fmean(values) for draw, values in found.items()}


def said(values: list[float]) -> str:
    """``11.5 ± 3.1``."""
    found = statistics.estimate(values)
    assert found.half is not None
    return f"{found.mean:.1f} ± {found.half:.1f}"


def difference(method: str, other: str) -> list[float]:
    """Late, by draw."""
    there, here = points(other), points(method)
    return [here[draw] - there[draw] for draw in sorted(here)]


def cells(label: str) -> dict[str, str]:
    """A row of the published table, marks of rank and gap left out, by its header."""
    header, *lines = [line.strip("|").split("|") for line in TABLE.splitlines() if line.startswith("|")]
    (row,) = [line for line in lines if line[1].strip() == label]
    plain = (re.sub(r"[*●◐]|</?u>", "", cell).strip().replace("-", "−") for cell in row)
    return dict(zip(map(str.strip, header), plain, strict=True))


@pytest.mark.parametrize("method", NAMES)
def test_the_table_of_pictures_is_the_published_one(method: str) -> None:
    row = cells(METHODS[method].label)
    lead = "" if method == "vanilla_opd" else f"{row['minus baseline, points']} "
    told = f"| {NAMES[method]} | {row['early, step 20, %']} | {row['mean of domains, %']} | {lead}|"
    assert told in FINDINGS


def test_what_is_said_of_pictures_is_in_the_rows() -> None:
    teacher, dopd, reverse = (cells(METHODS[m].label) for m in ("privileged_teacher", "dopd", "dopd_reverse_kl"))
    late, early = "minus baseline, points", "early, step 20, minus baseline, points"
    for page in (FINDINGS, README):
        assert teacher[late] in page and teacher[early] in page and dopd[late] in page and reverse[late] in page
    assert f"DOPD {dopd[early]}" in FINDINGS and f"it leads: {reverse[late]}" in README
    assert "above in four draws of five" in FINDINGS
    assert sum(value > 0 for value in difference("dopd", "vanilla_opd")) == 4
    by_divergence = difference("dopd_reverse_kl", "dopd")
    assert f"ends {said(by_divergence)} above DOPD, in every draw" in FINDINGS and min(by_divergence) > 0
    assert f"and {said(difference('dopd_reverse_kl', 'privileged_teacher'))} above privileged T→S" in FINDINGS
    assert f"{said(difference('privileged_teacher', 'dopd'))} below privileged T→S" in FINDINGS


def test_what_the_student_alone_knew_is_lost_as_the_card_says() -> None:
    record = json.loads((zoo.WEIGHTS / "scenes" / "manifest.json").read_text(encoding="utf-8"))
    lost = [gate["value"] for draw in range(5) for gate in record["draws"][str(draw)]["gates"] if gate["key"] == "G10"]
    (low, high) = re.findall(r"it loses (\d+) to (\d+) points of probability in every draw", FINDINGS)[0]
    assert (f"{min(lost):.0f}", f"{max(lost):.0f}") == (low, high)


def test_how_much_of_the_variance_is_the_draws() -> None:
    lines = [line.strip("|").split("|") for line in (FOLDER / "variance.md").read_text(encoding="utf-8").splitlines()]
    shares = [float(line[4]) for line in lines if len(line) > 6 and line[4].strip().replace(".", "").isdigit()]
    assert len(shares) == 7
    scores, differences = shares[:4], shares[4:]
    told = f"of their scores {min(scores):.0f} to {max(scores):.0f} % lies between draws"
    assert told in FINDINGS and f"vanilla {min(differences):.0f} to {max(differences):.0f} %" in FINDINGS
    assert f"{min(scores):.0f} to {max(scores):.0f} % is the draw's" in README


def test_what_is_said_of_the_forms_of_p_is_in_table_5() -> None:
    table = (FOLDER.parent / "privileged_input" / "table5.md").read_text(encoding="utf-8")
    found = {
        line[2].strip(): line[6].strip()
        for line in (row.split("|") for row in table.splitlines())
        if len(line) > 6 and line[6].strip().startswith("+")
    }
    told = {name: value.removeprefix("+") for name, value in found.items()}
    assert f"captions ends {told['bounding box with caption']} above" in FINDINGS
    assert f"final answer {told['final answer']} and with the caption {told['caption']} above it" in FINDINGS
    assert f"without p {told['no privileged input']} (not told apart)" in FINDINGS


def published(suite: str, name: str) -> dict[str, dict[str, str]]:
    """Rows of a published table by label, each by its header; the label is the second column."""
    text = (FOLDER.parent / suite / f"{name}.md").read_text(encoding="utf-8")
    header, *lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    plain = [[re.sub(r"[*●◐]|</?u>", "", cell).strip() for cell in line] for line in lines]
    plain = [line for line in plain if not line[1].startswith("---")]
    assert len({line[1] for line in plain}) == len(plain), "one line a label"
    return {line[1]: dict(zip(map(str.strip, header), line, strict=True)) for line in plain}


def test_what_is_said_of_dropped_tokens_is_in_figure_4() -> None:
    kept = published("token_ablation", "figure4_kept")
    high, random, low = (kept[f"20 % dropped{what}"] for what in (", highest A", " at random", ", lowest A"))
    assert f"keeps {high['step 200']} % of its gain ({high['step 20']} % at step 20)" in FINDINGS
    assert f"fifth {random['step 200']} %, without the fifth of lowest A {low['step 200']} %" in FINDINGS
    assert f"{high['step 200']} % of it is left" in README


def test_what_is_said_of_single_sided_p_is_in_figure_3() -> None:
    curves, signs = published("privilege_illusion", "figure3"), published("privilege_illusion", "illusion_signs")
    early, end = "minus baseline at step 40, points", "minus baseline at the end, points"
    teacher, own = signs["Priv. T→S"], signs["Priv. S→S"]
    assert (
        f"is {teacher[early].lstrip('-')} below vanilla OPD at step 40 and {teacher[end].lstrip('+')} above" in FINDINGS
    )
    fall = curves["Priv. T→S"]["fall, points"].replace("-", "−")
    assert f"(it falls by {fall})" in FINDINGS
    entropy = [curves[name]["entropy at the end, millinats"].split()[0] for name in ("Priv. T→S", "Vanilla OPD")]
    assert f"({entropy[0]} against {entropy[1]} millinats)" in FINDINGS
    assert round(float(entropy[0]) / float(entropy[1])) == 3
    assert f"ends {own[end].lstrip('-')} below" in FINDINGS
    vanilla = curves["Vanilla OPD"]
    assert f"vanilla OPD: {vanilla['fall, points'].lstrip('+')} from its best, step 60" in FINDINGS
    assert vanilla["best step"].startswith("60.0")
    plain = {name: signs[name][end].lstrip("-") for name in ("T→Priv. S", "Priv. T→Priv. S")}
    assert f"T→Priv. S ends {plain['T→Priv. S']} and Priv. T→Priv. S {plain['Priv. T→Priv. S']} below" in FINDINGS


def test_what_is_said_of_the_run_is_in_figure_8() -> None:
    reach, curves = published("stability", "step_to_reach"), published("stability", "figure8")
    lead = reach["Vanilla OPD"]["DOPD at 40 % minus its last, points"]
    assert f"it is {lead.lstrip('-')} below vanilla OPD's end" in FINDINGS
    at_80 = {name: row["at 40 %, %"] for name, row in curves.items() if row["at 40 %, %"]}
    assert f"({at_80['DOPD (reverse KL)']})" in FINDINGS
    ends = [row["at 100 %, %"] for name, row in curves.items() if name in at_80 and name != "DOPD (reverse KL)"]
    means = [float(cell.split()[0]) for cell in (*ends, *at_80.values())]
    assert max(means) == float(at_80["DOPD (reverse KL)"].split()[0])
    falls = {name: row["fall, points"] for name, row in curves.items() if name in at_80}
    fell = {name for name, fall in falls.items() if float(fall.split()[0]) > float(fall.split()[2])}
    assert fell == {"Vanilla OPD", "VA-OPD"}
    told = {name: falls[name].lstrip("+") for name in fell}
    assert f"is vanilla OPD ({told['Vanilla OPD']}) and VA-OPD ({told['VA-OPD']}), each" in FINDINGS
    adjusted = {name: curves[name]["p (Holm)"] for name in fell}
    assert all(float(p) > 0.05 for p in adjusted.values())


def test_what_is_said_of_dopds_parts_is_in_table_8() -> None:
    parts, few = published("ablation", "table8"), published("ablation", "table8_few")
    late, early = "minus baseline, points", "early, step 20, minus baseline, points"
    teacher, one = parts["w/o teacher as source"], parts["w/o adaptive divergences"]
    assert teacher["p (Holm)"] == one["p (Holm)"] == "0.041"
    assert f"ends {teacher[late].removeprefix('-')} lower" in FINDINGS
    assert f"(−{teacher[late].removeprefix('-')} without it), three draws" in README
    assert f"reverse KL, {one[late].removeprefix('+')} higher" in FINDINGS
    for name in ("privileged input", "student as source", "advantage-aware routing"):
        row = parts[f"w/o {name}"]
        assert f"({row[late]})" in FINDINGS and float(row["p (Holm)"]) > 0.05
        mean, half = map(float, row[early].split(" ± "))
        assert mean > half
    outside = "outside top-k before training, 1/1000"
    wide, narrow = parts["w/o adaptive granularities (inactive)"], few["w/o adaptive granularities"]
    assert f"32 words {wide[outside]} in a thousand" in FINDINGS
    assert f"with {narrow[outside]} in a thousand outside, it moves {narrow[late]} points" in FINDINGS


def test_what_is_said_of_own_rates_is_in_their_rows() -> None:
    rows = files.read_jsonl(FOLDER.parent / "in_distribution-tuned" / "rows.jsonl")
    found = {
        method: points(method, rows) for method in ("vanilla_opd", "privileged_teacher", "dopd", "dopd_reverse_kl")
    }
    dopd = [f"{found['dopd'][draw]:.1f}" for draw in range(5)]
    assert dopd[3] == "0.0" and {row["draw"] for row in rows if row["status"] == "collapsed"} == {3}
    told = f"DOPD ends at {dopd[0]}, {dopd[1]} and {dopd[2]} in three draws, at {dopd[4]} in one, and collapses in one"
    assert told in FINDINGS
    minus = {name: [found[name][draw] - found["vanilla_opd"][draw] for draw in range(5)] for name in found}
    assert f"({said(minus['dopd']).replace('-', '−')} against vanilla OPD)" in FINDINGS
    plain = {name: said(list(values.values())) for name, values in found.items()}
    assert f"it is {plain['dopd_reverse_kl']} (+{said(minus['dopd_reverse_kl'])})" in FINDINGS
    assert f"privileged T→S {plain['privileged_teacher']} (+{said(minus['privileged_teacher'])})" in FINDINGS
    assert f"vanilla OPD {plain['vanilla_opd']}" in FINDINGS
    ahead = sorted(minus["dopd"])
    assert (
        f"is {ahead[2]:.0f} to {ahead[4]:.0f} points ahead of vanilla in three draws, {-ahead[1]:.0f} behind" in README
    )
    assert f"it leads in each (+{said(minus['dopd_reverse_kl'])})" in README and min(minus["dopd_reverse_kl"]) > 0


def audited(suite: str, name: str = "") -> list[dict[str, str]]:
    """Lines of a published table, an audit's by default, numbers as a page shows them: ``98.9 ± 1.5``."""
    with (FOLDER.parent / suite / f"{name or suite}.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    for line in lines:
        for name in [name for name in line if f"{name}_half" in line and line[name] and line[f"{name}_half"]]:
            line[name] = f"{float(line[name]):.1f} ± {float(line[f'{name}_half']):.1f}"
    return lines


def test_what_is_said_of_kept_and_lost_words_is_in_the_audit() -> None:
    right = {(line["run"], line["right before"]): line for line in audited("cell_audit")}
    named = {
        "before training": "before training",
        **{
            f"{METHODS[m].label}, step 200": NAMES[m]
            for m in NAMES
            if (f"{METHODS[m].label}, step 200", "both") in right
        },
    }
    assert len(named) == 5
    for run, name in named.items():
        teacher, student = (right[run, kind]["right"] for kind in ("teacher only", "student only"))
        assert f"| {name} | {teacher} | {student} |" in FINDINGS
    begun = right["before training", "teacher only"]
    assert f"{begun['expected']} % expected before training, {begun['routed_HT']} found" in FINDINGS
    dopd, vanilla = (right[f"{METHODS[m].label}, step 200", "student only"]["right"] for m in ("dopd", "vanilla_opd"))
    assert f"({dopd} % of it, vanilla {vanilla})" in README


def test_what_is_said_of_regimes_is_in_the_audit() -> None:
    lines = {(line["run"], line["regime"]): line for line in audited("regime_audit")}
    hs, ht, end = (lines[at] for at in (("before training", "HS"), ("before training", "HT"), ("DOPD, step 200", "HS")))
    told = f"is right on {hs['self_right']} % of its tokens where the teacher with p is on {hs['teacher_right']} "
    assert told + f"({hs['lead'].replace('-', '−')}, not told apart after Holm)" in FINDINGS
    assert float(hs["p_holm"]) > 0.05
    assert f"{hs['first_error']} % of the first errors lie in HS" in FINDINGS
    assert f"the two are level (+{end['lead']})" in FINDINGS and f"from the start (+{ht['lead']})" in FINDINGS


def test_what_is_said_of_asserted_codes_is_in_the_audit() -> None:
    lines = {line["method"]: line for line in audited("transfer_audit")}
    mass = {name: line["information_asserted"] for name, line in lines.items()}
    assert f"({mass['Vanilla OPD']} % on a code). DOPD puts {mass['DOPD']} % on a code" in FINDINGS
    others = ("DOPD (reverse KL)", "Priv. T→S", "Priv. S→S")
    assert "with reverse KL {}, privileged T→S {}, privileged S→S {}, each".format(*map(mass.get, others)) in FINDINGS
    assert {lines[name]["asserting"] for name in ("DOPD", *others)} == {"5 of 5"}
    assert f"with p at both sides it is {mass['Priv. T→Priv. S']}" in FINDINGS
    more = [lines[name]["capability_difference"] for name in ("Priv. T→S", "DOPD (reverse KL)", "DOPD")]
    assert f"has {more[0]} more right than vanilla OPD, DOPD with reverse KL {more[1]}, DOPD +{more[2]}" in FINDINGS
    record = json.loads((zoo.WEIGHTS / "scenes" / "manifest.json").read_text(encoding="utf-8"))
    missed = [
        draw
        for draw in range(5)
        for gate in record["draws"][str(draw)]["gates"]
        if gate["key"] == "P7" and not gate["passed"]
    ]
    assert missed == [0, 2, 3]


def test_what_is_said_of_rates_is_in_the_sweep() -> None:
    sweep = published("tuning", "tuning")
    labels = {METHODS[m].label: NAMES[m] for m in ("vanilla_opd", "privileged_teacher", "dopd", "dopd_reverse_kl")}
    rates = ("5e-05", "0.0001", "0.0002", "0.0004", "0.0008")
    best = {}
    for label, name in labels.items():
        cells = [sweep[label][rate] for rate in rates]
        assert f"| {name} | {' | '.join(cells)} |" in FINDINGS
        best[name] = max(map(float, cells))
    vanilla, teacher, dopd, reverse = best.values()
    lead = f"{dopd - vanilla:.1f} ahead of vanilla OPD, {dopd - teacher:.1f} of privileged T→S and {dopd - reverse:.1f}"
    assert f"Each at its own best, DOPD is {lead} of itself" in FINDINGS
    assert sweep["DOPD"]["chosen rate"] == "0.0008 (upper edge)"


def test_what_is_said_of_stages_is_in_figure_7a() -> None:
    stages = [line for line in audited("continual", "figure7a") if "understanding" in line["stage"]]
    kept = {line["method"]: line["mean"] for line in stages}
    assert f"DOPD has {kept['DOPD']} % of what the untrained student had, vanilla OPD {kept['Vanilla OPD']}" in FINDINGS
    assert f"SFT on verified samples of the teacher {kept['SFT']} and GRPO {kept['GRPO']} %" in FINDINGS
    with (FOLDER.parent / "claims" / "claims.csv").open(encoding="utf-8", newline="") as file:
        claims = [line for line in csv.DictReader(file) if "Figure 7a" in line["source"]]
    halves = [f"{float(c['effect']):.1f} ± {(float(c['high']) - float(c['low'])) / 2:.1f}" for c in claims]
    gains = f"DOPD gains {halves[0]} points on reasoning at its turn (reproduced) and {halves[1]} on understanding"
    assert f"{gains} (undecided); earlier domains move by +{halves[2]} points" in FINDINGS


def test_what_is_said_of_other_domains_is_in_figure_7b() -> None:
    with (FOLDER.parent / "ood" / "ood.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    of = {name: [line for line in lines if line["method"] == name] for name in {line["method"] for line in lines}}
    before = {line["trained → tested"]: float(line["score"]) for line in of.pop("Student")}
    del of["Teacher"]
    assert len(before) == 6 and all(
        float(x["score"]) > before[x["trained → tested"]] for each in of.values() for x in each
    )
    del of["Vanilla OPD"]
    assert all(
        float(x["early_difference"]) + float(x["early_difference_half"]) < 0 for each in of.values() for x in each
    )

    def spread(name: str, sure: bool) -> tuple[int, float, float]:
        found = [float(x["difference"]) for x in of[name] if not sure or float(x["p_holm"]) < 0.05]
        return len(found), min(found, default=0), max(found, default=0)

    reverse = of["DOPD (reverse KL)"]
    assert all(float(x["difference"]) > float(x["difference_half"]) for x in reverse)
    _, low, high = spread("DOPD (reverse KL)", sure=False)
    assert f"by {low:.1f} to {high:.1f} points, each alone at 95 %, one after Holm over the 18" in FINDINGS
    assert spread("DOPD (reverse KL)", sure=True)[0] == 1 and spread("DOPD", sure=True)[0] == 0
    n, low, high = spread("Priv. T→S", sure=True)
    assert n == 3 and f"above it in three after Holm, by {low:.1f} to {high:.1f}" in FINDINGS
    _, low, high = spread("DOPD", sure=False)
    assert f"in none after Holm (−{-low:.1f} to +{high:.1f})" in FINDINGS


def test_counts_of_claims_are_the_published_ones() -> None:
    text = (FOLDER.parent / "claims" / "claims.md").read_text(encoding="utf-8")
    counts = re.findall(r"(\d+) (reproduced|contradicted|undecided|not run)", text.splitlines()[0])
    n = {verdict: int(count) for count, verdict in counts}
    told = f"{n['reproduced']} are reproduced, {n['contradicted']} are contradicted, {n['undecided']} are undecided,"
    assert n["not run"] == 0 and f"Of {sum(n.values())} claims {told} none waits for its suite" in FINDINGS
    assert f"{n['reproduced']} are reproduced, {n['contradicted']} are contradicted (" in README
    assert f"{n['undecided']} are undecided (`results" in README
    lines = [line.split("|") for line in text.splitlines() if line.startswith("|")]
    suites, verdicts = [], []
    for line in lines[2:]:
        suites.append(line[1].strip() or suites[-1])
        verdicts.append(line[3].strip())
    of_p = [v for s, v in zip(suites, verdicts, strict=True) if s == "privilege_illusion"]
    assert (of_p.count("contradicted"), of_p.count("reproduced")) == (8, 3)
    of_parts = [v for s, v in zip(suites, verdicts, strict=True) if s == "ablation"]
    assert of_parts.count("contradicted") == 1
    assert verdicts.count("contradicted") == 8 + 2 + 1


# Language.

LANGUAGE = ROOT / "results" / "embedded" / "ood"


def out_of_domain() -> list[dict[str, str]]:
    """Rows of the published table of language, marks of rank and gap left out."""
    lines = [line for line in (LANGUAGE / "ood.md").read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    header, _, *rows = [[re.sub(r"[*●◐]|</?u>", "", cell).strip() for cell in line[1:-1].split("|")] for line in lines]
    found, block = [], ""
    for row in rows:
        block = row[0] or block
        found.append(dict(zip(header, [block, *(re.sub(r"^-", "−", cell) for cell in row[1:])], strict=True)))
    return found


def test_the_table_of_language_is_the_published_one() -> None:
    names = NAMES | {"student": "student, untrained", "teacher": "teacher, without p"}
    labels = {METHODS[key].label if key in METHODS else key.capitalize(): name for key, name in names.items()}
    for row in (rows := out_of_domain()):
        late, early = (
            "" if row[key] == "baseline" else row[key]
            for key in ("minus baseline, points", "early, step 20, minus baseline, points")
        )
        told = f"| {row['trained → tested']} | {labels[row['method']]} | {row['tested domain, %']} | {late} | {early} |"
        assert f"{told} {row['trained domain, %']} |".replace("  ", " ") in FINDINGS
    assert len(rows) == 12


def test_what_is_said_of_language_is_in_the_table() -> None:
    by = {(row["trained → tested"].split()[0], row["method"]): row for row in out_of_domain()}

    def mean(domain: str, method: str, column: str) -> float:
        return float(by[domain, method][column].split()[0])

    for domain, text in (("coding", "12.5"), ("reasoning", "15.7")):
        gained = mean(domain, "Vanilla OPD", "tested domain, %") - mean(domain, "Student", "tested domain, %")
        assert f"{gained:.1f}" == text
    assert "ends 12.5 and 15.7 points above the untrained student" in FINDINGS and "12.5 and 15.7 points" in README
    dopd = [by[domain, "DOPD"]["minus baseline, points"].strip("+") for domain in ("coding", "reasoning")]
    early = [by[domain, "DOPD"]["early, step 20, minus baseline, points"] for domain in ("coding", "reasoning")]
    assert f"it is {dopd[0]} and {dopd[1]} ahead" in FINDINGS and f"(+{dopd[0]} and +{dopd[1]})" in README
    assert f"({early[0]} and {early[1]})" in README
    own = "trained domain, %"
    rises = [mean(d, "Priv. T→S", own) - mean(d, "Vanilla OPD", own) for d in ("coding", "reasoning")]
    assert f"+{rises[0]:.1f} points in coding and +{rises[1]:.1f} in reasoning" in README
    assert f"{by['coding', 'Priv. S→S']['minus baseline, points'].strip('−')} below vanilla OPD" in FINDINGS
