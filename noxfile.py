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
SITE = ROOT / "docs" / "_build" / "html"
DIST = ROOT / "dist"
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")

# What every Python runs: nothing that needs a server.
EVERYWHERE = [
    "tests/core",
    "tests/stores/test_memory*",
    "tests/stores/test_sqlite*",
    "tests/transports/test_local*",
]

# The kits and the tree.
KITS = [
    "tests/architecture",
    "tests/stores/test_kit*",
    "tests/stores/test_pl*",
    "tests/transports/test_kit*",
]

# What the coverage of the core is measured by.
COVERING = [*EVERYWHERE, *KITS]

# Of these, what takes long, depends on no Python and runs no line that nothing else runs.
LONG = [
    "tests/core/test_crash_points.py",
    "tests/core/test_engine_backlogs.py",
    "tests/core/test_engine_stranded.py",
    "tests/core/test_simulation.py",
    "tests/core/test_simulation_lines.py",
    "tests/core/test_small_worlds.py",
]

# And what else depends on none.
ONCE = ["tests/core/test_crash_cases.py", "tests/core/test_simulation_bugs.py"]

# What is run many times a day: all that is quick, and finds nearly all that goes wrong.
OFTEN = ["tests/core", "tests/stores/test_memory*", "tests/stores/test_sqlite.py"]

# What a release is tried by beside the oldest of what it asks for: some of all that leans on it.
OLDEST = [
    "tests/core/test_codecs.py",
    "tests/core/test_cron*",
    "tests/core/test_event*",
    "tests/core/test_hooks.py",
    "tests/core/test_log*",
    "tests/core/test_message.py",
    "tests/core/test_plugins.py",
    "tests/core/test_recurrence.py",
    "tests/core/test_telemetry*",
    "tests/stores/test_memory.py",
    "tests/stores/test_sqlite.py",
    "tests/plugins",
    "tests/cli/test_s*",
    "tests/history/test_keeping.py",
    "tests/ops/test_pages.py",
    "tests/web/test_messages.py",
]

CORES = min(4, os.cpu_count() or 1)
QUICK = ["-m", "not slow", "--dist", "worksteal"]
COMPUTING = [*QUICK, "-n", str(CORES)]
WAITING = [*QUICK, "-n", str(min(4, CORES + 1))]  # for servers, disks and programs

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.reuse_venv = "yes"
os.environ["UV_PYTHON_DOWNLOADS"] = "never"
# A program that tests start spends 3 s on compiling what it imports, where nobody keeps that.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


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
NEWEST = FOUND[-1]
# The whole on one Python and what needs no server on the newest: in between little differs.
TESTED = [f"tests-{version}" for version in dict.fromkeys([FULL, NEWEST])]
nox.options.sessions = ["lint", "types", "docs", *TESTED, "build"]


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
    session.run("mypy", *_packages())
    session.run("mypy", "--explicit-package-bases", *_others())


@nox.session(python=FULL)
def quick(session: nox.Session) -> None:
    """In some seconds: style, types of what changed, units, the memory and SQLite stores."""
    _install(session, "lint", "types", "tests", "demo")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy", *_packages())
    session.run("mypy", "--explicit-package-bases", *_others())
    session.run("pytest", *WAITING, *_but([*LONG, *ONCE]), *_paths(OFTEN), *session.posargs)


@nox.session(python=FOUND)
def tests(session: nox.Session) -> None:
    """What needs no server, and its coverage, on the newest Python; the rest on the oldest."""
    _install(session, "tests")
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    if session.python == NEWEST:  # where measuring costs next to nothing
        core = "ctrace" if session.python == "3.11" else "sysmon"
        session.run("coverage", "erase")
        session.run(
            *("coverage", "run", "-m", "pytest", *WAITING, *_but(LONG), *_paths(COVERING)),
            env={"COVERAGE_CORE": core},
        )
        session.run("coverage", "combine", "--quiet")
        session.run("coverage", "report")
    elif session.python == FULL:
        # Stores, transports and journeys run the whole core; its own cases, on the newest.
        session.run("pytest", *COMPUTING, *_paths(LONG))
        session.run("pytest", *WAITING, *_but([*COVERING, "tests/site"]))
    else:
        session.run("pytest", *WAITING, *_but([*LONG, *ONCE]), *_paths(EVERYWHERE))
    if session.python == FULL == NEWEST:
        session.run("pytest", *COMPUTING, *_paths(LONG))
        session.run("pytest", *WAITING, *_but([*COVERING, "tests/site"]))


@nox.session(python=FULL)
def docs(session: nox.Session) -> None:
    """The site, in docs/_build/html: no warning, and what it says that the code must bear out."""
    _install(session, "docs", "tests")
    shutil.rmtree(SITE, ignore_errors=True)
    session.run(
        "sphinx-build", "-W", "-n", "-q", "-j", str(CORES), "--keep-going", "docs", str(SITE)
    )
    session.run("pytest", "tests/site", *session.posargs, env={"DULY_SITE": str(SITE)})


@nox.session
def build(session: nox.Session) -> None:
    """Source distributions and wheels, each wheel tried in an environment that has nothing else."""
    session.install("build", "hatchling", "twine")
    built = Path(session.create_tmp()).resolve() / "dist"
    shutil.rmtree(built, ignore_errors=True)
    for each in DISTRIBUTIONS:
        session.run("python", "-m", "build", "--no-isolation", "--outdir", str(built), str(each))
    session.run("twine", "check", "--strict", *map(str, sorted(built.iterdir())))
    clean = Clean(session, built.parent / "clean")
    for each in DISTRIBUTIONS:
        name = _try(clean, each, built)
    # An extra finds its plugin, by the last one, whose driver is there.
    clean.pip("uninstall", "--quiet", name)
    both = f"duly[sqlite,{each.name}]"
    clean.pip("install", "--quiet", "--no-index", "--find-links", str(built), both)
    clean.run("-c", f"import duly_sqlite, {name.replace('-', '_')}")


@nox.session(python=FULL)
def release(session: nox.Session) -> None:
    """Build all distributions of ``-- 0.2.0`` into dist/ and try them; nothing is uploaded."""
    if session.venv_backend != "uv":
        session.error("the check against the oldest dependencies needs uv: pip install uv")
    session.install(*nox.project.dependency_groups(PROJECT, "release"))
    step = ("python", "-m", "releasing")
    if session.posargs:
        session.run(*step, "begin", *session.posargs)
    moment = (session.run(*step, "moment", silent=True) or "").strip()
    packages, again, about = DIST / "packages", DIST / "again", DIST / "about"
    shutil.rmtree(DIST, ignore_errors=True)
    for each in DISTRIBUTIONS:  # a wheel of what the source distribution holds, and of the tree
        for kinds, folder in (((), packages), (("--sdist", "--wheel"), again)):
            build = ("python", "-m", "build", "--no-isolation", *kinds, "--outdir", str(folder))
            session.run(*build, str(each), env={"SOURCE_DATE_EPOCH": moment}, silent=True)
    session.run(*step, "compare", str(packages), str(again))
    shutil.rmtree(again)
    session.run("twine", "check", "--strict", *map(str, sorted(packages.iterdir())))
    clean = Clean(session, Path(session.create_tmp()).resolve() / "clean")
    for each in DISTRIBUTIONS:
        _try(clean, each, packages)
        _try(clean, each, packages, oldest=True)
    about.mkdir()
    version = (ROOT / "VERSION").read_text().strip()
    whole = f"duly[{','.join(each.name for each in PLUGINS)}]=={version}"
    clean.make()  # by names, as no path of this machine belongs into the bill
    clean.pip("install", "--quiet", "--find-links", str(packages), whole)
    bill = str(about / f"duly-{version}.cdx.json")
    kind = ("--output-format", "JSON", "--spec-version", "1.6", "--output-reproducible")
    session.run("cyclonedx-py", "environment", *kind, "--validate", "-o", bill, clean.python)
    clean.make()
    oldest = clean.oldest(sorted(map(str, packages.glob("*.whl"))))
    tools = nox.project.dependency_groups(PROJECT, "oldest")
    clean.pip("install", "--quiet", "--constraints", oldest, *tools)
    clean.run("-m", "pytest", *WAITING, "-p", "no:cacheprovider", *_paths(OLDEST))
    sums = session.run(*step, "sums", str(DIST), silent=True) or ""
    (about / "SHA256SUMS").write_text(sums)
    session.log(f"dist/packages and dist/about hold duly {version}; nothing is signed or uploaded")


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


@nox.session(python=FULL)
def pictures(session: nox.Session) -> None:
    """The pictures of the pages in docs/pictures, by a real browser (chromium)."""
    _install(session, "tests")
    session.run("python", "-m", "tests.web.pages.pictures", *session.posargs)


def _try(clean: "Clean", each: Path, built: Path, *, oldest: bool = False) -> str:
    """Try a built distribution by itself, with the built core alone beside it; its name."""
    name: str = nox.project.load_toml(each / "pyproject.toml")["project"]["name"]
    wheels = [
        str(wheel)
        for stem in dict.fromkeys(["duly", name.replace("-", "_")])
        for wheel in built.glob(f"{stem}-*.whl")
    ]
    clean.make()
    if oldest:
        clean.oldest(wheels)
    else:
        clean.pip("install", "--quiet", *wheels)
    # Where nothing of this checkout can be imported by accident.
    clean.run("-I", str(ROOT / "tests" / "distributions" / "check.py"), name, within=built)
    return name


class Clean:
    """An environment that holds what is put into it and nothing else."""

    def __init__(self, session: nox.Session, folder: Path) -> None:
        self._session = session
        self._folder = folder
        self.python = str(folder / "bin" / "python")
        self._by_uv = session.venv_backend == "uv"  # which is ten times as fast

    def make(self) -> None:
        """Begin anew."""
        if self._by_uv:
            shutil.rmtree(self._folder, ignore_errors=True)
            python = str(Path(self._session.bin) / "python")
            command = ("uv", "venv", "--quiet", "--python", python, str(self._folder))
            self._session.run(*command, external=True)
        else:
            self._session.run("python", "-m", "venv", "--clear", str(self._folder))

    def pip(self, verb: str, *arguments: str) -> None:
        """Install or uninstall."""
        if self._by_uv:
            python = ("--python", self.python)
            self._session.run("uv", "pip", verb, *python, *arguments, external=True)
        else:
            yes = ("--yes",) if verb == "uninstall" else ()
            self.run("-m", "pip", verb, *yes, *arguments)

    def oldest(self, wheels: list[str]) -> str:
        """Install wheels with the oldest of what they ask for; the file that tells what it is."""
        asked, found = (self._folder / name for name in ("asked.txt", "found.txt"))
        here = self._folder.with_name("wheels")
        shutil.rmtree(here, ignore_errors=True)
        here.mkdir()
        for wheel in wheels:
            shutil.copy(wheel, here)
        lines = self._session.run("python", "-m", "releasing", "asked", str(here), silent=True)
        asked.write_text(lines or "")
        lowest = ("--quiet", "--resolution", "lowest-direct", "--requirements", str(asked))
        self.pip("install", *lowest, *wheels)
        freeze = ("uv", "pip", "freeze", "--python", self.python)
        lines = self._session.run(*freeze, external=True, silent=True) or ""
        found.write_text("\n".join(line for line in lines.splitlines() if "==" in line))
        return str(found)

    def run(self, *arguments: str, within: Path = ROOT) -> None:
        """Run its Python, in a folder."""
        with self._session.chdir(within):
            self._session.run(self.python, *arguments, external=True)


def _packages() -> list[str]:
    """Arguments of mypy: all that is installed."""
    packages = [folder.name for each in DISTRIBUTIONS for folder in (each / "src").iterdir()]
    return [part for name in packages for part in ("-p", name)]


def _others() -> list[str]:
    """What else there is to check."""
    return [
        name
        for name in ("noxfile.py", "docs", "tests", "examples", "benchmarks", "releasing")
        if _holds(name)
    ]


def _paths(patterns: list[str]) -> list[str]:
    """What there is of them."""
    return [str(path) for pattern in patterns for path in sorted(Path().glob(pattern))]


def _but(patterns: list[str]) -> list[str]:
    """Arguments of pytest that leave out what there is of them."""
    return [f"--ignore={path}" for path in _paths(patterns)]


def _holds(name: str) -> bool:
    """Whether there is any Python in a file or folder."""
    path = ROOT / name
    return path.is_file() or any(path.glob("**/*.py"))
