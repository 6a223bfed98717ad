"""Try an installed distribution in an environment that holds nothing else of ours.

Called with its name, in the folder that holds what was built, by the Python of that environment.
"""

import asyncio
import importlib
import pkgutil
import re
import sys
import tarfile
import tempfile
import zipfile
from importlib.metadata import PackageNotFoundError, distribution, requires
from pathlib import Path

import duly

# What our plugins stand on, and where a URL shows that they do what they say.
DRIVERS = [
    "aio-pika",
    "aiohttp",
    "aiokafka",
    "aiomqtt",
    "asyncpg",
    "motor",
    "msgspec",
    "nats-py",
    "opentelemetry-sdk",
    "prometheus-client",
    "psycopg",
    "pydantic",
    "pymongo",
    "redis",
    "sqlalchemy",
    "uvicorn",
]
FRAMEWORKS = ["hypothesis", "pytest"]


def built(name: str) -> None:
    """Both kinds of distribution hold the package, its licence and the mark of its types."""
    stem = name.replace("-", "_")
    (wheel,) = Path().glob(f"{stem}-*.whl")
    (source,) = Path().glob(f"{stem}-*.tar.gz")
    in_wheel = zipfile.ZipFile(wheel).namelist()
    with tarfile.open(source) as archive:
        in_source = [file.partition("/")[2] for file in archive.getnames()]
    assert f"{stem}/py.typed" in in_wheel, in_wheel
    assert f"src/{stem}/py.typed" in in_source, in_source
    assert any(file.endswith("licenses/LICENSE") for file in in_wheel), in_wheel
    assert {"LICENSE", "README.md", "pyproject.toml"} <= {*in_source}, in_source
    kept = re.compile(
        rf"src/{stem}/.*|LICENSE|README\.md|pyproject\.toml|PKG-INFO|\.gitignore|src|src/{stem}|"
    )
    assert all(kept.fullmatch(file) for file in in_source), in_source


def alone(name: str) -> None:
    """Only what it asks for is installed beside it."""
    asked = {re.split(r"[^\w.-]", each)[0].lower() for each in requires(name) or []}
    for other in [*DRIVERS, *FRAMEWORKS]:
        if other in asked and other in DRIVERS:
            distribution(other)
            continue
        try:
            distribution(other)
        except PackageNotFoundError:
            continue
        raise AssertionError(f"{other} is installed although {name} does not ask for it")


# Where a host alone does not do.
URLS = {
    "sqlite": "sqlite:///x.db",
    "redis+sentinel": "redis+sentinel://localhost/main",
    "rediss+sentinel": "rediss+sentinel://localhost/main",
}


def core() -> None:
    """Core alone tells what to install for more."""
    duly.Client("memory://")
    for url, missing in {
        "sqlite:///x.db": "duly-sqlite",
        "redis://u:secret@h": "duly-redis",
    }.items():
        try:
            duly.Client(url)
        except duly.UnknownScheme as error:
            assert f"pip install {missing}" in str(error), error
            assert "secret" not in str(error), error
        else:
            raise AssertionError(f"{url} was taken without {missing}")


def plugin(name: str) -> None:
    """A plugin is found by its entry point, what it offers can be made, and no more is imported."""
    every = distribution(name).entry_points
    entries = every.select(group="duly")
    assert entries, f"{name} has no entry point in the group duly"
    duly.Client("memory://")
    duly.Scheduler("memory://", "local://")
    for entry in entries:
        assert entry.module not in sys.modules, f"{entry.module} is imported though nobody needs it"
        module = entry.load()
        found: list[str] = []
        for kind in ("stores", "transports"):
            told = {each.name for each in every.select(group=f"duly.{kind}")}
            assert all(each.value == entry.value for each in every.select(group=f"duly.{kind}"))
            schemes = [*getattr(module, f"duly_{kind}", dict)()]
            assert told == {*schemes}, f"{name} offers {schemes}, its entry points tell {told}"
            for scheme in schemes:
                url = URLS.get(scheme, f"{scheme}://localhost")
                if kind == "stores":
                    duly.Client(url)
                else:
                    duly.Scheduler("memory://", url)
            found += schemes
        hooks = {each.name for each in every.select(group="duly.hooks")}
        assert all(callable(getattr(module, each)) for each in hooks), (
            f"{name} lacks one of {hooks}"
        )
        found += sorted(hooks)
        assert found, f"{entry.value} offers nothing"
        print(f"{name}: {', '.join(found)}")


def whole(name: str) -> None:
    """Each module can be imported beside the drivers that are there, were they the oldest."""
    package = importlib.import_module(name.replace("-", "_"))
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.startswith("duly.testing") and not module.name.endswith("__main__"):
            importlib.import_module(module.name)


async def deliver(url: str) -> None:
    """A message and a series are kept, come due and are delivered."""
    came: list[str] = []
    all_came = asyncio.Event()

    async def take(envelope: duly.Envelope) -> None:
        came.append(envelope.event_name)
        if {*came} == {"once", "often"}:
            all_came.set()

    series = duly.Cron("* * * * * *", timezone="UTC")
    async with duly.Scheduler(url, take) as scheduler:
        await scheduler.schedule(duly.Message("once", b"1", scheduled_at=duly.after(seconds=0)))
        await scheduler.schedule(duly.Message("often", b"2", recurrence=series))
        async with scheduler.running():
            await asyncio.wait_for(all_came.wait(), 30)


if __name__ == "__main__":
    given = sys.argv[1]
    built(given)
    alone(given)
    if given == "duly":
        core()
        asyncio.run(deliver("memory://"))
    else:
        plugin(given)
    if given == "duly-sqlite":
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(deliver(f"sqlite:///{folder}/x.db"))
    whole(given)
    print(f"{given} {distribution(given).version} works by itself")
