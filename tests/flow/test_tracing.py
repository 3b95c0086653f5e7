"""One trace from a request to the child that did the job, and log lines that name both."""

import json

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from modelpress import Client
from service.embedded import Stack
from tests.waiting import wait_until
from tests.webhooks.receiver import Receiver

TRAIN = {
    "kind": "train",
    "model": {"architecture": "mlp", "options": {"hidden": [8]}},
    "dataset": "digits",
    "training": {"epochs": 1},
}


def spans(collector: Receiver) -> list[tuple[str, Span]]:
    """Every span that came, with the name of the service that it is of."""
    found = []
    for request in list(collector.received):
        for of_service in ExportTraceServiceRequest.FromString(request.body).resource_spans:
            named = {pair.key: pair.value.string_value for pair in of_service.resource.attributes}
            for scope in of_service.scope_spans:
                found += [(named["service.name"], span) for span in scope.spans]
    return found


def value(span: Span, name: str) -> str:
    return next((a.value.string_value for a in span.attributes if a.key == name), "")


def test_a_trace_leads_from_the_request_to_the_phases_of_the_child(
    client: Client, stack: Stack, collector: Receiver
) -> None:
    job = client.submit(TRAIN)
    job.wait(timeout=120)

    def run() -> Span | None:
        mine = (s for _, s in spans(collector) if value(s, "modelpress.job_id") == job.id)
        return next(mine, None)

    wait_until(lambda: run() is not None, 20, "the worker's span")
    found = run()
    assert found is not None
    assert (found.name, value(found, "modelpress.status")) == ("run train", "succeeded")
    (service, request), *_ = [
        (of, span) for of, span in spans(collector) if span.span_id == found.parent_span_id
    ]
    assert (service, request.name) == ("modelpress-api", "POST /v1/jobs")
    assert request.trace_id == found.trace_id
    phases = [(of, span) for of, span in spans(collector) if span.parent_span_id == found.span_id]
    assert {of for of, _ in phases} == {"modelpress-worker"}
    phases.sort(key=lambda item: item[1].start_time_unix_nano)
    names = [span.name for _, span in phases]
    assert names[:2] == ["prepare", "start child"]
    assert names[-1] == "store"
    assert "training" in names
    for _, span in phases:
        assert found.start_time_unix_nano <= span.start_time_unix_nano
        assert span.end_time_unix_nano <= found.end_time_unix_nano

    lines = (stack.data_dir / "logs" / "worker.log").read_text().splitlines()
    told = [line for line in map(json.loads, lines) if line.get("job") == job.id]
    assert [line["event"].rpartition(": ")[2] for line in told] == [
        "attempt 1 of 3",
        "succeeded",
    ]
    asked = value(request, "modelpress.request_id")
    assert asked.startswith("req_")
    assert {(line["run"], line["request_id"]) for line in told} == {(1, asked)}
