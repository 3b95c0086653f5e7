"""A zip of images, one folder per class: the layout of torchvision's ImageFolder."""

import zipfile
from pathlib import PurePosixPath
from typing import Final

from worker.engine.data.archive import common_root, members
from worker.engine.data.images import SUFFIXES
from worker.engine.data.listing import SPLIT_NAMES, Encoded, Listed, member_opener, numbered
from worker.engine.errors import InvalidDataset

_LAYOUT_HINT: Final = "Lay images out as train/CLASS/NAME.png and test/CLASS/NAME.png."


def list_image_folder(archive: zipfile.ZipFile) -> Listed:
    """Images of train/, validation/ (val/) and test/ of class folders, or of one tree of them,
    whose images have no split. Raises InvalidDataset.
    """
    found = members(archive)
    if not found:
        raise InvalidDataset("the zip holds no images", hint=_LAYOUT_HINT)
    paths = [path for path, _ in found]
    root = common_root(paths)
    # One folder around everything; but one class folder, or one split, is no such folder.
    if root and (paths[0].parts[0] in SPLIT_NAMES or min(len(path.parts) for path in paths) < 3):
        root = 0
    places = [_place(PurePosixPath(*path.parts[root:])) for path in paths]
    labels, names = numbered([label for _, label in places])
    images = [
        Encoded(info.filename, split, label, member_opener(archive, info))
        for (_, info), (split, _), label in zip(found, places, labels, strict=True)
    ]
    return Listed(images, names)


def _place(path: PurePosixPath) -> tuple[str, str]:
    """(split, class)."""
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidDataset(f"{path} is not a PNG or JPEG image")
    *folders, _ = path.parts
    split = SPLIT_NAMES.get(folders[0], "") if folders else ""
    classes = folders[1:] if split else folders
    if len(classes) != 1:
        raise InvalidDataset(f"{path} does not lie in a class folder", hint=_LAYOUT_HINT)
    return split, classes[0]
