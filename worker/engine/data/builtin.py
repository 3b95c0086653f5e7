"""Datasets that need no upload."""

import gzip
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from worker.engine.data.split import Data, Split, cut

# Of 1,797 images, class by class: 359 for test, 179 for validation, 1,259 to train.
_TEST_SHARE: Final = 0.2
_VALIDATION_SHARE: Final = 0.125


def digits() -> Data:
    """Handwritten digits (Alpaydin and Kaynak 1998, from scikit-learn's wheel): 10 classes.

    8×8 images of values 0..16, here 0..255, each pixel repeated to 32×32 and in three equal
    channels, uint8. The split never changes.
    """
    rows_NW = torch.from_numpy(_rows())
    images, labels = rows_NW[:, :-1].double(), rows_NW[:, -1].long()
    pixels_NHW = images.reshape(-1, 8, 8).mul(255 / 16).round().to(torch.uint8)
    large_NHW = pixels_NHW.repeat_interleave(4, dim=1).repeat_interleave(4, dim=2)
    x_NCHW = large_NHW[:, None].expand(-1, 3, -1, -1).contiguous()
    everything = Split(x_NCHW, labels)
    rest, test = cut(everything, _TEST_SHARE, seed=0)
    train, validation = cut(rest, _VALIDATION_SHARE, seed=1)
    return Data.of(train, validation, test, tuple(str(digit) for digit in range(10)))


def _rows() -> NDArray[np.uint8]:
    """64 pixels and the label of each, read from the wheel: to import scikit-learn takes a second
    that a short job does not have."""
    package = find_spec("sklearn")
    assert package is not None, "the worker's extra installs it"
    assert package.origin is not None, "it has an __init__.py"
    with gzip.open(Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz") as file:
        return np.loadtxt(file, delimiter=",", dtype=np.uint8)


BUILTIN: Final[Mapping[str, Callable[[], Data]]] = {"digits": digits}
