"""An environment for each peer, made by the benchmark."""

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs

__all__ = ["OURS", "PEERS", "NotInstalled", "Peer", "python_of", "version_of"]

FOLDER: Final = Path(__file__).with_name("programs")
_ROOT: Final = Path(__file__).parents[2]


class NotInstalled(Exception):
    """A peer that cannot be had here."""


@attrs.frozen
class Peer:
    """A queue: what to install for it, its program, its server, and what to know of it.

    ``settings`` are those that are not its defaults; ``environment`` is what its program reads.
    """

    name: str
    program: str
    server: str
    requirements: Sequence[str]
    settings: str = "defaults"
    environment: Mapping[str, str] = {}


def _ours(store: str) -> Sequence[str]:
    """What stands here, as it is."""
    return [part for name in ("core", f"plugins/{store}") for part in ("-e", str(_ROOT / name))]


def _duly(store: str, server: str) -> Iterator[Peer]:
    """As it comes, and as it is set where messages are many and cheap."""
    of = Peer(f"duly on {store}", "peer_duly.py", server, _ours(server), "1 process, defaults")
    yield of
    yield attrs.evolve(
        of, name=f"{of.name} (tuned)",
        settings="1 process, batch_size=500, stuck_duration=10 s",
        environment={"BATCH": "500", "STUCK": "10"},
    )  # fmt: skip


OURS: Final = (*_duly("Redis", "redis"), *_duly("PostgreSQL", "postgres"))
PEERS: Final = (
    Peer("arq", "peer_arq.py", "redis", ["arq"], "1 process, max_jobs=1000, keep_result=0"),
    Peer("SAQ", "peer_saq.py", "redis", ["saq[redis,hiredis]", "typing-extensions"],
         "1 process, concurrency=100; whole seconds"),
    Peer("taskiq", "peer_taskiq.py", "redis", ["taskiq", "taskiq-redis", "hiredis"],
         "1 scheduler that looks each second, 1 worker process, 1000 at once, streams"),
    Peer("procrastinate", "peer_procrastinate.py", "postgres", ["procrastinate[binary]"],
         "1 process, concurrency=100, deletes jobs that succeed"),
    Peer("pgqueuer", "peer_pgqueuer.py", "postgres", ["pgqueuer[asyncpg]"],
         "1 process, batch_size=100", {"BATCH": "100"}),
    Peer("pgqueuer (tuned)", "peer_pgqueuer.py", "postgres", ["pgqueuer[asyncpg]"],
         "1 process, batch_size=500", {"BATCH": "500"}),
    Peer("Celery", "peer_celery.py", "redis", ["celery[redis]", "hiredis"],
         "1 worker, 2 processes, no prefetch limit, no results"),
    Peer("dramatiq", "peer_dramatiq.py", "redis", ["dramatiq[redis]", "hiredis"],
         "1 process, 8 threads"),
    Peer("huey", "peer_huey.py", "redis", ["huey", "redis", "hiredis"],
         "1 process, 8 threads, no results"),
    Peer("RQ", "peer_rq.py", "redis", ["rq", "hiredis"],
         "1 simple worker (no fork a job) and its scheduler, no results; whole seconds"),
    Peer("APScheduler 3", "peer_apscheduler.py", "redis", ["apscheduler<4", "redis", "hiredis"],
         "1 process, 20 threads, looks at its store each second"),
)  # fmt: skip


async def python_of(peer: Peer, folder: Path) -> Path:
    """The Python that has a peer, in a folder for all of them.

    Raises:
        NotInstalled: it cannot be installed here.
    """
    name = f"{peer.program.removesuffix('.py')}_{peer.server}"
    place = Path.cwd() / folder / name
    python = place / "bin" / "python"
    complete = place / "complete"
    if not complete.exists() or complete.read_text() != str(peer.requirements):
        await _run(sys.executable, "-m", "venv", "--clear", str(place))
        if uv := shutil.which("uv"):
            install = [uv, "pip", "install", "--quiet", "--python", str(python)]
        else:
            install = [str(python), "-m", "pip", "install", "--quiet"]
        await _run(*install, *peer.requirements)
        complete.write_text(str(peer.requirements))
    return python


async def version_of(peer: Peer, python: Path) -> str:
    """The version that its environment has."""
    name = re.split(r"[\[<]", next(each for each in peer.requirements if each != "-e"))[0]
    name = "duly" if peer in OURS else name
    ask = f"from importlib.metadata import version; print(version({name!r}))"
    return (await _run(str(python), "-c", ask)).strip()


async def _run(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
    )  # fmt: skip
    said, _ = await process.communicate()
    if process.returncode:
        last = said.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
        raise NotInstalled(last[0][:200])
    return said.decode(errors="replace")
