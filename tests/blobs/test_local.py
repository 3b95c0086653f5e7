"""What a folder of blobs promises beyond the seam: crash safety and file systems."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from service.blobs import BlobStore, DigestMismatch, StorageUnavailable, open_blobs
from service.blobs.store import blob_key

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1

# Puts ever new 4 MB blobs and says so before each, until it is killed.
WRITER = """
import os, sys
from pathlib import Path
from service.blobs import open_blobs
blobs = open_blobs(sys.argv[1], Path(sys.argv[2]))
while True:
    with blobs.staging_file() as path:
        path.write_bytes(os.urandom(4_000_000))
        print("putting", flush=True)
        blobs.put_file(path)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def local(root: Path, staging: Path) -> BlobStore:
    return open_blobs(f"file://{root}", staging)


def test_a_writer_killed_at_any_moment_leaves_whole_blobs_only(
    local: BlobStore, root: Path, staging: Path, tmp_path: Path
) -> None:
    for puts in range(1, 7):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, f"file://{root}", str(staging)], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            for _ in range(puts):
                writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
    found = list(local.list())
    assert found, "the later writers finished a put before they were killed"
    for info in found:
        assert info.bytes == 4_000_000
        local.fetch(info.sha256, tmp_path / "copy")  # verifies the digest
    local.discard_abandoned(older_than_s=0)
    assert list(staging.iterdir()) == []
    assert {path for path in root.rglob("*") if path.is_file()} == {
        root / ".lock",
        *(root / blob_key(info.sha256) for info in found),
    }


def test_a_file_from_another_file_system_is_copied_in(local: BlobStore, root: Path) -> None:
    shared_memory = Path("/dev/shm")
    if not os.access(shared_memory, os.W_OK) or shared_memory.stat().st_dev == root.stat().st_dev:
        pytest.skip("needs /dev/shm as a file system of its own")
    source = shared_memory / f"modelpress-{os.getpid()}"
    try:
        source.write_bytes(b"abc")
        assert local.put_file(source).sha256 == ABC
        assert not source.exists()
    finally:
        source.unlink(missing_ok=True)
    assert b"".join(local.open(ABC)) == b"abc"
    assert list((root / ".incoming").iterdir()) == []


def test_rotten_bytes_are_refused_on_the_way_out(
    local: BlobStore, root: Path, tmp_path: Path
) -> None:
    local.put_bytes(b"abc")
    stored = root / "ba" / "78" / ABC
    stored.chmod(0o600)
    stored.write_bytes(b"abd")
    with pytest.raises(DigestMismatch):
        local.fetch(ABC, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_reader_finishes_after_the_blob_was_deleted(local: BlobStore) -> None:
    data = bytes(3_000_000)
    sha256 = local.put_bytes(data).sha256
    chunks = local.open(sha256)
    first = next(chunks)
    local.delete(sha256)
    assert first + b"".join(chunks) == data


def test_stored_files_are_read_only_and_strangers_are_not_listed(
    local: BlobStore, root: Path
) -> None:
    local.put_bytes(b"abc")
    (root / "ba" / "78" / "notes.txt").write_text("not a blob")
    assert (root / "ba" / "78" / ABC).stat().st_mode & 0o777 == 0o440
    assert [info.sha256 for info in local.list()] == [ABC]


def test_a_local_store_has_no_links(local: BlobStore) -> None:
    assert local.url(local.put_bytes(b"abc").sha256, "abc.bin", "text/plain", 60) is None


def test_a_vanished_folder_fails_the_check(local: BlobStore, root: Path) -> None:
    root.rmdir()
    with pytest.raises(StorageUnavailable):
        local.check()


@pytest.mark.parametrize(
    "url",
    ["", "/data/blobs", "file://host/data", "file:data", "gs://bucket", "s3:///prefix"],
)
def test_a_url_that_names_no_store_is_refused(url: str, staging: Path) -> None:
    with pytest.raises(ValueError, match="://"):
        open_blobs(url, staging)
