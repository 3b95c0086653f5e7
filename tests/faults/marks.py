"""Where hostile files leave marks, if anything in them runs, and a secret that one may leak."""

import os
import pickle
from pathlib import Path

import numpy as np

from tests.faults.pickles import Call, touch

SECRET = "the quick brown fox keeps a secret"


class Marks:
    """A folder where what runs leaves marks, and a file that nobody should read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.chmod(0o777)  # who checks uploads may be somebody else
        self.secret = folder / "secret"
        self.secret.write_bytes(np.full(48, 7.0, np.float32).tobytes() + SECRET.encode())

    def command(self, label: str) -> str:
        """Leaves the mark of this name."""
        return touch(self.folder / "".join(c if c.isalnum() else "-" for c in label))

    def found(self) -> set[str]:
        """The marks there are."""
        return {path.name for path in self.folder.iterdir()} - {self.secret.name}


def evil(marks: Marks, label: str) -> bytes:
    """A pickle that leaves the mark of this name."""
    return pickle.dumps(Call(os.system, (marks.command(label),)), protocol=2)
