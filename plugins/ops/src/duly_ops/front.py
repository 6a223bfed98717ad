"""One answer for several processes: a label for each, and the health of the worst."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from duly_ops.children import Child, Told, ask_all
from duly_ops.exposition import exposed
from duly_ops.pages import Answer, text_answer
from duly_ops.watched import worst

__all__ = ["Front"]

_LABEL: Final = "process"
_UP: Final = "1 where a process answers, else 0."


class Front:
    """Shows what several processes show."""

    def __init__(self, children: Sequence[Child]) -> None:
        self._children = children

    async def stuck(self) -> list[str]:
        """Whom nothing but an end helps. One that has died is being replaced: it is not meant."""
        answers = await ask_all(self._children, "/livez")
        return [
            f"process {number}: {_said(told)}"
            for number, told in answers.items()
            if told.status not in (0, 200)
        ]

    async def unready(self) -> list[str]:
        """Which do not deliver, and why."""
        answers = await ask_all(self._children, "/readyz")
        return [
            f"process {number}: {_said(told)}"
            for number, told in answers.items()
            if told.status != 200
        ]

    async def live(self) -> Answer:
        return text_answer(await self.stuck())

    async def ready(self) -> Answer:
        return text_answer(await self.unready())

    async def health(self) -> Answer:
        answers = await ask_all(self._children, "/healthz")
        return worst([each for number, told in answers.items() for each in _facts(number, told)])

    async def metrics(self, accept: str) -> Answer:
        answers = await ask_all(self._children, "/metrics")
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Merged(answers))
        return exposed(registry, accept)


class _Merged(Collector):
    """The metrics of all, each with the number of its process."""

    def __init__(self, answers: Mapping[int, Told]) -> None:
        self._answers = answers

    def describe(self) -> Iterator[Metric]:
        """Nothing is promised."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("duly_process_up", _UP, labels=[_LABEL])
        families: dict[str, Metric] = {}
        for number, told in self._answers.items():
            up.add_metric([str(number)], 1 if told.status == 200 else 0)
            text = told.body.decode("utf-8", "replace") if told.status == 200 else ""
            for family in text_string_to_metric_families(text):
                name = family.name
                merged = families.setdefault(name, Metric(name, family.documentation, family.type))
                merged.samples += [
                    each._replace(labels={**each.labels, _LABEL: str(number)})
                    for each in family.samples
                ]
        yield up
        yield from families.values()


def _said(told: Told) -> str:
    if not told.there:
        return "it says nothing" if told.status else "it is not there"
    return told.body.decode("utf-8", "replace").strip().replace("\n", "; ")


def _facts(number: int, told: Told) -> Sequence[Mapping[str, Any]]:
    """What each scheduler of a process says of itself."""
    said: Any = None
    if told.there:
        try:
            said = json.loads(told.body)
        except ValueError:
            said = None
    if isinstance(said, dict) and isinstance(said.get("schedulers"), list) and said["schedulers"]:
        return [{_LABEL: number, **each} for each in said["schedulers"]]
    text = f"Process {number} does not answer."
    if isinstance(said, dict):
        text = f"No scheduler runs in process {number}."
    return [
        {_LABEL: number, "status": "unhealthy", "sentence": text, "code": "silent", "reason": text}
    ]
