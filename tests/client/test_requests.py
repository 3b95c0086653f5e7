"""What is sent, what is sent again, and what an answer becomes."""

import httpx2
import pytest

from service.client import (
    ApiError,
    BadRequest,
    Client,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    RateLimited,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
)
from service.client.retry import Retry, Tries, retry_after_s
from service.contract.catalog import ArchitectureSpec
from service.contract.losses import KdLoss
from tests.client.service_double import JOB, MODEL, job, page, problem, serve


def accepted() -> httpx2.Response:
    return httpx2.Response(202, json=job())


def test_train_sends_only_what_was_given() -> None:
    client, service = serve(accepted())
    made = client.train("cnn_teacher", "digits", training={"epochs": 3}, seed=7)
    assert made.id == JOB
    assert service.sent() == {
        "kind": "train",
        "model": {"architecture": "cnn_teacher"},
        "dataset": "digits",
        "training": {"epochs": 3},
        "seed": 7,
    }
    assert service.requests[0].headers["authorization"] == "Bearer mp_test"


def test_handles_and_specs_stand_for_models() -> None:
    client, service = serve(accepted(), accepted(), accepted())
    teacher = client.train(ArchitectureSpec.model_validate({"architecture": "mlp"}), "digits")
    client.distill(teacher, "cnn_student", "digits", loss=KdLoss(temperature=2.0))
    client.benchmark([teacher, MODEL], "digits", batch_sizes=(1, 8), precisions=["bf16"])
    assert service.sent(0)["model"] == {"architecture": "mlp"}
    assert service.sent(1)["teacher"] == JOB
    assert service.sent(1)["loss"] == {
        "name": "kd",
        "temperature": 2.0,
        "standardise": False,
        "alpha": 0.7,
        "alpha_end": 0.3,
        "warmup_epochs": 0,
        "weight": 1.0,
    }
    assert service.sent(2)["models"] == [JOB, MODEL]
    assert service.sent(2)["batch_sizes"] == [1, 8]
    assert service.sent(2)["precisions"] == ["bf16"]


def test_a_submission_is_repeated_under_one_idempotency_key() -> None:
    broken = httpx2.ReadError("connection reset")
    client, service = serve(broken, problem(503, "unavailable"), accepted())
    client.submit({"kind": "train"})
    keys = {request.headers["idempotency-key"] for request in service.requests}
    assert len(service.requests) == 3
    assert len(keys) == 1


def test_two_submissions_have_two_idempotency_keys() -> None:
    client, service = serve(accepted(), accepted())
    client.submit({"kind": "train"})
    client.submit({"kind": "train"})
    assert len({request.headers["idempotency-key"] for request in service.requests}) == 2


def test_a_retry_of_a_job_is_not_sent_twice() -> None:
    client, service = serve(page(job("failed")), httpx2.ReadError("connection reset"))
    (failed,) = client.jobs.list()
    with pytest.raises(Unreachable):
        failed.retry()
    assert len(service.requests) == 2


def test_what_never_left_is_always_sent_again() -> None:
    refused = httpx2.ConnectError("refused")
    client, service = serve(page(job("failed")), refused, accepted())
    (failed,) = client.jobs.list()
    failed.retry("start")
    assert service.requests[-1].url.params["from"] == "start"


def test_tries_come_to_an_end() -> None:
    client, service = serve(*[problem(503, "unavailable")] * 3, tries=3)
    with pytest.raises(Unavailable):
        client.jobs.get(JOB)
    assert len(service.requests) == 3


def test_a_retry_after_beyond_patience_ends_the_tries() -> None:
    answer = problem(429, "rate_limited")
    answer.headers["retry-after"] = "3600"
    client, service = serve(answer)
    with pytest.raises(RateLimited):
        client.jobs.get(JOB)
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequest),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (422, Invalid),
    ],
)
def test_a_problem_becomes_an_exception_by_its_status(status: int, kind: type[ApiError]) -> None:
    client, _ = serve(problem(status, "some_code"))
    with pytest.raises(ApiError) as caught:
        client.jobs.get(JOB)
    assert type(caught.value) is kind
    assert caught.value.code == "some_code"
    assert caught.value.problem.request_id == "req_1"


def test_an_invalid_spec_names_its_fields() -> None:
    item = {"detail": "must be at most 1", "pointer": "#/loss/alpha"}
    client, _ = serve(problem(422, "invalid", errors=[item]))
    with pytest.raises(Invalid, match="#/loss/alpha: must be at most 1"):
        client.submit({"kind": "distill"})


def test_an_answer_of_something_else_is_still_an_error() -> None:
    client, _ = serve(httpx2.Response(418, text="<h1>I am a proxy</h1>"))
    with pytest.raises(ApiError) as caught:
        client.jobs.get(JOB)
    assert caught.value.code == "http_418"


def test_an_answer_of_another_server_is_told_from_one_of_the_service() -> None:
    client, _ = serve(httpx2.Response(200, text="<h1>It works!</h1>"))
    with pytest.raises(UnexpectedAnswer, match=f"http://modelpress.test/v1/jobs/{JOB}"):
        client.jobs.get(JOB)


def test_a_circle_of_redirects_is_told_from_an_answer_of_the_service() -> None:
    around = httpx2.Response(302, headers={"location": "/round"})
    client, _ = serve(*[around] * 100)
    with pytest.raises(UnexpectedAnswer, match="redirects"):
        client.jobs.get(JOB)


def readiness(status: str) -> httpx2.Response:
    database = "down" if status == "unavailable" else "up"
    broker = "up" if status == "ready" else "down"
    body = {"status": status, "database": database, "blobs": "up", "broker": broker}
    return httpx2.Response(503 if status == "unavailable" else 200, json=body)


@pytest.mark.parametrize(
    ("status", "takes_jobs"), [("ready", True), ("degraded", True), ("unavailable", False)]
)
def test_readiness_is_asked_once_and_answered_with_yes_or_no(status: str, takes_jobs: bool) -> None:
    client, service = serve(readiness(status))
    assert client.is_ready() is takes_jobs
    assert len(service.requests) == 1


def test_health_names_what_is_down() -> None:
    client, _ = serve(readiness("unavailable"))
    seen = client.health()
    assert (seen.database, seen.blobs, seen.broker) == ("down", "up", "down")


def test_a_proxy_without_its_service_is_unavailable_and_another_server_is_not_ready() -> None:
    client, _ = serve(httpx2.Response(503, text="no upstream"), httpx2.Response(200, text="hi"))
    with pytest.raises(Unavailable):
        client.is_ready()
    with pytest.raises(UnexpectedAnswer):
        client.is_ready()


def test_lists_go_on_to_the_next_page_when_it_is_reached() -> None:
    client, service = serve(page(job(), more=True), page(job("failed")))
    jobs = client.jobs.list(status="queued", label=("team", "vision"))
    assert next(jobs).status == "queued"
    assert len(service.requests) == 1
    assert [one.status for one in jobs] == ["failed"]
    assert dict(service.requests[1].url.params) == {
        "status": "queued",
        "label": "team=vision",
        "limit": "100",
        "after": JOB,
    }


def test_fields_of_a_newer_service_are_passed_over() -> None:
    client, _ = serve(httpx2.Response(200, json=job(mood="splendid")))
    assert client.jobs.get(JOB).id == JOB


def test_a_url_without_a_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="http://"):
        Client("modelpress.test:8000")


def test_retry_after_is_a_number_or_a_date() -> None:
    def answer(value: str) -> httpx2.Response:
        return httpx2.Response(503, headers={"retry-after": value})

    assert retry_after_s(answer("7")) == 7.0
    assert retry_after_s(answer("Wed, 21 Oct 2015 07:28:00 GMT")) == 0.0
    assert retry_after_s(answer("soon")) is None
    assert retry_after_s(httpx2.Response(503)) is None


def test_progress_starts_the_count_of_failures_anew() -> None:
    tries = Tries(Retry(tries=2, first_s=0.0))
    assert tries.again()
    tries.progressed()
    assert tries.again()
    assert not tries.again()
