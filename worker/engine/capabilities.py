"""What this engine can do on this machine, in plain values for a worker's row."""

from typing import Any

import torch

from worker.engine.data.builtin import BUILTIN
from worker.engine.device import (
    compute_capability,
    cpu_features,
    device_name,
    has_int8_products,
    library_versions,
    memory_bytes,
    resolve_device,
)
from worker.engine.distill.losses import LOSSES
from worker.engine.export import formats
from worker.engine.measure import runtimes
from worker.engine.models import registry
from worker.engine.prune.recipe import IMPORTANCES_OF


def capabilities() -> dict[str, Any]:
    """JSON-ready: the device that `auto` means, versions, and the keys of every registry.

    `architectures` maps names to options; `left_out` maps packages that bring some, but cannot be
    loaded, to the reason.
    """
    device = resolve_device("auto")
    return {
        "device": device.type,
        "device_name": device_name(device),
        "gpus": torch.cuda.device_count(),
        "memory_bytes": memory_bytes(device),
        "cpu_features": list(cpu_features()),
        "has_int8_products": has_int8_products(),
        "compute_capability": compute_capability(device),
        "torch": torch.__version__,
        "libraries": library_versions(),
        "architectures": {n: sorted(taken) for n, taken in registry.options_by_name().items()},
        "left_out": registry.left_out(),
        "losses": list(LOSSES),
        "pruning": {name: list(taken) for name, taken in IMPORTANCES_OF.items()},
        "runtimes": list(runtimes.available()),
        "exporters": list(formats.available()),
        "datasets": list(BUILTIN),
    }
