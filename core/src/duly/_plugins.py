"""Find plugins, look URL schemes up, ask deciders, tell observers."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.metadata import EntryPoint
from types import MappingProxyType
from typing import Any, Final, TypeVar

import pluggy

import duly.local
import duly.memory
from duly import hookspecs
from duly._installed import installed_plugins, wanted_plugins
from duly._logging import get_logger
from duly._schemes import Schemes, unknown
from duly.errors import InvalidArgument, PluginError
from duly.hookspecs import PROJECT
from duly.recovery import Backoff, Bury, Discard, Failure, Policy, Retry, Verdict
from duly.store import Store
from duly.transport import Transport
from duly.url import mask, scheme_of

__all__ = ["Plugins"]

_HOOKS: Final = tuple(sorted(name for name in vars(hookspecs) if name.startswith("duly_")))
_BUILT_IN: Final[Mapping[str, object]] = {"duly.memory": duly.memory, "duly.local": duly.local}
_LAST_RESORT: Final = Backoff()

log = get_logger()

T = TypeVar("T")


class Plugins:
    """What one client knows of plugins: the built-in ones, the installed and those given to it.

    ``load`` says which of the installed to import: all, none, or those of which the entry point
    or the distribution is named. ``broken`` tells by name why one could not be loaded.

    Raises:
        InvalidArgument: an argument of the wrong type.
        PluginError: a misspelt or misdeclared hook, a plugin given twice or without any hook, a
            named one that is not installed.
    """

    def __init__(self, plugins: Sequence[object] = (), load: bool | Collection[str] = True) -> None:
        self.broken: Mapping[str, str] = MappingProxyType({})
        self._given = _given(plugins)
        installed = installed_plugins()
        wanted = wanted_plugins(installed, load)
        self._left_out = installed.keys() - wanted
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        # The last registered is asked first; nobody is marked trylast, which would upset that.
        for name, plugin in _BUILT_IN.items():
            self._register(name, plugin)
        for name in wanted:
            self._load(name, installed[name])
        for name, plugin in self._given.items():
            self._register(name, plugin)
        self._called = {hook: self._implementations(hook) for hook in _HOOKS}
        self._stores = self._offered("duly_stores", Schemes[Store]("store"))
        self._transports = self._offered("duly_transports", Schemes[Transport]("transport"))

    def store(self, url: str) -> Store:
        """A store for a URL, not opened yet.

        Raises:
            UnknownScheme: nothing that was loaded serves it.
            SchemeConflict: two plugins do.
            PluginError: its plugin failed.
            DulyError: what its plugin has to say against the URL.
        """
        return self._made(url, self._stores, self._transports)

    def transport(self, url: str) -> Transport:
        """A transport for a URL, not opened yet; raises as :meth:`store` does."""
        return self._made(url, self._transports, self._stores)

    def recover(self, failure: Failure, policy: Policy) -> Verdict:
        """What next after a failure: the first verdict of the plugins, else that of the policy.

        Never raises: who raises, or answers anything but a verdict, is logged and has no opinion.
        """
        for decider in self._called["duly_recover"]:
            verdict = _asked(decider.plugin_name, _call, decider, {"failure": failure})
            if verdict is not None:
                return verdict
        return _asked("recovery", policy, failure) or _LAST_RESORT(failure)

    def observed(self, hook: str) -> bool:
        """Whether anybody implements a hook: if not, spare what its arguments would cost."""
        return bool(self._called[hook])

    def tell(self, hook: str, /, **arguments: object) -> None:
        """Call the observers of a hook one by one; what they raise is logged, never raised."""
        for observer in self._called[hook]:
            try:
                _call(observer, arguments)
            except Exception:
                log.exception("observer_failed", hook=hook, plugin=observer.plugin_name)

    def _load(self, name: str, entry: EntryPoint) -> None:
        try:
            plugin = entry.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001  # one must not stop the others
            self._fail(name, _text(error), error)
            return
        # One that is given by hand as well is asked among those given.
        given = any(plugin is each for each in self._given.values())
        if not given and not self._manager.is_registered(plugin):
            self._register(name, plugin)

    def _register(self, name: str, plugin: object) -> None:
        """Add a plugin.

        Raises:
            PluginError: it implements hooks wrongly or not at all, or is there already.
        """
        for hook in _HOOKS:
            function = inspect.getattr_static(plugin, hook, None)
            if inspect.isfunction(function) and not hasattr(function, f"{PROJECT}_impl"):
                raise PluginError(f"plugin {name}: {hook} is not marked with @duly.hookimpl")
        if self._manager.is_registered(plugin):
            raise PluginError(
                f"plugin {name} is given twice or equals another one "
                "(plugins of one attrs class need eq=False)"
            )
        try:
            self._manager.register(plugin, name)
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise PluginError(f"plugin {name}: {error}; the hooks: {', '.join(_HOOKS)}") from None
        if not self._manager.get_hookcallers(plugin):
            self._fail(
                name,
                "it implements no hook; a plugin is a module, class or object with functions "
                "marked @duly.hookimpl",
            )

    def _implementations(self, hook: str) -> Sequence[pluggy.HookImpl]:
        """Those of a hook, in the order in which they are called."""
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        implementations = tuple(reversed(caller.get_hookimpls()))
        for each in implementations:
            flaw = _flaw(each)
            if flaw is not None:
                raise PluginError(f"plugin {each.plugin_name}: {hook} {flaw}")
        return implementations

    def _offered(self, hook: str, schemes: Schemes[T]) -> Schemes[T]:
        for each in self._called[hook]:
            try:
                schemes.add(each.plugin_name, _call(each, {}))
            except Exception as error:  # noqa: BLE001  # one must not stop the others
                self._fail(each.plugin_name, f"{hook}: {_text(error)}", error)
        return schemes

    def _fail(self, name: str, reason: str, error: BaseException | None = None) -> None:
        """Refuse a plugin that was given; do without one that happens to be installed."""
        reason = mask(reason)
        if name in self._given:
            raise PluginError(f"plugin {name}: {reason}") from error
        self.broken = MappingProxyType({**self.broken, name: reason})
        log.warning("plugin_broken", plugin=name, reason=reason)

    def _made(self, url: str, wanted: Schemes[T], other: Schemes[Any]) -> T:
        scheme = scheme_of(url)
        if scheme not in wanted:
            raise unknown(scheme, wanted, other, broken=self.broken, left_out=self._left_out)
        return wanted.make(url)


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _call(implementation: pluggy.HookImpl, arguments: Mapping[str, object]) -> Any:
    return implementation.function(*[arguments[name] for name in implementation.argnames])


def _asked(who: str, decide: Callable[..., object], *arguments: object) -> Verdict | None:
    try:
        verdict = decide(*arguments)
    except Exception:
        log.exception("decider_failed", plugin=who)
        return None
    if verdict is None or isinstance(verdict, Retry | Bury | Discard):
        return verdict
    log.error("decider_answered_nonsense", plugin=who, answer=type(verdict).__name__)
    return None


def _flaw(implementation: pluggy.HookImpl) -> str | None:
    """What is wrong with the implementation of a hook, other than its arguments."""
    function = implementation.function
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "is a coroutine function: hooks are plain functions"
    if implementation.wrapper or implementation.hookwrapper:
        return "is a wrapper: hooks offer, decide or observe, there is nothing to wrap"
    if inspect.isclass(implementation.plugin) and "self" in inspect.signature(function).parameters:
        return "needs an object: give an instance instead of the class"
    return None


def _given(plugins: Sequence[object]) -> dict[str, object]:
    if isinstance(plugins, str | bytes) or not isinstance(plugins, Sequence):
        raise InvalidArgument(f"plugins must be a list, not {type(plugins).__name__}")
    named = {}
    for number, plugin in enumerate(plugins):
        known = plugin if inspect.ismodule(plugin) or inspect.isclass(plugin) else type(plugin)
        named[f"plugins[{number}] ({known.__name__})"] = plugin
    return named
