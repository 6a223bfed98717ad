"""Whether secrets stay secret: in errors, their causes, and the ``repr`` of objects."""

from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

__all__ = ["check_discretion"]


def check_discretion(thing: object, secrets: Iterable[str]) -> None:
    """Raise AssertionError if an object, or what caused an error, shows one of the secrets.

    Plainly, or in the form that it has in a URL.
    """
    told = [text for each in _chain(thing) for text in (str(each), repr(each))]
    for secret in secrets:
        for form in {secret, quote(secret, safe=""), quote_plus(secret)}:
            for text in told:
                assert form not in text, f"tells a secret: {text.replace(form, '***')}"


def _chain(thing: object) -> Iterator[object]:
    seen: set[int] = set()
    left = [thing]
    while left:
        each = left.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        if isinstance(each, BaseException):  # a log with the traceback shows these as well
            left += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            left += each.exceptions
