"""Adds what is done here to the committed results: ``results/<profile>/<suite>/``. No torch.

Runs that are published stay beside those that are added, as long as they are under the same settings, benchmark
versions and code; see ``harness.report.joining``.

``rows.jsonl``          every row of every run, sorted
``costs.csv``           what each run cost, on the machine named in the README
``answers.jsonl``       which items each run answered right at its last step (``harness.analysis.answers``)
``specs.jsonl``         each run as a value; its hash is in the run's id
``environments.json``   versions, commits and machines, with the runs made in each
``<evaluation>.jsonl``  records of single responses, where the suite shows some (``Suite.published_samples``)
tables and figures      made from these rows, as ``dopd table`` and ``dopd figure`` would
``README.md``           generated: what is here and how to make it again

The main table stands beside the folder too: ``results/<profile>/<suite>.md``.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import registry
from harness.analysis import answers, results
from harness.analysis.answers import Answers
from harness.config import to_json
from harness.report import joining, output
from harness.report.joining import Part
from harness.show.verdicts import claims_table
from harness.storage import files as storage
from harness.storage.published_folder import COSTS_FILE, ENVIRONMENTS_FILE, ROWS_FILE, SPECS_FILE
from harness.storage.run_folder import RunFolder, RunState
from harness.suite import Options, Profile, Suite
from harness.types import Cost, HarnessError, Row


def publish(
    suite: Suite,
    profile: Profile,
    options: Options,
    root: Path | None = None,
    *,
    replace: bool = False,
    say: Callable[[str], object] = lambda _: None,
) -> list[Path]:
    """Writes rows, costs, provenance, tables and figures of a suite's runs; returns the files written.

    Args:
        root: folder of the committed results; None: ``options.published``.
        replace: drop what is published and may not stand beside what is added.
        say: is told what was dropped.

    Raises:
        HarnessError: a run of the selection is neither done nor published, its samples are not those of its rows, or
            what is published is of other settings, versions or code; before anything is written.
    """
    root = root or options.published
    out = root / profile.name / options.folder
    specs = {spec.id: spec for spec in suite.runs(profile, options)}
    folders = [RunFolder(options.results, spec) for spec in specs.values()]
    done = [folder for folder in folders if folder.state(suite.evaluations(folder.spec)) is RunState.DONE]
    added, before = joining.here(suite, done), joining.published(suite, out)
    chosen = joining.covering(suite, profile, options, before.with_(added))
    planned = {**specs, **{spec.id: spec for spec in suite.runs(profile, chosen)}}
    unlike = joining.unlike(before, planned, suite, added)
    kept = before.only(run for run in before.specs if run not in unlike)
    _check_all_there(specs, kept.with_(added), unlike if not replace else {})
    if unlike and not replace:
        raise HarnessError(
            f"{out} holds {len(unlike)} runs that may not stand beside these: {joining.counted(unlike)}; --replace "
            "drops them"
        )
    if unlike:
        say(f"dropped {len(unlike)} published runs: {joining.counted(unlike)}")
    return _write(suite, profile, options, root, kept.with_(added))


def _write(suite: Suite, profile: Profile, options: Options, root: Path, part: Part) -> list[Path]:
    """Records, tables, figures and pages of these runs."""
    options = joining.covering(suite, profile, options, part)
    ordered = part.only(dict.fromkeys([*(spec.id for spec in suite.runs(profile, options)), *part.specs]))
    rows = sorted((row for found in ordered.rows.values() for row in found), key=_row_key)
    results.check(rows, profile)
    answered = [each for found in ordered.answers.values() for each in found]
    answers.check(answered, results.row_frame(rows))
    out = root / profile.name / options.folder
    written = [
        *_write_records(out, rows, ordered),
        *_write_answers(out / answers.ANSWERS_FILE, answered),
        *_write_samples(out, ordered),
    ]
    chosen = dataclasses.replace(options, source="published", published=root)
    shown = output.emit(suite, *results.load("published", suite, profile, chosen), chosen, out)
    return [*written, *shown, _write_front(out, shown), _write_readme(out, suite, options, ordered)]


def publish_claims(profile: Profile, options: Options, root: Path | None = None) -> list[Path]:
    """Writes the paper's claims as the published rows decide them; returns the files written."""
    root = root or options.published
    chosen = dataclasses.replace(options, source="published", published=root)
    out = root / profile.name / "claims"
    written = output.write_tables([claims_table(registry.claims(profile, chosen), profile.name)], out)
    return [*written, _write_front(out, written)]


def _check_all_there(specs: Iterable[str], part: Part, unlike: Mapping[str, str]) -> None:
    """Every run that was asked for; those that are published and differ are told of elsewhere."""
    asked = list(specs)
    left = [run for run in asked if run not in part.rows and run not in unlike]
    if left:
        raise HarnessError(
            f"{len(left)} of {len(asked)} runs are not done, first {left[0]}: `dopd run` with the same "
            "flags makes them; or select less"
        )


def _write_records(out: Path, rows: Sequence[Row], part: Part) -> list[Path]:
    files = {
        ROWS_FILE: storage.jsonl([to_json(row) for row in rows]),
        COSTS_FILE: _costs_csv(part.costs.values()),
        SPECS_FILE: storage.jsonl([{"run": run, **spec} for run, spec in part.specs.items()]),
        ENVIRONMENTS_FILE: json.dumps(_environments(part), indent=2) + "\n",
    }
    for name, text in files.items():
        storage.write_text_atomic(out / name, text)
    return [out / name for name in files]


def _write_answers(path: Path, answered: Sequence[Answers]) -> list[Path]:
    """None without answers, where a suite asks no benchmark; then those of an older publication go."""
    if not answered:
        path.unlink(missing_ok=True)
        return []
    storage.write_text_atomic(path, answers.to_jsonl(answered))
    return [path]


def _write_samples(out: Path, part: Part) -> list[Path]:
    paths: list[Path] = []
    for name, found in part.samples.items():
        paths.append(out / f"{name}.jsonl")
        storage.write_text_atomic(
            paths[-1], storage.jsonl([dict(each) for records in found.values() for each in records])
        )
    return paths


def _costs_csv(costs: Iterable[Cost]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, [f.name for f in dataclasses.fields(Cost)], lineterminator="\n")
    writer.writeheader()
    for cost in sorted(costs, key=lambda cost: cost.run):
        writer.writerow(dataclasses.asdict(cost) | {"train_domains": "+".join(cost.train_domains)})
    return out.getvalue()


def _environments(part: Part) -> list[dict[str, Any]]:
    """Distinct environments with the ids of their runs, the most used first."""
    runs: dict[str, list[str]] = defaultdict(list)
    for run, records in part.environments.items():
        for record in records:
            runs[json.dumps(record, sort_keys=True)].append(run)
    by_use = sorted(runs.items(), key=lambda found: (-len(found[1]), found[0]))
    return [{**json.loads(text), "runs": list(dict.fromkeys(ids))} for text, ids in by_use]


def _write_front(out: Path, shown: Sequence[Path]) -> Path:
    """A copy of the main table, the first of a suite, where it is found without knowing its name."""
    main = next(path for path in shown if path.suffix == ".md")
    front = out.with_name(f"{out.name}.md")
    storage.write_text_atomic(front, main.read_text(encoding="utf-8"))
    return front


def _write_readme(out: Path, suite: Suite, options: Options, part: Part) -> Path:
    environments = _environments(part)
    commits = sorted({f"{str(e['commit'])[:10]}{' with changes' if e['dirty'] else ''}" for e in environments})
    machines = sorted({f"{e['machine']['processor']}, {e['machine']['system']}" for e in environments})
    trained = [spec for spec in part.specs.values() if spec["method"]]
    methods = sorted({spec["method"]["name"] for spec in trained})
    seeds, steps = (sorted({spec[name] for spec in trained}) for name in ("seed", "steps"))
    responses = "".join(f", `{name}.jsonl` single responses" for name in suite.published_samples)
    count = f"{len(part.answers)} of {len(part.specs)} runs"
    right = f", `{answers.ANSWERS_FILE}` which items each run answered right ({count})" if part.answers else ""
    text = f"""# {suite.name}: {suite.title_in(registry.profile(options.profile))}

Generated by `dopd publish`; do not edit. {len(trained)} runs, {len(part.specs) - len(trained)} references.

- methods: {", ".join(methods)}
- seeds: {", ".join(map(str, seeds))}; steps: {", ".join(map(str, steps))}
- code: {"; ".join(commits) or "unknown"}
- machine: {"; ".join(machines) or "unknown"}
- again from the rows, training nothing: `dopd table {_flags(options)} --from published`
- again from nothing: `dopd run {_flags(options)}`

`rows.jsonl` are the numbers, `specs.jsonl` the runs behind them, `costs.csv` what they cost,
`environments.json` where they were made{right}{responses}; every table and figure here is made of these files.
"""
    storage.write_text_atomic(out / "README.md", text)
    return out / "README.md"


def _flags(options: Options) -> str:
    """The command line that selects the same runs."""
    flags = {"suite": options.suite, "profile": options.profile}
    flags |= {"methods": _joined(options.methods), "train-domains": _joined(options.train_domains)}
    flags |= {"learning-rate": options.learning_rate if options.learning_rate != "shared" else ""}
    flags |= {"seeds": ",".join(map(str, options.seeds)) + "," if options.seeds else ""}
    flags |= {"steps": str(options.steps) if options.steps else ""}
    return " ".join(f"--{name} {value}" for name, value in flags.items() if value)


def _joined(names: tuple[str, ...] | str | None) -> str:
    return names if isinstance(names, str) else ",".join(names or ())


def _row_key(row: Row) -> tuple[str, int, str, float, str, str]:
    return (row.run, row.step, row.benchmark, row.version, row.decoding, row.metric)
