"""Copies what is done to the committed results: ``results/<profile>/<suite>/``. No torch.

``rows.jsonl``          every row of every done run, sorted
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
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

from harness import registry
from harness.analysis import answers, results
from harness.analysis.answers import Answers
from harness.config import RunSpec, to_json
from harness.report import output
from harness.show.verdicts import claims_table
from harness.storage import files as storage
from harness.storage import published_folder
from harness.storage.published_folder import COSTS_FILE, ENVIRONMENTS_FILE, ROWS_FILE, SPECS_FILE
from harness.storage.run_folder import RunFolder, RunState
from harness.suite import Options, Profile, Suite
from harness.types import Cost, HarnessError, Row

MACHINE = ("system", "architecture", "processor", "cores")
"""What is said of a machine; runs of older versions recorded more, on which no number depends."""


def publish(suite: Suite, profile: Profile, options: Options, root: Path | None = None) -> list[Path]:
    """Writes rows, costs, provenance, tables and figures of a suite's runs; returns the files written.

    Args:
        root: folder of the committed results; None: ``options.published``.

    Raises:
        HarnessError: a run of the selection is not done, its samples are not those of its rows, or published runs
            would be dropped; before anything is written.
    """
    specs = list({spec.id: spec for spec in suite.runs(profile, options)}.values())
    folders = [RunFolder(options.results, spec) for spec in specs]
    _check_done(suite, folders)
    root = root or options.published
    out = root / profile.name / options.folder
    _check_keeps(out / ROWS_FILE, specs)
    wanted = (row for folder in folders for row in folder.wanted_rows(suite.evaluations(folder.spec)))
    rows = sorted(wanted, key=_row_key)
    results.check(rows, profile.name)
    answered = [found for folder in folders for found in answers.of_run(folder, suite.evaluations(folder.spec))]
    answers.check(answered, results.row_frame(rows))
    written = [
        *_write_records(out, rows, folders),
        *_write_answers(out / answers.ANSWERS_FILE, answered),
        *_write_samples(out, suite, folders),
    ]
    chosen = dataclasses.replace(options, source="published", published=root)
    shown = output.emit(suite, *results.load("published", suite, profile, chosen), chosen, out)
    readme = _write_readme(out, suite, options, folders, answered={found.run for found in answered})
    return [*written, *shown, _write_front(out, shown), readme]


def publish_claims(profile: Profile, options: Options, root: Path | None = None) -> list[Path]:
    """Writes the paper's claims as the published rows decide them; returns the files written."""
    root = root or options.published
    chosen = dataclasses.replace(options, source="published", published=root)
    out = root / profile.name / "claims"
    written = output.write_tables([claims_table(registry.claims(profile, chosen), profile.name)], out)
    return [*written, _write_front(out, written)]


def _check_done(suite: Suite, folders: Sequence[RunFolder]) -> None:
    left = [f.spec.id for f in folders if f.state(suite.evaluations(f.spec)) is not RunState.DONE]
    if left:
        raise HarnessError(
            f"{len(left)} of {len(folders)} runs are not done, first {left[0]}: `dopd run` with the same "
            "flags makes them; or select less"
        )


def _check_keeps(path: Path, specs: Sequence[RunSpec]) -> None:
    """A smaller selection must not silently replace a larger one; the same run under new settings may."""
    if not path.exists():
        return
    names = {results.readable(spec.id) for spec in specs}
    dropped = {row.run for row in published_folder.read_rows(path) if results.readable(row.run) not in names}
    if dropped:
        raise HarnessError(
            f"{path.parent} holds {len(dropped)} published runs that this selection does not, first "
            f"{min(dropped)}: select them too (--methods, --seeds, --train-domains), or delete the folder"
        )


def _write_records(out: Path, rows: Sequence[Row], folders: Sequence[RunFolder]) -> list[Path]:
    specs = [{"run": f.spec.id, **to_json(f.spec)} for f in folders]
    costs = [cost for f in folders if (cost := f.cost())]
    files = {
        ROWS_FILE: storage.jsonl([dataclasses.asdict(row) for row in rows]),
        COSTS_FILE: _costs_csv(costs),
        SPECS_FILE: storage.jsonl(specs),
        ENVIRONMENTS_FILE: json.dumps(_environments(folders), indent=2) + "\n",
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


def _write_samples(out: Path, suite: Suite, folders: Sequence[RunFolder]) -> list[Path]:
    paths: list[Path] = []
    for name in suite.published_samples:
        paths.append(out / f"{name}.jsonl")
        storage.write_text_atomic(paths[-1], storage.jsonl(results.run_samples(name, suite, folders)))
    return paths


def _costs_csv(costs: Sequence[Cost]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, [f.name for f in dataclasses.fields(Cost)], lineterminator="\n")
    writer.writeheader()
    for cost in sorted(costs, key=lambda cost: cost.run):
        writer.writerow(dataclasses.asdict(cost) | {"train_domains": "+".join(cost.train_domains)})
    return out.getvalue()


def _environments(folders: Sequence[RunFolder]) -> list[dict[str, Any]]:
    """Distinct environments with the ids of their runs, the most used first; of the machine what ``MACHINE`` names."""
    runs: dict[str, list[str]] = defaultdict(list)
    for folder in folders:
        for record in folder.environments():
            machine = {key: record["machine"].get(key) for key in MACHINE}
            runs[json.dumps({**record, "machine": machine}, sort_keys=True)].append(folder.spec.id)
    by_use = sorted(runs.items(), key=lambda found: (-len(found[1]), found[0]))
    return [{**json.loads(text), "runs": list(dict.fromkeys(ids))} for text, ids in by_use]


def _write_front(out: Path, shown: Sequence[Path]) -> Path:
    """A copy of the main table, the first of a suite, where it is found without knowing its name."""
    main = next(path for path in shown if path.suffix == ".md")
    front = out.with_name(f"{out.name}.md")
    storage.write_text_atomic(front, main.read_text(encoding="utf-8"))
    return front


def _write_readme(out: Path, suite: Suite, options: Options, folders: Sequence[RunFolder], answered: Set[str]) -> Path:
    environments = _environments(folders)
    commits = sorted({f"{str(e['commit'])[:10]}{' with changes' if e['dirty'] else ''}" for e in environments})
    machines = sorted({f"{e['machine']['processor']}, {e['machine']['system']}" for e in environments})
    trained = [f.spec for f in folders if f.spec.method]
    methods = sorted({s.method.name for s in trained if s.method})
    seeds = sorted({s.seed for s in trained})
    responses = "".join(f", `{name}.jsonl` single responses" for name in suite.published_samples)
    count = f"{len(answered)} of {len(folders)} runs"
    right = f", `{answers.ANSWERS_FILE}` which items each run answered right ({count})" if answered else ""
    text = f"""# {suite.name}: {suite.title}

Generated by `dopd publish`; do not edit. {len(trained)} runs, {len(folders) - len(trained)} references.

- methods: {", ".join(methods)}
- seeds: {", ".join(map(str, seeds))}; steps: {", ".join(map(str, sorted({s.steps for s in trained})))}
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
