"""The keyword arguments of a scheduler."""

from datetime import timedelta
from typing import Annotated, Final

from duly._caller.options import ClientOptions, Option, duration, flag, number
from duly._engine.error_texts import ErrorText
from duly._engine.takeover import as_instance
from duly._values.callables import as_error_text, as_policy
from duly.recovery import Policy

__all__ = ["SchedulerOptions"]

_MILLISECOND: Final = timedelta(milliseconds=1)


class SchedulerOptions(ClientOptions, total=False):
    """The options of :class:`duly.Scheduler`, which says what they mean."""

    poll_interval: Annotated[timedelta, Option(timedelta(milliseconds=100), duration(_MILLISECOND))]
    batch_size: Annotated[int, Option(100, number(1, 1000))]
    stuck_duration: Annotated[timedelta, Option(timedelta(minutes=5), duration(500 * _MILLISECOND))]
    max_in_flight: Annotated[int, Option(1000, number(1, 100_000))]
    max_bytes_in_flight: Annotated[int, Option(67_108_864, number(1, 2**50))]
    publish_timeout: Annotated[timedelta, Option(timedelta(seconds=30), duration(_MILLISECOND))]
    recovery: Annotated[Policy | None, Option(None, as_policy)]
    error_text: Annotated[ErrorText | None, Option(None, as_error_text)]
    instance: Annotated[str | None, Option(None, as_instance)]
    wait_for_store: Annotated[bool, Option(True, flag)]
