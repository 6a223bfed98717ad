"""What starts schedulers: the unit of systemd and the manifests for Kubernetes."""

import configparser
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.deploy.test_rules import DEPLOY
from tests.deploy.test_runbooks import parsed
from tests.servers.finding import lacking

from duly._engine.runs import _DRAIN

UNIT = DEPLOY / "duly.service"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
PORT = 9464
PAGES = {"/livez", "/readyz"}


class TestUnit:
    def test_systemd_takes_it(self, tmp_path: Path) -> None:
        if (program := shutil.which("systemd-analyze")) is None:
            lacking("systemd", "systemd-analyze is not here")
        assert program is not None
        here = tmp_path / UNIT.name
        program_there = "/opt/shop/bin/duly"
        assert program_there in UNIT.read_text()
        here.write_text(UNIT.read_text().replace(program_there, sys.executable))
        done = subprocess.run(
            [program, "verify", "--man=no", "--recursive-errors=no", str(here)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        told = [line for line in done.stderr.splitlines() if UNIT.name in line]
        assert not told
        assert done.returncode == 0, done.stderr

    def test_it_is_watched_and_may_drain(self) -> None:
        unit = configparser.ConfigParser(interpolation=None, strict=False)
        unit.optionxform = str  # type: ignore[assignment,method-assign]  # names are kept as they are
        unit.read(UNIT)
        service = unit["Service"]
        assert service["Type"] == "notify"
        assert timedelta(seconds=int(service["WatchdogSec"])) > timedelta(seconds=30)
        assert timedelta(seconds=int(service["TimeoutStopSec"])) > _DRAIN
        assert f":{PORT}" in service["ExecStart"]
        parsed(["duly", *shlex.split(service["ExecStart"])[1:]])


def documents() -> Iterator[Mapping[str, Any]]:
    for file in MANIFESTS:
        yield from yaml.safe_load_all(file.read_text())


class TestManifests:
    @pytest.mark.parametrize("version", ["1.29.0", kubernetes_validate.latest_version()])
    def test_they_fit_the_schemas(self, version: str) -> None:
        for each in documents():
            kubernetes_validate.validate(dict(each), version, strict=True)

    def test_what_does_not_fit_is_found(self) -> None:
        deployment = _of("Deployment")
        deployment["spec"]["terminationGraceSeconds"] = 3
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(deployment, "1.29.0", strict=True)

    def test_they_probe_and_may_drain(self) -> None:
        pod = _of("Deployment")["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert timedelta(seconds=pod["terminationGracePeriodSeconds"]) > _DRAIN
        (port,) = container["ports"]
        assert port["containerPort"] == PORT
        probes = [container[name]["httpGet"] for name in ("livenessProbe", "readinessProbe")]
        assert {probe["path"] for probe in probes} == PAGES
        assert {probe["port"] for probe in probes} == {port["name"]}
        assert f"0.0.0.0:{PORT}" in container["command"]

    def test_selectors_find_the_pods(self) -> None:
        deployment = _of("Deployment")["spec"]
        labels = deployment["template"]["metadata"]["labels"].items()
        assert deployment["selector"]["matchLabels"].items() <= labels
        assert _of("PodDisruptionBudget")["spec"]["selector"]["matchLabels"].items() <= labels
        migrating = _of("Job")["spec"]["template"]["metadata"]["labels"].items()
        assert not deployment["selector"]["matchLabels"].items() <= migrating

    def test_commands_are_those_that_there_are(self) -> None:
        for kind in ("Deployment", "Job"):
            (container,) = _of(kind)["spec"]["template"]["spec"]["containers"]
            parsed(container["command"])


def _of(kind: str) -> dict[str, Any]:
    (found,) = (dict(each) for each in documents() if each["kind"] == kind)
    return found
