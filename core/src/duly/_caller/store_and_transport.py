"""The store and the transport that are given: a URL, an object, or a function; each is checked."""

from typing import cast

from duly._caller.required_methods import STORE, TRANSPORT, Verbs, lacking_of, plain_of
from duly._plugins.registry import Plugins
from duly._values.callables import named
from duly.errors import InvalidArgument, PluginError
from duly.local import FunctionTransport
from duly.store import Store
from duly.transport import Transport
from duly.url import mask

__all__ = ["as_store", "as_transport"]


def as_store(value: object, plugins: Plugins) -> Store:
    """A store, made from its URL or given as it is."""
    store = plugins.store(value) if isinstance(value, str) else value
    lacking = lacking_of(store, STORE)
    if not lacking:
        _see_async(store, STORE, value)
        return cast(Store, store)
    if isinstance(value, str):
        raise PluginError(f"the plugin for {mask(value)} made a {named(store)}, not a store")
    if len(lacking) < len(STORE.needed):
        raise InvalidArgument(f"{named(store)} is no store: it lacks {', '.join(lacking)}")
    raise InvalidArgument(f"store must be a URL or a store object, not {named(store)}")


def as_transport(value: object, plugins: Plugins) -> Transport:
    """A transport: made from its URL, given as it is, or a function that takes an envelope."""
    transport = plugins.transport(value) if isinstance(value, str) else value
    lacking = lacking_of(transport, TRANSPORT)
    if not lacking:
        _see_async(transport, TRANSPORT, value)
        return cast(Transport, transport)
    if isinstance(value, str):
        raise PluginError(
            f"the plugin for {mask(value)} made a {named(transport)}, not a transport"
        )
    if callable(value) and not isinstance(value, type):
        return FunctionTransport(value)
    if "publish" not in lacking:
        raise InvalidArgument(f"{named(value)} is no transport: it lacks {', '.join(lacking)}")
    raise InvalidArgument(
        "transport must be a URL, a transport object or a function that takes an envelope, "
        f"not {named(value)}"
    )


def _see_async(value: object, verbs: Verbs, given: object) -> None:
    plain = plain_of(value, verbs)
    if plain:
        text = (
            f"{named(value)} cannot be used: its {', '.join(plain)} must be async: write "
            "async def, or annotate what it returns as Awaitable"
        )
        if isinstance(given, str):
            raise PluginError(f"the plugin for {mask(given)} made a {named(value)}: {text}")
        raise InvalidArgument(text)
