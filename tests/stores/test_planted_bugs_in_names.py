"""Bugs in what a store takes for the same, and in what it calls things; the cases that catch them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from duly.message import Message, State, with_changes
from duly.store import Bury
from duly.testing.stores.model import Model
from duly.testing.stores.model_entries import Entry


class NoReplacementIsARepeat(Model):
    def _is_repeat(self, message: Message, old: Message, *, replace: bool) -> bool:
        return not replace and super()._is_repeat(message, old, replace=replace)


class ReplacesWhatIsClaimed(Model):
    def _is_repeat(self, message: Message, old: Message, *, replace: bool) -> bool:
        claimed = replace and old.state is State.CLAIMED
        return not claimed and super()._is_repeat(message, old, replace=replace)


class DeadLettersAreRepeated(Model):
    def _is_repeat(self, message: Message, old: Message, *, replace: bool) -> bool:
        return super()._is_repeat(message, old, replace=False)


class KnowsRepeatsByWhereTheyWereMoved(Model):
    def _is_repeat(self, message: Message, old: Message, *, replace: bool) -> bool:
        dead = replace and old.state is State.DEAD
        return message.created_at == old.created_at and not dead


class KnowsRepeatsByEither(Model):
    def _is_repeat(self, message: Message, old: Message, *, replace: bool) -> bool:
        same = super()._is_repeat(message, old, replace=replace)
        return same or message.created_at == old.created_at


class KnowsRepeatsByTheirTime(Model):
    """Of what went on since it was stored, a repeat is taken for another."""

    def _is_repeat(self, message: Message, old: Message, *, replace: bool) -> bool:
        same = super()._is_repeat(message, old, replace=replace)
        return same and not (replace and message.next_attempt_at != old.next_attempt_at)


class RepeatsGoBackToWhereTheyWere(Model):
    def put(self, messages: Sequence[Message], *, replace: bool, as_is: bool = False) -> bool:
        for message in messages:
            old = self.entries.get(message.id)
            if old is not None and self._is_repeat(message, old.message, replace=replace):
                self.reschedule(message.id, message.scheduled_at, State.SCHEDULED)
        return super().put(messages, replace=replace, as_is=as_is)


class ARepeatKeepsItsGroupOut(Model):
    def put(self, messages: Sequence[Message], *, replace: bool, as_is: bool = False) -> bool:
        stored = [self.entries.get(each.id) for each in messages]
        repeated = [
            old is not None and self._is_repeat(new, old.message, replace=replace)
            for old, new in zip(stored, messages, strict=True)
        ]
        return (replace and any(repeated)) or super().put(messages, replace=replace, as_is=as_is)


class RemembersAllThatItReplaced(Model):
    def _is_repeat(self, message: Message, old: Message, *, replace: bool) -> bool:
        same = super()._is_repeat(message, old, replace=replace)
        return same or (replace and message.created_at < old.created_at)


class MovedSeriesKeepTheirNames(Model):
    def _named_anew(self, message: Message, at: datetime) -> Message:
        return message


class MovedMessagesGetNewNames(Model):
    def _named_anew(self, message: Message, at: datetime) -> Message:
        return message if at == message.scheduled_at else self._newer(message, message)


class SeriesGetNewNamesWhereTheyAre(Model):
    def _named_anew(self, message: Message, at: datetime) -> Message:
        return message if message.recurrence is None else self._newer(message, message)


class MovedSeriesForgetWhatTheyWereGiven(Model):
    def _named_anew(self, message: Message, at: datetime) -> Message:
        return with_changes(super()._named_anew(message, at), _given_at=None)


class ReplacesASeriesByWhatItWasGiven(Model):
    def _newer(self, message: Message, replaced: Message) -> Message:
        given = replaced._given_at
        if message is not replaced and given is not None:
            replaced = with_changes(replaced, created_at=given)
        return super()._newer(message, replaced)


class NamesFiresByTheirCount(Model):
    def _put_back(self, entry: Entry, settlement: Any) -> None:
        super()._put_back(entry, settlement)
        count = entry.message.occurrence_count
        entry.message = with_changes(entry.message, _delivery_id=f"{entry.message.id}:0:{count}")


class ARetryIsAnotherFire(Model):
    def _put_back(self, entry: Entry, settlement: Any) -> None:
        super()._put_back(entry, settlement)
        if entry.message.retry_count:
            entry.message = self._newer(entry.message, entry.message)


class BuriedOccurrencesForgetTheirName(Model):
    def reschedule(self, id: str, at: datetime | None, of_state: State) -> State | None:
        found = super().reschedule(id, at, of_state)
        if found is State.DEAD:
            entry = self.entries[id]
            entry.message = with_changes(entry.message, _delivery_id=None)
        return found


class LosesOccurrencesBefore1970(Model):
    """Looks for them elsewhere, because of the sign."""

    def _bury_occurrence(self, entry: Entry, settlement: Bury) -> None:
        super()._bury_occurrence(entry, settlement)
        for id in [each for each in self.entries if ":-" in each]:
            self.entries[f"elsewhere {id}"] = self.entries.pop(id)


CAUGHT_BY: dict[type[Model], str] = {
    NoReplacementIsARepeat: "test_a_replacement_is_repeated",
    ReplacesWhatIsClaimed: "test_a_repeat_against_claim",
    DeadLettersAreRepeated: "test_a_dead_letter_is_replaced_by_its_own_message_once",
    KnowsRepeatsByWhereTheyWereMoved: "test_an_older_replacement_is_repeated",
    KnowsRepeatsByEither: "test_what_a_replacement_was_moved_to_is_not_what_it_was_given",
    KnowsRepeatsByTheirTime: "test_what_went_on_since_stays_where_it_is",
    RepeatsGoBackToWhereTheyWere: "test_what_was_moved_since_stays_where_it_is",
    ARepeatKeepsItsGroupOut: "test_a_group_that_repeats_some_and_replaces_others",
    RemembersAllThatItReplaced: "test_what_was_replaced_is_no_repeat",
    MovedSeriesKeepTheirNames: "test_a_series_moved_to_a_moment_that_has_fired",
    MovedMessagesGetNewNames: "test_what_does_not_recur_keeps_its_name_for_good",
    SeriesGetNewNamesWhereTheyAre: "test_moved_to_where_it_is_a_series_keeps_its_names",
    MovedSeriesForgetWhatTheyWereGiven: "test_what_was_moved_since_stays_where_it_is",
    ReplacesASeriesByWhatItWasGiven: "test_what_replaces_a_series_that_was_moved",
    NamesFiresByTheirCount: "test_a_fire_is_named_by_its_moment_and_not_by_its_count",
    ARetryIsAnotherFire: "test_a_fire_keeps_its_name_until_it_is_over",
    BuriedOccurrencesForgetTheirName: "test_buried_after_a_move_it_is_replayed_under_its_name",
    LosesOccurrencesBefore1970: "test_fires_before_1970",
}


@pytest.mark.parametrize("bug", CAUGHT_BY)
async def test_a_bug_is_caught(assert_caught: Any, bug: type) -> None:
    await assert_caught(bug, CAUGHT_BY[bug])
