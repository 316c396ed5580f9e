"""What the server counts, for Prometheus. Never what was asked, by whom, or with which key."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64)
ROUTES = ("/", "/search", "/languages", "/health", "/ready", "/metrics", "/openapi.json")
METHODS = ("GET", "POST", "HEAD", "OPTIONS")


class Metrics:
    """The figures of one server, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "tongues_requests", "Requests answered.", ("route", "method", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "tongues_request_seconds",
            "From a request's headers to its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.batches = _histogram("tongues_batch_queries", "Queries searched together.", _SIZES, self._registry)
        self.waiting = _gauge("tongues_waiting", "Requests that wait or are worked on.", self._registry)
        self.turned_away = _counter("tongues_turned_away", "Requests refused because too many waited.", self._registry)
        self.timeouts = _counter("tongues_timeouts", "Requests that waited too long.", self._registry)
        self.refreshes = _counter("tongues_refreshes", "Generations gone over to.", self._registry)
        self.refresh_failures = _counter(
            "tongues_refresh_failures", "Newer generations that could not be read.", self._registry
        )
        self.generation = _gauge("tongues_index_generation", "Number of the generation read.", self._registry)
        self.passages = _gauge("tongues_index_passages", "Passages of the index.", self._registry)
        self.errors = _counter("tongues_internal_errors", "Errors of the server itself.", self._registry)

    def answered(self, path: str, method: str, status: int, seconds: float) -> None:
        """Count a request; paths and methods that the server does not know are counted as one."""
        route = route_of(path)
        self._requests.labels(route, method if method in METHODS else "other", str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """Return all figures as Prometheus reads them."""
        return generate_latest(self._registry)


def route_of(path: str) -> str:
    """Return the route that a path belongs to: a few words, whatever clients send."""
    if path in ROUTES:
        return path
    if path.startswith("/passages/"):
        return "/passages/{passage_id}"
    return "/web/{file}" if path.startswith("/web/") else "other"


def _histogram(name: str, told: str, bounds: tuple[int, ...], registry: CollectorRegistry) -> Histogram:
    return Histogram(name, told, buckets=bounds, registry=registry)


def _gauge(name: str, told: str, registry: CollectorRegistry) -> Gauge:
    return Gauge(name, told, registry=registry)


def _counter(name: str, told: str, registry: CollectorRegistry) -> Counter:
    return Counter(name, told, registry=registry)
