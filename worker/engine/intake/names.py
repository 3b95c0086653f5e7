"""Names of tensors: wrappers put prefixes before them, and bare models want them back."""

from collections.abc import Collection, Mapping
from typing import Final

from torch import Tensor

PREFIXES: Final = ("module", "model", "_orig_mod", "net", "network", "backbone", "ema_model")
"""What DataParallel, Lightning, torch.compile and training scripts put before every name."""


def without_prefix(
    tensors: Mapping[str, Tensor], wanted: Collection[str]
) -> tuple[Mapping[str, Tensor], str]:
    """The tensors under the names that fit `wanted` best, and the prefix that was taken off.

    Only prefixes that all names share are taken off, one after the other, and only as far as
    more names fit.
    """
    best, best_prefix, best_fit = tensors, "", _fit(tensors, wanted)
    found, prefix = tensors, ""
    while (head := _shared(found)) is not None:
        prefix += head
        found = {name.removeprefix(head): tensor for name, tensor in found.items()}
        if _fit(found, wanted) > best_fit:
            best, best_prefix, best_fit = found, prefix, _fit(found, wanted)
    return best, best_prefix


def _shared(tensors: Mapping[str, Tensor]) -> str | None:
    for prefix in PREFIXES:
        head = f"{prefix}."
        if tensors and all(name.startswith(head) and name != head for name in tensors):
            return head
    return None


def _fit(tensors: Mapping[str, Tensor], wanted: Collection[str]) -> int:
    return sum(name in tensors for name in wanted)
