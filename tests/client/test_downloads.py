"""Bytes that come down over connections that break."""

import io
import zipfile
from pathlib import Path
from typing import Any

import httpx2
import pytest

from service.client import DigestMismatch, Unreachable, UnsafeArchive
from tests.client.service_double import (
    BODY,
    JOB,
    MODEL,
    SHA256,
    WHEN,
    Answer,
    Broken,
    job,
    model,
    page,
    serve,
)


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


def test_a_folder_that_arrives_damaged_replaces_nothing(tmp_path: Path) -> None:
    good = zipped({"model.safetensors": BODY})
    damaged = httpx2.Response(200, content=good.content.replace(BODY[:64], bytes(64), 1))
    client, _ = serve(httpx2.Response(200, json=model()), damaged)
    target = tmp_path / "student"
    target.mkdir()
    (target / "model.safetensors").write_bytes(b"what was here before")
    with pytest.raises(DigestMismatch, match="again"):
        client.models.get(MODEL).download(target)
    assert (target / "model.safetensors").read_bytes() == b"what was here before"


def test_a_compressed_folder_is_refused(tmp_path: Path) -> None:
    bomb = zipped({"model.safetensors": bytes(1 << 20)}, zipfile.ZIP_DEFLATED)
    client, _ = serve(httpx2.Response(200, json=model()), bomb)
    with pytest.raises(UnsafeArchive):
        client.models.get(MODEL).download(tmp_path / "student")
