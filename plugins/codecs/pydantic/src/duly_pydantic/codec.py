"""Models as JSON, by a TypeAdapter of pydantic."""

import json
from typing import Any, Final, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from duly import InvalidMessage, Rejected
from duly_pydantic.comparing import difference
from duly_pydantic.errors import field_names, told

__all__ = ["PydanticCodec"]

T = TypeVar("T")

_FORM: Final[dict[str, Any]] = {"by_alias": True, "round_trip": True, "warnings": False}


class PydanticCodec(Generic[T]):
    """Between JSON and values of a type that pydantic can validate, as ``codec=`` of an event.

    Fields are named by their aliases. What is written is read again at once and compared, so that
    nothing is stored that could not be read, or would be read as something else: an instance that
    does not fit its own class, an excluded field, a secret.
    """

    content_type: Final = "application/json"

    def __init__(self, type: Any) -> None:  # noqa: A002  # as in a sentence
        self._adapter: TypeAdapter[T] = TypeAdapter(type)
        schema = self._adapter.core_schema
        self._names = field_names(schema)
        self._has_sets = "set'" in str(schema)

    def encode(self, payload: T) -> bytes:
        """JSON in UTF-8."""
        data = self._adapter.dump_json(payload, **_FORM)
        if self._has_sets:
            data = to_json(self._with_sorted_sets(payload))
        try:
            read = self._adapter.validate_json(data)
        except ValidationError as error:
            raise InvalidMessage(
                f"what it would be written as is not valid: {told(error, self._names)}"
            ) from None
        where = difference(payload, read)
        if where is not None:
            raise InvalidMessage(f"{where} would not be read again as it is")
        return data

    def decode(self, data: bytes) -> T:
        """The value; what a validator raises that is no error of validation goes through."""
        try:
            return self._adapter.validate_json(data)
        except ValidationError as error:
            text = told(error, self._names)
        raise Rejected(f"it is not valid: {text}")

    def _with_sorted_sets(self, payload: T) -> Any:
        """What is written, with each set in one order, which Python gives anew in each process."""
        plain = self._adapter.dump_python(payload, mode="json", **_FORM)
        try:
            own = self._adapter.dump_python(payload, mode="python", **_FORM)
        except TypeError:  # a set of models, which are written as dictionaries
            return plain
        return _sorted_sets(own, plain)


def _sorted_sets(own: Any, plain: Any) -> Any:
    """Sort what stands for a set; both are walked through in the same order."""
    if isinstance(own, dict) and isinstance(plain, dict) and len(own) == len(plain):
        pairs = zip(own.values(), plain.items(), strict=True)
        return {key: _sorted_sets(value, each) for value, (key, each) in pairs}
    if not isinstance(plain, list) or not isinstance(own, list | tuple | set | frozenset):
        return plain
    if len(own) != len(plain):
        return plain
    items = [_sorted_sets(value, each) for value, each in zip(own, plain, strict=True)]
    return sorted(items, key=json.dumps) if isinstance(own, set | frozenset) else items
