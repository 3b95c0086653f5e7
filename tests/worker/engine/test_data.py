"""Datasets in."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from worker.engine.data.builtin import digits
from worker.engine.data.canonical import load_data, save_data
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


def test_digits_are_those_that_scikit_learn_reads() -> None:
    images, labels = load_digits(return_X_y=True)
    expected = sorted(
        (int(y), *np.rint(x * 255 / 16).astype(int)) for x, y in zip(images, labels, strict=True)
    )
    data = digits()
    splits = (data.train, data.validation, data.test)
    found = [
        (int(y), *x[0, ::4, ::4].flatten().tolist())
        for split in splits
        for x, y in zip(split.x, split.y, strict=True)
    ]
    assert sorted(found) == expected


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
        ({"x_train": np.zeros((0, 6, 5, 3), np.uint8), "y_train": np.arange(0)}, "no example"),
        ({"y_train": np.arange(40) % 4 * 10**12}, "classes allowed"),
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


def test_an_array_of_an_unknown_name_is_refused_with_those_that_are_taken(tmp_path: Path) -> None:
    given = arrays(valid_x=np.zeros((4, 6, 5, 3), np.uint8), valid_y=np.arange(4))
    np.savez(tmp_path / "d.npz", **given)
    with pytest.raises(InvalidDataset, match="unknown arrays: valid_x, valid_y") as refused:
        read_npz(tmp_path / "d.npz")
    assert "x_val" in str(refused.value.hint)


def test_an_npz_header_that_promises_more_than_there_is_takes_no_memory(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"shape": (10**12,), "fortran_order": False, "descr": "<f8"}
    )
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("x_train.npy", header.getvalue())
    with pytest.raises(InvalidDataset, match="shorter than its header says"):
        read_npz(tmp_path / "d.npz")
