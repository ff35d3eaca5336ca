"""Proof that a change is no other code: every method trained and evaluated before and after, compared bit by bit.

    nox -s equal_code -- --before COMMIT [--methods NAMES] [--profile NAME]

Each side runs its own code on this machine, in a folder of its own: of every method, and of every recipe for models
that needs no settings, three optimiser steps at a profile, the default one unless named, then an evaluation under
each decoding, and the audits where the method has something to audit. Compared are what each step logged but its
seconds and memory, the weights at the end, the rows and the single responses. Where all is equal, the pairs of
digests (``harness.storage.code``) enter ``results/equal_code.json``, and rows of the one are rows of the other from
then on: commit that file with the change. Where something is not, the suites are named that it makes stale, and the
exit code is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.config import RunSpec
    from harness.profile import Profile
    from harness.storage.run_folder import RunFolder
    from harness.suite import Evaluation

ROOT = Path(__file__).resolve().parents[2]
EQUAL = ROOT / "results" / "equal_code.json"
STEPS = 3
NOT_COMPARED = ("seconds/", "tokens_per_second", "memory_mb")
"""Of a line of the log."""
COMPARED = f"{STEPS} optimiser steps and an evaluation of every method: log, weights, rows and responses, bit by bit"
Recorded = Mapping[str, Mapping[str, Any]]
"""By method or ``recipe/NAME``: digests, steps, weights, rows, responses."""


def specs(names: Sequence[str], profile_name: str) -> Iterator[tuple[str, RunSpec]]:
    """A short run of each method and recipe; of all that the profile's data have something for where none is named."""
    from harness import registry
    from harness.suite import Options, training_run
    from harness.training.recipes import RECIPES
    from harness.types import HarnessError, Modality

    profile = registry.profile(profile_name or registry.default_profile())
    options, domains = Options(suite="", profile=profile.name, steps=STEPS), profile.data.domains
    for name in registry.methods():
        sees = profile.modality is Modality.VISION or not registry.method_class(name).pictures
        if name in names or (sees and not names):
            yield name, training_run(profile, options, method=name, domains=domains, seed=0, checkpoints=1)
    for name in () if names or profile.modality is Modality.VISION else RECIPES:
        with contextlib.suppress(HarnessError):  # a recipe whose settings have no defaults
            yield f"recipe/{name}", recipe_run(name, profile.at(0))


def recipe_run(name: str, profile: Profile) -> RunSpec:
    """Of its default settings. Raises HarnessError for a recipe that has none."""
    from harness.suite import made_model

    made = made_model(
        name, recipe=name, base=profile.student, steps=STEPS, data=profile.data, optim=profile.optim, checkpoints=1
    ).made
    assert made is not None
    return made


def evaluations(spec: RunSpec) -> list[Evaluation]:
    """One benchmark under each decoding; every audit of a method that labels its tokens."""
    from harness import registry
    from harness.evaluation.audits import AUDIT, AUDITS
    from harness.evaluation.benchmarks import told
    from harness.suite import Evaluation

    if spec.method is None:
        return []
    asked = told(registry.profile(spec.profile).benchmarks[0])
    found = [Evaluation("last", asked.name, decoding, asked.version) for decoding in asked.decodings]
    if registry.build_method(spec.method).labels:
        found += [Evaluation("last", audit.name, AUDIT, audit.version) for audit in AUDITS.values()]
    return found


def record(out: Path, names: Sequence[str], profile: str, *, digests_only: bool) -> None:
    """Into a file: everything of every method by the code that Python finds first."""
    from harness.storage.code import code_of

    found: dict[str, dict[str, Any]] = {}
    for name, spec in specs(names, profile):
        found[name] = {"code": dataclasses.asdict(code_of(spec))}
        if not digests_only:
            print(f"  {name}", flush=True)
            with tempfile.TemporaryDirectory() as folder:
                found[name] |= trained(Path(folder), spec)
    out.write_text(json.dumps(found), encoding="utf-8")


def trained(root: Path, spec: RunSpec) -> dict[str, Any]:
    """What a run logged, its weights, rows and responses."""
    from harness.runs import run
    from harness.storage import checkpoint, files
    from harness.storage.run_folder import RunFolder

    folder = RunFolder(root, spec)
    run.run(folder, evaluations(spec), lambda *_: None)
    weights = checkpoint.at_step(folder.checkpoints, spec.steps).weights()
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode() + weights[name].contiguous().numpy().tobytes())
    lines = [
        {k: v for k, v in line.items() if not k.startswith(NOT_COMPARED)} for line in files.read_jsonl(folder.metrics)
    ]
    return {"steps": lines, "weights": digest.hexdigest(), "rows": rows(folder), "responses": responses(folder)}


def rows(folder: RunFolder) -> list[dict[str, Any]]:
    """Without the digests."""
    return [{k: v for k, v in dataclasses.asdict(row).items() if not k.endswith("_code")} for row in folder.rows()]


def responses(folder: RunFolder) -> dict[str, str]:
    """sha256 of each file of single responses."""
    paths = sorted((folder.path / "samples").glob("*.jsonl"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def differs(before: Mapping[str, Any], after: Mapping[str, Any], *parts: str) -> str:
    """The first of these parts of a method that is not equal, of a step with its numbers; empty if all are."""
    unequal = next((part for part in parts if before[part] != after[part]), "")
    if unequal == "steps":
        for a, b in zip(before["steps"], after["steps"], strict=False):
            if keys := [key for key in {**a, **b} if a.get(key) != b.get(key)]:
                return f"step {a['step']}, {keys[0]}: {a.get(keys[0])} before, {b.get(keys[0])} now"
    return unequal


def without_new(before: Mapping[str, Any], after: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is now, less rows and responses of evaluations that there were none of before: what is new moves no
    number."""
    asked = [{row["benchmark"] for row in side["rows"]} for side in (before, after)]
    new = asked[1] - asked[0]
    return {
        **after,
        "rows": [row for row in after["rows"] if row["benchmark"] not in new],
        "responses": {k: v for k, v in after["responses"].items() if not any(f".{name}@" in k for name in new)},
    }


def found_equal(before: Recorded, after: Recorded) -> tuple[dict[str, dict[str, list[str]]], dict[str, str]]:
    """Pairs of digests that are of equal code, by kind and name; and why methods are not equal.

    A pair of which one method is not equal is none: methods of one module have one digest.
    """
    reasons: dict[str, dict[str, str]] = {"training": {}, "evaluation": {}}
    for name in after.keys() & before.keys():
        sides = (before[name], without_new(before[name], after[name]))
        reasons["training"][name] = trained = differs(*sides, "steps", "weights")
        reasons["evaluation"][name] = trained or differs(*sides, "rows", "responses")
    pairs: dict[str, dict[str, list[str]]] = {}
    for kind, found in reasons.items():
        alike: dict[tuple[str, str], list[str]] = defaultdict(list)
        for name in sorted(found):
            alike[before[name]["code"][kind], after[name]["code"][kind]].append(name)
        proven = {
            pair: names for pair, names in alike.items() if len(set(pair)) == 2 and not any(map(found.get, names))
        }
        pairs[kind] = {", ".join(names): list(pair) for pair, names in proven.items()}
    return pairs, {name: why for name, why in sorted(reasons["evaluation"].items()) if why}


def stale(names: Sequence[str], results: Path = ROOT / "results") -> list[str]:
    """What is published with a run of one of these methods, by the names of its folders."""
    from harness.storage import published_folder

    paths = sorted(results.glob(f"*/*/{published_folder.COSTS_FILE}"))
    return [p.parent.name for p in paths if any(cost.method in names for cost in published_folder.read_costs(p))]


def side(tree: Path, out: Path, names: Sequence[str], profile: str, *, digests_only: bool = False) -> Recorded:
    """What the code of a tree records."""
    flags = [*(["--methods", ",".join(names)] if names else []), *(["--digests-only"] if digests_only else [])]
    flags += ["--profile", profile] if profile else []
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, __file__, "--record", str(out), *flags]
    done = subprocess.run(command, cwd=tree, env=environment, stderr=subprocess.PIPE, text=True, check=False)
    if "No module named 'harness.storage.code'" in done.stderr:
        raise SystemExit(f"{tree.name} is from before digests were kept: its rows name no code, nothing can be shown")
    if done.returncode:
        raise SystemExit(f"{tree} failed:\n{done.stderr[-2000:]}")
    return json.loads(out.read_text(encoding="utf-8"))


def commit(tree: Path) -> str:
    """Of a tree, and whether it has changes beside."""
    git = ("git", "-C", str(tree))
    name = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    changes = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
    return f"{name} with changes" if changes else name


def keep(pairs: Mapping[str, Any], before: str, after: str) -> None:
    """Adds the pairs to the committed file."""
    from harness.storage import files
    from harness.storage.run_folder import environment

    known = files.read_json(EQUAL) if EQUAL.is_file() else []
    here, _ = environment()
    new = {"before": before, "after": after, "compared": COMPARED, "versions": here["versions"], **pairs}
    files.write_json_atomic(EQUAL, [*known, {**new, "machine": here["machine"]}])


def prove(tree: Path, folder: Path, names: Sequence[str], profile: str) -> int:
    """Compares a tree with this one, says what was found and keeps it; 1 if something is not equal."""
    digests = [side(each, folder / "digests.json", names, profile, digests_only=True) for each in (tree, ROOT)]
    if all(digests[0][name]["code"] == now["code"] for name, now in digests[1].items() if name in digests[0]):
        print("all digests are equal: it is the same code, there is nothing to show")
        return 0
    recorded = []
    for each, what in ((tree, "before"), (ROOT, "now")):
        print(f"{what}:", flush=True)
        recorded.append(side(each, folder / f"{what}.json", names, profile))
    pairs, unequal = found_equal(*recorded)
    print(f"{len(recorded[1]) - len(unequal)} of {len(recorded[1])} are equal in every bit")
    for name, why in unequal.items():
        print(f"  DIFFERS  {name}: {why}")
    if any(pairs.values()):
        keep(pairs, commit(tree), commit(ROOT))
        print(f"wrote {EQUAL.relative_to(ROOT)}: {sum(map(len, pairs.values()))} pairs; commit it with the change")
    if unequal:
        print(f"made stale: {', '.join(stale(list(unequal))) or 'no suite'}")
    return int(bool(unequal))


def main() -> int:
    """Command line; see the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", help="commit to compare with")
    parser.add_argument("--methods", default="", help="registry names with commas; without, all and the recipes")
    parser.add_argument("--profile", default="", help="whose models, data and settings; by default the default one")
    parser.add_argument("--record", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--digests-only", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    names = [name for name in given.methods.split(",") if name]
    if given.record:
        record(given.record, names, given.profile, digests_only=given.digests_only)
        return 0
    if not given.before:
        parser.error("give --before COMMIT")
    from unmoved import checkout

    with tempfile.TemporaryDirectory() as temporary, checkout(given.before, Path(temporary)) as tree:
        return prove(tree, Path(temporary), names, given.profile)


if __name__ == "__main__":
    sys.exit(main())
