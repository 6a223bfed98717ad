"""Log lines: snake_case events with facts, through the standard library's logger ``duly``."""

import logging
from typing import Any, Final, cast

import structlog
from structlog.typing import EventDict, WrappedLogger

from duly.url import mask

__all__ = ["get_logger"]

_LOGGER: Final = logging.getLogger("duly")


def _render(_logger: WrappedLogger, _method: str, facts: EventDict) -> tuple[tuple[Any], Any]:
    """One line ``event fact=value ...`` for people, the facts for machines as ``record.duly``."""
    event, trace = facts.pop("event"), facts.pop("exception", None)
    facts = {
        name: value if isinstance(value, int | float | None) else mask(str(value))
        for name, value in facts.items()
    }
    line = " ".join([str(event), *(f"{name}={_quoted(value)}" for name, value in facts.items())])
    if trace is not None:
        line = f"{line}\n{mask(trace)}"
    # A percent sign is left alone: the standard library formats only what comes with arguments.
    # The traceback as the standard library would add it is not masked: none of it.
    return (line,), {"exc_info": False, "extra": {"duly": {"event": event, **facts}}}


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
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.processors.format_exc_info,
            _render,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
        cache_logger_on_first_use=True,
    )
    return cast(structlog.stdlib.BoundLogger, logger.bind())
