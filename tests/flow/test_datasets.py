"""The same pictures in every format that people keep them in, through the real service."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks import real_data
from modelpress import Client
from service.cli.main import main
from service.client import Invalid
from service.client.datasets import Dataset
from service.embedded import Stack
from tests.waiting import wait_until
from tests.worker.engine.image_files import encoded, parquet, zipped
from worker.engine.data.builtin import digits

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
COUNTS = {"train": 20, "validation": 4, "test": 6}


@dataclass(frozen=True)
class Pictures:
    """Some of each class in each split, class by class: pixels [N, H, W, 3] and labels [N]."""

    x: dict[str, NDArray[np.uint8]]
    y: dict[str, NDArray[np.int64]]

    def files(self) -> dict[str, bytes]:
        """As PNG files of an ImageFolder, whose names sort in the order of the arrays."""
        return {
            f"{split}/{CLASSES[label]}/{number:04}.png": encoded(pixels)
            for split in COUNTS
            for number, (pixels, label) in enumerate(
                zip(self.x[split], self.y[split].tolist(), strict=True)
            )
        }


def cifar10_or_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Natural images where they are at hand, else handwritten digits."""
    split = real_data.cifar10()[1] if real_data.there() else digits().train
    return split.x.permute(0, 2, 3, 1).numpy(), split.y.numpy()


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    x, y = cifar10_or_digits()
    taken: dict[str, list[NDArray[np.int64]]] = {split: [] for split in COUNTS}
    for label in range(10):
        members = np.flatnonzero(y == label)
        for split, count in COUNTS.items():
            taken[split].append(members[:count])
            members = members[count:]
    chosen = {split: np.concatenate(places) for split, places in taken.items()}
    return Pictures(
        {split: x[places] for split, places in chosen.items()},
        {split: y[places] for split, places in chosen.items()},
    )


@pytest.fixture(scope="module")
def from_arrays(
    client: Client, pictures: Pictures, tmp_path_factory: pytest.TempPathFactory
) -> Dataset:
    """What all the others must come out as."""
    path = tmp_path_factory.mktemp("npz") / "pictures.npz"
    arrays = {f"x_{split}": x for split, x in pictures.x.items()}
    labels = {f"y_{split}": y for split, y in pictures.y.items()}
    np.savez(path, **arrays, **labels)  # type: ignore[arg-type]
    return ready(client.datasets.register(path))


def ready(dataset: Dataset) -> Dataset:
    assert dataset.data.status == "ready", dataset.data.error
    return dataset


def test_a_folder_of_images_is_pushed_from_the_command_line_and_looked_at(
    stack: Stack,
    client: Client,
    pictures: Pictures,
    from_arrays: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = pictures.files()
    files["train/cat/broken.png"] = files["train/cat/0060.png"][:100]
    for name, content in files.items():
        (tmp_path / "pets" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pets" / name).write_bytes(content)
    monkeypatch.setenv("MODELPRESS_URL", stack.url)
    monkeypatch.setenv("MODELPRESS_KEY", stack.key)
    with pytest.raises(SystemExit) as ended:
        main(["datasets", "push", str(tmp_path / "pets")])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert "Unreadable images left out: 1" in said
    assert "broken.png" in said
    dataset = client.datasets.get(said.split()[0])
    assert dataset.data.name == "pets"
    assert dataset.data.labels == CLASSES
    assert dataset.data.digest == from_arrays.data.digest
    with pytest.raises(SystemExit):
        main(["datasets", "show", dataset.id, "--sheet", str(tmp_path / "sheet.png")])
    shown = capsys.readouterr().out
    assert re.search(r"^cat +20 +4 +6 *$", shown, re.MULTILINE)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.format == "PNG"
        assert sheet.width > 8 * 64
        assert sheet.height > 10 * 64


def test_parquet_gives_the_same_data_and_trains(
    client: Client, pictures: Pictures, from_arrays: Dataset, tmp_path: Path
) -> None:
    members = {
        f"data/{split}-00000-of-00001.parquet": parquet(
            tmp_path / split,
            [encoded(pixels) for pixels in pictures.x[split]],
            pictures.y[split].tolist(),
            names=CLASSES,
        ).read_bytes()
        for split in COUNTS
    }
    path = zipped(tmp_path / "pictures.zip", members)
    dataset = ready(client.datasets.register(path))
    assert (dataset.data.format, dataset.data.labels) == ("parquet", CLASSES)
    assert dataset.data.digest == from_arrays.data.digest
    job = client.submit(
        {"kind": "train", "model": {"architecture": "mlp", "options": {"hidden": [32]}},
         "dataset": dataset.id, "training": {"epochs": 30, "batch_size": 50}}
    ).wait(timeout=60)  # fmt: skip
    assert job.data.metrics["test_accuracy"] > 0.15  # of ten classes, after 200 pictures


def test_a_table_of_a_declared_source_gives_the_same_data(
    stack: Stack, client: Client, pictures: Pictures, from_arrays: Dataset
) -> None:
    files: dict[str, bytes | str] = dict(pictures.files())
    rows = [f"{name},{name.split('/')[1]}" for name in files]
    files["pictures.csv"] = "\n".join(["path,label", *rows])
    (stack.data_dir / "shared").mkdir(exist_ok=True)
    zipped(stack.data_dir / "shared/pictures.zip", files)
    dataset = ready(client.datasets.register_source("shared", "pictures.zip", format="csv_zip"))
    assert (dataset.data.source, dataset.data.path) == ("shared", "pictures.zip")
    assert dataset.data.digest == from_arrays.data.digest
    assert dataset.data.contact_sheet


def test_a_source_says_what_it_does_not_have(stack: Stack, client: Client) -> None:
    (stack.data_dir / "shared").mkdir(exist_ok=True)
    (stack.data_dir / "shared/link.zip").unlink(missing_ok=True)
    (stack.data_dir / "shared/link.zip").symlink_to(stack.data_dir / "modelpress.db")
    for path in ("absent.zip", "link.zip"):
        dataset = client.datasets.register_source("shared", path, format="image_zip")
        wait_until(lambda d=dataset: d.refresh().data.status != "checking", 10, "the check")  # type: ignore[misc]
        assert dataset.data.error is not None
        assert dataset.data.error.code == "source_not_found"
    with pytest.raises(Invalid) as refused:
        client.datasets.register_source("other", "x.zip", format="image_zip")
    assert refused.value.code == "unknown_source"
