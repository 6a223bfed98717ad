"""What is wrong with plugins that are installed."""

import re
import subprocess
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import attrs

from duly.plugins import Plugin, flaws_of, installed
from duly.url import mask

__all__ = ["Flaw", "flaws_of_installed", "pin_of", "worded"]

_SLOW: Final = 0.3  # seconds of a processor
_REQUIREMENT: Final = re.compile(r"\s*duly(?![\w.-])\s*(?:\[[^\]]*\]\s*)?\(?(?P<version>[^;]*)")
_TIMED: Final = """
import importlib, sys, time
import duly.client, duly.scheduler
begun = time.process_time()
importlib.import_module(sys.argv[1])
print(time.process_time() - begun)
"""


@attrs.frozen
class Flaw:
    """One finding: ``about`` is a word for programs."""

    plugin: str
    about: str
    text: str


def flaws_of_installed() -> Sequence[Flaw]:
    """Of all that are installed, by their names."""
    return [flaw for each in installed() for flaw in _of(each)]


def _of(plugin: Plugin) -> Iterable[Flaw]:
    name = f"{plugin.name} ({plugin.distribution} {plugin.version})"
    for text in plugin.flaws:
        yield Flaw(name, "entry point", text)
    distribution = plugin.entry_point.dist
    if distribution is not None and (pin := pin_of(distribution.requires or ())):
        yield Flaw(name, "version", pin)
    try:
        loaded = plugin.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # of somebody else's code
        yield Flaw(name, "import", f"it cannot be imported: {worded(error)}")
        return
    told = {kind: getattr(plugin, kind) for kind in ("stores", "transports", "hooks")}
    for text in flaws_of(loaded, **told):
        yield Flaw(name, "hooks", text)
    if plugin.is_always_imported:
        yield from _slowness(name, plugin.entry_point.module, declares=plugin.declares)


def pin_of(requires: Collection[str]) -> str | None:
    """What is wrong with how a distribution asks for duly."""
    asked = [found for each in requires if (found := _REQUIREMENT.match(each))]
    if not asked:
        return "it does not require duly: add duly~=0.1 to its dependencies"
    if any("~=" in each["version"] or "<" in each["version"] for each in asked):
        return None
    return (
        f"it requires {asked[0][0].strip()}, which later versions meet that it may not work with: "
        "require duly~=0.1"
    )


def worded(error: BaseException) -> str:
    """An error in one line, without secrets."""
    return mask(" ".join(f"{type(error).__name__}: {error}".split()))


def _slowness(name: str, module: str, *, declares: bool) -> Iterable[Flaw]:
    """Where each client imports it, it must be quick; the best of three counts."""
    best = _SLOW
    for _ in range(3):
        done = subprocess.run(  # noqa: S603  # this very Python, and the name of a module
            [sys.executable, "-c", _TIMED, module], capture_output=True, text=True, check=False
        )
        try:
            best = float(done.stdout.split()[-1])
        except (ValueError, IndexError):  # it prints something, or ends the process
            return
        if best <= _SLOW:
            return
    helps = (
        "import what is slow in the functions that need it"
        if declares
        else "declare what it offers by further entry points, so that it is imported when needed"
    )
    yield Flaw(
        name, "slow", f"each client imports it, which takes {best:.1f} s of a processor: {helps}"
    )
