"""What the client asks for a comparison, and what it makes of the answer."""

import httpx2
import pytest

from service.client import Conflict, NotFound, Unavailable
from service.contract.comparisons import ComparisonCreate
from service.contract.prune import Targets
from tests.client.service_double import JOB, MODEL, job, page, problem, serve
from tests.comparisons.samples import everything

MADE = everything()


def answer(status: int = 201) -> httpx2.Response:
    return httpx2.Response(status, json=MADE.model_dump(mode="json") | {"of_a_newer_service": 1})


def test_handles_stand_for_models_and_only_what_was_given_is_sent() -> None:
    listed = httpx2.Response(200, json=job("succeeded"))
    client, service = serve(listed, answer(), answer())
    made = client.comparisons.create([MODEL, client.jobs.get(JOB)])
    assert service.sent() == {"models": [MODEL, JOB]}
    assert made.id == MADE.id
    assert made.values == MADE.values
    client.comparisons.create(
        [MODEL, JOB], baseline=JOB, targets=Targets(min_speedup=2.0), axes=["macs"], name="two"
    )
    assert service.sent() == {
        "models": [MODEL, JOB],
        "baseline": JOB,
        "targets": {"min_speedup": 2.0, "batch_size": 1},
        "axes": ["macs"],
        "name": "two",
    }


def test_a_benchmark_alone_may_stand_for_all_models() -> None:
    client, service = serve(answer())
    client.comparisons.create([JOB])
    assert service.sent() == {"models": [JOB]}
    assert ComparisonCreate.model_validate_json(service.requests[0].content).models == (JOB,)


def test_one_is_read_again_and_fetched_as_a_page() -> None:
    client, service = serve(answer(200), httpx2.Response(200, content=b"<html>"))
    read = client.comparisons.get(MADE.id)
    assert read.data == MADE
    assert read.report() == b"<html>"
    assert [str(request.url.query, "ascii") for request in service.requests] == [
        "format=json",
        "format=html",
    ]


def test_a_page_that_others_wait_for_too_is_waited_for() -> None:
    busy = [problem(503, "being_drawn") for _ in range(9)]
    client, service = serve(answer(200), *busy, httpx2.Response(200, content=b"<html>"))
    assert client.comparisons.get(MADE.id).report() == b"<html>"
    assert len(service.requests) == 11


def test_a_service_that_fails_otherwise_is_not_waited_for() -> None:
    client, service = serve(answer(200), *(problem(503, "unavailable") for _ in range(4)))
    with pytest.raises(Unavailable):
        client.comparisons.get(MADE.id).report()
    assert len(service.requests) == 5


def test_they_are_listed_page_after_page_and_deleted() -> None:
    listed = MADE.model_dump(mode="json", include={"id", "title", "headline", "created_at"})
    listed["request"] = MADE.values.request.model_dump(mode="json")
    answers = (page(listed, more=True), page(listed), httpx2.Response(204))
    client, service = serve(*answers)
    found = list(client.comparisons.list(page_size=1))
    assert [one.id for one in found] == [MADE.id, MADE.id]
    assert found[0].request == MADE.values.request
    client.comparisons.delete(MADE.id)
    assert [f"{one.method} {one.url.raw_path.decode()}" for one in service.requests] == [
        "GET /v1/comparisons?limit=1",
        f"GET /v1/comparisons?limit=1&after={MADE.id}",
        f"DELETE /v1/comparisons/{MADE.id}",
    ]


def test_what_is_missing_or_unfinished_is_an_error_of_its_own() -> None:
    client, _ = serve(problem(404, "not_found"), problem(409, "not_finished"))
    with pytest.raises(NotFound):
        client.comparisons.create([MODEL, JOB])
    with pytest.raises(Conflict):
        client.comparisons.create([MODEL, JOB])
