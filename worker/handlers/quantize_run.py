"""The work of a `quantize` job: which layers, by which method, until the target is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn

from service.contract.quantize import (
    Fp16Method,
    QuantizeMethod,
    QuantizeSpec,
    StaticFp8Method,
    StaticInt8Method,
)
from service.contract.quantize_result import AwareTraining
from service.contract.training import Evaluation
from service.reports.promises import missed_by
from worker.engine.data.split import Data, Split
from worker.engine.device import has_int8_products
from worker.engine.errors import NotQuantizable, Stopped, TargetNotReached
from worker.engine.export.onnx import onnx_of
from worker.engine.models.folder import LoadedModel
from worker.engine.models.graph import Graph
from worker.engine.quantize.calibration import Array, calibration_batches
from worker.engine.quantize.fp8 import static_fp8
from worker.engine.quantize.half import half_arithmetic, widened_operators
from worker.engine.quantize.integer import StaticQuantizer
from worker.engine.quantize.layers import Layer, chosen
from worker.engine.quantize.methods import STATIC, UNCALIBRATED, graph_layers, stripped
from worker.engine.quantize.sensitivity import Sensitivity, least_kept, sensitivities
from worker.engine.quantize.tool import Int8Tool
from worker.engine.quantize.torchao import torchao_tool
from worker.engine.train.evaluate import predict
from worker.handlers.common import Job
from worker.handlers.quantize_aware import AwareRun

if TYPE_CHECKING:
    from worker.engine.quantize.program import TorchaoQuantizer

    Tool = StaticQuantizer | TorchaoQuantizer

_JUDGED: Final = 512  # validation examples that a layer is judged on


@dataclass(frozen=True)
class Quantized:
    """A graph, the layers that have fewer bits in it, and those that stayed float."""

    content: bytes
    quantized: tuple[Layer, ...]
    kept: tuple[Layer, ...]


class QuantizeRun:
    """One model, one method. `content` is its graph in float32."""

    def __init__(self, job: Job, spec: QuantizeSpec, data: Data, original: LoadedModel) -> None:
        self.job, self.spec, self.data, self.original = job, spec, data, original
        job.observer.on_phase("exporting")
        self.content = stripped(onnx_of(original))
        self.layers = graph_layers(self.content)
        self.warnings: list[str] = []
        self.sensitivities: tuple[Sensitivity, ...] = ()
        self.finetuning: AwareTraining | None = None
        self.calibration_samples = 0

    def make(self) -> Quantized:
        """Raises `NotQuantizable`, and `TargetNotReached` where nothing keeps the target."""
        try:
            layers = chosen(self.layers, self.spec.ignored_layers)
        except ValueError as error:
            raise NotQuantizable(str(error)) from error
        if not layers:
            raise NotQuantizable("every layer is ignored")
        self.job.observer.on_phase("quantizing")
        return self._by(self.spec.method, layers)

    def _by(self, method: QuantizeMethod, layers: Sequence[Layer]) -> Quantized:
        match method:
            case StaticInt8Method():
                return self._static(method, layers)
            case StaticFp8Method():
                batches = self._calibration(method.calibration_samples)
                return self._made(static_fp8(self.content, batches, layers), layers)
            case Fp16Method(arithmetic="half"):
                return self._made(self._half(layers), layers)
        made = UNCALIBRATED[method.name](self.content, layers)
        if method.name == "dynamic_int8":
            layers = tuple(one for one in layers if one.operator in ("MatMul", "Gemm"))
        return self._made(made, layers)

    def _half(self, layers: Sequence[Layer]) -> bytes:
        made = half_arithmetic(self.content, layers)
        widened = widened_operators(made)
        if widened:
            self._warn(
                "ONNX Runtime runs these operators in float32 here, and turns numbers to and fro: "
                + ", ".join(widened)
            )
        return made

    def _static(self, method: StaticInt8Method, layers: Sequence[Layer]) -> Quantized:
        batches = self._calibration(method.calibration_samples)
        if not has_int8_products():
            self._warn("The processor has no VNNI: weights are kept to 7 bits, and int8 gains less")
        with self._tool(method, batches) as tool:
            names = {layer.name for layer in layers}
            layers = tuple(layer for layer in tool.layers if layer.name in names)
            ignored = tuple(layer for layer in tool.layers if layer.name not in names)
            quantizer = self._finetuned(tool, ignored)
            made = self._made(quantizer.all_but(ignored), layers)
            misses = not self._keeps(made.content)
            if misses or self.spec.sensitivity:
                self.sensitivities = self._measured(quantizer, layers)
            return self._repaired(quantizer, ignored, layers) if misses else made

    def _finetuned(self, tool: "Tool", ignored: tuple[Layer, ...]) -> "Tool":
        if self.spec.finetune is None or isinstance(tool, StaticQuantizer):
            return tool
        run = AwareRun(self.job, self.spec.finetune, self.data, self.original, self._warn)
        better, self.finetuning = run.improve(tool, ignored)
        return better

    def _tool(self, method: StaticInt8Method, batches: Sequence[Array]) -> "Tool":
        """Raises `RuntimeMissing` without torchao, and `NotQuantizable` where it has no module."""
        if method.tool != "torchao":
            return STATIC[method.tool](self.content, batches, method.calibration)
        return torchao_tool(self.original.module, self.content, batches)

    def _repaired(
        self, quantizer: Int8Tool, ignored: tuple[Layer, ...], layers: tuple[Layer, ...]
    ) -> Quantized:
        """With the least of the worst layers in float that keeps the target."""
        worst = [one.layer for one in self.sensitivities]

        @cache  # the search ends with one that it made
        def graph(count: int) -> bytes:
            return quantizer.all_but((*ignored, *worst[:count]))

        count = least_kept(lambda count: self._keeps(graph(count)), len(worst) - 1)
        if count is None:
            raise TargetNotReached(
                f"max_accuracy_drop_points is passed even with one layer in int8: {worst[-1].name}"
            )
        names = ", ".join(layer.name for layer in worst[:count])
        self._warn(f"To keep max_accuracy_drop_points these layers stayed float: {names}")
        left = tuple(layer for layer in layers if layer not in worst[:count])
        return self._made(graph(count), left)

    def _made(self, content: bytes, layers: Sequence[Layer]) -> Quantized:
        names = {layer.name for layer in layers}
        kept = tuple(layer for layer in self.layers if layer.name not in names)
        quantized = tuple(layer for layer in self.layers if layer.name in names)
        return Quantized(stripped(content), quantized, kept)

    def _keeps(self, content: bytes) -> bool:
        targets = self.spec.targets
        if targets is None:
            return True
        before = self.original_validation.accuracy
        right = self._accuracy(self._logits(content, self.data.validation))
        drop = 100 * (before - right)
        asked = targets.max_accuracy_drop_points
        return missed_by("max_accuracy_drop_points", asked, drop) is None

    @cached_property
    def original_validation(self) -> Evaluation:
        """What targets and the result compare with."""
        scores, _ = self.job.evaluate(self.original, self.data.validation)
        return scores

    def _accuracy(self, logits: Tensor) -> float:
        return float((logits.argmax(1) == self.data.validation.y).double().mean())

    def _measured(self, quantizer: Int8Tool, layers: tuple[Layer, ...]) -> tuple[Sensitivity, ...]:
        self.job.observer.on_phase("measuring sensitivity")
        count = min(_JUDGED, len(self.data.validation))
        # Evenly spread: the split's order may be that of its classes.
        spread = torch.linspace(0, len(self.data.validation) - 1, count).round().long()
        split = self.data.validation.take(spread)
        reference = self._answers(quantizer.plain(), split)
        return sensitivities(
            quantizer,
            layers,
            lambda module: self._answers(module, split),
            reference,
            lambda done, total: self._progress(done, total),
        )

    def _progress(self, done: int, total: int) -> None:
        self.job.observer.on_step(done, total, {})
        if self.job.observer.should_stop():  # it starts over: minutes at most
            raise Stopped

    def _logits(self, content: bytes, split: Split) -> Tensor:
        return self._answers(Graph(content), split)

    def _answers(self, module: nn.Module, split: Split) -> Tensor:
        config = self.original.config
        return predict(module, split, config.mean, config.std)

    def _calibration(self, samples: int) -> list[Array]:
        config = self.original.config
        batches = calibration_batches(
            self.data.train,
            config.mean,
            config.std,
            samples=samples,
            seed=self.spec.seed,
            batch_size=Graph(self.content).batch_size,
        )
        self.calibration_samples = sum(len(batch) for batch in batches)
        return batches

    def _warn(self, message: str) -> None:
        self.warnings.append(message)
        self.job.observer.on_warning(message)
