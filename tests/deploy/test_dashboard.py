"""The dashboard: its queries are valid, and ask for metrics and labels that there are."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.deploy.metrics import LABELS, asked_of, declared
from tests.deploy.test_rules import DEPLOY, promtool, rules

import duly

BOARD: Mapping[str, Any] = json.loads((DEPLOY / "dashboard.json").read_text())


def panels() -> Iterator[Mapping[str, Any]]:
    for panel in BOARD["panels"]:
        if panel["type"] != "row":
            yield panel


def queries() -> Iterator[str]:
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"]


def test_its_queries_ask_for_metrics_that_there_are() -> None:
    for query in queries():
        assert asked_of(query), query
        assert asked_of(query) <= declared(), query


def test_it_shows_what_alerts_are_about() -> None:
    shown = {name for query in queries() for name in asked_of(query)}
    for rule in rules().values():
        assert asked_of(rule["expr"]) <= shown | {"up"}


def test_its_labels_are_those_that_there_are() -> None:
    for panel in panels():
        for target in panel["targets"]:
            grouped = re.findall(r"\bby *\(([^)]*)\)", target["expr"])
            named = {each.strip() for part in grouped for each in part.split(",")}
            named |= set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert named <= LABELS | {"le"}, target


def test_its_queries_are_valid(tmp_path: Path) -> None:
    recorded = [
        {
            "record": f"panel:{number}",
            "expr": query.replace("$__rate_interval", "5m").replace("$store", ".*"),
        }
        for number, query in enumerate(queries())
    ]
    file = tmp_path / "panels.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": recorded}]}))
    assert f"{len(recorded)} rules found" in promtool("check", "rules", str(file))


def test_no_panel_lies_upon_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        mine = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not taken & mine, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= mine
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])


async def test_the_exporter_names_them_so() -> None:
    registry = CollectorRegistry()
    reader = PrometheusMetricReader(registry=registry)
    async with duly.Scheduler(
        "memory://", _refuse, meter_provider=MeterProvider([reader], shutdown_on_exit=False)
    ) as scheduler:
        await scheduler.schedule(duly.Message("tick", scheduled_at=duly.after()))
        async with scheduler.running():
            while "duly_reading_age_seconds" not in (shown := _shown(registry)):
                await scheduler.stats()
            while "duly_messages_buried_total" not in shown:
                await scheduler.stats()
                shown = _shown(registry)
    assert {*shown} <= declared()
    gauges = {
        name for name in declared() if not name.endswith(("_total", "_bucket", "_count", "_sum"))
    }
    assert gauges <= {*shown}
    assert {label for labels in shown.values() for label in labels} <= LABELS | {"le"}


async def _refuse(envelope: duly.Envelope) -> None:
    raise duly.Rejected("no")


def _shown(registry: CollectorRegistry) -> Mapping[str, set[str]]:
    """The labels of all samples of duly, by name."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            if sample.name.startswith("duly_"):
                labels = {each for each in sample.labels if not each.startswith("otel_")}
                found.setdefault(sample.name, set()).update(labels)
    return found
