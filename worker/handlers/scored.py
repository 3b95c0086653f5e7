"""What a model scores in the runtime and arithmetic that is timed, on some of the test split."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import torch
from safetensors.torch import save_file
from torch import Tensor

from service.contract.training import Evaluation, ModelFacts
from worker.engine.data.split import Split

_MOST: Final = 512  # for every runtime; the whole split is scored once, in eager float32


@dataclass(frozen=True)
class Score:
    """A model in eager float32; `classes` are those that it gives to the test split."""

    facts: ModelFacts
    test: Evaluation
    classes: Tensor


@dataclass(frozen=True)
class Scored:
    """Test inputs that every runtime classifies: where they lie, and which they are."""

    file: Path
    indices: Tensor
    labels: Tensor

    @classmethod
    def of(cls, split: Split, folder: Path) -> Self:
        """Evenly spread over the split, whose order may be that of its classes."""
        indices = torch.linspace(0, len(split) - 1, min(len(split), _MOST)).round().long()
        part = split.take(indices)
        file = folder / "scored.safetensors"
        save_file({"x": part.x.contiguous()}, file)
        return cls(file, indices, part.y.cpu())

    def judged(self, classes: Tensor | None, reference: Score) -> dict[str, Any]:
        """Fields of the result: of the classes that a runtime gave to them, in their order."""
        if classes is None:
            return {}
        expected = reference.classes[self.indices]
        return {
            "scored_inputs": len(self.labels),
            "accuracy": float((classes == self.labels).double().mean()),
            "agreement": float((classes == expected).double().mean()),
        }
