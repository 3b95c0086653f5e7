"""What running and writing ExecuTorch programs have in common: lowering, and what runs them."""

import json
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Final

import torch
from torch import Tensor, nn

from worker.engine.errors import NotExportable, RuntimeMissing
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import LoadedModel
from worker.engine.models.graph import Graph

FACTS: Final = "modelpress"
"""The method of a program that answers with its origin."""

_LARGEST_BATCH: Final = 64  # a program plans its memory for it
_EXAMPLE_BATCH: Final = 32  # with a small one the plan is for 15, whatever the bound


def is_installed() -> bool:
    """Whether programs can be written and run here; nothing is imported."""
    return find_spec("executorch") is not None


def lowered(loaded: LoadedModel, facts: Mapping[str, str]) -> bytes:
    """The model as a program for XNNPACK, the fast float32 kernels of processors and phones.

    Raises `NotExportable` or `RuntimeMissing`.
    """
    check_installed()
    if isinstance(loaded.module, Graph):
        raise NotExportable("a runtime graph is no PyTorch program", "Ask for onnx or openvino.")
    module = loaded.module.to(memory_format=torch.contiguous_format).cpu().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the compiler's own internals
        try:
            return _lower(module, loaded.config, facts)
        except Exception as error:  # the compiler raises whatever its passes raise
            raise NotExportable(
                f"{loaded.config.architecture} cannot be lowered to ExecuTorch: "
                f"{type(error).__name__}"
            ) from error


def check_installed() -> None:
    """Raises `RuntimeMissing`."""
    if not is_installed():
        raise RuntimeMissing(
            "this worker has no ExecuTorch: install modelpress[executorch] beside it"
        )


class Program:
    """A program that is ready to run, float32 on the CPU; larger batches go in several steps.

    `threads` counts for every program of the process.
    """

    def __init__(self, content: bytes, threads: int) -> None:
        """`content` must be what `lowered` made: a program is trusted. Raises `NotExportable`."""
        check_installed()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from executorch.runtime import Runtime

            runtime: Any = Runtime.get()
        runtime._legacy_module._unsafe_reset_threadpool(threads)  # it has no public name
        try:
            self._program = runtime.load_program(content)
            self._forward = self._program.load_method("forward")
        except RuntimeError as error:
            raise NotExportable(f"ExecuTorch cannot load the program: {error}") from error
        self.largest_batch: int = self._program.metadata("forward").input_tensor_meta(0).sizes()[0]

    def __call__(self, x: Tensor) -> Tensor:
        """Logits of a batch of any size."""
        steps = torch.split(x.float().contiguous(), self.largest_batch)
        return torch.cat([self._forward.execute([step])[0] for step in steps])

    @property
    def facts(self) -> dict[str, str]:
        """Where it comes from, as it says itself."""
        (text,) = self._program.load_method(FACTS).execute([])
        found: dict[str, str] = json.loads(text)
        return found


def _lower(module: nn.Module, config: ModelConfig, facts: Mapping[str, str]) -> bytes:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    example = torch.zeros(_EXAMPLE_BATCH, *config.input_size)
    batch = torch.export.Dim("batch", min=1, max=_LARGEST_BATCH)
    exported = torch.export.export(module, (example,), dynamic_shapes=({0: batch},))
    edge: Any = to_edge_transform_and_lower(
        exported,
        partitioner=[XnnpackPartitioner()],
        constant_methods={FACTS: json.dumps(dict(facts))},
    )
    program: bytes = edge.to_executorch().buffer
    return program
