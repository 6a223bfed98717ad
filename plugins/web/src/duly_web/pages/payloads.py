"""A payload as text a person reads: JSON set out with its numbers as they were written."""

import json
import re
from typing import Final

import attrs

__all__ = ["Payload", "told"]

_MOST: Final = 65_536  # bytes that are shown
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_DEEPEST: Final = 100


@attrs.frozen(kw_only=True)
class Payload:
    """What is shown: ``kind`` says what it is, ``cut`` that there is more."""

    text: str
    kind: str
    size: int
    cut: bool = False
    hidden: bool = False


def told(content: bytes, content_type: str, *, hidden: bool = False) -> Payload:
    """A payload, whatever bytes it has."""
    part = content[:_MOST]
    cut, size = len(content) > _MOST, len(content)
    if hidden or not content:
        return Payload(text="", kind="hidden" if hidden else "empty", size=size, hidden=hidden)
    try:
        text = part.decode()
    except UnicodeDecodeError as error:
        if not cut or error.start < len(part) - 4:
            return Payload(text=_hex(part[:4096]), kind="bytes", size=size, cut=size > 4096)
        text = part[: error.start].decode()
    if "\0" in text:
        return Payload(text=_hex(part[:4096]), kind="bytes", size=size, cut=size > 4096)
    if not cut:
        set_out = _json(text)
        if set_out is not None:
            return Payload(text=set_out, kind="JSON", size=size)
    return Payload(text=text, kind=content_type[:100] or "text", size=size, cut=cut)


def _json(text: str) -> str | None:
    """The same JSON over several lines, each of its words as it was; None where it is none."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return None
    parts, depth = list[str](), 0
    words = _TOKEN.findall(text)
    for number, word in enumerate(words):
        following = words[number + 1] if number + 1 < len(words) else ""
        if word in "{[":
            depth += 1
            if depth > _DEEPEST:
                return text
            parts.append(word if following in "}]" else f"{word}\n{'  ' * depth}")
        elif word in "}]":
            depth -= 1
            empty = number > 0 and words[number - 1] in "{["
            parts.append(word if empty else f"\n{'  ' * depth}{word}")
        elif word == ",":
            parts.append(f",\n{'  ' * depth}")
        else:
            parts.append(": " if word == ":" else word)
    return "".join(parts)


def _hex(content: bytes) -> str:
    rows = []
    for begin in range(0, len(content), 16):
        row = content[begin : begin + 16]
        plain = "".join(chr(each) if 32 <= each < 127 else "." for each in row)
        rows.append(f"{begin:08x}  {row.hex(' '):<47}  {plain}")
    return "\n".join(rows)
