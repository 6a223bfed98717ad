"""Log lines for machines: a formatter of the standard library that writes JSON.

    handler = logging.StreamHandler()
    handler.setFormatter(duly.logging.JsonFormatter())
    logging.basicConfig(handlers=[handler])

What duly logs goes through the standard library's logger ``duly``. Each of its records has the
facts of the line as a mapping, in ``record.duly``.
"""

import json
import logging
import math
from collections.abc import Mapping
from datetime import UTC, datetime

from duly._values.wording import text_of
from duly.url import mask

__all__ = ["JsonFormatter"]


class JsonFormatter(logging.Formatter):
    """Writes one JSON object a line, of any logger.

    It has ``time`` (ISO 8601 in UTC, microseconds), ``level``, ``logger`` and ``event``. A line of
    duly has its facts beside them, and a ``traceback`` as text; any other has its message as
    ``event``. A fact of one of those names gets an underscore behind it.
    """

    def __init__(self) -> None:
        super().__init__()

    def format(self, record: logging.LogRecord) -> str:
        """The line, without a line break in it."""
        written: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        told = getattr(record, "duly", None)
        if isinstance(told, Mapping):
            written["event"] = told.get("event")
            for name, value in told.items():
                if name != "event":
                    written[f"{name}_" if name in written else str(name)] = _plain(value)
        else:
            written["event"] = mask(record.getMessage())
            if record.exc_info:
                written["traceback"] = mask(self.formatException(record.exc_info))
        return json.dumps(written, ensure_ascii=False, allow_nan=False, default=_as_text)


def _plain(value: object) -> object:
    """What JSON has no word for, as text."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _as_text(value: object) -> str:
    text = text_of(value)
    return f"<{type(value).__name__}>" if text is None else text
