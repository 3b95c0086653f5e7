"""Uploads: what a person brings becomes a model or a dataset that jobs can use."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from benchmarks import real_data
from modelpress import Client
from service.contract.benchmark import BenchmarkResult
from tests.waiting import wait_until
from worker.engine.models.registry import ARCHITECTURES

DATA = Path(os.environ.get("MODELPRESS_BENCH_DATA", Path(__file__).parents[2] / "../shared/data"))


def _npz(path: Path, side: int = 8, classes: int = 3) -> Path:
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 60), ("test", 12)):
        labels = np.arange(count) % classes
        images = rng.integers(0, 60, (count, side, side, 3)) + 60 * labels[:, None, None, None]
        arrays[f"x_{split}"] = images.astype(np.uint8)
        arrays[f"y_{split}"] = labels.astype(np.uint8)
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def test_an_npz_becomes_a_dataset_that_a_model_learns(client: Client, tmp_path: Path) -> None:
    dataset = client.datasets.register(_npz(tmp_path / "colours.npz"), timeout=30)
    assert dataset.data.status == "ready", dataset.data.error
    assert (dataset.data.classes, dataset.data.input_size) == (3, (3, 8, 8))
    assert dataset.data.splits is not None
    assert dataset.data.splits.train + dataset.data.splits.validation == 60
    job = client.submit(
        {"kind": "train", "model": {"architecture": "mlp", "options": {"hidden": [16]}},
         "dataset": dataset.id, "training": {"epochs": 20, "batch_size": 16}}
    ).wait(timeout=60)  # fmt: skip
    assert job.data.metrics["test_accuracy"] > 0.9


def test_a_zip_of_an_image_folder_becomes_a_dataset(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "shapes.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for split, count in (("train", 10), ("test", 4)):
            for name, colour in (("dark", 20), ("light", 220)):
                for index in range(count):
                    buffer = io.BytesIO()
                    Image.new("RGB", (12, 12), (colour, colour, index)).save(buffer, "PNG")
                    archive.writestr(f"{split}/{name}/{index}.png", buffer.getvalue())
    dataset = client.datasets.register(path, timeout=30)
    assert dataset.data.status == "ready", dataset.data.error
    assert dataset.data.labels == ("dark", "light")
    assert dataset.data.class_counts is not None
    assert dataset.data.class_counts["test"] == (4, 4)


def test_a_dataset_that_is_not_one_is_rejected_in_words(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "wrong.npz"
    np.savez(path, x_train=np.zeros((4, 8, 8, 3), np.uint8))
    dataset = client.datasets.register(path, timeout=30)
    assert dataset.data.status == "rejected"
    assert dataset.data.error is not None
    assert dataset.data.error.code == "invalid_dataset"


def test_weights_that_do_not_fit_are_rejected_by_name_and_shape(
    client: Client, tmp_path: Path
) -> None:
    other = ARCHITECTURES["cnn_student"].build(10, (3, 32, 32))
    save_file(other.state_dict(), tmp_path / "other.safetensors")
    model = client.models.register(
        tmp_path / "other.safetensors",
        architecture="cnn_simple",
        classes=10,
        input_size=(3, 32, 32),
        timeout=30,
    )
    assert model.data.status == "rejected"
    assert model.data.error is not None
    assert "expected" in model.data.error.message


def test_a_job_may_name_a_model_that_is_still_being_checked(client: Client, tmp_path: Path) -> None:
    module = ARCHITECTURES["cnn_simple"].build(10, (3, 32, 32))
    save_file(module.state_dict(), tmp_path / "simple.safetensors")
    model = client.models.register(
        tmp_path / "simple.safetensors", architecture="cnn_simple", classes=10,
        input_size=(3, 32, 32)
    )  # fmt: skip
    job = client.submit(
        {"kind": "benchmark", "models": [model.id], "dataset": "digits", "batch_sizes": [1],
         "blocks": 2, "executions": 1, "block_s": 0.02}
    ).wait(timeout=60)  # fmt: skip
    assert isinstance(job.result, BenchmarkResult)
    assert job.result.models[0].facts.parameters == 102_154


def test_a_large_dataset_holds_up_no_small_model(client: Client, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (90, 60, 30)).save(buffer, "PNG")
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for index in range(40_000):
            archive.writestr(f"{('dark', 'light')[index % 2]}/{index}.png", buffer.getvalue())
    module = ARCHITECTURES["cnn_simple"].build(10, (3, 32, 32))
    save_file(module.state_dict(), tmp_path / "simple.safetensors")
    large = client.datasets.register(tmp_path / "many.zip", timeout=0)
    small = client.models.register(
        tmp_path / "simple.safetensors", architecture="cnn_simple", timeout=60
    )
    assert small.data.status == "ready", small.data.error
    assert client.datasets.get(large.id).data.status == "checking"
    wait_until(
        lambda: client.datasets.get(large.id).data.status == "ready", 120.0, "the large dataset"
    )


@pytest.mark.skipif(
    not (DATA / "cifar_resnet20.safetensors").exists(), reason="MODELPRESS_BENCH_DATA is absent"
)
def test_a_public_resnet20_scores_what_its_authors_say(client: Client, tmp_path: Path) -> None:
    """91.73 % of CIFAR-10's 10,000 test images, through upload, intake and a benchmark job."""
    train, test = real_data.cifar10()
    path = tmp_path / "cifar10.npz"
    np.savez(path, x_train=train.x[:500], y_train=train.y[:500], x_test=test.x, y_test=test.y)
    dataset = client.datasets.register(path)
    model = client.models.register(
        DATA / "cifar_resnet20.safetensors",
        architecture="cifar_resnet20",
        classes=10,
        input_size=(3, 32, 32),
        timeout=0.0,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )
    wait_until(lambda: model.refresh().data.status != "checking", 60, "the check")
    assert model.data.status == "ready", model.data.error
    assert model.data.parameters == 269_722
    job = client.submit(
        {"kind": "benchmark", "models": [model.id], "dataset": dataset.id, "batch_sizes": [1],
         "blocks": 2, "executions": 1, "block_s": 0.02}
    ).wait(timeout=150)  # fmt: skip
    assert isinstance(job.result, BenchmarkResult)
    assert job.result.models[0].test.correct == 9173
