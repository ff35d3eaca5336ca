"""What lm-eval ships, read from its task files: lm-eval itself, which needs torch, is not imported."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.evaluation.benchmarks import LmEvalBenchmark, near
from harness.types import HarnessError

if TYPE_CHECKING:
    import yaml


def tasks() -> Path:
    """Folder of lm-eval's tasks. Raises HarnessError if lm-eval is not installed."""
    found = importlib.util.find_spec("lm_eval")
    if found is None or not found.submodule_search_locations:
        raise HarnessError("lm-eval is not installed, so none of its tasks can be asked: pip install lm-eval")
    return Path(found.submodule_search_locations[0]) / "tasks"


def folder(benchmark: LmEvalBenchmark) -> Path:
    """That holds the benchmark's task; the only one that is read. Raises HarnessError if lm-eval has none."""
    name = benchmark.folder or benchmark.task
    path = tasks() / name
    if not path.is_dir():
        known = [p.name for p in tasks().iterdir() if p.is_dir()]
        raise HarnessError(f"benchmark {benchmark.name}: lm-eval ships no folder {name!r}; {near(name, known)}")
    return path


def settings(benchmark: LmEvalBenchmark) -> dict[str, Any]:
    """The task as its file states it, included files in it, functions as text.

    Raises:
        HarnessError: the folder has no task or group of that name.
    """
    found = _index(folder(benchmark))
    if benchmark.task not in found:
        raise HarnessError(
            f"benchmark {benchmark.name}: lm-eval's folder {folder(benchmark).name} has no task {benchmark.task!r}; "
            f"{near(benchmark.task, found)}"
        )
    return found[benchmark.task][1]


def leaves(benchmark: LmEvalBenchmark) -> dict[str, tuple[Path, dict[str, Any]]]:
    """The tasks behind it, by name, each with its file and settings: itself, or those of its group, tags resolved."""
    found, names, out = _index(folder(benchmark)), [benchmark.task], {}
    while names:
        name = names.pop(0)
        path, stated = found.get(name, (None, {}))
        tagged = [task for task, (_, config) in found.items() if name in _listed(config.get("tag", []))]
        if "group" in stated or not path:
            names += map(str, stated.get("task", tagged))
        else:
            out[name] = (path, stated)
    return out


def check(benchmark: LmEvalBenchmark) -> None:
    """What can be refused before lm-eval is asked.

    Raises:
        HarnessError: no such task, another version of it, a metric it does not give, or a local file that is not there.
    """
    stated = settings(benchmark)
    check_version(benchmark, (stated.get("metadata") or {}).get("version", benchmark.version))
    given = metrics(stated)
    for metric in benchmark.metrics:
        if given and metric.name not in given:
            raise HarnessError(
                f"benchmark {benchmark.name}: task {benchmark.task} gives no metric {metric.name!r}; "
                f"{near(metric.name, given)}"
            )
    missing = [path for path in files(benchmark).values() if not path.is_file()]
    if missing:
        raise HarnessError(
            f"benchmark {benchmark.name}: its local data {missing[0]} is no file: give a jsonl file of the schema of "
            f"task {benchmark.task}, for a group a folder with one <task>.jsonl each"
        )


def check_version(benchmark: LmEvalBenchmark, version: float) -> None:
    """Raises HarnessError if lm-eval's task is of another version than the benchmark means."""
    if version != benchmark.version:
        raise HarnessError(
            f"benchmark {benchmark.name} means version {benchmark.version} of task {benchmark.task}, the lm-eval here "
            f"has {version}: install the one that has it, or give the benchmark that version"
        )


def metrics(stated: dict[str, Any]) -> list[str]:
    """``metric,filter`` of a task or a group; empty where its file does not say."""
    if "group" in stated:
        wanted = stated.get("aggregate_metric_list") or []
        return [f"{m['metric']},{name}" for m in wanted for name in _listed(m.get("filter_list", "none"))]
    filters = [each["name"] for each in stated.get("filter_list") or [{"name": "none"}]]
    return [f"{m['metric']},{name}" for name in filters for m in stated.get("metric_list") or []]


def files(benchmark: LmEvalBenchmark) -> dict[str, Path]:
    """The local file of each task, by its name; empty without local data."""
    if not benchmark.data:
        return {}
    data, names = Path(benchmark.data).resolve(), leaves(benchmark)
    return {name: data if name == benchmark.task else data / f"{name}.jsonl" for name in names}


@cache
def _index(path: Path) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Every task and group of a folder, by name, with its file and settings."""
    read = ((file, _read(file)) for file in sorted(path.rglob("*.yaml")))
    return {str(config.get("group") or config.get("task")): (file, config) for file, config in read}


def _read(path: Path) -> dict[str, Any]:
    import yaml

    # The safe loader and one constructor of text.
    own: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=_loader())
    merged: dict[str, Any] = {}
    for include in _listed(own.pop("include", [])):
        merged |= _read(path.parent / include)
    return merged | own


@cache
def _loader() -> type[yaml.SafeLoader]:
    import yaml

    class Loader(yaml.SafeLoader):
        """Functions stay text: ``utils.docs`` of ``!function utils.docs``."""

    def text(loader: yaml.SafeLoader, node: Any) -> str:
        return str(loader.construct_scalar(node))

    Loader.add_constructor("!function", text)
    return Loader


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
