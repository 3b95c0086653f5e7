"""Formats whose runtimes no worker has today: they are skipped with a reason, never failed."""

from collections.abc import Mapping
from pathlib import Path

from worker.engine.errors import RuntimeMissing
from worker.engine.export.file import ExportedFile, Exporter
from worker.engine.models.folder import LoadedModel


def absent(runtime: str) -> Exporter:
    """An exporter that says that there is none."""

    def export(
        loaded: LoadedModel, path: Path, *, facts: Mapping[str, str], threads: int
    ) -> ExportedFile:
        raise RuntimeMissing(f"this worker has no {runtime} to write and check the file with")

    return export
