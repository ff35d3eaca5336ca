"""What importing and calling VLMEvalKit changes in a process is undone. Importing this imports no torch.

On import it turns off autograd and the check of certificates, seeds Python's, NumPy's and torch's generators, sets
dozens of variables (PATH among them) and a handler of the root logger, allows pictures of any size, puts folders before
the path of modules and makes ``~/LMUData``.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import random
import ssl
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

DATA = "LMUData"
"""The variable that names VLMEvalKit's folder of data sets and pictures."""
LOGGERS = ("", "vlmeval", "jieba")
"""Whose levels and handlers are kept; the first is the root."""


@contextmanager
def contained() -> Iterator[None]:
    """Quiet within; after, everything is as it was before."""
    undo = [keep() for keep in (_torch, _numpy, _python, _ssl, _pictures, _environment, _path, _logging)]
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            os.environ[DATA] = _elsewhere().name
            logging.getLogger("vlmeval").setLevel(logging.CRITICAL)
            yield
    finally:
        for each in undo:
            each()


@cache
def _elsewhere() -> tempfile.TemporaryDirectory[str]:
    """In the place of ``~/LMUData`` on import."""
    return tempfile.TemporaryDirectory(prefix="dopd-lmudata-")


def _torch() -> Callable[[], None]:
    import torch

    grad, state = torch.is_grad_enabled(), torch.get_rng_state()

    def undo() -> None:
        torch.set_grad_enabled(grad)
        torch.set_rng_state(state)

    return undo


def _numpy() -> Callable[[], None]:
    import numpy as np

    state: Any = np.random.get_state()
    return lambda: np.random.set_state(state)


def _python() -> Callable[[], None]:
    state = random.getstate()
    return lambda: random.setstate(state)


def _ssl() -> Callable[[], None]:
    hooks: Any = ssl
    found = hooks._create_default_https_context
    return lambda: setattr(hooks, "_create_default_https_context", found)


def _pictures() -> Callable[[], None]:
    from PIL import Image

    most = Image.MAX_IMAGE_PIXELS
    return lambda: setattr(Image, "MAX_IMAGE_PIXELS", most)


def _environment() -> Callable[[], None]:
    found = dict(os.environ)

    def undo() -> None:
        for name in os.environ.keys() - found.keys():
            del os.environ[name]
        os.environ.update(found)

    return undo


def _path() -> Callable[[], None]:
    found = list(sys.path)
    return lambda: sys.path.__setitem__(slice(None), found)


def _logging() -> Callable[[], None]:
    loggers = [logging.getLogger(name) for name in LOGGERS]
    found = [(logger, logger.level, list(logger.handlers), logger.propagate) for logger in loggers]

    def undo() -> None:
        for logger, level, handlers, propagate in found:
            logger.setLevel(level)
            logger.handlers[:] = handlers
            logger.propagate = propagate

    return undo
