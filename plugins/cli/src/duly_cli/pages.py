"""``--ops ADDRESS``: the pages of the package duly-ops, of one process or of several."""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from duly import plugins
from duly_cli.errors import USAGE, Refused

__all__ = ["in_front", "of_this_process", "see_that_it_is_loaded"]

_DISTRIBUTION: Final = "duly-ops"
_MODULE: Final = "duly_ops"
_VARIABLE: Final = "DULY_OPS"
_OF_SYSTEMD: Final = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC")


def of_this_process(address: str) -> None:
    """Have the schedulers that are made from now on serve there."""
    _see_that_it_is_installed()
    os.environ[_VARIABLE] = address


def see_that_it_is_loaded() -> None:
    """Called when the scheduler is made.

    Raises:
        Refused: it leaves the plugin out.
    """
    if os.environ.get(_VARIABLE) and f"{_MODULE}.plugin" not in sys.modules:
        raise Refused(
            f"the app's scheduler does not load {_DISTRIBUTION}, as its load_plugins= says: name "
            "it there, or leave --ops and DULY_OPS out and give the scheduler plugins=[Ops(...)]",
            USAGE,
        )


@contextmanager
def in_front(
    address: str, processes: int
) -> Iterator[tuple[Sequence[str], Mapping[int, Mapping[str, str | None]]]]:
    """The command of a process that serves the pages of several, and what these find set.

    They serve at sockets of their own, in a folder that nobody else can look into.
    """
    _see_that_it_is_installed()
    with tempfile.TemporaryDirectory(prefix="duly-ops-") as folder:
        command = [sys.executable, "-m", _MODULE, address, "--in", folder, "--of", str(processes)]
        silent: Mapping[str, str | None] = dict.fromkeys(_OF_SYSTEMD)  # one speaks for all
        yield (
            command,
            {
                each: {**silent, _VARIABLE: f"unix:{Path(folder) / f'{each}.sock'}"}
                for each in range(1, processes + 1)
            },
        )


def _see_that_it_is_installed() -> None:
    found = [each for each in plugins.installed() if each.distribution == _DISTRIBUTION]
    if not found:
        raise Refused(f"--ops needs the package {_DISTRIBUTION}: pip install 'duly[ops]'", USAGE)
    for each in found:
        if each.flaws:
            raise Refused(f"{_DISTRIBUTION} cannot be used: {'; '.join(each.flaws)}", USAGE)
