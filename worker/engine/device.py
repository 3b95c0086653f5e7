"""Devices, arithmetic, and a description of the machine."""

import importlib.metadata
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, assert_never

import torch

from worker.engine.errors import UnsupportedDevice

DeviceName = Literal["auto", "cpu", "cuda"]
Precision = Literal["fp32", "bf16", "fp16"]
PrecisionName = Literal["auto", "fp32", "bf16", "fp16"]

_LIBRARIES: Final = (
    "torch", "torchvision", "numpy", "safetensors", "onnx", "onnxruntime", "openvino", "nncf",
    "executorch", "tensorrt",
)  # fmt: skip
# What decides which arithmetic gains: products of int8 and of 16 bits; names of x86, then of Arm.
_CPU_FEATURES: Final = (
    "avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16",
    "asimddp", "i8mm", "bf16",
)  # fmt: skip
_INT8_PRODUCTS: Final = frozenset({"avx_vnni", "avx512_vnni", "amx_int8", "asimddp"})


@dataclass(frozen=True)
class Environment:
    """Where a measurement was made; it belongs beside every figure."""

    device: str
    device_name: str
    precision: str
    threads: int
    cpu_count: int
    platform: str
    python: str
    libraries: dict[str, str]
    cuda: str | None
    driver: str | None


def resolve_device(name: DeviceName = "auto") -> torch.device:
    """The device to work on. Raises `UnsupportedDevice` where a named one is absent."""
    match name:
        case "cpu":
            return torch.device("cpu")
        case "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        case "cuda":
            if not torch.cuda.is_available():
                raise UnsupportedDevice("no CUDA device is visible to this process")
            return torch.device("cuda")
        case _:
            assert_never(name)


def resolve_precision(name: PrecisionName, device: torch.device) -> Precision:
    """The arithmetic of the forward pass: `auto` is bf16 where `has_bf16`, else fp32.

    On CUDA, fp32 means IEEE fp32: TF32 convolutions are switched off for the whole process.
    """
    match name:
        case "auto":
            return "bf16" if has_bf16(device) else resolve_precision("fp32", device)
        case "fp32":
            if device.type == "cuda":
                torch.backends.cudnn.allow_tf32 = False
            return "fp32"
        case "bf16":
            return "bf16"
        case "fp16":
            if device.type != "cuda":
                raise UnsupportedDevice("fp16 needs a CUDA device; ask for bf16 or fp32")
            return "fp16"
        case _:
            assert_never(name)


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 by itself; an emulation would be slower than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    found = torch.cpu.get_capabilities()
    # The first two are names of x86, the last one of Arm.
    return any(found.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """A context in which the forward pass runs in `precision`; weights stay in float32."""
    match precision:
        case "fp32":
            return nullcontext()
        case "bf16":
            return torch.autocast(device.type, torch.bfloat16)
        case "fp16":
            return torch.autocast(device.type, torch.float16)
        case _:
            assert_never(precision)


def grad_scaler(device: torch.device, precision: Precision) -> torch.amp.GradScaler:
    """A loss scaler: active for fp16, whose gradients underflow, and transparent otherwise."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")


def synchronizer(device: torch.device) -> Callable[[], None]:
    """A function that waits until everything queued on `device` is done."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return lambda: None


def memory_bytes(device: torch.device) -> int:
    """Total memory of the GPU, or of the machine."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def cpu_features() -> tuple[str, ...]:
    """Of the processor's instruction sets those that decide what compression gains, by the names
    that Linux has for them. Empty where it cannot be read."""
    found = {
        word
        for key in ("flags", "Features")  # as x86 and as Arm call them
        for line in set(_cpu_lines(key))
        for word in line.split()
    }
    return tuple(name for name in _CPU_FEATURES if name in found)


def has_int8_products() -> bool:
    """Whether the processor adds int8 products in 32 bits; older x86 ones saturate at 16."""
    return not _INT8_PRODUCTS.isdisjoint(cpu_features())


def compute_capability(device: torch.device) -> str | None:
    """What generation a GPU is, such as `9.0`; None for a processor."""
    if device.type != "cuda":
        return None
    major, minor = torch.cuda.get_device_capability(device)
    return f"{major}.{minor}"


def device_name(device: torch.device) -> str:
    """Marketing name of the GPU or processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _cpu_name()


def describe(device: torch.device, precision: Precision) -> Environment:
    """What this process runs on now; `threads` is torch's current setting."""
    on_gpu = device.type == "cuda"
    return Environment(
        device=device.type,
        device_name=device_name(device),
        precision=precision,
        threads=torch.get_num_threads(),
        cpu_count=len(os.sched_getaffinity(0)),
        platform=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        libraries=library_versions(),
        cuda=torch.version.cuda,
        driver=_driver_version() if on_gpu else None,
    )


def library_versions() -> dict[str, str]:
    """Of torch and its relatives, those that are installed."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _cpu_name() -> str:
    return next(_cpu_lines("model name"), "") or platform.processor() or platform.machine()


def _cpu_lines(name: str) -> Iterator[str]:
    """What Linux says of each processor under `name`; nothing on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == name:
            yield value.strip()


def _driver_version() -> str | None:
    try:
        text = Path("/proc/driver/nvidia/version").read_text()
    except OSError:
        return None
    words = text.partition("\n")[0].split()
    return next((word for word in words if word[:1].isdigit() and "." in word), None)
