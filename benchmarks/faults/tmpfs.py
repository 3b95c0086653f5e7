"""A file system in memory that is soon full, where we may mount one."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def tmpfs(folder: Path, mib: int) -> Iterator[bool]:
    """`folder` as a file system of `mib` MiB. False, and an ordinary folder, without the right."""
    options = f"size={mib}m,mode=0711"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            # Lazily: what was killed a moment ago may still hold a file open.
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, leave_bytes: int) -> Path:
    """Take all but `leave_bytes` of the space; unlink the file that is returned to give it back."""
    ballast = folder / "ballast"
    with ballast.open("wb") as file:
        while True:
            stats = os.statvfs(folder)
            size = stats.f_bavail * stats.f_frsize - leave_bytes
            if size <= 0:  # others have filled it meanwhile
                return ballast
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                continue  # another wrote between the look and the taking
            return ballast
