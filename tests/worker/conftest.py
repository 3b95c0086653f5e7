from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.starter import Starter
from worker.engine_host import EngineHost


@pytest.fixture(scope="module")
def shared_host() -> Iterator[EngineHost]:
    """One server without torch; a test that hurts its server starts its own."""
    with tempfile.TemporaryDirectory() as scratch, EngineHost(Path(scratch), preload=()) as host:
        host.wait_ready(30)
        yield host


@pytest.fixture
def start(shared_host: EngineHost) -> Iterator[Starter]:
    # Not pytest's own folder: root's are closed to the nobody that an intake child becomes.
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch).chmod(0o755)
        starter = Starter(shared_host, Path(scratch))
        yield starter
        starter.close()
