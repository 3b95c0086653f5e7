"""What training minimises. Shapes: B batch, K classes."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from worker.engine.data.batches import Batch


@dataclass(frozen=True)
class Loss:
    """A scalar to minimise, and the scalars it was mixed from, before their weights."""

    total: Tensor
    terms: Mapping[str, Tensor]


class Objective(ABC):
    """A mean over the batch of a loss of each example.

    Whatever else it depends on must follow from the epoch and from `learned`: a run that goes on
    from a checkpoint restores these two.
    """

    @abstractmethod
    def __call__(self, logits_BK: Tensor, batch: Batch, inputs: Tensor) -> Loss:
        """`batch` holds inputs as stored, `inputs` the same ones normalised for the model."""

    def learned(self) -> nn.Module | None:
        """What is trained beside the model and thrown away after the run, or None.

        Asked once, before the first step. The run moves it to its device, puts it in training
        mode, gives its parameters to the optimizer, and keeps its state in checkpoints.
        """
        return None

    def start_epoch(self, epoch: int, epochs: int) -> None:  # noqa: B027  # most need none
        """Epoch number `epoch`, from 0, of `epochs` begins; also told when a run goes on in it."""


@dataclass(frozen=True)
class CrossEntropy(Objective):
    """The loss of the labels, smoothed towards uniform (Szegedy et al. 2016, arXiv:1512.00567)."""

    label_smoothing: float = 0.0

    def __call__(self, logits_BK: Tensor, batch: Batch, inputs: Tensor) -> Loss:
        hard = hard_loss(logits_BK, batch, self.label_smoothing)
        return Loss(hard, {"hard": hard})


def hard_loss(logits_BK: Tensor, batch: Batch, label_smoothing: float) -> Tensor:
    """Mean cross-entropy, in float32 whatever the forward pass ran in.

    An example without a label, −1, adds nothing to the sum and one to the count. For a mixed
    batch it is that of both labels by their shares, which equals the cross-entropy of the mixed
    label.
    """

    def entropy(labels_B: Tensor) -> Tensor:
        whole = F.cross_entropy(
            logits_BK.float(),
            labels_B,
            ignore_index=-1,
            reduction="sum",
            label_smoothing=label_smoothing,
        )
        return whole / len(labels_B)

    own, mix = entropy(batch.y), batch.mix
    return own if mix is None else mix.share * own + (1 - mix.share) * entropy(mix.labels)
