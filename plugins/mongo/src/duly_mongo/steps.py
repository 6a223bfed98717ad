"""What becomes of one document whose series is declared again: worked out, nothing is written."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import attrs

from duly import DuplicateMessage, Message
from duly.moment import to_microseconds
from duly.record import NewerRecord, UnreadableRecord
from duly.store import Declared, Ensured, EnsurePlan, ensured
from duly_mongo.following import DAMAGE, Changes, becoming, redefined, succession, successor_in
from duly_mongo.places import moment_of, new_keys, place
from duly_mongo.records import document_of, read, too_large
from duly_mongo.statuses import ASIDE, DEAD, SCHEDULED, state_of

__all__ = ["Outcome", "Step", "step_of"]

Outcome = Ensured | Exception

# Whatever changes a document changes one of these. The payload is not compared: `revision` is new
# with each change of what a series is.
_AS_READ: Final = ("_id", "key", "status", "token", "due", "place", "format", "revision")


@attrs.frozen(kw_only=True)
class Step:
    """What is to be written, to the document as it was read, and the outcome if it still was so.

    A ``repeatable`` one may be done again when nobody knows whether it was done.
    """

    outcome: Outcome
    insert: Mapping[str, Any] | None = None
    itself: Mapping[str, Any] = attrs.Factory(dict)
    changes: Changes = attrs.Factory(dict)
    removes: bool = False
    repeatable: bool = False


def step_of(
    document: Mapping[str, Any] | None, wanted: Message, declared: Declared | None, now: datetime
) -> Step:
    """What to do about ``wanted``, given the document with its id."""
    if document is not None:
        return _Meeting(document, wanted, declared, now).step()
    plan = ensured(None, None, wanted, now)
    if plan.stored is None:
        return Step(outcome=plan.outcome)
    fields = document_of(plan.stored, new_keys(1)[0])
    return Step(outcome=plan.outcome, insert={**fields, **_revised(), **_mark(declared)})


@attrs.frozen
class _Meeting:
    """A document, and the series that is wanted in its place."""

    document: Mapping[str, Any]
    wanted: Message
    declared: Declared | None
    now: datetime

    def step(self) -> Step:
        if self._is_of_newer():
            return Step(outcome=Ensured.OLDER)
        try:
            stored, successor = self._read(), successor_in(self.document)
        except NewerRecord:
            return self._unread(Ensured.NEWER)
        except (UnreadableRecord, *DAMAGE):
            id = self.wanted.id
            return self._unread(DuplicateMessage(f"the record under the id {id!r} cannot be read"))
        plan = ensured(stored, successor, self.wanted, self.now)
        if plan.removes:
            return Step(outcome=plan.outcome, itself=self._itself(), removes=True)
        if not isinstance(plan.outcome, Ensured):
            return Step(outcome=plan.outcome)
        return self._written(plan, stored)

    def _written(self, plan: EnsurePlan, stored: Message) -> Step:
        changes, mark = _changes(plan, self.document["key"]), _mark(self.declared)
        if plan.stored is not None and plan.successor is not None:
            beside = len(changes["$set"]["successor"].encode())
            if (error := too_large(plan.stored, beside)) is not None:
                return Step(outcome=error)
        if self._was_given_up():
            changes = _taken_back(changes, self.document, stored)
        if self._leaves_siding(changes):
            back, gone = {"status": SCHEDULED, **changes["$set"]}, {"aside": ""}
            changes = {"$set": back, "$unset": {**gone, **changes["$unset"]}}
        if not changes["$set"] and self._is_marked():
            return Step(outcome=plan.outcome)
        return Step(
            outcome=plan.outcome,
            itself=self._itself(),
            changes={**changes, "$set": {**changes["$set"], **_revised(), **mark}},
            repeatable=plan.stored is None,
        )

    def _unread(self, outcome: Outcome) -> Step:
        """Of what cannot be read nothing changes but who declares it, if anybody does.

        Or it would be removed, though it is still declared.
        """
        if self.document.get("declared_by") is None or self._is_marked():
            return Step(outcome=outcome)
        mark = {"$set": _mark(self.declared)}
        return Step(outcome=outcome, itself=self._itself(), changes=mark, repeatable=True)

    def _read(self) -> Message:
        status = SCHEDULED if self._was_given_up() else self.document.get("status")
        return read(self.document, state_of(status))

    def _leaves_siding(self, changes: Changes) -> bool:
        """Whether it stands in the siding of an event name that it will not have any more."""
        name = self.document.get("event_name")
        renamed = changes["$set"].get("event_name", name) != name
        return renamed and self.document.get("status") == ASIDE

    def _was_given_up(self) -> bool:
        """Whether a version that could not read a series had it in hand, and set it aside."""
        get = self.document.get
        dead = get("status") == DEAD and get("unreadable") is True
        return dead and get("recurrence") is not None

    def _is_marked(self) -> bool:
        """Whether it belongs to those who declare it now already, if anybody does."""
        mark = _mark(self.declared)
        return {name: self.document.get(name) for name in mark} == mark

    def _is_of_newer(self) -> bool:
        by, generation = self.document.get("declared_by"), self.document.get("generation")
        if self.declared is None or by != self.declared.by or not isinstance(generation, int):
            return False
        return generation > self.declared.generation

    def _itself(self) -> dict[str, Any]:
        return {name: {"$eq": self.document.get(name)} for name in _AS_READ}


def _mark(declared: Declared | None) -> dict[str, Any]:
    """Who declares it, with which generation."""
    if declared is None:
        return {}
    return {"declared_by": declared.by, "generation": declared.generation}


def _revised() -> dict[str, str]:
    return {"revision": new_keys(1)[0]}


def _changes(plan: EnsurePlan, key: str) -> Changes:
    if plan.stored is None:
        return {"$set": {}, "$unset": {}}
    changes = becoming(plan.stored, key) if plan.moves else redefined(plan.stored, key)
    return changes if plan.successor is None else succession(changes, plan.successor)


def _taken_back(changes: Changes, document: Mapping[str, Any], message: Message) -> Changes:
    """The same changes, and it waits again at its old place."""
    back: dict[str, Any] = {"status": SCHEDULED, "lapses": 0}
    if moment_of(document.get("due")) is None:
        back["due"] = place(to_microseconds(message.next_attempt_at), document["key"])
    gone = dict.fromkeys(("dead", "unreadable", "token"), "")
    return {"$set": {**back, **changes["$set"]}, "$unset": {**gone, **changes["$unset"]}}
