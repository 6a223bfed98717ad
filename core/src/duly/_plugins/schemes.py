"""URL schemes: who serves which, and what to say when nobody does, or two do."""

import difflib
import enum
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

from duly._values.wording import text_of
from duly.errors import DulyError, PluginError, SchemeConflict, UnknownScheme
from duly.url import mask, scheme_of

__all__ = ["Rank", "Schemes", "as_factories", "is_scheme", "unknown"]

_SCHEME: Final = re.compile(r"(?i)[a-z][a-z0-9+.-]*")

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

_SHOWN: Final = 6  # schemes that are listed in an error: if there are more, the most similar

T = TypeVar("T")
U = TypeVar("U")


class Rank(enum.IntEnum):
    """Whose offer counts if several offer one scheme: the first of these."""

    GIVEN = 0
    BUILT_IN = 1
    INSTALLED = 2


class _Offer(NamedTuple, Generic[T]):
    rank: Rank
    plugin: str
    factory: Callable[[str], T] | None  # None: only announced, its plugin is not imported yet


def is_scheme(text: object) -> bool:
    """Whether a URL can start with it."""
    return isinstance(text, str) and _SCHEME.fullmatch(text) is not None


def as_factories(offered: Any) -> Mapping[str, Callable[[str], Any]]:
    """What a plugin offers, its schemes in lower case.

    Raises:
        TypeError: it is no mapping of scheme to factory.
        ValueError: a name that can be no scheme, or one scheme twice.
    """
    factories: dict[str, Callable[[str], Any]] = {}
    for scheme, factory in dict(offered).items():
        if not isinstance(scheme, str) or not callable(factory):
            raise TypeError(f"{scheme!r}: {factory!r} is not a scheme and its factory")
        if not is_scheme(scheme):
            raise ValueError(f"{scheme!r} is no scheme: a letter, then letters, digits, + . or -")
        if scheme.lower() in factories:
            raise ValueError(f"the scheme {scheme.lower()} is offered twice")
        factories[scheme.lower()] = factory
    return factories


class Schemes(Generic[T]):
    """The schemes of all stores, or of all transports: ``kind`` is the word for them."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._offers: dict[str, list[_Offer[T]]] = {}

    def announce(self, plugin: str, schemes: Iterable[str]) -> None:
        """Note what an installed plugin says it offers, before it is imported."""
        for scheme in schemes:
            self._offers.setdefault(scheme, []).append(_Offer(Rank.INSTALLED, plugin, None))

    def withdraw(self, plugin: str, schemes: Iterable[str] | None = None) -> None:
        """Forget what a plugin offers, or announced; None: all of it."""
        for scheme in list(self._offers) if schemes is None else schemes:
            left = [each for each in self._offers[scheme] if each.plugin != plugin]
            if left:
                self._offers[scheme] = left
            else:
                del self._offers[scheme]

    def add(self, plugin: str, factories: Mapping[str, Callable[[str], T]], rank: Rank) -> None:
        """Take up what a plugin offers, in the place of what it announced.

        Raises:
            SchemeConflict: another one that was given by hand offers the same.
        """
        for scheme, factory in factories.items():
            offers = self._offers.setdefault(scheme, [])
            if rank is Rank.GIVEN and (others := [o.plugin for o in offers if o.rank is rank]):
                raise SchemeConflict(
                    f"{scheme}:// is offered as a {self.kind} by {others[0]} and {plugin}: give "
                    "one of them"
                )
            offers[:] = [each for each in offers if each.plugin != plugin]
            offers.append(_Offer(rank, plugin, factory))

    def __contains__(self, scheme: str) -> bool:
        return scheme in self._offers

    def _serving(self, scheme: str) -> Sequence[_Offer[T]]:
        offers = self._offers[scheme]
        first = min(each.rank for each in offers)
        return [each for each in offers if each.rank == first]

    def served_by(self, scheme: str) -> str:
        """The plugins that serve a scheme, in words."""
        return " and ".join(each.plugin for each in self._serving(scheme))

    def names(self) -> Collection[str]:
        """The schemes that are served."""
        return self._offers.keys()

    def awaited(self, scheme: str) -> str | None:
        """The plugin that has to be imported to serve a scheme, if there is one."""
        if scheme not in self._offers:
            return None
        first, *others = self._serving(scheme)
        return first.plugin if first.factory is None and not others else None

    def clashes(self) -> Mapping[str, Sequence[str]]:
        """What is wrong with the offers of installed plugins among each other, by plugin."""
        found: dict[str, list[str]] = {}
        for scheme in sorted(self._offers):
            serving = self._serving(scheme)
            if serving[0].rank is Rank.GIVEN:
                continue
            for each in (o for o in self._offers[scheme] if o.rank is Rank.INSTALLED):
                others = [other.plugin for other in serving if other.plugin != each.plugin]
                if others:
                    told = f"{scheme}:// is offered as a {self.kind} by {' and '.join(others)} too"
                    found.setdefault(each.plugin, []).append(told)
        return found

    def make(self, url: str) -> T:
        """What the plugin that serves the scheme of ``url`` makes of it.

        Raises:
            SchemeConflict: two plugins serve it.
            DulyError: what the plugin raises about this URL.
            PluginError: the plugin raised anything else.
        """
        scheme = scheme_of(url)
        (_, plugin, factory), *others = self._serving(scheme)
        if others or factory is None:
            raise SchemeConflict(
                f"{scheme}:// is served as a {self.kind} by {self.served_by(scheme)}: uninstall "
                "all but one, or name the plugins to load in load_plugins="
            )
        try:
            return factory(url)
        except (DulyError, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is the plugin's
            text = text_of(error) or "no text"
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
    installed: Collection[str],
) -> UnknownScheme:
    """The error for a scheme that nobody serves: what there is, and what to install.

    ``broken`` are plugins that might have served it and could not be loaded, with the reasons;
    ``left_out`` those that were not to be loaded; ``installed`` all that are there.
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
    elif not any(f"({distribution} " in name for name in installed):
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
