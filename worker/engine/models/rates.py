"""Checks that libraries leave out."""

from collections.abc import Iterable, Mapping
from typing import Any


def check_rates(options: Mapping[str, Any], names: Iterable[str]) -> None:
    """Raise ValueError for a probability of dropping that is none."""
    for name in names:
        rate = options.get(name, 0.0)
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
            raise ValueError(f"{name} must be in [0, 1), got {rate!r}")
