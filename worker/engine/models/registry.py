"""Which architectures there are: ours by their bare names, those of others as `family/name`."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial
from importlib.util import find_spec
from typing import Final

from worker.engine.errors import InvalidModel
from worker.engine.models.architecture import Architecture, Family
from worker.engine.models.cifar_resnet import DEPTHS, cifar_resnet
from worker.engine.models.cnn import cnn_simple, cnn_student, cnn_teacher
from worker.engine.models.mlp import mlp
from worker.engine.models.plugins import packages

ARCHITECTURES: Final[Mapping[str, Architecture]] = {
    "cnn_teacher": Architecture(cnn_teacher),
    "cnn_student": Architecture(cnn_student),
    "cnn_simple": Architecture(cnn_simple),
    **{f"cifar_resnet{depth}": Architecture(partial(cifar_resnet, depth)) for depth in DEPTHS},
    "mlp": Architecture(mlp, frozenset({"hidden", "dropout"})),
}


def _timm() -> Family:
    from worker.engine.models import timm_family

    return timm_family


def _torchvision() -> Family:
    from worker.engine.models import torchvision_family

    return torchvision_family


def _transformers() -> Family:
    from worker.engine.models import transformers_family

    return transformers_family


# Each is imported when one of its models is asked for: its library takes seconds. A library that
# is not installed leaves its family out.
FAMILIES: Final[Mapping[str, Callable[[], Family]]] = {
    "timm": _timm,
    "torchvision": _torchvision,
    "transformers": _transformers,
}


def find(name: str) -> Architecture:
    """The architecture of that name. Raises `InvalidModel`, with the nearest names."""
    family_name, _, own_name = name.rpartition("/")
    if not family_name:
        found, known = ARCHITECTURES.get(name), list(ARCHITECTURES)
    else:
        family = _family(family_name)
        if family is None:
            raise InvalidModel(
                f"unknown architecture {name!r}: nothing here brings {family_name!r}",
                "Start a worker that has the package installed.",
            )
        found = family.find(own_name)
        known = [] if found else list(family.options_by_name())
    if found is None:
        near = get_close_matches(own_name, known, n=3, cutoff=0.5)
        advice = f"; the nearest are {', '.join(near)}" if near else ""
        raise InvalidModel(f"unknown architecture {name!r}{advice}")
    return found


def options_by_name() -> dict[str, frozenset[str]]:
    """The options of every architecture there is. Imports the library of every family."""
    known = {name: architecture.options for name, architecture in ARCHITECTURES.items()}
    for family_name in dict.fromkeys((*FAMILIES, *packages())):
        family = _family(family_name)
        if family is not None:
            for name, options in family.options_by_name().items():
                known[f"{family_name}/{name}"] = options
    return known


def left_out() -> dict[str, str]:
    """Packages that bring architectures which cannot be loaded, and why."""
    return {name: each.error for name, each in packages().items() if each.error is not None}


def _family(name: str) -> Family | None:
    if name not in FAMILIES:
        return packages().get(name)
    return FAMILIES[name]() if find_spec(name) else None
