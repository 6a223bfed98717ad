"""Refuses unfinished test classes of the kits, which pytest would otherwise skip in silence."""

import inspect
from typing import Any

import pytest

__all__ = ["forgotten", "pytest_pycollect_makeitem"]


def forgotten(kind: type) -> str | None:
    """The error text that names what a class still has to write; None if nothing is missing."""
    known = {name for base in kind.__mro__ for name in vars(base)}
    missing = sorted(
        name for name in known if getattr(getattr(kind, name, None), "__isabstractmethod__", False)
    )
    if not missing:
        return None
    names = ", ".join(f"{name}()" for name in missing)
    return f"{kind.__name__} is unfinished, so that none of its cases would run: write {names}"


def pytest_pycollect_makeitem(collector: pytest.Module | pytest.Class, name: str, obj: Any) -> None:
    """Called for each name in a test file: an abstract class of a kit is an error."""
    if inspect.isabstract(obj) and collector.classnamefilter(name):
        kits = [base for base in obj.__mro__ if base.__module__.startswith("duly.testing.")]
        if kits and (text := forgotten(obj)) is not None:
            raise collector.CollectError(text)
