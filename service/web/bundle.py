"""The charts library (Vega, Vega-Lite and Vega-Embed in one file) that vl-convert brings along.

It is made by a process that ends, since vl-convert keeps some 240 MB in its own, and kept on disk.
"""

import contextlib
import logging
import os
import subprocess
import sys
import tempfile
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Final

from service.errors import Unavailable

log = logging.getLogger(__name__)

_TIMEOUT_S: Final = 120.0
_MAKE: Final = (
    "import sys, vl_convert\n"
    "bundle = vl_convert.javascript_bundle('globalThis.vegaEmbed = vegaEmbed;')\n"
    "sys.stdout.buffer.write(bundle.encode())\n"
)


class Bundle:
    """Reads it, and makes it where it is not there yet. Used from any thread."""

    def __init__(self, folder: Path) -> None:
        """`folder` may not exist, and may not be writable: then every process makes its own."""
        self._path = folder / f"vega-{version('vl-convert-python')}.js"
        self._lock = threading.Lock()
        self._content: bytes | None = None

    def read(self) -> bytes:
        """Some 900 kB of JavaScript. Raises Unavailable where it cannot be made."""
        with self._lock:
            if self._content is None:
                self._content = self._kept() or self._made()
            return self._content

    def prepare(self) -> None:
        """Make it beforehand, on a thread, while nobody waits for it yet."""
        if self._content is None and not self._lock.locked():
            threading.Thread(target=self._prepare, name="charts-library", daemon=True).start()

    def _prepare(self) -> None:
        with contextlib.suppress(Unavailable):  # who wants it is told
            self.read()

    def _kept(self) -> bytes | None:
        try:
            return self._path.read_bytes()
        except OSError:
            return None

    def _made(self) -> bytes:
        command = [sys.executable, "-P", "-c", _MAKE]
        try:
            done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            log.exception("the charts library could not be made")
            raise Unavailable("the charts library could not be made") from error
        self._keep(done.stdout)
        return done.stdout

    def _keep(self, content: bytes) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self._path.parent)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            Path(name).replace(self._path)
        except OSError as error:
            log.info("the charts library is not kept: %s", error)
