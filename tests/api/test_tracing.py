"""Spans of requests, and what jobs keep of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from service.app import create_app
from service.blobs import BlobStore, open_blobs
from service.config import Settings
from service.key_text import generate_key
from service.store.migrate import upgrade
from service.store.session import Database
from service.tracing import NO_TRACER, tracer_from
from service.tracing_otel import OtelTracer
from tests.api.conftest import Nudges, Service
from tests.api.test_jobs import TRAIN
from worker.phases import Phases

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"  # the example of W3C Trace Context
PARENT = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


class Traced:
    """A tracer and what it made."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracer = OtelTracer("test", SimpleSpanProcessor(self.exporter))

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()


@pytest.fixture
def traced() -> Traced:
    return Traced()


@pytest.fixture
def traced_service(tmp_path: Path, traced: Traced) -> Iterator[Service]:
    key = generate_key()
    settings = Settings(data_dir=tmp_path, bootstrap_key=key)
    upgrade(settings.database)
    database = Database(settings.database)
    blobs: BlobStore = open_blobs(settings.blobs, settings.staging_dir)
    nudges = Nudges()
    app = create_app(settings, database=database, blobs=blobs, relay=nudges, tracer=traced.tracer)
    with TestClient(app, raise_server_exceptions=False) as http:
        http.headers["authorization"] = f"Bearer {key}"
        yield Service(http, database, blobs, nudges, settings, key)
    database.close()


def test_a_request_goes_on_with_its_callers_trace_and_its_job_keeps_it(
    traced_service: Service, traced: Traced
) -> None:
    headers = {"traceparent": TRACEPARENT, "x-request-id": "mine"}
    job_id = traced_service.http.post("/v1/jobs", json=TRAIN, headers=headers).json()["id"]
    (span,) = traced.spans
    assert (span.name, span.kind) == ("POST /v1/jobs", SpanKind.SERVER)
    assert span.parent is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)
    assert span.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/jobs",
        "http.response.status_code": 202,
        "modelpress.request_id": "mine",
    }
    claimed = traced_service.claim()
    assert (claimed.id, claimed.request_id) == (job_id, "mine")
    assert claimed.traceparent == f"00-{TRACE}-{span.context.span_id:016x}-01"


def test_what_is_no_traceparent_begins_a_trace_and_health_is_not_traced(
    traced_service: Service, traced: Traced
) -> None:
    traced_service.http.get("/livez")
    traced_service.http.get("/v1/jobs/job_x", headers={"traceparent": "nonsense"})
    (span,) = traced.spans
    assert (span.name, span.parent) == ("GET /v1/jobs/{job_id}", None)
    assert span.status.status_code is StatusCode.UNSET  # a 4xx is the caller's


def test_without_a_tracer_a_job_keeps_its_request_and_no_trace(service: Service) -> None:
    headers = {"traceparent": TRACEPARENT, "x-request-id": "mine"}
    service.http.post("/v1/jobs", json=TRAIN, headers=headers)
    claimed = service.claim()
    assert (claimed.request_id, claimed.traceparent) == ("mine", None)


def test_phases_follow_each_other_below_the_run(traced: Traced) -> None:
    with traced.tracer.span("run train", parent=TRACEPARENT) as run:
        phases = Phases(traced.tracer, run.traceparent)
        phases.begin("loading")
        phases.begin("training")
        phases.end()
        phases.end()
        run.fail("engine_crashed")
    loading, training, whole = traced.spans
    assert (loading.name, training.name, whole.name) == ("loading", "training", "run train")
    assert loading.end_time is not None
    assert training.start_time is not None
    assert loading.end_time <= training.start_time
    assert {span.parent.span_id for span in (loading, training) if span.parent} == {
        whole.context.span_id
    }
    assert (whole.status.status_code, whole.status.description) == (
        StatusCode.ERROR,
        "engine_crashed",
    )


def test_a_span_fails_with_its_block_and_does_not_say_what_was_sent(traced: Traced) -> None:
    with pytest.raises(ValueError), traced.tracer.span("work"):
        raise ValueError("a password")
    (span,) = traced.spans
    assert (span.status.description, list(span.events)) == ("ValueError", [])


def test_nothing_is_traced_unless_a_collector_is_named() -> None:
    assert tracer_from({}, "s") is NO_TRACER
    named = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    assert tracer_from(named | {"OTEL_SDK_DISABLED": "true"}, "s") is NO_TRACER
    with NO_TRACER.span("s", parent=TRACEPARENT) as span:
        assert span.traceparent is None
