"""What this engine can do on this machine, in plain values for a worker's row."""

from typing import Any

import torch

from worker.engine.data.builtin import BUILTIN
from worker.engine.device import device_name, memory_bytes, resolve_device
from worker.engine.distill.losses import LOSSES
from worker.engine.measure.runtimes import RUNTIMES
from worker.engine.models.registry import ARCHITECTURES


def capabilities() -> dict[str, Any]:
    """JSON-ready: the device that `auto` means, versions, and the keys of every registry."""
    device = resolve_device("auto")
    return {
        "device": device.type,
        "device_name": device_name(device),
        "memory_bytes": memory_bytes(device),
        "torch": torch.__version__,
        "architectures": list(ARCHITECTURES),
        "architecture_options": {n: sorted(a.options) for n, a in ARCHITECTURES.items()},
        "losses": list(LOSSES),
        "runtimes": list(RUNTIMES),
        "datasets": list(BUILTIN),
    }
