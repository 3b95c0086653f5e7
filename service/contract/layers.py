"""Layers that losses of features can read, by architecture; a test holds them to the engine."""

from typing import Final

from pydantic import Field

from service.contract.base import Contract


class FeatureLayers(Contract):
    """Named layers of an architecture that give feature maps."""

    stages: tuple[str, ...] = Field(
        description="The last of each stage, which losses of features pair by default."
    )
    blocks: tuple[str, ...] = Field(description="More that may be named.")


def _cifar_resnet(depth: int) -> FeatureLayers:
    blocks = (depth - 2) // 6
    return FeatureLayers(
        stages=("layer1", "layer2", "layer3"),
        blocks=tuple(f"layer{stage}.{block}" for stage in (1, 2, 3) for block in range(blocks)),
    )


def _cnn(stages: tuple[int, ...], others: tuple[int, ...]) -> FeatureLayers:
    return FeatureLayers(
        stages=tuple(f"features.{index}" for index in stages),
        blocks=tuple(f"features.{index}" for index in others),
    )


LAYERS_OF: Final[dict[str, FeatureLayers]] = {
    "cnn_teacher": _cnn((5, 12, 19), (2, 9, 16)),
    "cnn_student": _cnn((3, 8, 11), (1, 6)),
    "cnn_simple": _cnn((3, 6), (1,)),
    **{f"cifar_resnet{depth}": _cifar_resnet(depth) for depth in (8, 14, 20, 32, 44, 56, 110)},
    "mlp": FeatureLayers(stages=("layers.2", "layers.5"), blocks=("layers.1", "layers.4")),
}
"""Of `mlp` with its default options. Those of other libraries are as their modules are named."""
