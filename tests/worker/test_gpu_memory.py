"""The memory of GPUs, by a double of NVML: real ones are seen on machines that have them."""

from types import SimpleNamespace

import pytest

from service.contract.system import GpuMemory
from service.store.session import Database
from service.store.workers import WorkerStore
from tests.store.samples import GPU, worker_row
from tests.waiting import wait_until
from worker.gpu_memory import GpuMemoryWatch, handles_of
from worker.leases import Heartbeat

GIB = 1 << 30


class NvmlRefused(Exception):
    """What NVML raises."""


class Nvml:
    """Two GPUs, of which the second is cut in parts."""

    NVMLError = NvmlRefused

    def __init__(self, *, refuses: bool = False) -> None:
        self._refuses = refuses
        self.used = 1 * GIB

    def nvmlInit(self) -> None:
        if self._refuses:
            raise NvmlRefused("driver not loaded")

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return ("GPU-aaaa-1", "GPU-bbbb-2")[handle]

    def nvmlDeviceGetHandleByUUID(self, name: str) -> str:
        return f"part {name}"

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, part: str) -> int:
        assert part == "part MIG-7"
        return 1

    def nvmlDeviceGetIndex(self, handle: int) -> int:
        return handle

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(used=self.used, total=80 * GIB)


@pytest.mark.parametrize(
    ("visible", "handles"),
    [
        (None, [0, 1]),
        ("", []),
        ("1", [1]),
        ("1, 0", [1, 0]),
        ("0,7,1", [0]),
        ("GPU-bbbb", [1]),
        ("MIG-7", [1]),
    ],
)
def test_the_gpus_that_cuda_may_use_are_watched(visible: str | None, handles: list[int]) -> None:
    assert handles_of(Nvml(), visible) == handles


def test_what_is_known_follows_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    library = Nvml()
    watch = GpuMemoryWatch(library, every_s=0.005)
    watch.start()
    try:
        for used in (1 * GIB, 3 * GIB):
            library.used = used
            expected = (GpuMemory(gpu=1, used_bytes=used, total_bytes=80 * GIB),)
            wait_until(lambda expected=expected: watch.latest == expected, 5, "a reading")  # type: ignore[misc]
    finally:
        watch.close()


def test_without_a_driver_nothing_is_known_and_nothing_fails() -> None:
    watch = GpuMemoryWatch(Nvml(refuses=True))
    watch.start()
    watch.close()
    assert watch.latest == ()


def test_a_heartbeat_tells_of_it_again_after_its_row_was_swept_away(database: Database) -> None:
    known = [GpuMemory(gpu=0, used_bytes=1, total_bytes=9)]
    heartbeat = Heartbeat(
        database, worker_row(GPU), interval_s=0.01, lease_s=10, gpu_memory=lambda: tuple(known)
    )

    def shown() -> list[int]:
        with database.read() as session:
            rows = WorkerStore(session).list()
            return [memory["used_bytes"] for row in rows for memory in row.gpu_memory or ()]

    heartbeat.start()
    try:
        wait_until(lambda: shown() == [1], 5, "the first reading")
        known[0] = known[0].model_copy(update={"used_bytes": 2})
        wait_until(lambda: shown() == [2], 5, "a change")
        with database.transaction() as session:
            WorkerStore(session).remove(GPU.id)
        wait_until(lambda: shown() == [2], 5, "the new row")
    finally:
        heartbeat.close()
