"""The embedded stack, as a newcomer starts it, once for all flow tests."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelpress import Client
from service.embedded import Stack
from tests.waiting import wait_until
from tests.webhooks.receiver import Receiver, receiving


@pytest.fixture(scope="session")
def collector() -> Iterator[Receiver]:
    """Gets the traces of the stack's API and worker."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def stack(collector: Receiver) -> Iterator[Stack]:
    # A short path: unix sockets have no room for pytest's.
    folder = Path(tempfile.mkdtemp(prefix="mp-"))
    try:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("MODELPRESS_SOURCES", f"shared=file://{folder}/shared")
            environment.setenv("MODELPRESS_LOG_FORMAT", "json")
            environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.port}")
            environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
            with Stack(folder, port=0) as running:
                yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def client(stack: Stack) -> Iterator[Client]:
    with Client(stack.url, stack.key) as connected:
        wait_until(lambda: bool(connected.workers()), 60, "the worker to register")
        yield connected
