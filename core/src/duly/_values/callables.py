"""Functions that callers give, checked: they take one argument and answer at once."""

import inspect

from duly.errors import InvalidArgument

__all__ = ["as_error_text", "as_policy", "named"]


def as_policy(value: object, name: str) -> object:
    """A recovery policy, which can be called and answers at once, or None."""
    return _asked(value, name, "a Failure, or an object such as duly.Backoff()", "the Failure")


def as_error_text(value: object, name: str) -> object:
    """A function that words errors, which can be called and answers at once, or None."""
    return _asked(value, name, "an error that gives text", "the error")


def _asked(value: object, name: str, what: str, argument: str) -> object:
    if value is None:
        return None
    if not callable(value) or isinstance(value, type):
        raise InvalidArgument(f"{name} must be a function of {what}, not {named(value)}")
    if inspect.iscoroutinefunction(value):
        raise InvalidArgument(
            f"{name} must be a plain function, not async: it is called, not awaited"
        )
    try:
        inspect.signature(value).bind(None)
    except TypeError:
        raise InvalidArgument(f"{name} must take one argument, {argument}") from None
    except ValueError:
        pass  # built in, without a signature
    return value


def named(value: object) -> str:
    """What an object is called in an error."""
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
