"""Metrics as Prometheus reads them."""

import inspect
from typing import Any, Final

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import MeterProvider as AnyProvider
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from duly_ops.pages import Answer

__all__ = ["Exposition", "exposed"]

# duly's is the only scope; older versions of the reader do not tell of scopes at all.
_NO_SCOPES: Final[Any] = (
    {"scope_info_enabled": False}
    if "scope_info_enabled" in inspect.signature(PrometheusMetricReader).parameters
    else {}
)


class Exposition:
    """A meter provider beside whatever the application has, and what was written to it."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        reader = PrometheusMetricReader(
            disable_target_info=True, registry=self._registry, **_NO_SCOPES
        )
        self.provider: AnyProvider = MeterProvider([reader], shutdown_on_exit=False)

    def answer(self, accept: str) -> Answer:
        """All metrics, in the format that is asked for."""
        return exposed(self._registry, accept)


def exposed(registry: CollectorRegistry, accept: str) -> Answer:
    """What a registry has, in the format that is asked for."""
    encode, content_type = choose_encoder(accept)
    return Answer(200, encode(registry), content_type)
