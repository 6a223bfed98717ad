"""What may know what: the direction of imports, and what every module looks like."""

import ast
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
import textwrap
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from releasing.changelog import first
from releasing.versions import current, disagreements
from tests.servers.finding import lacking

import duly
import duly_history
from duly._plugins.implemented import NAMED

ROOT = Path(__file__).parents[2]
CORE = ROOT / "core" / "src" / "duly"
PLUGINS = sorted(file.parent for file in (ROOT / "plugins").glob("**/pyproject.toml"))
SOURCES = sorted(
    file
    for folder in ("core", "plugins", "tests", "examples")
    for file in (ROOT / folder).rglob("*.py")
)

# From the bottom to the top, wings and the modules at the door: each imports what stands further down
# or beside it, never what stands further up, for types either.
FLOORS = [
    {
        "_values", "codec", "errors", "health", "hookspecs", "logging", "message", "moment", "record",
        "recovery", "reading", "recurrence", "store", "template", "tls", "transport", "url", "words",
    },
    {"_telemetry"},
    {"_plugins"},
    {"_events", "plugins"},
    {"event"},
    {"_local", "_memory"},
    {"local", "memory"},
    {"_caller"},
    {"client", "notebook"},
    {"_engine"},
    {"scheduler"},
    {"sync"},
]  # fmt: skip
SHIPPED = [file for file in SOURCES if "src" in file.relative_to(ROOT).parts]
EVALUATING = {
    "builtins",
    "cloudpickle",
    "code",
    "dill",
    "jsonpickle",
    "marshal",
    "pickle",
    "shelve",
}
DEPENDENCIES = {"attrs", "cronsim", "opentelemetry", "pluggy", "structlog", "tzdata"}
ABOVE_HISTORY = {"duly_cli", "duly_web"}  # may use what is public of it, where it is installed
FOR_TESTING = {"hypothesis", "pytest", "pytest_asyncio"}
PUBLIC = sorted(
    info.name
    for info in pkgutil.walk_packages(duly.__path__, "duly.")
    if not any(part.startswith("_") for part in info.name.split("."))
    and info.name.count(".") <= (2 if info.name.startswith("duly.testing") else 1)
)


def imported(file: Path) -> set[str]:
    """The modules that a file imports, in full, and what it takes from them."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def rooms(file: Path) -> set[str]:
    """The wings and modules of core that a file imports from, by their name next to ``duly``."""
    names = {name.split(".")[1] for name in imported(file) if name.startswith("duly.")}
    return {name for name in names if (CORE / name).is_dir() or (CORE / f"{name}.py").is_file()}


def files_imported(file: Path) -> set[Path]:
    """The modules of core that a file imports."""
    paths = [CORE.joinpath(*name.split(".")[1:]) for name in imported(file) if name[:5] == "duly."]
    found = {path.with_suffix(".py") for each in paths for path in (each, each.parent)}
    return {path for path in found if path.is_file()} - {file}


def room(file: Path) -> str:
    return file.relative_to(CORE).parts[0].removesuffix(".py")


def of_core() -> list[Path]:
    """The modules of core without its front page and the kit."""
    return [
        file for file in sorted(CORE.rglob("*.py")) if room(file) not in ("__init__", "testing")
    ]


def unmeasured() -> dict[str, str]:
    """An environment in which coverage does not begin, which imports things of its own."""
    return {name: value for name, value in os.environ.items() if "COVERAGE" not in name}


class TestDirection:
    def test_every_room_has_its_floor(self):
        places = [name for floor in FLOORS for name in floor]
        assert len(places) == len(set(places))
        assert {room(file) for file in of_core()} == set(places)

    @pytest.mark.parametrize("file", of_core(), ids=lambda file: str(file.relative_to(CORE)))
    def test_a_module_imports_nothing_from_above(self, file):
        height = {name: number for number, floor in enumerate(FLOORS) for name in floor}
        assert not {name for name in rooms(file) if height[name] > height[room(file)]}

    def test_nothing_goes_in_circles(self):
        TopologicalSorter({file: files_imported(file) for file in of_core()}).prepare()

    def test_only_the_kit_knows_the_kit(self):
        for file in [*of_core(), CORE / "__init__.py"]:
            assert "testing" not in rooms(file), file

    def test_the_kit_knows_only_what_is_public(self):
        for file in CORE.glob("testing/**/*.py"):
            assert not {name for name in rooms(file) if name.startswith("_")}, file


class TestDependencies:
    def test_core_imports_what_it_asks_for_and_nothing_else(self):
        asked = tomllib.loads((ROOT / "core/pyproject.toml").read_text())["project"]["dependencies"]
        assert {re.split(r"[^\w-]", each)[0] for each in asked} == {
            name.replace("opentelemetry", "opentelemetry-api") for name in DEPENDENCIES
        }
        for file in of_core():
            others = {name.split(".")[0] for name in imported(file)} - sys.stdlib_module_names
            assert others <= DEPENDENCIES | {"duly"}, file

    def test_the_kit_may_use_what_its_extra_asks_for(self):
        for file in CORE.glob("testing/**/*.py"):
            others = {name.split(".")[0] for name in imported(file)} - sys.stdlib_module_names
            assert others <= DEPENDENCIES | FOR_TESTING | {"duly"}, file

    def test_importing_duly_imports_no_test_tool(self):
        code = "import duly, sys; print(*sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True, text=True, check=True, env=unmeasured(),
        )  # fmt: skip
        assert not FOR_TESTING & set(done.stdout.split())
        assert "asyncpg" not in done.stdout
        assert "sqlite3" not in done.stdout.split()

    def test_each_plugin_is_an_extra_of_the_core(self):
        extras = tomllib.loads((ROOT / "core/pyproject.toml").read_text())["project"][
            "optional-dependencies"
        ]
        asked = {
            folder.name: [tomllib.loads((folder / "pyproject.toml").read_text())["project"]["name"]]
            for folder in PLUGINS
        }
        del extras["testing"]
        assert {name: [each.partition("~")[0] for each in extras[name]] for name in extras} == asked

    @pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
    def test_a_plugin_knows_the_public_modules_alone(self, folder):
        asked = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["dependencies"]
        drivers = {re.split(r"[^\w-]", each)[0] for each in asked}
        (package,) = (path.name for path in (folder / "src").iterdir() if path.is_dir())
        assert "duly" in drivers
        for file in folder.glob("src/**/*.py"):
            names = imported(file)
            assert not {name for name in names if name.startswith(("duly._", "duly.testing"))}, file
            assert all(name == "duly" or name in PUBLIC or name.rpartition(".")[0] in [*PUBLIC, "duly"]
                       for name in names if name.split(".")[0] == "duly"), file  # fmt: skip
            ours = {name for name in names if name.startswith("duly_")}
            others = {name for name in ours if name.split(".")[0] != package}
            allowed = {f"duly_history.{name}" for name in duly_history.__all__}
            assert others <= (allowed if package in ABOVE_HISTORY else set()), file

    def test_what_is_installed_is_imported_where_it_is_needed_and_nowhere_else(self):
        code = """
            import sys
            import duly, duly.sync
            duly.Client("memory://")
            duly.Scheduler("memory://", print)
            duly.Scheduler("memory://", "local://")
            with duly.sync.Scheduler("memory://", print) as scheduler, scheduler.running():
                assert "plugin" not in scheduler.health().reason
            print(*sys.modules)
            duly.Client("sqlite:///orders.db")
            print(*(name for name in sys.modules if name.startswith("duly_")))
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            capture_output=True, text=True, check=True, env=unmeasured(),
        )  # fmt: skip
        at_first, then = (set(line.split()) for line in done.stdout.splitlines())
        drivers = {
            "aio_pika",
            "aiohttp",
            "aiokafka",
            "asyncpg",
            "motor",
            "nats",
            "psycopg",
            "pydantic",
            "prometheus_client",
            "pymongo",
            "redis",
            "uvicorn",
        }
        assert not (drivers | {"sqlalchemy", "sqlite3", "msgspec"}) & at_first
        assert not {name for name in at_first if name.startswith("duly_")}
        assert {name.partition(".")[0] for name in then} == {"duly_sqlite"}

    @pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
    def test_entry_points_tell_what_a_plugin_offers(self, folder):
        groups = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["entry-points"]
        (reference,) = set(groups["duly"].values())
        plugin = importlib.import_module(reference)
        for kind in ("stores", "transports"):
            offered = getattr(plugin, f"duly_{kind}", dict)()
            assert groups.get(f"duly.{kind}", {}) == dict.fromkeys(offered, reference)
        hooks = [name for name in vars(plugin) if name in NAMED]
        assert groups.get("duly.hooks", {}) == dict.fromkeys(hooks, reference)

    @pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
    def test_only_the_plugin_module_knows_hooks(self, folder):
        for file in folder.glob("src/**/*.py"):
            assert file.name == "plugin.py" or "hookimpl" not in file.read_text(), file

    def test_all_have_the_version_of_the_file_version(self):
        """``python -m releasing align`` brings them in line."""
        assert not disagreements(ROOT)
        newest = first((ROOT / "CHANGELOG.md").read_text())
        assert newest.day is None or newest.version == str(current(ROOT))


class TestModules:
    @pytest.mark.parametrize("name", ["duly", *PUBLIC])
    def test_what_is_public_is_listed_in_order(self, name):
        module = importlib.import_module(name)
        listed = getattr(module, "__all__", [])
        assert list(listed) == sorted(set(listed), key=_as_ruff_sorts)
        assert all(hasattr(module, each) for each in listed)
        own = {
            each
            for each, value in vars(module).items()
            if getattr(value, "__module__", None) == name and hasattr(value, "__qualname__")
        }
        # Hooks are found by their names, not imported.
        assert {each for each in own if not each.startswith(("_", "duly_"))} <= set(listed)

    def test_the_front_page_holds_what_it_lists_and_no_more(self):
        public = {
            name
            for name, value in vars(duly).items()
            if not name.startswith("_") and not inspect.ismodule(value)
        }
        assert public == set(duly.__all__)

    @pytest.mark.parametrize(
        "file",
        [file for file in SOURCES if ROOT / "tests" not in file.parents],
        ids=lambda file: str(file.relative_to(ROOT)),
    )
    def test_a_module_can_be_read_in_one_sitting(self, file):
        lines = file.read_text().count("\n")
        assert lines <= 250

    def test_every_package_is_typed(self):
        for package in (
            CORE,
            *(path for folder in PLUGINS for path in (folder / "src").iterdir() if path.is_dir()),
        ):
            assert (package / "py.typed").is_file()

    @pytest.mark.parametrize("file", SHIPPED, ids=lambda file: str(file.relative_to(ROOT)))
    def test_nothing_is_unpickled_or_evaluated(self, file):
        called = {
            node.func.id
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not called & {"eval", "exec", "compile", "__import__"}
        assert not {name.split(".")[0] for name in imported(file)} & EVALUATING

    def test_every_exception_to_a_rule_carries_its_reason(self):
        exception = re.compile(
            r"#\s*(?:noqa(?!\w)(?::\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*)?|type:\s*ignore(?:\[[^]]*\])?)(.*)"
        )
        for file in [*SOURCES, ROOT / "noxfile.py"]:
            for number, line in enumerate(file.read_text().splitlines(), 1):
                for rest in exception.findall(line):
                    assert re.match(r"\s*#\s*\w", rest), f"{file}:{number}"


def _as_ruff_sorts(name: str) -> tuple[int, str]:
    """Constants, then classes, then all else."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


@pytest.fixture(scope="module")
def files() -> list[Path]:
    """What is, or would be, in the repository."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        lacking("git", "this is no checkout")
    return [path for path in map(ROOT.joinpath, done.stdout.splitlines()) if path.is_file()]


class TestRepository:
    def test_no_lock_file_is_kept(self, files):
        names = {"uv.lock", "poetry.lock", "Pipfile.lock", "pdm.lock", "package-lock.json"}
        assert not [file for file in files if file.name in names]

    def test_nothing_of_one_machine_is_kept(self, files):
        paths = re.compile(
            rb"/(?:work|root|home)/\w|/tmp/dev|\.pyenv/versions|/opt/(?:wheels|pypi)"
        )
        hosts = re.compile(
            rb"(?:files\.python" + rb"hosted|pypi\." + rb"org|registry\.npm" + rb"js)"
        )
        for file in files:
            if file != Path(__file__):
                text = file.read_bytes()
                assert not paths.search(text), file
                assert not hosts.search(text), file

    def test_every_distribution_has_the_licence(self, files):
        texts = {(folder / "LICENSE").read_text() for folder in (ROOT, ROOT / "core", *PLUGINS)}
        assert len(texts) == 1
