"""From anybody's file to canonical form, and what there is to say of the data."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from worker.engine.data.archive import opened
from worker.engine.data.canonical import NO_TEST_HINT
from worker.engine.data.canonical_writer import part_of, write_parts
from worker.engine.data.contact_sheet import draw_contact_sheet
from worker.engine.data.csv_zip import list_csv_zip
from worker.engine.data.decoding import Collected, collect
from worker.engine.data.findings import Findings, Survey
from worker.engine.data.image_folder import list_image_folder
from worker.engine.data.listing import Listing
from worker.engine.data.npz import read_npz
from worker.engine.data.rows import Part
from worker.engine.data.split import VALIDATION_SHARE, drawn
from worker.engine.errors import InvalidDataset

Format = Literal["npz", "image_zip", "parquet", "csv_zip"]
Size = tuple[int, int]

DATA: Final = "data.safetensors"
SHEET: Final = "contact-sheet.png"
_TEST_SHARE: Final = 0.2


@dataclass(frozen=True)
class Prepared:
    """A dataset in canonical form; `contact_sheet` is None for what are not images.

    `sizes` has the examples of each split, `counts` those of each class, by split. `mean` and
    `std` are of train.
    """

    path: Path
    contact_sheet: Path | None
    classes: int
    input_size: tuple[int, ...]
    labels: tuple[str, ...] | None
    sizes: Mapping[str, int]
    counts: Mapping[str, tuple[int, ...]]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    digest: str
    findings: Findings


def prepare(
    source: Path,
    folder: Path,
    format: Format,  # noqa: A002  # the service's word
    *,
    validation_share: float = VALIDATION_SHARE,
    seed: int = 0,
    image_size: Size | None = None,
    undecodable_share: float = 0.0,
) -> Prepared:
    """Read `source` and write it anew into `folder`, in memory that does not grow with images.

    Images become RGB of `image_size` (height, width), by default the commonest. What has no splits
    at all is split by `seed`, a fifth of each class for test; a missing validation split is cut
    from train. Up to `undecodable_share` of the images may be unreadable: they are left out.
    Raises InvalidDataset, DiskFull.
    """
    if format == "npz":
        data = read_npz(source, validation_share, seed)
        splits = {"train": data.train, "validation": data.validation, "test": data.test}
        parts = {name: part_of(split) for name, split in splits.items()}
        return _written(parts, data.labels, Findings(None, (), 0, ()), folder)
    with LISTERS[format](source, folder) as listing:
        collected = collect(listing, folder, image_size, undecodable_share)
        labels = listing.labels
    with closing(collected.rows):
        parts = _parts(collected, validation_share, seed)
        found = Findings(collected.sizes, (), collected.undecodable, collected.undecodable_names)
        return _written(parts, labels, found, folder)


def _parts(collected: Collected, validation_share: float, seed: int) -> dict[str, Part]:
    splits, y = collected.splits, collected.y
    given = set(splits.tolist())
    if given == {""}:
        splits = _moved(splits, y, "", "test", _TEST_SHARE, seed)
        splits = np.where(splits == "", "train", splits)
    elif "" in given:
        raise InvalidDataset("some images lie beside train, validation or test")
    elif "train" not in given:
        raise InvalidDataset("there is no training split")
    elif "test" not in given:
        raise InvalidDataset("there is no test split", hint=NO_TEST_HINT)
    if "validation" not in given:
        splits = _moved(splits, y, "train", "validation", validation_share, seed)
    orders = {name: np.flatnonzero(splits == name) for name in ("train", "validation", "test")}
    return {name: Part(collected.rows, order, y[order]) for name, order in orders.items()}


def _moved(
    splits: NDArray[np.str_],
    y: NDArray[np.int64],
    source: str,
    target: str,
    share: float,
    seed: int,
) -> NDArray[np.str_]:
    """A share of each class in the one split goes to the other, as `cut` does it in memory."""
    positions = np.flatnonzero(splits == source)
    chosen = drawn(torch.from_numpy(y[positions]), share, seed).numpy()
    moved = splits.copy()
    moved[positions[chosen]] = target
    return moved


def _written(
    parts: Mapping[str, Part], labels: tuple[str, ...] | None, found: Findings, folder: Path
) -> Prepared:
    highest = max(int(part.y.max()) for part in parts.values())
    if labels is not None and highest >= len(labels):
        raise InvalidDataset(f"label {highest} has no name among {len(labels)} names")
    classes = highest + 1 if labels is None else len(labels)
    survey = Survey()
    digest = write_parts(parts, labels, folder / DATA, survey.see)
    mean, std = survey.mean_and_std()
    rows = parts["train"].rows
    is_image = len(rows.shape) == 3 and rows.dtype == np.uint8
    if is_image:
        draw_contact_sheet(parts["train"], classes, labels, folder / SHEET)
    return Prepared(
        path=folder / DATA,
        contact_sheet=folder / SHEET if is_image else None,
        classes=classes,
        input_size=rows.shape,
        labels=labels,
        sizes={name: len(part) for name, part in parts.items()},
        counts={
            name: tuple(np.bincount(part.y[part.y >= 0], minlength=classes).tolist())
            for name, part in parts.items()
        },
        mean=mean,
        std=std,
        digest=digest,
        findings=replace(found, duplicates=survey.duplicates()),
    )


@contextmanager
def _image_folder(source: Path, _folder: Path) -> Iterator[Listing]:
    with opened(source) as archive:
        yield list_image_folder(archive)


@contextmanager
def _csv_zip(source: Path, _folder: Path) -> Iterator[Listing]:
    with opened(source) as archive:
        yield list_csv_zip(archive)


@contextmanager
def _parquet(source: Path, folder: Path) -> Iterator[Listing]:
    # Here, because pyarrow starts a thread when it is imported, and those that fork must not.
    from worker.engine.data.parquet import list_parquet

    yield list_parquet(source, folder)


LISTERS: Final[Mapping[Format, Callable[[Path, Path], AbstractContextManager[Listing]]]] = {
    "image_zip": _image_folder,
    "parquet": _parquet,
    "csv_zip": _csv_zip,
}
"""By format, what lists the images of a file; the folder is for what it has to unpack."""
