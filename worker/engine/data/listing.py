"""Which images a dataset has, before any of them is decoded."""

import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol, cast

from worker.engine.data.archive import READ_ERRORS
from worker.engine.data.images import Undecodable
from worker.engine.data.split import MAX_CLASSES
from worker.engine.errors import InvalidDataset

LONGEST_NAME: Final = 128  # of a class: all of them are shown with the dataset
_WHOLE_BYTES: Final = 4 << 20  # members of this size are read at once: decoders read in snippets

SPLIT_NAMES: Final = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "val": "validation", "valid": "validation", "validation": "validation",
}  # fmt: skip
"""How people call the splits."""


@dataclass(frozen=True)
class Encoded:
    """An image as it came. `split` is empty where nothing says it; `open` may be called twice,
    in any thread, and raises Undecodable."""

    name: str
    split: str
    label: int
    open: Callable[[], BinaryIO]


class Listing(Protocol):
    """The images of a dataset. May be gone through several times."""

    @property
    def labels(self) -> tuple[str, ...] | None:
        """Names of the classes, where there are names."""
        ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Encoded]: ...

    def sample(self, count: int) -> Iterable[Encoded]:
        """About `count` of them, or all."""
        ...


@dataclass(frozen=True)
class Listed:
    """A listing that can be reached into anywhere."""

    images: Sequence[Encoded]
    labels: tuple[str, ...] | None

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[Encoded]:
        return iter(self.images)

    def sample(self, count: int) -> Iterable[Encoded]:
        """Evenly spaced ones."""
        return self.images[:: -(-len(self.images) // count)]


def member_opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], BinaryIO]:
    """How to open a member of a zip as an image's bytes."""

    def open_member() -> BinaryIO:
        try:
            if info.file_size <= _WHOLE_BYTES:
                return io.BytesIO(archive.read(info))
            return cast(BinaryIO, archive.open(info))
        except READ_ERRORS as error:
            raise Undecodable(str(error)) from error

    return open_member


def checked_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names of classes, if people can read them. Raises InvalidDataset."""
    for name in names:
        if len(name) > LONGEST_NAME or not name.isprintable():
            raise InvalidDataset(
                f"the class {name[:40]!r} has a name of more than {LONGEST_NAME} characters, or "
                "with characters that cannot be shown"
            )
    return tuple(names)


def numbered(given: Sequence[str | int]) -> tuple[list[int], tuple[str, ...] | None]:
    """(class of each, names of the classes).

    Whole numbers are taken as they are, from 0, and have no names, as in .npz; words are sorted.
    """
    if all(isinstance(label, int) for label in given):
        numbers = cast(list[int], list(given))
        if numbers and not 0 <= min(numbers) <= max(numbers) < MAX_CLASSES:
            raise InvalidDataset(
                f"labels must be from 0 to {MAX_CLASSES - 1}, got {min(numbers)} to {max(numbers)}",
                hint="A split whose labels are -1 has none: leave it out.",
            )
        return numbers, None
    names = checked_names(sorted({str(label) for label in given}))
    if len(names) > MAX_CLASSES:
        raise InvalidDataset(f"{len(names)} classes are more than the {MAX_CLASSES} allowed")
    index = {name: number for number, name in enumerate(names)}
    return [index[str(label)] for label in given], names
