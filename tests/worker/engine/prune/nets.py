"""Small networks of every structure that pruning meets."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Residual(nn.Module):
    """A stem and blocks around one stream; `kinds` says what each block is."""

    def __init__(self, width: int, kinds: Sequence[str], classes: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.blocks = nn.ModuleList(_block(kind, width) for kind in kinds)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.stem(x)))
        for block in self.blocks:
            x = F.relu(x + block(x))
        logits: Tensor = self.head(x.mean(dim=(2, 3)))
        return logits


class Concat(nn.Module):
    """Two branches side by side, as in Inception and DenseNet."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.left = nn.Conv2d(width, width, 1)
        self.right = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.join = nn.Conv2d(3 * width, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        joined: Tensor = self.join(F.relu(torch.cat([self.left(x), self.right(x)], dim=1)))
        return joined


class Gated(nn.Module):
    """One half of the channels scales the other, as in gated linear units."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(width, 10, 3, padding=1), nn.Conv2d(5, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.wide(x).chunk(2, dim=1)
        scaled: Tensor = self.narrow(gate.sigmoid() * value)
        return scaled


def _block(kind: str, width: int) -> nn.Module:
    match kind:
        case "plain":
            layers: list[nn.Module] = [nn.Conv2d(width, 6, 3, padding=1), nn.BatchNorm2d(6)]
            return nn.Sequential(*layers, nn.ReLU(), nn.Conv2d(6, width, 1))
        case "grouped":
            return nn.Sequential(
                nn.Conv2d(width, 8, 1), nn.ReLU(), nn.Conv2d(8, 12, 3, padding=1, groups=4),
                nn.BatchNorm2d(12), nn.ReLU(), nn.Conv2d(12, width, 1),
            )  # fmt: skip
        case "depthwise":
            return nn.Sequential(
                nn.Conv2d(width, 7, 1), nn.ReLU(), nn.Conv2d(7, 7, 3, padding=1, groups=7),
                nn.BatchNorm2d(7), nn.ReLU(), nn.Conv2d(7, width, 1),
            )  # fmt: skip
        case "concat":
            return Concat(width)
        case "gated":
            return Gated(width)
        case _:
            raise AssertionError(kind)


KINDS = ("plain", "grouped", "depthwise", "concat", "gated")


def unsettle(module: nn.Module) -> nn.Module:
    """Batch norms as after training: statistics, scales and shifts of their own."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias)
            assert layer.running_mean is not None
            assert layer.running_var is not None
            nn.init.normal_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.5, 2.0)
    return module.eval()
