"""Metrics as Prometheus reads them."""

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import MeterProvider as AnyProvider
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from duly_ops.pages import Answer

__all__ = ["Exposition", "exposed"]


class Exposition:
    """A meter provider beside whatever the application has, and what was written to it."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        reader = PrometheusMetricReader(  # the only scope is duly
            disable_target_info=True, scope_info_enabled=False, registry=self._registry
        )
        self.provider: AnyProvider = MeterProvider([reader], shutdown_on_exit=False)

    def answer(self, accept: str) -> Answer:
        """All metrics, in the format that is asked for."""
        return exposed(self._registry, accept)


def exposed(registry: CollectorRegistry, accept: str) -> Answer:
    """What a registry has, in the format that is asked for."""
    encode, content_type = choose_encoder(accept)
    return Answer(200, encode(registry), content_type)
