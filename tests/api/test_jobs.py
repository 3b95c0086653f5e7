"""Jobs over HTTP: submitting, reading, steering, and what is refused."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.contract.ids import new_id
from service.contract.job_errors import JobError
from service.store.jobs import JobStore
from service.store.values import Failed, NewArtifact, NewModel, Succeeded
from tests.api.conftest import Service

TRAIN: dict[str, Any] = {
    "kind": "train",
    "model": {"architecture": "cnn_student"},
    "dataset": "digits",
}
DISTILL: dict[str, Any] = {
    "kind": "distill",
    "teacher": "",
    "student": {"architecture": "cnn_student"},
    "dataset": "digits",
}


def finish(service: Service, outcome: Succeeded | Failed) -> str:
    """Claim the next job and end it."""
    job = service.claim()
    with service.database.transaction() as session:
        assert JobStore(session).finish(job.id, job.run, outcome) is not None
    return job.id


def fail(service: Service) -> str:
    return finish(service, Failed(JobError.of("diverged", "loss is not finite at step 42")))


def a_model(classes: int = 10) -> NewModel:
    return NewModel(
        name="made",
        architecture="cnn_student",
        options={},
        classes=classes,
        input_size=(3, 32, 32),
        normalisation={"mean": [0.0] * 3, "std": [1.0] * 3},
    )


def pointers(answer: Any) -> list[str]:
    return [item["pointer"] for item in answer.json()["errors"]]


def test_a_job_is_accepted_with_every_default_and_nudged(service: Service) -> None:
    answer = service.http.post("/v1/jobs", json=TRAIN | {"labels": {"team": "vision"}})
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert answer.headers["retry-after"] == "1"
    assert (job["status"], job["project"], job["attempt"]) == ("queued", "default", 0)
    assert job["spec"]["training"]["learning_rate"] == 1e-3
    assert job["labels"] == {"team": "vision"}
    assert service.nudges.sent == [("default", job["id"])]
    service.http.post("/v1/jobs", json=TRAIN | {"device": "cuda"})
    assert service.nudges.sent[-1][0] == "gpu"


def test_validating_answers_the_whole_spec_and_queues_nothing(service: Service) -> None:
    answer = service.http.post("/v1/jobs?validate_only=true", json=TRAIN)
    assert answer.status_code == 200
    assert answer.json()["spec"]["max_attempts"] == 3
    assert service.http.get("/v1/jobs").json()["data"] == []
    assert service.nudges.sent == []


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"kind": "bake"}, "#"),
        ({"colour": "red"}, "#/colour"),
        ({"model": {"architecture": "cnn_studnet"}}, "#/model/architecture"),
        ({"model": {"architecture": "cnn_student", "depth": 3}}, "#/model/depth"),
        ({"model": {"architecture": "cnn_student", "options": {"hidden": [8]}}}, "#/model/options"),
        ({"model": "job_1"}, "#/model"),
        ({"training": {"epochs": 0}}, "#/training/epochs"),
        ({"training": {"epochs": 2, "warmup_epochs": 2}}, "#/training/warmup_epochs"),
        (
            {"training": {"scheduler": "one_cycle", "warmup_epochs": 2}},
            "#/training/warmup_epochs",
        ),
        ({"training": {"scheduler": "multistep"}}, "#/training/milestones"),
        (
            {"training": {"scheduler": "multistep", "milestones": [4, 2]}},
            "#/training/milestones",
        ),
        ({"training": {"learning_rate": "fast"}}, "#/training/learning_rate"),
        ({"labels": {"a/b~c": "x" * 200}}, "#/labels/a~1b~0c"),
        ({"dataset": "numerals"}, "#/dataset"),
        ({"dataset": new_id("dst")}, "#/dataset"),
        ({"model": new_id("mdl")}, "#/model"),
        ({"model": new_id("job")}, "#/model"),
        ({"model": {"architecture": "cnn_student", "classes": 5}}, "#/model"),
        ({"model": {"architecture": "cnn_student", "input_size": [3, 8, 8]}}, "#/model"),
    ],
)
def test_a_wrong_field_is_pointed_at_before_anything_is_queued(
    http: TestClient, change: dict[str, Any], pointer: str
) -> None:
    answer = http.post("/v1/jobs", json=TRAIN | change)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert pointer in pointers(answer)
    assert http.get("/v1/jobs").json()["data"] == []


def test_pointers_into_lists_and_losses_name_the_element(http: TestClient) -> None:
    twice = {"kind": "benchmark", "models": ["mdl_x", new_id("mdl")], "dataset": "digits"}
    assert pointers(http.post("/v1/jobs", json=twice)) == ["#/models/0"]
    hot = DISTILL | {"teacher": new_id("mdl"), "loss": {"name": "kd", "alpha": 2}}
    assert pointers(http.post("/v1/jobs", json=hot)) == ["#/loss/alpha"]


def test_a_chain_is_submitted_at_once_and_waits_for_its_teacher(service: Service) -> None:
    service.add_worker()
    teacher = service.http.post("/v1/jobs", json=TRAIN).json()["id"]
    student = service.http.post("/v1/jobs", json=DISTILL | {"teacher": teacher}).json()
    assert student["waiting_for"] == [teacher]
    finish(service, Succeeded(result=PLAN, models=(a_model(),)))
    seen = service.http.get(f"/v1/jobs/{student['id']}").json()
    assert seen["waiting_for"] == []


PLAN = {"kind": "plan", "of": "train", "models": [], "steps": 1, "summary": "one step"}


def test_classes_are_followed_through_the_job_that_will_make_the_model(service: Service) -> None:
    many = TRAIN | {"model": {"architecture": "cnn_student", "classes": 12}}
    teacher = service.http.post("/v1/jobs", json=many).json()["id"]
    further = service.http.post("/v1/jobs", json=TRAIN | {"model": teacher}).json()["id"]
    answer = service.http.post("/v1/jobs", json=DISTILL | {"teacher": further})
    assert answer.status_code == 422
    assert answer.json()["code"] == "incompatible_models"
    assert pointers(answer) == ["#/student"]


def test_a_job_that_makes_no_model_cannot_stand_for_one(service: Service) -> None:
    plan = service.http.post("/v1/jobs", json=TRAIN | {"dry_run": True}).json()["id"]
    answer = service.http.post("/v1/jobs", json=TRAIN | {"model": plan})
    assert (answer.status_code, pointers(answer)) == (422, ["#/model"])
    failed = fail(service)
    answer = service.http.post("/v1/jobs", json=DISTILL | {"teacher": failed})
    assert (answer.status_code, pointers(answer)) == (422, ["#/teacher"])


def test_the_same_idempotency_key_gives_the_same_job_once(service: Service) -> None:
    key = {"idempotency-key": "abc"}
    first = service.http.post("/v1/jobs", json=TRAIN, headers=key)
    again = service.http.post("/v1/jobs", json=TRAIN, headers=key)
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert len(service.http.get("/v1/jobs").json()["data"]) == 1
    other = service.http.post("/v1/jobs", json=TRAIN | {"seed": 1}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    stranger = service.key_for("other") | key
    assert service.http.post("/v1/jobs", json=TRAIN, headers=stranger).status_code == 202


def test_waiting_answers_200_with_the_result_of_a_job_that_ended(service: Service) -> None:
    key = {"idempotency-key": "abc", "prefer": "wait=0"}
    job = service.http.post("/v1/jobs", json=TRAIN, headers=key).json()["id"]
    fail(service)
    waited = service.http.post(
        "/v1/jobs", json=TRAIN, headers={"idempotency-key": "abc", "prefer": "wait=5"}
    )
    assert waited.status_code == 200
    assert (waited.json()["id"], waited.json()["status"]) == (job, "failed")
    assert waited.json()["error"]["code"] == "diverged"


def test_lists_page_by_cursor_newest_first_and_filter(http: TestClient) -> None:
    made = [
        http.post("/v1/jobs", json=TRAIN | {"name": f"run {i}", "labels": {"n": str(i)}}).json()
        for i in range(5)
    ]
    first = http.get("/v1/jobs", params={"limit": 2}).json()
    assert first["has_more"]
    second = http.get("/v1/jobs", params={"limit": 2, "after": first["last_id"]}).json()
    third = http.get("/v1/jobs", params={"limit": 2, "after": second["last_id"]}).json()
    assert not third["has_more"]
    ids = [job["id"] for page in (first, second, third) for job in page["data"]]
    assert ids == sorted((job["id"] for job in made), reverse=True)
    for query, expected in (
        ({"label": "n=3"}, 1),
        ({"q": "RUN"}, 5),
        ({"q": "run 4"}, 1),
        ({"kind": "distill"}, 0),
        ({"status": "queued"}, 5),
        ({"created_after": "2100-01-01T00:00:00Z"}, 0),
    ):
        assert len(http.get("/v1/jobs", params=query).json()["data"]) == expected, query
    assert http.get("/v1/jobs", params={"limit": 101}).status_code == 422
    assert http.get("/v1/jobs", params={"status": "lost"}).status_code == 422


def test_an_unchanged_job_is_304(service: Service) -> None:
    job = service.http.post("/v1/jobs", json=TRAIN).json()["id"]
    service.http.post(f"/v1/jobs/{job}/cancel")
    etag = service.http.get(f"/v1/jobs/{job}").headers["etag"]
    again = service.http.get(f"/v1/jobs/{job}", headers={"if-none-match": etag})
    assert (again.status_code, again.content) == (304, b"")


def test_cancelling_is_200_when_nobody_works_on_it_and_202_when_somebody_does(
    service: Service,
) -> None:
    first = service.http.post("/v1/jobs", json=TRAIN).json()["id"]
    assert service.http.post(f"/v1/jobs/{first}/cancel").status_code == 200
    assert service.http.post(f"/v1/jobs/{first}/cancel").status_code == 200
    second = service.http.post("/v1/jobs", json=TRAIN).json()["id"]
    service.claim()
    running = service.http.post(f"/v1/jobs/{second}/cancel")
    assert (running.status_code, running.json()["status"]) == (202, "cancelling")


def test_a_job_is_paused_and_resumed_and_nudged_again(service: Service) -> None:
    job = service.http.post("/v1/jobs", json=TRAIN).json()["id"]
    paused = service.http.post(f"/v1/jobs/{job}/pause")
    assert (paused.status_code, paused.json()["status"]) == (202, "paused")
    resumed = service.http.post(f"/v1/jobs/{job}/resume")
    assert (resumed.status_code, resumed.json()["status"]) == (202, "queued")
    assert service.nudges.sent == [("default", job)] * 2
    again = service.http.post(f"/v1/jobs/{job}/resume")
    assert (again.status_code, again.json()["code"]) == (409, "invalid_state")


def test_a_failed_job_is_retried_as_a_new_one_from_its_checkpoint(service: Service) -> None:
    job = service.http.post("/v1/jobs", json=TRAIN).json()["id"]
    assert service.http.post(f"/v1/jobs/{job}/retry").status_code == 409
    claimed = service.claim()
    blob = service.blobs.put_bytes(b"checkpoint")
    checkpoint = NewArtifact(
        "checkpoint-7.pt", "checkpoint", "application/octet-stream", blob.sha256, blob.bytes, 7
    )
    with service.database.transaction() as session:
        JobStore(session).add_checkpoint(job, claimed.run, checkpoint)
        JobStore(session).finish(
            job, claimed.run, Failed(JobError.of("diverged", "loss is not finite"))
        )
    listed = service.http.get(f"/v1/jobs/{job}/checkpoints").json()["data"]
    assert [(item["step"], item["bytes"]) for item in listed] == [(7, 10)]
    retried = service.http.post(f"/v1/jobs/{job}/retry")
    assert retried.status_code == 202
    assert retried.json()["retry_of"] == job
    assert retried.headers["location"] == f"/v1/jobs/{retried.json()['id']}"
    resumed = service.claim()
    assert resumed.checkpoint is not None
    assert resumed.checkpoint.step == 7


def test_only_a_job_that_is_over_can_be_deleted(service: Service) -> None:
    job = service.http.post("/v1/jobs", json=TRAIN).json()["id"]
    assert service.http.delete(f"/v1/jobs/{job}").status_code == 409
    service.http.post(f"/v1/jobs/{job}/cancel")
    assert service.http.delete(f"/v1/jobs/{job}").status_code == 204
    assert service.http.get(f"/v1/jobs/{job}").status_code == 404
