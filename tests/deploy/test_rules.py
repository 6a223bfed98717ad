"""The alert rules: an incident makes its own alert fire, and no other."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from tests.deploy.incidents import DURING, HEALTHY_AT, INCIDENTS, LASTS, Values, series
from tests.deploy.metrics import asked_of, declared
from tests.servers.finding import lacking

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "rules.yml"


def rules() -> Mapping[str, Mapping[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def promtool(*arguments: str) -> str:
    program = shutil.which("promtool")
    if program is None:
        lacking("promtool", "promtool is not here: it is in Debian's package prometheus")
    assert program is not None
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_they_are_valid() -> None:
    assert f"{len(INCIDENTS)} rules found" in promtool("check", "rules", str(RULES))


def test_each_has_an_incident() -> None:
    assert [*rules()] == [*INCIDENTS]


def test_each_says_what_is_so_and_leads_to_a_runbook_that_is_there() -> None:
    for name, rule in rules().items():
        assert name.startswith("Duly")
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert {*rule["annotations"]} == {"summary", "description", "runbook"}
        file, _, anchor = rule["annotations"]["runbook"].partition("#")
        headings = re.findall(r"^##+ (.+)$", (DEPLOY.parent / file).read_text(), re.MULTILINE)
        assert anchor in {
            re.sub(r"[^a-z0-9 ]", "", each.lower()).replace(" ", "-") for each in headings
        }


def test_they_ask_for_metrics_that_there_are() -> None:
    for name, rule in rules().items():
        asked = asked_of(rule["expr"])
        assert asked, name
        assert asked <= {*declared(), "up"}, name


def test_the_incidents_show_metrics_that_there_are() -> None:
    shown = {name.partition("{")[0] for each in INCIDENTS.values() for name in series(*each)}
    assert shown <= {*declared(), "up"}


def test_an_incident_makes_its_alert_fire_and_no_other(tmp_path: Path) -> None:
    tests = [
        {
            "interval": "1m",
            "name": name,
            "input_series": [
                {"series": named, "values": _written(values)}
                for named, values in series(*incident).items()
            ],
            "promql_expr_test": [_firing(HEALTHY_AT), _firing(DURING, name)],
        }
        for name, incident in INCIDENTS.items()
    ]
    told = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}
    file = tmp_path / "incidents.yml"
    file.write_text(json.dumps(told))  # which is YAML as well
    promtool("test", "rules", str(file))


def test_an_hour_without_trouble_is_silent(tmp_path: Path) -> None:
    calm = {"interval": "1m", "input_series": [
        {"series": named, "values": _written(values)} for named, values in series(LASTS, {}).items()
    ], "promql_expr_test": [_firing(minute) for minute in range(0, LASTS, 7)]}  # fmt: skip
    file = tmp_path / "calm.yml"
    file.write_text(
        json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [calm]})
    )
    promtool("test", "rules", str(file))


def test_a_store_of_which_nobody_was_ever_seen(tmp_path: Path) -> None:
    nothing = {
        "interval": "1m",
        "input_series": [{"series": 'up{job="other"}', "values": f"1x{LASTS}"}],
        "promql_expr_test": [_firing(DURING, "DulyNobodyDelivers")],
    }
    file = tmp_path / "nothing.yml"
    file.write_text(
        json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [nothing]})
    )
    promtool("test", "rules", str(file))


def _written(values: Values) -> str:
    return " ".join("_" if each is None else f"{each:g}" for each in values)


def _firing(minute: int, *names: str) -> Mapping[str, Any]:
    """At that minute these alerts fire and no others."""
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in names]
    firing = 'group by (alertname) (ALERTS{alertstate="firing"})'
    return {"expr": firing, "eval_time": f"{minute}m", "exp_samples": samples}


def test_the_readme_lists_them() -> None:
    listed = re.findall(
        r"^\| `(Duly\w+)` \|.*\| (\w+) \|$", (DEPLOY / "README.md").read_text(), re.MULTILINE
    )
    assert listed == [(name, rule["labels"]["severity"]) for name, rule in rules().items()]
