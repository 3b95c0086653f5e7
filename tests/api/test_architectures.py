"""Architectures that workers bring: names and options are held against what they list."""

from typing import Any

from service.store.models import ModelStore
from service.store.values import NewModel
from tests.api.conftest import Service
from tests.api.test_jobs import pointers


def train(architecture: str, **options: Any) -> dict[str, Any]:
    model = {"architecture": architecture, "options": options}
    return {"kind": "train", "model": model, "dataset": "digits"}


def test_a_wrong_name_is_refused_with_the_nearest_that_workers_know(service: Service) -> None:
    service.add_worker(resnet18=["drop_rate"], resnet34=[], vit_tiny=[])
    answer = service.http.post("/v1/jobs", json=train("timm/resnet19"))
    assert answer.status_code == 422
    assert pointers(answer) == ["#/model/architecture"]
    assert "did you mean timm/resnet18" in answer.json()["errors"][0]["detail"]


def test_a_misspelt_family_is_refused_and_a_stranger_is_not(service: Service) -> None:
    service.add_worker(resnet18=[])
    answer = service.http.post("/v1/jobs", json=train("tim/resnet18"))
    assert answer.status_code == 422
    assert "did you mean timm/…?" in answer.json()["errors"][0]["detail"]
    assert service.http.post("/v1/jobs", json=train("acme/tinyformer")).is_success


def test_an_option_is_refused_with_those_that_the_architecture_takes(service: Service) -> None:
    service.add_worker(resnet18=["drop_path_rate", "drop_rate"])
    answer = service.http.post("/v1/jobs", json=train("timm/resnet18", depth=3))
    assert answer.status_code == 422
    assert pointers(answer) == ["#/model/options"]
    assert answer.json()["errors"][0]["detail"] == (
        "timm/resnet18 takes no option depth; it takes drop_path_rate, drop_rate"
    )
    assert service.http.post("/v1/jobs", json=train("timm/resnet18", drop_rate=0.1)).is_success


def test_a_job_waits_for_a_worker_that_has_the_package(service: Service) -> None:
    service.add_worker()
    job = service.http.post("/v1/jobs", json=train("tinyformer/small")).json()
    assert job["waiting_for"] == ["a worker with family tinyformer"]


def test_a_job_on_a_model_needs_the_family_that_the_model_is_of(service: Service) -> None:
    service.add_worker()
    with service.database.transaction() as session:
        model = ModelStore(session).add("default", a_vit())
        model_id = model.id
        model.status = "ready"
    further = {"kind": "train", "model": model_id, "dataset": "digits"}
    job = service.http.post("/v1/jobs", json=further).json()
    assert job["waiting_for"] == ["a worker with family transformers"]
    then = {"kind": "train", "model": job["id"], "dataset": "digits"}
    waits = service.http.post("/v1/jobs", json=then).json()["waiting_for"]
    assert waits == [job["id"], "a worker with family transformers"]


def test_registering_a_model_refuses_the_same_names(service: Service) -> None:
    service.add_worker(resnet18=[])
    service.http.put("/v1/files/w.safetensors", content=b"anything")
    asked = {"file": "w.safetensors", "architecture": "timm/resnet81"}
    answer = service.http.post("/v1/models", json=asked)
    assert (answer.status_code, pointers(answer)) == (422, ["#/architecture"])


def test_a_worker_is_listed_with_counts_and_not_with_names(service: Service) -> None:
    service.add_worker(resnet18=[], resnet34=[])
    worker = service.http.get("/v1/workers").json()["data"][0]
    assert worker["capabilities"]["architectures"] == {"builtin": 2, "timm": 2}
    named = service.http.get("/v1/capabilities").json()["architectures"]
    assert list(named) == ["cnn_student", "mlp", "timm/resnet18", "timm/resnet34"]


def a_vit() -> NewModel:
    return NewModel(
        name="vit",
        architecture="transformers/vit",
        options={},
        classes=10,
        input_size=(3, 32, 32),
        normalisation={"mean": [0.0] * 3, "std": [1.0] * 3},
    )
