"""The first look: what each file is called, and how little memory it takes to say so."""

import io
import tracemalloc
import zipfile
from collections.abc import Callable, Iterable

import pytest

from service.contract.datasets import DatasetFormat
from service.errors import Invalid, ServiceError, Unsupported
from service.folder_zip import FolderZip
from service.peek import check_dataset, format_of
from service.store.values import ModelFile
from tests.faults.bombs import zip_of_many
from tests.faults.case import Case
from tests.faults.lies_of_weights import raw_safetensors
from tests.faults.seeds import folder_zip, image_members, seeds, torch_file, weights, zipped
from tests.faults.wrong_types import foreign


def read(data: bytes) -> Callable[[int, int], Iterable[bytes]]:
    """In chunks, as a store gives them."""
    return lambda start, end: (data[at : min(end, at + 999)] for at in range(start, end, 999))


def found(data: bytes) -> str:
    return format_of(len(data), read(data))


def look(case: Case) -> None:
    if case.kind == "model":
        found(case.data)
    else:
        check_dataset(case.said["format"], len(case.data), read(case.data))


@pytest.mark.parametrize("case", seeds(), ids=lambda case: case.name)
def test_a_good_file_passes(case: Case) -> None:
    look(case)


def test_the_format_of_a_model_is_what_the_file_is() -> None:
    models = [case for case in seeds() if case.kind == "model"]
    assert [found(case.data) for case in models] == ["safetensors", "torch", "huggingface", "onnx"]


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("torchscript", "TorchScript"),
        ("a pt2", "torch.export"),
        ("a legacy torch file", "before 1.6"),
        ("pickle 0", "pickle"),
        ("pickle 4", "pickle"),
        ("tar", "tar"),
        ("gzip", "gzip"),
        ("zlib", "joblib"),
        ("gguf", "GGUF"),
        ("hdf5", "Keras"),
        ("keras", "Keras"),
        ("tflite", "TensorFlow Lite"),
        ("npy", "numpy.savez"),
        ("a zip of a model", "send the file that is in it"),
        ("an lfs pointer", "LFS"),
        ("text", "none of the formats"),
    ],
)
def test_a_format_that_is_not_taken_is_named_with_what_to_send(name: str, word: str) -> None:
    with pytest.raises(Unsupported) as refused:
        found(foreign()[name])
    assert word in refused.value.detail
    assert refused.value.code == "unsupported_weights"
    assert any(verb in refused.value.detail for verb in ("send", "unpack", "take"))


@pytest.mark.parametrize("format_", ["npz", "image_zip", "parquet", "csv_zip"])
def test_a_file_of_another_kind_is_no_dataset(format_: DatasetFormat) -> None:
    for name in ("gzip", "tar", "png", "text", "nothing"):
        data = foreign()[name]
        with pytest.raises(Unsupported) as refused:
            check_dataset(format_, len(data), read(data))
        assert refused.value.code == "unsupported_dataset_file"


def test_safetensors_win_over_the_magic_that_their_length_spells() -> None:
    for first in (b"MZ", b"\x1f\x8b", b"\x80\x02", b"<\x01"):
        entry = b'{"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
        length = int.from_bytes(first, "little")
        data = raw_safetensors(entry.ljust(length - 1) + b"}")
        assert data.startswith(first)
        assert found(data) == "safetensors"


def test_archives_of_zip64_pass() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in image_members().items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(content if isinstance(content, bytes) else content.encode())
    check_dataset("image_zip", len(buffer.getvalue()), read(buffer.getvalue()))
    many = zip_of_many(70_000)  # more than the short end record can count
    check_dataset("image_zip", len(many), read(many))


def test_the_archives_that_we_make_ourselves_pass() -> None:
    files = {"config.json": b"{}", "model.safetensors": b"weights"}
    archive = FolderZip([ModelFile(name, name, len(data), 0) for name, data in files.items()])
    parts = archive.read(0, archive.size, lambda sha, start, end: [files[sha][start:end]])
    assert found(b"".join(parts)) == "huggingface"


def test_what_follows_or_precedes_an_archive_is_refused() -> None:
    """Readers disagree about which archive that is."""
    good = torch_file(dict(weights()))
    for data in (good + good, b"x" + good, good + b"x", folder_zip() + good):
        with pytest.raises((Invalid, Unsupported)):
            found(data)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a million lists", raw_safetensors(b'{"a":[' + b"[]," * 1_000_000 + b"[]]}")),
        ("200,000 texts", raw_safetensors(
            b'{"__metadata__":{' + b",".join(b'"%d":""' % n for n in range(200_000)) + b"}}")),
        ("60,000 entries", raw_safetensors(
            b"{" + b",".join(b'"%d":{"a":1}' % n for n in range(60_000)) + b"}")),
        ("brackets", raw_safetensors(b"[" * 4_000_000)),
        ("quotes", raw_safetensors(b'{"' + b"\\\"" * 2_000_000)),
        ("many members", zip_of_many(200_000)),
        ("many members that are one", zip_of_many(200_000, one=True)),
        ("long names", zip_of_many(20_000, b"n" * 1000 + b"%07d")),
        ("names that are too long", zip_of_many(500, b"n" * 60_000 + b"%07d")),
        ("half a directory", zipped(image_members())[:-200]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_no_header_takes_much_memory(name: str, data: bytes) -> None:
    looks = (lambda: found(data), lambda: check_dataset("image_zip", len(data), read(data)))
    tracemalloc.start()
    try:
        for each in looks:
            try:
                each()
            except ServiceError:
                continue
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most <= 8 << 20, name
