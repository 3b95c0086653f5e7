"""Which exception a refusal becomes."""

import re
from pathlib import Path

import pytest

import modelpress
from modelpress import errors
from service.client.problems import BY_CODE
from tests.client.service_double import JOB, problem, serve

_ERRORS = Path(__file__).parents[2] / "docs" / "errors.md"


def test_every_code_has_an_exception_of_its_own() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [\d, ]+\|", _ERRORS.read_text("utf-8"), re.MULTILINE)
    assert len(rows) > 40
    assert set(BY_CODE) == {*rows, "error"}
    assert len(set(BY_CODE.values())) == len(BY_CODE)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (409, "not_finished", errors.NotFinished),
        (418, "teapot", errors.BadRequest),
        (507, "quota_exceeded", errors.QuotaExceeded),
        (507, "of_a_newer_service", errors.NoSpace),
    ],
)
def test_a_refusal_is_raised_by_its_code_else_by_its_status(
    status: int, code: str, expected: type[errors.ApiError]
) -> None:
    client, _ = serve(problem(status, code))
    with pytest.raises(errors.ApiError) as caught:
        client.jobs.get(JOB)
    assert type(caught.value) is expected
    assert caught.value.code == code


def test_an_exception_of_a_code_is_one_of_its_status_too() -> None:
    assert issubclass(modelpress.errors.NotFinished, modelpress.errors.Conflict)
    assert issubclass(modelpress.errors.QuotaExceeded, modelpress.errors.RateLimited)


def test_a_submission_that_is_still_being_served_is_asked_for_again() -> None:
    client, service = serve(problem(409, "idempotency_in_flight"), problem(422, "invalid"))
    with pytest.raises(errors.Invalid):
        client.train("mlp", "digits")
    first, second = (request.headers["idempotency-key"] for request in service.requests)
    assert first == second
