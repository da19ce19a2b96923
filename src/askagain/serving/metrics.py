"""What the server counts of itself, for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class ServerMetrics:
    """Counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        labels = ("method", "path")
        self.requests = Counter("askagain_requests", "Requests by status.", (*labels, "status"), registry=self.registry)
        self.seconds = Histogram(
            "askagain_request_seconds", "Time to the answer.", labels, buckets=SECONDS, registry=self.registry
        )
        self.ended = Counter(
            "askagain_connections_ended", "Connections that the server ended.", ("reason",), registry=self.registry
        )
        self.added = Counter("askagain_questions_added", "Questions that were added.", registry=self.registry)
        self.removed = Counter("askagain_questions_removed", "Questions that were removed.", registry=self.registry)
        self._questions = Gauge("askagain_questions", "Questions of an index.", ("index",), registry=self.registry)
        self._waiting = Gauge("askagain_waiting", "What waits for its turn.", ("queue",), registry=self.registry)

    def watch_questions(self, index: str, count: Callable[[], int]) -> None:
        """Reads the number of questions of an index when it is asked for."""
        self._questions.labels(index).set_function(count)

    def watch_queue(self, queue: str, count: Callable[[], int]) -> None:
        """Reads what waits in a queue when it is asked for."""
        self._waiting.labels(queue).set_function(count)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)
