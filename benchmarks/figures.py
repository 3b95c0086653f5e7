"""What a benchmark prints: one JSON object on its last line."""

import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Options:
    """Arguments of every benchmark: seed, minutes for campaigns, and how thorough to be."""

    seed: int
    minutes: float
    budget: Literal["quick", "full"]


@dataclass(frozen=True)
class Figure:
    """A measured value. `target` is what was promised, in words; None: only reported."""

    name: str
    value: float | int | str | bool
    unit: str
    target: str | None
    met: bool


@dataclass(frozen=True)
class Skipped:
    """A figure that cannot be had here, and why."""

    name: str
    reason: str


@dataclass
class Report:
    """Figures as they come."""

    figures: list[Figure] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def at_most(self, name: str, value: float, unit: str, limit: float, target: str) -> None:
        """A figure that should not pass `limit`."""
        self._add(name, value, unit, target, lambda v: v <= limit)

    def at_least(self, name: str, value: float, unit: str, limit: float, target: str) -> None:
        """A figure that should reach `limit`."""
        self._add(name, value, unit, target, lambda v: v >= limit)

    def told(self, name: str, value: float | str | bool, unit: str) -> None:
        """A figure without a target."""
        self.figures.append(Figure(name, _short(value), unit, None, True))

    def skip(self, name: str, reason: str) -> None:
        """A figure that cannot be had here."""
        self.skipped.append(Skipped(name, reason))

    def _add(
        self, name: str, value: float, unit: str, target: str, good: Callable[[float], bool]
    ) -> None:
        self.figures.append(Figure(name, _short(value), unit, target, good(value)))

    def to_json(self, bench: str, options: Options) -> str:
        """The last line."""
        return json.dumps(
            {
                "bench": bench,
                "machine": machine(),
                "seed": options.seed,
                "figures": [asdict(figure) for figure in self.figures],
                "skipped": [asdict(item) for item in self.skipped],
            }
        )


def machine() -> str:
    """Processor, cores and Python, in a line."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    processor = next(names, platform.processor() or platform.machine())
    return f"{processor}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"


def percentile(values: list[float], percent: float) -> float:
    """The smallest value that at least `percent` of all values do not pass."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100).__trunc__() - 1)]


def bench_data() -> Path:
    """The folder of real data; it may be absent."""
    root = Path(__file__).resolve().parents[1]
    return Path(os.environ.get("MODELPRESS_BENCH_DATA", root / "../shared/data")).resolve()


def _short(value: float | str | bool) -> float | int | str | bool:
    return round(value, 4) if isinstance(value, float) else value
