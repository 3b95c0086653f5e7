"""Randomness that can be repeated: every draw is a function of a seed and a position."""

import hashlib
import os

import torch


def seed_everything(seed: int, *, deterministic: bool = True) -> None:
    """Seed torch on every device; `deterministic` also picks kernels that repeat bit for bit.

    Global to the process. Kernels without a deterministic form warn and run anyway.
    """
    torch.manual_seed(seed)
    if not deterministic:
        return
    # cuBLAS reads this when its first handle is made.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Filling fresh tensors costs a pass over memory and only helps code that reads garbage.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False


def derived_seed(seed: int, *position: int | str) -> int:
    """A seed for one purpose at one position, unrelated to its neighbours; below 2**63."""
    text = ":".join(str(part) for part in (seed, *position))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *position: int | str) -> torch.Generator:
    """A CPU generator for one purpose at one position: equal on every device."""
    return torch.Generator().manual_seed(derived_seed(seed, *position))
