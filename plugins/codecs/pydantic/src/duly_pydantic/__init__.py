"""Models of pydantic as payloads of duly's typed events."""

from duly_pydantic.codec import PydanticCodec

__all__ = ["PydanticCodec"]
