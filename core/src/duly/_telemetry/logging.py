"""Log lines: snake_case events with facts, through the standard library's logger ``duly``.

A line can be lost, to a handler or filter that raises; what was about to be done is done all the
same.
"""

import logging
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, cast

import structlog
from structlog.typing import EventDict, WrappedLogger

from duly._values.wording import text_of
from duly.url import mask

__all__ = ["get_logger"]

_LOGGER: Final = logging.getLogger("duly")


class _Careful(structlog.stdlib.BoundLogger):
    """Never raises for what becomes of a line."""

    def _proxy_to_logger(
        self, method_name: str, event: str | None = None, *event_args: str, **event_kw: Any
    ) -> Any:
        try:
            return super()._proxy_to_logger(method_name, event, *event_args, **event_kw)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001  # an application's handlers may raise anything
            _tell_of_a_lost_line(event)


def _tell_of_a_lost_line(event: str | None) -> None:
    """As the standard library tells of its own handlers' errors."""
    if logging.raiseExceptions and sys.stderr is not None:
        trace = _shown_if_possible(traceback.format_exc)
        with suppress(Exception):
            sys.stderr.write(f"--- Logging error: {event} was not logged ---\n{mask(trace)}\n")


def _with_trace(logger: WrappedLogger, method: str, facts: EventDict) -> EventDict:
    """The traceback as text; of an error that cannot be shown none."""
    if facts.get("exc_info"):
        asked = {"exc_info": facts.pop("exc_info")}
        formatted = structlog.processors.format_exc_info
        facts["exception"] = _shown_if_possible(
            lambda: formatted(logger, method, asked)["exception"]
        )
    return facts


def _shown_if_possible(show: Callable[[], str]) -> str:
    try:
        return show()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # an error's attributes may do anything
        return f"(no traceback can be shown: {type(error).__name__})"


def _render(_logger: WrappedLogger, _method: str, facts: EventDict) -> tuple[tuple[Any], Any]:
    """One line ``event fact=value ...`` for people, the facts for machines as ``record.duly``."""
    event, trace = facts.pop("event"), facts.pop("exception", None)
    facts = {
        name: value if isinstance(value, int | float | None) else mask(_shown(value))
        for name, value in facts.items()
    }
    line = " ".join([str(event), *(f"{name}={_quoted(value)}" for name, value in facts.items())])
    if trace is not None:
        line = f"{line}\n{mask(trace)}"
    # A percent sign is left alone: the standard library formats only what comes with arguments.
    # The traceback as the standard library would add it is not masked: none of it.
    return (line,), {"exc_info": False, "extra": {"duly": {"event": event, **facts}}}


def _shown(value: object) -> str:
    text = text_of(value)
    return f"<{type(value).__name__}>" if text is None else text


def _quoted(value: object) -> str:
    text = str(value)
    return repr(text) if not text or any(each in text for each in ' "=\n\r\t') else text


def get_logger() -> structlog.stdlib.BoundLogger:
    """The logger of all modules: ``log.warning("lease_lost", messages=3)``.

    The application's configuration of the standard library's logging rules, whatever structlog
    is configured to. Texts are masked; ``exc_info=error`` adds a masked traceback.
    """
    logger = structlog.wrap_logger(
        _LOGGER,
        processors=[structlog.stdlib.filter_by_level, _with_trace, _render],
        wrapper_class=_Careful,
        context_class=dict,
        cache_logger_on_first_use=True,
    )
    return cast(structlog.stdlib.BoundLogger, logger.bind())
