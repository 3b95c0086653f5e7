"""What is done to a model before its first step. Shapes: B batch, K classes."""

import torch
from torch import nn

from worker.engine.data.batches import Normalizer
from worker.engine.data.split import Data
from worker.engine.errors import IncompatibleDataset
from worker.engine.train.objective import Objective


def prepared(
    model: nn.Module, data: Data, normalise: Normalizer, device: torch.device
) -> nn.Module:
    """The model on the device, channels-last for images, seen to fit the data."""
    model.to(device)
    if data.train.x.ndim == 4:
        model.to(memory_format=torch.channels_last)
    outputs = count_outputs(model, normalise(data.train.x[:1].to(device)))
    if outputs < data.classes:
        raise IncompatibleDataset(f"the data has {data.classes} classes, the model {outputs}")
    return model


def learned_of(objective: Objective, device: torch.device) -> nn.Module:
    """What the objective learns, on the device and in training mode; empty if it learns nothing."""
    learned = objective.learned()
    return nn.Module() if learned is None else learned.to(device).train()


@torch.no_grad()
def count_outputs(model: nn.Module, inputs: torch.Tensor) -> int:
    """K of the model's logits [B, K]. Raises `IncompatibleDataset` if it cannot take `inputs`."""
    was_training = model.training
    try:
        return int(model.eval()(inputs).shape[1])
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except RuntimeError as error:
        raise IncompatibleDataset(
            f"the model cannot take inputs of {list(inputs.shape[1:])}"
        ) from error
    finally:
        model.train(was_training)
