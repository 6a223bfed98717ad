"""Who uses the command."""

import getpass
import os

__all__ = ["who"]


def who(by: str | None) -> str:
    """Who does this: as said, as ``DULY_BY`` says, or by the login name."""
    if by is not None:
        return by
    if named := os.environ.get("DULY_BY"):
        return named
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in a container
        return ""
