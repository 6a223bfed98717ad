"""What people may say while schedulers run: pause, resume, limit."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import attrs

from duly._caller import ability_answers as answers
from duly._caller.arguments import as_number
from duly._caller.control_arguments import as_pattern, as_rate
from duly._caller.ensuring import Ensuring
from duly._caller.inquiry import Questions, Replies
from duly._caller.witnessing import who_acts
from duly._telemetry.logging import get_logger
from duly._values import controls
from duly._values.controls import Control, Limit, Pause, Rules
from duly._values.patterns import is_prefix, matches_name
from duly._values.spoken import exact
from duly.errors import InvalidArgument, StoreUnavailable, Unsupported, WrongState
from duly.health import Report
from duly.hookspecs import Controlled
from duly.moment import as_moment
from duly.store import MOST_OF_A_NOTE, Note, SupportsNotes

__all__ = ["Controlling"]

_TRIES: Final = 100  # to be the one who writes

log = get_logger()


class Controlling(Ensuring):
    """The verbs of a client that hold back event names.

    A name is an event name, a prefix that ends in ``.*`` and stands for all names that begin with
    what is before the ``*``, or ``*`` for all. Nobody need have scheduled anything under it. There
    may be 1,000 rules, 50 of them for prefixes. All of it needs a store that keeps notes.
    """

    async def pause(
        self, name: str, *, reason: str = "", by: str = "", until: datetime | None = None
    ) -> Control:
        """Publish nothing of a name, whoever asks, until it is resumed or ``until`` has come.

        Once this has returned, no scheduler begins a publish of it more than a second later. What
        is in flight ends; what is in hand is put back, uncounted. Messages wait in their order, and
        time in a pause is lateness: fires may be missed, and messages expire, when it is over.
        ``until`` is by the store's clock. Again replaces reason, ``by`` and ``until``.

        Raises:
            InvalidArgument: the name or prefix is not valid, a text is longer than 255 characters
                or has control characters, ``until`` has passed, or there are too many rules.
            Unsupported: the store keeps no notes.
            StoreUnavailable: it may be paused by now, or not; call again.
        """
        name, (by, reason) = as_pattern(name), who_acts(by, reason)
        end = None if until is None else as_moment(until, "until")

        def paused(control: Control, now: datetime) -> Control:
            if end is not None and end <= now:
                raise InvalidArgument(f"until is {exact(end)}, and the store's clock is later")
            since = now if control.pause is None else control.pause.since
            return attrs.evolve(control, pause=Pause(since=since, until=end, reason=reason, by=by))

        return (await self._control(name, "pause", paused, reason, by, until=end)).control

    async def resume(self, name: str, *, reason: str = "", by: str = "") -> bool:
        """Publish a name again that was paused; whether it was.

        ``reason`` and ``by`` are logged and told to observers, as :func:`duly.acting` may say them.

        Raises:
            WrongState: a wider rule pauses it: resume that one.
            InvalidArgument, Unsupported, StoreUnavailable: as with :meth:`pause`.
        """
        name, (by, reason) = as_pattern(name), who_acts(by, reason)

        def resumed(control: Control, _: datetime) -> Control:
            return attrs.evolve(control, pause=None)

        controlled = await self._control(name, "resume", resumed, reason, by)
        return controlled.before.pause is not None

    async def limit(
        self,
        name: str,
        *,
        rate: float | None = None,
        in_flight: int | None = None,
        reason: str = "",
        by: str = "",
    ) -> Control:
        """Publish so much of a name and no more, by all schedulers together.

        ``rate`` is in messages a second, as 0.1 for one in ten seconds; ``in_flight`` how many
        publishes of it may be under way at once. Together they replace what was said before;
        without both the limit is taken off. Of several rules that fit a name the longest that has
        a rate gives the rate, and the longest that has a number in flight gives that; all names
        of a rule share it.

        Raises:
            InvalidArgument: ``rate`` is not above 0 and at most 1,000,000, or ``in_flight`` no
                whole number from 1 to 100,000; else as with :meth:`pause`.
            Unsupported, StoreUnavailable: as with :meth:`pause`.
        """
        name, (by, reason) = as_pattern(name), who_acts(by, reason)
        rate = None if rate is None else as_rate(rate)
        if in_flight is not None:
            in_flight = as_number(in_flight, "in_flight", at_least=1, at_most=100_000)
        off = rate is None and in_flight is None

        def limited(control: Control, now: datetime) -> Control:
            new = Limit(since=now, rate=rate, in_flight=in_flight, reason=reason, by=by)
            return attrs.evolve(control, limit=None if off else new)

        controlled = await self._control(
            name, "limit", limited, reason, by, rate=rate, in_flight=in_flight
        )
        await self._forget_permits()
        return controlled.control

    async def controls(self) -> Mapping[str, Control]:
        """What is paused and limited just now, by name or prefix.

        Raises:
            Unsupported: the store keeps no notes.
        """
        note = answers.note(await self._calls(self._keeps_notes().read_note, controls.NOTE))
        return _rules(note)

    def _questions(self) -> Questions:
        questions = super()._questions()
        if isinstance(self._calls.store, SupportsNotes):
            questions["controls"] = self.controls
        return questions

    def _examine_aside(
        self, report: Report, late: float, names: Sequence[str], replies: Replies
    ) -> None:
        """What stands aside because somebody wants it so is no trouble."""
        said = replies.of("controls")[0] if "controls" in replies else None
        rules = Rules(said or {})
        names = [name for name in names if not rules.touch(name)]
        if names or not rules:
            super()._examine_aside(report, late, names, replies)

    async def _control(
        self, name: str, action: str, change: Any, reason: str, by: str, **told: Any
    ) -> Controlled:
        async with self._changing(action, target=name, by=by, reason=reason, **told):
            return await self._write(name, action, change, reason, by)

    async def _write(self, name: str, action: str, change: Any, reason: str, by: str) -> Controlled:
        store = self._keeps_notes()
        for _ in range(_TRIES):
            note = answers.note(await self._calls(store.read_note, controls.NOTE))
            if note is None:  # with one it tells what the store's clock shows
                await self._calls(store.write_note, controls.NOTE, controls.written({}), None)
                continue
            rules, now = dict(_rules(note)), note.now
            before = rules.get(name, Control())
            if action == "resume":
                _see_wider(rules, name)
            rules[name] = after = change(before, now)
            if after == Control():
                del rules[name]
            value = _written(rules)
            controlled = Controlled(
                name=name, action=action, before=before, control=after, reason=reason, by=by
            )
            if before == after:
                return controlled
            answer = await self._calls(store.write_note, controls.NOTE, value, note.revision)
            if answers.written(answer) is not None:
                self._controlled(controlled)
                return controlled
        raise StoreUnavailable("too many change the controls at once: call again")

    def _controlled(self, controlled: Controlled) -> None:
        log.info(
            "controlled",
            name=controlled.name,
            action=controlled.action,
            reason=controlled.reason,
            by=controlled.by,
        )
        self._plugins.tell("duly_controlled", controlled=controlled)

    async def _forget_permits(self) -> None:
        """Remove what permits were drawn from that no rule needs, and of which nobody holds any."""
        store = self._keeps_notes()
        rules = Rules(await self.controls())
        needed = {controls.permit_note("rate", rule) for rule in rules.rates}
        needed |= {controls.permit_note("in_flight", rule) for rule in rules.in_flight}
        found = await self._calls(store.notes, controls.PERMITS)
        found = answers.notes(found, controls.PERMITS)
        for name, note in found.items():
            if name not in needed and controls.is_over(note):
                await self._calls(store.write_note, name, None, note.revision)

    def _keeps_notes(self) -> SupportsNotes:
        store: Any = self._calls.store
        if not isinstance(store, SupportsNotes):
            raise Unsupported(
                f"{type(store).__name__} keeps no notes, without which nobody can pause or limit"
            )
        return store


def _rules(note: Note | None) -> Mapping[str, Control]:
    return {} if note is None else controls.read(note.value, note.now)


def _see_wider(rules: Mapping[str, Control], name: str) -> None:
    wider = {key: each for key, each in rules.items() if key != name and matches_name(key, name)}
    paused_by = Rules(wider).paused_by(name)
    if paused_by is not None:
        raise WrongState(f"{name!r} is paused by the rule for {paused_by!r}: resume that one")


def _written(rules: Mapping[str, Control]) -> bytes:
    prefixes = sum(map(is_prefix, rules))
    if len(rules) > controls.RULES or prefixes > controls.PREFIXES:
        raise InvalidArgument(
            f"there may be {controls.RULES:,} rules, {controls.PREFIXES} of them for prefixes: "
            "take off what is no longer needed, or say it of a prefix"
        )
    value = controls.written(rules)
    if len(value) > MOST_OF_A_NOTE:
        raise InvalidArgument("all rules together take more than 1 MiB: give shorter reasons")
    return value
