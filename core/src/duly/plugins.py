"""What is installed, and what is wrong with a plugin: for tools that show or check them.

    from duly import plugins

    for plugin in plugins.installed():
        print(plugin.name, plugin.distribution, plugin.version, *plugin.flaws)

A client needs none of this: it finds plugins by itself, and its ``health()`` tells which are set
aside. What a plugin may offer is in :mod:`duly.hookspecs`.
"""

import os
from collections.abc import Collection, Sequence
from importlib.metadata import EntryPoint

import attrs

from duly._plugins.comparing import factories_of, known_hooks, untold
from duly._plugins.implemented import NAMED, implementations, meant
from duly._plugins.installed import installed_plugins
from duly._plugins.registry import Plugins
from duly._plugins.schemes import Rank, Schemes, is_scheme
from duly.errors import PluginError
from duly.transport import Transport
from duly.url import mask

__all__ = ["Plugin", "flaws_of", "flaws_of_names", "installed", "transport_of"]


@attrs.frozen(kw_only=True, eq=False)
class Plugin:
    """An installed plugin as its entry points tell of it, not imported.

    ``stores`` and ``transports`` are schemes, ``hooks`` the other hooks that they declare; where
    all three are empty it declares nothing, and is imported whenever a client is made. ``version``
    is empty where its distribution does not tell it. ``flaws`` say why it is not used, or not
    wholly, one sentence each. ``variables`` are those of the environment without one of which its
    hooks do nothing.
    """

    name: str
    distribution: str
    version: str
    entry_point: EntryPoint
    stores: Sequence[str]
    transports: Sequence[str]
    hooks: Sequence[str]
    flaws: Sequence[str]
    variables: Sequence[str] = ()

    @property
    def declares(self) -> bool:
        """Whether it tells what it offers."""
        return bool(self.stores or self.transports or self.hooks)

    @property
    def is_always_imported(self) -> bool:
        """Whether each client or scheduler imports it, rather than when something is needed."""
        unset = bool(self.variables) and not any(map(os.environ.get, self.variables))
        watching = {*self.hooks} - {"duly_codec", "duly_commands"}
        return not self.declares or (bool(watching) and not unset)

    def load(self) -> object:
        """Import it; raises whatever its code raises."""
        return self.entry_point.load()


def installed() -> Sequence[Plugin]:
    """All that are installed, by their names; none of their code runs."""
    found = installed_plugins()
    usable = [each for each in found.values() if each.flaw is None]
    clashes: dict[str, list[str]] = {}
    for kind, built_in in (("stores", "memory"), ("transports", "local")):
        schemes: Schemes[object] = Schemes(kind.removesuffix("s"))
        schemes.add("duly itself", {built_in: lambda _url: None}, Rank.BUILT_IN)
        for each in usable:
            schemes.announce(each.name, getattr(each, kind))
        for name, told in schemes.clashes().items():
            clashes.setdefault(name, []).extend(told)
    return [
        Plugin(
            name=each.name.partition(" (")[0],
            distribution=each.distribution,
            version=each.version,
            entry_point=each.entry,
            stores=sorted(each.stores),
            transports=sorted(each.transports),
            hooks=sorted(each.hooks),
            variables=sorted(each.variables),
            flaws=[*([each.flaw] if each.flaw else []), *clashes.get(each.name, [])],
        )
        for each in found.values()
    ]


def transport_of(url: str) -> Transport:
    """The transport that an installed plugin makes of a URL, not opened yet.

    Raises:
        UnknownScheme: nothing that could be loaded serves it.
        PluginError: its plugin failed, or two serve the scheme.
        DulyError: what its plugin has to say against the URL.
    """
    return Plugins().transport(url)


def flaws_of(
    plugin: object,
    *,
    stores: Collection[str] = (),
    transports: Collection[str] = (),
    hooks: Collection[str] = (),
) -> Sequence[str]:
    """What is wrong with a plugin that was imported, one sentence each.

    ``stores``, ``transports`` and ``hooks`` are what its entry points tell; where they tell
    nothing, that is not compared with what it has.
    """
    try:
        implemented = implementations("plugin", plugin)
    except PluginError as error:
        return [mask(str(error))]
    found: list[str] = []
    tells = bool(stores or transports or hooks)
    for kind, told in (("store", stores), ("transport", transports)):
        try:
            factories = factories_of(implemented, f"duly_{kind}s")
        except PluginError as error:
            found.append(mask(str(error)))
            continue
        if tells:
            found += untold(f"the scheme of a {kind}", _as_schemes(told), factories)
    if tells:
        found += untold("the hook", hooks, known_hooks(implemented))
    return found


def flaws_of_names(*, schemes: Collection[str] = (), hooks: Collection[str] = ()) -> Sequence[str]:
    """What is wrong with names that stand in entry points, one sentence each."""
    return [
        *(f"{each!r} is no scheme" for each in sorted(schemes)
          if not is_scheme(each.replace("_", "+"))),
        *(f"{each!r} is no hook that is called{meant(each, NAMED)}"
          for each in sorted({*hooks} - {*NAMED})),
    ]  # fmt: skip


def _as_schemes(names: Collection[str]) -> Collection[str]:
    return {each.replace("_", "+").lower() for each in names}
