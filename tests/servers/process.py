"""A server of the tests' own: on a free port, in a temporary folder, ended by its process id."""

import contextlib
import functools
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

PATIENCE: Final = 50.0  # seconds until a server that does not come up is given up
FIRST_PORT: Final = 10_240
CLIENTS: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_given: Final[set[int]] = set()


def free_port() -> int:
    """A port of the loopback that nobody uses, and that no other call of this process has given.

    Not one that the system gives to clients: while a server is down between its kill and its
    restart, a connection from anywhere could take its port from it.
    """
    while True:
        port = random.SystemRandom().randrange(FIRST_PORT, first_of_clients())
        with contextlib.suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port


@functools.cache
def first_of_clients() -> int:
    """The first of the ports that the system itself gives to those who connect."""
    with contextlib.suppress(OSError, ValueError):
        return max(FIRST_PORT + 1000, int(CLIENTS.read_text().split()[0]))
    return 32_768  # lower than that of any other system: BSD and macOS begin at 49,152


def listens(port: int) -> bool:
    """Whether anybody accepts connections on a port of the loopback."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def program(
    *names: str, folders: Sequence[Path] = (), apart_from: Sequence[Path] = ()
) -> str | None:
    """The first of these programs that is on the PATH or in a folder; None when none is."""
    named = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/sbin", *map(str, folders)]
    places = os.pathsep.join(each for each in named if Path(each) not in apart_from)
    return next((found for name in names if (found := shutil.which(name, path=places))), None)


class Server:
    """A process that serves; a subclass says how it is started and when it is ready."""

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="duly-"))
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str | Path]:
        """The program and its arguments."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """What its environment has beyond that of the tests."""
        return {}

    def user(self) -> str | None:
        """Who runs it, where root may not."""
        return None

    def ready(self) -> bool:
        """Whether it serves by now."""
        return listens(self.port)

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether its process runs, frozen or not."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start it, also once more, and return when it serves."""
        log = self.folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*map(str, self.command())],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.folder,
                env={**os.environ, **self.environment()}, user=self.user(),
                start_new_session=True,
            )  # fmt: skip
        wait_until(self.ready, lambda: self._trouble(log))

    def kill(self) -> None:
        """End it without warning, its children too."""
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(PATIENCE)

    def freeze(self) -> None:
        """Stop it in its tracks, its children too, as a host does that hangs."""
        self._signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)  # until then it may still answer

    def thaw(self) -> None:
        """Let it go on as if nothing had happened."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """End it, however it is doing, and forget what it kept."""
        if self.alive:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)  # start_new_session: its pid is that of its group

    def _trouble(self, log: Path) -> str | None:
        assert self._process is not None
        if self._process.poll() is None:
            return None
        return (
            f"it ended with {self._process.returncode}: {log.read_text(errors='replace')[-2000:]}"
        )


def wait_until(holds: Callable[[], bool], trouble: Callable[[], str | None] = lambda: None) -> None:
    """Return when it holds; an AssertionError when there is trouble or patience is at an end."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert (wrong := trouble()) is None, wrong
        assert time.monotonic() < end, "a server is not ready in time"
        time.sleep(0.02)
