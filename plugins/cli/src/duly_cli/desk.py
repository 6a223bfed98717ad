"""What a command works with: the client, where to write, how to ask."""

import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

import attrs
import click
from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from duly import Client
from duly_cli.errors import REFUSED, USAGE, ReaderGone, Refused
from duly_cli.moments import zone
from duly_cli.targets import Target

__all__ = ["Desk"]

_WIDE: Final = 10_000  # columns where nobody looks: one row is one line
_OBEYED: Final = {
    each: "\N{REPLACEMENT CHARACTER}"
    for each in (*range(0x20), *range(0x7F, 0xA0))
    if each not in (0x09, 0x0A)
}


class _Screen(Console):
    """Tells of a closed pipe by an error; rich would end the program with code 1."""

    def on_broken_pipe(self) -> None:
        raise ReaderGone


class Desk:
    """Given to each command. ``json``: one object a line, for programs; else text for people."""

    client: Client

    def __init__(
        self, target: Target, *, json: bool = False, yes: bool = False, tz: str | None = None
    ) -> None:
        self.target = target
        self.json = json
        self.yes = yes
        self.zone: tzinfo = zone(tz or target.tz)
        self.given_zone = (tz or target.tz) is not None
        """Whether somebody said which time zone is meant."""
        self.code = 0
        """What the command exits with."""
        terminal = sys.stdout.isatty()
        said = os.environ.get("COLUMNS", "")
        width = None if terminal or said.isdigit() else _WIDE
        self.out = _Screen(width=width, highlight=False, soft_wrap=False)
        self.err = Console(stderr=True, highlight=False)

    def say(self, text: str, style: str | None = None) -> None:
        """A line for people; programs do not get it."""
        if not self.json:
            self.out.print(Text(_clean(text), style=style or ""), soft_wrap=True)

    def note(self, text: str) -> None:
        """A line beside the answer, on the error stream."""
        self.err.print(Text(_clean(text)), soft_wrap=True)

    def record(self, facts: Mapping[str, Any]) -> None:
        """A line for programs; people do not get it."""
        if self.json:
            try:
                print(json.dumps(plain(facts), ensure_ascii=False), flush=True)  # noqa: T201  # click ends the program where nobody reads
            except BrokenPipeError as error:
                raise ReaderGone from error

    def text(self, value: object) -> str:
        """A value as people read it; moments in the time zone that is used."""
        if value is None:
            return ""
        if isinstance(value, datetime):
            return self.moment(value)
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, int):
            return f"{value:,}"
        return str(value)

    def moment(self, value: datetime) -> str:
        """Such as "2026-11-29 14:25:40 UTC"."""
        return f"{value.astimezone(self.zone):%Y-%m-%d %H:%M:%S %Z}"

    def confirm(self, what: str, *, always: bool = False) -> None:
        """Ask before a change: in production, and ``always`` what cannot be undone.

        Raises:
            Refused: nobody can answer, and --yes was not given; or the answer is no.
        """
        if self.yes or not (always or self.target.production):
            return
        question = f"{what} in {self.target}?"
        if not sys.stdin.isatty():
            raise Refused(f"{question} Nobody can answer here: say --yes if that is meant", USAGE)
        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # not the event loop's
        try:
            meant = click.confirm(question, err=True)
        except click.Abort:
            meant = False
        finally:
            signal.signal(signal.SIGINT, before)
        if not meant:
            raise Refused("nothing was done", REFUSED)

    @contextmanager
    def progress(self, what: str, total: int | None = None) -> Iterator[Any]:
        """Shows long work on a terminal; ``advance(n)`` tells how far it is. Silent elsewhere."""
        if not sys.stderr.isatty():
            yield lambda _number=1: None
            return
        with Progress(console=self.err, transient=True) as bar:
            task = bar.add_task(what, total=total)
            yield lambda number=1: bar.advance(task, number)


def _clean(text: str) -> str:
    """Without what a terminal would obey: an error's text may hold anything."""
    return text.translate(_OBEYED)


def plain(value: Any) -> Any:
    """What JSON takes: moments in UTC with six digits, durations in seconds."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [plain(each) for each in value]
    if attrs.has(type(value)):
        return plain(attrs.asdict(value, recurse=False))
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str | int | float | None):
        return value
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return getattr(value, "value", str(value))
