"""Bugs that show when the server goes away or when opening is given up, and what catches them."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from tests.stores.remote import PASSWORD, RemoteStore, RemoteSuite

from duly import MemoryStore, StoreError, StoreUnavailable
from duly.store import Clock, Group, Store
from duly.testing.stores import StoreSuite


class TestRemoteStore(RemoteSuite):
    """Without a bug it passes every case."""

    __init__ = object.__init__  # pytest collects no class that has one of its own
    outage_patience = 30.0

    @pytest.fixture(autouse=True)
    def _no_servers(self) -> None:
        RemoteSuite.__init__(self)


class RaisesWhatTheDriverRaises(RemoteStore):
    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        yield


class OpensWithoutTranslating(RemoteStore):
    async def connect(self) -> object:
        await self.server.reach()
        return await super().connect()


class IsCancelledByItself(RemoteStore):
    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            raise asyncio.CancelledError from None


class WaitsForTheServer(RemoteStore):
    async def call(self, *arguments: Any, **more: Any) -> Any:
        while True:
            with contextlib.suppress(StoreUnavailable):
                return await super().call(*arguments, **more)
            await asyncio.sleep(0.001)


class DoesNotComeBack(RemoteStore):
    was_away = False

    async def call(self, *arguments: Any, **more: Any) -> Any:
        if self.was_away:
            raise StoreUnavailable("the connection is broken")
        try:
            return await super().call(*arguments, **more)
        except StoreUnavailable:
            self.was_away = True
            raise


class SaysDoneAllTheSame(RemoteStore):
    async def cancel(self, ids: Any, **more: Any) -> Any:
        with contextlib.suppress(StoreUnavailable):
            return await super().cancel(ids, **more)
        return [None for _ in ids]


class ForgetsWhatItCannotReach(RemoteStore):
    async def get(self, id: str) -> Any:
        with contextlib.suppress(StoreUnavailable):
            return await super().get(id)


class PutsOneByOne(RemoteStore):
    async def put(self, groups: Any, **more: Any) -> Any:
        for group in groups:
            for message in group.messages:
                ((outcome),) = await super().put([Group([message], group.replace)])
                if outcome is not None:
                    return [outcome]
        return [None for _ in groups]


class TellsItsPasswordInErrors(RemoteStore):
    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreUnavailable("the server is away") from error


class TellsItsPassword(RemoteStore):
    def __repr__(self) -> str:
        return f"RemoteStore('remote://user:{PASSWORD}@server')"


class KeepsItsTurnWhenCancelled(RemoteStore):
    async def call(self, *arguments: Any, **more: Any) -> Any:
        await self.turn.acquire()
        try:
            answer = await super().call(*arguments, **more)
        except StoreError:
            self.turn.release()
            raise
        self.turn.release()
        return answer


class OpensOnceForEach(RemoteStore):
    async def open(self) -> None:
        if self.connection is None:
            self.connection = await self.connect()


class LeavesOpenWhatWasCancelled(RemoteStore):
    async def connect(self) -> object:
        connection = object()
        self.server.connections.append(connection)
        try:
            with self.translated():
                await self.server.reach()
        except Exception:
            self.server.connections.remove(connection)
            raise
        return connection


class OneGivesUpForAll(RemoteStore):
    opening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        if self.opening is None:
            self.opening = asyncio.ensure_future(super().open())
        await self.opening

    async def close(self) -> None:
        self.opening = None
        await super().close()


CAUGHT_BY: dict[type[RemoteStore], str] = {
    RaisesWhatTheDriverRaises: "test_away",
    OpensWithoutTranslating: "test_opened_while_it_is_away",
    IsCancelledByItself: "test_again_and_again",
    WaitsForTheServer: "test_again_and_again",
    DoesNotComeBack: "test_again_and_again",
    SaysDoneAllTheSame: "test_away",
    ForgetsWhatItCannotReach: "test_away",
    PutsOneByOne: "test_it_goes_in_the_middle",
    TellsItsPasswordInErrors: "test_away",
    TellsItsPassword: "test_it_does_not_tell_its_secrets",
    KeepsItsTurnWhenCancelled: "test_it_freezes_in_the_middle",
    OpensOnceForEach: "test_opened_by_many_and_closed_once",
    LeavesOpenWhatWasCancelled: "test_opening_is_cancelled_at_any_point",
    OneGivesUpForAll: "test_one_who_gives_up_opening_stops_nobody_else",
}


@pytest.mark.parametrize("bug", CAUGHT_BY)
async def test_a_bug_is_caught(assert_caught_in: Any, bug: type[RemoteStore]) -> None:
    async with asyncio.timeout(50):
        await assert_caught_in(RemoteSuite(bug), RemoteSuite(), CAUGHT_BY[bug])


class Silent(StoreSuite):
    """Neither gives what is needed nor says why not."""

    async def make_store(self, namespace: str, clock: Clock | None) -> Store:
        return MemoryStore(clock=clock)


@pytest.mark.parametrize(
    ("case", "named"),
    [
        ("test_again_and_again", 'give outage, or say why not: no_outages = "..."'),
        ("test_opened_by_many_and_closed_once", 'or say why not: no_connections = "..."'),
        ("test_it_does_not_tell_its_secrets", 'give secrets, or say why not: no_secrets = "..."'),
    ],
)
async def test_who_says_nothing_is_told_what_to_say(case: str, named: str) -> None:
    suite = Silent()
    async with suite.bench() as desk:
        with pytest.raises(pytest.fail.Exception, match=named):
            await getattr(suite, case)(desk)


class Excused(RemoteSuite):
    no_outages = "it is never away"


async def test_an_excuse_is_the_reason_of_the_skip() -> None:
    suite = Excused()
    async with suite.bench() as desk:
        for case in (suite.test_again_and_again, suite.test_opened_while_it_is_frozen):
            with pytest.raises(pytest.skip.Exception, match="it is never away"):
                await case(desk)
