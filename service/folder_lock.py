"""One embedded stack per data folder, and where the one that runs can be found."""

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

_NAME: Final = "lock"


@dataclass(frozen=True)
class Holder:
    """The process that holds a folder, and its URL once it answers."""

    pid: int
    url: str | None


class FolderInUse(Exception):  # a fact about the folder
    """Another process holds the folder."""

    def __init__(self, folder: Path, holder: Holder | None) -> None:
        who = "another process" if holder is None else f"process {holder.pid}"
        where = f" at {holder.url}" if holder is not None and holder.url else ""
        super().__init__(f"Modelpress runs on {folder} already: {who}{where}")


class FolderLock:
    """Held by the kernel for this process, so that a crash leaves nothing behind."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / _NAME).open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise FolderInUse(folder, _read(folder)) from None
        self.describe(None)

    def describe(self, url: str | None) -> None:
        """Say where the holder answers."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write(json.dumps(asdict(Holder(os.getpid(), url))))
        self._file.flush()

    def release(self) -> None:
        """Let others have the folder."""
        self._file.seek(0)
        self._file.truncate()
        self._file.close()


def holder_of(folder: Path) -> Holder | None:
    """Who holds the folder now; None if nobody does."""
    try:
        with (folder / _NAME).open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(folder)
    except OSError:
        return None
    return None


def _read(folder: Path) -> Holder | None:
    try:
        return Holder(**json.loads((folder / _NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # it is being written
        return None
