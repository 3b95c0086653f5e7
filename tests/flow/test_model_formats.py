"""Models in the formats of others: through upload, check and jobs on the real service."""

import json
import os
import warnings
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch import nn

import modelpress
from modelpress import Client
from service.client import Invalid
from service.client.jobs import Job
from service.client.models import Model
from service.contract.benchmark import BenchmarkResult
from service.contract.distill import DistillResult
from service.contract.train import TrainResult

DATA = Path(os.environ.get("MODELPRESS_BENCH_DATA", Path(__file__).parents[2] / "../shared/data"))


def _ready(model: Model) -> Model:
    assert model.data.status == "ready", model.data.error
    return model


def _answers_alike(model: Model, module: nn.Module, tmp_path: Path) -> None:
    """The downloaded folder, loaded by the public face, against the module it came from."""
    loaded = modelpress.load(model.download(tmp_path / "downloaded"))
    assert model.data.input_size is not None
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(2, *model.data.input_size, generator=draw)
    with torch.no_grad():
        assert torch.equal(loaded(inputs), module.eval()(inputs))


@pytest.fixture(scope="module")
def trained(client: Client) -> Job:
    return client.submit(
        {"kind": "train", "model": {"architecture": "mlp", "options": {"hidden": [32]}},
         "dataset": "digits", "training": {"epochs": 5}}
    ).wait(timeout=120)  # fmt: skip


@pytest.fixture(scope="module")
def onnx_teacher(client: Client, trained: Job, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The same model as somebody else's ONNX file, with a softmax at its end."""
    folder = tmp_path_factory.mktemp("onnx")
    module = modelpress.load(trained.model.download(folder / "trained"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        torch.onnx.export(
            nn.Sequential(module, nn.Softmax(1)),
            (torch.zeros(2, 3, 32, 32),),
            folder / "teacher.onnx",
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            verbose=False,
        )
    said = trained.model.data.normalisation
    assert said is not None
    return _ready(client.models.register(folder / "teacher.onnx", mean=said.mean, std=said.std))


def test_a_state_dict_of_torchvision_needs_its_architecture_only(
    client: Client, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    module = torchvision.models.squeezenet1_1()
    torch.save({"state_dict": {f"module.{n}": t for n, t in module.state_dict().items()},
                "epoch": 9}, tmp_path / "net.pth")  # fmt: skip
    model = _ready(
        client.models.register(tmp_path / "net.pth", architecture="torchvision/squeezenet1_1")
    )
    assert (model.data.source, model.data.classes) == ("torch", 1000)
    assert model.data.parameters == sum(p.numel() for p in module.parameters())
    assert model.data.labels is not None
    assert model.data.labels[0] == "tench"
    assert model.data.notes == (
        "the weights were found under 'state_dict'",
        "the prefix 'module.' was taken off every name",
    )
    _answers_alike(model, module, tmp_path)


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_weights_of_timm_come_as_timm_saves_them(
    client: Client, tmp_path: Path, suffix: str
) -> None:
    torch.manual_seed(0)
    module = timm.create_model("mobilenetv3_small_050", num_classes=4)
    path = tmp_path / f"net.{suffix}"
    torch.save(module.state_dict(), path) if suffix == "pt" else save_file(
        module.state_dict(), path
    )
    model = _ready(client.models.register(path, architecture="timm/mobilenetv3_small_050"))
    assert (model.data.classes, model.data.input_size) == (4, (3, 224, 224))
    _answers_alike(model, module, tmp_path)


def test_a_folder_of_timm_says_all_of_itself(client: Client, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = timm.create_model("resnet10t", num_classes=5)
    timm.models.save_for_hf(module, str(tmp_path / "saved"), safe_serialization=True)
    model = _ready(client.models.register_folder(tmp_path / "saved"))
    assert (model.data.source, model.data.architecture) == ("huggingface", "timm/resnet10t")
    assert model.data.classes == 5
    _answers_alike(model, module, tmp_path)


def test_a_folder_of_transformers_says_all_of_itself(client: Client, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        image_size=32, patch_size=8, id2label={0: "cat", 1: "dog", 2: "eel"},
        label2id={"cat": 0, "dog": 1, "eel": 2},
    )  # fmt: skip
    module = transformers.ViTForImageClassification(config)
    module.save_pretrained(tmp_path / "saved")
    said = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6], "size": 32}
    (tmp_path / "saved" / "preprocessor_config.json").write_text(json.dumps(said))
    model = _ready(client.models.register_folder(tmp_path / "saved"))
    assert model.data.architecture == "transformers/vit"
    assert (model.data.labels, model.data.input_size) == (("cat", "dog", "eel"), (3, 32, 32))
    assert model.data.normalisation is not None
    assert model.data.normalisation.mean == (0.1, 0.2, 0.3)
    loaded = modelpress.load(model.download(tmp_path / "downloaded"))
    inputs = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(loaded(inputs), module.eval()(inputs).logits)


@pytest.mark.skipif(
    not (DATA / "cifar_resnet20.safetensors").exists(), reason="MODELPRESS_BENCH_DATA is absent"
)
def test_a_public_resnet20_as_a_state_dict(client: Client, tmp_path: Path) -> None:
    weights = load_file(DATA / "cifar_resnet20.safetensors")
    torch.save(weights, tmp_path / "resnet20.th")
    model = _ready(client.models.register(tmp_path / "resnet20.th", architecture="cifar_resnet20"))
    assert (model.data.parameters, model.data.classes) == (269_722, 10)
    assert model.data.macs == 40_551_040


def test_what_was_downloaded_is_registered_again_as_it_was(
    client: Client, trained: Job, tmp_path: Path
) -> None:
    chain = client.submit(
        {"kind": "distill", "teacher": trained.id,
         "student": {"architecture": "mlp", "options": {"hidden": [8]}}, "dataset": "digits",
         "training": {"epochs": 1}, "latency_batch_sizes": []}
    ).wait(timeout=120)  # fmt: skip
    folder = chain.model.download(tmp_path / "student")
    again = _ready(client.models.register_folder(folder))
    assert again.data.sha256 == chain.model.data.sha256
    config = json.loads((again.download(tmp_path / "again") / "config.json").read_text())
    assert config == json.loads((folder / "config.json").read_text())
    assert config["compression"][0]["kind"] == "distill"


def test_a_graph_is_shown_as_one(onnx_teacher: Model) -> None:
    data = onnx_teacher.data
    assert (data.form, data.architecture, data.classes) == ("graph", "onnx", 10)
    assert data.input_size == (3, 32, 32)
    by_hand = 3 * 32 * 32 * 32 + 32 * 10
    assert (data.macs, data.parameters) == (by_hand, by_hand + 32 + 10)
    assert "softmax" in data.notes[0]


def test_a_graph_teaches(client: Client, trained: Job, onnx_teacher: Model) -> None:
    job = client.submit(
        {"kind": "distill", "teacher": onnx_teacher.id,
         "student": {"architecture": "mlp", "options": {"hidden": [8]}}, "dataset": "digits",
         "training": {"epochs": 1}, "latency_batch_sizes": [2]}
    ).wait(timeout=120)  # fmt: skip
    assert isinstance(job.result, DistillResult)
    assert job.result.teacher.architecture == "onnx"
    assert isinstance(trained.result, TrainResult)
    assert job.result.teacher_test.correct == trained.result.test.correct
    assert job.result.comparison is not None
    (timed,) = job.result.comparison.latencies
    assert (timed.baseline_runtime, timed.runtime) == ("onnxruntime", "eager")


def test_a_graph_is_measured_in_its_runtime(client: Client, onnx_teacher: Model) -> None:
    job = client.submit(
        {"kind": "benchmark", "models": [onnx_teacher.id], "dataset": "digits",
         "batch_sizes": [1, 4], "runtimes": ["onnxruntime"], "blocks": 2, "executions": 1,
         "block_s": 0.02}
    ).wait(timeout=120)  # fmt: skip
    assert isinstance(job.result, BenchmarkResult)
    (row,) = job.result.models
    assert row.facts.macs == onnx_teacher.data.macs
    assert {latency.batch_size for latency in row.latencies} == {1, 4}


def test_a_graph_is_not_trained(client: Client, onnx_teacher: Model) -> None:
    with pytest.raises(Invalid, match="cannot be trained"):
        client.submit({"kind": "train", "model": onnx_teacher.id, "dataset": "digits"})


def test_a_downloaded_graph_is_registered_again(
    client: Client, onnx_teacher: Model, tmp_path: Path
) -> None:
    folder = onnx_teacher.download(tmp_path / "graph")
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.onnx", "README.md"}
    again = _ready(client.models.register_folder(folder))
    assert (again.data.form, again.data.sha256) == ("graph", onnx_teacher.data.sha256)


class _Reducing:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.marker),)


def test_a_pickle_that_acts_is_rejected_by_name_and_does_nothing(
    client: Client, tmp_path: Path
) -> None:
    marker = tmp_path / "ran"
    torch.save({"w": torch.zeros(1), "x": _Reducing(marker)}, tmp_path / "evil.pt")
    model = client.models.register(tmp_path / "evil.pt", architecture="cnn_simple")
    assert model.data.status == "rejected"
    assert model.data.error is not None
    assert model.data.error.code == "invalid_model"
    assert "posix.mkdir" in model.data.error.message
    assert not marker.exists()
