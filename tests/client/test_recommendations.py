"""What the client asks, and how it queues a chain."""

import httpx2
import pytest

from service.client import Conflict, Invalid
from service.contract.prune import Targets
from service.contract.recommendations import Recommendations
from service.recommend.create import recommendations_for
from service.recommend.judging import standings
from tests.client.service_double import JOB, MODEL, job, problem, serve
from tests.recommend.samples import subject


def answer() -> httpx2.Response:
    asked = subject(targets={"macs": 0.5})
    found = Recommendations(
        request=asked.request,
        model=asked.model,
        hardware=asked.can.hardware,
        targets=standings(asked),
        recommendations=recommendations_for(asked),
        notes=(),
    )
    body = found.model_dump(mode="json", exclude_unset=True) | {"of_a_newer_service": 1}
    return httpx2.Response(200, json=body)


def test_only_what_was_given_is_sent_and_a_chain_is_queued_in_order() -> None:
    ids = [JOB, f"{JOB[:-1]}J"]
    queued = [httpx2.Response(202, json=job("queued") | {"id": one}) for one in ids]
    client, service = serve(answer(), answer(), *queued)
    client.recommend(MODEL, "digits")
    assert service.sent() == {"model": MODEL, "dataset": "digits"}
    found = client.recommend(MODEL, "digits", targets=Targets(macs=0.5))
    assert service.sent()["targets"] == {"macs": 0.5, "batch_size": 1}
    chain = next(one for one in found.recommendations if one.method == "structured+static_int8")
    assert [made.id for made in client.follow(chain)] == ids
    assert service.sent(-2) == {
        "kind": "prune",
        "model": chain.specs[0].model_dump()["model"],
        "dataset": "digits",
        "method": {"name": "structured"},
        "targets": {"macs": 0.5},
    }
    assert service.sent(-1) == {
        "kind": "quantize",
        "model": JOB,
        "dataset": "digits",
        "method": {"name": "static_int8"},
    }


def test_what_cannot_be_asked_is_an_error_of_its_own() -> None:
    client, _ = serve(problem(409, "not_finished"), problem(422, "conflicting_targets"))
    with pytest.raises(Conflict):
        client.recommend(JOB, "digits")
    with pytest.raises(Invalid):
        client.recommend(MODEL, "digits", targets={"size_bytes": 1})
