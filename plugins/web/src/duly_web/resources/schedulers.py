"""Who delivers."""

from typing import Final

import msgspec

from duly import SchedulerInfo
from duly_web.endpoints import Answer, Call, Endpoint
from duly_web.refs import id_of, ref_of
from duly_web.times import Moment, written

__all__ = ["ENDPOINTS"]


class SchedulerDocument(msgspec.Struct, frozen=True):
    """A scheduler, as it announced itself when it was last seen."""

    owner: str
    ref: str
    instance: str | None
    host: str
    pid: int
    version: str
    transport: str
    since: Moment
    seen: Moment
    gone: bool
    slots: int
    slots_used: int
    claimed: int
    outage: str | None
    lease_seconds: float


class Schedulers(msgspec.Struct, frozen=True):
    """All that have announced themselves."""

    items: list[SchedulerDocument]


class Recover(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``force``: also one that may live, whose publishes are then delivered twice."""

    force: bool = False


class Recovered(msgspec.Struct, frozen=True):
    """How many messages it held, which are due again."""

    messages: int


async def schedulers(call: Call) -> Answer:
    """All of the store."""
    call.everywhere()
    infos = await call.service.shared.get("schedulers", call.client.schedulers)
    return Answer(document=Schedulers([_document(each) for each in infos]))


def _document(info: SchedulerInfo) -> SchedulerDocument:
    return SchedulerDocument(
        owner=info.owner,
        ref=ref_of(info.owner),
        instance=info.instance,
        host=info.host,
        pid=info.pid,
        version=info.version,
        transport=info.transport,
        since=written(info.since),
        seen=written(info.seen),
        gone=info.gone,
        slots=info.slots,
        slots_used=info.slots_used,
        claimed=info.claimed,
        outage=info.outage,
        lease_seconds=info.lease.total_seconds(),
    )


async def recover(call: Call) -> Answer:
    """Say that a scheduler is certainly dead."""
    call.everywhere()
    said: Recover = call.body
    owner = id_of(call.request.path_params["ref"])
    return Answer(document=Recovered(await call.client.recover(owner, force=said.force)))


ENDPOINTS: Final = (
    Endpoint(
        method="GET", path="/schedulers", right="read", handler=schedulers, tag="schedulers",
        summary="Who delivers", answers={200: Schedulers},
    ),
    Endpoint(
        method="POST", path="/schedulers/{ref}/recover", right="admin", handler=recover,
        body=Recover, needs_body=False, tag="schedulers", problems=(409,),
        summary="Say that a scheduler is dead: what it holds is due again",
        answers={200: Recovered},
    ),
)  # fmt: skip
