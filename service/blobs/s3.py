"""Blobs in a bucket of S3, or of anything that speaks it (MinIO, Ceph, R2)."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from service.blobs.errors import BlobNotFound, StorageUnavailable, disk_errors
from service.blobs.presign import S3Keys, attachment, presigned_get
from service.blobs.staging import StagingFolder, digest_file, open_regular, write_verified
from service.blobs.store import CHUNK_BYTES, Blob, BlobInfo, blob_key, clip_range, is_blob_key

if TYPE_CHECKING:
    # These exist in the stubs only.
    from obstore import GetResult
    from obstore.store import S3Config

# Parts times concurrency bound an upload's memory (24 MiB); 10,000 parts allow files of 78 GiB.
_PART_BYTES: Final = 8 << 20
_PARTS_AT_ONCE: Final = 3


@dataclass(frozen=True, slots=True)
class S3Location:
    """A bucket and how to reach it. Without `keys`, those of the machine's or pod's role count,
    which obstore finds and renews by itself.
    """

    bucket: str
    prefix: str
    endpoint: str
    region: str
    keys: S3Keys | None

    @classmethod
    def resolve(
        cls,
        bucket: str,
        prefix: str = "",
        *,
        endpoint: str | None = None,
        region: str | None = None,
        keys: S3Keys | None = None,
    ) -> "S3Location":
        """Fill what is not given from the standard AWS variables of the environment."""
        region = region or _first("AWS_REGION", "AWS_DEFAULT_REGION") or "us-east-1"
        endpoint = endpoint or _first("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
        endpoint = (endpoint or f"https://s3.{region}.amazonaws.com").rstrip("/")
        return cls(bucket, prefix.strip("/"), endpoint, region, keys or _keys_of_environment())

    def store(self, timeout_s: float) -> S3Store:
        return S3Store(
            self.bucket,
            prefix=self.prefix or None,
            endpoint=self.endpoint,
            region=self.region,
            config=self._credentials(),
            virtual_hosted_style_request=False,  # `object_url` builds the same addresses
            checksum_algorithm="SHA256",  # the server refuses a part that the network changed
            client_options={
                "allow_http": self.endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=min(timeout_s, 5)),
                "read_timeout": timedelta(seconds=timeout_s),
                # The time for a whole body, 30 s by default, would cut large downloads; the
                # read time-out alone finds a server that stopped.
                "timeout": timedelta(days=1),
            },
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=timeout_s)},
        )

    def _credentials(self) -> "S3Config":
        if self.keys is None:
            return {}
        pair: S3Config = {
            "access_key_id": self.keys.access_key_id,
            "secret_access_key": self.keys.secret_access_key,
        }
        token = self.keys.session_token
        return pair if token is None else {**pair, "session_token": token}

    def object_url(self, key: str) -> str:
        path = "/".join(part for part in (self.bucket, self.prefix, key) if part)
        return f"{self.endpoint}/{quote(path)}"


class S3Blobs:
    """See BlobStore for what the methods promise. An object appears when its upload completes.

    Parts of an upload whose process was killed stay hidden in the bucket until its lifecycle rule
    for incomplete multipart uploads removes them. `timeout_s` bounds connecting and each read, not
    the whole of a transfer.
    """

    def __init__(self, location: S3Location, staging: Path, *, timeout_s: float = 15.0) -> None:
        self._location = location
        self._store = location.store(timeout_s)
        self._staging = StagingFolder(staging)

    def staging_file(self) -> AbstractContextManager[Path]:
        return self._staging.file()

    def discard_abandoned(self, older_than_s: float) -> int:
        return self._staging.discard_abandoned(older_than_s)

    def put_file(self, path: Path, sha256: str | None = None) -> Blob:
        with disk_errors(), os.fdopen(open_regular(path), "rb") as source:
            blob = digest_file(source.fileno(), sha256)
            source.seek(0)
            # Also when it is there already: the upload renews its date, which protects it from a
            # garbage collection that runs now.
            with _s3_errors(blob.sha256):
                obstore.put(
                    self._store,
                    blob_key(blob.sha256),
                    source,
                    chunk_size=_PART_BYTES,
                    max_concurrency=_PARTS_AT_ONCE,
                )
        path.unlink(missing_ok=True)
        return blob

    def put_bytes(self, data: bytes) -> Blob:
        with self._staging.file() as path:
            path.write_bytes(data)
            return self.put_file(path)

    def open(self, sha256: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        first, last = clip_range(start, end, self.size(sha256))
        if first >= last:  # S3 answers an empty range with an error
            return iter(())
        with _s3_errors(sha256):
            found = obstore.get(self._store, blob_key(sha256), options={"range": (first, last)})
        return self._read(sha256, found)

    def _read(self, sha256: str, found: "GetResult") -> Iterator[bytes]:
        with _s3_errors(sha256):
            for chunk in found.stream(min_chunk_size=CHUNK_BYTES):
                view = memoryview(chunk)  # the network decides how much comes at once
                for at in range(0, len(view), CHUNK_BYTES):
                    yield bytes(view[at : at + CHUNK_BYTES])

    def size(self, sha256: str) -> int:
        try:
            with _s3_errors(sha256):
                return obstore.head(self._store, blob_key(sha256))["size"]
        except BlobNotFound:
            self.check()  # the answer to HEAD does not say if it was the bucket that is missing
            raise

    def exists(self, sha256: str) -> bool:
        try:
            self.size(sha256)
        except BlobNotFound:
            return False
        return True

    def fetch(self, sha256: str, path: Path) -> None:
        write_verified(self.open(sha256), sha256, path)

    def delete(self, sha256: str) -> None:
        try:
            with _s3_errors(sha256):
                obstore.delete(self._store, blob_key(sha256))
        except BlobNotFound:
            return  # some servers answer so; Amazon's does not

    def delete_older(self, sha256: str, before: datetime) -> bool:
        try:
            with _s3_errors(sha256):
                if obstore.head(self._store, blob_key(sha256))["last_modified"] >= before:
                    return False
        except BlobNotFound:
            return False
        self.delete(sha256)
        return True

    def list(self) -> Iterator[BlobInfo]:
        with _s3_errors(""):
            for batch in obstore.list(self._store):
                for meta in batch:
                    if is_blob_key(meta["path"]):
                        name = meta["path"].rpartition("/")[2]
                        modified_at = meta["last_modified"].astimezone(UTC)
                        yield BlobInfo(name, meta["size"], modified_at)

    def url(self, sha256: str, filename: str, content_type: str, expires_s: int) -> str | None:
        keys = self._location.keys
        if keys is None:
            return None  # a role's keys are obstore's secret and may expire before the link does
        return presigned_get(
            self._location.object_url(blob_key(sha256)),
            keys,
            self._location.region,
            query={
                "response-content-disposition": attachment(filename),
                "response-content-type": content_type,
            },
            now=datetime.now(UTC),
            expires_s=expires_s,
        )

    def check(self) -> None:
        with _s3_errors(""):
            obstore.list_with_delimiter(self._store, "00")  # one request, at most 256 names


def _first(*names: str) -> str | None:
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


def _keys_of_environment() -> S3Keys | None:
    access, secret = _first("AWS_ACCESS_KEY_ID"), _first("AWS_SECRET_ACCESS_KEY")
    if access is None or secret is None:
        return None
    return S3Keys(access, secret, _first("AWS_SESSION_TOKEN"))


@contextmanager
def _s3_errors(sha256: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, BaseError) as error:
        if "NoSuchBucket" in str(error):
            raise StorageUnavailable("the bucket does not exist") from error
        if isinstance(error, FileNotFoundError):
            raise BlobNotFound(sha256) from error
        # The first line names the request and the status; the rest is the library's own state.
        raise StorageUnavailable(str(error).partition("\n")[0]) from error
