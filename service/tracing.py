"""Spans, from a request to the phases of the child that did the job; off unless asked for.

Parents are named by `traceparent` (W3C Trace Context) and never found in a thread's context: a job
crosses two processes and the threads of both.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from typing import Final, Literal, Protocol

log = logging.getLogger(__name__)

Value = str | int | float | bool
Kind = Literal["internal", "server", "consumer"]

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Span(Protocol):
    """Something that takes time, while it goes on."""

    @property
    def traceparent(self) -> str | None:
        """Whose children name it; None: nothing is traced."""
        ...

    def rename(self, name: str) -> None: ...

    def set(self, name: str, value: Value) -> None: ...

    def fail(self, message: str) -> None:
        """It did not come to a good end."""
        ...


class Tracer(Protocol):
    """What makes spans. Raises nothing, and waits for nobody."""

    def span(
        self,
        name: str,
        *,
        kind: Kind = "internal",
        parent: str | None = None,
        attributes: Mapping[str, Value] | None = None,
    ) -> AbstractContextManager[Span]:
        """A span that ends with the block, and fails with it. A `parent` that is no traceparent
        begins a trace."""
        ...

    def past(self, name: str, start_ns: int, end_ns: int, parent: str | None) -> None:
        """A span that is over; times are of `time.time_ns`."""
        ...

    def close(self) -> None:
        """Send what is left, for a moment."""
        ...


class _NoSpan:
    traceparent: str | None = None

    def rename(self, name: str) -> None:
        return

    def set(self, name: str, value: Value) -> None:
        return

    def fail(self, message: str) -> None:
        return


class NoTracer:
    """Traces nothing."""

    @contextmanager
    def span(
        self,
        name: str,
        *,
        kind: Kind = "internal",
        parent: str | None = None,
        attributes: Mapping[str, Value] | None = None,
    ) -> Iterator[Span]:
        yield _NO_SPAN

    def past(self, name: str, start_ns: int, end_ns: int, parent: str | None) -> None:
        return

    def close(self) -> None:
        return


_NO_SPAN: Final = _NoSpan()
NO_TRACER: Final = NoTracer()


def tracer_from(environment: Mapping[str, str], service: str) -> Tracer:
    """What OpenTelemetry's own variables ask for; `service` is its name unless they give one."""
    asked = any(environment.get(name) for name in ENDPOINTS)
    if not asked or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return NO_TRACER
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.exporter") is None:
        log.warning("no traces: %s is set, but modelpress[otel] is not installed", ENDPOINTS[0])
        return NO_TRACER
    from service.tracing_otel import otlp_tracer

    return otlp_tracer(environment.get("OTEL_SERVICE_NAME") or service)


def tracer_of_process(service: str) -> Tracer:
    """For entry points."""
    return tracer_from(os.environ, service)
