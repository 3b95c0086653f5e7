"""What jobs leave and what the service tells of itself."""

import json
import subprocess
import sys
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.contract.job_errors import JobError
from service.store.jobs import JobStore
from service.store.values import Failed, JobProgress, NewArtifact, NewEvent, Point, Succeeded
from tests.api.conftest import Service
from tests.api.test_jobs import PLAN, TRAIN

LOG = b"first line\nsecond line\n"


@pytest.fixture
def finished(service: Service) -> str:
    """A job that succeeded, with a log, a series and reports."""
    job: str = service.http.post("/v1/jobs", json=TRAIN).json()["id"]
    claimed = service.claim()
    reports = []
    for suffix, media_type in (("json", "application/json"), ("html", "text/html")):
        blob = service.blobs.put_bytes(f"as {suffix}".encode())
        reports.append(
            NewArtifact(f"report.{suffix}", "report", media_type, blob.sha256, blob.bytes)
        )
    points = [Point("loss", step, abs(step - 57) + 1.0) for step in range(100)]
    points += [Point("accuracy", 1, 0.5)]
    with service.database.transaction() as session:
        assert JobStore(session).record(
            job,
            claimed.run,
            progress=JobProgress(50, 100, "training"),
            points=points,
            events=[NewEvent("epoch", {"epoch": 1})],
            log=LOG,
        )
    with service.database.transaction() as session:
        outcome = Succeeded(result=PLAN, metrics={"steps": 1.0}, artifacts=tuple(reports))
        assert JobStore(session).finish(job, claimed.run, outcome)
    return job


def frames(text: str) -> list[dict[str, str]]:
    """Server-sent events, by the specification's grammar."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        if "data" in fields:
            found.append(fields)
    return found


def test_series_are_thinned_and_keep_the_best_value(service: Service, finished: str) -> None:
    answer = service.http.get(f"/v1/jobs/{finished}/metrics", params={"max_points": 10})
    series = {item["name"]: item for item in answer.json()["data"]}
    assert set(series) == {"loss", "accuracy"}
    assert series["loss"]["count"] == 100
    assert len(series["loss"]["points"]) <= 10
    assert {"step": 57, "value": 1.0} in [
        {key: point[key] for key in ("step", "value")} for point in series["loss"]["points"]
    ]
    one = service.http.get(f"/v1/jobs/{finished}/metrics", params={"name": "accuracy"})
    assert [item["name"] for item in one.json()["data"]] == ["accuracy"]
    new = service.http.get(f"/v1/jobs/{finished}/metrics", params={"after": 97}).json()["data"]
    assert [(one["name"], one["count"]) for one in new] == [("accuracy", 0), ("loss", 2)]
    assert [point["step"] for point in new[1]["points"]] == [98, 99]
    for params in ({"max_points": 0}, {"max_points": 5001}, {"after": -1}):
        assert service.http.get(f"/v1/jobs/{finished}/metrics", params=params).status_code == 422


def test_logs_are_text_with_ranges(service: Service, finished: str) -> None:
    whole = service.http.get(f"/v1/jobs/{finished}/logs")
    assert whole.content == LOG
    assert whole.headers["content-type"].startswith("text/plain")
    part = service.http.get(f"/v1/jobs/{finished}/logs", headers={"range": "bytes=6-9"})
    assert (part.status_code, part.content) == (206, LOG[6:10])
    past = service.http.get(f"/v1/jobs/{finished}/logs", headers={"range": "bytes=99-"})
    assert past.status_code == 416


def test_a_report_comes_by_accept_or_by_format(service: Service, finished: str) -> None:
    path = f"/v1/jobs/{finished}/report"
    assert service.http.get(path).content == b"as json"
    page = service.http.get(path, headers={"accept": "text/html,application/json;q=0.5"})
    assert page.content == b"as html"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "frame-ancestors 'self'" in page.headers["content-security-policy"]
    assert page.headers["x-frame-options"] == "SAMEORIGIN"  # the dashboard shows it in a frame
    assert service.http.get(f"/v1/jobs/{finished}").headers["x-frame-options"] == "DENY"
    assert service.http.get(path, params={"format": "html"}).content == b"as html"
    assert service.http.get(path, headers={"accept": "video/mp4"}).status_code == 406
    assert service.http.get(path, params={"format": "doc"}).status_code == 422
    waiting = service.http.post("/v1/jobs", json=TRAIN).json()["id"]
    assert service.http.get(f"/v1/jobs/{waiting}/report").status_code == 409


def test_artifacts_are_listed_and_served(service: Service, finished: str) -> None:
    listed = service.http.get(f"/v1/jobs/{finished}/artifacts").json()["data"]
    assert [item["name"] for item in listed] == ["report.json", "report.html"]
    content = service.http.get(f"/v1/artifacts/{listed[1]['id']}/content")
    assert content.content == b"as html"
    assert content.headers["etag"] == f'"{listed[1]["sha256"]}"'
    assert content.headers["content-disposition"].startswith("attachment")
    service.blobs.delete(listed[1]["sha256"])
    assert service.http.get(f"/v1/artifacts/{listed[1]['id']}/content").status_code == 410


def test_events_are_a_list_without_gaps(service: Service, finished: str) -> None:
    page = service.http.get(f"/v1/jobs/{finished}/events").json()
    assert [event["id"] for event in page["data"]] == [1, 2, 3, 4]
    assert [event["type"] for event in page["data"]] == ["state", "state", "epoch", "state"]
    after = service.http.get(f"/v1/jobs/{finished}/events", params={"after": 3}).json()
    assert [event["data"]["status"] for event in after["data"]] == ["succeeded"]


def test_a_stream_replays_from_the_last_event_and_ends_with_the_job(
    service: Service, finished: str
) -> None:
    path = f"/v1/jobs/{finished}/events"
    accept = {"accept": "text/event-stream"}
    whole = service.http.get(path, headers=accept)
    assert whole.headers["content-type"].startswith("text/event-stream")
    assert [frame["id"] for frame in frames(whole.text)] == ["1", "2", "3", "4"]
    rest = service.http.get(path, headers=accept | {"last-event-id": "2"})
    assert [frame["event"] for frame in frames(rest.text)] == ["epoch", "state"]
    assert service.http.get(path, headers=accept | {"last-event-id": "4"}).status_code == 204


def test_a_stream_shows_what_happens_while_it_is_open(service: Service) -> None:
    job = service.http.post("/v1/jobs", json=TRAIN).json()["id"]
    headers = {"accept": "text/event-stream"}
    seen: list[str] = []
    with service.http.stream("GET", f"/v1/jobs/{job}/events", headers=headers) as stream:
        for line in stream.iter_lines():
            if line.startswith("id: "):
                seen.append(line)
            if line == "id: 1":
                claimed = service.claim()
            if line == "id: 2":
                error = Failed(JobError.of("diverged", "loss is not finite"))
                with service.database.transaction() as session:
                    JobStore(session).finish(job, claimed.run, error)
    assert seen == ["id: 1", "id: 2", "id: 3"]


def test_a_stream_tells_how_far_a_running_job_is(service: Service) -> None:
    job = service.http.post("/v1/jobs", json=TRAIN).json()["id"]
    claimed = service.claim()
    with service.database.transaction() as session:
        JobStore(session).record(job, claimed.run, progress=JobProgress(25, 100, "training"))
    told = None
    headers = {"accept": "text/event-stream"}
    with service.http.stream("GET", f"/v1/jobs/{job}/events", headers=headers) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: ") and told == "progress":
                body = json.loads(line.removeprefix("data: "))
                assert (body["job"], body["progress"]["fraction"]) == (job, 0.25)
                with service.database.transaction() as session:
                    error = Failed(JobError.of("diverged", "loss is not finite"))
                    JobStore(session).finish(job, claimed.run, error)
            told = line.removeprefix("event: ") if line.startswith("event: ") else told


def test_capabilities_workers_and_queue_tell_of_the_workers_alive(service: Service) -> None:
    assert service.http.get("/v1/capabilities").json()["workers"] == 0
    job = service.http.post("/v1/jobs", json=TRAIN).json()
    assert job["waiting_for"] == ["a worker"]
    service.add_worker()
    capabilities = service.http.get("/v1/capabilities").json()
    assert capabilities["architectures"]["mlp"] == ["dropout", "hidden"]
    assert capabilities["devices"] == ["Test CPU"]
    assert capabilities["pruning"] == {"structured": ["lamp", "magnitude"]}
    assert capabilities["hardware"] == [
        {
            "device": "cpu",
            "device_name": "Test CPU",
            "cpu_features": ["avx2", "avx512_vnni"],
            "has_int8_products": True,
            "compute_capability": None,
        }
    ]
    assert capabilities["libraries"] == {"onnxruntime": ["1.32.0"], "openvino": ["2026.4.1"]}
    service.claim()
    stranger = service.key_for("other")
    for headers, jobs in (({}, [job["id"]]), (stranger, [])):
        worker = service.http.get("/v1/workers", headers=headers).json()["data"][0]
        assert (worker["alive"], worker["jobs"]) == (True, jobs)
    queue = service.http.get("/v1/queue").json()
    assert (queue["slots"], queue["jobs"]["running"], queue["jobs"]["queued"]) == (2, 1, 0)
    assert queue["oldest_queued_s"] is None


def test_health_needs_no_key_and_a_broker_that_is_away_only_degrades(http: TestClient) -> None:
    nobody = {"authorization": ""}
    assert http.get("/livez", headers=nobody).json() == {"status": "alive"}
    ready = http.get("/readyz", headers=nobody)
    assert ready.status_code == 200
    assert ready.json() == {
        "status": "degraded",
        "database": "up",
        "blobs": "up",
        "broker": "down",
    }


def operations(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in schema["paths"].values() for operation in path.values()]


def test_openapi_documents_problems_and_bounds_every_query_parameter(http: TestClient) -> None:
    schema = http.get("/openapi.json", headers={"authorization": ""}).json()
    assert "HTTPValidationError" not in schema["components"]["schemas"]
    identifiers = [operation["operationId"] for operation in operations(schema)]
    assert len(set(identifiers)) >= 40
    for operation in operations(schema):
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "query":
                assert _is_bounded(parameter["schema"]), (operation["operationId"], parameter)


def _is_bounded(schema: dict[str, Any]) -> bool:
    if "anyOf" in schema:
        return all(_is_bounded(option) for option in schema["anyOf"])
    match schema.get("type"):
        case "string":
            return bool({"maxLength", "enum", "format", "const"} & set(schema))
        case "integer" | "number":
            return "minimum" in schema or "exclusiveMinimum" in schema
        case "array":
            return "maxItems" in schema
        case _:
            return True


def test_importing_the_service_leaves_torch_and_numpy_out() -> None:
    code = "import sys, service.app; print({'torch', 'numpy', 'vl_convert'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
