"""Image datasets in other people's formats, written by the libraries that people use."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

Colour = tuple[int, int, int]
RED, BLUE = (255, 0, 0), (0, 0, 255)


def png(colour: Colour, size: tuple[int, int] = (6, 4), form: str = "PNG") -> bytes:
    """One colour; `size` is width and height, as Pillow has it."""
    return encoded(Image.new("RGB", size, colour), form)


def encoded(image: Image.Image | NDArray[Any], form: str = "PNG", **options: Any) -> bytes:
    """An image, or pixels [H, W, 3] or [H, W], as a file's bytes."""
    file = io.BytesIO()
    made = image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image))
    made.save(file, form, **options)
    return file.getvalue()


def zipped(path: Path, files: Mapping[str, bytes | str]) -> Path:
    """A zip of files by name."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def folder_of(
    splits: Mapping[str, int], classes: Mapping[str, Colour] | None = None
) -> dict[str, bytes]:
    """The files of an ImageFolder: so many images of each colour in each split, no two alike."""
    colours = classes or {"blue": BLUE, "red": RED}
    return {
        f"{split}/{label}/{number}.png": png((*colour[:1], 10 * at + number, *colour[2:]))
        for at, (split, count) in enumerate(splits.items())
        for label, colour in colours.items()
        for number in range(count)
    }


def parquet(
    path: Path,
    images: Sequence[Any],
    labels: Sequence[Any],
    *,
    names: Sequence[str] | None = None,
    **columns: Sequence[Any],
) -> Path:
    """As Hugging Face's datasets write it: a struct of bytes and path, features in the metadata."""
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    values = [
        {"bytes": image, "path": f"{number}.png"} if isinstance(image, bytes) else image
        for number, image in enumerate(images)
    ]
    table = pa.table({"image": pa.array(values, struct), "label": labels, **columns})
    if names is not None:
        label = {"names": list(names), "_type": "ClassLabel"}
        features = {"info": {"features": {"image": {"_type": "Image"}, "label": label}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    pq.write_table(table, path, row_group_size=5)
    return path
