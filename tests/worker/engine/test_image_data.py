"""Images in folders, tables and parquet become one file of pixels."""

import stat
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from tests.worker.engine.image_files import RED, encoded, folder_of, png, zipped
from worker.engine.data.canonical import load_data
from worker.engine.data.findings import Shared, Sizes
from worker.engine.data.intake import Format, Prepared, prepare
from worker.engine.data.rows import MAX_BYTES, reserve
from worker.engine.data.split import Data, channel_stats
from worker.engine.errors import DiskFull, InvalidDataset


def prepared(path: Path, format: Format = "image_zip", **options: Any) -> Prepared:  # noqa: A002
    folder = path.parent / "out"
    folder.mkdir(exist_ok=True)
    return prepare(path, folder, format, **options)


def data_of(path: Path, **options: Any) -> Data:
    return load_data(prepared(path, **options).path)


def test_an_image_folder_with_splits_is_read_as_it_stands(tmp_path: Path) -> None:
    files = folder_of({"train": 5, "val": 2, "test": 3})
    files["__MACOSX/junk"] = b"x"
    files["train/red/odd.jpg"] = png(RED, size=(12, 12), form="JPEG")
    made = prepared(zipped(tmp_path / "d.zip", files))
    data = load_data(made.path)
    assert data.labels == made.labels == ("blue", "red")
    assert (len(data.train), len(data.validation), len(data.test)) == (11, 4, 6)
    assert data.input_size == made.input_size == (3, 4, 6)
    assert made.counts == {"train": (5, 6), "validation": (2, 2), "test": (3, 3)}
    assert made.findings.sizes == Sizes(smallest=(4, 6), largest=(12, 12), commonest=(4, 6))
    for x, y in zip(data.test.x, data.test.y, strict=True):
        assert (int(x[0, 0, 0]), int(x[2, 0, 0])) == ((255, 0) if y == 1 else (0, 255))


def test_what_is_said_of_the_data_is_what_the_arrays_say(tmp_path: Path) -> None:
    made = prepared(zipped(tmp_path / "d.zip", folder_of({"train": 6, "val": 2, "test": 2})))
    data = load_data(made.path)
    recomputed = Data.of(data.train, data.validation, data.test, data.labels)
    assert made.digest == data.digest == recomputed.digest
    assert (made.mean, made.std) == channel_stats(data.train)


def test_one_tree_of_classes_is_split_by_seed(tmp_path: Path) -> None:
    files = {
        f"pets/{label}/{i}.png": png((10 * i, 0, 0)) for label in ("cat", "dog") for i in range(10)
    }
    path = zipped(tmp_path / "d.zip", files)
    data = data_of(path, validation_share=0.25, seed=1)
    assert data.labels == ("cat", "dog")
    assert (len(data.train), len(data.validation), len(data.test)) == (12, 4, 4)
    assert data.test.y.bincount().tolist() == [2, 2]
    everything = torch.cat([data.train.x, data.validation.x, data.test.x])[:, 0, 0, 0]
    assert sorted(everything.tolist()) == sorted([*range(0, 100, 10)] * 2)
    assert data_of(path, validation_share=0.25, seed=1).digest == data.digest
    assert data_of(path, validation_share=0.25, seed=2).digest != data.digest


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
    path = zipped(tmp_path / "d.zip", folder_of({"train": 3, "test": 3}))
    info = zipfile.ZipInfo("placeholder")
    info.filename = name  # the constructor would tidy it
    info.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(info, content)
    with pytest.raises(InvalidDataset):
        prepared(path)


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("train/red/x.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(InvalidDataset, match="regular file"):
        prepared(tmp_path / "d.zip")


def test_a_zip_with_a_file_twice_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "d.zip", folder_of({"train": 3, "test": 3}))
    with (
        zipfile.ZipFile(path, "a") as archive,
        pytest.warns(UserWarning, match="Duplicate name"),
    ):
        archive.writestr("train/red/0.png", png(RED))
    with pytest.raises(InvalidDataset, match="twice"):
        prepared(path)


@pytest.mark.parametrize("format", ["npz", "image_zip", "csv_zip", "parquet"])
@pytest.mark.parametrize("content", [b"PK\x03\x04 not really", b"PAR1 neither PAR1", b""])
def test_bytes_that_are_no_such_file_are_refused(
    tmp_path: Path,
    format: Format,  # noqa: A002
    content: bytes,
) -> None:
    (tmp_path / "d").write_bytes(content)
    with pytest.raises(InvalidDataset):
        prepared(tmp_path / "d", format)


@pytest.mark.parametrize(
    ("splits", "words"), [(["train"], "no test split"), (["test", "val"], "no training split")]
)
def test_a_missing_split_that_cannot_be_cut_is_named(
    tmp_path: Path, splits: list[str], words: str
) -> None:
    path = zipped(tmp_path / "d.zip", folder_of(dict.fromkeys(splits, 3)))
    with pytest.raises(InvalidDataset, match=words):
        prepared(path)


def test_unreadable_images_are_skipped_and_named_up_to_a_share(tmp_path: Path) -> None:
    files = folder_of({"train": 40, "val": 4, "test": 4})  # 96 images
    files["train/blue/7.png"] = b"not an image"
    files["train/red/9.png"] = files["train/red/9.png"][:50]
    path = zipped(tmp_path / "d.zip", files)
    made = prepared(path, undecodable_share=0.03)  # 2.88 images
    assert made.findings.undecodable == 2
    assert made.findings.undecodable_names == ("train/blue/7.png", "train/red/9.png")
    assert made.counts["train"] == (39, 39)
    with pytest.raises(InvalidDataset, match=r"train/blue/7\.png"):
        prepared(path, undecodable_share=0.02)


def _grey16() -> bytes:
    return encoded(np.full((4, 6), 200 * 256 + 77, np.uint16))


def _palette() -> bytes:
    image = Image.new("P", (6, 4), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    return encoded(image, transparency=b"\x80\x80")


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (encoded(Image.new("L", (6, 4), 200)), (200, 200, 200)),
        (encoded(Image.new("1", (6, 4), 1)), (255, 255, 255)),
        (encoded(Image.new("LA", (6, 4), (90, 0))), (90, 90, 90)),
        (encoded(Image.new("RGBA", (6, 4), (10, 20, 30, 0))), (10, 20, 30)),
        (_palette(), (10, 200, 30)),
        (_grey16(), (200, 200, 200)),
        (encoded(Image.new("CMYK", (6, 4), (0, 255, 255, 0)), "JPEG"), (254, 0, 0)),
    ],
    ids=["grey", "black and white", "grey alpha", "alpha", "palette", "16 bits", "CMYK"],
)
def test_every_kind_of_image_becomes_rgb(
    tmp_path: Path, file: bytes, expected: tuple[int, int, int]
) -> None:
    files = folder_of({"train": 3, "test": 3})
    files["test/blue/0.png"] = file
    data = data_of(zipped(tmp_path / "d.zip", files))
    assert data.test.x[0, :, 1, 1].tolist() == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_an_image_that_lies_on_its_side_is_put_upright(tmp_path: Path, form: str) -> None:
    upright = np.zeros((16, 8, 3), np.uint8)
    upright[:8] = 255  # the upper half is white
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # "turn me clockwise to look at me"
    lying = encoded(np.rot90(upright), form, exif=exif)
    files = {f"{s}/a/{i}.jpg": lying for s in ("train", "test") for i in range(4)}
    made = prepared(zipped(tmp_path / "d.zip", files), image_size=(16, 8))
    top, bottom = load_data(made.path).test.x[0, 0, [2, 13], 4].tolist()
    assert (top, bottom) == pytest.approx((255, 0), abs=8)
    if form == "JPEG":
        assert made.findings.sizes == Sizes((16, 8), (16, 8), (16, 8))


def test_broken_exif_around_sound_pixels_does_no_harm(tmp_path: Path) -> None:
    broken = encoded(Image.new("RGB", (6, 4), RED), "JPEG", exif=b"Exif\0\0MM\0*\0\0\xff\xff\1\2")
    files = folder_of({"train": 3, "test": 3}) | {"test/red/0.png": broken}
    assert prepared(zipped(tmp_path / "d.zip", files)).findings.undecodable == 0


def test_images_of_other_sizes_are_resized_as_pillow_does_it(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    files = folder_of({"train": 3, "test": 3}) | {"test/blue/0.png": encoded(noise)}
    data = data_of(zipped(tmp_path / "d.zip", files), image_size=(20, 30))
    expected = np.asarray(Image.fromarray(noise).resize((30, 20), Image.Resampling.BILINEAR))
    assert np.array_equal(data.test.x[0].permute(1, 2, 0).numpy(), expected)


def test_examples_that_two_splits_share_are_counted(tmp_path: Path) -> None:
    files = folder_of({"train": 6, "val": 3, "test": 3})
    files["test/red/1.png"] = files["train/red/5.png"]
    files["test/blue/copy.png"] = files["train/blue/0.png"]
    files["val/red/0.png"] = files["test/red/2.png"]
    found = prepared(zipped(tmp_path / "d.zip", files)).findings
    assert found.duplicates == (Shared("train", "test", 2), Shared("validation", "test", 1))


def test_arrays_get_findings_too_and_a_sheet_only_if_they_are_images(tmp_path: Path) -> None:
    x = np.arange(40, dtype=np.float32).reshape(20, 2)
    y = np.arange(20) % 2
    np.savez(tmp_path / "d.npz", x_train=x, y_train=y, x_test=x[:3], y_test=y[:3])
    made = prepared(tmp_path / "d.npz", "npz", validation_share=0.2)
    assert made.contact_sheet is None
    assert sum(shared.count for shared in made.findings.duplicates) == 3
    assert (made.findings.sizes, made.input_size, made.classes) == (None, (2,), 2)
    data = load_data(made.path)
    assert (made.mean, made.std) == channel_stats(data.train)


def test_data_that_no_disk_here_would_hold_are_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match="more than"):
        reserve(tmp_path, MAX_BYTES + 1)
    with pytest.raises(DiskFull):
        reserve(tmp_path, MAX_BYTES, copies=2**30)


def test_a_contact_sheet_shows_up_to_eight_of_sixteen_classes(tmp_path: Path) -> None:
    colours = {f"class {n:02}": (100, 0, 10 * n) for n in range(20)}
    path = zipped(tmp_path / "d.zip", folder_of({"train": 10, "val": 1, "test": 1}, colours))
    made = prepared(path)
    assert made.contact_sheet is not None
    with Image.open(made.contact_sheet) as opened:
        sheet = opened.convert("RGB")
    pixels = np.asarray(sheet)
    background = tuple(pixels[0, 0].tolist())
    assert background == (255, 255, 255)
    shown = {tuple(c) for c in pixels.reshape(-1, 3).tolist()}
    blues = {n for n in range(20) for g in range(10) if (100, g, 10 * n) in shown}
    assert blues == set(range(16))
    assert len({c for c in shown if c[0] == 100 and c[2] == 0}) == 8
