"""What a server counts, for Prometheus."""

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
TEXTS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Counters of one server, in a registry of its own, beside those of its process.

    Args:
        waiting: Gives the texts that are taken in and not yet answered.
    """

    def __init__(self, waiting: Callable[[], float]) -> None:
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._registry = registry
        self.accepted = Counter(
            "pocketbert_accepted_requests", "Inference requests taken in.", registry=registry
        )
        self._responses = Counter(
            "pocketbert_responses", "Answered inference requests.", ["code"], registry=registry
        )
        self._request_seconds = Histogram(
            "pocketbert_request_seconds",
            "From a request's head to its answer.",
            buckets=SECONDS,
            registry=registry,
        )
        self._batch_texts = Histogram(
            "pocketbert_batch_texts",
            "Texts of one call of the engine.",
            buckets=TEXTS,
            registry=registry,
        )
        self._batch_seconds = Histogram(
            "pocketbert_batch_seconds",
            "Time of one call of the engine.",
            buckets=SECONDS,
            registry=registry,
        )
        Gauge(
            "pocketbert_waiting_texts", "Texts taken in and not yet answered.", registry=registry
        ).set_function(waiting)

    def accepted_requests(self) -> int:
        """Inference requests taken in so far."""
        count = self._registry.get_sample_value("pocketbert_accepted_requests_total")
        return int(count or 0)

    def observe_response(self, code: int, seconds: float) -> None:
        """Count one answered request."""
        self._responses.labels(code).inc()
        self._request_seconds.observe(seconds)

    def observe_batch(self, texts: int, seconds: float) -> None:
        """Count one call of the engine."""
        self._batch_texts.observe(texts)
        self._batch_seconds.observe(seconds)

    def text(self) -> bytes:
        """Write all in Prometheus' text format."""
        return generate_latest(self._registry)
