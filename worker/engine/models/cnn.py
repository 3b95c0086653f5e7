"""Three plain convolutional networks; convolutions are 3×3, padded by 1, with bias.

Shapes: B batch, C channels, H height, W width, K classes.
"""

from itertools import pairwise

from torch import Tensor, nn


class Cnn(nn.Module):
    """Convolution stages, global average pool, fully connected head."""

    def __init__(self, features: nn.Sequential, classifier: nn.Sequential) -> None:
        super().__init__()
        self.features = features
        self.classifier = classifier
        # He et al. 2015 (arXiv:1502.01852). With torch's default scale the signal of the networks
        # without batch norm fades, and their first epochs pass on a plateau.
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Logits [B, K]."""
        pooled_BC = self.features(images_BCHW).mean(dim=(2, 3))
        logits_BK: Tensor = self.classifier(pooled_BC)
        return logits_BK


def cnn_teacher(classes: int, input_size: tuple[int, ...]) -> Cnn:
    """Two convolutions each at 64, 128 and 256 channels with batch norm; 1,412,682 parameters."""
    stages = _stages(_channels(input_size), [(64, 64), (128, 128), (256, 256)], batch_norm=True)
    return Cnn(stages, _head([256, 512, 256, classes], dropout=0.5))


def cnn_student(classes: int, input_size: tuple[int, ...]) -> Cnn:
    """Five convolutions at 32, 64 and 128 channels; 148,330 parameters."""
    stages = _stages(_channels(input_size), [(32, 32), (64, 64), (128,)])
    return Cnn(stages, _head([128, 64, classes]))


def cnn_simple(classes: int, input_size: tuple[int, ...]) -> Cnn:
    """Three convolutions at 32, 64 and 128 channels; 102,154 parameters."""
    stages = _stages(_channels(input_size), [(32, 64), (128,)])
    return Cnn(stages, _head([128, 64, classes]))


def _channels(input_size: tuple[int, ...]) -> int:
    if len(input_size) != 3:
        raise ValueError(f"input_size must be (channels, height, width), got {input_size}")
    return input_size[0]


def _stages(
    channels: int, widths: list[tuple[int, ...]], *, batch_norm: bool = False
) -> nn.Sequential:
    layers: list[nn.Module] = []
    for stage in widths:
        for width in stage:
            layers.append(nn.Conv2d(channels, width, kernel_size=3, padding=1))
            if batch_norm:
                layers.append(nn.BatchNorm2d(width))
            layers.append(nn.ReLU())
            channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def _head(widths: list[int], *, dropout: float | None = None) -> nn.Sequential:
    layers: list[nn.Module] = []
    for wide, narrow in pairwise(widths):
        layers.append(nn.Linear(wide, narrow))
        layers.append(nn.ReLU())
        if dropout is not None:
            layers.append(nn.Dropout(dropout))
    # The last layer gives logits: neither activation nor dropout follows it.
    last_linear = max(i for i, layer in enumerate(layers) if isinstance(layer, nn.Linear))
    return nn.Sequential(*layers[: last_linear + 1])
