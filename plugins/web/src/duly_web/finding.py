"""Messages that a user asks for or touches: found, where they are the user's."""

from duly import Client, DulyError, DuplicateMessage, Message, MessageNotFound
from duly_web.endpoints import Call
from duly_web.problems import Past, Problem
from duly_web.refs import ref_of

__all__ = ["found", "see_event", "see_replaced", "stored"]

_LOOKED_AT = 1000  # entries of a history


async def stored(client: Client, id: str) -> Message | None:
    """The message of that id, if there is one."""
    try:
        return await client.get(id)
    except MessageNotFound:
        return None


async def found(call: Call) -> Message:
    """The message of the path. One whose event is none of the user's is not there either.

    Raises:
        MessageNotFound: there is none; a :class:`Past` where a history knows of one.
    """
    id = call.id
    message = await stored(call.client, id)
    if message is not None and call.user.sees(message.event_name):
        return message
    text = f"no message with id {id!r}: it was never scheduled, or delivered or cancelled"
    if message is None and await _had(call, id):
        place = f"{call.request.scope['duly_web.root']}/v1/messages/{ref_of(id)}/history"
        raise Past(f"no message with id {id!r} any more: what became of it is at {place}", place)
    raise MessageNotFound(text)


async def _had(call: Call, id: str) -> bool:
    """Whether a history knows of a message that the user may hear of."""
    keeper = call.service.history
    if keeper is None:
        return False
    try:
        entries = (await keeper.of(id, limit=_LOOKED_AT)).entries
    except DulyError:
        return False
    names = {each.event_name for each in entries if each.event_name is not None}
    return bool(names) and all(map(call.user.sees, names))


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
