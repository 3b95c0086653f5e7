"""How full this worker's GPUs are, by NVML, which needs no torch and no CUDA context.

On a thread of its own: a driver that hangs must not hold up the heartbeat.
"""

import logging
import os
import threading
from typing import Any, Final

from service.contract.system import GpuMemory

log = logging.getLogger(__name__)

_EVERY_S: Final = 5.0


class GpuMemoryWatch:
    """The thread. Without NVML, or where it refuses, it ends and nothing is known."""

    def __init__(self, library: Any = None, *, every_s: float = _EVERY_S) -> None:
        """`library` is pynvml; None: import it."""
        self._library = library
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gpu-memory", daemon=True)
        self.latest: tuple[GpuMemory, ...] = ()
        """What was read last, by the numbers that NVML gives the GPUs."""

    def start(self) -> None:
        """Begin, with a first look at once."""
        self._thread.start()

    def close(self) -> None:
        """Stop; a call into the driver that hangs is left behind."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1)

    def _run(self) -> None:
        library = self._library or _nvml()
        if library is None:
            return
        try:
            library.nvmlInit()
            handles = handles_of(library, os.environ.get("CUDA_VISIBLE_DEVICES"))
            while not self._stopping.is_set():
                self.latest = tuple(_read(library, handle) for handle in handles)
                self._stopping.wait(self._every_s)
        except library.NVMLError as error:
            self.latest = ()
            log.warning("the memory of GPUs is not watched: %s", error)


def handles_of(library: Any, visible: str | None) -> list[Any]:
    """The GPUs that CUDA may use: all, or those that CUDA_VISIBLE_DEVICES names by number or id.

    Numbers are taken as NVML's, those of `nvidia-smi`; CUDA's differ on a machine of unlike GPUs,
    unless CUDA_DEVICE_ORDER is PCI_BUS_ID. Parts of a GPU (MIG) count as the GPU they are of.
    """
    count = library.nvmlDeviceGetCount()
    every = [library.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
    if visible is None:
        return every
    chosen = []
    for name in filter(None, (part.strip() for part in visible.split(","))):
        if name.isdigit():
            if int(name) >= count:  # CUDA too takes none from the first wrong one on
                break
            chosen.append(every[int(name)])
        elif name.startswith("MIG-"):
            part = library.nvmlDeviceGetHandleByUUID(name)
            chosen.append(library.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(part))
        else:
            chosen += [h for h in every if library.nvmlDeviceGetUUID(h).startswith(name)]
    return chosen


def _read(library: Any, handle: Any) -> GpuMemory:
    memory = library.nvmlDeviceGetMemoryInfo(handle)
    return GpuMemory(
        gpu=library.nvmlDeviceGetIndex(handle),
        used_bytes=int(memory.used),
        total_bytes=int(memory.total),
    )


def _nvml() -> Any:
    try:
        import pynvml
    except ImportError:
        return None
    return pynvml
