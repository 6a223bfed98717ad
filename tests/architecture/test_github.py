"""Workflows and forms: nothing runs that is not pinned, and forms ask for what helps."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from releasing.versions import FILE

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
FORMS = [
    file
    for file in sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
    if file.name != "config.yml"
]


def jobs(file: Path) -> dict[str, Any]:
    return yaml.safe_load(file.read_text())["jobs"]


def steps(file: Path) -> list[dict[str, Any]]:
    return [step for job in jobs(file).values() for step in job["steps"]]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_each_action_is_one_commit_whose_version_is_told(file):
    used = re.findall(r"uses: (.*)", file.read_text())
    assert used
    for each in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), each


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_no_secret_is_used_and_no_job_may_write(file):
    assert "secrets." not in file.read_text()
    whole = yaml.safe_load(file.read_text())
    granted = [
        whole["permissions"],
        *(job.get("permissions", {}) for job in whole["jobs"].values()),
    ]
    kinds = {(what, how) for each in granted for what, how in each.items()}
    assert kinds <= {("contents", "read"), ("id-token", "write")}
    assert all("timeout-minutes" in job for job in whole["jobs"].values())


def test_only_what_was_tried_is_published_and_by_a_job_that_runs_none_of_it():
    release = jobs(ROOT / ".github/workflows/release.yml")
    assert release["publish"]["needs"] == "build"
    assert release["publish"]["environment"] == "release"
    assert "id-token" not in release["build"]["permissions"]
    assert not [step for step in release["publish"]["steps"] if "checkout" in step.get("uses", "")]
    commands = "\n".join(step.get("run", "") for step in release["build"]["steps"])
    assert "nox -s release" in commands
    assert f"$(cat {FILE})" in commands


def test_ci_runs_what_everybody_runs():
    commands = [step.get("run", "") for step in steps(ROOT / ".github/workflows/ci.yml")]
    assert any(".ci/run" in command for command in commands)


@pytest.mark.parametrize("file", FORMS, ids=lambda file: file.name)
def test_a_form_asks_for_what_doctor_prints(file):
    form = yaml.safe_load(file.read_text())
    assert form["name"]
    assert form["description"]
    ids = [each["id"] for each in form["body"] if each["type"] != "markdown"]
    assert len(ids) == len({*ids})
    assert any("duly doctor" in each["attributes"].get("label", "") for each in form["body"])


def test_forms_name_pages_that_are_there():
    for file in FORMS:
        for page in re.findall(r"[\w/-]+\.md", file.read_text()):
            assert (ROOT / page).exists(), page
