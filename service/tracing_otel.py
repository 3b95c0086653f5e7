"""Spans by OpenTelemetry; imported only where `modelpress[otel]` is installed and asked for."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.tracing import Kind, Span, Value

_CLOSE_S: Final = 3.0
_KINDS: Final[Mapping[Kind, SpanKind]] = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "consumer": SpanKind.CONSUMER,
}
_W3C: Final = TraceContextTextMapPropagator()


class OtelSpan:
    """See `service.tracing.Span`."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, trace.set_span_in_context(span, Context()))
        self.traceparent: str | None = carrier.get("traceparent")

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def set(self, name: str, value: Value) -> None:
        self._span.set_attribute(name, value)

    def fail(self, message: str) -> None:
        self._span.set_status(Status(StatusCode.ERROR, message))


class OtelTracer:
    """See `service.tracing.Tracer`. Closes the processor."""

    def __init__(self, service: str, processor: SpanProcessor) -> None:
        release = version("modelpress")
        resource = Resource.create({"service.name": service, "service.version": release})
        # its own wait at exit has no end that suits a worker that drains
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("modelpress", release)

    @contextmanager
    def span(
        self,
        name: str,
        *,
        kind: Kind = "internal",
        parent: str | None = None,
        attributes: Mapping[str, Value] | None = None,
    ) -> Iterator[Span]:
        with self._tracer.start_as_current_span(
            name,
            context=_context(parent),
            kind=_KINDS[kind],
            attributes=attributes,
            record_exception=False,  # its text may hold what a caller sent
            set_status_on_exception=False,
        ) as inner:
            span = OtelSpan(inner)
            try:
                yield span
            except Exception as error:
                span.fail(type(error).__name__)
                raise

    def past(self, name: str, start_ns: int, end_ns: int, parent: str | None) -> None:
        span = self._tracer.start_span(name, context=_context(parent), start_time=start_ns)
        span.end(max(start_ns, end_ns))

    def close(self) -> None:
        """A collector that does not answer is waited for no longer than a moment."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(_CLOSE_S)


def otlp_tracer(service: str) -> OtelTracer:
    """Sends in batches, from a thread, to where OpenTelemetry's variables say."""
    return OtelTracer(service, BatchSpanProcessor(OTLPSpanExporter()))


def _context(parent: str | None) -> Context:
    """Empty without a parent, or with one that is no traceparent: then a trace begins."""
    return Context() if parent is None else _W3C.extract({"traceparent": parent}, Context())
