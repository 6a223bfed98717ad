"""Bugs in how notes are kept and compared, and the cases that catch them."""

import asyncio
import fnmatch
import hashlib
import itertools
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

import attrs
import pytest

from duly.store import Batch, Note, Stats
from duly.testing.stores.plain import PlainStore


class WritesWithoutComparing(PlainStore):
    async def write_note(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        right = self.kept[name][1] if name in self.kept else None
        return await super().write_note(name, value, right)


class ComparesWhatIsThereAlone(PlainStore):
    """Who makes a note anew writes over that of another."""

    async def write_note(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        if revision is None:
            self.kept.pop(name, None)
        return await super().write_note(name, value, revision)


class ComparesAndThenWrites(PlainStore):
    """Two steps where one is needed."""

    async def write_note(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        if (self.kept[name][1] if name in self.kept else None) != revision:
            return None
        await asyncio.sleep(0)
        right = self.kept[name][1] if name in self.kept else None
        return await super().write_note(name, value, right)


class LooksAndThenMakes(PlainStore):
    async def write_note(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        if revision is not None or name in self.kept:
            return await super().write_note(name, value, revision)
        await asyncio.sleep(0)
        self.kept.pop(name, None)
        return await super().write_note(name, value, None)


class DeletesAsItIs(PlainStore):
    async def write_note(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        if value is None and name in self.kept:
            revision = self.kept[name][1]
        return await super().write_note(name, value, revision)


class DeletesInTwoSteps(PlainStore):
    async def write_note(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        if value is None and name in self.kept and self.kept[name][1] == revision:
            await asyncio.sleep(0)
            self.kept.pop(name, None)
            return "deleted"
        return await super().write_note(name, value, revision)


class FailsToDeleteNothing(PlainStore):
    async def write_note(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        if value is None and name not in self.kept:
            return None
        return await super().write_note(name, value, revision)


class LeavesATombstone(PlainStore):
    """By what a delete has answered, the note can be written again."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.tombs: dict[str, str] = {}

    async def write_note(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        if name not in self.kept and revision is not None and self.tombs.get(name) == revision:
            revision = None
        answer = await super().write_note(name, value, revision)
        if value is None and answer is not None:
            self.tombs[name] = answer
        return answer


class CountsTheWritingsOfANote(PlainStore):
    """And begins anew with each that is written again."""

    async def write_note(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        answer = await super().write_note(name, value, revision)
        if answer is not None and value is not None:
            answer = "1" if revision is None else str(int(revision) + 1)
            self.kept[name] = value, answer
        return answer


class CountsAllWritings(PlainStore):
    """As every other store does."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.numbers = itertools.count(1)

    def revision(self) -> str:
        return str(next(self.numbers))


class ARevisionIsADigest(PlainStore):
    async def write_note(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        answer = await super().write_note(name, value, revision)
        if answer is not None and value is not None:
            answer = hashlib.sha256(value).hexdigest()
            self.kept[name] = value, answer
        return answer


class ComparesByCaseFolded(PlainStore):
    async def write_note(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        right = self.kept[name][1] if name in self.kept else None
        if right is not None and revision is not None and right.lower() == revision.lower():
            revision = right
        return await super().write_note(name, value, revision)


class ConflictsWithOtherNames(PlainStore):
    """As a transaction that has read all."""

    async def write_note(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        before = dict(self.kept)
        await asyncio.sleep(0)
        return await super().write_note(name, value, revision) if self.kept == before else None


class ByAnotherName(PlainStore):
    """A server's way to compare texts, or to keep them."""

    def named(self, name: str) -> str:
        return name

    async def read_note(self, name: str) -> Note | None:
        return await super().read_note(self.named(name))

    async def write_note(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        return await super().write_note(self.named(name), value, revision)


class NamesHaveNoCase(ByAnotherName):
    def named(self, name: str) -> str:
        return name.lower()


class NamesAreTrimmed(ByAnotherName):
    def named(self, name: str) -> str:
        return name.rstrip()


class NamesAreNormalized(ByAnotherName):
    def named(self, name: str) -> str:
        return unicodedata.normalize("NFC", name)


class NamesAreCut(ByAnotherName):
    def named(self, name: str) -> str:
        return name.encode()[:255].decode(errors="ignore")


class NamesAreFiles(ByAnotherName):
    def named(self, name: str) -> str:
        return name.replace("//", "/")


class PrefixesArePatterns(PlainStore):
    async def notes(self, prefix: str) -> Mapping[str, Note]:
        everything = await super().notes("")
        return {
            name: note
            for name, note in everything.items()
            if fnmatch.fnmatchcase(name, prefix + "*")
        }


class APrefixIsARange(PlainStore):
    """Up to its last character's successor, in a plane that ends too early."""

    async def notes(self, prefix: str) -> Mapping[str, Note]:
        everything = await super().notes("")
        return {
            name: note for name, note in everything.items() if prefix <= name < prefix + "\uffff"
        }


class ListsInNoOrder(PlainStore):
    async def notes(self, prefix: str) -> Mapping[str, Note]:
        return dict(reversed([*(await super().notes(prefix)).items()]))


class ListsByUTF16(PlainStore):
    async def notes(self, prefix: str) -> Mapping[str, Note]:
        found = await super().notes(prefix)
        return {
            name: found[name] for name in sorted(found, key=lambda each: each.encode("utf-16-be"))
        }


class ListsOnePage(PlainStore):
    async def notes(self, prefix: str) -> Mapping[str, Note]:
        return dict(itertools.islice((await super().notes(prefix)).items(), 100))


class TheEmptyOneIsNone(PlainStore):
    async def write_note(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        return await super().write_note(name, value or None, revision)


class EndsAtAZero(PlainStore):
    async def write_note(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        kept = None if value is None else value.partition(b"\0")[0]
        return await super().write_note(name, kept, revision)


class IsText(PlainStore):
    async def write_note(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        kept = None if value is None else value.decode(errors="replace").encode()
        return await super().write_note(name, kept, revision)


class IsBehind(PlainStore):
    """Reads from a replica."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.before: dict[str, tuple[bytes, str]] = {}

    async def write_note(self, *given: Any) -> str | None:
        self.before = dict(self.kept)
        return await super().write_note(*given)

    async def read_note(self, name: str) -> Note | None:
        kept = self.before.get(name)
        return None if kept is None else Note(*kept, self.now())


class ReadsInTwoSteps(PlainStore):
    async def read_note(self, name: str) -> Note | None:
        first = await super().read_note(name)
        await asyncio.sleep(0)
        second = await super().read_note(name)
        if first is None or second is None:
            return None
        return attrs.evolve(first, value=second.value)


class ListsInTwoSteps(PlainStore):
    async def notes(self, prefix: str) -> Mapping[str, Note]:
        first = await super().notes(prefix)
        await asyncio.sleep(0)
        second = await super().notes(prefix)
        return {
            name: attrs.evolve(note, value=second.get(name, note).value)
            for name, note in first.items()
        }


class TellsTheHostsTime(PlainStore):
    async def read_note(self, name: str) -> Note | None:
        note = await super().read_note(name)
        return None if note is None else attrs.evolve(note, now=datetime.now(UTC))


class TellsWhenItWasWritten(PlainStore):
    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.moments: dict[str, datetime] = {}

    async def write_note(self, name: str, *given: Any) -> str | None:
        self.moments[name] = self.now()
        return await super().write_note(name, *given)

    async def notes(self, prefix: str) -> Mapping[str, Note]:
        found = await super().notes(prefix)
        return {name: attrs.evolve(note, now=self.moments[name]) for name, note in found.items()}


class IsCountedAsAMessage(PlainStore):
    async def stats(self) -> Stats:
        stats = await super().stats()
        return attrs.evolve(stats, scheduled=stats.scheduled + len(self.kept))


class IsSweptWithLapses(PlainStore):
    """As a server does with keys that have no message."""

    async def claim(self, **more: Any) -> Batch:
        batch = await super().claim(**more)
        if not self.model.entries:
            self.kept.clear()
        return batch


class IsSharedByAll(PlainStore):
    everybodys: ClassVar[dict[str, tuple[bytes, str]]] = {}

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.everybodys.clear()
        self.kept = self.everybodys


CAUGHT_BY: dict[type[PlainStore], str] = {
    WritesWithoutComparing: "test_an_old_revision_is_not_valid",
    ComparesWhatIsThereAlone: "test_one_that_is_there_is_not_written_anew",
    ComparesAndThenWrites: "test_what_all_count_is_exact",
    LooksAndThenMakes: "test_one_of_many_makes_it",
    DeletesAsItIs: "test_one_is_deleted_by_its_revision",
    DeletesInTwoSteps: "test_deleted_or_written_never_both",
    FailsToDeleteNothing: "test_to_delete_what_is_not_there_is_no_failure",
    LeavesATombstone: "test_what_answers_a_delete_stands_for_nothing",
    CountsTheWritingsOfANote: "test_deleted_and_written_again_it_is_another",
    CountsAllWritings: "test_a_revision_is_never_used_twice",
    ARevisionIsADigest: "test_an_old_revision_is_not_valid",
    ComparesByCaseFolded: "test_a_revision_is_compared_exactly",
    ConflictsWithOtherNames: "test_other_names_are_no_conflict",
    NamesHaveNoCase: "test_each_name_is_a_note_of_its_own",
    NamesAreTrimmed: "test_each_name_is_a_note_of_its_own",
    NamesAreNormalized: "test_each_name_is_a_note_of_its_own",
    NamesAreCut: "test_all_are_listed_in_order",
    NamesAreFiles: "test_each_name_is_a_note_of_its_own",
    PrefixesArePatterns: "test_names_are_listed_by_what_they_begin_with",
    APrefixIsARange: "test_names_are_listed_by_what_they_begin_with",
    ListsInNoOrder: "test_many_are_listed",
    ListsByUTF16: "test_all_are_listed_in_order",
    ListsOnePage: "test_many_are_listed",
    TheEmptyOneIsNone: "test_a_value_comes_back",
    EndsAtAZero: "test_a_value_comes_back",
    IsText: "test_a_value_comes_back",
    IsBehind: "test_all_stores_see_it_at_once",
    ReadsInTwoSteps: "test_what_is_read_is_whole",
    ListsInTwoSteps: "test_what_is_read_is_whole",
    TellsTheHostsTime: "test_now_is_the_stores",
    TellsWhenItWasWritten: "test_now_is_the_stores",
    IsCountedAsAMessage: "test_no_verb_for_messages_sees_a_note",
    IsSweptWithLapses: "test_when_all_messages_are_gone_notes_stay",
    IsSharedByAll: "test_namespaces_have_their_own",
}


@pytest.mark.parametrize("bug", CAUGHT_BY)
async def test_a_bug_in_notes_is_caught(assert_caught: Any, bug: type[PlainStore]) -> None:
    await assert_caught(bug, CAUGHT_BY[bug])
