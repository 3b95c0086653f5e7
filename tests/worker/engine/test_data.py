"""Datasets in."""

import io
import stat
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from worker.engine.data.builtin import digits
from worker.engine.data.canonical import load_data, save_data
from worker.engine.data.image_folder import read_image_zip
from worker.engine.data.npz import read_npz
from worker.engine.data.split import Data, Split, channel_stats, cut
from worker.engine.errors import InvalidDataset


def test_digits_are_all_there_in_every_class_and_never_change() -> None:
    first, second = digits(), digits()
    assert first.digest == second.digest
    assert len(first.train) + len(first.validation) + len(first.test) == 1797
    assert first.input_size == (3, 32, 32)
    assert first.classes == 10
    assert first.train.x.dtype == torch.uint8
    assert int(first.train.x.max()) == 255
    for split in (first.train, first.validation, first.test):
        assert split.y.bincount(minlength=10).min() >= 17
    block = first.train.x[0, 0, :4, :4]
    assert int(block.min()) == int(block.max())


def test_a_cut_takes_its_share_of_each_class_and_loses_nothing() -> None:
    y = torch.tensor([0] * 40 + [1] * 20)
    split = Split(torch.arange(60, dtype=torch.uint8)[:, None], y)
    rest, part = cut(split, 0.25, seed=3)
    assert part.y.bincount().tolist() == [10, 5]
    assert sorted([*rest.x[:, 0].tolist(), *part.x[:, 0].tolist()]) == list(range(60))
    again, other = cut(split, 0.25, seed=3)[1], cut(split, 0.25, seed=4)[1]
    assert torch.equal(part.x, again.x)
    assert not torch.equal(part.x, other.x)


def test_canonical_form_gives_back_the_same_data(data: Data, tmp_path: Path) -> None:
    save_data(data, tmp_path / "d.safetensors")
    loaded = load_data(tmp_path / "d.safetensors")
    assert loaded.digest == data.digest
    assert torch.equal(loaded.test.x, data.test.x)


def test_the_digest_sees_a_single_bit(data: Data) -> None:
    x = data.test.x.clone()
    x[0, 0, 0, 0] ^= 1
    changed = Data.of(data.train, data.validation, Split(x, data.test.y))
    assert changed.digest != data.digest


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_channel_statistics_are_numpys(dtype: torch.dtype) -> None:
    x = torch.randint(0, 256, (7, 3, 5, 4), generator=torch.Generator().manual_seed(0)).to(dtype)
    scale = 255.0 if dtype == torch.uint8 else 1.0
    mean, std = channel_stats(Split(x, torch.zeros(7, dtype=torch.int64)))
    values = x.numpy().astype(np.float64) / scale
    assert mean == pytest.approx(values.mean(axis=(0, 2, 3)), rel=1e-12)
    assert std == pytest.approx(values.std(axis=(0, 2, 3)), rel=1e-12)


def test_a_constant_channel_can_be_normalised() -> None:
    x = torch.full((4, 1, 2, 2), 51, dtype=torch.uint8)
    mean, std = channel_stats(Split(x, torch.zeros(4, dtype=torch.int64)))
    assert mean == pytest.approx((0.2,))
    assert std == (1.0,)


def arrays(**changes: Any) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    base = {
        "x_train": draw.integers(0, 256, (40, 6, 5, 3), dtype=np.uint8),
        "y_train": np.arange(40) % 4,
        "x_test": draw.integers(0, 256, (8, 6, 5, 3), dtype=np.uint8),
        "y_test": np.arange(8) % 4,
    }
    return {name: value for name, value in (base | changes).items() if value is not None}


def test_npz_images_become_channels_first_and_validation_is_cut(tmp_path: Path) -> None:
    given = arrays()
    np.savez_compressed(tmp_path / "d.npz", **given)
    data = read_npz(tmp_path / "d.npz", validation_share=0.2)
    assert data.input_size == (3, 6, 5)
    assert (len(data.train), len(data.validation), len(data.test)) == (32, 8, 8)
    assert torch.equal(data.test.x, torch.from_numpy(given["x_test"]).permute(0, 3, 1, 2))
    assert data.validation.y.bincount().tolist() == [2, 2, 2, 2]


def test_npz_takes_grey_images_floats_fortran_order_and_other_spellings(tmp_path: Path) -> None:
    grey = np.asfortranarray(np.random.default_rng(1).random((40, 6, 5)))
    changes = {"x_train": grey, "x_test": grey[:8], "X_val": grey[:4], "Y_val": np.arange(4)}
    np.savez(tmp_path / "d.npz", **arrays(**changes))
    data = read_npz(tmp_path / "d.npz")
    assert data.input_size == (1, 6, 5)
    assert len(data.train) == 40
    assert torch.equal(data.train.x[:, 0], torch.from_numpy(grey.astype(np.float32)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"x_test": None, "y_test": None}, "no test split"),
        ({"x_train": None}, "both inputs and labels"),
        ({"y_train": np.arange(39)}, "labels"),
        ({"y_train": np.zeros(40)}, "integers"),
        ({"y_train": np.full(40, -1)}, "negative"),
        ({"x_test": np.zeros((8, 9, 9, 3), np.uint8)}, "differ"),
        ({"x_train": np.full((40, 6, 5, 3), np.nan, np.float32)}, "differ|finite"),
        ({"x_train": np.array([object()] * 40)}, "numbers"),
        ({"x_train": np.zeros((40, 6, 5, 3), np.int32)}, "uint8 or float32"),
    ],
)
def test_a_wrong_npz_is_refused_in_words(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    np.savez(tmp_path / "d.npz", **arrays(**changes))
    with pytest.raises(InvalidDataset, match=words):
        read_npz(tmp_path / "d.npz")


def test_an_npz_header_that_promises_more_than_there_is_takes_no_memory(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"shape": (10**12,), "fortran_order": False, "descr": "<f8"}
    )
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("x_train.npy", header.getvalue())
    with pytest.raises(InvalidDataset, match="shorter than its header says"):
        read_npz(tmp_path / "d.npz")


@pytest.mark.parametrize("read", [read_npz, read_image_zip])
def test_bytes_that_are_no_zip_are_refused(tmp_path: Path, read: Any) -> None:
    (tmp_path / "d").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(InvalidDataset):
        read(tmp_path / "d")


def png(colour: tuple[int, int, int], size: tuple[int, int] = (6, 4), form: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, form)
    return file.getvalue()


RED, BLUE = (255, 0, 0), (0, 0, 255)


def image_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_an_image_folder_with_splits_is_read_as_it_stands(tmp_path: Path) -> None:
    files = {
        f"{split}/{label}/{i}.png": png(colour)
        for split, count in (("train", 5), ("val", 2), ("test", 3))
        for label, colour in (("blue", BLUE), ("red", RED))
        for i in range(count)
    }
    files["__MACOSX/junk"] = b"x"
    files["train/red/odd.jpg"] = png(RED, size=(12, 12), form="JPEG")
    data = read_image_zip(image_zip(tmp_path / "d.zip", files))
    assert data.labels == ("blue", "red")
    assert (len(data.train), len(data.validation), len(data.test)) == (11, 4, 6)
    assert data.input_size == (3, 4, 6)
    for x, y in zip(data.test.x, data.test.y, strict=True):
        assert x[:, 0, 0].tolist() == list(RED if y == 1 else BLUE)


def test_one_tree_of_classes_is_split_by_seed(tmp_path: Path) -> None:
    files = {
        f"pets/{label}/{i}.png": png((10 * i, 0, 0)) for label in ("cat", "dog") for i in range(10)
    }
    data = read_image_zip(image_zip(tmp_path / "d.zip", files), validation_share=0.25, seed=1)
    assert data.labels == ("cat", "dog")
    assert (len(data.train), len(data.validation), len(data.test)) == (12, 4, 4)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train/red/../../../etc/x.png", png(RED)),
        ("/train/red/x.png", png(RED)),
        ("train\\red\\x.png", png(RED)),
        ("train/red/x.gif", png(RED, form="GIF")),
        ("train/red/x.png", png(RED, form="GIF")),
        ("train/red/x.png", b"no image"),
        ("train/red/x.png", png(RED)[:40]),
        ("x.png", png(RED)),
        ("train/x.png", png(RED)),
        ("train/red/deep/x.png", png(RED)),
        ("train/red/big.png", b"\x89PNG" + b"\x00" * 10_000_000),
    ],
)
def test_a_zip_with_a_bad_member_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    good = {f"{s}/{c}/{i}.png": png(RED) for s in ("train", "test") for c in "ab" for i in range(3)}
    path = tmp_path / "d.zip"
    image_zip(path, good)
    info = zipfile.ZipInfo("placeholder")
    info.filename = name  # the constructor would tidy it
    info.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(info, content)
    with pytest.raises(InvalidDataset):
        read_image_zip(path)


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("train/red/x.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(InvalidDataset, match="regular file"):
        read_image_zip(tmp_path / "d.zip")
