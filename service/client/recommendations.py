"""Recommendations: what to do with a model, and doing it."""

from collections.abc import Callable, Mapping
from typing import Any

from service.client.http import Http, read_as
from service.client.jobs import Job
from service.client.kinds import plain
from service.client.references import DatasetLike, ModelLike, dataset_reference, model_reference
from service.contract.prune import Targets
from service.contract.recommendations import Recommendation, Recommendations, with_jobs


def ask(
    http: Http,
    model: ModelLike,
    dataset: DatasetLike,
    targets: Targets | Mapping[str, Any] | None,
) -> Recommendations:
    """What the service recommends; nothing is run."""
    body = {"model": model_reference(model), "dataset": dataset_reference(dataset)}
    given = {} if targets is None else {"targets": plain(targets)}
    response = http.request("POST", "/v1/recommendations", json=body | given, repeatable=True)
    return read_as(Recommendations, response)


def follow(one: Recommendation, submit: Callable[[dict[str, Any]], Job]) -> list[Job]:
    """Queue its specs in their order, each with the ids of the jobs before it."""
    jobs: list[Job] = []
    for spec in one.specs:
        asked = spec.model_dump(mode="json", exclude_unset=True)
        jobs.append(submit(with_jobs(asked, [job.id for job in jobs])))
    return jobs
