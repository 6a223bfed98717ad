"""Which plugins are installed, what they say they offer, and which of them are to be loaded.

No code of theirs runs here. An entry point in the group ``duly`` names a plugin. What it offers
may stand beside it: entry points of the same distribution, with the same object reference, in
the groups ``duly.stores`` and ``duly.transports``, named by URL schemes (an underscore may stand
for a plus sign, which some build tools do not take), and in ``duly.hooks``, named by hooks. Those
in ``duly.variables`` name environment variables without one of which its hooks do nothing.
"""

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points, version
from typing import Final

import attrs

from duly._plugins.implemented import NAMED, meant
from duly._plugins.requirements import unmet
from duly._plugins.schemes import is_scheme
from duly._telemetry.logging import get_logger
from duly._values.plain import shown, text_of
from duly._values.wording import worded
from duly.errors import InvalidArgument, PluginError
from duly.hookspecs import PROJECT

__all__ = ["Installed", "installed_plugins", "wanted_plugins"]

_STORES: Final = f"{PROJECT}.stores"
_TRANSPORTS: Final = f"{PROJECT}.transports"
_HOOKS: Final = f"{PROJECT}.hooks"
_VARIABLES: Final = f"{PROJECT}.variables"
_GROUPS: Final = (PROJECT, _STORES, _TRANSPORTS, _HOOKS, _VARIABLES)

log = get_logger()


@attrs.frozen(kw_only=True, eq=False)
class Installed:
    """A plugin as it is known before it is imported.

    ``name`` includes its distribution: ``sqlite (duly-sqlite 0.1.0)``; ``called`` are the names
    that ``load_plugins`` may use. ``stores`` and ``transports`` are schemes, ``hooks`` the other
    hooks that its entry points declare. ``variables`` are those of the environment one of which has
    to be set, if there are any, for the hooks to be called. ``flaw`` says why it cannot be used at
    all.
    """

    name: str
    distribution: str
    version: str
    called: Collection[str]
    entry: EntryPoint
    stores: frozenset[str]
    transports: frozenset[str]
    hooks: frozenset[str]
    variables: frozenset[str]
    flaw: str | None

    @property
    def tells(self) -> bool:
        """Whether its entry points tell what it offers, so that it is imported only when needed."""
        return bool(self.stores or self.transports or self.hooks)

    @property
    def watches(self) -> bool:
        """Whether its hooks would do anything, as far as its variables tell."""
        return not self.variables or any(map(os.environ.get, self.variables))

    def may_serve(self, scheme: str) -> bool:
        """Whether its entry points name this scheme, or nothing at all."""
        return not self.tells or scheme in self.stores or scheme in self.transports


def installed_plugins() -> dict[str, Installed]:
    """All that are installed, by their ``name`` and sorted by it."""
    gathered: dict[tuple[int, str], list[EntryPoint]] = {}
    for entry in _entries():
        # Blanks in a value mean nothing; within one listing a distribution is one object.
        reference = "".join(entry.value.split())
        gathered.setdefault((id(entry.dist), reference), []).append(entry)
    here = _version()
    found = [_installed(entries, here) for entries in gathered.values()]
    return {each.name: each for each in sorted(found, key=lambda each: each.name)}


def _entries() -> Iterable[EntryPoint]:
    try:
        every = entry_points()
        return [entry for group in _GROUPS for entry in every.select(group=group)]
    except Exception:  # noqa: BLE001  # what one distribution has written may be anything
        return _entries_one_by_one()


def _entries_one_by_one() -> Iterable[EntryPoint]:
    seen = set()
    for each in distributions():
        try:
            name, entries = _normal(each.name), each.entry_points
        except Exception as error:  # noqa: BLE001  # as above
            log.warning(
                "entry_points_unreadable", distribution=str(_Owner.of(each)), error=worded(error)
            )
            continue
        if name not in seen:  # the first on the path is the one that is imported
            seen.add(name)
            yield from (entry for entry in entries if entry.group in _GROUPS)


@attrs.frozen
class _Owner:
    """The distribution of a plugin, its metadata read once: each reading parses all of it."""

    name: str
    version: str = ""
    requires: Sequence[str] = ()

    @classmethod
    def of(cls, distribution: Distribution) -> "_Owner":
        """What can be read of it; a damaged one is named by its path."""
        try:
            facts = distribution.metadata
            (name, *_), (number, *_) = (facts.get_all(each, []) for each in ("Name", "Version"))
            return cls(name, number, facts.get_all("Requires-Dist", []))
        except Exception:  # noqa: BLE001  # it lacks the file, or that is none
            return cls(str(getattr(distribution, "_path", distribution)))

    def __str__(self) -> str:
        return f"{self.name} {self.version}".rstrip()


def _version() -> str:
    """Our own version; empty when duly itself is not installed but copied somewhere."""
    try:
        return version(PROJECT)
    except Exception:  # noqa: BLE001  # whatever is written there
        return ""


def _installed(entries: Sequence[EntryPoint], here: str) -> Installed:
    """What all entry points of one distribution with one object reference say together."""
    named = {group: {e.name for e in entries if e.group == group} for group in _GROUPS}
    schemes = {
        group: {name.replace("_", "+").lower() for name in named[group]}
        for group in (_STORES, _TRANSPORTS)
    }
    entry = entries[0]
    called = named[PROJECT] or {entry.value}
    owner = _Owner(entry.value) if entry.dist is None else _Owner.of(entry.dist)
    flaws = [
        *(f"{each!r} in the group {group} is no scheme"
          for group, told in schemes.items() for each in sorted(told) if not is_scheme(each)),
        *(f"{each!r} in the group {_HOOKS} is no hook that is called{meant(each, NAMED)}"
          for each in sorted(named[_HOOKS].difference(NAMED))),
    ]  # fmt: skip
    lacking = unmet(owner.requires, here)
    if lacking is not None:
        flaws.append(f"it requires {lacking}, this is duly {here}")
    return Installed(
        name=f"{min(called)} ({owner})",
        distribution=owner.name,
        version=owner.version,
        called={_normal(name) for name in (*called, owner.name)},
        entry=entry,
        stores=frozenset(filter(is_scheme, schemes[_STORES])),
        transports=frozenset(filter(is_scheme, schemes[_TRANSPORTS])),
        hooks=frozenset(named[_HOOKS]),
        variables=frozenset(named[_VARIABLES]),
        flaw="; ".join(flaws) or None,
    )


def wanted_plugins(
    installed: Mapping[str, Installed], load: bool | Collection[str]
) -> Collection[str]:
    """The names of those to load: all, none, or those called by a name in ``load``.

    Raises:
        InvalidArgument: ``load`` is of the wrong type.
        PluginError: a name that nothing installed has.
    """
    if isinstance(load, bool):
        return list(installed) if load else []
    if isinstance(load, str | bytes) or not isinstance(load, Collection):
        raise InvalidArgument(
            f"load_plugins must be True, False or a list of names, not {shown(load)}"
        )
    try:
        listed = list(load)
    except Exception as error:  # of a class of the caller's
        raise InvalidArgument(f"load_plugins cannot be read: {shown(error)}") from error
    wanted = set()
    for each in listed:
        asked = text_of(each)
        if asked is None:
            raise InvalidArgument(f"load_plugins must hold names, not {shown(each)}")
        names = {name for name, found in installed.items() if _normal(asked) in found.called}
        if not names:
            raise PluginError(
                f"load_plugins names {shown(asked)}, which is not installed; "
                f"installed are: {', '.join(installed) or 'none'}"
            )
        wanted |= names
    return sorted(wanted)


def _normal(name: str) -> str:
    """As package indexes compare names."""
    return re.sub(r"[-_.]+", "-", name).lower()
