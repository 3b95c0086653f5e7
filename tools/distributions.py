"""What is installed, what is pinned, and which of it an extra of ours brings."""

from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[1]
OURS: Final = "modelpress"
_TORCH: Final = frozenset({"torch", "torchvision", "triton"})
_TORCH_PREFIXES: Final = ("nvidia-", "cuda-")
_OTHERS: Final = frozenset({"nvidia-ml-py"})  # bindings of one wheel for every platform


def pins() -> dict[str, str]:
    """Versions of constraints.txt, by normalised name."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pairs = (line.split("==") for line in lines if "==" in line)
    return {str(canonicalize_name(name)): version.strip() for name, version in pairs}


def installed() -> dict[str, Distribution]:
    """Distributions of this environment without our own, by normalised name."""
    found = {str(canonicalize_name(each.name)): each for each in distributions()}
    found.pop(OURS, None)
    return found


def is_torch(name: str) -> bool:
    """Of the family whose wheels differ with the platform: CUDA, CPU, Arm."""
    return name in _TORCH or (name.startswith(_TORCH_PREFIXES) and name not in _OTHERS)


def brought_by(extras: Iterable[str]) -> frozenset[str]:
    """Names of all that our wheel brings with these extras, as installed here."""
    found: set[str] = set()
    waiting = [(OURS, frozenset(extras))]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        if name != OURS:
            found.add(name)
        waiting += _needs(name, wanted)
    return frozenset(found)


def _needs(name: str, extras: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
    try:
        lines = distribution(name).requires or []
    except PackageNotFoundError:  # for another platform
        return []
    needed = []
    for requirement in map(Requirement, lines):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in (*extras, "")):
            named = str(canonicalize_name(requirement.name))
            needed.append((named, frozenset(requirement.extras)))
    return needed
