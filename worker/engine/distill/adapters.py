"""What brings the features of two models to a common form; some of it is learned with the student.

An adapter is made for the shapes of the paired maps and gives, for the features of a batch, the
student's and the teacher's as its loss takes them. Its weights belong to the run, not to the
student. Shapes: B batch, C channels, H height, W width, D width of an embedding.
"""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from worker.engine.errors import IncompatibleModels

MapShape = tuple[int, int, int]
"""Channels, height and width of a feature map; height and width 1 for a vector."""
Shapes = Sequence[tuple[MapShape, MapShape]]
"""Of the student's and the teacher's map, for each pair."""
Adapted = tuple[list[Tensor], list[Tensor]]

_EMBEDDING: Final = 128  # as in Tian et al. 2020
_WIDEST: Final = 512  # of the fused maps in Chen et al. 2021


class Adapter(nn.Module):
    """Passes both on as they are."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.shapes = shapes

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Adapted:
        return list(student), list(teacher)


class SamePlaces(Adapter):
    """Pools the larger map of each pair to the places of the smaller. Needs maps with places."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__(shapes)
        if any(min(h * w, h2 * w2) == 1 for (_, h, w), (_, h2, w2) in shapes):
            raise IncompatibleModels(
                "attention compares places, and some of the paired layers have only one",
                hint="Name layers that give feature maps, or choose another loss.",
            )

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Adapted:
        pairs = [same_places(s, t) for s, t in zip(student, teacher, strict=True)]
        return [s for s, _ in pairs], [t for _, t in pairs]


class Pooled(Adapter):
    """Means over places: vectors [B, C]."""

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Adapted:
        return [s.mean((2, 3)) for s in student], [t.mean((2, 3)) for t in teacher]


class Regressors(Adapter):
    """A 1×1 convolution from each of the student's maps to the teacher's channels."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__(shapes)
        self.regress = nn.ModuleList(nn.Conv2d(s[0], t[0], kernel_size=1) for s, t in shapes)

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Adapted:
        regressed, targets = [], []
        for regressor, maps, target in zip(self.regress, student, teacher, strict=True):
            ours, theirs = same_places(maps, target)
            regressed.append(regressor(ours))
            targets.append(theirs)
        return regressed, targets


class Projections(Adapter):
    """Learned linear embeddings of both models' pooled maps, 128 wide."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__(shapes)
        self.student = nn.ModuleList(nn.Linear(s[0], _EMBEDDING) for s, _ in shapes)
        self.teacher = nn.ModuleList(nn.Linear(t[0], _EMBEDDING) for _, t in shapes)

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Adapted:
        ours = [p(s.mean((2, 3))) for p, s in zip(self.student, student, strict=True)]
        theirs = [p(t.mean((2, 3))) for p, t in zip(self.teacher, teacher, strict=True)]
        return ours, theirs


class Review(Adapter):
    """Fuses the student's maps from the deepest to the first, each with what lies deeper."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__(shapes)
        width = min(_WIDEST, shapes[-1][0][0])
        self.fusions = nn.ModuleList(
            Fusion(s[0], width, t[0], with_deeper=index < len(shapes) - 1)
            for index, (s, t) in enumerate(shapes)
        )

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Adapted:
        ours: list[Tensor] = []
        theirs: list[Tensor] = []
        deeper: Tensor | None = None
        for fuse, maps, target in reversed(list(zip(self.fusions, student, teacher, strict=True))):
            out, deeper = fuse(maps, deeper)
            one, other = same_places(out, target)
            ours.append(one)
            theirs.append(other)
        return ours, theirs


class Fusion(nn.Module):
    """Attention-based fusion of one map with the fused deeper one (Chen et al. 2021, figure 4)."""

    def __init__(self, channels: int, width: int, out: int, *, with_deeper: bool) -> None:
        super().__init__()
        self.reduce = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)
        )
        self.expand = nn.Sequential(
            nn.Conv2d(width, out, 3, padding=1, bias=False), nn.BatchNorm2d(out)
        )
        self.attend = nn.Conv2d(2 * width, 2, 1) if with_deeper else None

    def forward(self, maps: Tensor, deeper: Tensor | None) -> tuple[Tensor, Tensor]:
        """The map in the teacher's channels, and the fused one for the next."""
        fused: Tensor = self.reduce(maps)
        if self.attend is not None:
            assert deeper is not None
            grown = F.interpolate(deeper, fused.shape[2:], mode="nearest")
            share = self.attend(torch.cat([fused, grown], dim=1)).sigmoid()
            fused = fused * share[:, :1] + grown * share[:, 1:]
        return self.expand(fused), fused


def _conv(channels: int, out: int, kernel_size: int) -> nn.Sequential:
    conv = nn.Conv2d(channels, out, kernel_size, padding=kernel_size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out))


def same_places(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Both [B, C, H, W], the larger averaged down to the height and width of the smaller."""
    size = (min(one.shape[2], other.shape[2]), min(one.shape[3], other.shape[3]))
    return _pooled_to(one, size), _pooled_to(other, size)


def _pooled_to(maps: Tensor, size: tuple[int, int]) -> Tensor:
    if maps.shape[2:] == size:
        return maps
    height, width = maps.shape[2] // size[0], maps.shape[3] // size[1]
    if (height * size[0], width * size[1]) == tuple(maps.shape[2:]):
        # The same means, and on a GPU a gradient that repeats bit for bit.
        return F.avg_pool2d(maps, (height, width))
    return F.adaptive_avg_pool2d(maps, size)
