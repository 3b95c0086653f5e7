"""The loop that distillation is usually written as, for ours to be held against.

NCHW float32, a DataLoader over a TensorDataset, the teacher asked live without gradients, Adam,
and three numbers read in every step. Shapes: N examples, C channels, H, W sides.
"""

import time
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from worker.engine.data.split import Split

TEMPERATURE: Final = 4.0
ALPHA: Final = 0.3  # of the labels
LEARNING_RATE: Final = 1e-3
_AT_ONCE: Final = 500
_CPU: Final = torch.device("cpu")


class ReferenceLoop:
    """Trains `student` from `teacher`, an epoch at a call."""

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module,
        train: Split,
        batch_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        device: torch.device = _CPU,
    ) -> None:
        self._device = device
        self._student, self._teacher = student.to(device), teacher.to(device).eval()
        self._optimizer = torch.optim.Adam(student.parameters(), lr=LEARNING_RATE)
        images = normalised(train, mean, std)
        self._loader = DataLoader(TensorDataset(images, train.y), batch_size, shuffle=True)

    def epoch(self) -> float:
        """Images a second."""
        torch.use_deterministic_algorithms(False)  # which is what ours leaves behind
        self._student.train()
        started, images = time.perf_counter(), 0
        for x_stored, y_stored in self._loader:
            x, y = x_stored.to(self._device), y_stored.to(self._device)
            with torch.no_grad():
                teacher_logits = self._teacher(x)
            self._optimizer.zero_grad()
            logits = self._student(x)
            hard = F.cross_entropy(logits, y)
            soft = TEMPERATURE**2 * F.kl_div(
                F.log_softmax(logits / TEMPERATURE, dim=1),
                F.softmax(teacher_logits / TEMPERATURE, dim=1),
                reduction="batchmean",
            )
            loss = ALPHA * hard + (1 - ALPHA) * soft
            torch.autograd.backward(loss)
            self._optimizer.step()
            loss.item(), hard.item(), soft.item()
            images += len(y)
        return images / (time.perf_counter() - started)


@torch.no_grad()
def accuracy(model: nn.Module, split: Split, mean: Sequence[float], std: Sequence[float]) -> float:
    """Top-1 in plain float32."""
    model.eval()
    images, hits = normalised(split, mean, std), 0
    for start in range(0, len(split), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        hits += int((model(images[rows]).argmax(1) == split.y[rows]).sum())
    return hits / len(split)


def normalised(split: Split, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Images [N, C, H, W] of bytes as a model takes them."""
    means, stds = (torch.tensor(values)[:, None, None] for values in (mean, std))
    return (split.x.float() / 255 - means) / stds
