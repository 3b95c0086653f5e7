"""Files to the service: one stream, or in parts that survive broken connections."""

import hashlib
import io
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import quote

from service.client.download import OnBytes, download
from service.client.errors import ClientError, Conflict, NotFound, Unavailable, Unreachable
from service.client.http import Http, read_as
from service.client.progress import chosen
from service.client.retry import Tries
from service.contract.wire import FileRead, Page, UploadCreate, UploadRead

PART_BYTES: Final = 16 << 20
RESUMABLE_FROM_BYTES: Final = 64 << 20
"""From this size on a file goes in parts: what a broken connection costs is then bounded."""


class Files:
    """Uploaded files: what models and datasets are registered from."""

    def __init__(
        self,
        http: Http,
        *,
        resumable_from_bytes: int = RESUMABLE_FROM_BYTES,
        part_bytes: int = PART_BYTES,
    ) -> None:
        self._http = http
        self._resumable_from_bytes = resumable_from_bytes
        self._part_bytes = part_bytes

    def put(
        self,
        path: str | Path,
        name: str | None = None,
        *,
        progress: bool = False,
        on_bytes: OnBytes | None = None,
    ) -> FileRead:
        """Upload a file under `name`, by default its own. The same bytes again change nothing.

        Memory use is flat. The service checks the SHA-256 before the file appears. Raises
        `Conflict` if the name is taken by other bytes.
        """
        path = Path(path)
        on_bytes = chosen(on_bytes, progress, path.name)
        return self._put(path, name or path.name, _sha256(path), on_bytes)

    def put_by_content(self, path: Path, *, on_bytes: OnBytes | None = None) -> FileRead:
        """Upload a file under a name that no other bytes can have taken."""
        digest = _sha256(path)
        return self._put(path, f"{digest.hex()[:16]}-{path.name[-100:]}", digest, on_bytes)

    def _put(self, path: Path, name: str, digest: bytes, on_bytes: OnBytes | None) -> FileRead:
        if path.stat().st_size >= self._resumable_from_bytes:
            return self._put_in_parts(path, name, digest, on_bytes)
        response = self._http.request(
            "PUT",
            f"/v1/files/{quote(name, safe='')}",
            body=lambda: path.open("rb") if on_bytes is None else _counted(path, on_bytes),
            headers={
                "content-type": "application/octet-stream",
                "repr-digest": f"sha-256=:{b64encode(digest).decode()}:",
            },
        )
        return read_as(FileRead, response)

    def list(self) -> Iterator[FileRead]:
        """Files, by name, fetched as they are reached."""
        return self._http.pages(Page[FileRead], "/v1/files", {"limit": 100})

    def download(
        self,
        file: FileRead,
        path: str | Path,
        *,
        progress: bool = False,
        on_bytes: OnBytes | None = None,
    ) -> Path:
        """Write it to `path` as it came, its SHA-256 checked; a folder takes it under its name."""
        target = Path(path)
        if target.is_dir():
            target /= Path(file.name).name
        return download(
            self._http,
            f"/v1/files/{quote(file.name, safe='')}",
            target,
            sha256=file.sha256,
            on_bytes=chosen(on_bytes, progress, file.name),
        )

    def delete(self, name: str) -> None:
        """Delete an uploaded file. Models and datasets made from it stay."""
        self._http.request("DELETE", f"/v1/files/{quote(name, safe='')}")

    def _put_in_parts(
        self, path: Path, name: str, digest: bytes, on_bytes: OnBytes | None
    ) -> FileRead:
        size = path.stat().st_size
        announced = UploadCreate(name=name, bytes=size, sha256=digest.hex())
        response = self._http.request(
            "POST",
            "/v1/uploads",
            json=announced.model_dump(mode="json"),
            repeatable=True,  # a second announcement only lapses
        )
        upload = f"/v1/uploads/{read_as(UploadRead, response).id}"
        tries = Tries(self._http.retry)
        offset = 0
        while True:
            part = _Part(path, offset, min(self._part_bytes, size - offset))
            try:
                response = self._http.request(
                    "PATCH",
                    upload,
                    body=part.open,
                    headers={
                        "content-type": "application/octet-stream",
                        "upload-offset": str(offset),
                    },
                )
            except ClientError as error:
                if not (_can_go_on(error) and tries.again()):
                    raise
                try:
                    offset = self._offset(upload)  # how much of the part did arrive?
                except NotFound:
                    # All of it: the upload is over, and only the answer was lost.
                    return self._kept(name, digest)
                continue
            tries.progressed()
            offset += part.bytes
            if on_bytes is not None:
                on_bytes(offset, size)
            if offset == size:
                return read_as(FileRead, response)

    def _offset(self, upload: str) -> int:
        return int(self._http.request("HEAD", upload).headers["upload-offset"])

    def _kept(self, name: str, digest: bytes) -> FileRead:
        for file in self.list():
            if (file.name, file.sha256) == (name, digest.hex()):
                return file
        raise Unreachable(self._http.url, ConnectionError(f"the upload of {name} is gone"))


def _can_go_on(error: ClientError) -> bool:
    match error:
        case Unreachable() | Unavailable() | NotFound():
            return True
        case Conflict():  # busy: the request that broke has not been given up there
            return error.code in ("wrong_offset", "upload_busy")
        case _:
            return False


class _Part:
    def __init__(self, path: Path, offset: int, size: int) -> None:
        self._path = path
        self._offset = offset
        self.bytes = size

    def open(self) -> BinaryIO:
        with self._path.open("rb") as file:
            file.seek(self._offset)
            return io.BytesIO(file.read(self.bytes))


class _Counting(io.FileIO):
    def __init__(self, path: Path, on_bytes: OnBytes) -> None:
        super().__init__(path)
        self._on_bytes = on_bytes
        self._total = path.stat().st_size
        self._done = 0

    def readinto(self, buffer: Any, /) -> int:  # Buffer, which Python has from 3.12 on
        count = super().readinto(buffer) or 0  # a regular file has no None
        self._done += count
        if count:
            self._on_bytes(self._done, self._total)
        return count


def _counted(path: Path, on_bytes: OnBytes) -> BinaryIO:
    """An open file that tells how much of it has been read."""
    return io.BufferedReader(_Counting(path, on_bytes), buffer_size=1 << 16)


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
