"""What a store with lines must do when it claims, written as plainly as possible."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from duly.message import State, with_changes
from duly.store import LOOKED_AT, SIDINGS, Rooms
from duly.testing.stores.model_entries import Entry

__all__ = ["LinesModel"]


class LinesModel:
    """The part of the model for stores that are :class:`~duly.store.SupportsLines`."""

    now: datetime

    def __init__(self) -> None:
        self.visited = ""  # the name of the siding that was visited last
        self.odd = False  # whether the sidings had the larger half

    # --- what there is

    def aside(self) -> Sequence[Entry]:
        """All that stands aside, earliest first."""
        return [each for each in self.of_state(State.SCHEDULED) if each.aside]

    def siding(self, name: str) -> Sequence[Entry]:
        """What stands aside of a name, earliest first."""
        return [each for each in self.aside() if each.message.event_name == name]

    def main(self, rooms: Rooms, *, suspects: bool) -> Sequence[Entry]:
        """What waits in the main line, due or not, of what a claim takes or moves."""
        return [
            each
            for each in self._waiting(suspects=suspects)
            if not (each.suspect and rooms.passes_over(each.message.event_name))
        ]

    def gives(self, name: str, rooms: Rooms) -> bool:
        """Whether the siding of a name may give some."""
        return rooms.left(name) != 0 and bool(self.siding(name))

    def giving(self, rooms: Rooms) -> Sequence[str]:
        """The names whose sidings may give some, the one whose turn it is first."""
        names = sorted({each.message.event_name for each in self.aside()})
        names = [each for each in names if each > self.visited] + [
            each for each in names if each <= self.visited
        ]
        return [each for each in names if self.gives(each, rooms)]

    def more(self, rooms: Rooms, *, suspects: bool) -> bool:
        """Whether another claim could bring or move something, with what is left."""
        due = [each for each in self.main(rooms, suspects=suspects) if each.due <= self.now]
        return bool(due or self.giving(rooms))

    def kept_back(self, rooms: Rooms) -> bool:
        """Whether anything stands aside of which nothing may be handed out."""
        return any(rooms.left(each.message.event_name) == 0 for each in self.aside())

    # --- a claim

    def take_in_lines(
        self, limit: int, rooms: Rooms, *, suspects: bool
    ) -> tuple[Sequence[Entry], int]:
        """What a claim takes, and how many it moves aside."""
        due = [each for each in self.main(rooms, suspects=suspects) if each.due <= self.now]
        if due and due[0].suspect:
            self.hand_out(due[0], rooms)
            return due[:1], 0
        taken = self.pull(self.half(limit), rooms)
        passed = self.look_past(limit - len(taken), rooms)
        moved = [each for each in passed if each.aside]
        taken += [each for each in passed if not each.aside]
        taken += self.pull(limit - len(taken), rooms)
        return sorted(taken, key=lambda each: (each.due, each.number)), len(moved)

    def half(self, limit: int) -> int:
        """The half that sidings have."""
        self.odd = not self.odd
        return (limit + self.odd) // 2

    def look_past(self, limit: int, rooms: Rooms) -> Sequence[Entry]:
        """Hand out so many of the main line, and move aside what is met and has to wait."""
        passed: list[Entry] = []
        innocent = [each for each in self._waiting(suspects=False) if each.due <= self.now]
        for entry in innocent[:LOOKED_AT]:
            if sum(not each.aside for each in passed) >= limit:
                break
            if self.has_to_wait(entry, rooms):
                entry.aside = True
            else:
                self.hand_out(entry, rooms)
            passed.append(entry)
        return passed

    def has_to_wait(self, entry: Entry, rooms: Rooms) -> bool:
        """Whether one that is met in the main line is moved aside."""
        name = entry.message.event_name
        recurs = entry.message.recurrence is not None
        full = rooms.left(name) == 0 or bool(self.siding(name))
        return full and rooms.may_wait(name, recurs=recurs)

    def pull(self, limit: int, rooms: Rooms) -> list[Entry]:
        """Take so many out of sidings, one of each in turn."""
        taken: list[Entry] = []
        names = self.giving(rooms)[:SIDINGS]
        while names and len(taken) < limit:
            for name in names:
                if len(taken) == limit or not self.gives(name, rooms):
                    continue
                first = self.siding(name)[0]
                self.hand_out(first, rooms)
                self.visited = name
                taken.append(first)
            names = [each for each in names if self.gives(each, rooms)]
        return taken

    def hand_out(self, entry: Entry, rooms: Rooms) -> None:
        """Take one, wherever it stands."""
        entry.aside = False
        entry.message = with_changes(entry.message, state=State.CLAIMED)
        rooms.hand_out(entry.message.event_name)

    def of_state(self, state: State) -> Iterator[Entry]:
        raise NotImplementedError

    def _waiting(self, *, suspects: bool) -> Sequence[Entry]:
        raise NotImplementedError
