"""What people change is told to witnesses: before it is done, and before it is answered."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any, Final

from duly._caller.control_arguments import as_text
from duly._caller.forecasting import Forecasting
from duly._values.acts import Change, Changing
from duly.errors import InvalidArgument
from duly.message import Filter

__all__ = ["Witnessing", "acting", "changing", "who_acts"]


_acting: Final = ContextVar[tuple[str, str]]("duly_acting", default=("", ""))
_covering: Final = ContextVar[Changing | None]("duly_covering", default=None)


@contextmanager
def acting(*, by: str = "", reason: str = "") -> Iterator[None]:
    """Say who makes the changes within a block, and why, to those who keep a record of them.

    Such as this::

        with duly.acting(by="mara", reason="INC-81"):
            await client.cancel("order-17")

    It holds for the verbs of all clients, in tasks that are begun within the block too. ``by`` and
    ``reason`` of a verb itself come before it.

    Raises:
        InvalidArgument: a text is longer than 255 characters or has control characters.
    """
    token = _acting.set((as_text(by, "by"), as_text(reason, "reason")))
    try:
        yield
    finally:
        _acting.reset(token)


def who_acts(by: object, reason: object) -> tuple[str, str]:
    """Who makes a change, and why: as given with it, else as said for the block that it is in."""
    person = _acting.get()
    return as_text(by, "by") or person[0], as_text(reason, "reason") or person[1]


class Witnessing(Forecasting):
    """Makes changes known: the verbs by which people change what is stored go through it."""

    @asynccontextmanager
    async def _changing(
        self,
        action: str,
        *,
        target: str = "",
        filter: Filter | None = None,
        by: str = "",
        reason: str = "",
        **details: Any,
    ) -> AsyncIterator[Changing]:
        """A block that is one change; within another one it is a part of that."""
        outer, done = _covering.get(), Changing()
        if outer is not None or not self._plugins.observed("duly_changing", "duly_changed"):
            try:
                yield done
            finally:
                if outer is not None:
                    outer.number += done.number
            return
        by, reason = who_acts(by, reason)
        change = Change(
            action=action,
            target=target,
            filter=filter,
            details={name: value for name, value in details.items() if value is not None},
            by=by,
            reason=reason,
        )
        token = _covering.set(done)
        error: BaseException | None = None
        try:
            await self._plugins.agreed("duly_changing", change=change)
            yield done
        except BaseException as raised:
            error = raised
            raise
        finally:
            _covering.reset(token)
            await self._plugins.heard("duly_changed", change=change, done=done, error=error)


def changing(
    client: Witnessing,
    action: str,
    *,
    target: str = "",
    filter: Filter | None = None,
    by: str = "",
    reason: str = "",
    **details: Any,
) -> AbstractAsyncContextManager[Changing]:
    """Make one change of all that a client does within a block, as of a bulk act in many calls.

    Such as this::

        async with duly.changing(client, "replay", filter=failed, by="mara") as change:
            for ids in batches:
                await client.replay_many(duly.Filter(ids=ids))
        print(change.number)

    Witnesses (``duly_changing``) hear of it before the block begins, and of how it ended
    (``duly_changed``) before it is left, but nothing of the calls within. A verb that is called
    alone is such a block by itself. ``by`` and ``reason`` may be said by :func:`duly.acting` too.

    Raises:
        InvalidArgument: the client is none, or one of ``duly.sync``; a text cannot be used.
        DulyError: a witness cannot keep a record, and refuses: nothing was changed.
    """
    if not isinstance(client, Witnessing):
        raise InvalidArgument(f"changing() takes a duly.Client, not a {type(client).__name__}")
    return client._changing(  # noqa: SLF001  # its verbs are made of the same
        action, target=target, filter=filter, by=by, reason=reason, **details
    )
