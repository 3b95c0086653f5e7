"""Means and deviations of channels, gathered piece by piece. Shapes: N examples, C channels."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_LEVELS: Final = np.arange(256) / 255


class ChannelStats:
    """Statistics of all the inputs [N, C, …] that it has seen, uint8 or float32.

    Bytes are counted, so that theirs are exact, and divided by 255. Floats are merged as Chan,
    Golub and LeVeque 1979 do it, in float64.
    """

    def __init__(self) -> None:
        self._counts_CL: NDArray[np.int64] | None = None
        self._count = 0
        self._mean_C: NDArray[np.float64] = np.zeros(0)
        self._squares_C: NDArray[np.float64] = np.zeros(0)

    def see(self, inputs: NDArray[Any]) -> None:
        """Count some examples in."""
        by_channel = [inputs[:, channel].ravel() for channel in range(inputs.shape[1])]
        if inputs.dtype == np.uint8:
            counts_CL = np.stack([np.bincount(values, minlength=256) for values in by_channel])
            self._counts_CL = counts_CL + (0 if self._counts_CL is None else self._counts_CL)
        else:
            self._merge(by_channel)

    def mean_and_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """By channel. A constant channel gets std 1, so that normalising it is defined."""
        if self._counts_CL is not None:
            weights_CL = self._counts_CL / self._counts_CL.sum(1, keepdims=True)
            mean_C = weights_CL @ _LEVELS
            variance_C = (weights_CL * (_LEVELS - mean_C[:, None]) ** 2).sum(1)
        else:
            mean_C, variance_C = self._mean_C, self._squares_C / self._count
        # Rounding leaves a constant channel a variance that is tiny rather than zero.
        std_C = np.sqrt(np.where(variance_C > 1e-12, variance_C, 1.0))
        return tuple(mean_C.tolist()), tuple(std_C.tolist())

    def _merge(self, by_channel: list[NDArray[Any]]) -> None:
        count = by_channel[0].size
        mean_C = np.array([values.mean(dtype=np.float64) for values in by_channel])
        squares_C = np.array([values.var(dtype=np.float64) * count for values in by_channel])
        if self._count:
            both = self._count + count
            apart_C = mean_C - self._mean_C
            squares_C += self._squares_C + apart_C**2 * self._count * count / both
            mean_C = self._mean_C + apart_C * count / both
        self._count, self._mean_C, self._squares_C = self._count + count, mean_C, squares_C
