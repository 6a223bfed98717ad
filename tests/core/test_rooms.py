"""What is left of the ``most`` of a claim, and where names begin of which something is left."""

import random
from collections.abc import Callable, Mapping, Sequence

import pytest

from duly import InvalidArgument
from duly.store import PAUSED, Rooms


def test_what_is_handed_out_is_not_left() -> None:
    rooms = Rooms({"a": 2, "b.*": 1})
    rooms.hand_out("a")
    rooms.hand_out("b.x")
    rooms.hand_out("c", 9)
    assert [rooms.left(name) for name in ("a", "b.x", "b.y", "b", "c")] == [1, 0, 0, None, None]
    rooms.hand_out("a", 3)  # what recurs is handed out all the same
    assert rooms.left("a") == 0


def test_a_pause_alone_holds_what_recurs() -> None:
    rooms = Rooms({"a": PAUSED, "b": 0, "c": 1})
    assert [rooms.may_wait(name, recurs=True) for name in "abcd"] == [True, False, False, False]
    assert all(rooms.may_wait(name, recurs=False) for name in "abcd")
    assert [rooms.passes_over(name) for name in "abcd"] == [True, True, False, False]


@pytest.mark.parametrize("most", [{"a": -2}, dict.fromkeys(map(str, range(1001)), 1)])
def test_what_is_too_much_or_too_little(most: Mapping[str, int]) -> None:
    with pytest.raises(InvalidArgument):
        Rooms(most)


def walked(names: Sequence[str], first: Callable[[str], str | None], at: str) -> list[str]:
    """The names that a store finds that walks along its index, and how many steps it takes."""
    found: list[str] = []
    place = first(at)
    while place is not None:
        name = next((each for each in names if each >= place), None)
        if name is None:
            break
        place = first(name)
        if place == name:
            found.append(name)
            place = first(name + "\0")
    return found


@pytest.mark.parametrize("seed", range(20))
def test_a_walk_finds_every_name_there_is(seed: int) -> None:
    chance = random.Random(seed)  # no secret
    names = sorted({".".join(chance.choices("ab/é", k=chance.randint(1, 4))) for _ in range(200)})
    for _ in range(50):
        keys = chance.sample(names, 3) + [f"{name}.*" for name in chance.sample(names, 2)] + ["*"]
        most = {key: chance.randint(-1, 2) for key in chance.sample(keys, chance.randint(0, 6))}
        rooms, start = Rooms(most), chance.choice(["", *names])
        behind = [name for name in names if name >= start]
        has = [name for name in behind if rooms.left(name) != 0]
        assert walked(names, rooms.first_open, start) == has
        assert walked(names, rooms.first_closed, start) == [
            name for name in behind if name not in has
        ]


def test_a_walk_passes_a_closed_prefix_in_one_step() -> None:
    rooms = Rooms({"a.*": 0, "a.m.*": 1, "c": 0})
    assert rooms.first_open("a.b") == "a.m."
    assert rooms.first_open("a.n") == "a/"
    assert rooms.first_open("c") == "c\0"
    assert rooms.first_closed("b") == "c"
    assert rooms.first_closed("d") is None
    assert Rooms({"*": 0}).first_open("") is None
    assert Rooms({}).first_closed("") is None
