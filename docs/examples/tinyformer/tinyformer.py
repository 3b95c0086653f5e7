"""A small vision transformer, as an example of an architecture of one's own."""

from functools import partial

import torch
from torch import Tensor, nn

from modelpress import Architecture, Defaults


class TinyFormer(nn.Module):
    """Patches, encoder layers, the mean of the tokens, a linear classifier."""

    def __init__(
        self,
        classes: int,
        input_size: tuple[int, ...],
        *,
        width: int,
        depth: int,
        patch: int = 4,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        channels, height, pixels = input_size
        if height % patch or pixels % patch:
            raise ValueError(f"patches of {patch} do not cover {height} × {pixels} pixels")
        tokens = (height // patch) * (pixels // patch)
        self.patches = nn.Conv2d(channels, width, kernel_size=patch, stride=patch)
        self.positions = nn.Parameter(torch.randn(tokens, width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            width, nhead=4, dim_feedforward=2 * width, dropout=dropout, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, classes] of normalised images [B, C, H, W]."""
        tokens = self.patches(images).flatten(2).transpose(1, 2) + self.positions
        logits: Tensor = self.head(self.encoder(tokens).mean(dim=1))
        return logits


def _defaults() -> Defaults:
    half = (0.5, 0.5, 0.5)
    return Defaults(input_size=(3, 32, 32), normalisation=(half, half))


_OPTIONS = frozenset({"patch", "dropout"})
ARCHITECTURES = {
    "small": Architecture(partial(TinyFormer, width=64, depth=4), _OPTIONS, _defaults),
    "nano": Architecture(partial(TinyFormer, width=32, depth=2), _OPTIONS, _defaults),
}
