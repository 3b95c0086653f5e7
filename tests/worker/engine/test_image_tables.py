"""Images that a table describes: CSV and JSON lines in a zip, and parquet."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.worker.engine.image_files import folder_of, parquet, png, zipped
from tests.worker.engine.test_image_data import data_of, prepared
from worker.engine.data.canonical import load_data
from worker.engine.errors import InvalidDataset

SHADES = [png((n, 0, 0)) for n in range(40)]
CLASSES = [n % 2 for n in range(40)]


def shades(x: Any) -> list[int]:
    """Which of SHADES the images are."""
    return sorted(x[:, 0, 0, 0].tolist())


def test_a_csv_says_which_images_there_are_and_what_they_show(tmp_path: Path) -> None:
    lines = ["path,label,split"]
    files: dict[str, bytes | str] = {"unused.png": SHADES[39]}
    for n, shade in enumerate(SHADES[:12]):
        files[f"pictures/{n}.png"] = shade
        split = ("train", "val", "test")[n // 4]
        lines.append(f'pictures/{n}.png,"{("pear", "apple, green")[n % 2]}",{split}')
    files["table.csv"] = "\ufeff" + "\r\n".join(lines)
    data = data_of(zipped(tmp_path / "d.zip", files), format="csv_zip")
    assert data.labels == ("apple, green", "pear")
    assert shades(data.train.x) == [0, 1, 2, 3]
    assert data.validation.x[:, 0, 0, 0].tolist() == [4, 5, 6, 7]
    assert data.validation.y.tolist() == [1, 0, 1, 0]


def test_hugging_face_metadata_in_each_folder_tells_the_labels(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {}
    for at, split in enumerate(("train", "validation", "test")):
        rows = []
        for n in range(4):
            files[f"{split}/{n}.png"] = SHADES[4 * at + n]
            rows.append(json.dumps({"file_name": f"{n}.png", "label": n % 3}))
        files[f"{split}/metadata.jsonl"] = "\n".join(rows)
    data = data_of(zipped(tmp_path / "d.zip", files), format="csv_zip")
    assert (data.labels, data.classes) == (None, 3)
    assert shades(data.test.x) == [8, 9, 10, 11]
    assert data.test.y.tolist() == [0, 1, 2, 0]


def test_a_csv_without_splits_is_split_by_seed(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {f"{n}.png": shade for n, shade in enumerate(SHADES)}
    files["a.csv"] = "file_name,label\n" + "\n".join(f"{n}.png,{n % 2}" for n in range(40))
    data = data_of(zipped(tmp_path / "d.zip", files), format="csv_zip", validation_share=0.25)
    assert [len(s) for s in (data.train, data.validation, data.test)] == [24, 8, 8]
    assert data.test.y.bincount().tolist() == [4, 4]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("path,label\nno.png,1", "of the zip"),
        ("path,label\n../a.png,1", "of the zip"),
        ("path,label\n/etc/passwd,1", "of the zip"),
        ("path,label\na.csv,1", "of the zip"),
        ("path,label\na.png,1\na.png,2", "twice"),
        ("name,label\na.png,1", "no path"),
        ("path,klass\na.png,1", "no path or no label"),
        ("path,label\na.png,", "no label"),
        ("path,label,split\na.png,1,holdout", "names the split"),
        ("path,label\na.png,99999999999999999999", "nine digits"),
        ("path,label\na.png,999999", "labels must be"),
        ('path,label\n"a.png,1', "cannot be read"),
        ("path,path\na.png,1", "twice"),
        ("path," + ",".join(map(str, range(99))) + "\n", "columns"),
        (b"path,label\na\xff.png,1", "cannot be read"),
    ],
)
def test_a_wrong_table_is_refused_in_words(tmp_path: Path, table: str | bytes, words: str) -> None:
    path = zipped(tmp_path / "d.zip", {"a.png": SHADES[0], "a.csv": table})
    with pytest.raises(InvalidDataset, match=words):
        prepared(path, "csv_zip")


@pytest.mark.parametrize("line", ["[1]", "{", '{"file_name": 1, "label": 1}', "[" * 100_000])
def test_a_line_that_is_no_object_of_path_and_label_is_refused(tmp_path: Path, line: str) -> None:
    path = zipped(tmp_path / "d.zip", {"a.png": SHADES[0], "metadata.jsonl": line})
    with pytest.raises(InvalidDataset):
        prepared(path, "csv_zip")


def test_parquet_as_hugging_face_writes_it_keeps_the_names_of_classes(tmp_path: Path) -> None:
    splits = {"train": (0, 20), "validation": (20, 30), "test": (30, 40)}
    files = {
        f"data/{split}-00000-of-00001.parquet": parquet(
            tmp_path / split, SHADES[a:b], CLASSES[a:b], names=["cat", "dog", "cow"]
        ).read_bytes()
        for split, (a, b) in splits.items()
    }
    made = prepared(zipped(tmp_path / "d.zip", files), "parquet")
    data = load_data(made.path)
    assert made.labels == ("cat", "dog", "cow")
    assert made.counts == {"train": (10, 10, 0), "validation": (5, 5, 0), "test": (5, 5, 0)}
    assert data.train.x[:, 0, 0, 0].tolist() == list(range(20))
    assert data.test.y.tolist() == CLASSES[30:40]


def test_one_parquet_file_is_split_by_its_column_or_by_seed(tmp_path: Path) -> None:
    words = [("train", "val", "train", "test")[n % 4] for n in range(40)]
    names = [("dog", "cat")[label] for label in CLASSES]
    data = data_of(parquet(tmp_path / "d", SHADES, names, split=words), format="parquet")
    assert data.labels == ("cat", "dog")
    assert data.test.x[:, 0, 0, 0].tolist() == list(range(3, 40, 4))
    data = data_of(parquet(tmp_path / "d", SHADES, CLASSES), format="parquet")
    assert [len(s) for s in (data.train, data.validation, data.test)] == [28, 4, 8]


def test_a_column_of_plain_bytes_is_a_column_of_images(tmp_path: Path) -> None:
    pq.write_table(pa.table({"img": SHADES, "labels": CLASSES}), tmp_path / "d")
    assert len(data_of(tmp_path / "d", format="parquet").test) == 8


def test_rows_without_an_image_are_undecodable_and_named(tmp_path: Path) -> None:
    images = [*SHADES[:38], None, {"bytes": None, "path": "elsewhere.png"}]
    path = parquet(tmp_path / "d", images, CLASSES)
    found = prepared(path, "parquet", undecodable_share=0.1).findings
    assert found.undecodable_names == ("row 38", "elsewhere.png")
    with pytest.raises(InvalidDataset, match="row 38"):
        prepared(path, "parquet")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"label": CLASSES}, "no image or no label"),
        ({"image": SHADES}, "no image or no label"),
        ({"image": CLASSES, "label": CLASSES}, "encoded images"),
        ({"image": SHADES, "label": [0.5] * 40}, "numbers or words"),
        ({"image": SHADES, "label": [None, *CLASSES[1:]]}, "without label"),
        ({"image": SHADES, "label": [-1] * 40}, "labels must be"),
        ({"image": SHADES, "label": CLASSES, "split": ["holdout"] * 40}, "no split"),
        ({"image": [b"x"] * 40, "label": CLASSES}, "no image can be read"),
        ({f"c{n}": [0] for n in range(300)}, "columns"),
    ],
)
def test_a_wrong_parquet_file_is_refused_in_words(
    tmp_path: Path, columns: dict[str, Any], words: str
) -> None:
    pq.write_table(pa.table(columns), tmp_path / "d")
    with pytest.raises(InvalidDataset, match=words):
        prepared(tmp_path / "d", "parquet")


def test_a_parquet_file_that_repeats_a_long_image_for_ever_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).bytes(1 << 20)
    indices = pa.array(np.zeros(4000, np.int32))
    image = pa.DictionaryArray.from_arrays(indices, pa.array([noise], pa.binary()))
    table = pa.table({"image": image, "label": [0] * 4000})
    pq.write_table(table, tmp_path / "d", store_schema=False)
    assert (tmp_path / "d").stat().st_size < 2 << 20
    with pytest.raises(InvalidDataset, match="times its size"):
        prepared(tmp_path / "d", "parquet")


def test_tables_without_rows_are_refused(tmp_path: Path) -> None:
    zipped(tmp_path / "t", {"a.csv": "path,label\n", "a.png": SHADES[0]})
    pq.write_table(
        pa.table({"image": pa.array([], pa.binary()), "label": pa.array([], pa.int64())}),
        tmp_path / "p",
    )
    for name, form in (("t", "csv_zip"), ("p", "parquet")):
        with pytest.raises(InvalidDataset, match="no images"):
            prepared(tmp_path / name, form)  # type: ignore[arg-type]


def test_a_member_that_lies_behind_the_end_of_the_zip_is_undecodable(tmp_path: Path) -> None:
    path = zipped(tmp_path / "d.zip", dict(folder_of({"train": 4, "test": 3})))
    raw = bytearray(path.read_bytes())
    entry = raw.rindex(b"PK\x01\x02")
    raw[entry + 42 : entry + 46] = (2**31).to_bytes(4, "little")  # where its bytes begin
    path.write_bytes(raw)
    assert prepared(path, undecodable_share=0.1).findings.undecodable == 1


@pytest.mark.parametrize("format", ["image_zip", "csv_zip", "parquet"])
def test_files_cut_short_or_with_a_flipped_bit_are_read_or_refused(
    tmp_path: Path,
    format: str,  # noqa: A002
) -> None:
    files: dict[str, bytes | str] = dict(folder_of({"train": 4, "test": 3}))
    if format == "csv_zip":
        files["t.csv"] = "path,label\n" + "\n".join(f"{f},{f.split('/')[1]}" for f in files)
    whole = (
        parquet(tmp_path / "p", SHADES, CLASSES)
        if format == "parquet"
        else zipped(tmp_path / "z", files)
    ).read_bytes()
    draw = np.random.default_rng(0)
    refused = 0
    for trial in range(60):
        changed = bytearray(whole)
        if trial % 2:
            changed[int(draw.integers(len(whole)))] ^= 1 << int(draw.integers(8))
        else:
            del changed[int(draw.integers(len(whole))) :]
        (tmp_path / "d").write_bytes(changed)
        try:
            prepared(tmp_path / "d", format)  # type: ignore[arg-type]
        except InvalidDataset:
            refused += 1
    assert refused >= 30  # every one that was cut
