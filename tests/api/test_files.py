"""Files, resumable uploads, and what is made of them."""

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.contract.job_errors import JobError
from service.store.datasets import DatasetStore
from service.store.models import ModelStore
from tests.api.conftest import Service

DATA = bytes(range(256)) * 400
MODEL: dict[str, Any] = {
    "file": "w.safetensors",
    "architecture": "cnn_student",
    "classes": 10,
    "input_size": [3, 32, 32],
}


def digest_of(data: bytes) -> dict[str, str]:
    encoded = base64.b64encode(hashlib.sha256(data).digest()).decode()
    return {"repr-digest": f"sha-256=:{encoded}:"}


def safetensors(header: dict[str, Any] | None = None, data: bytes = bytes(8)) -> bytes:
    """A file by the format's description: length, header, bytes."""
    header = header or {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def left_over(service: Service) -> list[Path]:
    folders = (service.settings.staging_dir, service.settings.uploads_dir)
    return [path for folder in folders if folder.exists() for path in folder.rglob("*")]


def put(http: TestClient, name: str, data: bytes) -> None:
    assert http.put(f"/v1/files/{name}", content=data).status_code == 201


def test_a_file_comes_back_as_it_was_sent_also_in_part(service: Service) -> None:
    http = service.http
    sent = http.put("/v1/files/a.bin", content=DATA, headers=digest_of(DATA))
    assert sent.status_code == 201
    assert sent.json()["sha256"] == hashlib.sha256(DATA).hexdigest()
    assert sent.json()["bytes"] == len(DATA)
    whole = http.get("/v1/files/a.bin")
    assert whole.content == DATA
    assert whole.headers["accept-ranges"] == "bytes"
    etag = whole.headers["etag"]
    assert etag == f'"{hashlib.sha256(DATA).hexdigest()}"'
    part = http.get("/v1/files/a.bin", headers={"range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, DATA[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(DATA)}"
    tail = http.get("/v1/files/a.bin", headers={"range": "bytes=-5"})
    assert tail.content == DATA[-5:]
    stale = http.get("/v1/files/a.bin", headers={"range": "bytes=0-1", "if-range": '"old"'})
    assert (stale.status_code, stale.content) == (200, DATA)
    assert http.get("/v1/files/a.bin", headers={"if-none-match": etag}).status_code == 304
    past = http.get("/v1/files/a.bin", headers={"range": f"bytes={len(DATA)}-"})
    assert past.status_code == 416
    assert past.headers["content-range"] == f"bytes */{len(DATA)}"
    head = http.head("/v1/files/a.bin")
    assert (head.content, head.headers["content-length"]) == (b"", str(len(DATA)))
    assert left_over(service) == []


def test_the_same_bytes_are_200_and_other_bytes_a_conflict(http: TestClient) -> None:
    put(http, "a.bin", DATA)
    assert http.put("/v1/files/a.bin", content=DATA).status_code == 200
    other = http.put("/v1/files/a.bin", content=b"other")
    assert (other.status_code, other.json()["code"]) == (409, "file_exists")
    assert http.delete("/v1/files/a.bin").status_code == 204
    assert http.put("/v1/files/a.bin", content=b"other").status_code == 201


def test_a_wrong_digest_leaves_nothing_behind(service: Service) -> None:
    answer = service.http.put("/v1/files/a.bin", content=DATA, headers=digest_of(b"else"))
    assert (answer.status_code, answer.json()["code"]) == (400, "digest_mismatch")
    assert service.http.get("/v1/files/a.bin").status_code == 404
    assert left_over(service) == []
    assert list(service.blobs.list()) == []


def test_a_file_needs_a_length_and_has_a_limit(service: Service) -> None:
    def chunks() -> Iterator[bytes]:
        yield DATA

    assert service.http.put("/v1/files/a.bin", content=chunks()).status_code == 411
    big = bytes(service.settings.max_upload_bytes + 1)
    assert service.http.put("/v1/files/a.bin", content=big).status_code == 413
    assert left_over(service) == []


def test_a_file_name_cannot_leave_its_folder(http: TestClient) -> None:
    for name in ("%2e%2e%2fetc%2fpasswd", "a%5Cb", "a%00b", "x" * 129):
        assert http.put(f"/v1/files/{name}", content=b"x").status_code in (400, 404, 415, 422)
    assert http.get("/v1/files").json()["data"] == []


def test_an_upload_goes_on_where_it_stopped(service: Service) -> None:
    http, sha256 = service.http, hashlib.sha256(DATA).hexdigest()
    made = http.post("/v1/uploads", json={"name": "b.bin", "bytes": len(DATA), "sha256": sha256})
    assert made.status_code == 201
    path = made.headers["location"]
    part = http.patch(path, content=DATA[:1000], headers={"upload-offset": "0"})
    assert (part.status_code, part.headers["upload-offset"]) == (200, "1000")
    wrong = http.patch(path, content=DATA, headers={"upload-offset": "0"})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "wrong_offset")
    assert wrong.headers["upload-offset"] == "1000"
    assert http.head(path).headers["upload-offset"] == "1000"
    more = http.patch(path, content=DATA, headers={"upload-offset": "1000"})
    assert more.status_code == 413
    last = http.patch(path, content=DATA[1000:], headers={"upload-offset": "1000"})
    assert (last.status_code, last.json()["sha256"]) == (201, sha256)
    assert http.get("/v1/files/b.bin").content == DATA
    assert http.head(path).status_code == 404
    assert left_over(service) == []


def test_an_upload_with_another_digest_than_announced_makes_no_file(service: Service) -> None:
    announced = {"name": "b.bin", "bytes": 4, "sha256": "0" * 64}
    path = service.http.post("/v1/uploads", json=announced).headers["location"]
    answer = service.http.patch(path, content=b"abcd", headers={"upload-offset": "0"})
    assert (answer.status_code, answer.json()["code"]) == (400, "digest_mismatch")
    assert service.http.get("/v1/files/b.bin").status_code == 404
    assert left_over(service) == []


def test_weights_are_registered_and_ready_once_a_worker_accepts_them(service: Service) -> None:
    put(service.http, "w.safetensors", safetensors())
    made = service.http.post("/v1/models", json=MODEL)
    assert (made.status_code, made.json()["status"]) == (202, "checking")
    assert made.headers["location"] == f"/v1/models/{made.json()['id']}"
    content = service.http.get(made.headers["location"] + "/content")
    assert content.status_code == 409
    train = {"kind": "train", "model": made.json()["id"], "dataset": "digits"}
    job = service.http.post("/v1/jobs", json=train).json()
    assert made.json()["id"] in job["waiting_for"]
    assert service.http.delete(made.headers["location"]).status_code == 409
    with service.database.transaction() as session:
        row = ModelStore(session).claim_check("wrk_" + "0" * 26, 60)
        assert row is not None
        error = JobError.of("invalid_model", "a tensor is missing")
        assert ModelStore(session).reject(row.id, row.check_run, error)
    seen = service.http.get(made.headers["location"]).json()
    assert (seen["status"], seen["error"]["code"]) == ("rejected", "invalid_model")
    failed = service.http.get(f"/v1/jobs/{job['id']}").json()
    assert failed["error"]["code"] == "dependency_failed"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"PK\x03\x04" + bytes(100), 422),
        (b"\x80\x02}q\x00." + bytes(100), 415),
        (b"short", 422),
        ((1 << 60).to_bytes(8, "little") + b"{}", 415),
        (safetensors()[:-1], 422),
        (safetensors() + b"x", 422),
        (safetensors({"w": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}), 422),
        (safetensors({"w": {"dtype": "Q4", "shape": [2], "data_offsets": [0, 8]}}), 422),
        (safetensors({"w": {"dtype": "F32", "shape": [10**30], "data_offsets": [0, 8]}}), 422),
        (safetensors({"w": {"dtype": ["F32"], "shape": [2], "data_offsets": [0, 8]}}), 422),
        (safetensors({"w": {"dtype": "F32", "shape": "22", "data_offsets": [0, 8]}}), 422),
        (safetensors({"w": {"dtype": "F32", "shape": [2], "data_offsets": 8}}), 422),
        (safetensors({"w": "none"}), 422),
        (safetensors({"__metadata__": {"a": "b"}}, b""), 422),
        ((100_000).to_bytes(8, "little") + b"[" * 100_000, 415),
    ],
)
def test_weights_that_headers_show_to_be_wrong_are_refused_at_once(
    http: TestClient, data: bytes, status: int
) -> None:
    put(http, "w.safetensors", data)
    answer = http.post("/v1/models", json=MODEL)
    assert answer.status_code == status
    assert http.get("/v1/models").json()["data"] == []


def test_a_duplicate_tensor_name_is_refused(http: TestClient) -> None:
    entry = b'"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}'
    header = b"{" + entry + b"," + entry + b"}"
    put(http, "w.safetensors", len(header).to_bytes(8, "little") + header + b"x")
    assert http.post("/v1/models", json=MODEL).status_code == 422


def test_a_model_of_a_file_that_was_not_uploaded_is_refused(http: TestClient) -> None:
    answer = http.post("/v1/models", json=MODEL)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/file")


def test_a_models_folder_is_a_zip_that_any_range_can_be_had_of(service: Service) -> None:
    path = f"/v1/models/{service.add_model()}/content"
    whole = service.http.get(path)
    assert whole.status_code == 200
    with zipfile.ZipFile(io.BytesIO(whole.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["README.md", "config.json", "model.safetensors"]
        assert archive.read("model.safetensors") == bytes(range(256)) * 8192
        assert all(m.compress_type == zipfile.ZIP_STORED for m in archive.infolist())
    size = len(whole.content)
    for start, end in ((0, 10), (20, 90), (100, 1_100_000), (size - 300, size)):
        headers = {"range": f"bytes={start}-{end - 1}", "if-range": whole.headers["etag"]}
        part = service.http.get(path, headers=headers)
        assert (part.status_code, part.content) == (206, whole.content[start:end])
    weights = service.http.get(path, params={"format": "safetensors"})
    assert weights.content == bytes(range(256)) * 8192
    other = service.http.get(path, params={"format": "onnx"})
    assert (other.status_code, other.json()["code"]) == (404, "format_not_available")


def test_a_dataset_waits_for_its_check(service: Service) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("train/cat/1.png", b"x")
    put(service.http, "d.zip", buffer.getvalue())
    made = service.http.post("/v1/datasets", json={"file": "d.zip", "format": "image_zip"})
    assert (made.status_code, made.json()["status"]) == (202, "checking")
    assert made.json()["classes"] is None
    with service.database.transaction() as session:
        assert DatasetStore(session).unchecked()
    assert service.http.get("/v1/datasets").json()["data"][0]["id"] == made.json()["id"]
    assert service.http.delete(made.headers["location"]).status_code == 204


@pytest.mark.parametrize("data", [b"no zip at all", b"PK\x03\x04 cut off", b"PK\x05\x06"])
def test_a_dataset_that_is_no_archive_is_refused_at_once(http: TestClient, data: bytes) -> None:
    put(http, "d.npz", data)
    answer = http.post("/v1/datasets", json={"file": "d.npz", "format": "npz"})
    assert answer.status_code in (415, 422)
    assert http.get("/v1/datasets").json()["data"] == []
