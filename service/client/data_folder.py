"""A folder of images, tables or parquet as one file to upload."""

import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Final

from service.client.archive import zip_files
from service.contract.datasets import DatasetFormat

_IMAGES: Final = frozenset({".png", ".jpg", ".jpeg"})
_TABLES: Final = frozenset({".csv", ".jsonl"})
_TAKEN: Final[dict[DatasetFormat, frozenset[str]]] = {
    "image_zip": _IMAGES,
    "csv_zip": _IMAGES | _TABLES,
    "parquet": frozenset({".parquet"}),
}


def format_of(path: Path) -> DatasetFormat:
    """What a folder or file of data is, by the suffixes of what it holds. ValueError: unknown."""
    if path.is_dir():
        return _by_suffixes(name.suffix.lower() for name in _files(path))
    match path.suffix.lower():
        case ".npz":
            return "npz"
        case ".parquet":
            return "parquet"
        case ".zip":
            with zipfile.ZipFile(path) as archive:
                return _by_suffixes(PurePath(name).suffix.lower() for name in archive.namelist())
        case suffix:
            raise ValueError(
                f"cannot tell the format from {suffix!r}; send .npz, .zip, .parquet or a folder"
            )


def zip_data(folder: Path, form: DatasetFormat, target: Path) -> Path:
    """Write what the format takes of a folder to `target`: the same bytes for the same files.

    ValueError if there is nothing to take.
    """
    taken = _TAKEN.get(form, frozenset())
    names = [name for name in _files(folder) if name.suffix.lower() in taken]
    if not names:
        raise ValueError(f"{folder} holds nothing for the format {form}")
    return zip_files(folder, names, target)


def _by_suffixes(suffixes: Iterable[str]) -> DatasetFormat:
    found = set(suffixes)
    if ".parquet" in found:
        return "parquet"
    return "csv_zip" if found & _TABLES else "image_zip"


def _files(folder: Path) -> list[PurePath]:
    """Regular files below the folder, relative to it, without hidden ones, in order."""
    found = (path for path in folder.rglob("*") if path.is_file())
    names = (PurePath(path.relative_to(folder)) for path in found)
    return sorted(name for name in names if not any(part.startswith(".") for part in name.parts))
