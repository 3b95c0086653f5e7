"""A zip of images and of a table that says what they are: CSV, or Hugging Face's metadata.jsonl."""

import csv
import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from worker.engine.data.archive import members, read_errors
from worker.engine.data.images import SUFFIXES
from worker.engine.data.listing import SPLIT_NAMES, Encoded, Listed, member_opener, numbered
from worker.engine.errors import InvalidDataset

TABLE_SUFFIXES: Final = (".csv", ".jsonl")
_MAX_TABLE_BYTES: Final = 256 << 20
_MAX_COLUMNS: Final = 64
_PATHS: Final = ("path", "file_name", "filename", "image")
_HINT: Final = "Name the columns path (or file_name), label and, if you like, split."


@dataclass(frozen=True)
class _Row:
    path: PurePosixPath
    label: str | int
    split: str


def list_csv_zip(archive: zipfile.ZipFile) -> Listed:
    """The images that the tables name, in the order of the tables.

    A table is a .csv with a heading or a .jsonl of objects; there may be one in each folder. Paths
    are relative to the table's folder, and must be members of the zip. The split comes from the
    column `split`, else from the first folder. Raises InvalidDataset.
    """
    found = dict(members(archive))
    tables = [path for path in found if path.suffix.lower() in TABLE_SUFFIXES]
    if not tables:
        raise InvalidDataset("the zip holds no .csv or .jsonl", hint=_HINT)
    rows = [row for table in tables for row in _rows(archive, table, found[table])]
    if len({row.path for row in rows}) != len(rows):
        raise InvalidDataset("an image is named twice")
    labels, names = numbered(_alike([row.label for row in rows]))
    images = []
    for row, label in zip(rows, labels, strict=True):
        if row.path not in found or row.path.suffix.lower() not in SUFFIXES:
            raise InvalidDataset(f"{str(row.path)[:200]!r} is not a PNG or JPEG image of the zip")
        opener = member_opener(archive, found[row.path])
        images.append(Encoded(str(row.path), row.split, label, opener))
    return Listed(images, names)


def _rows(archive: zipfile.ZipFile, table: PurePosixPath, info: zipfile.ZipInfo) -> Iterator[_Row]:
    if info.file_size > _MAX_TABLE_BYTES:
        raise InvalidDataset(f"{table} is longer than {_MAX_TABLE_BYTES} bytes")
    with read_errors():
        raw = archive.read(info)
    try:
        text = raw.decode("utf-8-sig")
        records = _csv(text) if table.suffix.lower() == ".csv" else _json_lines(text)
        for number, record in enumerate(records, 1):
            yield _row(record, table, number)
    except (UnicodeDecodeError, csv.Error, ValueError, RecursionError) as error:
        raise InvalidDataset(f"{table} cannot be read: {error}"[:500]) from error


def _csv(text: str) -> Iterable[Mapping[str, Any]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    columns = reader.fieldnames or ()
    if len(columns) > _MAX_COLUMNS or len(set(columns)) != len(columns):
        raise ValueError(f"it has {len(columns)} columns, more than taken or one of them twice")
    return reader


def _json_lines(text: str) -> Iterable[Mapping[str, Any]]:
    for line in filter(str.strip, text.split("\n")):
        record = json.loads(line)
        if not isinstance(record, dict):
            raise ValueError("a line is not an object")
        yield record


def _row(record: Mapping[str, Any], table: PurePosixPath, number: int) -> _Row:
    name = next((record[key] for key in _PATHS if key in record), None)
    label = record.get("label")
    sound = isinstance(label, str | int) and not isinstance(label, bool) and label != ""
    if not isinstance(name, str) or not name or not sound:
        raise InvalidDataset(f"row {number} of {table} has no path or no label", hint=_HINT)
    path = table.parent / name
    if not path.parts:
        raise InvalidDataset(f"row {number} of {table} names no file", hint=_HINT)
    given = record.get("split") or path.parts[0]
    split = SPLIT_NAMES.get(str(given).strip().lower(), "")
    if record.get("split") and not split:
        raise InvalidDataset(
            f"row {number} of {table} names the split {str(given)[:40]!r}",
            hint="Splits are train, validation and test.",
        )
    return _Row(path, label, split)  # type: ignore[arg-type]  # `sound` says so


def _alike(labels: list[str | int]) -> list[str | int]:
    """CSV has only words: those that are all whole numbers are numbers."""
    if all(isinstance(label, int) or (label.isascii() and label.isdigit()) for label in labels):
        if any(len(str(label)) > 9 for label in labels):
            raise InvalidDataset("a label is a number of more than nine digits")
        return [int(label) for label in labels]
    return labels
