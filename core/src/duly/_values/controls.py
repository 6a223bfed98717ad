"""What people say of event names while schedulers run: pauses and limits, and how they are kept.

The rules of a namespace are one note (:class:`~duly.store.SupportsNotes`), a JSON document.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

import attrs

from duly._values.notes import Note
from duly._values.patterns import is_prefix, matches_name
from duly.errors import StoreError

__all__ = [
    "NOTE", "PERMITS", "PREFIXES", "RULES", "Control", "Controlled", "Limit", "Pause", "Rules",
    "is_over", "permit_note", "read", "written",
]  # fmt: skip

NOTE: Final = "controls"
"""The name of the note that holds all rules."""

PERMITS: Final = "permits/"
"""What the names of notes begin with that permits are drawn from."""

RULES: Final = 1000
"""How many rules there may be."""

PREFIXES: Final = 50
"""How many of them may be prefixes."""

_LONGEST: Final = 255  # characters of the name of a note
_FORMAT: Final = 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_KNOWN: Final = 4096  # names of which the answer is remembered


@attrs.frozen(kw_only=True)
class Pause:
    """Nothing of a name is published: since when, until when (None: until somebody resumes it).

    ``reason`` and ``by`` are what was given, empty where nothing was.
    """

    since: datetime
    until: datetime | None = None
    reason: str = ""
    by: str = ""


@attrs.frozen(kw_only=True)
class Limit:
    """How much of a name is published, by all schedulers together: ``rate`` in messages a second.

    ``in_flight`` is how many publishes may be under way at once. None: as many as there are.
    """

    since: datetime
    rate: float | None = None
    in_flight: int | None = None
    reason: str = ""
    by: str = ""


@attrs.frozen(kw_only=True)
class Control:
    """What holds of an event name, or of all names that begin alike: a pause, a limit, or both."""

    pause: Pause | None = None
    limit: Limit | None = None


@attrs.frozen(kw_only=True)
class Controlled:
    """What somebody has said of a ``name``, which may be a prefix: "pause", "resume" or "limit".

    ``before`` and ``control`` are what held and what holds now; ``reason`` and ``by`` as given.
    """

    name: str
    action: str
    before: Control
    control: Control
    reason: str = ""
    by: str = ""


class Rules:
    """All rules at one moment, by name or prefix, and what they say of an event name."""

    def __init__(self, controls: Mapping[str, Control]) -> None:
        self.controls = controls
        paused = [key for key, each in controls.items() if each.pause is not None]
        self.paused: Mapping[str, None] = dict.fromkeys(sorted(paused, key=_wideness))
        """The names and prefixes that are paused, the widest first."""
        self._wide = [key for key in self.paused if is_prefix(key)]
        self.rates = _of_limits(controls, "rate")
        """Messages a second, by name or prefix."""
        self.in_flight = _of_limits(controls, "in_flight")
        """Publishes at once, by name or prefix."""
        self._known: dict[str, str | None] = {}

    def __bool__(self) -> bool:
        return bool(self.controls)

    @property
    def limited(self) -> bool:
        """Whether any rule limits anything."""
        return bool(self.rates or self.in_flight)

    def paused_by(self, name: str) -> str | None:
        """The widest rule that pauses this event name, or this prefix as a whole; None: it flows.

        Any rule that fits pauses it.
        """
        known = self._known
        if name not in known:
            if len(known) >= _KNOWN:
                known.clear()
            wide = next((key for key in self._wide if matches_name(key, name)), None)
            known[name] = name if wide is None and name in self.paused else wide
        return known[name]

    def touch(self, name: str) -> bool:
        """Whether a rule pauses or limits this event name."""
        return any(matches_name(key, name) for key in self.controls)


def read(value: bytes, now: datetime) -> Mapping[str, Control]:
    """The rules that a note holds, but for pauses that are over by ``now``.

    Raises:
        StoreError: it is of a newer format, or none at all.
    """
    try:
        document = json.loads(value)
        if document["format"] != _FORMAT:
            raise StoreError(
                f"the controls have format {document['format']}, and this version of duly knows "
                f"only {_FORMAT}: upgrade this host"
            )
        rules = {name: _control(each, now) for name, each in document["rules"].items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(f"the note of the controls cannot be read: {error!r}") from error
    return MappingProxyType({name: each for name, each in rules.items() if each != Control()})


def written(controls: Mapping[str, Control]) -> bytes:
    """The note that holds these rules."""
    rules = {name: _document(control) for name, control in sorted(controls.items())}
    document = {"format": _FORMAT, "rules": rules}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def permit_note(kind: str, rule: str) -> str:
    """The name of the note that permits of a kind, "rate" or "in_flight", are drawn from."""
    name = f"{PERMITS}{kind}/{rule}"
    if len(name) <= _LONGEST:
        return name
    return f"{PERMITS}{kind}/ {hashlib.sha256(rule.encode()).hexdigest()}"


def is_over(permits: Note) -> bool:
    """Whether nobody holds any of the permits that were drawn from a note, nor is about to."""
    now = (permits.now - _EPOCH) // _MICROSECOND
    try:
        value = json.loads(permits.value)
        ends = [value["next"]] if "next" in value else [until for _, until in value.values()]
        return all(end <= now for end in ends)
    except (ValueError, TypeError, KeyError, AttributeError):
        return True  # nobody can read it, nor draw from it


def _of_limits(controls: Mapping[str, Control], field: str) -> Mapping[str, Any]:
    numbers = {
        key: getattr(each.limit, field) for key, each in controls.items() if each.limit is not None
    }
    return {key: number for key, number in numbers.items() if number is not None}


def _wideness(key: str) -> tuple[bool, int]:
    return not is_prefix(key), len(key)


def _control(document: Mapping[str, Any], now: datetime) -> Control:
    pause = _value(Pause, document.get("pause"))
    limit = _value(Limit, document.get("limit"))
    if pause is not None and pause.until is not None and pause.until <= now:
        pause = None
    return Control(pause=pause, limit=limit)


def _value(kind: type[Any], document: Mapping[str, Any] | None) -> Any:
    if document is None:
        return None
    known = {field.name for field in attrs.fields(kind)}
    given = {name: value for name, value in document.items() if name in known}
    return kind(**{name: _moment(value, name) for name, value in given.items()})


def _moment(value: Any, name: str) -> Any:
    if name not in _MOMENTS or value is None:
        return value
    return _EPOCH + value * _MICROSECOND


def _document(control: Control) -> Mapping[str, Any]:
    return {
        name: {key: _plain(each) for key, each in _said(value)}
        for name, value in (("pause", control.pause), ("limit", control.limit))
        if value is not None
    }


def _said(value: Pause | Limit) -> Iterable[tuple[str, object]]:
    fields = attrs.asdict(value).items()
    return [(name, each) for name, each in fields if each not in (None, "")]


def _plain(value: object) -> object:
    return (value - _EPOCH) // _MICROSECOND if isinstance(value, datetime) else value


_MOMENTS: Final = ("since", "until")
