"""URLs and options, as the plugins that are installed take them."""

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, NoReturn
from unittest import mock

from duly import InvalidArgument
from duly.url import URL
from extensions.tables import table

KINDS = {
    "boolean": "`true` or `false`",
    "bool": "`true` or `false`",
    "float": "number",
    "int": "whole number",
    "number": "whole number from 0",
    "seconds": "seconds",
    "str": "text",
}


class ToldError(Exception):
    """Which options a factory would have taken."""

    def __init__(self, known: Mapping[str, Callable[[str], Any]]) -> None:
        self.known = known


def of_stores() -> str:
    """Schemes and options of all stores but memory, which has none."""
    return _of("stores")


def of_transports() -> str:
    """Schemes and options of all transports that have URLs."""
    return _of("transports")


def _of(kind: str) -> str:
    rows = [("URL", "package", "option", "is")]
    seen: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    options: dict[tuple[str, tuple[str, ...]], Mapping[str, Callable[[str], Any]]] = {}
    for entry in sorted(entry_points(group=f"duly.{kind}"), key=lambda each: each.name):
        factory = getattr(entry.load(), f"duly_{kind}")()[entry.name]
        known = options_of(entry.name, factory)
        package = entry.dist.name if entry.dist else ""
        key = package, tuple(sorted(known))
        seen.setdefault(key, []).append(entry.name)
        options[key] = known
    for key, schemes in sorted(seen.items()):
        named = ", ".join(f"`{scheme}://`" for scheme in schemes)
        page = f"[{key[0]}](/made/packages/{key[0].removeprefix('duly-')}.md)"
        known = options[key]
        rows += [(named, page, "none", "")] if not known else []
        for name, convert in sorted(known.items()):
            rows.append((named, page, f"`{name}`", KINDS.get(convert.__name__, "text")))
            named, page = "", ""
    return table(*rows)


def options_of(scheme: str, factory: Callable[[str], object]) -> Mapping[str, Callable[[str], Any]]:
    """By name: what an option is read with."""

    def tell(url: URL, **known: Callable[[str], Any]) -> NoReturn:
        raise ToldError(known)

    with mock.patch.object(URL, "take_options", tell):
        for each in (
            f"{scheme}://localhost",
            f"{scheme}:///shop",
        ):  # some have no path, some no host
            try:
                factory(each)
            except ToldError as told:
                return told.known
            except InvalidArgument:
                continue
    raise AssertionError(f"{scheme}: its factory takes no options")
