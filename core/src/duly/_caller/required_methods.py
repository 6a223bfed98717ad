"""Which methods a store or a transport must have, as far as that can be seen without calling them.

Only what can never work is refused: a method that is missing, or one that is certainly not async.
That is a method which its class writes as ``def`` without any sign that it returns an awaitable.
Such a sign is a return annotation (``-> Awaitable[str]``), a decorator's ``__wrapped__``, a
function name other than the method's, or returning what a method of the same name gave (``return
self.inner.publish(envelope)``). Everything else, such as proxies with ``__getattr__``, partials,
mocks and compiled functions, is tried: if the answer cannot be awaited, that call raises an error.
"""

import dis
import inspect
import itertools
import re
from collections.abc import Sequence
from types import FunctionType
from typing import Final, NamedTuple

__all__ = ["STORE", "TRANSPORT", "Verbs", "lacking_of", "plain_of"]


class Verbs(NamedTuple):
    """The async methods of a kind of object: those it must have, those it may have."""

    needed: Sequence[str]
    optional: Sequence[str]


STORE: Final = Verbs(
    (
        "open", "close", "put", "cancel", "reschedule", "get", "list", "claim", "renew", "settle",
        "stats",
    ),
    ("wait_for_change", "changed", "migrate", "check"),
)  # fmt: skip
TRANSPORT: Final = Verbs(("open", "close", "publish"), ("publish_many", "check"))

_AWAITABLE: Final = re.compile(r"Awaitable|Coroutine|Future|Task|Generator")


def lacking_of(value: object, verbs: Verbs) -> Sequence[str]:
    """The required methods that it lacks; a class, given in place of an object, lacks all."""
    if isinstance(value, type):
        return verbs.needed
    return [verb for verb in verbs.needed if not _can(value, verb)]


def _can(value: object, verb: str) -> bool:
    try:
        return callable(getattr(value, verb, None))
    except Exception:  # noqa: BLE001  # a property that raises is no verb
        return False


def plain_of(value: object, verbs: Verbs) -> Sequence[str]:
    """The methods that are certainly not async."""
    return [verb for verb in (*verbs.needed, *verbs.optional) if _is_plain(value, verb)]


def _is_plain(value: object, verb: str) -> bool:
    method = inspect.getattr_static(type(value), verb, None)
    if not isinstance(method, FunctionType) or verb in getattr(value, "__dict__", ()):
        return False  # not written in a class, or not that one is called
    if method.__name__ != verb or hasattr(method, "__wrapped__"):
        return False  # somebody's wrapper
    if (
        inspect.iscoroutinefunction(method)
        or method.__code__.co_flags & inspect.CO_ITERABLE_COROUTINE
    ):
        return False
    return not _is_annotated(method) and not _hands_on(method, verb)


def _is_annotated(method: FunctionType) -> bool:
    try:
        return _AWAITABLE.search(str(method.__annotations__.get("return"))) is not None
    except Exception:  # noqa: BLE001  # names that are there for type checkers only
        return True


def _hands_on(method: FunctionType, verb: str) -> bool:
    """Whether it returns something, and asks a namesake, which may be async."""
    if verb not in method.__code__.co_names:
        return False
    steps = itertools.pairwise(dis.get_instructions(method.__code__))
    return any(
        last.opname == "RETURN_VALUE" and "CONST" not in before.opname for before, last in steps
    )
