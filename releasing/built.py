"""What was built: the digests of it, and the oldest of what it asks for."""

import hashlib
import zipfile
from collections.abc import Iterable
from email.parser import HeaderParser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from releasing.refused import Refused

__all__ = ["asked", "compare", "sums"]


def sums(folder: Path) -> str:
    """The SHA-256 of each file in a folder, as ``sha256sum --check`` reads them there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return "".join(f"{_digest(file)}  {file.relative_to(folder).as_posix()}\n" for file in files)


def compare(one: Path, other: Path) -> None:
    """See that two folders hold the same files, byte by byte.

    Raises:
        Refused: they do not.
    """
    first, second = sums(one).splitlines(), sums(other).splitlines()
    if differing := sorted({line.split(maxsplit=1)[1] for line in {*first} ^ {*second}}):
        raise Refused(f"built twice, and not the same: {', '.join(differing)}")


def asked(wheels: Iterable[Path]) -> list[str]:
    """What wheels ask for beside one another: an installer takes that as asked for directly."""
    wheels = [*wheels]
    ours = {parse_wheel_filename(wheel.name)[0] for wheel in wheels}
    found = set()
    for wheel in wheels:
        for text in _requirements(wheel):
            requirement = Requirement(text)
            of_extra = "extra" in str(requirement.marker or "")
            if canonicalize_name(requirement.name) not in ours and not of_extra:
                found.add(str(requirement))
    return sorted(found)


def _requirements(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    return metadata.get_all("Requires-Dist") or []


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
