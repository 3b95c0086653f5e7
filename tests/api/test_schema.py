"""Whatever the schema allows, the answer is one that the schema names, and never a 5xx."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Ok

_ENDLESS = {"/v1/events"}  # streams
_DANGEROUS = {  # could revoke the key of the test itself, or leave it no room
    "/v1/keys",
    "/v1/keys/{key_id}",
    "/v1/projects/{project}/limits",
}


def test_every_route_answers_generated_requests_as_documented(http: TestClient) -> None:
    document = http.get("/openapi.json").json()
    assert sorted(set(_unbounded_bodies(document))) == [], "what a request may hold has an end"
    schema = schemathesis.openapi.from_dict(document)
    tried = 0
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation: Any = found.ok()
        if operation.path not in _ENDLESS | _DANGEROUS:
            tried += _try(http, operation)
    assert tried > 100


def _try(http: TestClient, operation: Any) -> int:
    """Send a few requests that the schema allows. Returns how many there were."""
    documented = {int(status) for status in operation.definition.raw["responses"]}
    statuses: list[int] = []

    @settings(
        max_examples=6,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def answers(case: Any) -> None:
        status = _send(http, case.as_transport_kwargs())
        if status is not None:
            statuses.append(status)
            assert status in documented, (case.method, case.path, status)

    answers()
    assert all(status < 500 for status in statuses)
    return len(statuses)


def _send(http: TestClient, request: dict[str, Any]) -> int | None:
    """None: not a request that HTTP can carry, or one that would wait or stream."""
    left_out = {"authorization", "prefer", "accept"}
    headers = {k: v for k, v in (request.get("headers") or {}).items() if k.lower() not in left_out}
    body = request.get("data")
    try:
        return http.request(
            request["method"],
            urlsplit(request["url"]).path,
            params=request.get("params"),
            json=request.get("json"),
            content=body if isinstance(body, bytes | str) else None,
            headers=headers,
        ).status_code
    except (UnicodeEncodeError, ValueError, TypeError):
        return None


def _unbounded_bodies(document: Any) -> Iterator[str]:
    """Where a list, a mapping or a text of a request may be of any length."""
    bodies = [
        operation["requestBody"]
        for operations in document["paths"].values()
        for operation in operations.values()
        if "requestBody" in operation
    ]
    assert len(bodies) > 8
    yield from _unbounded(bodies, document["components"]["schemas"], "", set())


def _unbounded(node: Any, schemas: Any, path: str, seen: set[str]) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from _unbounded(item, schemas, path, seen)
    elif isinstance(node, dict) and "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        if name not in seen:
            seen.add(name)
            yield from _unbounded(schemas[name], schemas, name, seen)
    elif isinstance(node, dict):
        bounds = {
            "array": {"maxItems"},
            "string": {"maxLength", "pattern", "enum", "const", "format"},
        }
        if node.get("additionalProperties", False) is not False:
            bounds["object"] = {"maxProperties"}
        if not bounds.get(str(node.get("type")), {"type"}) & set(node) and "type" in node:
            yield path
        for key, value in node.items():
            if key not in ("examples", "default", "discriminator", "required", "enum"):
                yield from _unbounded(value, schemas, f"{path}/{key}", seen)
