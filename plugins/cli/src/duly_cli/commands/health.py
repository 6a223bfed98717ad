"""``duly health``: a word, a reason, and an exit code for probes."""

from datetime import timedelta
from typing import Final

import click

from duly import Status
from duly_cli.desk import Desk
from duly_cli.errors import AWAY, UNHEALTHY, USAGE, Refused
from duly_cli.moments import as_duration
from duly_cli.verbs import verb

__all__ = ["health"]

_LEAST: Final = timedelta(milliseconds=1)
_STYLES: Final = {
    Status.HEALTHY: "bold green",
    Status.DEGRADED: "bold yellow",
    Status.UNHEALTHY: "bold red",
}


@verb(patient=True)
@click.option("--timeout", metavar="LENGTH", default="5s", show_default=True)
@click.option("--strict", is_flag=True, help="Exit with 5 also when somebody should look.")
async def health(desk: Desk, *, timeout: str, strict: bool) -> None:  # noqa: ASYNC109  # as it was typed
    """Whether all is well, within a time.

    Exits with 0 when it is healthy or degraded, 4 when the store is away, 5 when it is unhealthy.
    """
    limit = as_duration(timeout, "--timeout")
    if limit < _LEAST:
        raise Refused(f"--timeout: {timeout!r} is too short: give at least 1ms", USAGE)
    found = await desk.client.health(timeout=limit)
    desk.record(
        {
            "status": found.status,
            "reason": found.reason,
            "details": found.details,
            "store": str(desk.target),
        }
    )
    desk.say(f"{found.status.value}: {found.reason}", _STYLES[found.status])
    width = max(map(len, found.details), default=0)
    for name, value in found.details.items():
        if value is not None:
            desk.say(f"  {name.replace('_', ' '):<{width}}  {desk.text(value)}")
    if found.status is Status.UNHEALTHY:
        desk.code = UNHEALTHY if found.details else AWAY  # only a store that answers has counts
    elif strict and found.status is not Status.HEALTHY:
        desk.code = UNHEALTHY
