"""Energy by counters that only rise: of an NVIDIA GPU, or of the processor's packages.

Both count the whole device, idle power and other processes included, so that they say something
only of work that has the machine to itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import torch

Source = Literal["nvml", "rapl"]
POWERCAP: Final = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Counter:
    """`read` gives millijoules from an arbitrary zero; those of `modulus` count from zero again."""

    source: Source
    read: Callable[[], tuple[float, ...]]
    moduli: tuple[float, ...]

    def between(self, before: tuple[float, ...], after: tuple[float, ...]) -> float:
        """Millijoules from one reading to a later one, in which no counter went round twice."""
        return sum(
            new - old + (modulus if new < old else 0.0)
            for old, new, modulus in zip(before, after, self.moduli, strict=True)
        )


def counter_of(device: torch.device) -> Counter | None:
    """None where the device does not report its energy, or not to us."""
    return nvml() if device.type == "cuda" else rapl()


def rapl(root: Path = POWERCAP) -> Counter | None:
    """Every package of the machine, by Linux; readable for root alone where nothing was changed.

    Memory is not in it, nor is `psys`, which holds the packages once more.
    """
    zones = [zone for zone in sorted(root.glob("intel-rapl:*")) if _is_package(zone)]
    try:
        moduli = tuple(_number(zone / "max_energy_range_uj") / 1e3 for zone in zones)
        for zone in zones:
            _number(zone / "energy_uj")
    except (OSError, ValueError):
        return None
    if not zones:
        return None
    return Counter(
        "rapl", lambda: tuple(_number(zone / "energy_uj") / 1e3 for zone in zones), moduli
    )


def nvml() -> Counter | None:
    """The GPU that torch works on; those before Volta do not count, nor do parts of one (MIG)."""
    try:
        import pynvml  # optional, and harmless without a GPU
    except ImportError:
        return None
    name = f"GPU-{torch.cuda.get_device_properties(torch.cuda.current_device()).uuid}"
    return nvml_counter(pynvml, name)


def nvml_counter(library: Any, name: str) -> Counter | None:
    """`library` is pynvml, `name` the GPU's as NVML has it."""
    try:
        library.nvmlInit()
        handle = library.nvmlDeviceGetHandleByUUID(name)
        library.nvmlDeviceGetTotalEnergyConsumption(handle)
    except library.NVMLError:
        return None
    return Counter(
        "nvml", lambda: (float(library.nvmlDeviceGetTotalEnergyConsumption(handle)),), (0.0,)
    )


def _is_package(zone: Path) -> bool:
    try:
        return (zone / "name").read_text(encoding="ascii").startswith("package")
    except OSError:
        return False


def _number(file: Path) -> float:
    return float(file.read_text(encoding="ascii"))
