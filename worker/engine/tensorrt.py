"""What running and writing TensorRT engines have in common: building one, and what runs it.

Written to the interface that versions 10 and 11 share. Networks are strongly typed, as 11 has them
always: the arithmetic is that of the ONNX file, so that half precision is a matter of what is
exported.
"""

from importlib.util import find_spec
from typing import Any, Final

import torch
from torch import Tensor, nn

from worker.engine.device import Precision
from worker.engine.errors import NotExportable, OutOfMemory, RuntimeMissing, UnsupportedDevice
from worker.engine.export.onnx import export_onnx, onnx_of
from worker.engine.models.folder import LoadedModel
from worker.engine.models.graph import Graph

LARGEST_BATCH: Final = 4096  # that of the contract; memory is taken for what runs
_COMMON_BATCH: Final = 32  # kernels are chosen for it
_DTYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def missing() -> str | None:
    """Why no engine can be built here; None where one can. Nothing of TensorRT is imported."""
    if not torch.cuda.is_available():
        return "TensorRT needs a GPU, and no CUDA device is visible"
    if find_spec("tensorrt") is None:
        return "this worker has no TensorRT: install modelpress[tensorrt] beside it"
    return None


def check_available(device: torch.device | None = None) -> None:
    """Raises `RuntimeMissing`, or `UnsupportedDevice` for a device that is no GPU."""
    if (reason := missing()) is not None:
        raise RuntimeMissing(reason)
    if device is not None and device.type != "cuda":
        raise UnsupportedDevice("TensorRT runs on GPUs only")


def precision_of(is_graph: bool, asked: Precision) -> Precision:
    """What runs: a graph keeps the arithmetic that it has."""
    return "fp32" if is_graph else asked


class InPrecision(nn.Module):
    """A model in another arithmetic, whose inputs and logits stay float32."""

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        """`module` is changed in place."""
        super().__init__()
        self._module = module.to(dtype)
        self._dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self._module(x.to(self._dtype))
        return logits.float()


def engine_of(loaded: LoadedModel, precision: Precision) -> bytes:
    """An engine for this GPU, batches of 1 to 4096. Raises `NotExportable`, `RuntimeMissing`."""
    check_available()
    dtype = _DTYPES[precision]
    if precision == "fp32" or isinstance(loaded.module, Graph):
        return _build(onnx_of(loaded), loaded.config.input_size)
    typed = LoadedModel(InPrecision(loaded.module, dtype), loaded.config)
    return _build(export_onnx(typed), loaded.config.input_size)


def _build(onnx: bytes, input_size: tuple[int, ...]) -> bytes:
    import tensorrt as trt

    builder: Any = trt.Builder(_logger())
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, _logger())
    if not parser.parse(onnx):
        said = "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors))
        raise NotExportable(f"TensorRT cannot read the graph: {said[:300]}")
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)  # float32 means float32
    profile = builder.create_optimization_profile()
    shapes = [(size, *input_size) for size in (1, _COMMON_BATCH, LARGEST_BATCH)]
    profile.set_shape(network.get_input(0).name, *shapes)
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise NotExportable("TensorRT cannot build an engine for this GPU")
    return bytes(plan)


class Engine:
    """An engine that is ready to run on the current GPU and torch's current stream."""

    def __init__(self, plan: bytes) -> None:
        """`plan` must be what `engine_of` made: an engine is trusted. Raises `NotExportable`."""
        check_available()
        import tensorrt as trt

        self._runtime: Any = trt.Runtime(_logger())  # it has to outlive the engine
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise NotExportable("TensorRT cannot load the engine")
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise OutOfMemory("memory ran out: TensorRT has none for the engine's activations")
        names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
        mode = trt.TensorIOMode.INPUT
        self._input = next(n for n in names if self._engine.get_tensor_mode(n) == mode)
        self._output = next(n for n in names if n != self._input)

    def prepare(self, x: Tensor) -> Tensor:
        """Bind a batch, float32 on the GPU and contiguous; its logits will be in what is returned.
        Both must live while it runs."""
        if not self._context.set_input_shape(self._input, tuple(x.shape)):
            raise NotExportable(f"the engine takes no batch of {len(x)}")
        logits = torch.empty(
            tuple(self._context.get_tensor_shape(self._output)),
            dtype=torch.float32,
            device=x.device,
        )
        self._context.set_tensor_address(self._input, x.data_ptr())
        self._context.set_tensor_address(self._output, logits.data_ptr())
        return logits

    def run(self) -> None:
        """What was bound, queued on torch's current stream."""
        if not self._context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            raise NotExportable("TensorRT could not run the engine")

    def __call__(self, x: Tensor) -> Tensor:
        """Logits on the CPU of a batch there. What was bound before is bound no longer."""
        ready = x.float().contiguous().cuda()
        logits = self.prepare(ready)
        self.run()
        return logits.cpu()


_LOGGERS: Final[list[Any]] = []


def _logger() -> Any:
    """The one of this process: TensorRT keeps the first that it is given."""
    if not _LOGGERS:
        import tensorrt as trt

        _LOGGERS.append(trt.Logger(trt.Logger.ERROR))
    return _LOGGERS[0]
