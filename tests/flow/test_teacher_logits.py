"""A teacher is asked once for a project: later jobs read what it said."""

from typing import Any

from modelpress import Client
from service.client import Job
from service.contract.distill import DistillResult

MLP = {"architecture": "mlp", "options": {"hidden": [16]}}


def distilled(client: Client, teacher: str, **changes: Any) -> tuple[DistillResult, Job]:
    spec = {
        "kind": "distill", "teacher": teacher, "student": MLP, "dataset": "digits",
        "latency_batch_sizes": [], "training": {"epochs": 2}, **changes
    }  # fmt: skip
    job = client.submit(spec).wait(timeout=120)
    assert isinstance(job.result, DistillResult)
    return job.result, job


def logits_of(job: Job) -> list[str]:
    return [a.data.name for a in job.artifacts() if a.data.kind == "teacher_logits"]


def test_a_second_job_reuses_the_logits_of_the_first(client: Client) -> None:
    teacher = client.train("mlp", "digits", training={"epochs": 2}).wait(timeout=120).model.id
    first, made = distilled(client, teacher)
    second, read = distilled(client, teacher)
    assert (first.teacher_logits, second.teacher_logits) == ("computed", "reused")
    (name,) = logits_of(made)
    assert name.startswith("teacher-logits-")
    assert logits_of(read) == []
    assert first.test == second.test

    other_loss, _ = distilled(client, teacher, loss={"name": "dist"})
    assert other_loss.teacher_logits == "reused"
    views = {"views": 2, "training": {"epochs": 2, "augmentation": "flip_and_crop"}}
    assert distilled(client, teacher, **views)[0].teacher_logits == "computed"
    assert distilled(client, teacher, **views, seed=5)[0].teacher_logits == "reused"
    live = {"training": {"epochs": 2, "augmentation": "flip_and_crop"}}
    assert distilled(client, teacher, **live)[0].teacher_logits == "live"
