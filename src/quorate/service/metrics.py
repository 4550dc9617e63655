"""What an operator watches: requests, answers, background work, as Prometheus reads it.

Every application has a registry of its own. Figures of the database are read when they are asked for, and only such as
an index gives; no name of a campaign, item or person is among them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The figures of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "quorate_requests", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "quorate_request_seconds", "Time to the answer's head", ["route"], registry=self.registry, buckets=SECONDS
        )
        self._work = Counter(
            "quorate_background", "What the background work did", ["what", "outcome"], registry=self.registry
        )

    def count(self, what: str, outcome: str, by: int) -> None:
        """So many more of that in the background."""
        self._work.labels(what, outcome).inc(by)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """One more request."""
        self._requests.labels(method if method in KNOWN_METHODS else "other", route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def also(self, figures: Callable[[], Mapping[str, tuple[str, float]]]) -> None:
        """Ask for these figures, name to help and value, at every reading."""
        self.registry.register(_Asked(figures))

    def text(self) -> bytes:
        """All figures, in Prometheus's text format."""
        return generate_latest(self.registry)


class Measured:
    """Counts and times requests by route; plain ASGI, since it is on every path."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, told = time.perf_counter(), False

        def tell(status: int) -> None:
            nonlocal told
            told = True
            route = getattr(scope.get("route"), "path", None) or "none"  # never the path itself: it has names in it
            self._metrics.answered(scope["method"], route, status, time.perf_counter() - began)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and not told:
                tell(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except BaseException:
            if not told:
                tell(500)
            raise


class _Asked(Collector):
    """Gauges whose values are asked for when they are read."""

    def __init__(self, figures: Callable[[], Mapping[str, tuple[str, float]]]) -> None:
        self._figures = figures

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        for name, (what, value) in self._figures().items():
            yield GaugeMetricFamily(name, what, value=value)
