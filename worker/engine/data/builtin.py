"""Datasets that need no upload."""

from collections.abc import Callable, Mapping
from typing import Final

import torch

from worker.engine.data.split import Data, Split, cut

# Of 1,797 images, class by class: 359 for test, 179 for validation, 1,259 to train.
_TEST_SHARE: Final = 0.2
_VALIDATION_SHARE: Final = 0.125


def digits() -> Data:
    """Handwritten digits (Alpaydin and Kaynak 1998, from scikit-learn's wheel): 10 classes.

    8×8 images of values 0..16, here 0..255, each pixel repeated to 32×32 and in three equal
    channels, uint8. The split never changes.
    """
    from sklearn.datasets import load_digits  # slow to import, rarely needed

    images, labels = load_digits(return_X_y=True)
    pixels_NHW = torch.from_numpy(images).reshape(-1, 8, 8).mul(255 / 16).round().to(torch.uint8)
    large_NHW = pixels_NHW.repeat_interleave(4, dim=1).repeat_interleave(4, dim=2)
    x_NCHW = large_NHW[:, None].expand(-1, 3, -1, -1).contiguous()
    everything = Split(x_NCHW, torch.from_numpy(labels).long())
    rest, test = cut(everything, _TEST_SHARE, seed=0)
    train, validation = cut(rest, _VALIDATION_SHARE, seed=1)
    return Data.of(train, validation, test, tuple(str(digit) for digit in range(10)))


BUILTIN: Final[Mapping[str, Callable[[], Data]]] = {"digits": digits}
