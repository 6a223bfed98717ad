"""Bugs that show when somebody looks within a transaction, and the cases that catch them."""

from typing import Any

import pytest
from tests.stores.transacting import TransactingStore, TransactingSuite

from duly import Filter
from duly.message import with_changes
from duly.testing.stores.model import Model


class LooksPastTheTransaction(TransactingStore):
    async def get(self, id: str, *, within: Any = None) -> Any:
        return await super().get(id)


class ListsPastTheTransaction(TransactingStore):
    async def list(self, filter: Any, *, within: Any = None, **more: Any) -> Any:
        return await super().list(filter, **more)


class LooksElsewhere(TransactingStore):
    def seen(self, within: Any) -> Model:
        return super().seen(None if within is not None and within.name is not self else within)


class ShowsWhatIsNotCommitted(TransactingStore):
    def seen(self, within: Any) -> Model:
        assert isinstance(self._model, Model)
        return self._model


class CommitsWhatIsLookedAt(TransactingStore):
    def seen(self, within: Any) -> Model:
        if within is not None and within.began:
            self.committed = self._model
        return super().seen(within)


class ShowsHalfOfIt(TransactingStore):
    async def get(self, id: str, *, within: Any = None) -> Any:
        found = await super().get(id, within=within)
        return found if found is None or within is None else with_changes(found, payload=b"")


class ListsWithoutItsFilter(TransactingStore):
    async def list(self, filter: Any, *, within: Any = None, **more: Any) -> Any:
        return await super().list(Filter() if within else filter, within=within, **more)


class TakesALookForAClaim(TransactingStore):
    async def get(self, id: str, *, within: Any = None) -> Any:
        if within is not None:
            await super().cancel([id], within=within)
        return await super().get(id, within=within)


CAUGHT_BY: dict[type[TransactingStore], str] = {
    LooksPastTheTransaction: "test_a_look_shows_what_the_transaction_did",
    ListsPastTheTransaction: "test_a_look_shows_what_the_transaction_did",
    LooksElsewhere: "test_a_look_elsewhere_is_refused",
    ShowsWhatIsNotCommitted: "test_a_look_without_the_transaction_shows_nothing_of_it",
    CommitsWhatIsLookedAt: "test_looking_within_changes_nothing",
    ShowsHalfOfIt: "test_a_look_within_shows_the_whole_message",
    ListsWithoutItsFilter: "test_a_list_within_takes_every_filter",
    TakesALookForAClaim: "test_looking_within_changes_nothing",
}


@pytest.mark.parametrize("bug", CAUGHT_BY)
async def test_a_bug_in_a_look_is_caught(
    assert_caught_in: Any, bug: type[TransactingStore]
) -> None:
    await assert_caught_in(TransactingSuite(bug), TransactingSuite(), CAUGHT_BY[bug])
