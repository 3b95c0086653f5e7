"""A zip of images, one folder per class, from anybody: read member by member, never extracted."""

import io
import stat
import zipfile
import zlib
from collections import Counter, defaultdict
from pathlib import Path, PurePosixPath
from typing import Final

import torch
from PIL import Image
from torch import Tensor

from worker.engine.data.canonical import NO_TEST_HINT
from worker.engine.data.split import VALIDATION_SHARE, Data, Split, cut
from worker.engine.errors import InvalidDataset

MAX_FILES: Final = 200_000
MAX_BYTES: Final = 8 * 2**30
MAX_RATIO: Final = 100  # PNG and JPEG are compressed already
MAX_PIXELS: Final = 25_000_000
FORMATS: Final = ("PNG", "JPEG")
SUFFIXES: Final = (".png", ".jpg", ".jpeg")
_SPLITS: Final = {
    "train": "train", "test": "test", "val": "validation", "valid": "validation",
    "validation": "validation",
}  # fmt: skip
_TEST_SHARE: Final = 0.2

Size = tuple[int, int]
Member = tuple[str, str, zipfile.ZipInfo]  # split (empty: one tree), class, file


def read_image_zip(
    path: Path,
    validation_share: float = VALIDATION_SHARE,
    seed: int = 0,
    image_size: Size | None = None,
) -> Data:
    """Read train/, validation/ (val/) and test/ of class folders, or one tree of class folders.

    One tree is split by `seed`, a fifth of each class for test; validation is cut from train if
    absent. Images become RGB of `image_size` (height, width), by default the most common size.
    Raises `InvalidDataset`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive)
            size = image_size or _common_size(archive, members)
            labels = tuple(sorted({label for _, label, _ in members}))
            splits = _read(archive, members, labels, size)
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise InvalidDataset(f"not a readable zip of images: {error}") from error
    return _assemble(splits, labels, validation_share, seed)


def _assemble(
    splits: dict[str, Split], labels: tuple[str, ...], validation_share: float, seed: int
) -> Data:
    if "" in splits:
        train, test = cut(splits[""], _TEST_SHARE, seed)
    elif "train" not in splits:
        raise InvalidDataset("there is no training split")
    elif "test" not in splits:
        raise InvalidDataset("there is no test split", hint=NO_TEST_HINT)
    else:
        train, test = splits["train"], splits["test"]
    validation = splits.get("validation")
    if validation is None:
        train, validation = cut(train, validation_share, seed)
    return Data.of(train, validation, test, labels)


def _members(archive: zipfile.ZipFile) -> list[Member]:
    infos = [info for info in archive.infolist() if not info.is_dir()]
    _check_sizes(infos)
    paths = [(_safe_path(info), info) for info in infos]
    images = [(path, info) for path, info in paths if not _is_litter(path)]
    if not images:
        raise InvalidDataset("the zip holds no images")
    root = _common_root([path for path, _ in images])
    members = [_placed(PurePosixPath(*path.parts[root:]), info) for path, info in images]
    if len({split == "" for split, _, _ in members}) > 1:
        raise InvalidDataset("class folders lie beside train, validation or test")
    return sorted(members, key=lambda member: member[2].filename)


def _check_sizes(infos: list[zipfile.ZipInfo]) -> None:
    if len(infos) > MAX_FILES:
        raise InvalidDataset(f"{len(infos)} files are more than the {MAX_FILES} allowed")
    total = sum(info.file_size for info in infos)
    if total > MAX_BYTES:
        raise InvalidDataset(f"{total} bytes are more than the {MAX_BYTES} allowed")
    for info in infos:
        if info.file_size > max(2**16, MAX_RATIO * info.compress_size):
            raise InvalidDataset(f"{info.filename} claims to unpack to {info.file_size} bytes")


def _safe_path(info: zipfile.ZipInfo) -> PurePosixPath:
    path = PurePosixPath(info.filename)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise InvalidDataset(f"{info.filename} is not a regular file")
    if info.flag_bits & 0x1:
        raise InvalidDataset(f"{info.filename} is encrypted")
    unsafe = path.is_absolute() or ".." in path.parts or "\\" in info.filename
    if unsafe or not info.filename.isprintable():
        raise InvalidDataset(f"{info.filename!r} is not a safe name")
    return path


def _is_litter(path: PurePosixPath) -> bool:
    # What desktop systems leave in folders.
    return path.parts[0] == "__MACOSX" or path.name in (".DS_Store", "Thumbs.db", "desktop.ini")


def _common_root(paths: list[PurePosixPath]) -> int:
    """1 where everything lies in one folder around the class or split folders."""
    first = {path.parts[0] for path in paths}
    nested = min(len(path.parts) for path in paths) >= 3
    return 1 if len(first) == 1 and nested and next(iter(first)) not in _SPLITS else 0


def _placed(path: PurePosixPath, info: zipfile.ZipInfo) -> Member:
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidDataset(f"{info.filename} is not a PNG or JPEG image")
    *folders, _ = path.parts
    split = _SPLITS.get(folders[0], "") if folders else ""
    classes = folders[1:] if split else folders
    if len(classes) != 1:
        raise InvalidDataset(
            f"{info.filename} does not lie in a class folder",
            hint="Lay images out as train/CLASS/NAME.png and test/CLASS/NAME.png.",
        )
    return split, classes[0], info


def _common_size(archive: zipfile.ZipFile, members: list[Member]) -> Size:
    sizes = Counter(_opened(archive, info).size for _, _, info in members)
    # Of equally common sizes the larger, so that the answer does not hang on the files' order.
    width, height = max(sizes, key=lambda size: (sizes[size], size))
    return height, width


def _read(
    archive: zipfile.ZipFile, members: list[Member], labels: tuple[str, ...], size: Size
) -> dict[str, Split]:
    if len(members) * 3 * size[0] * size[1] > MAX_BYTES:
        raise InvalidDataset(f"{len(members)} images of {size} need more than {MAX_BYTES} bytes")
    numbers = {label: number for number, label in enumerate(labels)}
    grouped: dict[str, list[tuple[Tensor, int]]] = defaultdict(list)
    for split, label, info in members:
        grouped[split].append((_pixels(archive, info, size), numbers[label]))
    return {
        split: Split(torch.stack([x for x, _ in items]), torch.tensor([y for _, y in items]))
        for split, items in grouped.items()
    }


def _opened(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(archive.read(info)), formats=FORMATS)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidDataset(f"{info.filename} is not a PNG or JPEG image") from error
    if image.width * image.height > MAX_PIXELS:
        raise InvalidDataset(f"{info.filename} has more than {MAX_PIXELS} pixels")
    return image


def _pixels(archive: zipfile.ZipFile, info: zipfile.ZipInfo, size: Size) -> Tensor:
    """RGB uint8 [3, H, W]."""
    try:
        image = _opened(archive, info).convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:
        raise InvalidDataset(f"{info.filename} cannot be decoded") from error
    height, width = size
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    raw = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return raw.reshape(height, width, 3).permute(2, 0, 1).contiguous()
