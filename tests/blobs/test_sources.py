"""Declared sources: what lies in them is copied, what lies outside cannot be named."""

import hashlib
import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.blobs import S3Options
from service.config import Settings
from service.sources import (
    SourceError,
    SourceNotFound,
    SourceUnavailable,
    check_path,
    copy_file,
    parse_sources,
)
from tests.blobs.conftest import Bucket

DATA = bytes(range(256)) * 9000  # more than two chunks
LOCAL = S3Options()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "a, b"
    (root / "deep").mkdir(parents=True)
    (root / "deep/data.zip").write_bytes(DATA)
    (tmp_path / "secret").write_bytes(b"not yours")
    return root


def declared(root: Path) -> dict[str, str]:
    return parse_sources(f"photos=file://{str(root).replace(',', '%2C')}")


def test_sources_are_declared_by_name_with_commas_between() -> None:
    assert parse_sources("") == {}
    assert parse_sources(" a=file:///data , big-1=s3://bucket/pre/fix,") == {
        "a": "file:///data",
        "big-1": "s3://bucket/pre/fix",
    }


@pytest.mark.parametrize(
    "text",
    [
        "file:///data", "A=file:///data", "a=/data", "a=file://data", "a=file://host/data",
        "a=http://bucket/x", "a=s3:///x", "a=file:///data?x=1", "a=file:///x/../y", "=file:///x",
        "a=file:///x,a=file:///y",
    ],
)  # fmt: skip
def test_what_is_no_declaration_is_refused_when_the_settings_are_read(text: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(sources=text)
    assert "sources" in str(refused.value)


def test_a_file_within_the_root_is_copied_and_hashed(root: Path, tmp_path: Path) -> None:
    (root / "link.zip").symlink_to(root / "deep/data.zip")
    for path in ("deep/data.zip", "link.zip"):
        copied = copy_file(declared(root), "photos", path, tmp_path / "copy", LOCAL)
        assert (tmp_path / "copy").read_bytes() == DATA
        assert (copied.sha256, copied.bytes) == (hashlib.sha256(DATA).hexdigest(), len(DATA))


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "deep/../../secret", "a//b", ".",
                                  "deep\\data.zip", "a\x00b", "", "deep/"])  # fmt: skip
def test_a_path_that_leads_elsewhere_is_no_path_within_a_source(
    root: Path, tmp_path: Path, path: str
) -> None:
    with pytest.raises(ValueError, match="relative"):
        check_path(path)
    with pytest.raises(SourceNotFound):
        copy_file(declared(root), "photos", path, tmp_path / "copy", LOCAL)


@pytest.mark.parametrize("path", ["out", "out-by-folder/secret", "deep", "pipe", "absent", "loop",
                                  "deep/data.zip/x"])  # fmt: skip
def test_only_regular_files_within_the_root_are_there(
    root: Path, tmp_path: Path, path: str
) -> None:
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "out-by-folder").symlink_to(tmp_path)
    (root / "loop").symlink_to(root / "loop")
    os.mkfifo(root / "pipe")
    with pytest.raises(SourceNotFound) as refused:
        copy_file(declared(root), "photos", path, tmp_path / "copy", LOCAL)
    assert str(tmp_path) not in str(refused.value)
    assert not (tmp_path / "copy").exists()


def test_a_source_that_is_not_declared_or_gone_is_said_to_be_so(root: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match="other"):
        copy_file(declared(root), "other", "x", tmp_path / "copy", LOCAL)
    with pytest.raises(SourceNotFound):
        copy_file({"photos": f"file://{tmp_path}/gone"}, "photos", "x", tmp_path / "copy", LOCAL)


def test_a_file_in_a_bucket_is_copied_and_hashed(bucket: Bucket, tmp_path: Path) -> None:
    bucket.client().put_object(Bucket=bucket.name, Key="team/a b/x.zip", Body=DATA)
    sources = {"s3": f"s3://{bucket.name}/team"}
    copied = copy_file(sources, "s3", "a b/x.zip", tmp_path / "copy", bucket.options)
    assert (tmp_path / "copy").read_bytes() == DATA
    assert copied.sha256 == hashlib.sha256(DATA).hexdigest()


def test_a_bucket_says_what_is_not_there_and_what_does_not_answer(
    bucket: Bucket, tmp_path: Path
) -> None:
    bucket.client().put_object(Bucket=bucket.name, Key="secret", Body=b"not yours")
    sources = {"in": f"s3://{bucket.name}/team", "gone": "s3://no-such-bucket-of-ours"}
    errors: dict[str, type[SourceError]] = {"in": SourceNotFound, "gone": SourceUnavailable}
    for name, error in errors.items():
        with pytest.raises(error):
            copy_file(sources, name, "secret", tmp_path / "copy", bucket.options)
    with pytest.raises(SourceNotFound):
        copy_file(sources, "in", "../secret", tmp_path / "copy", bucket.options)
