"""The OpenAPI document says what is taken; tests/fuzzing holds the answers to it."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.api.test_jobs import TRAIN


@pytest.fixture
def document(http: TestClient) -> Any:
    return http.get("/openapi.json").json()


def test_what_a_request_may_hold_has_an_end(document: Any) -> None:
    assert sorted(set(_unbounded_bodies(document))) == []


def test_a_method_that_is_not_taken_is_answered_with_all_that_are(http: TestClient) -> None:
    for path, allowed in {
        "/v1/jobs": "GET, POST",
        "/v1/files/a.npz": "GET, HEAD, PUT, DELETE",
        "/livez": "GET",
    }.items():
        answer = http.options(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize(
    "training", [{"epochs": "3"}, {"epochs": True}, {"learning_rate": "0.1"}, {"gamma": False}]
)
def test_a_number_is_no_text_and_no_truth(http: TestClient, training: dict[str, Any]) -> None:
    answer = http.post("/v1/jobs", json=TRAIN | {"training": training})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == f"#/training/{next(iter(training))}"


def test_a_whole_number_may_be_written_with_a_point(http: TestClient) -> None:
    answer = http.post("/v1/jobs", json=TRAIN | {"training": {"epochs": 3.0}})
    assert (answer.status_code, answer.json()["spec"]["training"]["epochs"]) == (202, 3)


@pytest.mark.parametrize("moment", ["0.5", "2026-01-31", "0001-01-01T00:00:00%2B23:59"])
def test_a_time_is_one_of_rfc_3339(http: TestClient, moment: str) -> None:
    answer = http.get(f"/v1/jobs?created_after={moment}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "#/query/created_after"


def test_an_event_number_that_no_database_holds_is_refused(http: TestClient) -> None:
    job = http.post("/v1/jobs", json=TRAIN).json()["id"]
    assert http.get(f"/v1/jobs/{job}/events?after={2**63 - 1}").json()["data"] == []
    assert http.get(f"/v1/jobs/{job}/events?after={2**63}").status_code == 422


def test_fields_that_are_right_and_do_not_fit_have_a_code_of_their_own(http: TestClient) -> None:
    training = {"scheduler": "multistep", "milestones": [4, 2]}
    answer = http.post("/v1/jobs", json=TRAIN | {"training": training})
    assert (answer.status_code, answer.json()["code"]) == (422, "impossible_combination")


def test_what_an_answer_made_is_linked_to_all_that_takes_it(document: Any) -> None:
    links = document["paths"]["/v1/jobs"]["post"]["responses"]["202"]["links"]
    assert {"get_job", "cancel_job", "get_job_report"} <= set(links)
    assert links["get_job"]["parameters"] == {"job_id": "$response.body#/id"}


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
