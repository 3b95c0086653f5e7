"""Files from the service: resumed where they broke off, checked, and put in place whole."""

import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, Final

import httpx2

from service.client.errors import ApiError, DigestMismatch, Unreachable, UnsafeArchive
from service.client.http import Http, Params, is_passing
from service.client.retry import Tries

OnBytes = Callable[[int, int | None], None]
"""Called with the bytes that arrived so far and the bytes in all, where known."""

_CHUNK: Final = 1 << 18


def download(
    http: Http,
    path: str,
    target: Path,
    *,
    params: Params | None = None,
    sha256: str | None = None,
    on_bytes: OnBytes | None = None,
) -> Path:
    """Write the bytes at `path` to the file `target`, which appears when they are all there.

    A broken connection is resumed by Range as long as the ETag stays the same. Raises
    `DigestMismatch` if `sha256` is given and differs.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        dir=target.parent, prefix=f".{target.name[:64]}.", suffix=".part", delete=False
    ) as part:
        partial = Path(part.name)
        try:
            _Arrival(http, path, params, part.file, on_bytes).run(sha256)
            part.close()
            # Temporary files are private; what stays gets the mode that any new file would get.
            partial.chmod(0o666 & ~_umask())
            partial.replace(target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    return target


class _Arrival:
    """Bytes on their way into an open file, across as many connections as it takes."""

    def __init__(
        self,
        http: Http,
        path: str,
        params: Params | None,
        file: IO[bytes],
        on_bytes: OnBytes | None,
    ) -> None:
        self._http = http
        self._path = path
        self._params = params
        self._file = file
        self._on_bytes = on_bytes
        self._tries = Tries(http.retry)
        self._etag: str | None = None
        self._restart()

    def run(self, sha256: str | None) -> None:
        while not self._whole():
            pass
        if sha256 is not None and self._hash.hexdigest() != sha256:
            raise DigestMismatch(
                f"expected SHA-256 {sha256}, got {self._hash.hexdigest()}; try the download again"
            )

    def _whole(self) -> bool:
        """Read one connection to its end. False when it broke and another may go on."""
        try:
            with self._http.stream(
                self._path, params=self._params, headers=self._headers()
            ) as response:
                self._take(response)
            return True
        except httpx2.TransportError as error:
            if not self._tries.again():
                raise Unreachable(self._http.url, error) from error
        except ApiError as error:
            if error.problem.status == 416:  # it has changed under us
                self._restart()
            elif not is_passing(error):
                raise
            if not self._tries.again():
                raise
        return False

    def _headers(self) -> dict[str, str]:
        plain = {"accept-encoding": "identity"}  # ranges and lengths count the bytes themselves
        if self._etag is None or self._done == 0:
            return plain
        return plain | {"range": f"bytes={self._done}-", "if-range": self._etag}

    def _take(self, response: httpx2.Response) -> None:
        if response.status_code != 206:  # from the start, or other bytes than before
            self._restart()
        self._etag = response.headers.get("etag")
        length = response.headers.get("content-length")
        total = None if length is None else self._done + int(length)
        for chunk in response.iter_bytes():
            self._file.write(chunk)
            self._hash.update(chunk)
            self._done += len(chunk)
            self._tries.progressed()
            if self._on_bytes is not None:
                self._on_bytes(self._done, total)

    def _restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._hash = hashlib.sha256()
        self._done = 0


def download_folder(
    http: Http,
    path: str,
    folder: Path,
    *,
    params: Params | None = None,
    on_bytes: OnBytes | None = None,
) -> Path:
    """Fetch a zip and unpack it into `folder`, which is made if needed; files are replaced.

    Each member's CRC is checked. Raises `UnsafeArchive` for a member outside the folder and
    `DigestMismatch` for a damaged one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as scratch:
        archive = download(
            http, path, Path(scratch) / "folder.zip", params=params, on_bytes=on_bytes
        )
        try:
            _unpack(archive, Path(scratch) / "member", folder)
        except zipfile.BadZipFile as error:
            raise DigestMismatch(f"damaged on the way: {error}; try the download again") from error
    return folder


def _unpack(archive: Path, fresh: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as zipped:
        members = [(member, _inside(member, folder)) for member in zipped.infolist()]
        for member, target in members:
            target.parent.mkdir(parents=True, exist_ok=True)
            with zipped.open(member) as source, fresh.open("wb") as sink:
                shutil.copyfileobj(source, sink, _CHUNK)
            fresh.replace(target)


def _inside(member: zipfile.ZipInfo, folder: Path) -> Path:
    name = PurePosixPath(member.filename)
    stored = member.compress_type == zipfile.ZIP_STORED  # the service packs nothing: no bombs
    plain = not (name.is_absolute() or ".." in name.parts or "\\" in member.filename)
    if not (stored and plain) or member.is_dir():
        raise UnsafeArchive(f"the folder has an unsafe member {member.filename!r}")
    return folder / name


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
