"""Bytes that go up over connections that break."""

import hashlib
from base64 import b64encode
from pathlib import Path

import httpx2
import pytest

from service.client import Conflict
from service.client.upload import PART_BYTES, RESUMABLE_FROM_BYTES, Files
from tests.client.service_double import BODY, SHA256, WHEN, Answer, file, model, problem, serve


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


def upload_of_two_parts(*answers: Answer) -> tuple[Files, list[httpx2.Request]]:
    """A place for BODY in two parts, on a service that begins an upload and answers so."""
    begun = {"id": "upl_1", "object": "upload", "name": "b", "bytes": len(BODY), "offset": 0}
    begun |= {"sha256": SHA256, "created_at": WHEN}
    client, service = serve(httpx2.Response(201, json=begun), *answers)
    part_bytes = len(BODY) // 2
    http = client.files._http
    return Files(http, resumable_from_bytes=1, part_bytes=part_bytes), service.requests


def at(offset: int) -> httpx2.Response:
    return httpx2.Response(204, headers={"upload-offset": str(offset)})


def test_an_upload_outlives_a_service_that_restarts_or_is_busy(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(BODY)
    half = len(BODY) // 2
    files, requests = upload_of_two_parts(
        problem(503, "http_503"),
        at(0),
        problem(409, "upload_busy"),
        at(0),
        at(half),
        httpx2.Response(201, json=file("b", BODY)),
    )
    assert files.put(tmp_path / "b").sha256 == SHA256
    sent = [request.content for request in requests if request.method == "PATCH"]
    assert sent == [BODY[:half], BODY[:half], BODY[:half], BODY[half:]]


def test_an_upload_whose_last_answer_was_lost_is_found_among_the_files(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(BODY)
    files, _ = upload_of_two_parts(
        at(len(BODY) // 2),
        httpx2.ReadError("reset"),
        problem(404, "not_found"),
        httpx2.Response(
            200,
            json={
                "object": "list",
                "data": [file("a", BODY), file("b", BODY)],
                "has_more": False,
                "last_id": "b",
            },
        ),
    )
    assert files.put(tmp_path / "b").name == "b"


def test_an_upload_that_the_service_refuses_is_not_tried_again(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(BODY)
    files, requests = upload_of_two_parts(problem(409, "file_exists"))
    with pytest.raises(Conflict):
        files.put(tmp_path / "b")
    assert [request.method for request in requests] == ["POST", "PATCH"]


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
    with pytest.raises(ValueError, match=r"\.npz, \.zip"):
        client.datasets.register(tmp_path / "data.tar")
    assert service.requests == []
