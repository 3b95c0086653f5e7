"""Whether a file is of the format that was named for a dataset."""

from typing import Final

from service.contract.datasets import DatasetFormat
from service.errors import Invalid, Unsupported
from service.peek import parquet
from service.peek.foreign import HEAD_BYTES, foreign
from service.peek.source import Broken, ReadRange, Source
from service.peek.zip_directory import members_of

_MAX_MEMBERS: Final[dict[DatasetFormat, int]] = {
    "npz": 64,
    "image_zip": 2_000_000,
    "parquet": 8192,
    "csv_zip": 2_000_000,
}
_LOOKED_AT: Final = 50_000  # of a million pictures; a worker looks at all of them
_WANTED: Final[dict[DatasetFormat, str]] = {
    "npz": "npz is what numpy.savez writes",
    "image_zip": "image_zip is a zip of class folders",
    "parquet": "parquet is one .parquet file, or a zip of them",
    "csv_zip": "csv_zip is a zip of images and a table",
}


def check_dataset(form: DatasetFormat, size: int, read: ReadRange) -> None:
    """Raises Unsupported unless it looks like data of that format, Invalid if it is damaged."""
    source = Source(size, read)
    head = source.bytes_at(0, HEAD_BYTES)
    try:
        if head.startswith(b"PK"):
            _check_zip(form, source)
        elif form == "parquet" and head.startswith(parquet.MAGIC):
            parquet.check(source)
        else:
            known = foreign(head)
            what = f"this is {known.what}" if known else "this is something else"
            raise Unsupported(f"{_WANTED[form]}; {what}", code="unsupported_dataset_file")
    except Broken as error:
        raise _invalid(f"not a whole {form} file: {error}") from None


def _check_zip(form: DatasetFormat, source: Source) -> None:
    members = members_of(source)
    if members.count > _MAX_MEMBERS[form]:
        raise Broken(f"it has {members.count} members, {_MAX_MEMBERS[form]} are taken")
    arrays = sum(member.name.endswith(".npy") for member in members.first(_LOOKED_AT))
    if form == "npz" and arrays == 0:
        raise Unsupported(
            f"{_WANTED[form]}; this zip holds no arrays", code="unsupported_dataset_file"
        )


def _invalid(reason: str) -> Invalid:
    return Invalid.at("#/file", reason, "invalid_dataset")
