"""What a claim of a store with lines may have done, whichever of its ways it went."""

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Self

import attrs

from duly.store import Rooms
from duly.testing.stores.model import Model
from duly.testing.stores.model_entries import Entry, in_order

__all__ = ["Look"]


@attrs.frozen
class Look:
    """What a claim found, and what it was asked for."""

    main: Sequence[Entry]
    """What is due in the main line and no suspect, earliest first."""
    suspects: Sequence[Entry]
    """Those that are due and not passed over."""
    aside: Sequence[Entry]
    limit: int
    most: Mapping[str, int]

    @classmethod
    def at(cls, model: Model, limit: int, most: Mapping[str, int], *, suspects: bool) -> Self:
        """What there is in a model."""
        due = [each for each in model.main(Rooms(most), suspects=suspects) if each.due <= model.now]
        main = [each for each in due if not each.suspect]
        return cls(main, [each for each in due if each.suspect], model.aside(), limit, most)

    def check(self, taken: Sequence[Entry], aside: Collection[Entry], moved: int) -> Rooms:
        """Whether it may have taken these, when those stand aside afterwards; what is left.

        ``moved`` is how many it says that it moved.
        """
        stayed = [each for each in aside if each in self.aside]
        came = [each for each in aside if each not in self.aside]
        assert {*self.aside} - {*taken} == {*stayed}, "what stood aside is somewhere else"
        assert {*came} <= {*self.main}, "moved what is not due, or a suspect"
        assert {*taken} <= {*self.main, *self.suspects, *self.aside}, "took what is not due"
        for before, after in itertools.pairwise(taken):
            assert in_order(before, after), "took in the wrong order"
        if any(each.suspect for each in taken):
            self._check_suspect(taken, moved)
        else:
            self._check_ordinary(taken, stayed, came, moved)
        rooms = Rooms(self.most)
        for each in taken:
            rooms.hand_out(_name(each))
        self._check_reasons(rooms, came)
        if len(taken) < self.limit and not any(each.suspect for each in taken):
            assert all(rooms.left(_name(each)) == 0 for each in aside), "took too few"
        return rooms

    def _check_suspect(self, taken: Sequence[Entry], moved: int) -> None:
        assert len(taken) == 1, "took a suspect together with others"
        assert not moved, "moved some beside a suspect"
        first = taken[0]
        others = [each for each in (*self.main, *self.suspects) if each is not first]
        assert all(in_order(first, each) for each in others), "took a suspect out of turn"

    def _check_ordinary(
        self, taken: Sequence[Entry], stayed: Sequence[Entry], came: Sequence[Entry], moved: int
    ) -> None:
        met = [each for each in taken if each in self.main]
        given = [each for each in taken if each in self.aside]
        for suspect in self.suspects:
            assert any(in_order(each, suspect) for each in self.main), "passed a suspect over"
        rest = [each for each in self.main if each not in met and each not in came]
        assert not rest or len(taken) == self.limit, "left some in the main line"
        for each in (*met, *came):
            assert all(in_order(each, other) for other in rest), "looked past what it left"
        for each in given:
            assert _all_behind(each, stayed), "took later ones of a siding first"
        for each in met:
            if each.message.recurrence is None:
                assert _all_behind(each, (*stayed, *came)), "took one before those of its name"
        self._check_numbers(met, given)
        both = {_name(each) for each in self.aside}
        most = len(came) + sum(_name(each) in both for each in met)
        assert len(came) <= moved <= most, "told another number of those it moved"

    def _check_numbers(self, met: Sequence[Entry], given: Sequence[Entry]) -> None:
        """No more than ``most`` of any name, and half for each."""
        rooms = Rooms(self.most)
        for each in (*met, *given):
            recurs = each in met and each.message.recurrence is not None
            if not recurs or rooms.may_wait(_name(each), recurs=True):
                assert rooms.left(_name(each)) != 0, "took too many of a name"
                rooms.hand_out(_name(each))
        half, rooms, could = self.limit // 2, Rooms(self.most), 0
        for each in self.aside:
            if rooms.left(_name(each)) != 0:
                rooms.hand_out(_name(each))
                could += 1
        assert len(given) >= min(half, could), "took less than half from sidings"
        both, fresh = {_name(each) for each in self.aside}, Rooms(self.most)
        free = [
            each
            for each in self.main
            if fresh.left(_name(each)) is None and _name(each) not in both
        ]
        assert len(met) >= min(half, len(free)), "took less than half from the main line"

    def _check_reasons(self, rooms: Rooms, came: Sequence[Entry]) -> None:
        """Whether those that came aside had to."""
        both = {_name(each) for each in self.aside}
        for each in came:
            name, recurs = _name(each), each.message.recurrence is not None
            assert rooms.left(name) == 0 or name in both, "moved one that had not to wait"
            assert rooms.may_wait(name, recurs=recurs), "moved what recurs"


def _name(entry: Entry) -> str:
    return entry.message.event_name


def _all_behind(entry: Entry, others: Sequence[Entry]) -> bool:
    """Whether all others of its name come after it."""
    return all(in_order(entry, each) for each in others if _name(each) == _name(entry))
