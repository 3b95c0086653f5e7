"""A service in memory: answers that are given one after another, and the requests that came."""

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any

import httpx2

from service.client import Client, Retry

JOB = "job_01JD8Z6Q5T3V9X7B2C4D6F8G0H"
MODEL = "mdl_01JD8Z6Q5T3V9X7B2C4D6F8G0H"
WHEN = "2026-01-02T03:04:05Z"
BODY = bytes(range(256)) * 40
SHA256 = hashlib.sha256(BODY).hexdigest()
Answer = httpx2.Response | Exception | Callable[[httpx2.Request], httpx2.Response]


class Service:
    """Gives each request the next answer; a request too many is an error."""

    def __init__(self, answers: Iterable[Answer]) -> None:
        self._answers = iter(answers)
        self.requests: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        self.requests.append(request)
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx2.Response) else answer(request)

    def sent(self, index: int = -1) -> Any:
        return json.loads(self.requests[index].content)


def serve(*answers: Answer, tries: int = 4, healthy_s: float = 10.0) -> tuple[Client, Service]:
    """A client of a service that will give these answers; it does not pause between tries."""
    service = Service(answers)
    client = Client(
        "http://modelpress.test",
        "mp_test",
        transport=httpx2.MockTransport(service),
        retry=Retry(tries=tries, first_s=0.0, longest_s=0.0, healthy_s=healthy_s),
    )
    return client, service


class Broken(httpx2.SyncByteStream):
    """A body whose connection breaks after its chunks."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = chunks

    def __iter__(self) -> Any:
        yield from self._chunks
        raise httpx2.ReadError("connection reset")


def job(status: str = "queued", **fields: Any) -> dict[str, Any]:
    """A job as the service shows it."""
    return {
        "id": JOB,
        "object": "job",
        "kind": "train",
        "status": status,
        "name": None,
        "labels": {},
        "project": "default",
        "spec": {"kind": "train", "model": {"architecture": "mlp"}, "dataset": "digits"},
        "progress": None,
        "waiting_for": [],
        "attempt": 0,
        "max_attempts": 3,
        "error": None,
        "result": None,
        "metrics": {},
        "model": None,
        "retry_of": None,
        "created_at": "2026-01-02T03:04:05Z",
        "started_at": None,
        "finished_at": None,
        "queue_seconds": 0.0,
        "run_seconds": 0.0,
        "worker": None,
        **fields,
    }


def model(**fields: Any) -> dict[str, Any]:
    return {
        "id": MODEL,
        "object": "model",
        "name": "student",
        "status": "ready",
        "form": "weights",
        "architecture": "mlp",
        "options": {},
        "classes": 10,
        "input_size": [3, 32, 32],
        "normalisation": {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]},
        "labels": None,
        "parameters": 1,
        "macs": 1,
        "size_bytes": len(BODY),
        "sha256": SHA256,
        "metrics": {},
        "parent": None,
        "job": None,
        "error": None,
        "created_at": WHEN,
        **fields,
    }


def file(name: str, body: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(body).hexdigest()
    return {
        "object": "file",
        "name": name,
        "bytes": len(body),
        "sha256": digest,
        "created_at": WHEN,
    }


def page(*items: Any, more: bool = False) -> httpx2.Response:
    last = items[-1]["id"] if items else None
    body = {"object": "list", "data": items, "has_more": more, "last_id": last}
    return httpx2.Response(200, json=body)


def problem(status: int, code: str, **fields: Any) -> httpx2.Response:
    body = {
        "type": f"https://modelpress.test/problems/{code}",
        "title": "No",
        "status": status,
        "detail": "no",
        "instance": "/v1/jobs",
        "code": code,
        "request_id": "req_1",
        "errors": [],
        **fields,
    }
    headers = {"content-type": "application/problem+json"}
    return httpx2.Response(status, json=body, headers=headers)


def sse(*events: tuple[int | None, str, dict[str, Any]]) -> bytes:
    """Events as the service streams them: (id, type, data)."""
    text = ": hello\n\n"
    for number, kind, data in events:
        named = {"progress": data} if number is None else {"type": kind, "data": data}
        body = json.dumps({"job": JOB, **named})
        text += (f"id: {number}\n" if number else "") + f"event: {kind}\ndata: {body}\n\n"
    return text.encode()


def stream(body: bytes | httpx2.SyncByteStream) -> httpx2.Response:
    headers = {"content-type": "text/event-stream"}
    if isinstance(body, bytes):
        return httpx2.Response(200, content=body, headers=headers)
    return httpx2.Response(200, stream=body, headers=headers)
