"""The life of a message as a line: what was, what is, what is expected."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import attrs

from duly import SchedulerInfo
from duly.words import duration
from duly_web.documents import MessageDocument
from duly_web.pages.doers import Doers
from duly_web.pages.visit import Visit

if TYPE_CHECKING:
    from duly_history import ChangeMade, Entries, Entry

__all__ = ["TEXTS", "Step", "life_of"]

_ALIKE: Final = 3  # failures in a row that are told in one
_HIDDEN: Final = "(the text of the error is hidden from you)"


@attrs.frozen(kw_only=True)
class Step:
    """One point of the line; ``when`` is "past", "now" or "to-come"."""

    at: datetime | None
    when: str
    icon: str
    text: str
    error: str = ""
    more: "Sequence[Step]" = ()


def life_of(
    visit: Visit,
    entries: "Entries | None",
    document: MessageDocument | None,
    schedulers: Sequence[SchedulerInfo],
    doers: Doers,
) -> Sequence[Step]:
    """All steps in order; schedulers by the names that they were given, people by theirs."""
    instances = {each.owner: each.instance for each in schedulers if each.instance}
    steps = []
    if entries is not None:
        steps = _gathered([_step(visit, each, instances, doers) for each in entries.entries])
    if entries is None and document is not None:
        steps = _known(document)
    if document is None:
        return steps
    now = Step(
        at=visit.now, when="now", icon=document.phase,
        text=_why(visit, document),
    )  # fmt: skip
    return [*steps, now, *_expected(document)]


def _why(visit: Visit, document: MessageDocument) -> str:
    """The sentence, without the error, which has a line of its own above."""
    if document.why is None:
        return ""
    return visit.words.told(document.why.text, document.last_error)


def _known(document: MessageDocument) -> list[Step]:
    """What the store itself knows of the past."""
    created, due = _at(document.created_at), _at(document.scheduled_at)
    steps = [Step(at=created, when="past", icon="set", text="Scheduled")]
    if due is not None and document.recurrence is None and due <= datetime.now(UTC):
        steps.append(Step(at=due, when="past", icon="due", text="Due"))
    if document.died_at is not None:
        text = f"Given up after {document.retry_count + 1} attempts"
        steps.append(
            Step(at=_at(document.died_at), when="past", icon="dead", text=text,
                 error=document.last_error or "")
        )  # fmt: skip
    return steps


def _expected(document: MessageDocument) -> list[Step]:
    steps = []
    if document.phase in ("scheduled", "retrying", "due") and not document.next:
        attempt = document.retry_count + 1
        at = _at(document.next_attempt_at)
        if document.phase != "due":
            text = f"Attempt {attempt}" if document.retry_count else "Due: its first attempt"
            steps.append(Step(at=at, when="to-come", icon="ahead", text=text))
    steps += [
        Step(at=_at(each), when="to-come", icon="ahead", text="Next of the series")
        for each in document.next or ()
    ]
    if document.expires_at is not None:
        text = "It expires: what is not delivered by then becomes a dead letter"
        steps.append(Step(at=_at(document.expires_at), when="to-come", icon="ahead", text=text))
    return steps


TEXTS: Final = {
    "scheduled": ("set", "Scheduled"), "ensured": ("set", "Its series was seen to"),
    "rescheduled": ("set", "Moved"), "delivered": ("delivered", "Delivered"),
    "failed": ("dead", "Failed"), "buried": ("dead", "Given up: a dead letter"),
    "missed": ("aside", "Missed"), "cancelled": ("cancelled", "Cancelled"),
    "replayed": ("retrying", "Replayed: scheduled again"), "purged": ("cancelled", "Purged"),
}  # fmt: skip


def _step(visit: Visit, entry: "Entry", instances: Mapping[str, str], doers: Doers) -> Step:
    icon, text = TEXTS.get(entry.what.value, ("set", entry.what.value))
    words = visit.words
    source = instances.get(entry.source, entry.source)
    if entry.what.value in ("failed", "delivered") and entry.attempt is not None:
        verb = "failed" if entry.what.value == "failed" else "delivered it"
        text = f"Attempt {entry.attempt} by {source} {verb}"
    else:
        text = f"{text}{_by(doers.get((entry.at, entry.what.value)), source)}"
    if entry.lateness is not None:
        text += f", {duration(entry.lateness)} late"
    if entry.what.value in ("scheduled", "rescheduled", "replayed") and entry.due_at is not None:
        text += f", for {words.moment(entry.due_at, exact=True).striptags()}"
    if entry.receipt:
        text += f", receipt {entry.receipt}"
    if entry.what.value == "missed" and entry.detail:
        text += f": {entry.detail}"
    error = entry.error or ""
    if error and visit.site.service.redact is not None:
        error = _HIDDEN
    return Step(at=entry.at, when="past", icon=icon, text=text, error=error)


def _by(change: "ChangeMade | None", source: str) -> str:
    """By which person and why; by which process where nobody knows the person."""
    by = source if change is None or not change.by else change.by
    why = "" if change is None or not change.reason else f" ({change.reason})"
    return f"{f' by {by}' if by else ''}{why}"


def _gathered(steps: Sequence[Step]) -> list[Step]:
    """Failures in a row that say the same are told in one, the first and the last as they are."""
    found: list[Step] = []
    run: list[Step] = []

    def close() -> None:
        if len(run) <= _ALIKE:
            found.extend(run)
        else:
            inner = run[1:-1]
            text = f"{len(inner)} more attempts failed the same way"
            found.extend([run[0], attrs.evolve(inner[0], text=text, error="", more=inner), run[-1]])
        run.clear()

    for each in steps:
        if run and (each.error != run[0].error or not each.error or each.icon != run[0].icon):
            close()
        run.append(each)
        if not each.error or "Given up" in each.text:
            close()
    close()
    return found


def _at(text: Any) -> datetime | None:
    return None if text is None else datetime.fromisoformat(str(text))
