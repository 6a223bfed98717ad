"""What duly-msgspec offers to duly: codecs for types that hold a Struct and the like."""

from typing import Any

from duly import Codec, hookimpl
from duly_msgspec.codec import MsgspecCodec
from duly_msgspec.own import is_own

__all__ = ["duly_codec"]


@hookimpl
def duly_codec(type: Any) -> Codec[Any] | None:  # noqa: A002  # as the hook calls it
    """A codec for Struct, attrs, TypedDict, NamedTuple, what is made of them; no other type."""
    return MsgspecCodec(type) if is_own(type) else None
