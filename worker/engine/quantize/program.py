"""int8 by PT2E: a module is exported, observed and converted by torchao, and handed on as ONNX."""

import copy
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from worker.engine.device import has_int8_products
from worker.engine.export.file import EXAMPLE_BATCH
from worker.engine.quantize.annotate import WEIGHT_LIMITS, Int8Quantizer, layer_name
from worker.engine.quantize.calibration import Array
from worker.engine.quantize.integer import quiet
from worker.engine.quantize.layers import Layer, layers_of
from worker.engine.quantize.qdq import in_integers

Ranges = Mapping[str, tuple[Tensor, Tensor]]
"""Least and largest value of each activation, by the key of its observer."""
_BATCH: Final = torch.export.Dim("batch")


class TorchaoQuantizer:
    """A module exported once and observed once, quantised as often as asked.

    `batches` are inputs [B, …] as the module takes them, `content` its graph in float, whose names
    of layers are its own. Use as a context. Raises `NotQuantizable`.
    """

    layers: tuple[Layer, ...]
    example: Tensor
    ranges: Ranges

    def __init__(
        self,
        module: nn.Module,
        content: bytes,
        batches: Sequence[Array],
    ) -> None:
        import onnx  # heavy

        self.example = torch.from_numpy(batches[0][:1]).repeat_interleave(EXAMPLE_BATCH, 0)
        with quiet("exported"):
            self._program = exported(module, self.example)
        self._layers = _by_module_name(self._program, onnx.ModelProto.FromString(content))
        self.layers = tuple(self._layers.values())
        self._limit = WEIGHT_LIMITS[has_int8_products()]
        self._graphs: dict[frozenset[str], bytes] = {}  # exporting one takes seconds
        with quiet("calibrated"):
            self.ranges = self._observed(batches)

    def __enter__(self) -> "TorchaoQuantizer":
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to give back."""

    def of_trained(self, module: nn.Module, ranges: Ranges) -> "TorchaoQuantizer":
        """The same of a module with other weights, with `ranges` where they say something."""
        other = copy.copy(self)
        with quiet("exported"):
            other._program = exported(module, self.example)
        other.ranges, other._graphs = {**self.ranges, **ranges}, {}
        return other

    def takes(self, kept: Sequence[Layer]) -> Callable[[str], bool]:
        """Whether a layer, by its name in the module, is in int8 where those in `kept` are not."""
        return lambda name: name in self._layers and self._layers[name] not in kept

    def all_but(self, kept: Sequence[Layer]) -> bytes:
        """The graph in int8, except for the layers in `kept`."""
        names = frozenset(layer.name for layer in kept)
        if names not in self._graphs:
            with quiet("quantised"):
                made = self._converted(self.takes(kept))
                self._graphs[names] = in_integers(as_onnx(made, self.example))
        return self._graphs[names]

    def plain(self) -> nn.Module:
        """The module in float."""
        return Answers(self._program)

    def only(self, layer: Layer) -> nn.Module:
        """The module in float, except for one layer, which rounds as int8 does."""
        with quiet("quantised"):
            return Answers(
                self._converted(lambda name: self._layers.get(name) == layer, between=False)
            )

    def _prepared(self, takes: Callable[[str], bool], *, between: bool = True) -> GraphModule:
        quantizer = Int8Quantizer(takes, weight_limit=self._limit, between=between)
        prepared: GraphModule = prepare_pt2e(copy.deepcopy(self._program), quantizer)
        return prepared

    @torch.no_grad()
    def _observed(self, batches: Sequence[Array]) -> Ranges:
        prepared = self._prepared(self.takes(()))
        for batch in batches:
            prepared(torch.from_numpy(batch))
        return ranges_of((one.key, one) for one in activations(prepared))

    @torch.no_grad()
    def _converted(self, takes: Callable[[str], bool], *, between: bool = True) -> GraphModule:
        prepared = self._prepared(takes, between=between)
        prepared(self.example)  # weights are observed as they are read
        for one in activations(prepared):
            one.min_val, one.max_val = self.ranges[one.key]
        made: GraphModule = convert_pt2e(prepared)
        return made


def _by_module_name(program: GraphModule, model: Any) -> dict[str, Layer]:
    """The layers of the graph that the program has too, in the order of the graph. One whose
    weight the export has turned, and so named anew, is known by its values."""
    import onnx

    state = program.state_dict()
    weights: dict[str, Any] = {
        found: state[node.args[1].target].numpy()
        for node in program.graph.nodes
        if (found := layer_name(node)) is not None
    }
    turned = {values.T.tobytes(): name for name, values in weights.items() if values.ndim == 2}
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    layers = {}
    for layer in layers_of(model):
        values = onnx.numpy_helper.to_array(stored[layer.weight])
        name = layer.name if layer.name in weights else turned.get(values.tobytes())
        if name is not None:
            layers[name] = layer
    return layers


class Answers(nn.Module):
    """A program as a module whose modes are those of any other: torchao's refuse to be set."""

    def __init__(self, program: GraphModule) -> None:
        super().__init__()
        self._run = [program]  # in a list it is no part, which modes would be passed on to

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self._run[0](x)
        return logits


def activations(prepared: nn.Module) -> list[Any]:
    """The observers of activations, each once."""
    return [one for one in prepared.modules() if hasattr(one, "key")]


def ranges_of(observers: Iterable[tuple[str, Any]]) -> Ranges:
    """What they have seen; where several have one key, all of it."""
    found: dict[str, tuple[Tensor, Tensor]] = {}
    for key, one in observers:
        low, high = one.min_val.clone().cpu(), one.max_val.clone().cpu()
        if key in found:
            low, high = low.minimum(found[key][0]), high.maximum(found[key][1])
        found[key] = (low, high)
    return found


def exported(module: nn.Module, example: Tensor) -> GraphModule:
    """The program of a copy in evaluation mode, for any batch size, without checks of inputs."""
    plain = copy.deepcopy(module).to(memory_format=torch.contiguous_format).cpu().eval()
    program = torch.export.export(plain, (example,), dynamic_shapes=({0: _BATCH},)).module()
    assert isinstance(program, GraphModule)
    for node in list(program.graph.nodes):
        if node.op == "call_module" and not node.users:
            program.graph.erase_node(node)
    program.recompile()
    return program


def as_onnx(program: GraphModule, example: Tensor) -> bytes:
    """A converted program as one file, batch size dynamic: "input" to "logits"."""
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        path = Path(scratch) / "model.onnx"
        torch.onnx.export(
            program,
            (example,),
            path,
            input_names=["input"],
            output_names=["logits"],
            dynamic_shapes=({0: _BATCH},),
            external_data=False,
            verbose=False,
        )
        return path.read_bytes()
