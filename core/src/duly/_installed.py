"""Which plugins are installed, and which of them are to be loaded; no code of theirs runs."""

import re
from collections.abc import Collection, Mapping
from importlib.metadata import EntryPoint, entry_points

from duly.errors import InvalidArgument, PluginError
from duly.hookspecs import PROJECT

__all__ = ["installed_plugins", "wanted_plugins"]


def installed_plugins() -> dict[str, EntryPoint]:
    """The entry points by a name that says whose they are: ``sqlite (duly-sqlite 0.1.0)``."""
    found = {}
    for entry in entry_points(group=PROJECT):
        owner = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.module
        found[f"{entry.name} ({owner})"] = entry
    return dict(sorted(found.items()))


def wanted_plugins(
    installed: Mapping[str, EntryPoint], load: bool | Collection[str]
) -> Collection[str]:
    """The names of those to load: all, none, or those called by a name in ``load``.

    Raises:
        InvalidArgument: ``load`` is of the wrong type.
        PluginError: a name that nothing installed has.
    """
    if isinstance(load, bool):
        return list(installed) if load else []
    if isinstance(load, str | bytes) or not isinstance(load, Collection):
        raise InvalidArgument(f"load_plugins must be True, False or a list of names, not {load!r}")
    wanted = set()
    for asked in load:
        names = {name for name, entry in installed.items() if _is_called(entry, asked)}
        if not names:
            raise PluginError(
                f"load_plugins names {asked!r}, which is not installed; "
                f"installed are: {', '.join(installed) or 'none'}"
            )
        wanted |= names
    return sorted(wanted)


def _is_called(entry: EntryPoint, name: object) -> bool:
    if not isinstance(name, str):
        raise InvalidArgument(f"load_plugins must hold names, not {name!r}")
    names = [entry.name, entry.dist.name] if entry.dist else [entry.name]
    return _normal(name) in map(_normal, names)


def _normal(name: str) -> str:
    """As package indexes compare names."""
    return re.sub(r"[-_.]+", "-", name).lower()
