"""What a plugin offers, beside what its entry points tell of it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import pluggy

from duly._plugins.implemented import NAMED, Implementations
from duly._plugins.schemes import as_factories
from duly._values.wording import worded
from duly.errors import PluginError

__all__ = ["call", "factories_of", "known_hooks", "untold"]


def call(implementation: pluggy.HookImpl, arguments: Mapping[str, object]) -> Any:
    """Call what implements a hook with those of the arguments that it takes."""
    return implementation.function(*[arguments[name] for name in implementation.argnames])


def factories_of(implemented: Implementations, hook: str) -> Mapping[str, Callable[[str], Any]]:
    """What the implementations of an offering hook offer.

    Raises:
        PluginError: one raises, or offers what is no scheme or no factory; ``__cause__`` is why.
    """
    found: dict[str, Callable[[str], Any]] = {}
    for each in implemented.get(hook, ()):
        try:
            found |= as_factories(call(each, {}))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise PluginError(f"{hook}: {worded(error)}") from error
    return found


def known_hooks(implemented: Implementations) -> Implementations:
    """Those of its hooks that an entry point may name."""
    return {hook: found for hook, found in implemented.items() if hook in NAMED}


def untold(kind: str, told: Collection[str], has: Collection[str]) -> Sequence[str]:
    """Where the two differ, one sentence each.

    What is not told is not used: else it would depend on whether something else imported it.
    """
    return [
        *(f"its entry points tell {kind} {each}, which it does not have"
          for each in sorted({*told} - {*has})),
        *(f"its entry points do not tell {kind} {each}, which is not used"
          for each in sorted({*has} - {*told})),
    ]  # fmt: skip
