"""Registering models: what a request has to say, and what is known before a worker has looked."""

import io
from collections.abc import Mapping
from typing import Any

import onnx
import pytest
import torch
from fastapi.testclient import TestClient
from onnx import TensorProto, helper

from tests.api.conftest import Service
from tests.api.test_files import put, safetensors

GRAPH = helper.make_graph(
    [helper.make_node("ReduceMean", ["x"], ["y"], axes=[2, 3], keepdims=0)],
    "graph",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("n", 3, 32, 32))],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ("n", 3))],
)
ONNX: bytes = onnx.ModelProto.SerializeToString(helper.make_model(GRAPH))
OVER_DIGITS = {"file": "m.onnx", "classes": 10, "input_size": [3, 32, 32]}


def _state_dict() -> bytes:
    buffer = io.BytesIO()
    torch.save({"w": torch.zeros(2)}, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "source"),
    [("w.safetensors", safetensors(), "safetensors"), ("w.pt", _state_dict(), "torch")],
)
def test_bare_weights_need_an_architecture_and_nothing_else(
    http: TestClient, name: str, data: bytes, source: str
) -> None:
    put(http, name, data)
    answer = http.post("/v1/models", json={"file": name})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/architecture")
    made = http.post("/v1/models", json={"file": name, "architecture": "cnn_student"})
    assert made.status_code == 202
    shown = made.json()
    assert (shown["status"], shown["source"], shown["form"]) == ("checking", source, "weights")
    assert (shown["classes"], shown["input_size"], shown["normalisation"]) == (None, None, None)


def test_a_graph_says_it_is_one_at_once_and_takes_no_architecture(http: TestClient) -> None:
    put(http, "m.onnx", ONNX)
    made = http.post("/v1/models", json={"file": "m.onnx"})
    assert (made.status_code, made.json()["form"], made.json()["source"]) == (202, "graph", "onnx")
    answer = http.post("/v1/models", json={"file": "m.onnx", "architecture": "mlp"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/architecture")


@pytest.mark.parametrize(
    ("spec", "pointer", "code"),
    [
        ({"kind": "train", "model": "?"}, "#/model", "not_trainable"),
        ({"kind": "distill", "teacher": "?", "student": "?"}, "#/student", "not_trainable"),
        ({"kind": "benchmark", "models": ["?"]}, "#/models/0", "not_exportable"),
        (
            {"kind": "benchmark", "models": ["?"], "runtimes": ["eager", "torch_compile"]},
            "#/models/0",
            "not_exportable",
        ),
    ],
)
def test_what_cannot_be_done_with_a_graph_is_refused_before_it_runs(
    http: TestClient, spec: Mapping[str, Any], pointer: str, code: str
) -> None:
    put(http, "m.onnx", ONNX)
    model = http.post("/v1/models", json=OVER_DIGITS).json()["id"]
    named = {
        field: model if value == "?" else [model] if value == ["?"] else value
        for field, value in spec.items()
    }
    answer = http.post("/v1/jobs", json={**named, "dataset": "digits"})
    assert answer.status_code == 422, answer.json()
    assert (answer.json()["errors"][0]["pointer"], answer.json()["code"]) == (pointer, code)


def test_a_graph_may_teach_and_be_timed_in_its_runtime(http: TestClient) -> None:
    put(http, "m.onnx", ONNX)
    model = http.post("/v1/models", json=OVER_DIGITS).json()["id"]
    fresh = {"kind": "train", "model": {"architecture": "cnn_student"}, "dataset": "digits"}
    layers = http.post("/v1/jobs", json=fresh).json()["id"]
    for spec in (
        # in eager the graph is skipped, and the layers are measured
        {"kind": "benchmark", "models": [model, layers], "runtimes": ["eager"]},
        {"kind": "benchmark", "models": [model], "runtimes": ["eager", "onnxruntime"]},
        {"kind": "distill", "teacher": model, "student": {"architecture": "cnn_student"}},
        {"kind": "benchmark", "models": [model], "runtimes": ["onnxruntime"]},
    ):
        answer = http.post("/v1/jobs", json={**spec, "dataset": "digits"})
        assert answer.status_code == 202, answer.json()


@pytest.mark.parametrize(
    ("said", "pointer"),
    [
        ({"normalisation": {"mean": [0.5], "std": [0.5, 0.5]}}, "#/normalisation"),
        (
            {"input_size": [3, 8, 8], "normalisation": {"mean": [0.5], "std": [0.5]}},
            "#/normalisation",
        ),
        ({"classes": 3, "labels": ["a", "b"]}, "#/labels"),
    ],
)
def test_what_contradicts_itself_is_refused_at_once(
    http: TestClient, said: Mapping[str, Any], pointer: str
) -> None:
    put(http, "w.safetensors", safetensors())
    asked = {"file": "w.safetensors", "architecture": "cnn_student", **said}
    answer = http.post("/v1/models", json=asked)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def test_a_model_says_in_which_formats_it_is_there_and_shows_its_card(service: Service) -> None:
    model = service.add_model()
    found = service.http.get(f"/v1/models/{model}/formats").json()
    whole = service.http.get(f"/v1/models/{model}/content")
    assert found["data"] == {"folder": len(whole.content), "safetensors": 256 * 8192}
    card = service.http.get(f"/v1/models/{model}/card")
    assert card.text == "# A model\n"
    assert card.headers["content-type"].startswith("text/markdown")
    assert service.http.head(f"/v1/models/{model}/card").status_code == 200
