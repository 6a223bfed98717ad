"""Names of headers: those that the broker would act on get a prefix."""

from typing import Final

__all__ = ["EVENT_NAME", "header_name", "name_of"]

EVENT_NAME: Final = "duly-event-name"
"""The header with an event name that is too long for the property ``type``."""

_PREFIX: Final = "metadata-"
# The broker would send copies to the queues that these name.
_MEANT_FOR_THE_BROKER: Final = {"CC", "BCC"}


def header_name(name: str) -> str:
    """The header of a name of metadata; a name that already has the prefix gets it again."""
    if not name.endswith("CC"):  # the usual case
        return name
    return _PREFIX + name if _bare(name) in _MEANT_FOR_THE_BROKER else name


def name_of(header: str) -> str:
    """The name that a header stands for."""
    return header.removeprefix(_PREFIX) if _bare(header) in _MEANT_FOR_THE_BROKER else header


def _bare(name: str) -> str:
    while name.startswith(_PREFIX):
        name = name.removeprefix(_PREFIX)
    return name
