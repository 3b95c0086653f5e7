"""Folders of data: what they are is seen from the files, and they go up as one."""

import io
import zipfile
from pathlib import Path
from typing import Any

import httpx2
import pytest

from service.client.data_folder import format_of, zip_data
from tests.client.service_double import WHEN, file, serve

DATASET = "dst_01JD8Z6Q5T3V9X7B2C4D6F8G0H"


def dataset(**fields: Any) -> dict[str, Any]:
    """A dataset as the service shows it."""
    empty = dict.fromkeys(
        ("classes", "input_size", "labels", "splits", "class_counts", "normalisation", "digest",
         "bytes", "error")
    )  # fmt: skip
    shown = {"id": DATASET, "object": "dataset", "name": "x", "status": "ready", "created_at": WHEN}
    return {**shown, "format": "image_zip", **empty, **fields}


def tree(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


@pytest.mark.parametrize(
    ("names", "form"),
    [
        (["train/cat/1.png", "test/cat/2.JPG"], "image_zip"),
        (["pictures/1.png", "table.csv"], "csv_zip"),
        (["train/1.png", "train/metadata.jsonl"], "csv_zip"),
        (["data/train-00000.parquet", "README.md"], "parquet"),
    ],
)
def test_a_folder_and_a_zip_of_it_are_known_by_what_is_in_them(
    tmp_path: Path, names: list[str], form: str
) -> None:
    assert format_of(tree(tmp_path / "data", *names)) == form
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    assert format_of(tmp_path / "data.zip") == form


def test_a_folder_is_zipped_to_the_same_bytes_without_what_is_not_data(tmp_path: Path) -> None:
    folder = tree(
        tmp_path / "data", "b/2.png", "a/1.jpeg", "notes.txt", ".git/x.png", "a/.hidden.png"
    )
    first = zip_data(folder, "image_zip", tmp_path / "1.zip").read_bytes()
    (folder / "a/1.jpeg").touch()
    assert zip_data(folder, "image_zip", tmp_path / "2.zip").read_bytes() == first
    with zipfile.ZipFile(tmp_path / "1.zip") as archive:
        assert archive.namelist() == ["a/1.jpeg", "b/2.png"]
        assert archive.read("b/2.png") == b"b/2.png"


def test_a_folder_without_data_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    client, service = serve()
    with pytest.raises(ValueError, match="holds nothing"):
        client.datasets.register(tree(tmp_path / "data", "notes.txt"))
    assert service.requests == []


def test_a_folder_goes_up_as_one_zip_and_is_registered_under_its_name(tmp_path: Path) -> None:
    folder = tree(tmp_path / "pets", "cat/1.png", "dog/1.png")
    client, service = serve(
        httpx2.Response(201, json=file("f.zip", b"")), httpx2.Response(201, json=dataset())
    )
    client.datasets.register(folder, undecodable_share=0.5)
    with zipfile.ZipFile(io.BytesIO(service.requests[0].content)) as archive:
        assert archive.namelist() == ["cat/1.png", "dog/1.png"]
    assert service.requests[0].url.path.endswith("-pets.zip")
    assert service.sent() == {
        "file": "f.zip", "format": "image_zip", "name": "pets", "undecodable_share": 0.5
    }  # fmt: skip


def test_a_file_of_a_source_is_registered_without_an_upload(tmp_path: Path) -> None:
    sheet = httpx2.Response(200, content=b"png", headers={"etag": '"x"', "content-length": "3"})
    client, service = serve(httpx2.Response(201, json=dataset(contact_sheet=True)), sheet)
    made = client.datasets.register_source("photos", "a/b.zip", format="image_zip")
    assert service.sent() == {"source": "photos", "path": "a/b.zip", "format": "image_zip"}
    assert made.contact_sheet(tmp_path / "sheet.png").read_bytes() == b"png"
    assert service.requests[1].url.path == f"/v1/datasets/{DATASET}/contact-sheet"
