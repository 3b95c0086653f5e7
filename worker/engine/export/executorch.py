"""ExecuTorch: a program for phones and boards, its kernels those of XNNPACK."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from worker.engine.executorch import Program, lowered
from worker.engine.export.file import ExportedFile
from worker.engine.models.folder import LoadedModel


def to_executorch(
    loaded: LoadedModel, path: Path, *, facts: Mapping[str, str], threads: int
) -> ExportedFile:
    """Batches of 1 to 64. `facts` are what the program's method "modelpress" answers, as JSON."""
    path.write_bytes(lowered(loaded, facts))
    program = Program(path.read_bytes(), threads)
    return ExportedFile(path, f"executorch {version('executorch')}", program)
