"""What is pending in a caller's transaction until SQLAlchemy says what becomes of it."""

import sys
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

from duly.errors import InvalidArgument
from duly.memory import MemoryStore

__all__ = ["Pending", "Step", "at_once", "follow", "subject_of"]

T = TypeVar("T")

Step = Callable[[MemoryStore], Coroutine[Any, Any, object]]
"""A verb with its arguments, to be called with the store to change."""


class _Mark(NamedTuple):
    savepoint: object
    steps: int  # that were there before


class Pending:
    """The steps of one session or connection; ``apply`` is given those of a commit."""

    def __init__(self, apply: Callable[[Step], object]) -> None:
        self.steps: list[Step] = []
        self._apply = apply
        self._marks: list[_Mark] = []

    def commit(self) -> None:
        """The transaction is committed."""
        steps = self.steps
        self.roll_back()
        for step in steps:
            self._apply(step)

    def roll_back(self) -> None:
        """The transaction is over, and what is left of it is dropped."""
        self.steps, self._marks = [], []

    def begin_nested(self, savepoint: object = None) -> None:
        """A savepoint begins."""
        self._marks.append(_Mark(savepoint, len(self.steps)))

    def release(self) -> None:
        """The innermost savepoint is over; what came since belongs to what it is in."""
        if self._marks:
            self._marks.pop()

    def roll_back_nested(self) -> None:
        """What came since the innermost savepoint is dropped.

        One that began before anybody looked began before all of the steps.
        """
        steps = self._marks.pop().steps if self._marks else 0
        del self.steps[steps:]

    def is_open(self, savepoint: object) -> bool:
        """Whether a savepoint is neither released nor rolled back."""
        return any(mark.savepoint is savepoint for mark in self._marks)


def at_once(verb: Coroutine[Any, Any, T]) -> T:
    """The outcome of a verb of the memory store, none of which waits for anything."""
    try:
        verb.send(None)
    except StopIteration as end:
        outcome: T = end.value
        return outcome
    raise AssertionError("a verb of the memory store has waited")


def subject_of(within: Any) -> Any:
    """The session or connection of SQLAlchemy that tells what becomes of it; None for all else.

    It is in a transaction then. SQLAlchemy is not imported: whoever has a session has done so.
    """
    orm, engine, ext = (
        sys.modules.get(f"sqlalchemy.{name}") for name in ("orm", "engine", "ext.asyncio")
    )
    if ext is not None and isinstance(within, ext.async_scoped_session):
        within = within()
    if ext is not None and isinstance(within, ext.AsyncSession):
        within = within.sync_session
    if ext is not None and isinstance(within, ext.AsyncConnection):
        within = within.sync_connection
        if within is None:
            raise InvalidArgument("within is a connection that is not open: await its start()")
    if orm is not None and isinstance(within, orm.scoped_session):
        within = within()
    kinds: list[type[Any]] = [orm.Session] if orm is not None else []
    kinds += [engine.Connection] if engine is not None else []
    if not isinstance(within, tuple(kinds)):
        return None
    subject: Any = within
    if not subject.in_transaction():
        subject.begin()  # as the statement of a real store would
    return subject


def follow(subject: Any, pending: Pending) -> None:
    """Have a session or connection tell what becomes of its transactions, from now on."""
    listen: Any = sys.modules["sqlalchemy"].event.listen
    if isinstance(subject, sys.modules["sqlalchemy.engine"].Connection):
        _follow_connection(subject, pending, listen)
    else:
        _follow_session(subject, pending, listen)


def _follow_session(session: Any, pending: Pending, listen: Any) -> None:
    for each in _savepoints(session):
        pending.begin_nested(each)

    def created(_session: Any, transaction: Any) -> None:
        if transaction.nested:
            pending.begin_nested(transaction)

    def committed(session: Any) -> None:
        if session.in_nested_transaction():
            pending.release()
        else:
            pending.commit()

    def ended(_session: Any, transaction: Any) -> None:
        """What was not committed until now is rolled back."""
        while pending.is_open(transaction):
            pending.roll_back_nested()
        if transaction.parent is None:
            pending.roll_back()

    listen(session, "after_transaction_create", created)
    listen(session, "after_commit", committed)
    listen(session, "after_transaction_end", ended)


def _savepoints(session: Any) -> list[Any]:
    """Those that are open, the outermost first."""
    found, transaction = [], session.get_nested_transaction()
    while transaction is not None:
        if transaction.nested:
            found.append(transaction)
        transaction = transaction.parent
    return found[::-1]


def _follow_connection(connection: Any, pending: Pending, listen: Any) -> None:
    def to(step: Callable[[], None]) -> Callable[..., None]:
        return lambda *_: step()

    for event, step in {
        "commit": pending.commit,
        "commit_twophase": pending.commit,
        "rollback": pending.roll_back,
        "rollback_twophase": pending.roll_back,
        "savepoint": pending.begin_nested,
        "release_savepoint": pending.release,
        "rollback_savepoint": pending.roll_back_nested,
    }.items():
        listen(connection, event, to(step))
