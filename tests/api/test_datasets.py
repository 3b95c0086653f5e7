"""Registering data: uploads of each format, and files of declared sources."""

import io
import struct
import zipfile
from typing import Any

import pytest

from service.contract.base import CheckStatus
from service.contract.job_errors import JobError
from service.store.datasets import DatasetStore
from service.store.values import AcceptedDataset
from tests.api.conftest import Service

FINDINGS = {"image_sizes": None, "duplicates": [], "undecodable": 1, "undecodable_names": ["a.png"]}


def register(service: Service, **body: Any) -> Any:
    return service.http.post("/v1/datasets", json={"format": "image_zip", **body})


def uploaded(service: Service, content: bytes, name: str = "data") -> str:
    assert service.http.put(f"/v1/files/{name}", content=content).status_code == 201
    return name


def a_zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/b.npy", b"x")
    return file.getvalue()


def a_parquet(footer: int = 4, tail: bytes = b"PAR1") -> bytes:
    return b"PAR1" + b"\0" * 4 + struct.pack("<I", footer) + tail


def settle(service: Service, dataset: str, status: CheckStatus, sheet: str | None = None) -> None:
    """What a worker's intake would do."""
    with service.database.transaction() as session:
        store = DatasetStore(session)
        row = store.claim_check("wrk_" + "0" * 26, 60.0)
        assert row is not None
        assert row.id == dataset
        if status == "rejected":
            error = JobError.of("source_not_found", "the source has no file 'x.zip'")
            store.reject(row.id, row.check_run, error)
        else:
            splits = {"train": 2, "validation": 1, "test": 1}
            found = AcceptedDataset(
                classes=1,
                input_size=(3, 8, 8),
                labels=("cat",),
                splits=splits,
                class_counts={name: (count,) for name, count in splits.items()},
                normalisation={"mean": [0.5] * 3, "std": [0.2] * 3},
                findings=FINDINGS,
                contact_sheet_sha256=sheet,
                digest="0" * 64,
                sha256="1" * 64,
                bytes=9,
            )
            store.accept(row.id, row.check_run, found)


@pytest.mark.parametrize("format_name", ["npz", "image_zip", "csv_zip", "parquet"])
def test_a_zip_may_be_any_of_the_formats(service: Service, format_name: str) -> None:
    answer = register(service, file=uploaded(service, a_zip()), format=format_name)
    assert answer.status_code == 202
    shown = answer.json()
    assert (shown["status"], shown["format"]) == ("checking", format_name)
    assert (shown["source"], shown["path"], shown["contact_sheet"]) == (None, None, False)


@pytest.mark.parametrize(
    ("content", "format_name", "code"),
    [
        (a_parquet(), "parquet", None),
        (a_parquet(), "image_zip", "unsupported_dataset_file"),
        (b"\x89HDF\r\n", "parquet", "unsupported_dataset_file"),
        (a_parquet(tail=b"PAR0"), "parquet", "invalid_dataset"),
        (a_parquet(footer=5), "parquet", "invalid_dataset"),
        (b"PAR1", "parquet", "invalid_dataset"),
        (a_zip()[:40], "parquet", "invalid_dataset"),
        (a_zip()[:40], "csv_zip", "invalid_dataset"),
    ],
)
def test_what_the_head_of_a_file_shows_is_refused_at_once(
    service: Service, content: bytes, format_name: str, code: str | None
) -> None:
    answer = register(service, file=uploaded(service, content), format=format_name)
    if code is None:
        assert answer.status_code == 202
    else:
        assert answer.status_code in (415, 422)
        assert answer.json()["code"] == code


def test_a_file_of_a_source_is_registered_at_once_and_fetched_by_a_worker(service: Service) -> None:
    answer = register(service, source="photos", path="2024/flowers.zip")
    assert answer.status_code == 202
    shown = answer.json()
    assert (shown["source"], shown["path"]) == ("photos", "2024/flowers.zip")
    assert (shown["name"], shown["status"]) == ("flowers", "checking")
    settle(service, shown["id"], "rejected")
    shown = service.http.get(f"/v1/datasets/{shown['id']}").json()
    assert shown["status"] == "rejected"
    assert shown["error"]["code"] == "source_not_found"


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({"source": "other", "path": "x.zip"}, "unknown_source", "#/source"),
        ({"source": "photos", "path": "../x.zip"}, "bad_source_path", "#/path"),
        ({"source": "photos", "path": "/etc/passwd"}, "bad_source_path", "#/path"),
        ({"source": "photos", "path": "a\u0000b"}, None, None),
        ({"source": "file:///etc", "path": "passwd"}, "invalid", "#/source"),
        ({"source": "photos"}, "impossible_combination", None),
        ({"source": "photos", "path": "x.zip", "file": "data"}, "impossible_combination", None),
        ({}, "impossible_combination", None),
    ],
)
def test_an_origin_that_cannot_be_is_refused(
    service: Service, body: dict[str, Any], code: str | None, pointer: str | None
) -> None:
    answer = register(service, **body)
    assert answer.status_code in (400, 422)
    if code is not None:
        assert answer.json()["code"] == code
    if pointer is not None:
        assert [item["pointer"] for item in answer.json()["errors"]] == [pointer]


def test_findings_and_the_contact_sheet_are_shown_once_there_are_some(service: Service) -> None:
    dataset = register(service, file=uploaded(service, a_zip())).json()["id"]
    path = f"/v1/datasets/{dataset}/contact-sheet"
    assert service.http.get(path).status_code == 404
    sheet = service.blobs.put_bytes(b"\x89PNG picture")
    settle(service, dataset, "ready", sheet.sha256)
    shown = service.http.get(f"/v1/datasets/{dataset}").json()
    assert shown["findings"] == FINDINGS
    assert shown["contact_sheet"] is True
    answer = service.http.get(path)
    assert (answer.status_code, answer.content) == (200, b"\x89PNG picture")
    assert answer.headers["content-type"] == "image/png"
    assert service.http.head(path).headers["content-length"] == "12"
    assert service.http.get(path, headers=service.key_for("other")).status_code == 404


def test_a_long_check_keeps_its_lease_and_one_that_lost_it_does_not(service: Service) -> None:
    dataset = register(service, file=uploaded(service, a_zip())).json()["id"]
    with service.database.transaction() as session:
        store = DatasetStore(session)
        first = store.claim_check("wrk_" + "0" * 26, 0.0)
        assert first is not None
        run = first.check_run
        assert store.extend_check(dataset, run, 600.0)
        assert store.claim_check("wrk_" + "1" * 26, 60.0) is None
        assert not store.extend_check(dataset, run - 1, 600.0)
