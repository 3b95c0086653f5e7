"""Documents drawn by processes that end: what draws keeps 240 MB, too much for the API."""

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from service.errors import Unavailable
from service.reports.documents import AnyDocument

_ENVIRONMENT: Final = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH")
_LONGEST_S: Final = 90.0  # two are enough on a quiet machine


class Turns:
    """Who may draw: few documents at once, and no document twice at once. Whoever draws or waits
    holds a thread of the API: few may wait, and not for long."""

    def __init__(self, at_once: int, waiting: int, patience_s: float) -> None:
        self.waiting = 0
        self._at_once, self._most_waiting, self._patience_s = at_once, waiting, patience_s
        self._drawing: set[str] = set()
        self._changed = threading.Condition()

    @contextmanager
    def of(self, document_id: str) -> Iterator[None]:
        """Nobody else draws the document meanwhile; another may have drawn it before. Raises
        Unavailable where it is not our turn soon."""
        with self._changed:
            if not self._is_free(document_id):
                self._wait_for(document_id)
            self._drawing.add(document_id)
        try:
            yield
        finally:
            with self._changed:
                self._drawing.remove(document_id)
                self._changed.notify_all()

    def _is_free(self, document_id: str) -> bool:
        return document_id not in self._drawing and len(self._drawing) < self._at_once

    def _wait_for(self, document_id: str) -> None:
        refused = Unavailable("this or other documents are being drawn", code="being_drawn")
        if self.waiting >= self._most_waiting:
            raise refused
        self.waiting += 1
        try:
            if not self._changed.wait_for(lambda: self._is_free(document_id), self._patience_s):
                raise refused
        finally:
            self.waiting -= 1


TURNS: Final = Turns(at_once=2, waiting=4, patience_s=1.0)
"""Those of this process."""


def draw(document: AnyDocument) -> dict[str, bytes]:
    """Every file of `service.reports.render`, by name. Takes about two seconds, and is done in
    one's turn. Raises Unavailable where the machine is too busy."""
    with tempfile.TemporaryDirectory(prefix="modelpress-drawing-") as scratch:
        source, target = Path(scratch) / "document.json", Path(scratch) / "drawn"
        source.write_text(document.model_dump_json(), encoding="utf-8")
        _run([str(source), str(target)])
        return {path.name: path.read_bytes() for path in sorted(target.iterdir())}


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
