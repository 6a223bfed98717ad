"""Which hooks a plugin implements, and whether it implements them rightly."""

import difflib
import inspect
from collections.abc import Mapping, Sequence
from typing import Final

import pluggy

from duly import hookspecs
from duly._values.wording import worded
from duly.errors import PluginError
from duly.hookspecs import PROJECT

__all__ = [
    "NAMED",
    "TOLD",
    "TOLD_BY_CLIENTS",
    "Implementations",
    "called_in_order",
    "implementations",
    "meant",
]

_HOOKS: Final = tuple(sorted(name for name in vars(hookspecs) if name.startswith("duly_")))

_OFFERING: Final = ("duly_codec", "duly_commands", "duly_stores", "duly_transports")

TOLD: Final = tuple(name for name in _HOOKS if name not in _OFFERING)
"""The hooks that decide or observe."""

NAMED: Final = (*TOLD, "duly_codec", "duly_commands")
"""The hooks that an entry point in the group ``duly.hooks`` may name."""

TOLD_BY_CLIENTS: Final = (
    "duly_cancelled", "duly_changed", "duly_changing", "duly_closed", "duly_controlled",
    "duly_ensured", "duly_purged", "duly_replayed", "duly_rescheduled", "duly_scheduled",
)  # fmt: skip
"""Those of them that are called without a scheduler."""

Implementations = Mapping[str, Sequence[pluggy.HookImpl]]
"""What implements each hook that is implemented at all."""


def implementations(name: str, plugin: object) -> Implementations:
    """The hooks that a plugin implements, by their names; one at least.

    Raises:
        PluginError: it implements none, or one wrongly; the text does not name the plugin.
    """
    try:
        return _implementations(name, plugin)
    except (PluginError, KeyboardInterrupt):
        raise
    except BaseException as error:  # its properties may do anything
        raise PluginError(f"it cannot be looked into: {worded(error)}") from error


def _implementations(name: str, plugin: object) -> Implementations:
    for hook in _HOOKS:
        _see_that_it_is_marked(plugin, hook)
    # One manager each: what one plugin is or does when it is looked at concerns no other.
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin, name)
    except pluggy.PluginValidationError as error:
        raise PluginError(f"{' '.join(str(error).split())}; {_listed()}") from None
    found: dict[str, Sequence[pluggy.HookImpl]] = {}
    for hook, caller in vars(manager.hook).items():
        implemented = caller.get_hookimpls() if isinstance(caller, pluggy.HookCaller) else []
        if hook in _HOOKS and implemented:
            found[hook] = implemented
        elif not all(each.optionalhook for each in implemented):
            raise PluginError(
                f"unknown hook {hook!r}{meant(hook, _HOOKS)}; one of a later version of duly may "
                f"be marked optionalhook=True; {_listed()}"
            )
    for hook, several in found.items():
        for each in several:
            _see_that_it_can_be_called(each, hook)
    if not found:
        raise PluginError(
            "it implements no hook; a plugin is a module, class or object with functions "
            "marked @duly.hookimpl"
        )
    return found


def called_in_order(hook: str, implemented: Sequence[Implementations]) -> Sequence[pluggy.HookImpl]:
    """Those of several plugins for one hook, in the order in which they are called.

    That is the order given, unless one is marked ``tryfirst`` or ``trylast``.
    """
    every = [each for plugin in implemented for each in reversed(plugin.get(hook, ()))]
    return sorted(every, key=lambda each: each.trylast - each.tryfirst)


def meant(name: str, known: Sequence[str]) -> str:
    """The text ``: did you mean ...?`` for an unknown name, if a known one is like it."""
    # All known names begin alike.
    similar = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
    return f": did you mean {similar[0]}?" if similar else ""


def _listed() -> str:
    return f"the hooks: {', '.join(_HOOKS)}"


def _see_that_it_is_marked(plugin: object, hook: str) -> None:
    function = inspect.getattr_static(plugin, hook, None)
    if isinstance(function, staticmethod | classmethod):
        function = function.__func__
    if inspect.isfunction(function) and not hasattr(function, f"{PROJECT}_impl"):
        raise PluginError(f"{hook} is not marked with @duly.hookimpl")


def _see_that_it_can_be_called(implementation: pluggy.HookImpl, hook: str) -> None:
    function = implementation.function
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise PluginError(f"{hook} is a coroutine function: hooks are plain functions")
    if implementation.wrapper or implementation.hookwrapper:
        raise PluginError(f"{hook} is a wrapper: duly's hooks cannot be wrapped")
    if inspect.isclass(implementation.plugin) and "self" in inspect.signature(function).parameters:
        raise PluginError(f"{hook} needs an object: give an instance instead of the class")
