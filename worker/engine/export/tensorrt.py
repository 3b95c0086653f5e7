"""TensorRT: an engine, which fits the kind of GPU and the version that it was built with."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from worker.engine.export.file import ExportedFile
from worker.engine.models.folder import LoadedModel
from worker.engine.tensorrt import Engine, engine_of


def to_tensorrt(
    loaded: LoadedModel, path: Path, *, facts: Mapping[str, str], threads: int
) -> ExportedFile:
    """In float32, TF32 off. An engine has no place for `facts`; threads are those of a GPU."""
    path.write_bytes(engine_of(loaded, "fp32"))
    return ExportedFile(path, f"tensorrt {version('tensorrt')}", Engine(path.read_bytes()))
