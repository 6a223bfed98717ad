"""Stores and transports under names, in a file of the user's."""

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from duly_cli.errors import USAGE, Refused

__all__ = ["Context", "Contexts", "load", "save"]

_NAME: Final = "duly"


@attrs.frozen(kw_only=True)
class Context:
    """A store, and what goes with it. In ``production`` every change is asked for twice."""

    store: str | None = None
    transport: str | None = None
    app: str | None = None
    production: bool = False
    tz: str | None = None
    history: str | None = None


@attrs.frozen
class Contexts:
    """All contexts by name, and the one that is used where nothing else is said."""

    contexts: Mapping[str, Context]
    current: str | None = None

    def get(self, name: str) -> Context:
        """The context of that name.

        Raises:
            Refused: there is none; the text says which there are.
        """
        if name not in self.contexts:
            known = ", ".join(sorted(self.contexts)) or "none: duly context add NAME --store URL"
            raise Refused(f"there is no context {name!r}; known: {known}", USAGE)
        return self.contexts[name]


def path() -> Path:
    """Where they are kept: never in the current folder, which may be anybody's."""
    if given := os.environ.get("DULY_CONTEXTS"):
        return Path(given)
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / _NAME / "contexts.toml"


def load() -> Contexts:
    """The contexts of this user; none where there is no file.

    Raises:
        Refused: the file cannot be read, or has what nobody knows.
    """
    file = path()
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Contexts({})
    except (OSError, ValueError) as error:
        raise Refused(f"{file} cannot be read: {error}", USAGE) from error
    try:
        found = {name: _context(each) for name, each in document.get("contexts", {}).items()}
    except (TypeError, AttributeError) as error:
        raise Refused(f"{file}: {error}", USAGE) from error
    return Contexts(found, document.get("current"))


def save(contexts: Contexts) -> Path:
    """Write the file, for the user alone: a URL may hold a password."""
    file = path()
    lines = [] if contexts.current is None else [f"current = {_text(contexts.current)}", ""]
    for name, context in sorted(contexts.contexts.items()):
        lines.append(f"[contexts.{_text(name)}]")
        lines += [
            f"{key} = {_text(value)}"
            for key, value in attrs.asdict(context).items()
            if value not in (None, False)
        ]
        lines.append("")
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)  # of one that was killed, and whoever could read it
    new.touch(mode=0o600)
    new.write_text("\n".join(lines), encoding="utf-8")
    new.replace(file)
    return file


def _context(document: Mapping[str, Any]) -> Context:
    context = Context(**document)
    for name, value in document.items():
        kind = bool if name == "production" else str
        if not isinstance(value, kind):
            raise TypeError(f"{name} must be {kind.__name__}, not {value!r}")
    return context


def _text(value: object) -> str:
    # TOML reads texts and booleans alike, but takes no halves of characters and no bare DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
