"""All checks of the project: plain ``nox`` runs what a change must pass."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).parent
CORE = Path("core")
PLUGINS = sorted(file.parent for file in Path("plugins").glob("**/pyproject.toml"))
DISTRIBUTIONS = [CORE, *PLUGINS]
SUPPORTED = ["3.11", "3.12", "3.13", "3.14"]
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")

# What every Python runs: nothing that needs a server.
EVERYWHERE = [
    "tests/core",
    "tests/stores/test_memory*",
    "tests/stores/test_sqlite*",
    "tests/transports/test_local*",
]

# What the coverage of the core is measured by; the rest runs without, which is faster.
COVERING = [
    *EVERYWHERE,
    "tests/architecture",
    "tests/stores/test_kit*",
    "tests/stores/test_pl*",
    "tests/transports/test_kit*",
]

# On as many cores as there are, each with servers of its own.
SIDE_BY_SIDE = ["-m", "not slow", "-n", "auto", "--maxprocesses", "4", "--dist", "worksteal"]

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "tests", "build"]
os.environ["UV_PYTHON_DOWNLOADS"] = "never"


def _found() -> list[str]:
    """The supported Pythons that this machine has, so that none is missed where it has not."""
    if "PYENV_VERSION" not in os.environ and shutil.which("pyenv"):  # its shims hide all but one
        listed = subprocess.run(
            ["pyenv", "versions", "--bare"],  # noqa: S607  # it is found wherever the user has it
            capture_output=True, text=True, check=False,
        ).stdout.split()  # fmt: skip
        others = [version for version in listed if version.rpartition(".")[0] in SUPPORTED]
        running = ".".join(map(str, sys.version_info[:3]))
        if running in others:
            os.environ["PYENV_VERSION"] = ":".join(dict.fromkeys([running, *reversed(others)]))
    return [version for version in SUPPORTED if _runs(version)] or [RUNNING]


def _runs(version: str) -> bool:
    if version == RUNNING:
        return True
    program = shutil.which(f"python{version}")
    if program is None:
        return False
    # A shim may be there without what it stands for.
    return subprocess.run([program, "-c", ""], capture_output=True, check=False).returncode == 0


FOUND = _found()
FULL = "3.11" if "3.11" in FOUND else FOUND[0]


def _install(session: nox.Session, *groups: str) -> None:
    """All distributions as they stand here, and what some dependency groups list."""
    ours = [f"{folder}[testing]" if folder == CORE else str(folder) for folder in DISTRIBUTIONS]
    listed = nox.project.dependency_groups(PROJECT, *groups)
    session.install(*[part for each in ours for part in ("-e", f"./{each}")], *listed)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and likely mistakes."""
    session.install(*nox.project.dependency_groups(PROJECT, "lint"))
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Types of everything, strictly."""
    _install(session, "types", "tests", "demo")
    packages = [folder.name for each in DISTRIBUTIONS for folder in (each / "src").iterdir()]
    session.run("mypy", *[part for name in packages for part in ("-p", name)])
    others = [name for name in ("noxfile.py", "tests", "examples", "benchmarks") if _holds(name)]
    session.run("mypy", "--explicit-package-bases", *others)


@nox.session(python=FOUND)
def tests(session: nox.Session) -> None:
    """The whole suite and its coverage on one Python, what needs no server on the others."""
    _install(session, "tests")
    if session.posargs:
        session.run("pytest", *session.posargs)
    elif session.python != FULL:
        session.run("pytest", *SIDE_BY_SIDE, *_paths(EVERYWHERE))
    else:
        covering = _paths(COVERING)
        session.run("coverage", "erase")
        session.run("coverage", "run", "-m", "pytest", *SIDE_BY_SIDE, *covering)
        session.run("coverage", "combine", "--quiet")
        session.run("coverage", "report")
        session.run("pytest", *SIDE_BY_SIDE, *(f"--ignore={path}" for path in covering))


@nox.session
@nox.parametrize("folder", [nox.param(each, id=each.name) for each in DISTRIBUTIONS])
def build(session: nox.Session, folder: Path) -> None:
    """Source distribution and wheel, the wheel tried in an environment that has nothing else."""
    session.install("build", "hatchling")
    built = Path(session.create_tmp()).resolve() / "dist"
    shutil.rmtree(built, ignore_errors=True)
    for each in dict.fromkeys([CORE, folder]):
        session.run("python", "-m", "build", "--no-isolation", "--outdir", str(built), str(each))
    clean = built.parent / "clean"
    session.run("python", "-m", "venv", "--clear", str(clean))
    python = str(clean / "bin" / "python")
    wheels = map(str, built.glob("*.whl"))
    session.run(python, "-m", "pip", "install", "--quiet", *wheels, external=True)
    name = nox.project.load_toml(folder / "pyproject.toml")["project"]["name"]
    check = str(ROOT / "tests" / "distributions" / "check.py")
    with session.chdir(built):  # where nothing of this checkout can be imported by accident
        session.run(python, "-I", check, name, external=True)


@nox.session
def demo(session: nox.Session) -> None:
    """Hundreds of messages, two schedulers, one of them killed, nothing lost."""
    session.install("./core", "./plugins/sqlite", *nox.project.dependency_groups(PROJECT, "demo"))
    session.run("python", "examples/demo.py", *session.posargs)


@nox.session(python=FULL)
def soak(session: nox.Session) -> None:
    """The tests that take long."""
    _install(session, "tests")
    session.run("pytest", "-m", "slow", "--timeout", "1800", *session.posargs)


@nox.session(python=FULL)
def bench(session: nox.Session) -> None:
    """Rates and lateness beside bare ceilings; with ``-- --full`` beside Python's task queues."""
    _install(session, "bench", "tests")
    session.run("python", "-m", "benchmarks", *session.posargs)


def _paths(patterns: list[str]) -> list[str]:
    """What there is of them."""
    return [str(path) for pattern in patterns for path in sorted(Path().glob(pattern))]


def _holds(name: str) -> bool:
    """Whether there is any Python in a file or folder."""
    path = ROOT / name
    return path.is_file() or any(path.glob("**/*.py"))
