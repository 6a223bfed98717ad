"""What is secret in a text is hidden before anybody sees it."""

import re
from typing import Final

__all__ = ["mask"]

_OPTION_NAME: Final = (
    r"(?<![a-z0-9_-])[a-z0-9_-]{0,64}"
    r"(?:password|passwd|pwd|secret|token|api_?key|access_?key|signature)[a-z0-9_]{0,64}"
)
# Within a sentence a URL ends at a blank or a quote. One match takes all of it, with credentials
# or without, so that no part is looked at again: the time is linear in the length of the text.
_CREDENTIALS: Final = re.compile(
    r"(?i)(?<![a-z0-9+.-])[a-z0-9+.-]+://(?:(?P<user>[^\s'\"<>]*)@)?[^\s'\"<>]*"
)
_OPTION: Final = re.compile(
    rf"(?i){_OPTION_NAME}(?:['\"]\s*:\s*|['\"]?\s*=\s*)(?P<value>'[^']*'|\"[^\"]*\"|[^&\s'\"#]+)"
)
# If a text is one URL and nothing else, its secrets may hold any characters.
_ALL_CREDENTIALS: Final = re.compile(r"(?is)\A\s*(?:[a-z][a-z0-9+.-]*:)?//(?P<user>.*)@")
_ALL_OPTION: Final = re.compile(rf"(?i)[?&;]{_OPTION_NAME}=(?P<value>[^&]*)")
_IS_URL: Final = re.compile(r"(?i)\A\s*(?:[a-z][a-z0-9+.-]*:)?//")


def mask(text: str) -> str:
    """The text with ``***`` for the password and the secret options of every URL in it.

    If it is unclear where a secret ends, more is hidden, never less.
    """
    urls = _CREDENTIALS.finditer(text)
    spans = [_password(match) for match in urls if match["user"] is not None]
    spans += [match.span("value") for match in _OPTION.finditer(text)]
    if _IS_URL.match(text):
        spans += [_password(match) for match in _ALL_CREDENTIALS.finditer(text)]
        spans += [match.span("value") for match in _ALL_OPTION.finditer(text)]
    shown: list[str] = []
    end = 0
    for start, stop in sorted(spans):
        if start < stop and (start > end or not shown):
            shown += [text[end:start], "***"]
        end = max(end, stop)
    return "".join([*shown, text[end:]])


def _password(match: re.Match[str]) -> tuple[int, int]:
    start, stop = match.span("user")
    user, _, password = match["user"].partition(":")
    # A text alone before the @ is a secret too, a token for example.
    return (start + len(user) + 1, stop) if password else (start, stop)
