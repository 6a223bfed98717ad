"""``duly web``: the API alone, in a process of its own."""

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from duly import Client, DulyError
from duly.url import mask
from duly_web.pages.look import COLORS, Pages

if TYPE_CHECKING:
    from duly_web.users import Access

__all__ = ["web"]

_LEVELS: Final = ("debug", "info", "warning", "error")


@click.command("web")
@click.option("--store", metavar="URL", envvar="DULY_STORE", help="The store [DULY_STORE].")
@click.option("--app", metavar="MODULE:NAME", help="A client or scheduler of yours instead.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8710, show_default=True)
@click.option(
    "--tokens", type=click.Path(dir_okay=False), envvar="DULY_WEB_TOKENS",
    help="A TOML file of users and digests of their tokens [DULY_WEB_TOKENS].",
)  # fmt: skip
@click.option("--proxy-header", metavar="NAME", help="Users are named by a proxy in this header.")
@click.option(
    "--right", "rights", multiple=True, help="With --proxy-header, what they may do [read]."
)
@click.option("--open-to-all", is_flag=True, help="No tokens, for this very host alone.")
@click.option("--tls-cert", type=click.Path(dir_okay=False), help="A certificate, for https.")
@click.option("--tls-key", type=click.Path(dir_okay=False), help="Its key.")
@click.option(
    "--trust", metavar="ADDRESSES", default="", help="Proxies whose X-Forwarded-For is believed."
)
@click.option("--log-level", type=click.Choice(_LEVELS), default="warning", show_default=True)
@click.option("--environment", metavar="WORD", default="", help="Shown on each page: production.")
@click.option("--color", type=click.Choice(COLORS), default="plain", help="Its color on the pages.")
@click.option("--tz", default="UTC", show_default=True, help="The time zone of the pages.")
@click.option("--no-pages", is_flag=True, help="The API alone.")
@click.option("--history", metavar="URL", envvar="DULY_HISTORY", help="The history [DULY_HISTORY].")
@click.option("--new-token", metavar="NAME", help="Only print a new token for somebody.")
def web(**said: Any) -> None:
    """Serve the API and the pages over HTTP until a signal comes.

    Who may use it is in a file of tokens, which --new-token makes entries for, or named by a proxy
    in front. With --open-to-all everybody on this very host may do everything.
    """
    # What serves takes a third of a second to import, which every other command would pay too.
    from duly_web import alone  # noqa: PLC0415  # as said above

    if said["new_token"] is not None:
        _tell_token(said["new_token"])
        return
    try:
        access = _access(said)
        client = _client(said["store"], said["app"])
        app = alone.alone(
            client,
            ours=said["app"] is None,
            access=access,
            open_to_all=said["open_to_all"],
            history=_history(said["history"]),
            pages=_pages(said),
        )
    except DulyError as error:
        raise click.UsageError(mask(str(error))) from error
    if said["tls_cert"] is None and not _is_here(said["host"]):
        click.echo("duly: without --tls-cert tokens cross the network in the clear", err=True)
    alone.run(
        app,
        host=said["host"],
        port=said["port"],
        log_level=said["log_level"],
        ssl_certfile=said["tls_cert"],
        ssl_keyfile=said["tls_key"],
        proxy_headers=bool(said["trust"]),
        forwarded_allow_ips=said["trust"] or None,
    )


def _access(said: dict[str, Any]) -> "Access | None":
    from duly_web.tokens import Proxy, Tokens  # noqa: PLC0415  # as above

    ways = [said["tokens"] is not None, said["proxy_header"] is not None, said["open_to_all"]]
    if sum(ways) != 1:
        raise click.UsageError(
            "say who may use it: --tokens FILE (see --new-token), --proxy-header NAME, or "
            "--open-to-all for this very host alone"
        )
    if said["rights"] and said["proxy_header"] is None:
        raise click.UsageError("--right goes with --proxy-header; a file of tokens has its own")
    if said["tokens"] is not None:
        return Tokens.read(said["tokens"])
    if said["proxy_header"] is not None:
        return Proxy(said["proxy_header"], rights=tuple(said["rights"]) or ("read",))
    if not _is_here(said["host"]):
        raise click.UsageError(
            f"--open-to-all is refused on {said['host']}, which others can reach: listen on "
            "127.0.0.1, or give --tokens"
        )
    return None


def _client(store: str | None, app: str | None) -> Client:
    if app is None:
        if store is None:
            raise click.UsageError("say which store: --store URL, DULY_STORE, or --app MODULE:NAME")
        return Client(store)
    module, _, name = app.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise click.UsageError(f"--app {app}: {error}") from error
    if callable(found) and not isinstance(found, Client):
        found = found()
    if not isinstance(found, Client):
        raise click.UsageError(f"--app {app} is a {type(found).__name__}, not a duly.Client")
    return found


def _pages(said: dict[str, Any]) -> Pages | None:
    if said["no_pages"]:
        return None
    store = said["store"] or said["app"] or ""
    return Pages(
        environment=said["environment"], color=said["color"], store=store, timezone=said["tz"]
    )


def _history(url: str | None) -> Any:
    if url is None:
        return None
    try:
        from duly_history import History  # noqa: PLC0415  # it need not be installed
    except ImportError as error:
        raise click.UsageError("--history: what keeps one is the package duly-history") from error
    return History(url)


def _is_here(host: str) -> bool:
    from duly_web.guard import is_loopback  # noqa: PLC0415  # as above

    return is_loopback(host)


def _tell_token(name: str) -> None:
    from duly_web.tokens import new_token  # noqa: PLC0415  # as above

    token, kept = new_token()
    click.echo(f'[{name}]\ntoken_sha256 = "{kept}"\nrights = ["read"]\nevents = ["*"]')
    click.echo(f"The token of {name}, which is kept nowhere: {token}", err=True)
