"""The schema of problems in files (``docs/data.md``): a record to an example, or a line on what is wrong. No torch."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from harness import registry
from harness.types import (
    Example,
    Fact,
    HarnessError,
    ImagePart,
    Message,
    Part,
    Privilege,
    Span,
    TextPart,
    check_spans,
)
from harness.worlds.files.graders import Grader

SCHEMA = 1
"""Of the fields and their meaning; a file may say in its first line which it is written in."""
SPLITS = ("train", "validation", "test")
ROLES = ("system", "user", "assistant")
FIELDS = (
    "prompt",
    "messages",
    "images",
    "answer",
    "domain",
    "privileged",
    "trace",
    "facts",
    "grader",
    "split",
    "id",
)
DEFAULTS = ("domain", "grader", "split", "unknown")
"""Fields that may be given once for a whole file."""
DOMAIN = "problems"
"""Of problems that name none."""
UNKNOWN = "unknown"
"""Stands in a reference response where only p tells the word, unless the file gives another."""
CURE = "; --columns prompt=NAME,... reads files whose fields have other names"
NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")
"""Of domains and kinds of p: they become parts of names and of flags."""
IMAGES = (b"\x89PNG\r\n", b"\xff\xd8\xff")
"""First bytes of PNG and JPEG."""

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A line of a file."""

    example: Example
    """Its split is empty where the file gives none; its id is then without one."""
    grader: Grader | None


def defaults(given: Record) -> dict[str, Any]:
    """What the first line says for all, ``{"schema": 1, "domain": ...}``.

    Raises:
        HarnessError: another version of the schema; a field that cannot be given for all.
    """
    if given["schema"] != SCHEMA:
        raise HarnessError(f"schema {given['schema']!r}: this package reads schema {SCHEMA}")
    return {known(name, DEFAULTS): value for name, value in given.items() if name != "schema"}


def problem(record: Any, folder: Path, values: Record) -> Problem:
    """One record as an example.

    Args:
        folder: what paths of images are relative to.
        values: of fields that the record leaves out.

    Raises:
        HarnessError: what is wrong with it, the first thing first.
    """
    if not isinstance(record, dict):
        raise HarnessError(f'a {type(record).__name__} stands where an object must, {{"prompt": ...}}')
    given = {known(name, FIELDS, CURE): value for name, value in cast("Record", record).items() if value is not None}
    given = {name: value for name, value in values.items() if name in FIELDS} | given
    grader = _grader(given.get("grader"))
    messages, trace = _messages(given, folder), _optional(given, "trace", _text)
    answer = _optional(given, "answer", _word) or ""
    if grader and not answer:
        raise HarnessError(f"no field answer, which the grader {grader.kind!r} compares with: give it, or no grader")
    if grader:
        grader.of(answer)
        if trace is not None:
            grader.check_trace(trace, answer)
    domain, split = _optional(given, "domain", _name) or DOMAIN, _optional(given, "split", _split) or ""
    made = Example(
        id=_optional(given, "id", _word) or _digest(messages),
        domain=domain,
        split=split,
        messages=messages,
        answer=answer,
        trace=trace,
        facts=_facts(given, trace),
        privileged=_privileged(given.get("privileged", {})),
    )
    return Problem(example=made, grader=grader)


def canonical(problem: Problem) -> dict[str, Any]:
    """All that a problem is, as plain JSON; an image by its content."""
    example, grader = problem.example, problem.grader
    return {
        "id": example.id,
        "domain": example.domain,
        "split": example.split,
        "messages": _plain(example.messages),
        "answer": example.answer,
        "trace": example.trace,
        "facts": [[span.start, span.end, span.kind.value] for span in example.facts],
        "privileged": dict(example.privileged),
        "grader": [grader.kind, grader.after, grader.pattern] if grader else None,
    }


def _plain(messages: Sequence[Message]) -> list[Any]:
    def part(each: Part) -> Any:
        return each.text if isinstance(each, TextPart) else {"sha256": each.sha256}

    return [
        [turn["role"], content if isinstance(content := turn["content"], str) else [part(each) for each in content]]
        for turn in messages
    ]


def _digest(messages: Sequence[Message]) -> str:
    """The id of a problem that has none."""
    return hashlib.sha256(json.dumps(_plain(messages)).encode()).hexdigest()[:12]


def known(name: str, fields: Sequence[str], cure: str = "") -> str:
    """A name of the schema, as it is written there. Raises HarnessError for another, near names offered."""
    if name in fields:
        return name
    try:
        near = registry.lookup("field", name, fields)
    except HarnessError as error:
        raise HarnessError(f"{error}{cure}") from error
    raise HarnessError(f"unknown field {name!r}: write {near}")


def _optional(given: Record, name: str, read: Callable[[Any, str], str]) -> str | None:
    return read(given[name], name) if name in given else None


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise HarnessError(f"{name} is {_told(value)}: give a text")
    if not value.strip():
        raise HarnessError(f"{name} is empty: give a text, or leave the field out")
    return value


def _word(value: Any, name: str) -> str:
    """A text; a number is taken for one."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return str(value)
    return _text(value, name)


def _name(value: Any, name: str) -> str:
    if not NAME.fullmatch(text := _text(value, name)):
        raise HarnessError(f"{name} {text!r}: a name is letters, digits and . _ + -, a letter or digit first")
    return text


def _split(value: Any, name: str) -> str:
    return registry.lookup(name, _text(value, name), SPLITS)


def _told(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 40 else f"{text[:40]}..."


def _grader(value: Any) -> Grader | None:
    """A kind, or an object with its settings."""
    if value is None:
        return None
    settings: dict[str, Any] = {"kind": value} if isinstance(value, str) else value
    if not isinstance(value, (str, dict)) or not all(isinstance(each, str) for each in settings.values()):
        raise HarnessError(f'grader is {_told(value)}: give a kind, or an object of texts, {{"kind": "number"}}')
    for name in settings:
        known(name, ("kind", "after", "pattern"))
    if "kind" not in settings:
        raise HarnessError(f"grader is {_told(value)}: it has no kind")
    return Grader(**settings)


def _messages(given: Record, folder: Path) -> tuple[Message, ...]:
    if ("prompt" in given) == ("messages" in given):
        both = "both prompt and messages" if "prompt" in given else "no field prompt or messages"
        raise HarnessError(f"{both}: give one of the two")
    if "prompt" in given:
        text = _text(given["prompt"], "prompt")
        images = tuple(_image(each, folder) for each in _listed(given.get("images", []), "images"))
        content = (*images, TextPart(text)) if images else text
        return ({"role": "user", "content": content},)
    if "images" in given:
        raise HarnessError('images beside messages: put each where it is read, {"type": "image", "path": ...}')
    turns = _listed(given["messages"], "messages")
    found = tuple(_turn(turn, folder) for turn in turns)
    if not found or found[-1]["role"] != "user":
        raise HarnessError("messages must end with a turn of the role user, which is answered")
    return found


def _turn(turn: Any, folder: Path) -> Message:
    if not isinstance(turn, dict) or set(cast("Record", turn)) != {"role", "content"}:
        raise HarnessError(f"a turn of messages is {_told(turn)}: it has role and content, nothing else")
    role, content = turn["role"], turn["content"]
    if role not in ROLES:
        raise HarnessError(f"role {role!r}: choose one of {', '.join(ROLES)}")
    if isinstance(content, list):
        parts = tuple(_part(each, folder) for each in cast("list[Any]", content))
        if not any(isinstance(part, TextPart) for part in parts):
            raise HarnessError("a turn of messages has no text")
        return {"role": role, "content": parts}
    return {"role": role, "content": _text(content, "content of a turn")}


def _part(value: Any, folder: Path) -> Part:
    kind = cast("Record", value).get("type") if isinstance(value, dict) else None
    if kind == "text":
        return TextPart(_text(value.get("text"), "text of a part"))
    if kind == "image":
        return _image({name: each for name, each in value.items() if name != "type"}, folder)
    raise HarnessError(f'a part of a turn is {_told(value)}: its type is "text" or "image"')


def _image(value: Any, folder: Path) -> ImagePart:
    """By ``path``, relative to the file, or by ``base64``."""
    fields: Any = {"path": value} if isinstance(value, str) else value
    if not isinstance(fields, dict) or set(cast("Record", fields)) not in ({"path"}, {"base64"}):
        raise HarnessError(f"an image is {_told(value)}: give its path, or the encoded file as base64")
    if "path" in fields:
        path = folder / _text(fields["path"], "path of an image")
        if not path.is_file():
            raise HarnessError(f"image {path} is no file; a path is relative to the file of problems")
        data, kept, name = path.read_bytes(), b"", str(path)
    else:
        try:
            data = kept = base64.b64decode(_text(fields["base64"], "base64 of an image"), validate=True)
        except binascii.Error as error:
            raise HarnessError(f"base64 of an image is not valid ({error})") from error
        name = "an image of the line"
    if not data.startswith(IMAGES):
        raise HarnessError(f"{name} is neither PNG nor JPEG: convert it")
    return ImagePart(path=name, sha256=hashlib.sha256(data).hexdigest(), data=kept)


def _listed(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise HarnessError(f"{name} is {_told(value)}: give a list")
    return cast("list[Any]", value)


def _facts(given: Record, trace: str | None) -> tuple[Span, ...]:
    """Raises HarnessError for spans without a trace, outside it, out of order, or of an unknown kind."""
    found = _listed(given.get("facts", []), "facts")
    if found and trace is None:
        raise HarnessError("facts without a trace, whose characters they are of: give it")
    spans = tuple(map(_span, found))
    check_spans("facts", trace or "", spans)
    return spans


def _span(value: Any) -> Span:
    ints = isinstance(value, list) and len(cast("list[Any]", value)) == 3
    if not ints or not all(type(each) is int for each in value[:2]) or not isinstance(value[2], str):
        raise HarnessError(f"a fact is {_told(value)}: give [start, end, kind], characters of the trace")
    kinds = [kind.value for kind in Fact]
    return Span(value[0], value[1], Fact(registry.lookup("kind of fact", value[2], kinds)))


def _privileged(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise HarnessError(f'privileged is {_told(value)}: give a text by kind, {{"hints": "..."}}')
    kinds = cast("Record", value)
    if Privilege.NONE in kinds:
        raise HarnessError(f"privileged {Privilege.NONE.value!r} stands for no p: leave it out")
    return {
        _name(kind, "kind of privileged"): _boxes(each, kind) if isinstance(each, list) else _text(each, kind)
        for kind, each in kinds.items()
    }


def _boxes(value: Sequence[Any], kind: str) -> str:
    """A line a box, ``label x0 y0 x1 y1``."""
    if not value:
        raise HarnessError(f"{kind} is empty: give a text or boxes, or leave it out")
    return "\n".join(_box(each) for each in value)


def _box(value: Any) -> str:
    wanted = 'a box is {"label": "cat", "box": [x0, y0, x1, y1]}, numbers with x0 < x1 and y0 < y1'
    if not isinstance(value, dict) or set(cast("Record", value)) != {"label", "box"}:
        raise HarnessError(f"{_told(value)}: {wanted}")
    corners = value["box"]
    numbers = isinstance(corners, list) and len(cast("list[Any]", corners)) == 4
    if not numbers or not all(type(each) in (int, float) and math.isfinite(each) for each in corners):
        raise HarnessError(f"{_told(value)}: {wanted}")
    if not (corners[0] < corners[2] and corners[1] < corners[3]):
        raise HarnessError(f"{_told(value)}: {wanted}")
    return f"{_text(value['label'], 'label')} {' '.join(f'{each:g}' for each in corners)}"
