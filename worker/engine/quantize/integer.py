"""int8 arithmetic in ONNX Runtime: with ranges measured beforehand, or found on the way."""

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from worker.engine.device import has_int8_products
from worker.engine.errors import EngineError, NotQuantizable
from worker.engine.models.graph import Graph
from worker.engine.quantize.calibration import Array
from worker.engine.quantize.layers import Layer, layers_of

Calibration = Literal["minmax", "percentile", "entropy"]
# What CPU kernels run in int8, and what only passes integers on. Normalisation, softmax and the
# like stay float: they cost little and lose much.
_STATIC_OPERATORS: Final = (
    *("Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Mul", "Relu", "Clip", "LeakyRelu"),
    *("MaxPool", "AveragePool", "GlobalAveragePool", "Concat", "Reshape", "Transpose", "Flatten"),
    *("Squeeze", "Unsqueeze", "Pad", "Slice", "Resize"),
)
_DYNAMIC_OPERATORS: Final = ("MatMul", "Gemm")  # integer convolutions of this kind are slower
_PERCENTILE: Final = 99.99


class StaticQuantizer:
    """A graph prepared once and calibrated once, quantised as often as asked.

    `batches` are inputs [B, …] as the graph takes them; ranges of activations are theirs.
    Weights get a scale for each output, activations one each, uint8. Use as a context.
    """

    layers: tuple[Layer, ...]

    def __init__(self, content: bytes, batches: Sequence[Array], calibration: Calibration) -> None:
        import onnx  # heavy
        from onnxruntime.quantization.shape_inference import quant_pre_process

        self._folder = tempfile.TemporaryDirectory()
        self.prepared = Path(self._folder.name) / "prepared.onnx"
        self._cache = Path(self._folder.name) / "ranges.json"
        self.batches, self._calibration = batches, calibration
        source = self.prepared.with_name("source.onnx")
        source.write_bytes(content)
        with quiet("prepared"):
            quant_pre_process(str(source), str(self.prepared), skip_symbolic_shape=True)
        model = onnx.load(self.prepared)
        self.layers = layers_of(model)
        self.input = model.graph.input[0].name

    def __enter__(self) -> "StaticQuantizer":
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def all_but(self, kept: Sequence[Layer]) -> bytes:
        """The graph in int8, except for the layers in `kept`."""
        return self._quantize({"nodes_to_exclude": [layer.node for layer in kept]})

    def plain(self) -> Graph:
        """The graph in float."""
        return Graph(self.prepared.read_bytes())

    def only(self, layer: Layer) -> Graph:
        """The graph in float, except for one layer."""
        return Graph(self._quantize({"nodes_to_quantize": [layer.node]}))

    def _quantize(self, choice: dict[str, list[str]]) -> bytes:
        from onnxruntime import quantization as q

        methods = {
            "minmax": q.CalibrationMethod.MinMax,
            "percentile": q.CalibrationMethod.Percentile,
            "entropy": q.CalibrationMethod.Entropy,
        }
        made = self.prepared.with_name("made.onnx")
        with quiet("quantised"):
            q.quantize_static(
                str(self.prepared),
                str(made),
                reader(self.input, self.batches),
                quant_format=q.QuantFormat.QDQ,
                op_types_to_quantize=list(_STATIC_OPERATORS),
                per_channel=True,
                reduce_range=not has_int8_products(),  # 7 bits do not saturate in 16
                activation_type=q.QuantType.QUInt8,
                weight_type=q.QuantType.QInt8,
                calibrate_method=methods[self._calibration],
                calibration_cache_path=self._cache,
                extra_options={"CalibPercentile": _PERCENTILE},
                **choice,
            )
        return made.read_bytes()


def dynamic_int8(content: bytes, layers: Sequence[Layer]) -> bytes:
    """Products in int8, the ranges of their inputs found at each run; the rest stays float."""
    import onnx
    from onnxruntime import quantization as q

    if not any(layer.operator in _DYNAMIC_OPERATORS for layer in layers):
        raise NotQuantizable("it has no matrix products; for convolutions ask for static_int8")
    every = layers_of(onnx.ModelProto.FromString(content))
    kept = [layer.node for layer in every if layer not in layers]
    with tempfile.TemporaryDirectory() as folder, quiet("quantised"):
        source, made = Path(folder) / "source.onnx", Path(folder) / "made.onnx"
        source.write_bytes(content)
        q.quantize_dynamic(
            str(source),
            str(made),
            op_types_to_quantize=list(_DYNAMIC_OPERATORS),
            per_channel=True,
            reduce_range=not has_int8_products(),
            weight_type=q.QuantType.QInt8,
            # A Gemm becomes a MatMul of this name on the way.
            nodes_to_exclude=[name for node in kept for name in (node, f"{node}_MatMul")],
        )
        return made.read_bytes()


def reader(name: str, batches: Sequence[Array]) -> Any:
    """The batches as ONNX Runtime's tool asks for them, for the input `name`."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # its module has no types
        def __init__(self) -> None:
            self._left = iter(batches)

        def get_next(self) -> dict[str, Array] | None:
            batch = next(self._left, None)
            return None if batch is None else {name: batch}

    return Reader()


@contextlib.contextmanager
def quiet(what: str) -> Iterator[None]:
    """Without the library's chatter. Raises `NotQuantizable` where it gives up."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except EngineError:
        raise
    except Exception as error:  # it raises whatever its passes raise
        reason = str(error).strip().partition("\n")[0][:300]
        raise NotQuantizable(f"the graph cannot be {what}: {reason}") from error
    finally:
        logging.disable(before)
