"""One blob store of each kind, empty; the S3 server is moto's, in this process."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from moto.server import ThreadedMotoServer

from service.blobs import BlobStore, S3Keys, S3Options, open_blobs

KEYS = S3Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
REGION = "eu-central-1"


@dataclass(frozen=True)
class Bucket:
    """A fresh bucket on the server, seen by a client that is not ours."""

    endpoint: str
    name: str

    @property
    def options(self) -> S3Options:
        return S3Options(endpoint=self.endpoint, region=REGION, keys=KEYS)

    def client(self) -> Any:  # boto3 makes its classes at run time
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=KEYS.access_key_id,
            aws_secret_access_key=KEYS.secret_access_key,
        )


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_endpoint: str) -> Bucket:
    bucket = Bucket(s3_endpoint, f"blobs-{uuid4().hex}")
    bucket.client().create_bucket(
        Bucket=bucket.name, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    return bucket


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    return tmp_path / "staging"


@pytest.fixture(params=["local", "s3"])
def opener(
    request: pytest.FixtureRequest, tmp_path: Path, staging: Path
) -> Callable[[], BlobStore]:
    """Opens the same store again, as another process would."""
    if request.param == "local":
        return lambda: open_blobs(f"file://{tmp_path}/blobs", staging)
    bucket: Bucket = request.getfixturevalue("bucket")
    return lambda: open_blobs(f"s3://{bucket.name}/team/a b", staging, s3=bucket.options)


@pytest.fixture
def blobs(opener: Callable[[], BlobStore]) -> BlobStore:
    return opener()
