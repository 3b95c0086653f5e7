"""Which architectures there are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from torch import nn

from worker.engine.models.cifar_resnet import DEPTHS, cifar_resnet
from worker.engine.models.cnn import cnn_simple, cnn_student, cnn_teacher
from worker.engine.models.mlp import mlp


@dataclass(frozen=True)
class Architecture:
    """How to build a model with fresh weights: `build(classes, input_size, **options)`.

    `build` raises ValueError for an input size or option it cannot serve.
    """

    build: Callable[..., nn.Module]
    options: frozenset[str] = frozenset()
    default_input_size: tuple[int, ...] = (3, 32, 32)


ARCHITECTURES: Final[Mapping[str, Architecture]] = {
    "cnn_teacher": Architecture(cnn_teacher),
    "cnn_student": Architecture(cnn_student),
    "cnn_simple": Architecture(cnn_simple),
    **{f"cifar_resnet{depth}": Architecture(partial(cifar_resnet, depth)) for depth in DEPTHS},
    "mlp": Architecture(mlp, frozenset({"hidden", "dropout"})),
}
