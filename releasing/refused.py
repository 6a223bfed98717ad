"""What a release is refused with."""

__all__ = ["Refused"]


class Refused(Exception):
    """No release can be made as things are; the text says why, and what to do."""
