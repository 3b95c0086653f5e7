"""A model folder as one file to upload."""

from pathlib import Path, PurePath
from typing import Final

from service.client.archive import zip_files

_TAKEN: Final = ("config.json", "preprocessor_config.json", "model.safetensors", "model.onnx")


def zip_folder(folder: Path, target: Path) -> Path:
    """Write the files that say what a model is to `target`: the same bytes for the same files.

    Raises FileNotFoundError without a config.json.
    """
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder} has no config.json")
    names = (PurePath(name) for name in _TAKEN)
    return zip_files(folder, (name for name in names if (folder / name).is_file()), target)
