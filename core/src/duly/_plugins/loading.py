"""Gather what plugins offer: those given by hand, the built-in ones and the installed."""

import importlib
import inspect
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from duly._plugins.comparing import factories_of, known_hooks, untold
from duly._plugins.implemented import TOLD, Implementations, called_in_order, implementations
from duly._plugins.installed import Installed, installed_plugins, wanted_plugins
from duly._plugins.schemes import Rank, Schemes
from duly._telemetry.logging import get_logger
from duly._values.plain import shown
from duly._values.wording import text_of, worded
from duly.errors import InvalidArgument, PluginError, SchemeConflict
from duly.store import Store
from duly.transport import Transport
from duly.url import mask

__all__ = ["Loading"]

_BUILT_IN: Final = ("duly.memory", "duly.local")  # modules: plugins like others, found by name

log = get_logger()


class Loading:
    """The plugins of one client, of which installed ones may be imported later.

    If one that was given is wrong, that is an error at once. One that is merely installed is set
    aside, wholly or in part, and ``broken`` tells by its name why.
    """

    def __init__(
        self, plugins: Sequence[object], load: bool | Collection[str], hooks: Collection[str]
    ) -> None:
        self.broken: Mapping[str, str] = MappingProxyType({})
        self._stores, self._transports = Schemes[Store]("store"), Schemes[Transport]("transport")
        self._plugins: list[object] = []
        self._imported: dict[str, Implementations] = {}
        given = [self._take_given(name, plugin) for name, plugin in _named(plugins).items()]
        self._installed = {} if load is False else installed_plugins()
        names = wanted_plugins(self._installed, load)
        self._wanted = {name: self._installed[name] for name in names}
        for name in _BUILT_IN:
            plugin = importlib.import_module(name)
            self._offer(name, implementations(name, plugin), Rank.BUILT_IN)
        for each in self._wanted.values():
            self._take_installed(each, hooks)
        for schemes in (self._stores, self._transports):
            for name, told in schemes.clashes().items():
                self._note(name, "; ".join(told))
        # Those given are asked first, and of several of a kind the last one foremost.
        every = [*reversed(given), *reversed(self._imported.values())]
        self._called = {hook: called_in_order(hook, every) for hook in TOLD}

    def _left_out(self) -> list[Installed]:
        """Those that are installed and not wanted; looked up only now where none is."""
        installed = self._installed or installed_plugins()
        return [each for name, each in installed.items() if name not in self._wanted]

    def _take_given(self, name: str, plugin: object) -> Implementations:
        if any(_equal(plugin, each) for each in self._plugins):
            raise PluginError(
                f"plugin {name} is given twice or equals another one "
                "(plugins of one attrs class need eq=False)"
            )
        try:
            implemented = implementations(name, plugin)
            self._offer(name, implemented, Rank.GIVEN)
        except SchemeConflict:
            raise
        except PluginError as error:
            raise PluginError(f"plugin {name}: {mask(str(error))}") from error.__cause__
        self._plugins.append(plugin)
        return implemented

    def _take_installed(self, each: Installed, hooks: Collection[str]) -> None:
        if each.flaw is not None:
            self._set_aside(each.name, each.flaw)
            return
        self._stores.announce(each.name, each.stores)
        self._transports.announce(each.name, each.transports)
        if not each.tells or (each.watches and not each.hooks.isdisjoint(hooks)):
            self._import(each)

    def _import(self, each: Installed) -> None:
        """Import one that is installed and take up what it offers, or set it aside."""
        try:
            plugin = each.entry.load()
            if any(plugin is one for one in self._plugins):  # given by hand, or by another name
                self._withdraw(each.name)
                return
            implemented = implementations(each.name, plugin)
        except KeyboardInterrupt:
            raise
        except PluginError as error:
            self._set_aside(each.name, text_of(error) or worded(error))
        except BaseException as error:  # noqa: BLE001  # one must not stop the others
            self._set_aside(each.name, worded(error))
        else:
            self._plugins.append(plugin)
            self._imported[each.name] = self._as_told(each, implemented)

    def _as_told(self, each: Installed, implemented: Implementations) -> Implementations:
        """Take up what an installed plugin offers; the hooks that are to be called."""
        for hook, schemes, told in (
            ("duly_stores", self._stores, each.stores),
            ("duly_transports", self._transports, each.transports),
        ):
            try:
                factories = factories_of(implemented, hook)
            except PluginError as error:
                self._note(each.name, str(error))
                schemes.withdraw(each.name)
                continue
            if each.tells:
                self._compare(each.name, f"the scheme of a {schemes.kind}", told, factories)
                schemes.withdraw(each.name, told)
                factories = {name: make for name, make in factories.items() if name in told}
            schemes.add(each.name, factories, Rank.INSTALLED)
        hooks = known_hooks(implemented)
        if each.tells:
            self._compare(each.name, "the hook", each.hooks, hooks)
            hooks = {hook: found for hook, found in hooks.items() if hook in each.hooks}
        return hooks

    def _compare(self, name: str, kind: str, told: Collection[str], has: Collection[str]) -> None:
        for each in untold(kind, told, has):
            self._note(name, each)

    def _offer(self, name: str, implemented: Implementations, rank: Rank) -> None:
        self._stores.add(name, factories_of(implemented, "duly_stores"), rank)
        self._transports.add(name, factories_of(implemented, "duly_transports"), rank)

    def _set_aside(self, name: str, reason: str) -> None:
        self._withdraw(name)
        self._note(name, reason)

    def _withdraw(self, name: str) -> None:
        self._stores.withdraw(name)
        self._transports.withdraw(name)

    def _note(self, name: str, reason: str) -> None:
        reason = mask(reason)
        before = self.broken.get(name)
        told = reason if before is None else f"{before}; {reason}"
        self.broken = MappingProxyType({**self.broken, name: told})
        log.warning("plugin_broken", plugin=name, reason=reason)


def _equal(plugin: object, other: object) -> bool:
    try:
        return bool(plugin == other)
    except Exception:  # noqa: BLE001  # it is compared in a way of its own
        return plugin is other


def _named(plugins: Sequence[object]) -> Mapping[str, object]:
    if isinstance(plugins, str | bytes) or not isinstance(plugins, Sequence):
        raise InvalidArgument(f"plugins must be a list, not {type(plugins).__name__}")
    try:
        plugins = list(plugins)
    except Exception as error:  # of a sequence that cannot be read
        raise InvalidArgument(f"plugins cannot be read: {shown(error)}") from error
    named = {}
    for number, plugin in enumerate(plugins):
        known = plugin if inspect.ismodule(plugin) or inspect.isclass(plugin) else type(plugin)
        named[f"plugins[{number}] ({known.__name__})"] = plugin
    return named
