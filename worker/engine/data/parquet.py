"""Parquet in the layout in which Hugging Face keeps image datasets, a row group at a time."""

import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from worker.engine.data.archive import members, opened, read_errors
from worker.engine.data.listing import SPLIT_NAMES, Encoded, checked_names, numbered
from worker.engine.data.rows import reserve
from worker.engine.errors import InvalidDataset

MAX_ROWS: Final = 2_000_000
_MAX_COLUMNS: Final = 256
_MAX_FILES: Final = 4096
_MAX_METADATA: Final = 16 << 20
_MAX_STRINGS: Final = 64 << 20
_BATCH_ROWS: Final = 64  # what is in memory at once, whatever size a row group is
_BUFFER: Final = 1 << 20
# A dictionary lets a short file repeat a long image for ever.
_MAX_RATIO: Final = 100
_IMAGES: Final = ("image", "img")
_LABELS: Final = ("label", "labels")
_HINT: Final = (
    "Name the columns image (bytes, or a struct with bytes) and label, and the files "
    "train-….parquet, validation-….parquet and test-….parquet."
)


@dataclass(frozen=True)
class _File:
    """What the head of a file says; it is opened when it is read, since there may be many."""

    name: str
    split: str
    path: Path
    rows: int
    image: str
    label: str
    has_splits: bool
    class_names: tuple[str, ...] | None


@dataclass(frozen=True)
class ParquetListing:
    """The images of some files, read anew each time."""

    files: tuple[_File, ...]
    numbers: list[int]
    splits: list[str]
    labels: tuple[str, ...] | None

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Encoded]:
        images = chain.from_iterable(_images(file) for file in self.files)
        for (name, raw), split, label in zip(images, self.splits, self.numbers, strict=True):
            yield Encoded(name, split, label, lambda raw=raw: io.BytesIO(raw))  # type: ignore[misc]

    def sample(self, count: int) -> Iterable[Encoded]:
        """The first ones: to reach into the middle would mean to read up to there."""
        return islice(self, count)


def list_parquet(path: Path, folder: Path) -> ParquetListing:
    """One file, whose column `split` tells splits if it has one, or a zip of one or more a split.

    Members of a zip are unpacked into `folder`. Raises InvalidDataset.
    """
    return _listing(_unpacked(path, folder))


@contextmanager
def _arrow_errors() -> Iterator[None]:
    """Around reads of a file, and nothing else: a disk that is full is an OSError as well."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, MemoryError):
            raise
        raise InvalidDataset(f"not a readable parquet file: {error}"[:500]) from error


def _unpacked(path: Path, folder: Path) -> list[tuple[str, Path]]:
    """(name, file) of each parquet file."""
    if not zipfile.is_zipfile(path):
        return [("", path)]
    with opened(path) as archive:
        found = [(p, info) for p, info in members(archive) if p.suffix.lower() == ".parquet"]
        if not 0 < len(found) <= _MAX_FILES:
            raise InvalidDataset(f"the zip holds {len(found)} parquet files", hint=_HINT)
        reserve(folder, sum(info.file_size for _, info in found))
        files = []
        for number, (name, info) in enumerate(found):
            target = folder / f"part-{number}.parquet"
            with target.open("wb") as copy:
                copy.writelines(_chunks(archive, info))
            files.append((str(name), target))
    return files


def _chunks(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    with read_errors(), archive.open(info) as source:
        while chunk := source.read(_BUFFER):
            yield chunk


def _listing(paths: list[tuple[str, Path]]) -> ParquetListing:
    files = tuple(_open(name, path) for name, path in paths)
    if sum(file.rows for file in files) > MAX_ROWS:
        raise InvalidDataset(f"more than {MAX_ROWS} rows")
    given: list[str | int] = []
    splits: list[str] = []
    for file in files:
        given += _column(file, file.label)
        splits += _splits(file)
    if len(given) != len(splits) or len({type(label) for label in given}) > 1:
        raise InvalidDataset("labels are missing, or words in one file and numbers in another")
    if len(given) != sum(file.rows for file in files):
        raise InvalidDataset("not every row has a label")
    numbers, names = numbered(given)
    return ParquetListing(files, numbers, splits, names or _names_of(files))


def _names_of(files: tuple[_File, ...]) -> tuple[str, ...] | None:
    """The names of a ClassLabel feature, where files have one."""
    features = {file.class_names for file in files if file.class_names is not None}
    if len(features) > 1:  # the same number may be a cat in one file and a dog in another
        raise InvalidDataset("the files name their classes differently")
    return features.pop() if features else None


def _open(name: str, path: Path) -> _File:
    with _arrow_errors(), _reader(path) as parquet:
        schema, rows = parquet.schema_arrow, parquet.metadata.num_rows
    if len(schema.names) > _MAX_COLUMNS:
        raise InvalidDataset(f"{len(schema.names)} columns are more than {_MAX_COLUMNS}")
    image = next((column for column in _IMAGES if column in schema.names), None)
    label = next((column for column in _LABELS if column in schema.names), None)
    if image is None or label is None:
        raise InvalidDataset(
            f"no image or no label among the columns {', '.join(schema.names)}"[:300], hint=_HINT
        )
    _check_types(schema, image, label)
    return _File(
        name=name,
        split=_split_of(name),
        path=path,
        rows=rows,
        image=image,
        label=label,
        has_splits="split" in schema.names,
        class_names=_class_names(schema.metadata or {}, label),
    )


def _reader(path: Path) -> pq.ParquetFile:
    return pq.ParquetFile(
        path,
        memory_map=False,
        pre_buffer=False,
        buffer_size=_BUFFER,
        thrift_string_size_limit=_MAX_STRINGS,
        thrift_container_size_limit=MAX_ROWS,
        arrow_extensions_enabled=False,
    )


def _check_types(schema: pa.Schema, image: str, label: str) -> None:
    kind = schema.field(image).type
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise InvalidDataset(f"{image} must hold encoded images, got {kind}"[:300], hint=_HINT)
    kind = schema.field(label).type
    if not (
        pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)
    ):
        raise InvalidDataset(f"{label} must be numbers or words, got {kind}"[:300], hint=_HINT)


def _split_of(name: str) -> str:
    """From train-00000-of-00001.parquet, or from a folder of the split's name."""
    path = PurePosixPath(name)
    words = [path.stem.replace("_", "-").replace(".", "-").split("-")[0], *path.parts[:-1]]
    return next((SPLIT_NAMES[word.lower()] for word in words if word.lower() in SPLIT_NAMES), "")


def _batches(file: _File, column: str, rows: int) -> Iterator[tuple[list[Any], int]]:
    """(values, bytes) of so many rows at a time."""
    with _arrow_errors(), _reader(file.path) as parquet:
        batches = parquet.iter_batches(batch_size=rows, columns=[column], use_threads=False)
        for batch in batches:
            yield batch.column(0).to_pylist(), batch.nbytes


def _column(file: _File, column: str) -> list[Any]:
    """All values of a column of numbers or words; a row without one is an error."""
    values: list[Any] = []
    held = 0
    for batch, size in _batches(file, column, 65_536):
        held += size
        if held > _MAX_STRINGS or None in batch:
            raise InvalidDataset(f"{file.name} has rows without {column}, or words too long")
        values += batch
    return values


def _splits(file: _File) -> list[str]:
    if not file.has_splits:
        return [file.split] * file.rows
    given = _column(file, "split")
    unknown = {str(word) for word in given} - set(SPLIT_NAMES)
    if unknown:
        raise InvalidDataset(
            f"{min(unknown)[:40]!r} is no split", hint="Splits are train, validation and test."
        )
    return [SPLIT_NAMES[word] for word in given]


def _images(file: _File) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of each image; none, where the row has only a path."""
    number, budget = 0, max(_MAX_METADATA, _MAX_RATIO * file.path.stat().st_size)
    for batch, size in _batches(file, file.image, _BATCH_ROWS):
        budget -= size
        if budget < 0:
            raise InvalidDataset(f"{file.name} unpacks to more than {_MAX_RATIO} times its size")
        if number + len(batch) > file.rows:
            break
        for value in batch:
            yield _named(file, number, value)
            number += 1
    if number != file.rows:
        raise InvalidDataset(f"{file.name} has not as many images as rows")


def _named(file: _File, number: int, value: Any) -> tuple[str, bytes]:
    path = value.get("path") if isinstance(value, dict) else None
    raw = value.get("bytes") if isinstance(value, dict) else value
    where = f"{file.name} row {number}".strip()
    return (path[:200] if isinstance(path, str) and path else where), raw or b""


def _class_names(metadata: Mapping[bytes, bytes], label: str) -> tuple[str, ...] | None:
    raw = metadata.get(b"huggingface", b"{}")
    if len(raw) > _MAX_METADATA:
        raise InvalidDataset(f"the metadata are longer than {_MAX_METADATA} bytes")
    try:
        names = json.loads(raw)["info"]["features"][label]["names"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if isinstance(names, list) and all(isinstance(name, str) and name for name in names):
        return checked_names(names)
    return None
