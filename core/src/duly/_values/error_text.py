"""How an error is kept and shown."""

from typing import Final

from duly._values.wording import worded
from duly.url import mask

__all__ = ["error_text"]

_ERROR_BYTES: Final = 1024
_MASKED_CHARACTERS: Final = 16 * 1024
_CLOSING: Final = "@'\""  # ends every secret that mask() finds by its end


def error_text(error: BaseException | str) -> str:
    """An error as it may be kept and shown: secrets masked, at most 1 KiB of UTF-8, no NUL."""
    text = error if isinstance(error, str) else worded(error)
    if len(text) > _MASKED_CHARACTERS:  # a secret that is cut in two is hidden to the cut
        text = text[:_MASKED_CHARACTERS] + _CLOSING
    data = mask(text.replace("\0", " ")).encode("utf-8", "replace")
    return data[:_ERROR_BYTES].decode("utf-8", "ignore")
