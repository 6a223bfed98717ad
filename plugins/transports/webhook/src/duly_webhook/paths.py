"""Event names in a path: what a server or proxy takes for ``.`` or ``..`` leads to other paths."""

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
    """Whether any server might take a segment of the path for ``.`` or ``..``.

    Percent signs are decoded as often as possible, backslashes and look-alike characters are
    replaced, and blanks, control characters and what follows a semicolon or the like are left out.
    """
    path = urlsplit(url).path
    while True:
        plain = unicodedata.normalize("NFKC", path)
        if any(_is_dots(segment) for segment in _SEPARATORS.split(plain)):
            return True
        if (decoded := unquote(_OVERLONG_DOT.sub(".", path))) == path:
            return False
        path = decoded  # it is shorter each time, so this ends


def _is_dots(segment: str) -> bool:
    name = "".join(letter for letter in _END_OF_NAME.split(segment)[0] if letter.isprintable())
    return name.strip() in {".", ".."}
