"""The CIFAR residual networks of He et al. 2015 (arXiv:1512.03385, section 4.2), depth 6n + 2.

Parameter names follow the public checkpoints. Shortcuts are the paper's option A: every second
pixel, channels padded with zeros on both sides, no parameters.
Shapes: B batch, C channels, H height, W width, K classes.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

DEPTHS = (8, 14, 20, 32, 44, 56, 110)


class Shortcut(nn.Module):
    """Option A: subsample by `stride` and pad channels with zeros, half before and half after.

    `sources` says for each output channel which input channel it shows, -1 for none. Pruning
    changes it on either side; it is no part of the state, so that checkpoints stay as they are.
    """

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.stride, self.channels = stride, channels
        before = (width - channels) // 2
        self.sources = [-1] * before + list(range(channels)) + [-1] * (width - channels - before)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        if not self.training:
            return self._shown(x_BCHW[:, :, :: self.stride, :: self.stride])
        # The same numbers. A slice gives its gradient contiguous, so that of a slice with its
        # channels last has the layout of what it is added to; otherwise that sum and the ReLU
        # before it took a sixth of a training step.
        x_BHWC = x_BCHW.permute(0, 2, 3, 1)
        sampled_BHWC = x_BHWC[:, :: self.stride, :: self.stride]
        return self._shown(sampled_BHWC.permute(0, 3, 1, 2))

    def _shown(self, sampled_BCHW: Tensor) -> Tensor:
        before = next((i for i, source in enumerate(self.sources) if source >= 0), 0)
        after = len(self.sources) - before - self.channels
        if self.sources[before : before + self.channels] == list(range(self.channels)):
            return F.pad(sampled_BCHW, (0, 0, 0, 0, before, after))
        with_zero_BCHW = F.pad(sampled_BCHW, (0, 0, 0, 0, 0, 1))
        return with_zero_BCHW[:, [s if s >= 0 else self.channels for s in self.sources]]

    def keep_inputs(self, kept: Sequence[int]) -> None:
        """Only the channels `kept` will come; outputs that showed others show zero."""
        renumbered = {old: new for new, old in enumerate(kept)}
        self.sources = [renumbered.get(source, -1) for source in self.sources]
        self.channels = len(kept)

    def keep_outputs(self, kept: Sequence[int]) -> None:
        """Give the channels `kept` alone."""
        self.sources = [self.sources[channel] for channel in kept]


class BasicBlock(nn.Module):
    """Two 3×3 convolutions around a shortcut."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv(channels, width, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 1)
        self.bn2 = nn.BatchNorm2d(width)
        is_identity = stride == 1 and channels == width
        self.shortcut = nn.Identity() if is_identity else Shortcut(channels, width, stride)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        hidden_BCHW = F.relu(self.bn1(self.conv1(x_BCHW)))
        return F.relu(self.bn2(self.conv2(hidden_BCHW)) + self.shortcut(x_BCHW))


class CifarResNet(nn.Module):
    """Three stages of `blocks` blocks at 16, 32 and 64 channels."""

    def __init__(self, blocks: int, classes: int, channels: int) -> None:
        super().__init__()
        self.conv1 = _conv(channels, 16, 1)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, blocks, stride=1)
        self.layer2 = _stage(16, 32, blocks, stride=2)
        self.layer3 = _stage(32, 64, blocks, stride=2)
        self.linear = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Logits [B, K]."""
        x_BCHW = F.relu(self.bn1(self.conv1(images_BCHW)))
        x_BCHW = self.layer3(self.layer2(self.layer1(x_BCHW)))
        logits_BK: Tensor = self.linear(x_BCHW.mean(dim=(2, 3)))
        return logits_BK


def cifar_resnet(depth: int, classes: int, input_size: tuple[int, ...]) -> CifarResNet:
    """The network of `depth` weighted layers."""
    assert (depth - 2) % 6 == 0, depth
    if len(input_size) != 3:
        raise ValueError(f"input_size must be (channels, height, width), got {input_size}")
    return CifarResNet((depth - 2) // 6, classes, input_size[0])


def _conv(channels: int, width: int, stride: int) -> nn.Conv2d:
    # Batch norm follows every convolution and has a bias of its own.
    return nn.Conv2d(channels, width, kernel_size=3, stride=stride, padding=1, bias=False)


def _stage(channels: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(channels, width, stride)
    return nn.Sequential(first, *(BasicBlock(width, width, 1) for _ in range(blocks - 1)))
