"""The whole service, once for all of these tests."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from modelpress import Client
from service.embedded import Stack
from tests.faults.marks import Marks
from tests.waiting import wait_until


@pytest.fixture(scope="package")
def stack() -> Iterator[Stack]:
    folder = Path(tempfile.mkdtemp(prefix="mp-"))
    try:
        with Stack(folder, port=0) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="package")
def client(stack: Stack) -> Iterator[Client]:
    with Client(stack.url, stack.key) as connected:
        wait_until(lambda: bool(connected.workers()), 60, "the worker to register")
        yield connected


@pytest.fixture(scope="package")
def http(stack: Stack, client: Client) -> Iterator[httpx2.Client]:
    """Plain HTTP, once a worker is there."""
    headers = {"Authorization": f"Bearer {stack.key}"}
    with httpx2.Client(base_url=stack.url, headers=headers) as connected:
        yield connected


@pytest.fixture
def marks() -> Iterator[Marks]:
    """A folder that anybody on the machine can write to."""
    folder = Path(tempfile.mkdtemp(prefix="mp-marks-"))
    yield Marks(folder)
    shutil.rmtree(folder)
