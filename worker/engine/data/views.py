"""Fixed augmented views of a split: the same images whenever they are asked for."""

from typing import Final

import torch

from worker.engine.data.batches import Augmentation, Batches
from worker.engine.data.split import Split
from worker.engine.seeds import derived_seed

_CHUNK: Final = 4096


def view(split: Split, augmentation: Augmentation, number: int) -> Split:
    """View `number` of all examples, in the split's order: a copy as large as the split.

    A function of the arguments alone, whatever the seed of the training: what a teacher said of
    it stays true from run to run.
    """
    batches = Batches(
        split,
        _CHUNK,
        split.x.device,
        seed=derived_seed(0, "view", number),
        augmentation=augmentation,
    )
    return Split(torch.cat([batch.x for batch in batches]), split.y)


def seen_in_epoch(
    split: Split, augmentation: Augmentation, views: int, epoch: int
) -> tuple[Split, Augmentation]:
    """What an epoch, counted from 0, draws its batches from, and how these are augmented yet."""
    if not views:
        return split, augmentation
    return view(split, augmentation, epoch % views), "none"
