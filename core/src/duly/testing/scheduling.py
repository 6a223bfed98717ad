"""What may happen to one scheduling, entry by entry."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from duly.message import Message
from duly.testing.course import Course, Place, told
from duly.testing.entries import Entry, name_of

__all__ = ["Scheduling"]

_TAKEN_UP: Final = ("bury", "discard")
_MICROSECOND: Final = timedelta(microseconds=1)


class Scheduling:
    """One message as it was stored once, and what has become of it so far.

    The store's clock may be estimated ``behind`` or ``ahead``; two claims take at most ``slow``.
    """

    def __init__(
        self, message: Message, behind: timedelta, ahead: timedelta, slow: timedelta
    ) -> None:
        self.name = name_of(message)
        self._behind, self._ahead, self._slow = behind, ahead, slow
        self._in_flight: set[str] = set()  # the processes that are publishing it
        self._adrift: set[str] = set()  # those whose publish nobody can call back
        self._strayed: set[str] = set()  # those whose publish ended only after that
        self._left_over: set[str] = set()  # those who may begin what was taken away from them
        self._void: set[str] = set()  # tokens under which it was taken away
        self._removed = ""
        self._places: set[Place] = set()  # what it may be found to be
        self._fresh = True  # this fire was not claimed yet: it may be found missed
        self._lapses = 0
        self._holder = self._token = self._decision = ""
        self._until: datetime | None = None
        self._claimed: Place = None
        self._due: datetime | None = None  # where it stood in line when it was claimed
        self._begun = self._missed = False
        self.store(message, (message.occurrence_count, message.scheduled_at))

    def store(self, message: Message, place: Place) -> None:
        """It is stored, or replayed, and waits for its time."""
        self._message = message
        self._course = Course(message)
        self._fires: dict[str, Place] = {}  # by delivery id
        self._adrift |= self._in_flight  # what is left of an earlier life
        self._in_flight.clear()
        if self._removed and self._token:
            self._left_over.add(self._holder)
        self._removed = ""
        self._wait(place, fresh=True)

    def renew(self, token: str, until: datetime) -> None:
        """A lease lasts longer."""
        if token == self._token:
            self._until = until

    def lose_track(self, process: str, *, dead: bool) -> None:
        """A process died, or was frozen: then what it publishes may arrive much later."""
        if process in self._in_flight and not dead:
            self._adrift.add(process)
        self._in_flight.discard(process)
        if dead:
            self._adrift.discard(process)
            self._left_over.discard(process)

    def is_void(self, token: str) -> bool:
        """Whether it was taken away from the holder of that token."""
        return token in self._void

    def follow(self, entry: Entry) -> str | None:
        """Take up what happened next; which rule it breaks, None for none."""
        follow = {
            "claimed": self._claim,
            "settled": self._settle,
            "moved": self._be_moved,
            "cancelled": self._remove,
            "too late": self._remove,
            "replaced": self._remove,
            "begun": self._begin,
            "accepted": self._accept,
            "ended": self._end,
            "decided": self._decide,
            "put off": self._put_off,
        }.get(entry.what)
        return None if follow is None else next(follow(entry), None)

    def conclude(self) -> str | None:
        """Which rule is broken now that nothing more happens, None for none."""
        if self._removed or None in self._places:
            return None
        return f"R1: lost, nothing came of {self._expected()}"

    # --- what the store did; each yields the rules that are broken

    def _claim(self, entry: Entry) -> Iterator[str]:
        message, place = entry.message, entry.place
        assert message is not None and place is not None and entry.now is not None  # noqa: PT018  # as it is for claims
        if self._removed:
            yield f"R4: claimed although {self._removed}"
        named = self._fires.setdefault(message.delivery_id, place)
        if message.recurrence is not None and named != place:
            yield f"R9: {message.delivery_id} is {told(named)} and {told(place)}"
        if place not in self._places:
            yield self._wrong(place)
        if entry.at < message.next_attempt_at:
            yield f"R2: claimed {message.next_attempt_at - entry.at} early"
        lapses = self._lapses + bool(self._token)
        if entry.lapses != lapses:
            yield f"R7: {entry.lapses} lapses, not {lapses}"
        if self._until is not None and entry.at < self._until:
            yield f"R3: claimed while {self._holder} holds it until {self._until:%H:%M:%S.%f}"
        instead, self._missed = set[Place](), False
        if self._fresh:
            instead, self._missed = self._course.instead(*place, entry.now, self._slow)
        self._places = {place, *instead}
        self._holder, self._token, self._until = entry.process, entry.token, entry.until
        self._claimed, self._lapses, self._fresh = place, lapses, False
        self._due = message.next_attempt_at
        self._begun, self._decision = False, ""

    def _settle(self, entry: Entry) -> Iterator[str]:
        if self.is_void(entry.token):
            return  # whatever that holder says of it is ignored
        place = entry.place
        if entry.token != self._token:
            yield f"R3: settled by {entry.process}, claimed by {self._holder or 'nobody'}"
        if entry.detail == "buried" and self._decision != "bury":
            yield "R8: buried, but nobody decided so"
        if place not in self._places:
            yield "R1: deleted, but not delivered" if place is None else self._wrong(place)
        if self._begun and not self._is_its_place(entry):
            yield f"R11: interrupted and put back for {entry.until}, not at its place"
        lapses = self._lapses if entry.detail == "put back" else 0
        own = entry.moment and self._course.due(entry.moment)  # at another it was claimed before
        self._wait(place, fresh=place != self._claimed and entry.until == own)
        self._lapses = lapses

    def _is_its_place(self, entry: Entry) -> bool:
        """Whether what was put back after a publish that told nothing stands where it stood."""
        if entry.detail == "put back":
            return entry.until == self._due
        if entry.detail != "went on" or entry.place != self._claimed or self._decision:
            return True
        fire = entry.moment  # which tells by a moment of its own that it was claimed before
        return fire is not None and entry.until in (self._due, fire + _MICROSECOND)

    def _be_moved(self, entry: Entry) -> Iterator[str]:
        message = entry.message
        assert message is not None
        place = (message.occurrence_count, message.scheduled_at)
        if self._removed or place not in self._places:
            yield self._wrong(place)
        self._wait(entry.place, fresh=True)

    def _remove(self, entry: Entry) -> Iterator[str]:
        if self._removed or self._places == {None}:
            yield f"R3: {entry.what} although {self._removed or 'settled'}"
        self._removed = entry.what
        if self._token:
            self._void.add(self._token)

    # --- what schedulers did

    def _begin(self, entry: Entry) -> Iterator[str]:
        if entry.process in self._left_over and (entry.process != self._holder or self._begun):
            self._left_over.discard(entry.process)
            self._adrift.add(entry.process)
            return  # of an earlier life that ended too late for this holder
        others = self._in_flight - {entry.process}
        expires_at = self._message.expires_at
        assert entry.moment is not None
        if entry.at < entry.moment:
            yield f"R2: published {entry.moment - entry.at} early"
        if self._removed == "cancelled":
            yield "R4: published although cancelled"
        if entry.process != self._holder:
            yield f"R3: published by {entry.process}, claimed by {self._holder or 'nobody'}"
        if self._in_flight:
            yield f"R5: published while {', '.join(others) or 'itself'} still does"
        if self._begun:
            yield "R4: published twice under one claim"
        if self._missed:
            yield "R9: published, but it was found missed"
        if entry.place != self._claimed:
            yield self._wrong(entry.place)
        if expires_at is not None and entry.at >= expires_at + self._behind:
            yield f"R13: published {entry.at - expires_at} after it had expired"
        self._in_flight.add(entry.process)
        self._begun = True

    def _accept(self, entry: Entry) -> Iterator[str]:
        if self._removed == "cancelled" and entry.process not in self._adrift:
            yield "R4: delivered although cancelled"
        if entry.process == self._holder and self._begun:
            self._take_up()
        elif entry.process not in self._adrift:
            yield f"R5: delivered by {entry.process}, whose claim had ended"

    def _end(self, entry: Entry) -> Iterator[str]:
        self._in_flight.discard(entry.process)
        if entry.process in self._adrift:
            self._adrift.discard(entry.process)
            self._strayed.add(entry.process)
        yield from ()

    def _decide(self, entry: Entry) -> Iterator[str]:
        if entry.process != self._holder or entry.lapses != self._lapses:
            return  # it was fenced, and its verdict is void
        verdict, _, error = entry.detail.partition(" ")
        expires_at = self._message.expires_at
        if error == "Expired":
            if expires_at is None or entry.at < expires_at - self._ahead:
                yield f"R13: taken for expired, but it expires only at {expires_at}"
        elif error and not self._begun:
            if entry.process in self._strayed:
                return  # it is about a publish of an earlier life
            yield f"R8: {verdict} for {error}, but it was not published"
        self._decision = verdict
        if verdict in _TAKEN_UP:
            self._take_up()

    def _put_off(self, entry: Entry) -> Iterator[str]:
        if entry.process == self._holder:
            self._decision = entry.what
        yield from ()

    # --- what is known of it

    def _wait(self, place: Place, *, fresh: bool) -> None:
        self._places, self._fresh, self._lapses = {place}, fresh, 0
        self._holder = self._token = self._decision = ""
        self._until = self._claimed = None
        self._begun = False

    def _take_up(self) -> None:
        """This occurrence may be over."""
        if self._claimed is not None:
            self._places.add(self._course.after(*self._claimed))

    def _wrong(self, place: Place) -> str:
        if self._places == {None}:
            return "R3: back although it was settled"
        return f"R3: occurrence {told(place)}, not {self._expected()}"

    def _expected(self) -> str:
        return " or ".join(sorted(map(told, self._places)))
