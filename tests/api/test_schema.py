"""Whatever the schema allows, the answer is one that the schema names, and never a 5xx."""

from typing import Any
from urllib.parse import urlsplit

import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Ok

_ENDLESS = {"/v1/events"}  # streams
_DANGEROUS = {"/v1/keys", "/v1/keys/{key_id}"}  # could revoke the key of the test itself


def test_every_route_answers_generated_requests_as_documented(http: TestClient) -> None:
    schema = schemathesis.openapi.from_dict(http.get("/openapi.json").json())
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
