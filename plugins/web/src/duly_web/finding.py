"""Messages that a user asks for or touches: found, where they are the user's."""

from duly import Client, DuplicateMessage, Message, MessageNotFound
from duly_web.endpoints import Call
from duly_web.problems import Problem

__all__ = ["found", "see_event", "see_replaced", "stored"]


async def stored(client: Client, id: str) -> Message | None:
    """The message of that id, if there is one."""
    try:
        return await client.get(id)
    except MessageNotFound:
        return None


async def found(call: Call) -> Message:
    """The message of the path. One whose event is none of the user's is not there either.

    Raises:
        MessageNotFound: there is none.
    """
    message = await stored(call.client, call.id)
    if message is None or not call.user.sees(message.event_name):
        raise MessageNotFound(
            f"no message with id {call.id!r}: it was never scheduled, or delivered or cancelled"
        )
    return message


def see_event(call: Call, name: str) -> None:
    """Refuse what the user may not touch.

    Raises:
        Problem: the event is none of the user's.
    """
    if not call.user.sees(name):
        raise Problem(
            403, "Forbidden", f"{name!r} is not among the events of {call.user.name}",
            pointer="/event_name",
        )  # fmt: skip


async def see_replaced(call: Call, id: str) -> None:
    """Refuse to take the place of what the user may not touch.

    Raises:
        DuplicateMessage: there is such a message.
    """
    if not call.user.everywhere:
        old = await stored(call.client, id)
        if old is not None and not call.user.sees(old.event_name):
            raise DuplicateMessage(f"the id {id!r} is taken")
