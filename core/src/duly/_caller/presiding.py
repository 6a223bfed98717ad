"""What a caller may ask and say of the schedulers of a store: who is alive, and who is dead."""

from collections.abc import Sequence
from typing import Final

from duly._caller.announcements import Announcements, announcements_of, taking_over
from duly._caller.arguments import as_flag
from duly._caller.controlling import Controlling
from duly._telemetry.logging import get_logger
from duly._values.plain import shown
from duly._values.presence import SchedulerInfo, Seen
from duly._values.texts import as_name
from duly.errors import InvalidArgument, InvalidMessage, Unsupported, WrongState
from duly.store import SupportsTakeover

__all__ = ["Presiding"]

_TOLD: Final = 10  # schedulers in the text of an error
_TRIES: Final = 3  # of what somebody else changes meanwhile

log = get_logger()


class Presiding(Controlling):
    """The verbs of a client for the schedulers of its store."""

    async def schedulers(self) -> Sequence[SchedulerInfo]:
        """The schedulers that run on this store, by host and process, those that are gone too.

        One that stops takes itself off the list. One that is killed or cut off stays there as
        ``gone`` until it is recovered, or for a day, the latest ten of each host.
        Schedulers of versions of duly that do not announce themselves, and
        :meth:`Scheduler.drain`, are not among them.

        Raises:
            Unsupported: the store keeps no notes.
        """
        found = [each.info for each in await self._announcements().all()]
        return sorted(found, key=lambda each: (each.host, each.pid, each.since, each.owner))

    async def recover(self, instance: str, *, force: bool = False) -> int:
        """Say that a scheduler is certainly dead: its leases end now; how many messages they held.

        These are due again at once, at their old places, instead of when the leases lapse; a lapse
        is counted for each. ``instance`` is the name that the scheduler was given, or its ``owner``
        as :meth:`schedulers` tells it. Of several that have the name, all that are gone are
        recovered. They are then listed no more.

        ``force`` does not ask whether it is gone, and ends the leases of all that have the name,
        which recovers at once what was killed a moment ago. **If it lives, what it is publishing is
        delivered twice**: it is claimed anew while that publish goes on. Nothing is lost: the one
        that lives can settle nothing of this any more, and goes on with what it claims next.

        Raises:
            InvalidArgument: no scheduler is known by that name; the text says which are.
            WrongState: it is not gone; the text says when it will be.
            Unsupported: the store keeps no notes, or cannot end a lease before its time.
        """
        name, force = _as_instance(instance), as_flag(force, "force")
        store = taking_over(self._calls.store, "nobody can be recovered; their leases lapse")
        async with self._changing("recover", target=name, force=force) as change:
            change.number = await self._recover(name, store, force=force)
            return change.number

    async def _recover(self, name: str, store: SupportsTakeover, *, force: bool) -> int:
        announcements = self._announcements()
        for _ in range(_TRIES):
            known = await announcements.all()
            named = [each for each in known if name in (each.info.instance, each.info.owner)]
            dead = [each for each in named if force or each.info.gone]
            if not dead:
                raise _alive(name, named) if named else _unknown(name, known)
            freed = [await self._end(each, announcements, store) for each in dead]
            if any(each is not None for each in freed):
                return sum(each or 0 for each in freed)
        raise WrongState(f"the scheduler {shown(name)} announces itself again and again")

    async def _end(
        self, one: Seen, announcements: Announcements, store: SupportsTakeover
    ) -> int | None:
        freed = await announcements.end(one, store)
        if freed is not None:
            owner, instance = one.info.owner, one.info.instance
            log.info("recovered", owner=owner, instance=instance, messages=freed)
        return freed

    def _announcements(self) -> Announcements:
        announcements = announcements_of(self._calls)
        if announcements is None:
            raise Unsupported(
                f"{type(self._calls.store).__name__} keeps no notes: nobody knows which schedulers "
                "there are"
            )
        return announcements


def _as_instance(value: object) -> str:
    if isinstance(value, SchedulerInfo):
        raise InvalidArgument("instance must be text: give its .owner, or its .instance")
    try:
        return as_name(value, "instance")
    except InvalidMessage as error:  # it is no part of a message
        raise InvalidArgument(str(error)) from None


def _unknown(name: str, known: Sequence[Seen]) -> InvalidArgument:
    told = ", ".join(_called(each.info) for each in known[:_TOLD])
    more = f" and {len(known) - _TOLD} more" if len(known) > _TOLD else ""
    which = f"known are {told}{more}" if known else "none is known"
    return InvalidArgument(f"no scheduler {shown(name)} is known on this store: {which}")


def _called(info: SchedulerInfo) -> str:
    return info.owner if info.instance is None else f"{info.instance!r} ({info.owner})"


def _alive(name: str, named: Sequence[Seen]) -> WrongState:
    last = max(named, key=lambda each: each.left)
    since = max(0.0, (last.note.now - last.info.seen).total_seconds())
    return WrongState(
        f"the scheduler {shown(name)} is not gone: {_told(last, since)}. With force its "
        "leases end all the same: if it lives, what it is publishing is delivered twice"
    )


def _told(last: Seen, since: float) -> str:
    if last.certain:
        return f"its process {last.info.pid} lives on {last.info.host}"
    return (
        f"it was seen {since:.1f} s ago, and counts as gone in {last.left:.1f} s if it is not seen "
        "again"
    )
