"""What every blob store promises, asked of each."""

import errno
import hashlib
import os
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.blobs import BlobNotFound, BlobStore, DigestMismatch, StorageFull

ABSENT = "0" * 64
# FIPS 180-2, appendix B.1
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
# of no bytes; the value every implementation documents
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def read(blobs: BlobStore, sha256: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join(blobs.open(sha256, start, end))


def put(blobs: BlobStore, data: bytes, sha256: str | None = None) -> str:
    with blobs.staging_file() as path:
        path.write_bytes(data)
        return blobs.put_file(path, sha256).sha256


def test_bytes_come_back_under_the_name_of_their_digest(blobs: BlobStore) -> None:
    blob = blobs.put_bytes(b"abc")
    assert (blob.sha256, blob.bytes) == (ABC, 3)
    assert read(blobs, ABC) == b"abc"
    assert blobs.size(ABC) == 3
    assert blobs.exists(ABC)


def test_no_bytes_are_a_blob_too(blobs: BlobStore, tmp_path: Path) -> None:
    assert blobs.put_bytes(b"").sha256 == EMPTY
    assert read(blobs, EMPTY) == b""
    blobs.fetch(EMPTY, tmp_path / "empty")
    assert (tmp_path / "empty").read_bytes() == b""


def test_put_file_takes_the_file(blobs: BlobStore) -> None:
    with blobs.staging_file() as path:
        path.write_bytes(b"abc")
        assert blobs.put_file(path, ABC).sha256 == ABC
        assert not path.exists()


def test_another_opener_sees_what_was_put(opener: Callable[[], BlobStore]) -> None:
    opener().put_bytes(b"abc")
    assert read(opener(), ABC) == b"abc"


def test_a_broken_promise_of_the_digest_stores_nothing(blobs: BlobStore) -> None:
    with blobs.staging_file() as path:
        path.write_bytes(b"abd")
        with pytest.raises(DigestMismatch) as caught:
            blobs.put_file(path, ABC)
        assert path.read_bytes() == b"abd", "after an error the file is still the caller's"
    assert caught.value.expected == ABC
    assert caught.value.actual == hashlib.sha256(b"abd").hexdigest()
    assert list(blobs.list()) == []


def test_a_staging_file_left_behind_is_removed(blobs: BlobStore, staging: Path) -> None:
    with suppress(ConnectionResetError), blobs.staging_file() as path:
        path.write_bytes(b"half")
        raise ConnectionResetError
    assert list(staging.iterdir()) == []


def test_a_link_is_never_followed(blobs: BlobStore, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"abc")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "fifo"):
        with pytest.raises(ValueError, match="regular file"):
            blobs.put_file(tmp_path / name)
    assert list(blobs.list()) == []


def test_another_name_of_a_stored_file_cannot_change_the_blob(
    blobs: BlobStore, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "other").hardlink_to(tmp_path / "file")
    blobs.put_file(tmp_path / "file")
    (tmp_path / "other").write_bytes(b"xyz")
    assert read(blobs, ABC) == b"abc"


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, None, b"0123456789"),
        (3, None, b"3456789"),
        (2, 5, b"234"),
        (9, 10, b"9"),
        (4, 4, b""),
        (8, 99, b"89"),
        (10, None, b""),
        (50, 60, b""),
    ],
)
def test_a_range_includes_its_start_and_not_its_end(
    blobs: BlobStore, start: int, end: int | None, expected: bytes
) -> None:
    assert read(blobs, put(blobs, b"0123456789"), start, end) == expected


def test_a_backward_range_is_refused_at_once(blobs: BlobStore) -> None:
    sha256 = put(blobs, b"0123456789")
    for start, end in ((-1, 3), (5, 4)):
        with pytest.raises(ValueError, match="range"):
            blobs.open(sha256, start, end)


def test_a_large_file_is_the_same_whole_and_in_random_ranges(
    blobs: BlobStore, tmp_path: Path
) -> None:
    rng = random.Random(0)
    data = rng.randbytes(20_000_003)  # three parts of a multipart upload, the last one odd
    sha256 = put(blobs, data)
    assert sha256 == hashlib.sha256(data).hexdigest()
    chunks = list(blobs.open(sha256))
    assert b"".join(chunks) == data
    assert max(map(len, chunks)) <= 1 << 20
    for _ in range(20):
        start = rng.randrange(len(data))
        end = rng.randrange(start, len(data))
        assert read(blobs, sha256, start, end) == data[start:end]
    blobs.fetch(sha256, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == data


def test_an_absent_blob_is_named_in_the_error(blobs: BlobStore, tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"before")
    calls: list[Callable[[], object]] = [
        lambda: blobs.open(ABSENT),
        lambda: blobs.size(ABSENT),
        lambda: blobs.fetch(ABSENT, tmp_path / "target"),
    ]
    for call in calls:
        with pytest.raises(BlobNotFound) as caught:
            call()
        assert caught.value.sha256 == ABSENT
    assert not blobs.exists(ABSENT)
    assert (tmp_path / "target").read_bytes() == b"before"


@pytest.mark.parametrize("name", ["", "abc", ABC.upper(), ABC + "0", "../" + ABC[3:], ABC + "\n"])
def test_a_name_that_is_no_digest_is_refused(blobs: BlobStore, name: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        blobs.exists(name)


def test_a_fetched_file_is_a_copy_that_may_be_written(blobs: BlobStore, tmp_path: Path) -> None:
    blobs.put_bytes(b"abc")
    blobs.fetch(ABC, tmp_path / "copy")
    (tmp_path / "copy").write_bytes(b"xyz")
    assert read(blobs, ABC) == b"abc"


def test_deleting_twice_is_deleting_once(blobs: BlobStore) -> None:
    blobs.put_bytes(b"abc")
    blobs.delete(ABC)
    blobs.delete(ABC)
    assert not blobs.exists(ABC)
    assert list(blobs.list()) == []


def test_list_shows_each_blob_with_its_size_and_time(blobs: BlobStore) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)  # S3 tells whole seconds
    expected = {put(blobs, bytes(size)): size for size in range(1, 60)}  # more than one batch
    found = {info.sha256: info for info in blobs.list()}
    assert {sha256: info.bytes for sha256, info in found.items()} == expected
    now = datetime.now(UTC) + timedelta(seconds=1)
    assert all(before <= info.modified_at <= now for info in found.values())


def test_the_same_bytes_put_by_many_at_once_are_stored_once(
    opener: Callable[[], BlobStore],
) -> None:
    data = random.Random(1).randbytes(300_000)
    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(lambda _: put(opener(), data), range(24)))
    assert names == {hashlib.sha256(data).hexdigest()}
    assert [info.bytes for info in opener().list()] == [300_000]
    assert read(opener(), names.pop()) == data


def test_putting_again_renews_the_date_that_garbage_collection_sees(
    blobs: BlobStore, tmp_path: Path
) -> None:
    for _ in range(2):
        (tmp_path / "old").write_bytes(b"abc")
        os.utime(tmp_path / "old", (0, 0))
        blobs.put_file(tmp_path / "old")
    [info] = blobs.list()
    assert datetime.now(UTC) - info.modified_at < timedelta(minutes=1)


def test_a_full_disk_met_while_staging_is_a_typed_error(blobs: BlobStore, staging: Path) -> None:
    with pytest.raises(StorageFull), blobs.staging_file():
        Path("/dev/full").write_bytes(b"x")  # the kernel's own ENOSPC
    assert list(staging.iterdir()) == []
    with pytest.raises(OSError, match="pipe") as caught, blobs.staging_file():
        raise OSError(errno.EPIPE, "Broken pipe")
    assert type(caught.value) is BrokenPipeError, "other errors pass through"


def test_only_abandoned_staging_files_are_discarded(blobs: BlobStore, staging: Path) -> None:
    with blobs.staging_file() as young:
        (staging / "old").write_bytes(b"half")
        os.utime(staging / "old", (0, 0))
        assert blobs.discard_abandoned(older_than_s=3600) == 1
        assert list(staging.iterdir()) == [young]


def test_a_usable_store_passes_its_check(blobs: BlobStore) -> None:
    blobs.check()


def test_only_what_was_put_before_a_moment_is_deleted_as_old(blobs: BlobStore) -> None:
    blobs.put_bytes(b"abc")
    hour = timedelta(hours=1)
    assert not blobs.delete_older(ABC, datetime.now(UTC) - hour)
    assert blobs.exists(ABC)
    assert blobs.delete_older(ABC, datetime.now(UTC) + hour)
    assert not blobs.exists(ABC)
    assert not blobs.delete_older(ABC, datetime.now(UTC) + hour), "it is not there"
