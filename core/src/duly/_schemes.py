"""URL schemes: who serves which, and what to say when nobody does, or two do."""

import difflib
from collections.abc import Callable, Collection, Mapping
from typing import Final, Generic, TypeVar

from duly.errors import DulyError, PluginError, SchemeConflict, UnknownScheme
from duly.url import mask, scheme_of

__all__ = ["Schemes", "unknown"]

_DISTRIBUTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "store": {
        **dict.fromkeys(("mongodb", "mongodb+srv"), "duly-mongo"),
        **dict.fromkeys(("postgres", "postgresql", "postgresql+asyncpg"), "duly-postgres"),
        **dict.fromkeys(("redis", "redis+cluster", "redis+sentinel"), "duly-redis"),
        **dict.fromkeys(("rediss", "rediss+cluster", "rediss+sentinel"), "duly-redis"),
        "sqlite": "duly-sqlite",
    },
    "transport": {
        **dict.fromkeys(("amqp", "amqps"), "duly-rabbitmq"),
        **dict.fromkeys(("http", "https"), "duly-webhook"),
        **dict.fromkeys(("jetstream", "nats"), "duly-nats"),
        "kafka": "duly-kafka",
        **dict.fromkeys(("mqtt", "mqtts"), "duly-mqtt"),
        **dict.fromkeys(("redis+pubsub", "redis+stream"), "duly-redis-streams"),
        **dict.fromkeys(("rediss+pubsub", "rediss+stream"), "duly-redis-streams"),
    },
}
"""The distribution that serves a scheme, for the advice to install it."""

_SHOWN: Final = 6  # schemes that are served; of more the most similar are told

T = TypeVar("T")
U = TypeVar("U")


class Schemes(Generic[T]):
    """The schemes of all stores, or of all transports: ``kind`` is the word for them."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._factories: dict[str, list[tuple[str, Callable[[str], T]]]] = {}

    def add(self, plugin: str, factories: Mapping[str, Callable[[str], T]]) -> None:
        """Take up what a plugin offers.

        Raises:
            TypeError: it is no mapping of scheme to factory.
        """
        offered = dict(factories)
        for scheme, factory in offered.items():
            if not isinstance(scheme, str) or not callable(factory):
                raise TypeError(f"{scheme!r}: {factory!r} is not a scheme and its factory")
        for scheme, factory in offered.items():
            self._factories.setdefault(scheme.lower(), []).append((plugin, factory))

    def __contains__(self, scheme: str) -> bool:
        return scheme in self._factories

    def served_by(self, scheme: str) -> str:
        """The plugins that serve a scheme, in words."""
        return " and ".join(plugin for plugin, _ in self._factories[scheme])

    def names(self) -> Collection[str]:
        """The schemes that are served."""
        return self._factories.keys()

    def make(self, url: str) -> T:
        """What the plugin that serves the scheme of ``url`` makes of it.

        Raises:
            SchemeConflict: two plugins serve it.
            DulyError: what the plugin raises about this URL.
            PluginError: the plugin raised anything else.
        """
        scheme = scheme_of(url)
        (plugin, factory), *others = self._factories[scheme]
        if others:
            raise SchemeConflict(
                f"{scheme}:// is served as a {self.kind} by {self.served_by(scheme)}: uninstall "
                "all but one, or name the plugins to load in load_plugins="
            )
        try:
            return factory(url)
        except DulyError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, it is the plugin's
            text = str(error)
            # A driver may quote the URL: its error is then kept out of the traceback.
            cause = error if mask(text) == text else None
            raise PluginError(
                f"{plugin} failed to make a {self.kind} of {mask(url)}: "
                f"{type(error).__name__}: {mask(text)}"
            ) from cause


def unknown(
    scheme: str,
    wanted: Schemes[T],
    other: Schemes[U],
    *,
    broken: Mapping[str, str],
    left_out: Collection[str],
) -> UnknownScheme:
    """The error for a scheme that nobody serves: what there is, and what to install.

    ``broken`` are plugins that could not be loaded, with the reasons; ``left_out`` those that are
    installed but were not to be loaded.
    """
    kind, known = wanted.kind, _DISTRIBUTIONS[wanted.kind]
    said = [f"no {kind} serves {scheme}://"]
    distribution = known.get(scheme)
    if scheme in other:
        said.append(f"it is the scheme of a {other.kind}, served by {other.served_by(scheme)}")
    elif scheme in _DISTRIBUTIONS[other.kind]:
        said.append(f"it is the scheme of a {other.kind} of {_DISTRIBUTIONS[other.kind][scheme]}")
    elif distribution is None:
        similar = difflib.get_close_matches(scheme, {*known, *wanted.names()}, n=1)
        said += [f"did you mean {each}://?" for each in similar]
    elif not any(f"({distribution} " in name for name in (*broken, *left_out)):
        said.append(f"install it with: pip install {distribution}")
    said.append(f"served are {_listed(scheme, wanted)}")
    if left_out:
        said.append(f"installed but left out by load_plugins: {', '.join(sorted(left_out))}")
    said += [f"{name} could not be loaded: {why}" for name, why in sorted(broken.items())]
    return UnknownScheme("; ".join(said))


def _listed(scheme: str, served: Schemes[T]) -> str:
    """The schemes that are served and by whom; of very many those that look like ``scheme``."""
    names = sorted(served.names())
    if left_out := max(0, len(names) - _SHOWN):
        alike = difflib.SequenceMatcher(b=scheme)

        def unlike(name: str) -> float:
            alike.set_seq1(name)
            return -alike.ratio()

        names = sorted(names, key=unlike)[:_SHOWN]
    told = ", ".join(f"{each}:// ({served.served_by(each)})" for each in names)
    return f"{told} and {left_out} more" if left_out else told
