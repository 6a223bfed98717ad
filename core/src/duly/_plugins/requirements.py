"""Whether a distribution's requirement of duly itself is met.

Installers see to that, until somebody upgrades one of two distributions alone. What cannot be
read here counts as met: a guess must not keep a plugin out.
"""

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["unmet"]

_REQUIREMENT: Final = re.compile(
    r"\s*duly(?![\w.-])\s*(?:\[[^\]]*\]\s*)?(?:\((?P<inner>[^()]*)\)|(?P<bare>[^();@]*))\s*",
    re.IGNORECASE,
)
_CLAUSE: Final = re.compile(r"(~=|==|!=|<=|>=|<|>)\s*(.+)", re.DOTALL)
_VERSION: Final = re.compile(r"v?(?P<release>\d{1,9}(?:\.\d{1,9})*)(?P<rest>.*)", re.DOTALL)
_SUFFIX: Final = re.compile(
    r"(?i)[-_.]?(?:a|b|c|rc|alpha|beta|pre|preview|post|rev|r|dev)[-_.]?\d*"
)


def unmet(requires: Iterable[str], version: str) -> str | None:
    """The first requirement of duly that ``version`` does not meet; None: there is none.

    A pre-release, a checkout under development and a rebuild count as the release they belong to.
    A requirement with a marker (``; extra == "redis"``) is left to installers, which know the
    conditions.
    """
    for requirement in requires:
        match = _REQUIREMENT.fullmatch(requirement)
        if match is None:
            continue
        clauses = (match["inner"] or match["bare"] or "").split(",")
        if not all(_met(clause.strip(), version) for clause in clauses):
            return requirement.strip()
    return None


def _met(clause: str, version: str) -> bool:
    match, here = _CLAUSE.fullmatch(clause), _VERSION.match(version)
    asked = None if match is None else _VERSION.fullmatch(match[2].strip())
    if match is None or asked is None or here is None:
        return True
    operator, rest = match[1], asked["rest"]
    ours, theirs = _numbers(here["release"]), _numbers(asked["release"])
    if rest == ".*":
        same = _padded(ours, len(theirs))[: len(theirs)] == theirs
        return {"==": same, "!=": not same}.get(operator, True)
    if rest and not _SUFFIX.fullmatch(rest):
        return True
    if operator == "~=":
        stem = theirs[:-1]
        if _padded(ours, len(stem))[: len(stem)] != stem:
            return False
    size = max(len(ours), len(theirs))
    ours, theirs = _padded(ours, size), _padded(theirs, size)
    if ours == theirs and (rest or (here["rest"] and operator == "!=")):
        return True  # which of two of one release comes first is not looked into
    return {
        "~=": ours >= theirs, ">=": ours >= theirs, "<=": ours <= theirs, "==": ours == theirs,
        "!=": ours != theirs, "<": ours < theirs, ">": ours > theirs,
    }[operator]  # fmt: skip


def _numbers(release: str) -> list[int]:
    return [int(each) for each in release.split(".")]


def _padded(numbers: list[int], size: int) -> list[int]:
    return numbers + [0] * (size - len(numbers))
