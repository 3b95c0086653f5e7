"""Runtime graphs: a model as one ONNX file, which answers but cannot be trained."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from worker.engine.errors import InvalidModel, OutOfMemory
from worker.engine.models.graph_size import graph_size

GRAPH: Final = "model.onnx"
ARCHITECTURE: Final = "onnx"

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]
# ONNX Runtime has no exception of its own for memory.
_OUT_OF_MEMORY: Final = ("bad_alloc", "BFCArena", "Failed to allocate", "bad allocation")


class Graph(nn.Module):
    """An ONNX classifier that maps float32 [N, …] to logits [N, K] on the device of its input.

    It has no parameters, so that moving, freezing and training modes change nothing. A graph
    whose batch size is fixed is fed in steps of that size. `elements` are those of its weights,
    `content` is its file.
    """

    content: bytes
    elements: int
    nonzero_elements: int
    macs: int | None
    batch_size: int | None

    def __init__(
        self, content: bytes, *, threads: int | None = None, provider: str | None = None
    ) -> None:
        """`content` is the file: a graph is never loaded by its path, from which a file could
        name others. `threads` is for one operator, by default as torch has it; `provider` is
        ONNX Runtime's word for a device, by default a GPU if it has one.

        Raises `InvalidModel` if it does not run here.
        """
        super().__init__()
        self.content = content
        self._session = _session(content, threads, provider)
        self._input = self._session.get_inputs()[0].name
        size = graph_size(content)  # of what runs
        self.elements, self.nonzero_elements = size.elements, size.nonzero_elements
        self.macs, self.batch_size = size.macs, size.batch_size

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """The graph sees float32 on the CPU, whatever autocast made of its input."""
        logits = self.run(x.detach().float().cpu().contiguous().numpy())
        return torch.from_numpy(logits).to(x.device)

    def run(self, x: Array) -> Array:
        """Logits of a batch of any size."""
        step = self.batch_size or len(x)
        return np.concatenate(
            [self._step(x[at : at + step], step) for at in range(0, len(x), step)]
        )

    def _step(self, x: Array, size: int) -> Array:
        missing = size - len(x)
        padded = np.concatenate([x, np.repeat(x[-1:], missing, axis=0)]) if missing else x
        logits: Array = _named(lambda: self._session.run(None, {self._input: padded})[0])
        return logits[: len(x)]


def load_graph(path: Path) -> Graph:
    """Raises `InvalidModel`."""
    try:
        return Graph(path.read_bytes())
    except OSError as error:
        raise InvalidModel(f"cannot read {path.name}: {type(error).__name__}") from error


def optimised(content: bytes) -> bytes:
    """The graph as this ONNX Runtime runs it on a processor. Raises `InvalidModel`."""
    import onnxruntime as ort

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimised.onnx"
        options = ort.SessionOptions()
        options.optimized_model_filepath = str(path)
        options.log_severity_level = 4
        providers = ["CPUExecutionProvider"]
        _named(lambda: ort.InferenceSession(content, options, providers=providers))
        return path.read_bytes()


def available_providers() -> Sequence[str]:
    """Devices that this ONNX Runtime was built for, in its own words."""
    import onnxruntime as ort  # heavy

    found: Sequence[str] = ort.get_available_providers()
    return found


def _session(content: bytes, threads: int | None, provider: str | None) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or torch.get_num_threads()
    options.enable_cpu_mem_arena = False  # it would keep the largest batch for ever
    options.log_severity_level = 4  # what goes wrong is raised, and need not be printed too
    # Threads that keep spinning after a run would slow whoever is measured next.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    wanted = (provider,) if provider else ("CUDAExecutionProvider", "CPUExecutionProvider")
    providers = [name for name in wanted if name in available_providers()]
    return _named(lambda: ort.InferenceSession(content, options, providers=providers))


def _named(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except Exception as error:  # each kind of failure is a class of its own, without a common base
        reason = str(error).strip().partition("\n")[0][:300]
        if isinstance(error, MemoryError) or any(sign in reason for sign in _OUT_OF_MEMORY):
            raise OutOfMemory(f"memory ran out in the graph: {reason}") from error
        raise InvalidModel(f"ONNX Runtime cannot run it: {reason}") from error
