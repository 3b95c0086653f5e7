"""Architectures of packages that an operator installs: entry points `modelpress.architectures`.

An entry point gives an `Architecture`, named `package/entry-point`, or a mapping of names to
architectures, named `package/name`. Loading one runs its package's code.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from worker.engine.models.architecture import Architecture

GROUP: Final = "modelpress.architectures"


@dataclass(frozen=True)
class Package:
    """The family that a package brings. `error` says which of its entry points is left out, and
    why."""

    architectures: dict[str, Architecture] = field(default_factory=dict)
    error: str | None = None

    def options_by_name(self) -> Mapping[str, frozenset[str]]:
        """All that it brings."""
        return {name: each.options for name, each in self.architectures.items()}

    def find(self, name: str) -> Architecture | None:
        """One of them."""
        return self.architectures.get(name)


@cache
def packages() -> Mapping[str, Package]:
    """By the package's name, read once. What cannot be loaded stops nothing else."""
    found: dict[str, Package] = {}
    for point in entry_points(group=GROUP):
        assert point.dist is not None, "it was found in a distribution"
        name = point.dist.name.lower().replace("_", "-")
        package = found.setdefault(name, Package())
        try:
            package.architectures.update(_load(point))
        except Exception as error:  # somebody else's code runs here
            said = f"{point.value}: {type(error).__name__}: {error}"
            found[name] = Package(package.architectures, said)
    return found


def _load(point: EntryPoint) -> dict[str, Architecture]:
    given = point.load()
    architectures = {point.name: given} if isinstance(given, Architecture) else dict(given)
    for name, architecture in architectures.items():
        if not isinstance(name, str) or not isinstance(architecture, Architecture):
            raise TypeError(f"{name!r} is {type(architecture).__name__}, not an Architecture")
    return architectures
