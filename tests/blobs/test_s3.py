"""What the S3 store promises beyond the seam: links, other tools' view, bounded waits."""

import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest

from service.blobs import (
    BlobStore,
    DigestMismatch,
    S3Keys,
    S3Options,
    StorageUnavailable,
    attachment,
    open_blobs,
)
from service.blobs.presign import presigned_get
from tests.blobs.conftest import KEYS, REGION, Bucket

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
KEY = f"team/ba/78/{ABC}"

# Uploads and downloads a file and prints by how many KiB the peak of resident memory grew.
MEASURE = """
import resource, sys
from pathlib import Path
from service.blobs import S3Keys, S3Options, open_blobs
url, staging, endpoint, file = sys.argv[1:]
blobs = open_blobs(url, Path(staging), s3=S3Options(endpoint, "us-east-1", S3Keys("k", "s")))
blobs.put_bytes(bytes(1000))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
blob = blobs.put_file(Path(file))
blobs.fetch(blob.sha256, Path(file))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.fixture
def s3(bucket: Bucket, staging: Path) -> BlobStore:
    return open_blobs(f"s3://{bucket.name}/team", staging, s3=bucket.options)


def test_another_client_finds_the_object_under_its_documented_name(
    s3: BlobStore, bucket: Bucket
) -> None:
    s3.put_bytes(b"abc")
    assert bucket.client().get_object(Bucket=bucket.name, Key=KEY)["Body"].read() == b"abc"


def test_strangers_under_the_prefix_are_not_listed(s3: BlobStore, bucket: Bucket) -> None:
    s3.put_bytes(b"abc")
    for key in ("team/notes.txt", f"other/ba/78/{ABC}", f"team/{ABC}"):
        bucket.client().put_object(Bucket=bucket.name, Key=key, Body=b"x")
    assert [info.sha256 for info in s3.list()] == [ABC]


def test_rotten_bytes_are_refused_on_the_way_out(
    s3: BlobStore, bucket: Bucket, tmp_path: Path
) -> None:
    bucket.client().put_object(Bucket=bucket.name, Key=KEY, Body=b"abd")
    with pytest.raises(DigestMismatch):
        s3.fetch(ABC, tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


def test_a_link_downloads_without_credentials_under_the_given_name(s3: BlobStore) -> None:
    s3.put_bytes(b"abc")
    link = s3.url(ABC, 'modèle "a".bin', "application/x-model", 60)
    assert link is not None
    with urlopen(link, timeout=10) as answer:
        assert answer.read() == b"abc"
        assert answer.headers["Content-Type"] == "application/x-model"
        assert answer.headers["Content-Disposition"] == (
            "attachment; filename=\"mod_le _a_.bin\"; filename*=UTF-8''mod%C3%A8le%20%22a%22.bin"
        )


def test_the_signature_is_the_one_amazon_documents() -> None:
    # S3 API reference, "Authenticating Requests: Using Query Parameters", its worked example.
    link = presigned_get(
        "https://examplebucket.s3.amazonaws.com/test.txt",
        KEYS,
        "us-east-1",
        query={},
        now=datetime(2013, 5, 24, tzinfo=UTC),
        expires_s=86_400,
    )
    expected = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    assert parse_qs(urlsplit(link).query)["X-Amz-Signature"] == [expected]


def test_the_signature_is_the_one_botocore_makes(bucket: Bucket) -> None:
    disposition = attachment("a+b é.bin")
    theirs = bucket.client().generate_presigned_url(
        "get_object",
        Params={
            "Bucket": bucket.name,
            "Key": "team/a b/x",
            "ResponseContentDisposition": disposition,
        },
        ExpiresIn=60,
    )
    their_query = parse_qs(urlsplit(theirs).query)
    ours = presigned_get(
        f"{bucket.endpoint}/{bucket.name}/team/a%20b/x",
        KEYS,
        REGION,
        query={"response-content-disposition": disposition},
        now=datetime.strptime(their_query["X-Amz-Date"][0], "%Y%m%dT%H%M%S%z"),
        expires_s=60,
    )
    assert parse_qs(urlsplit(ours).query) == their_query


def test_a_link_lives_at_most_seven_days(s3: BlobStore) -> None:
    with pytest.raises(ValueError, match="604800"):
        s3.url(ABC, "a.bin", "text/plain", 604_801)


def test_a_store_that_lives_by_a_role_gives_no_links(
    staging: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    store = open_blobs("s3://bucket", staging, s3=S3Options(endpoint="http://127.0.0.1:9"))
    assert store.url(ABC, "a.bin", "text/plain", 60) is None


def test_keys_and_address_come_from_the_standard_environment(
    bucket: Bucket, staging: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": KEYS.access_key_id,
        "AWS_SECRET_ACCESS_KEY": KEYS.secret_access_key,
        "AWS_SESSION_TOKEN": "token",
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": bucket.endpoint,
    }.items():
        monkeypatch.setenv(name, value)
    store = open_blobs(f"s3://{bucket.name}/team", staging)
    store.put_bytes(b"abc")
    link = store.url(ABC, "a.bin", "text/plain", 60)
    assert link is not None
    assert link.startswith(f"{bucket.endpoint}/{bucket.name}/{KEY}?")
    assert parse_qs(urlsplit(link).query)["X-Amz-Security-Token"] == ["token"]


def test_a_missing_bucket_is_a_misconfigured_store_and_not_a_missing_blob(
    bucket: Bucket, staging: Path
) -> None:
    store = open_blobs("s3://never-made", staging, s3=bucket.options)
    with pytest.raises(StorageUnavailable, match="bucket"):
        store.check()
    with pytest.raises(StorageUnavailable, match="bucket"):
        list(store.open(ABC))


def test_a_server_that_is_down_or_silent_is_reported_in_bounded_time(staging: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connects and never answers
        ports = (9, silent.getsockname()[1])
        for port in ports:
            options = S3Options(f"http://127.0.0.1:{port}", REGION, KEYS, timeout_s=0.5)
            store = open_blobs("s3://bucket", staging, s3=options)
            began = time.monotonic()
            with pytest.raises(StorageUnavailable):
                store.check()
            with pytest.raises(StorageUnavailable):
                store.put_bytes(b"abc")
            assert time.monotonic() - began < 10
    assert list(staging.iterdir()) == []


def test_memory_stays_flat_whatever_the_file_weighs(
    bucket: Bucket, staging: Path, tmp_path: Path
) -> None:
    file = tmp_path / "large"
    with file.open("wb") as target:
        target.truncate(256 << 20)
    command = [sys.executable, "-c", MEASURE, f"s3://{bucket.name}", str(staging)]
    grown_kib = int(
        subprocess.run(
            [*command, bucket.endpoint, str(file)], check=True, capture_output=True, timeout=120
        ).stdout
    )
    assert file.stat().st_size == 256 << 20
    assert grown_kib <= 64 << 10


def test_credentials_do_not_show_in_a_repr() -> None:
    shown = repr(S3Options(keys=S3Keys("id", "very secret", "very token")))
    assert "very" not in shown
