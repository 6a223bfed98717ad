"""Uses of typed events that type checkers must find; each says what is to be reported."""

# pyright: strict

import pydantic

import duly

AT = duly.after(hours=1)
MESSAGE = duly.Message("model", b"{}", scheduled_at=AT)


class Model(pydantic.BaseModel):
    number: int


class Other(pydantic.BaseModel):
    number: int


class Deaf:
    """No codec: it cannot read."""

    content_type = "text/plain"

    def encode(self, payload: Model, /) -> bytes:
        return b""


model = duly.Event("model", Model)
either = duly.Event[int | str]("either", int | str)

model.message(Other(number=1), scheduled_at=AT)  # error: arg-type, reportArgumentType
model.message({"number": 1}, scheduled_at=AT)  # error: arg-type, reportArgumentType
model.message(scheduled_at=AT)  # error: call-arg, reportCallIssue
model.message(Model(number=1), AT)  # error: call-arg, misc, reportCallIssue
model.message(Model(number=1), priority=5)  # error: call-arg, reportCallIssue
either.message(1.5, scheduled_at=AT)  # error: arg-type, reportArgumentType
model.read(b"{}")  # error: arg-type, reportArgumentType
number: int = model.read(model.message(Model(number=1)))  # error: assignment, reportAssignmentType
model.name = "other"  # error: misc, reportAttributeAccessIssue
duly.Event("model", Model, codec=Deaf())  # error: call-overload, reportCallIssue
duly.Event(5, Model)  # error: call-overload, reportCallIssue
duly.Event("model")  # error: call-overload, reportCallIssue
duly.Event("model", Model, ids="a")  # error: call-overload, reportCallIssue
