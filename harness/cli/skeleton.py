"""``dopd methods new`` and ``dopd suites new``: a method or suite that works, and its test, to start from. No torch."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from harness import registry
from harness.storage import files
from harness.types import HarnessError

NAME, CLASS = "my_method", "MyMethod"
"""What stands in the two texts for the new method's name and class."""

METHOD = '''"""TODO what it does, in one sentence. Here: the student must cover what a teacher who sees p may say.

TODO CITE: authors, title, arXiv number, section. TODO EQUATION. TODO LEFT OUT: what of the source is not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from harness.method import Method
from harness.types import PRIVILEGED, HarnessError, Policy, Reduction, Term, View, Want

if TYPE_CHECKING:
    from torch import Tensor

    from harness.losses.tokens import TokenView


@dataclass(frozen=True, kw_only=True)
class MyMethod(Method):
    """y ~ student(. | x); weight * KL(teacher(. | x, p) || student(. | x)), over the whole vocabulary."""

    reduction: ClassVar[Reduction] = Reduction.SEQ_MEAN
    """TODO of the source: mean over a response, then over responses; TOKEN_MEAN weighs every token alike."""
    weight: float = 1.0
    """TODO a field is a hyper-parameter, at its source's default; where the source is silent, say why this value."""

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise HarnessError(f"weight={self.weight}: give a number above 0")

    @property
    def terms(self) -> tuple[Term, ...]:
        """What is read: the student, and the teacher with p."""
        wants = frozenset({Want.DISTRIBUTION})
        return (Term(View(Policy.STUDENT, wants=wants), (View(Policy.TEACHER, PRIVILEGED, wants),)),)

    def token_loss(self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]) -> Tensor:
        """Nats of each token, [N]."""
        student_NV, teacher_NV = views[term.trained].logp_NV, views[term.sources[0]].logp_NV
        return self.weight * (teacher_NV.exp() * (teacher_NV - student_NV)).sum(-1)
'''

TEST = '''"""my_method: loss and gradient by hand, and a setting that is refused. TODO: new numbers for a new loss."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from harness import registry
from harness.losses.tokens import TokenView
from harness.method import Method
from harness.types import HarnessError

TEACHER, STUDENT = [0.5, 0.25, 0.25], [0.25, 0.25, 0.5]


def method(**settings: object) -> Method:
    """As a run builds it: by its registered name; until there is one, from the file beside this one."""
    if "my_method" not in registry.methods():
        registry.load_plugin(Path(__file__).with_name("my_method.py"))
    return registry.build_method(registry.method_spec("my_method", settings))


def view(logits: torch.Tensor) -> TokenView:
    """Of one response token; the output layer is the identity, so that hidden states are logits."""
    return TokenView(tokens_N=torch.tensor([0]), hidden_ND=logits, head=lambda hidden_ND: hidden_ND)


def test_loss_and_gradient_by_hand() -> None:
    """t = (1/2, 1/4, 1/4), q = (1/4, 1/4, 1/2), weight 2.

    Loss: 2 KL(t || q) = 2 (1/2 ln 2 + 1/4 ln 1 + 1/4 ln 1/2) = 1/2 ln 2. Gradient in the student's logits: 2 (q - t).
    """
    chosen = method(weight=2.0)
    (term,) = chosen.terms
    student = torch.tensor([STUDENT]).log().requires_grad_()
    views = {term.trained: view(student), term.sources[0]: view(torch.tensor([TEACHER]).log())}
    loss_N = chosen.token_loss(term, views, {})
    torch.testing.assert_close(loss_N, torch.tensor([math.log(2) / 2]))
    loss_N.sum().backward()
    torch.testing.assert_close(student.grad, torch.tensor([[-0.5, 0.0, 0.5]]))


def test_a_weight_that_is_not_positive_is_refused() -> None:
    with pytest.raises(HarnessError, match="give a number above 0"):
        method(weight=0.0)
'''


def write(name: str, folder: Path) -> tuple[Path, Path]:
    """A method, ``NAME.py``, and its test, ``test_NAME.py``, in ``folder``, which is made if it is not there.

    Raises:
        HarnessError: the name cannot be a method's or is taken; a file is there already; nothing can be written.
    """
    taken = {plain(other).lower(): entry.target for other, entry in registry.methods().items()}
    return _written("method", plain(name), folder, {NAME: METHOD, f"test_{NAME}": TEST}, (NAME, CLASS), taken)


def write_suite(name: str, folder: Path) -> tuple[Path, Path]:
    """A suite and its test, as ``write`` a method.

    Raises:
        HarnessError: as ``write``.
    """
    made = registry.suite_skeleton()
    texts = {made.NAME: made.SUITE, f"test_{made.NAME}": made.TEST}
    taken = {plain(other).lower(): target for other, target in registry.suites().items()}
    return _written("suite", plain(name), folder, texts, (made.NAME, made.CLASS), taken)


def plain(name: str) -> str:
    """With ``_`` for ``-``."""
    return name.strip().replace("-", "_")


def _written(
    kind: str,
    name: str,
    folder: Path,
    texts: Mapping[str, str],
    standing: tuple[str, str],
    taken: Mapping[str, str],
) -> tuple[Path, Path]:
    own, own_class = standing
    class_name = "".join(word.capitalize() for word in name.split("_"))
    check(kind, name, class_name, texts[own], taken)
    made, test = (folder / f"{stem.replace(own, name)}.py" for stem in texts)
    if there := [path for path in (made, test) if path.exists()]:
        raise HarnessError(f"{there[0]} exists and is not overwritten: move it away, or give another name or --out")
    if name in sys.modules or importlib.util.find_spec(name):
        known = sys.modules[name].__spec__ if name in sys.modules else importlib.util.find_spec(name)
        where = f" ({known.origin})" if known and known.has_location else ""
        raise HarnessError(
            f"{name!r} is the name of a Python module{where}, which {made.name} could hide: give another"
        )
    try:
        for path, text in zip((made, test), texts.values(), strict=True):
            files.write_text_atomic(path, text.replace(own, name).replace(own_class, class_name))
    except OSError as error:
        raise HarnessError(
            f"{folder} cannot be written to ({error.strerror}): name another folder with --out"
        ) from error
    return made, test


def check(kind: str, name: str, class_name: str, text: str, taken: Mapping[str, str]) -> None:
    """Whether a method or suite may have this name, and a class in the text that name.

    Raises:
        HarnessError: it may not.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise HarnessError(f"{name!r} is no name of a {kind}: small letters, digits and _, as in my_{kind}")
    if registry.snake(class_name) != name:
        raise HarnessError(
            f"{name!r} would be the class {class_name}, whose registry name is {registry.snake(class_name)}: give that"
        )
    if name in taken:
        raise HarnessError(f"{kind} {name!r} is registered already ({taken[name]}): give another name")
    if re.search(rf"\bimport .*\b{class_name}\b", text):
        raise HarnessError(f"{name!r} would be the class {class_name}, a name the file imports: give another name")
