"""Bytes that go up and come down over connections that break."""

import hashlib
import io
import zipfile
from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx2
import pytest

from service.client import DigestMismatch, Unreachable, UnsafeArchive
from service.client.upload import PART_BYTES, RESUMABLE_FROM_BYTES
from tests.client.service_double import JOB, MODEL, Answer, Broken, job, page, problem, serve

BODY = bytes(range(256)) * 40
SHA256 = hashlib.sha256(BODY).hexdigest()
WHEN = "2026-01-02T03:04:05Z"


def artifact(sha256: str = SHA256) -> dict[str, Any]:
    return {
        "id": "art_1",
        "object": "artifact",
        "job": JOB,
        "name": "report.html",
        "kind": "report",
        "media_type": "text/html",
        "bytes": len(BODY),
        "sha256": sha256,
        "created_at": WHEN,
    }


def model(**fields: Any) -> dict[str, Any]:
    return {
        "id": MODEL,
        "object": "model",
        "name": "student",
        "status": "ready",
        "form": "weights",
        "architecture": "mlp",
        "options": {},
        "classes": 10,
        "input_size": [3, 32, 32],
        "normalisation": {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]},
        "labels": None,
        "parameters": 1,
        "macs": 1,
        "size_bytes": len(BODY),
        "sha256": SHA256,
        "metrics": {},
        "parent": None,
        "job": None,
        "error": None,
        "created_at": WHEN,
        **fields,
    }


def file(name: str, body: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(body).hexdigest()
    return {
        "object": "file",
        "name": name,
        "bytes": len(body),
        "sha256": digest,
        "created_at": WHEN,
    }


def part(start: int, *, etag: str = '"a"') -> httpx2.Response:
    return httpx2.Response(206, content=BODY[start:], headers={"etag": etag})


def fetch(target: Path, *answers: Answer, sha256: str = SHA256) -> list[httpx2.Request]:
    """Download the one artifact of a job; the requests for its bytes."""
    client, service = serve(
        httpx2.Response(200, json=job("succeeded")), page(artifact(sha256)), *answers
    )
    (made,) = client.jobs.get(JOB).artifacts()
    made.download(target)
    return service.requests[2:]


def test_a_broken_download_goes_on_where_it_broke(tmp_path: Path) -> None:
    broken = httpx2.Response(200, stream=Broken(BODY[:1000]), headers={"etag": '"a"'})
    requests = fetch(tmp_path / "r", broken, part(1000))
    assert (tmp_path / "r").read_bytes() == BODY
    assert requests[1].headers["range"] == "bytes=1000-"
    assert requests[1].headers["if-range"] == '"a"'


def test_a_download_that_changed_under_us_starts_again(tmp_path: Path) -> None:
    broken = httpx2.Response(200, stream=Broken(b"old bytes"), headers={"etag": '"old"'})
    whole = httpx2.Response(200, content=BODY, headers={"etag": '"a"'})
    fetch(tmp_path / "r", broken, whole)
    assert (tmp_path / "r").read_bytes() == BODY


def test_bytes_other_than_promised_are_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "r").write_bytes(b"what was here before")
    with pytest.raises(DigestMismatch):
        fetch(tmp_path / "r", httpx2.Response(200, content=BODY), sha256="0" * 64)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [
        ("r", b"what was here before")
    ]


def test_a_download_that_never_ends_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        fetch(tmp_path / "r", *[httpx2.ReadError("reset")] * 4)
    assert list(tmp_path.iterdir()) == []


def test_an_artifact_goes_into_a_folder_under_its_own_name(tmp_path: Path) -> None:
    fetch(tmp_path, httpx2.Response(200, content=BODY))
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> httpx2.Response:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return httpx2.Response(200, content=buffer.getvalue())


def test_a_model_folder_is_unpacked(tmp_path: Path) -> None:
    members = {"config.json": b"{}", "model.safetensors": BODY}
    client, service = serve(httpx2.Response(200, json=model()), zipped(members))
    folder = client.models.get(MODEL).download(tmp_path / "student")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == members
    assert service.requests[-1].url.params["format"] == "folder"


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside", "..\\outside"])
def test_a_folder_with_a_member_outside_is_refused_whole(tmp_path: Path, name: str) -> None:
    answer = zipped({"config.json": b"{}", name: b"gotcha"})
    client, _ = serve(httpx2.Response(200, json=model()), answer)
    with pytest.raises(UnsafeArchive):
        client.models.get(MODEL).download(tmp_path / "student")
    assert [path.name for path in tmp_path.rglob("*")] == ["student"]


def test_a_compressed_folder_is_refused(tmp_path: Path) -> None:
    bomb = zipped({"model.safetensors": bytes(1 << 20)}, zipfile.ZIP_DEFLATED)
    client, _ = serve(httpx2.Response(200, json=model()), bomb)
    with pytest.raises(UnsafeArchive):
        client.models.get(MODEL).download(tmp_path / "student")


def test_a_file_goes_up_with_its_length_and_digest_and_again_when_it_broke(tmp_path: Path) -> None:
    path = tmp_path / "a b.npz"
    path.write_bytes(BODY)
    stored = httpx2.Response(201, json=file("a b.npz", BODY))
    client, service = serve(httpx2.WriteError("reset"), stored)
    assert client.files.put(path).sha256 == SHA256
    for request in service.requests:
        assert request.method == "PUT"
        assert request.url.raw_path == b"/v1/files/a%20b.npz"
        assert request.content == BODY
        assert request.headers["content-length"] == str(len(BODY))
        digest = b64encode(hashlib.sha256(BODY).digest()).decode()
        assert request.headers["repr-digest"] == f"sha-256=:{digest}:"


def test_a_big_file_goes_up_in_parts_from_wherever_the_service_is(tmp_path: Path) -> None:
    size = RESUMABLE_FROM_BYTES
    path = tmp_path / "big.npz"
    with path.open("wb") as sparse:
        sparse.truncate(size)
    upload = {
        "id": "upl_1",
        "object": "upload",
        "name": "big.npz",
        "bytes": size,
        "offset": 0,
        "sha256": None,
        "created_at": WHEN,
    }
    half = PART_BYTES // 2

    def took_a_part(request: httpx2.Request) -> httpx2.Response:
        end = int(request.headers["upload-offset"]) + len(request.content)
        if end < size:
            return httpx2.Response(204, headers={"upload-offset": str(end)})
        return httpx2.Response(201, json=file("big.npz", b""))

    client, service = serve(
        httpx2.Response(201, json=upload),
        took_a_part,
        httpx2.WriteError("reset"),
        httpx2.Response(204, headers={"upload-offset": str(PART_BYTES + half)}),
        problem(409, "wrong_offset"),
        httpx2.Response(204, headers={"upload-offset": str(PART_BYTES)}),
        took_a_part,
        took_a_part,
        took_a_part,
    )
    assert client.files.put(path).name == "big.npz"
    starts = [
        int(request.headers["upload-offset"]) // half
        for request in service.requests
        if request.method == "PATCH"
    ]
    assert starts == [0, 2, 3, 2, 4, 6]


def test_registering_uploads_and_waits_for_the_check(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(BODY)
    client, service = serve(
        httpx2.Response(201, json=file("weights.safetensors", BODY)),
        httpx2.Response(202, json=model(status="checking")),
        httpx2.Response(200, json=model(status="checking")),
        httpx2.Response(200, json=model(status="ready")),
    )
    made = client.models.register(
        path, architecture="mlp", classes=10, input_size=(3, 32, 32), mean=[0.5], std=[0.5]
    )
    assert made.data.status == "ready"
    assert service.sent(1) == {
        "file": "weights.safetensors",
        "name": "weights",
        "architecture": "mlp",
        "classes": 10,
        "input_size": [3, 32, 32],
        "normalisation": {"mean": [0.5], "std": [0.5]},
    }


def test_a_dataset_of_unknown_format_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    client, service = serve()
    with pytest.raises(ValueError, match=r"\.npz or \.zip"):
        client.datasets.register(tmp_path / "data.tar")
    assert service.requests == []
