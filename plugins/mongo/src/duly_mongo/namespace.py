"""A collection of messages, those beside it, and transactions over them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import ReadPreference, WriteConcern
from pymongo.errors import BulkWriteError
from pymongo.read_concern import ReadConcern

from duly import StoreUnavailable
from duly.store import Clock
from duly_mongo.clocks import now_expression
from duly_mongo.errors import DUPLICATE
from duly_mongo.handles import in_session, resolve

__all__ = ["PATIENCE", "TRIES", "Namespace"]

T = TypeVar("T")

# A document may hold what duly did not write; reading it must not make the others fail.
_CODECS: Final[CodecOptions[dict[str, Any]]] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_MS,
    unicode_decode_error_handler="surrogateescape",
)
_AT_ONCE: Final = 10_000  # documents of an answer, as long as they are not large
PATIENCE: Final = 20.0
"""Seconds after which the caller of a transaction hears that nobody answers."""

TRIES: Final = 20
"""How often something is tried that somebody else was in the way of each time."""


class Namespace:
    """What the verbs of an open store work on.

    ``transactional`` tells whether the server has transactions and change streams: members of
    replica sets and sharded clusters have.
    """

    def __init__(
        self, database: Any, collection: str, clock: Clock | None, *, transactional: bool
    ) -> None:
        self.write_concern = concern_of(database)
        self.database = database
        self.transactional = transactional
        self._clock = clock
        self._under_way: set[asyncio.Task[Any]] = set()
        options: dict[str, Any] = {
            "codec_options": _CODECS,
            "read_concern": ReadConcern(),
            "read_preference": ReadPreference.PRIMARY,
            "write_concern": self.write_concern,
        }
        self.messages = database.get_collection(collection, **options)
        self.leases = database.get_collection(f"{collection}.leases", **options)
        self.floors = database.get_collection(f"{collection}.floors", **options)
        self.notes = database.get_collection(f"{collection}.notes", **options)

    def now(self) -> Any:
        """The present moment in microseconds, as an expression of the server's language."""
        return now_expression(self._clock)

    async def aggregate(
        self, collection: Any, pipeline: Sequence[Mapping[str, Any]], session: Any = None
    ) -> list[dict[str, Any]]:
        """All documents that come out of a pipeline."""
        cursor = await resolve(collection.aggregate(pipeline, session=session, batchSize=_AT_ONCE))
        found: list[dict[str, Any]] = await cursor.to_list(None)
        return found

    async def find(
        self, query: Mapping[str, Any], fields: Sequence[str] | None = None, **more: Any
    ) -> list[dict[str, Any]]:
        """Messages that match, whole or some fields of them."""
        cursor = self.messages.find(query, fields, batch_size=_AT_ONCE, **more)
        found: list[dict[str, Any]] = await cursor.to_list(None)
        return found

    async def transact(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """The result of ``work`` in a transaction of our own; repeated when others interfere.

        It goes on to its end even if nobody waits for it any more: if it were cut off, the driver
        would make other callers wait until the server knows. It is not repeated then; the driver
        by itself would try for two minutes to reach a server that is away.

        Raises:
            StoreUnavailable: it has not come to an end within :data:`PATIENCE`.
        """
        unwanted = asyncio.Event()

        async def attempt(session: Any) -> T:
            if unwanted.is_set():
                raise StoreUnavailable("MongoDB: given up by the caller")
            return await work(session)

        task = asyncio.ensure_future(self._transact(attempt))
        self._under_way.add(task)
        task.add_done_callback(self._forget)
        try:
            await asyncio.wait([task], timeout=PATIENCE)
        finally:
            unwanted.set()
        if not task.done():
            raise StoreUnavailable(
                f"MongoDB: a transaction has no answer in {PATIENCE:g} seconds: it may work again"
            )
        return task.result()

    async def finish(self, seconds: float) -> None:
        """Wait, at most this long, for transactions that nobody else waits for."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=seconds)

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # seen by whoever waited, if anybody did

    async def _transact(self, work: Callable[[Any], Awaitable[T]]) -> T:
        for _ in range(TRIES):
            try:
                async with in_session(self.database.client) as session:
                    done: T = await session.with_transaction(
                        work,
                        read_concern=ReadConcern("snapshot"),
                        write_concern=self.write_concern,
                        read_preference=ReadPreference.PRIMARY,
                    )
                    return done
            except BulkWriteError as error:
                taken(error)
        raise StoreUnavailable("MongoDB: others keep taking the same ids: it may work again")


def concern_of(database: Any) -> WriteConcern:
    """The write concern: a majority and its journals, unless the user has said otherwise."""
    given: WriteConcern = database.write_concern
    if not given.acknowledged:  # which is refused on opening
        return given
    document = {"w": "majority", "j": True, **given.document}
    return WriteConcern(document["w"], document.get("wtimeout"), document["j"])


def taken(error: BulkWriteError) -> list[int]:
    """The numbers of the writes whose ids were taken.

    Raises:
        BulkWriteError: other errors occurred too.
    """
    failed = error.details["writeErrors"]
    if error.details.get("writeConcernErrors") or any(each["code"] != DUPLICATE for each in failed):
        raise error
    return [each["index"] for each in failed]
