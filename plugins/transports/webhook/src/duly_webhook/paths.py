"""Event names in a path: what servers and proxies on the way take for ``.`` or ``..`` leads out."""

import re
import unicodedata
from functools import lru_cache
from typing import Final
from urllib.parse import unquote, urlsplit

__all__ = ["leaves_its_path"]

_SEPARATORS: Final = re.compile(r"[/\\]")
_END_OF_NAME: Final = re.compile("[;?#]")
_OVERLONG_DOT: Final = re.compile("%c0%ae|%e0%80%ae", re.IGNORECASE)


@lru_cache(maxsize=1024)
def leaves_its_path(url: str) -> bool:
    """Whether a segment of the path means ``.`` or ``..`` to anybody.

    However often its percent signs are decoded, after backslashes and letters that stand for
    others were made plain, and without what follows a semicolon or the like, blanks and control
    characters.
    """
    path = urlsplit(url).path
    while True:
        plain = unicodedata.normalize("NFKC", path)
        if any(_is_dots(segment) for segment in _SEPARATORS.split(plain)):
            return True
        if (decoded := unquote(_OVERLONG_DOT.sub(".", path))) == path:
            return False
        path = decoded  # which is shorter, so that this ends


def _is_dots(segment: str) -> bool:
    name = "".join(letter for letter in _END_OF_NAME.split(segment)[0] if letter.isprintable())
    return name.strip() in {".", ".."}
