"""msgspec.Struct, attrs classes and TypedDict as payloads of duly's typed events."""

from duly_msgspec.codec import MsgspecCodec

__all__ = ["MsgspecCodec"]
