"""What duly-pydantic offers to duly: codecs for types that hold a model."""

from typing import Any

from duly import Codec, hookimpl
from duly_pydantic.codec import PydanticCodec
from duly_pydantic.own import is_own

__all__ = ["duly_codec"]


@hookimpl
def duly_codec(type: Any) -> Codec[Any] | None:  # noqa: A002  # as the hook calls it
    """A codec for models, pydantic's dataclasses, and what is made of them; no other type."""
    return PydanticCodec(type) if is_own(type) else None
