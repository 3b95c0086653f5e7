"""Recommendations over HTTP: what is looked up, what is refused, and that specs can be posted."""

from typing import Any

import pytest

from service.contract.ids import new_id
from service.contract.recommendations import with_jobs
from service.store.finished import finished_on
from service.store.jobs import JobStore
from service.store.models import ModelStore
from service.store.values import ClaimingWorker, NewModel, NewWorker, Succeeded
from service.store.workers import WorkerStore
from tests.api.conftest import Service
from tests.api.test_jobs import TRAIN, fail, pointers
from tests.recommend.samples import WITH_VNNI, workers
from tests.reports import prune_sample, samples

KINDS = ("train", "distill", "prune", "quantize", "benchmark", "export")
WORKER = ClaimingWorker(
    "wrk_" + "0" * 26,
    "cpu",
    frozenset([f"kind:{kind}" for kind in KINDS] + ["dataset:digits", "loss:kd"]),
)


def add_worker(service: Service) -> None:
    """One that does all kinds, on a processor with VNNI."""
    can = workers(WITH_VNNI)
    capabilities = {
        "device": "cpu", "device_name": WITH_VNNI.device_name, "memory_bytes": 1, "torch": "2",
        "cpu_features": WITH_VNNI.cpu_features, "has_int8_products": True,
        **{name: getattr(can, name) for name in ("kinds", "architectures", "losses", "runtimes")},
        "datasets": ["digits"],
    }  # fmt: skip
    worker = NewWorker(
        id=WORKER.id, hostname="here", version="0", device="cpu", slots=1, queues=("default",),
        capabilities=capabilities, tokens=WORKER.capabilities,
    )  # fmt: skip
    with service.database.transaction() as session:
        WorkerStore(session).register(worker)


def new_model(model_id: str | None = None, **fields: Any) -> NewModel:
    """cnn_teacher as it is built."""
    given: dict[str, Any] = {
        "id": model_id or new_id("mdl"),
        "name": "teacher",
        "architecture": "cnn_teacher",
        "options": {},
        "classes": 10,
        "input_size": (3, 32, 32),
        "normalisation": {"mean": [0.0] * 3, "std": [1.0] * 3},
        "parameters": 1_412_682,
        "macs": 153_029_120,
        "size_bytes": 5_652_000,
        "sha256": "a" * 64,
    }
    return NewModel(**given | fields)


def add_teacher(service: Service, project: str = "default", **fields: Any) -> str:
    with service.database.transaction() as session:
        return ModelStore(session).add(project, new_model(**fields)).id


def recommend(service: Service, model: str, **asked: Any) -> Any:
    body = {"model": model, "dataset": "digits", **asked}
    return service.http.post("/v1/recommendations", json=body)


def prune(service: Service, model: str) -> tuple[str, str]:
    """A finished pruning of a model: the job, and what it made."""
    spec, sample = prune_sample.prune()
    body = spec.model_dump(mode="json") | {"model": model}
    job = service.http.post("/v1/jobs", json=body).json()["id"]
    made = new_model(name="pruned", parent_id=model, parameters=354_090)
    result = sample.model_dump_json()
    result = result.replace(samples.TEACHER, model).replace(samples.STUDENT, made.id)
    with service.database.transaction() as session:
        claimed = JobStore(session).claim(WORKER, 60.0)
        assert claimed is not None
        assert claimed.id == job
        outcome = Succeeded(result=type(sample).model_validate_json(result).model_dump(mode="json"),
                            models=(made,))  # fmt: skip
        assert JobStore(session).finish(job, claimed.run, outcome) is not None
    return job, made.id


def test_what_is_recommended_can_be_posted_as_it_is(service: Service) -> None:
    add_worker(service)
    model = add_teacher(service)
    answer = recommend(service, model, targets={"macs": 0.4, "max_accuracy_drop_points": 1})
    assert answer.status_code == 200
    found = answer.json()
    assert found["object"] == "recommendations"
    assert found["model"]["parameters"] == 1_412_682
    assert found["hardware"][0]["has_int8_products"] is True
    assert [target["name"] for target in found["targets"]] == ["macs", "max_accuracy_drop_points"]
    first = found["recommendations"][0]
    assert (first["rank"], first["method"]) == (1, "structured")
    assert first["expected"]["accuracy_change_points"] is None
    assert first["expected"]["macs_ratio"]["low"] == 2.5
    assert first["specs"] == [
        {
            "kind": "prune",
            "model": model,
            "dataset": "digits",
            "method": {"name": "structured"},
            "targets": {"macs": 0.4, "max_accuracy_drop_points": 1.0},
        }
    ]
    for one in found["recommendations"]:
        made: list[str] = []
        for spec in one["specs"]:
            posted = service.http.post("/v1/jobs", json=with_jobs(spec, made))
            assert posted.status_code == 202, (one["method"], posted.json())
            made.append(posted.json()["id"])


def test_a_chain_that_is_posted_unread_is_refused(service: Service) -> None:
    add_worker(service)
    found = recommend(service, add_teacher(service), targets={"macs": 0.4}).json()
    chain = next(one for one in found["recommendations"] if one["chain"])
    answer = service.http.post("/v1/jobs", json=chain["specs"][1])
    assert (answer.status_code, pointers(answer)) == (422, ["#/model"])


def test_finished_jobs_on_the_model_and_on_its_architecture_are_evidence(service: Service) -> None:
    add_worker(service)
    first, second = add_teacher(service), add_teacher(service, sha256="b" * 64)
    job, made = prune(service, first)
    of_model = recommend(service, first, targets={"size_bytes": 2_000_000}).json()
    best = of_model["recommendations"][0]
    assert best["title"] == f"Take {made}, which {job} made"
    assert best["evidence"][0]["ref"] == job
    assert best["targets"][0]["outlook"] == "shown"
    alike = recommend(service, second, targets={"size_bytes": 2_000_000}).json()
    again = next(one for one in alike["recommendations"] if job in one["title"])
    assert again["targets"][0]["outlook"] == "likely"
    assert again["specs"][0]["model"] == second
    service.http.delete(f"/v1/models/{made}")
    gone = recommend(service, first, targets={"size_bytes": 2_000_000}).json()
    assert gone["recommendations"][0]["title"] == f"Do again what {job} did to this model"
    # The model that it made has an architecture too, and the job is a past of that.
    stranger = add_teacher(service, "other")
    body = {"model": stranger, "dataset": "digits", "targets": {"size_bytes": 2_000_000}}
    headers = service.key_for("other", "read")
    foreign = service.http.post("/v1/recommendations", json=body, headers=headers)
    assert foreign.status_code == 200
    assert job not in foreign.text


def test_jobs_on_the_model_come_before_newer_ones_on_its_architecture(service: Service) -> None:
    add_worker(service)
    mine, other = add_teacher(service), add_teacher(service)
    (first, _), (second, _), (newer, _) = (prune(service, model) for model in (mine, mine, other))
    with service.database.read() as session:
        for architecture, expected in (
            ("cnn_teacher", [second, first, newer]),
            (None, [second, first]),
        ):
            asked = (session, "default", [mine], architecture, ["prune"])
            assert finished_on(*asked, 3) == expected
            assert finished_on(*asked, 1) == [second]


@pytest.mark.parametrize(("source", "can_shrink"), [("onnx", True), (None, False)])
def test_a_graph_that_a_job_made_is_not_quantised_again_when_the_job_is_gone(
    service: Service, source: str | None, can_shrink: bool
) -> None:
    graph = add_teacher(service, form="graph", architecture="onnx", source=source)  # no job_id
    found = recommend(service, graph).json()["recommendations"]
    kinds = {spec["kind"] for one in found for spec in one["specs"]}
    assert ("quantize" in kinds) == can_shrink


def test_a_job_stands_for_the_model_that_it_made(service: Service) -> None:
    job, made = prune(service, add_teacher(service))
    assert recommend(service, job).json()["model"]["model"] == made


def test_what_is_not_there_is_404_and_what_is_not_ready_409(service: Service) -> None:
    for unknown in (new_id("mdl"), new_id("job"), add_teacher(service, "other")):
        answer = recommend(service, unknown)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert pointers(answer) == ["#/model"]
    job = service.http.post("/v1/jobs", json=TRAIN).json()["id"]
    assert recommend(service, job).status_code == 409
    fail(service)
    assert recommend(service, job).status_code == 422


@pytest.mark.parametrize(
    ("asked", "pointer", "code"),
    [
        ({"targets": {"batch_size": 8}}, "#/targets", "impossible_combination"),
        ({"targets": {"min_speedup": 0.5}}, "#/targets/min_speedup", "invalid"),
        ({"targets": {"size_bytes": 4}}, "#/targets/size_bytes", "conflicting_targets"),
        ({"dataset": "nowhere"}, "#/dataset", "unknown_dataset"),
        ({"dataset": new_id("dst")}, "#/dataset", "unknown_reference"),
    ],
)
def test_requests_that_nothing_answers_are_refused(
    service: Service, asked: dict[str, Any], pointer: str, code: str
) -> None:
    answer = recommend(service, add_teacher(service), **asked)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert pointers(answer) == [pointer]


def test_a_dataset_that_does_not_fit_the_model_is_refused(service: Service) -> None:
    answer = recommend(service, add_teacher(service, input_size=(1, 28, 28)))
    assert (answer.status_code, answer.json()["code"]) == (422, "incompatible_dataset")


def test_without_workers_the_answer_says_so(service: Service) -> None:
    found = recommend(service, add_teacher(service)).json()
    assert found["hardware"] == []
    assert found["recommendations"]
    assert any("No worker is alive" in note for note in found["notes"])
