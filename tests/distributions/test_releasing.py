"""Versions, the changelog and sums of a release, on a small tree."""

import subprocess
import zipfile
from datetime import date
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from releasing.__main__ import begin, main, moment
from releasing.built import asked, compare, sums
from releasing.changelog import released, sections
from releasing.refused import Refused
from releasing.versions import current, disagreements, wanted

DAY = date(2026, 12, 24)
LOG = "# Changelog\n\nWords.\n\n## 0.1.1 (unreleased)\n\n### A part\n\n- New.\n\n## 0.1.0 (2026-01-02)\n\n- Old.\n"
CORE = """\
[project]
name = "duly"
version = "0.1.0"  # a comment
dependencies = [
    "attrs>=25.1",  # stays
]

[project.optional-dependencies]
redis = ["duly-redis~=0.1.0"]
testing = ["pytest>=8.2"]
"""
PLUGIN = """\
[project]
name = "duly-redis"
version = "0.1.0"
dependencies = ["attrs>=23", "duly[testing]~=0.1.0; python_version >= '3.11'", "redis[hiredis]>=7.0"]
"""


def git(root: Path, *arguments: str) -> None:
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    subprocess.run(["git", "-C", str(root), *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "VERSION": "0.1.0\n",
        "CHANGELOG.md": LOG,
        "core/pyproject.toml": CORE,
        "plugins/redis/pyproject.toml": PLUGIN,
    }
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "as it was")
    return tmp_path


def texts(root: Path) -> dict[Path, str]:
    return {file: file.read_text() for file in root.rglob("*") if file.suffix in {"", ".md", ".toml"}
            and file.is_file() and ".git" not in file.parts}  # fmt: skip


class TestBeginning:
    @pytest.mark.parametrize(
        ("version", "pin"),
        [("0.2.0", "~=0.2.0"), ("0.1.1", "~=0.1.0"), ("1.0.0", "~=1.0.0"), ("0.10.3", "~=0.10.0")],
    )
    def test_a_version_is_written_into_all_places_and_nothing_else_changes(
        self, root, version, pin
    ):
        begin(root, version, DAY)
        assert current(root) == Version(version)
        assert not disagreements(root)
        assert (root / "core/pyproject.toml").read_text() == CORE.replace(
            '"0.1.0"', f'"{version}"'
        ).replace("~=0.1.0", pin)
        (plain,) = (
            line
            for line in (root / "plugins/redis/pyproject.toml").read_text().splitlines()
            if "duly[" in line
        )
        assert f"duly[testing]{pin}; python_version" in plain
        assert '"redis[hiredis]>=7.0"' in plain
        assert (root / "CHANGELOG.md").read_text() == LOG.replace(
            "## 0.1.1 (unreleased)", f"## {version} (2026-12-24)"
        )
        assert moment(root) == 1_798_070_400  # the midnight of that day

    def test_the_version_that_is_there_can_be_released_first(self, root):
        begin(root, "0.1.1", DAY)
        with pytest.raises(Refused, match="nothing new since 0.1.1"):
            begin(root, "0.1.1", DAY)

    @pytest.mark.parametrize(
        ("asked_for", "why"),
        [
            ("0.0.9", "0.0.9 is older than 0.1.0"),
            ("newest", "'newest' is no version"),
            ("", "'' is no version"),
            ("0.2", "'0.2' is no version of three numbers"),
            ("0.2.0.0", "of three numbers"),
            ("v0.2.0", "of three numbers"),
            ("0.02.0", "of three numbers"),
            ("0.2.0rc1", "of three numbers"),
            ("0.2.0.dev1", "of three numbers"),
            ("0.2.0+here", "of three numbers"),
            ("1!0.2.0", "of three numbers"),
            (" 0.2.0", "of three numbers"),
            ("0.1.0", "has a section of 0.1.0 already"),
        ],
    )
    def test_a_bad_version_is_refused_before_anything_is_touched(
        self, root, capsys, asked_for, why
    ):
        before = texts(root)
        assert main(["begin", asked_for], root=root) == 2
        told = capsys.readouterr().err
        assert told.startswith("no release: ")
        assert why in told
        assert texts(root) == before

    @pytest.mark.parametrize(
        ("log", "why"),
        [
            (LOG.replace("- New.", "Nothing."), "no entry under '## 0.1.1 (unreleased)'"),
            (LOG.replace("unreleased", "2026-03-04"), "nothing new since 0.1.1"),
            (LOG.replace("unreleased", "soon"), "in brackets stands 'unreleased', or a day"),
            (
                LOG.replace("## 0.1.1 (unreleased)", "## Unreleased"),
                "'## Unreleased' is no heading of a version",
            ),
            ("# Changelog\n", "has no section"),
        ],
    )
    def test_a_changelog_that_says_nothing_is_refused(self, root, log, why):
        (root / "CHANGELOG.md").write_text(log)
        git(root, "commit", "-qam", "the log")
        before = texts(root)
        with pytest.raises(Refused) as caught:
            begin(root, "0.2.0", DAY)
        assert why in str(caught.value)
        assert texts(root) == before

    def test_a_tree_that_is_not_clean_is_refused(self, root):
        (root / "new.py").write_text("")
        with pytest.raises(Refused, match="not clean .*new.py"):
            begin(root, "0.2.0", DAY)
        assert current(root) == Version("0.1.0")

    def test_what_is_no_checkout_is_refused(self, root, monkeypatch):
        monkeypatch.setenv("GIT_DIR", str(root / "nowhere"))
        with pytest.raises(Refused, match="no checkout"):
            begin(root, "0.2.0", DAY)
        assert current(root) == Version("0.1.0")


class TestAgreeing:
    @pytest.mark.parametrize(
        ("file", "old", "new"),
        [
            ("VERSION", "0.1.0", "0.1.1"),
            ("core/pyproject.toml", 'version = "0.1.0"', 'version = "0.1.1"'),
            ("core/pyproject.toml", "duly-redis~=0.1.0", "duly-redis>=0.1"),
            ("plugins/redis/pyproject.toml", "~=0.1.0", "~=0.1"),
        ],
    )
    def test_another_version_anywhere_is_found_and_brought_in_line(self, root, file, old, new):
        path = root / file
        path.write_text(path.read_text().replace(old, new))
        assert disagreements(root)
        assert main(["align"], root=root) == 0
        assert not disagreements(root)

    @pytest.mark.parametrize("text", ["", "0.1", "zero"])
    def test_the_file_must_hold_a_version(self, root, text):
        (root / "VERSION").write_text(text)
        with pytest.raises(Refused, match="the file VERSION: "):
            current(root)

    def test_the_file_must_be_there(self, root):
        (root / "VERSION").unlink()
        with pytest.raises(Refused, match="no file VERSION"):
            current(root)

    def test_what_is_not_released_has_no_moment(self, root):
        with pytest.raises(
            Refused, match="begins with '## 0.1.1 .unreleased.', and the version is 0.1.0"
        ):
            moment(root)

    def test_versions_are_compared_as_numbers(self):
        assert wanted("0.10.0", Version("0.9.0")) == Version("0.10.0")


def test_sections_of_a_changelog():
    newest, eldest = sections(LOG)
    assert (newest.version, newest.day, eldest.day) == ("0.1.1", None, date(2026, 1, 2))
    assert eldest.text.strip() == "- Old."
    assert [each.day for each in sections(released(LOG, "0.2.0", DAY))] == [DAY, date(2026, 1, 2)]


class TestBuilt:
    def test_sums_and_what_differs(self, tmp_path):
        for name in ("one", "other"):
            (tmp_path / name / "in").mkdir(parents=True)
            (tmp_path / name / "in" / "a.whl").write_bytes(b"a")
        assert (
            sums(tmp_path / "one")
            == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb  in/a.whl\n"
        )
        compare(tmp_path / "one", tmp_path / "other")
        (tmp_path / "other" / "in" / "a.whl").write_bytes(b"b")
        (tmp_path / "one" / "b.whl").write_bytes(b"b")
        with pytest.raises(Refused, match=r"not the same: b.whl, in/a.whl$"):
            compare(tmp_path / "one", tmp_path / "other")

    def test_what_wheels_ask_for_but_not_of_one_another(self, tmp_path):
        wheels = []
        for name, needs in {
            "duly": [
                "attrs>=25.1",
                "tzdata; sys_platform == 'win32'",
                "duly-redis~=0.1.0; extra == 'redis'",
                "pytest>=8; extra == 'testing'",
            ],
            "duly_redis": ["attrs>=23", "duly~=0.1.0", "redis[hiredis]>=7.0"],
        }.items():
            wheels.append(tmp_path / f"{name}-0.1.0-py3-none-any.whl")
            with zipfile.ZipFile(wheels[-1], "w") as archive:
                head = f"Metadata-Version: 2.4\nName: {name}\nVersion: 0.1.0\n"
                archive.writestr(
                    f"{name}-0.1.0.dist-info/METADATA",
                    head + "".join(f"Requires-Dist: {each}\n" for each in needs),
                )
        found = [Requirement(each) for each in asked(wheels)]
        assert [(each.name, str(each.specifier)) for each in found] == [
            ("attrs", ">=23"),
            ("attrs", ">=25.1"),
            ("redis", ">=7.0"),
            ("tzdata", ""),
        ]
