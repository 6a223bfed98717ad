import copy
import inspect
import pickle
import re
from datetime import timedelta

import pytest

import duly
from duly import errors


def drawn() -> dict[str, list[str]]:
    """The tree at the top of the module: each class with its bases."""
    tree: dict[str, list[str]] = {}
    path: list[str] = []
    for line in (inspect.getdoc(errors) or "").splitlines():
        match = re.match(r"\s*([│├└─ ]*)([A-Z]\w+)(?: \((\w+)\))?(\s{2}|$)", line)
        if match:
            depth = len(match[1]) // 4
            path[depth:] = [match[2]]
            parent = path[depth - 1] if depth else "Exception"
            tree[match[2]] = [parent, match[3]] if match[3] else [parent]
    return tree


def test_the_tree_drawn_is_the_tree_there_is():
    classes = [getattr(errors, name) for name in errors.__all__]
    assert drawn() == {
        each.__name__: [base.__name__ for base in each.__bases__] for each in classes
    }


@pytest.mark.parametrize("name", sorted({*errors.__all__} - {"Postpone"}))
def test_one_except_clause_catches_all(name):
    error = getattr(duly, name)
    assert error is getattr(errors, name)
    with pytest.raises(duly.DulyError, match="some text"):
        raise error("some text")


def test_postpone_takes_how_long_to_wait():
    with pytest.raises(duly.DulyError, match="not before 0:05:00 from now"):
        raise duly.Postpone(timedelta(minutes=5))
    assert duly.Postpone is errors.Postpone
    assert duly.Postpone(timedelta(0)).after == timedelta(0)
    assert duly.Postpone(after=timedelta(days=36525)).after == timedelta(days=36525)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))]
)
def test_postpone_comes_out_of_a_pool_of_processes_as_it_was_raised(copied):
    error = duly.Postpone(timedelta(minutes=5))
    error.add_note("mailbox full")
    again = copied(error)
    assert (type(again), again.after, str(again)) == (duly.Postpone, error.after, str(error))
    assert again.__notes__ == ["mailbox full"]


@pytest.mark.parametrize(
    "after", [timedelta(microseconds=-1), timedelta(days=36526), 5, 5.0, "5 min", None], ids=repr
)
def test_postpone_refuses_what_is_no_wait(after):
    with pytest.raises(duly.InvalidArgument, match=r"Postpone takes how long to wait"):
        duly.Postpone(after)


def test_what_a_caller_knows_from_the_standard_library_is_caught_as_such():
    assert issubclass(duly.InvalidMessage, ValueError)
    assert issubclass(duly.MessageNotFound, LookupError)
    assert not issubclass(duly.MessageNotFound, KeyError)  # its text would show in quotes


def test_partly_scheduled_tells_what_is_stored():
    assert duly.PartlyScheduled("some are not", ["a", "b"]).stored_ids == ("a", "b")
    assert duly.PartlyScheduled("none is").stored_ids == ()
    assert str(duly.PartlyScheduled("some are not", ["a"])) == "some are not"


@pytest.mark.parametrize("error", [duly.TransportError, duly.TransportUnavailable, duly.Rejected])
def test_a_transport_error_carries_what_the_receiver_asked_for(error):
    assert error("slow down", retry_after=timedelta(seconds=3)).retry_after == timedelta(seconds=3)
    assert error("slow down").retry_after is None
    assert str(error("slow down", timedelta(seconds=3))) == "slow down"
