"""Which store and transport a command works on, and how it was said."""

import importlib
import os
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import attrs

from duly import Client, DulyError, sync
from duly.url import mask, scheme_of
from duly_cli import contexts
from duly_cli.errors import USAGE, Refused

__all__ = ["Target", "found_app", "see_that_it_can_be_kept"]

_HOW: Final = (
    "say which store: --store URL, DULY_STORE, --context NAME (see: duly context add), or "
    "--app module:scheduler"
)
_HISTORY: Final = "DULY_HISTORY"
_NOT_HERE: Final = ("memory", "local")
_MAKES_TABLES: Final = ("postgres", "mongo", "redis")  # or keys, when opened, unless told not to


@attrs.frozen(kw_only=True)
class Target:
    """What was said of the store, by options, variables or a context, the nearest first."""

    store: str | None = None
    transport: str | None = None
    app: str | None = None
    context: str | None = None
    production: bool = False
    tz: str | None = None
    history: str | None = None
    words: str = ""
    """The options that said it, to be said again in a command that is offered."""

    @classmethod
    def said(
        cls,
        store: str | None,
        transport: str | None,
        app: str | None,
        context: str | None,
        history: str | None = None,
    ) -> "Target":
        """Of what the options say; what they leave open comes from variables, then a context.

        The history that was said is handed on by its variable, to whatever this process makes.
        """
        target = cls._said(store, transport, app, context)
        kept = history or target.history
        if kept is None:
            return attrs.evolve(target, history=os.environ.get(_HISTORY) or None)
        see_that_it_can_be_kept()
        os.environ[_HISTORY] = kept
        return attrs.evolve(target, history=kept, words=target.words + _words(history=history))

    @classmethod
    def _said(
        cls, store: str | None, transport: str | None, app: str | None, context: str | None
    ) -> "Target":
        if store is not None and app is not None:
            raise Refused("--app brings its own store: leave --store out", USAGE)
        if context is not None and (store is not None or app is not None):
            raise Refused("--context names a store: leave --store and --app out", USAGE)
        words = _words(store=store, app=app, context=context)
        if store is None and app is None and context is None:
            store, app = os.environ.get("DULY_STORE") or None, os.environ.get("DULY_APP") or None
            app = None if store is not None else app
        transport = transport or os.environ.get("DULY_TRANSPORT") or None
        every = contexts.load()
        if store is not None or app is not None:
            return cls(
                store=store,
                transport=transport,
                app=app,
                production=_is_production(store, every),
                tz=os.environ.get("DULY_TZ"),
                words=words,
            )
        name = context or os.environ.get("DULY_CONTEXT") or every.current
        if name is None:
            return cls(transport=transport, tz=os.environ.get("DULY_TZ"))
        chosen = every.get(name)
        return cls(
            store=chosen.store,
            transport=transport or chosen.transport,
            app=chosen.app,
            context=name,
            production=chosen.production,
            tz=os.environ.get("DULY_TZ") or chosen.tz,
            history=chosen.history,
            words=words,
        )

    def __str__(self) -> str:
        """The store as it may be shown: no password."""
        place = self.app or (mask(self.store) if self.store is not None else "no store")
        return place if self.context is None else f"{self.context} ({place})"

    def client(self, *, changes: bool) -> Client:
        """A client of that store, not opened yet.

        One that only looks makes no file and no tables where there are none.
        """
        if self.app is not None:
            found = found_app(self.app)
            if isinstance(found, Client):
                return found
            raise Refused(
                f"{self.app} is a {type(found).__name__}: only a duly.Client or duly.Scheduler can "
                "be looked at; give its store with --store",
                USAGE,
            )
        return Client(self.url(changes=changes))

    def see_that_it_is_there(self) -> None:
        """Tables are made where they are needed; a new file might only be a mistyped path.

        Raises:
            Refused: there is no such file.
        """
        if self.store is not None:
            _see_the_file(self.store)

    def url(self, *, changes: bool) -> str:
        """The store's, where there is no app.

        Raises:
            Refused: none was said, or there is nothing at it that could be looked at.
        """
        if self.store is None:
            raise Refused(_HOW, USAGE)
        return _to_look(self.store) if not changes else _to_change(self.store)


def see_that_it_can_be_kept() -> None:
    """Somebody has asked for a history.

    Raises:
        Refused: its package is not installed.
    """
    if find_spec("duly_history") is None:
        raise Refused("a history needs duly-history: pip install duly-history", USAGE)


def _words(**said: str | None) -> str:
    """Options again, those that were given; no password."""
    given = {name: each for name, each in said.items() if each is not None}
    return "".join(f" --{name} {shlex.quote(mask(each))}" for name, each in given.items())


def _is_production(store: str | None, every: contexts.Contexts) -> bool:
    """Whether a URL is that of a context in production, however it was said."""
    return any(each.production and each.store == store for each in every.contexts.values())


def found_app(said: str) -> Any:
    """What ``module:name`` names: a client or a scheduler, or what a function returns.

    Raises:
        Refused: there is none; the text says how it is written.
    """
    module, colon, name = said.partition(":")
    if not (module and colon and name):
        raise Refused(f"--app is written module:name, as in orders.app:scheduler: {said!r}", USAGE)
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        kinds = (Client, sync.Client)
        if callable(found) and not isinstance(found, kinds):
            found = found()
    except (ImportError, AttributeError) as error:
        raise Refused(f"--app {said}, looked for from {Path.cwd()}: {error}", USAGE) from error
    except DulyError:
        raise
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        raise Refused(f"--app {said} cannot be made: {told}", USAGE) from error
    if not isinstance(found, kinds):
        raise Refused(
            f"--app {said} is {type(found).__name__}, neither a scheduler nor a client", USAGE
        )
    return found


def _to_change(url: str) -> str:
    if _scheme(url) in _NOT_HERE:
        raise Refused(f"{url} lives and dies with its process: there is nothing to see", USAGE)
    return url


def _to_look(url: str) -> str:
    url, scheme = _to_change(url), _scheme(url)
    _see_the_file(url)
    if scheme.startswith(_MAKES_TABLES) and "auto_migrate" not in url:
        url = _with(url, "auto_migrate=false")
    if scheme.startswith("redis") and "allow_eviction" not in url:
        url = _with(url, "allow_eviction=true")  # to see what it keeps, and what is wrong with it
    return url


def _with(url: str, option: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{option}"


def _see_the_file(url: str) -> None:
    if _scheme(url).startswith("sqlite"):
        file = Path(url.partition("://")[2].partition("?")[0].removeprefix("/"))
        if not file.exists():
            raise Refused(
                f"{mask(url)}: there is no such file: is the path right? `duly migrate` makes it"
            )


def _scheme(url: str) -> str:
    try:
        return scheme_of(url)
    except DulyError as error:
        raise Refused(str(error), USAGE) from error
