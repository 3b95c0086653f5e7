"""The float graph and the quantised one, timed side by side in ONNX Runtime."""

from dataclasses import replace
from typing import Final

from service.contract.quantize import QuantizeSpec
from service.contract.quantize_result import QuantizedLatency
from worker.engine.measure.latency import speedup
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import save_graph
from worker.engine.models.graph import ARCHITECTURE
from worker.handlers.common import Job
from worker.handlers.side_by_side import side_by_side
from worker.handlers.trained import MODEL

_FLOAT: Final = "float"


def paired(
    job: Job, spec: QuantizeSpec, content: bytes, config: ModelConfig
) -> tuple[QuantizedLatency, ...]:
    """One pair for each batch size; `content` is the float graph. Raises `Stopped`."""
    job.observer.on_phase("measuring")
    graph_config = replace(config, architecture=ARCHITECTURE, options={})
    save_graph(content, graph_config, job.folder / _FLOAT, card="")
    return tuple(_pair(job, size, spec.seed) for size in spec.latency_batch_sizes)


def _pair(job: Job, batch_size: int, seed: int) -> QuantizedLatency:
    folders = {"float": job.folder / _FLOAT, "quantized": job.folder / MODEL}
    timed = side_by_side(job, folders, batch_size, "onnxruntime")
    ratio = speedup(timed["float"], timed["quantized"], seed)
    return QuantizedLatency(
        batch_size=batch_size,
        float_p50_ms=timed["float"].p50_ms,
        quantized_p50_ms=timed["quantized"].p50_ms,
        speedup=ratio.median,
        low=ratio.low,
        high=ratio.high,
    )
