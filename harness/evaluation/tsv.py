"""Own benchmarks with pictures as data sets of VLMEvalKit, a table each. Importing this imports no torch.

An open question is asked as it is and its response graded by the last words after ``!``; a choice is between the right
answer and three other answers to questions of its kind, under VLMEvalKit's own prompt and rules.
"""

from __future__ import annotations

import base64
import csv
import io
import random
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from harness import worlds
from harness.evaluation import benchmarks
from harness.evaluation.benchmarks import Form, OwnBenchmark
from harness.evaluation.evaluate import check_plain
from harness.storage.files import write_text_atomic
from harness.types import Example, HarnessError, ImagePart, Part, TextPart
from harness.worlds.pictures import encoded
from harness.worlds.world import HasKinds, World, graded

TEMPLATES = Path(__file__).parent / "picture_tasks"
"""Files every exported folder holds unchanged."""
LETTERS = "ABCD"
CIRCULAR = ("mmbench", "ccbench", "circular", "mmcr", "mmt", "mmsci", "mmmu", "mmvp", "blink", "lego")
"""Within a name, in lower case: VLMEvalKit then scores in another way."""
MISSING = {"", "NA", "N/A", "n/a", "#NA", "#N/A", "#N/A N/A", "<NA>", "NaN", "nan", "-NaN", "-nan", "None"} | {
    *("NULL", "null", "-1.#IND", "-1.#QNAN", "1.#IND", "1.#QNAN")
}
"""Answers that VLMEvalKit, reading its tables by pandas, takes for none."""


def data_set(benchmark: OwnBenchmark, form: Form) -> str:
    """Name of the table: VLMEvalKit keeps pictures by it, so it says the version, and the draw of a world with draws.

    Raises:
        HarnessError: a name by which VLMEvalKit chooses another scoring, or that it cannot have.
    """
    draw = "" if benchmark.data.draw is None else f"_draw{benchmark.data.draw}"
    name = f"{benchmark.name}{draw}_{form.value}_v{benchmark.version:g}"
    taken = [word for word in CIRCULAR if word in name.lower()]
    if taken or not re.fullmatch(r"\w+", name):
        why = f"VLMEvalKit scores names with {taken[0]!r} in another way" if taken else "only letters, digits and _ fit"
        raise HarnessError(f"data set {name!r}: {why}: rename the benchmark")
    return name


def parts(example: Example) -> tuple[Part, ...]:
    """Of the user turn that is all of x. Raises HarnessError if x is anything else, or holds no picture."""
    roles = [message["role"] for message in example.messages]
    content = example.messages[0]["content"]
    if roles != ["user"] or isinstance(content, str) or not any(isinstance(part, ImagePart) for part in content):
        raise HarnessError(
            f"benchmark item {example.id} has the turns {', '.join(roles)}; a data set of VLMEvalKit holds one user "
            "turn with a picture: fold the others into it, or ask another engine"
        )
    return content


def pictures(example: Example) -> list[bytes]:
    """Encoded, in reading order."""
    return [encoded(part) for part in parts(example) if isinstance(part, ImagePart)]


def question(example: Example) -> str:
    """The text; ``<image 1>`` stands for a picture, unless all come first.

    Raises:
        HarnessError: see ``parts``; the text holds such a mark itself.
    """
    found = parts(example)
    texts = [part.text for part in found if isinstance(part, TextPart)]
    if any("<image " in text for text in texts):
        raise HarnessError(f"benchmark item {example.id} says '<image ', which stands for pictures: write another word")
    first = len(found) - len(texts)
    if len(texts) == 1 and isinstance(found[-1], TextPart):
        return texts[0]
    numbers = iter(range(1, first + 1))
    return "".join(part.text if isinstance(part, TextPart) else f"<image {next(numbers)}>" for part in found)


def kind(world: World, example: Example) -> str:
    """Its kind of question; its domain, where the world knows no kinds."""
    return world.kind(example) if isinstance(world, HasKinds) else example.domain


def text(benchmark: OwnBenchmark, form: Form) -> str:
    """The whole table.

    Raises:
        HarnessError: an item that is not one user turn with a picture, or shows p; a kind with fewer than four answers.
    """
    world, items = worlds.world_of(benchmark.data), benchmarks.examples(benchmark)
    choices = _choices(benchmark, world, items) if form is Form.CHOICE else [{} for _ in items]
    columns = ["index", "id", "question", *(LETTERS if form is Form.CHOICE else ()), "answer", "category"]
    out = io.StringIO()
    columns += ["l2-category", "split", "max_new_tokens", "image"]
    table = csv.DictWriter(out, columns, delimiter="\t", lineterminator="\n")
    table.writeheader()
    for index, (example, options) in enumerate(zip(items, choices, strict=True)):
        check_plain(example, question(example))
        right = next((letter for letter, option in options.items() if option == example.answer), example.answer)
        line = {"index": index, "id": example.id, "question": question(example), **options, "answer": right}
        about = {"category": kind(world, example), "l2-category": example.domain, "split": example.split}
        about["max_new_tokens"] = str(benchmark.max_new_tokens)
        table.writerow({**line, **about, "image": _cell(pictures(example))})
    return out.getvalue()


def _cell(held: Sequence[bytes]) -> str:
    """VLMEvalKit takes a short cell for the index of another line's picture; no encoded picture is as short."""
    cells = [base64.b64encode(data).decode() for data in held]
    return cells[0] if len(cells) == 1 else str(cells)


def _choices(benchmark: OwnBenchmark, world: World, items: Iterable[Example]) -> list[dict[str, str]]:
    """By letter, of each item: the right answer and three others of its kind, in an order of its own."""
    items = list(items)
    answers: dict[str, list[str]] = {}
    for example in items:
        known = answers.setdefault(kind(world, example), [])
        known += [example.answer] if example.answer not in known else []
    return [_options(benchmark, example, answers[kind(world, example)]) for example in items]


def _options(benchmark: OwnBenchmark, example: Example, answers: Sequence[str]) -> dict[str, str]:
    others = sorted(set(answers) - {example.answer})
    if len(others) < len(LETTERS) - 1:
        raise HarnessError(
            f"benchmark {benchmark.name}: a choice needs {len(LETTERS)} answers of the kind of {example.id}, its "
            f"{benchmark.n} items have {len(others) + 1}: give more items, or export it as open questions only"
        )
    if bad := MISSING & {example.answer, *others}:
        raise HarnessError(
            f"benchmark {benchmark.name}: VLMEvalKit takes the answer {min(bad)!r} for none: write another word"
        )
    draw = random.Random(f"{benchmark.name}/{benchmark.version:g}/{example.id}")
    options = [example.answer, *draw.sample(others, len(LETTERS) - 1)]
    draw.shuffle(options)
    return dict(zip(LETTERS, options, strict=True))


def export(out_dir: Path, chosen: Sequence[OwnBenchmark]) -> list[Path]:
    """Write each as open questions and, where its kinds have four answers, as choices; with the code that reads them.

    One of a world with draws is written once a draw.

    Raises:
        HarnessError: see ``text``; the folder's scorer would grade otherwise than the world does.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    written = [Path(shutil.copy(file, out_dir)) for file in sorted(TEMPLATES.glob("*.*"))]
    for benchmark in (each.in_draw(draw) for each in chosen for draw in each.draws):
        _check_scorer(benchmark)
        for form in forms(benchmark):
            written.append(out_dir / f"{data_set(benchmark, form)}.tsv")
            write_text_atomic(written[-1], text(benchmark, form))
    return written


def forms(benchmark: OwnBenchmark) -> tuple[Form, ...]:
    """In which it can be asked."""
    world = worlds.world_of(benchmark.data)
    answers: dict[str, set[str]] = {}
    for example in benchmarks.examples(benchmark):
        answers.setdefault(kind(world, example), set()).add(example.answer)
    enough = all(len(found) >= len(LETTERS) for found in answers.values())
    return tuple(Form) if enough else (Form.OPEN,)


def grader() -> Callable[[str, str], bool]:
    """Of the exported folder: whether a response ends in an answer. It needs nothing beside Python."""
    from harness.evaluation.picture_tasks.picture_rules import is_right

    return is_right


def _check_scorer(benchmark: OwnBenchmark) -> None:
    """The exported rule knows no world: it must say what the world says of some responses."""
    world, is_right = worlds.world_of(benchmark.data), grader()
    for example in benchmarks.examples(benchmark):
        words = (example.trace or "").split()
        swapped = [" ".join([*words[:i], "anything", *words[i + 1 :]]) for i in range(len(words))]
        for response in ["", example.answer, f"! {example.answer}", " ".join(words), " ".join(words[:-1]), *swapped]:
            if graded(world, example, response).answer != is_right(example.answer, response):
                raise HarnessError(
                    f"benchmark item {example.id}: an exported data set reads the answer after a last `!` and would "
                    f"grade {response!r} otherwise than its world; name the benchmarks to export, without this one"
                )
