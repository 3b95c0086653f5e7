"""Documents drawn by processes that end: what draws keeps 240 MB, too much for the API."""

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Final

from service.errors import Unavailable
from service.reports.documents import AnyDocument

_ENVIRONMENT: Final = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH")
_AT_ONCE: Final = threading.BoundedSemaphore(2)
_PATIENCE_S: Final = 20.0
_LONGEST_S: Final = 90.0  # two are enough on a quiet machine


def draw(document: AnyDocument) -> dict[str, bytes]:
    """Every file of `service.reports.render`, by name. Takes about two seconds. Raises Unavailable
    where others are being drawn for too long, or the machine is too busy."""
    if not _AT_ONCE.acquire(timeout=_PATIENCE_S):
        raise Unavailable("other documents are being drawn")
    try:
        with tempfile.TemporaryDirectory(prefix="modelpress-drawing-") as scratch:
            source, target = Path(scratch) / "document.json", Path(scratch) / "drawn"
            source.write_text(document.model_dump_json(), encoding="utf-8")
            _run([str(source), str(target)])
            return {path.name: path.read_bytes() for path in sorted(target.iterdir())}
    finally:
        _AT_ONCE.release()


def _run(arguments: list[str]) -> None:
    """Without our environment: who draws needs no secret."""
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    command = [sys.executable, "-m", "service.reports.render", *arguments]
    try:
        done = subprocess.run(
            command, env=kept, capture_output=True, text=True, timeout=_LONGEST_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable("drawing took too long") from error
    if done.returncode != 0:
        raise RuntimeError(f"drawing failed: {done.stderr[-2000:]}")
