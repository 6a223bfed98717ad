"""What becomes of processes, one line each on the error stream."""

import json
import sys
from typing import Any

import attrs

__all__ = ["Teller"]


@attrs.frozen(kw_only=True)
class Teller:
    """Tells a person, or with ``json`` a program."""

    json: bool = False

    def tell(self, event: str, text: str, **facts: Any) -> None:
        """One line; each is written at once, so that those of several processes do not mix."""
        line = f"duly: {text}"
        if self.json:
            line = json.dumps({"event": event, "text": text, **facts}, ensure_ascii=False)
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
