"""Log lines: snake_case events with facts, through the standard library's logger ``duly``.

If a handler or filter raises, the line is lost, but the code that logged it goes on.
"""

import logging
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Final, cast

import structlog
from structlog.typing import EventDict, WrappedLogger

from duly._values.wording import text_of
from duly.url import mask

__all__ = ["about", "get_logger"]

_LOGGER: Final = logging.getLogger("duly")
_about: Final = ContextVar[Mapping[str, object]]("duly_about", default={})  # noqa: B039  # never changed


class _Careful(structlog.stdlib.BoundLogger):
    """Never raises because of a line."""

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
    """Report it on stderr, as the standard library reports errors of its own handlers."""
    if logging.raiseExceptions and sys.stderr is not None:
        trace = _shown_if_possible(traceback.format_exc)
        with suppress(Exception):
            sys.stderr.write(f"--- Logging error: {event} was not logged ---\n{mask(trace)}\n")


def _with_trace(logger: WrappedLogger, method: str, facts: EventDict) -> EventDict:
    """The traceback as text; a placeholder if the error cannot be shown."""
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
        for name, value in {**facts, **_about.get(), **facts}.items()  # a line may tell of another
    }
    line = " ".join([str(event), *(f"{name}={_quoted(value)}" for name, value in facts.items())])
    if trace is not None:
        line = f"{line}\n{mask(trace)}"
    # A percent sign is left alone: the standard library formats only what comes with arguments.
    # The standard library would add the traceback unmasked, so it gets none.
    told = {"event": event, **facts, **({} if trace is None else {"traceback": mask(trace)})}
    return (line,), {"exc_info": False, "extra": {"duly": told}}


def _shown(value: object) -> str:
    text = text_of(value)
    return f"<{type(value).__name__}>" if text is None else text


def _quoted(value: object) -> str:
    text = str(value)
    return repr(text) if not text or any(each in text for each in ' "=\n\r\t') else text


@contextmanager
def about(**facts: object) -> Iterator[None]:
    """Lines that are logged within the block, or by tasks begun there, have these facts too."""
    token = _about.set({**_about.get(), **facts})
    try:
        yield
    finally:
        with suppress(ValueError):  # a coroutine may be closed in another context than its own
            _about.reset(token)


def get_logger() -> structlog.stdlib.BoundLogger:
    """The logger of all modules: ``log.warning("lease_lost", messages=3)``.

    The application's configuration of the standard library's logging decides, whatever structlog
    is configured to do. Texts are masked; ``exc_info=error`` adds a masked traceback.
    """
    logger = structlog.wrap_logger(
        _LOGGER,
        processors=[structlog.stdlib.filter_by_level, _with_trace, _render],
        wrapper_class=_Careful,
        context_class=dict,
        cache_logger_on_first_use=True,
    )
    return cast(structlog.stdlib.BoundLogger, logger.bind())
