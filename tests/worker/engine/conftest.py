"""Small data and small models: every test here takes well under a second."""

from collections.abc import Callable

import pytest
import torch

from worker.engine.data.split import Data, Split
from worker.engine.models.config import ModelConfig

MakeData = Callable[..., Data]


def bright(train: int = 60, channels: int = 3) -> Data:
    """Images whose class is the brightest channel: learnable, uint8 [N, channels, 8, 8]."""

    def split(count: int, seed: int) -> Split:
        draw = torch.Generator().manual_seed(seed)
        y = torch.arange(count) % channels
        noise = torch.randint(0, 128, (count, channels, 8, 8), generator=draw)
        noise[torch.arange(count), y] += 100
        return Split(noise.to(torch.uint8), y)

    return Data.of(split(train, 1), split(30, 2), split(30, 3))


@pytest.fixture
def make_data() -> MakeData:
    """Makes such data of any number of examples and channels."""
    return bright


@pytest.fixture
def data(make_data: MakeData) -> Data:
    return make_data()


@pytest.fixture
def config() -> ModelConfig:
    """A perceptron with dropout, so that training draws from the global generator."""
    return ModelConfig(
        architecture="mlp",
        classes=3,
        input_size=(3, 8, 8),
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        options={"hidden": [16], "dropout": 0.2},
        labels=("red", "green", "blue"),
    )
