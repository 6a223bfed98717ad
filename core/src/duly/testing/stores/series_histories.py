"""Long histories of series that are ensured and declared, beside all else that befalls them."""

import asyncio
import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from duly.message import Filter, Message, State
from duly.recurrence import Cron, Every
from duly.store import Declared, Settle, Settlement, SupportsEnsure, SupportsWhere
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.histories import History
from duly.testing.stores.history_parts import Held, Said
from duly.testing.stores.model_entries import Entry
from duly.testing.stores.series_draws import BY, IDS, NAMES, SeriesDraws
from duly.testing.stores.situations import SECOND
from duly.testing.stores.some_settlements import SERIES_KINDS, settlement_of

_HELD: Final = 4  # batches of late, of which something is said
_SHOWN: Final = 12  # steps before the one that fails

_STEPS: Final = {
    "ensure": 10, "declare": 7, "undeclare": 3, "pass_on": 12, "take": 12, "give_back": 10,
    "withdraw": 1, "move": 2, "store": 2, "restore": 1, "prolong": 2,
}  # fmt: skip
"""How often each is done."""


class SeriesHistory(History):
    """A history of a store that is :class:`~duly.store.SupportsEnsure`, by a seed."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._drawn = SeriesDraws(seed)
        self._told: list[str] = []

    def live(self, steps: int) -> None:
        """Do so many steps, and compare after each.

        Raises:
            AssertionError: the store does not do as the model; with the last steps in its notes.
        """
        names = self._drawn.weighted(_STEPS, steps)
        for number, name in enumerate(names):
            try:
                getattr(self, f"_{name}")(number)
                self.everything_is_as_the_model_has_it()
                self._what_follows_is_as_the_model_has_it()
            except Exception as error:
                error.add_note(f"step {number}, after\n" + "\n".join(self._told[-_SHOWN:]))
                raise

    # --- the steps

    def _ensure(self, _: int, declared: Declared | None = None) -> None:
        fewest = 1 if declared is None else 0
        wanted = [self._drawn.series(id, self.model.now) for id in self._drawn.ids(fewest)]
        expected = self.model.ensure(wanted, declared)
        self._tell("ensure", declared, [*map(_definition, wanted)], expected)
        outcomes = self._run(self._store_of_series().ensure(wanted, declared=declared))
        assert [*map(_kind, outcomes)] == [*map(_kind, expected)]

    def _declare(self, number: int) -> None:
        self._ensure(number, Declared(self._drawn.one_of(BY), self._drawn.generation(number)))

    def _undeclare(self, number: int) -> None:
        by, generation = self._drawn.one_of(BY), self._drawn.generation(number)
        expected = self.model.undeclare(by, generation)
        self._tell("undeclare", by, generation, expected)
        gone = self._run(self._store_of_series().undeclare(by, generation))
        assert sorted(gone, key=str) == sorted(expected, key=str)

    def _pass_on(self, _: int) -> None:
        """To a moment at which something is due, or next to it; or for a while."""
        model, moment = self.model, timedelta(microseconds=self._drawn.one_of([-1, 0, 0, 1]))
        known = [each.due for each in model.entries.values()] + [each.end for each in model.leases]
        known = [each + moment for each in known if each + moment > model.now]
        if known and self._drawn.happens(0.5):
            duration = self._drawn.one_of(known) - model.now
        else:
            duration = self._drawn.below(20 * SECOND)
        self._tell("pass", duration)
        model.now += duration
        self._run(self.desk.pass_time(duration))

    def _take(self, _: int) -> None:
        limit, seconds = self._drawn.one_of([1, 2, 9]), self._drawn.one_of([1, 5, 60])
        self._tell("claim", limit, seconds)
        self._claim(None, limit, seconds, {}, suspects=self._drawn.happens(0.9))

    def _give_back(self, _: int) -> None:
        self.settle(None)

    def _prolong(self, _: int) -> None:
        self._tell("renew")
        self.renew(None, self._drawn.one_of([1, 5, 60]))

    def _withdraw(self, _: int) -> None:
        ids, state = self._drawn.ids(1), self._drawn.one_of([None, *State])
        self._tell("cancel", ids, state)
        self.cancel(ids, state)

    def _move(self, _: int) -> None:
        id, seconds = (
            self._drawn.one_of([*IDS, *self.model.entries]),
            self._drawn.one_of([None, -3, 0, 4]),
        )
        self._tell("reschedule", id, seconds)
        self.reschedule(
            id, seconds, self._drawn.one_of([State.SCHEDULED, State.SCHEDULED, State.DEAD])
        )

    def _store(self, _: int) -> None:
        """By the verb for all messages, a single one or a series, which may replace."""
        message = self.desk.message(
            self._drawn.one_of(IDS),
            event_name=self._drawn.one_of(NAMES),
            scheduled_at=self.model.now + self._drawn.one_of([-3, 0, 4]) * SECOND,
            recurrence=self._drawn.one_of([None, Every(6 * SECOND), Cron("* * * * *")]),
        )
        self._tell("put", _definition(message))
        self._put([message], replace=self._drawn.happens(0.6))

    def _restore(self, _: int) -> None:
        """What is listed goes and comes back as it is, or in the place of what is there."""
        found = list(self._run(self.desk.store.list(Filter())))
        some = [self._drawn.one_of(found)] if found else []
        self._tell("restore", [each.id for each in some])
        if self._drawn.happens(0.6):
            self.cancel([each.id for each in some], None)
        if some:
            self._put(some, replace=self._drawn.happens(0.5), as_is=True)

    # --- what is said of batches

    def _some(self, data: Any) -> Sequence[Held]:
        late = self.held[-_HELD:]
        return (
            [self._drawn.one_of(late) for _ in range(self._drawn.one_of([1, 1, 2]))] if late else []
        )

    def _say(self, data: Any, held: Held) -> Said:
        claimed = held.lease.claimed
        only = None
        if self._drawn.happens(0.4):
            only = self._drawn.some_of(claimed)
        exceptions: dict[Entry, Settlement] = {}
        for entry in claimed if only is None else only:
            settlement = self._settlement(held.claim_of(entry).message)
            if settlement is not None:
                exceptions[entry] = settlement
        told = {held.claim_of(entry).key: each for entry, each in exceptions.items()}
        keys = None if only is None else [held.claim_of(entry).key for entry in only]
        self._tell("settle", held.batch.token, only and [*map(repr, only)], [*told.values()])
        return Settle(held.batch.token or "", told, keys), (held.lease, exceptions, only)

    def _settlement(self, message: Message) -> Settlement | None:
        """Mostly what a scheduler would say: the next fire, or the latest that was missed."""
        kind = self._drawn.one_of(
            [None, *SERIES_KINDS, "fire", "fire", "fire", "bury and go on", "miss"]
        )
        at, now, rule = (
            self.model.now + self._drawn.one_of([-3, 0, 1, 6]) * SECOND,
            self.model.now,
            None,
        )
        if self._drawn.happens(0.7):
            rule = message.recurrence
        if rule is not None and kind == "miss":
            at = rule.latest(message.scheduled_at, now)
        elif rule is not None and kind in ("fire", "bury and go on"):
            at = rule.following(message.scheduled_at) or at
        return settlement_of(message, kind, at)

    # --- what is compared, and told

    def _what_follows_is_as_the_model_has_it(self) -> None:
        store = self.desk.store
        if not isinstance(store, SupportsWhere):
            return
        id = self._drawn.one_of(IDS)
        found, entry = self._run(store.where(id)), self.model.entries.get(id)
        assert (found is None) == (entry is None)
        if found is not None and entry is not None:
            assert found.follows == self.model.follows(entry)
            assert found.due_at == (entry.due if found.state is State.SCHEDULED else None)

    def _store_of_series(self) -> SupportsEnsure:
        store = self.desk.store
        assert isinstance(store, SupportsEnsure)
        return store

    def _tell(self, *what: object) -> None:
        self._told.append(f"{self.model.now:%H:%M:%S.%f} {' '.join(map(str, what))}")


def _kind(outcome: object) -> object:
    return type(outcome) if isinstance(outcome, Exception) else outcome


def _definition(of: Message) -> tuple[object, ...]:
    return of.id, of.event_name, of.payload[:9], dict(of.metadata), of.recurrence


class SeriesHistoryCases(StoreHarness):
    """Histories of series, compared step by step with a dictionary."""

    series_steps = 400
    """How many steps each history has, at scale 1."""

    async def test_histories_of_series(self) -> None:
        """Of six seeds, or of as many as the variable DULY_SEEDS says: the same each time."""
        for seed in range(int(os.environ.get("DULY_SEEDS", "6"))):
            await asyncio.to_thread(live, self, seed, self.many(self.series_steps))


def live(harness: StoreHarness, seed: int, steps: int) -> None:
    """Live through the history of a seed, on an event loop of its own."""
    history = type("SeriesHistoryOfThisStore", (SeriesHistory,), {"harness": harness})(seed)
    try:
        history.live(steps)
    except Exception as error:
        error.add_note(f"of the history of series with the seed {seed}")
        raise
    finally:
        history.teardown()
