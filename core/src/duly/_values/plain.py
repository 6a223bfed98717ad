"""Values from callers, made plain: a subclass becomes the type itself, and errors can show them."""

from typing import Final

__all__ = ["encodable", "real", "shown", "text_of", "whole"]

_LONGEST: Final = 200  # characters of a value in an error


def shown(value: object) -> str:
    """A value as an error shows it: no longer than a few lines, whatever its ``repr()`` does."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  # too deep, too many digits, or a fault of the caller's
        return f"<{type(value).__name__} that cannot be shown>"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def encodable(text: str) -> bool:
    """Whether a text can be written as UTF-8: half of a pair of surrogates cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def text_of(value: object) -> str | None:
    """A str or a member of a str enum as a plain str; None for all else."""
    return str.__str__(value) if issubclass(type(value), str) else None


def real(value: object) -> float | None:
    """An int or a float as a plain number; None for all else, True and False included."""
    return float.__float__(value) if issubclass(type(value), float) else whole(value)  # type: ignore[arg-type]  # it is a float


def whole(value: object) -> int | None:
    """A whole number as a plain int; None for all else, True and False included."""
    if isinstance(value, bool) or not issubclass(type(value), int):
        return None
    return int.__index__(value)  # type: ignore[arg-type]  # it is a whole number
