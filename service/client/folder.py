"""A model folder as one file to upload."""

import shutil
import zipfile
from pathlib import Path
from typing import Final

_TAKEN: Final = ("config.json", "preprocessor_config.json", "model.safetensors", "model.onnx")
_DATE: Final = (1980, 1, 1, 0, 0, 0)


def zip_folder(folder: Path, target: Path) -> Path:
    """Write the files that say what a model is to `target`: the same bytes for the same files.

    Nothing is compressed, weights hardly shrink. Raises FileNotFoundError without a config.json.
    """
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder} has no config.json")
    with zipfile.ZipFile(target, "w") as archive:
        for name in _TAKEN:
            if (folder / name).is_file():
                member = zipfile.ZipInfo(name, _DATE)
                with (
                    (folder / name).open("rb") as file,
                    archive.open(member, "w", force_zip64=True) as out,
                ):
                    shutil.copyfileobj(file, out, 1 << 20)
    return target
