"""Somebody else's trained ResNet-20: architecture, loading and scoring, all at once."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from worker.engine.data.split import Split
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import build, load_weights
from worker.engine.train.evaluate import evaluate

FOLDER = Path(os.environ.get("MODELPRESS_BENCH_DATA", "../shared/data"))
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

pytestmark = pytest.mark.skipif(
    not (FOLDER / "cifar_resnet20.safetensors").exists(), reason="MODELPRESS_BENCH_DATA is absent"
)


def cifar10_test() -> Split:
    """The 10,000 test images, from mosaics of 50 rows and 100 columns of 32×32 tiles."""
    with zipfile.ZipFile(FOLDER / "cifar10_webp.zip") as archive:
        labels = np.load(io.BytesIO(archive.read("labels.npz")))["y_test"].astype(np.int64)
        names = sorted(name for name in archive.namelist() if name.startswith("test_"))
        images = [Image.open(io.BytesIO(archive.read(name))).convert("RGB") for name in names]
    tiles = [np.asarray(image).reshape(50, 32, 100, 32, 3) for image in images]
    x = np.concatenate([t.transpose(0, 2, 4, 1, 3).reshape(-1, 3, 32, 32) for t in tiles])
    return Split(torch.from_numpy(x), torch.from_numpy(labels))


def accuracy_on(images: int) -> float:
    model = build(ModelConfig("cifar_resnet20", 10, (3, 32, 32), MEAN, STD))
    load_weights(model, FOLDER / "cifar_resnet20.safetensors")
    split = cifar10_test().take(torch.arange(images))
    return evaluate(model, split, MEAN, STD, batch_size=64).accuracy


def test_the_public_resnet20_is_near_its_score_on_a_tenth_of_the_images() -> None:
    # Three standard deviations of a sample of 1,000: 3 · √(0.917 · 0.083 / 1000)
    assert accuracy_on(1000) == pytest.approx(0.9173, abs=0.027)


@pytest.mark.long
def test_the_public_resnet20_scores_what_its_author_says() -> None:
    assert accuracy_on(10_000) == 0.9173
