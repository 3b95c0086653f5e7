"""A teacher's logits on the whole training split, computed once and kept as a file.

Shapes: V views, N examples, K classes.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from worker.engine.data.batches import Augmentation
from worker.engine.data.split import Data
from worker.engine.data.views import view
from worker.engine.device import Precision
from worker.engine.distill.teachers import Teacher
from worker.engine.train.evaluate import predict

_KEY: Final = "modelpress"
_NAME: Final = "logits"
# A larger one would have to be read from disk while training; the teacher is asked live instead.
MOST_BYTES: Final = 512 * 2**20


@dataclass(frozen=True)
class Asked:
    """What a teacher's logits depend on, beside the teacher: equal values, equal logits.

    `views` is 0 where the images are as stored; `augmentation` counts otherwise.
    """

    data: str
    precision: Precision
    views: int = 0
    augmentation: Augmentation = "none"

    def facts(self, teacher: str) -> dict[str, str]:
        """As a file's metadata, for the teacher of that name or digest."""
        counted = self if self.views else Asked(self.data, self.precision)
        return {_KEY: json.dumps({"teacher": teacher, **asdict(counted)}, sort_keys=True)}


def size(asked: Asked, data: Data) -> int:
    """Bytes of all logits, a class an output."""
    return 2 * max(asked.views, 1) * len(data.train) * data.classes


def ask_or_read(teacher: Teacher, data: Data, asked: Asked, device: torch.device) -> Tensor:
    """[V, N, K] in float16 on the CPU, from the teacher's file if it holds just these; else asked
    for, and written there if the teacher has one."""
    facts = asked.facts(teacher.digest)
    found = None if teacher.logits_file is None else _read(teacher.logits_file, facts)
    if found is not None and found.shape[1] == len(data.train):
        return found
    logits_VNK = _ask(teacher, data, asked, device)
    if teacher.logits_file is not None:
        save_file({_NAME: logits_VNK}, teacher.logits_file, metadata=facts)
    return logits_VNK


def _ask(teacher: Teacher, data: Data, asked: Asked, device: torch.device) -> Tensor:
    """One pass over the training split for each view."""
    said = []
    for number in range(max(asked.views, 1)):
        split = data.train
        if asked.views:
            split = view(split, asked.augmentation, number)
        logits_NK = predict(
            teacher.module,
            split,
            teacher.mean,
            teacher.std,
            device=device,
            precision=asked.precision,
        )
        said.append(logits_NK.half())
    return torch.stack(said)


def _read(path: Path, facts: Mapping[str, str]) -> Tensor | None:
    """The logits in a file; None if it cannot be read or holds others than those asked for."""
    try:
        with safe_open(path, framework="pt") as file:
            same = file.metadata() == dict(facts)
            logits: Tensor | None = file.get_tensor(_NAME) if same else None
    except (OSError, SafetensorError):
        return None
    return logits
