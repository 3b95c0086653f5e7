"""The original, its float graph and the quantised one, timed side by side."""

from dataclasses import dataclass, replace

from service.contract.before_after import ComparedLatency
from service.contract.quantize import QuantizeSpec
from service.contract.quantize_result import QuantizedLatency
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import save_graph
from worker.engine.models.graph import ARCHITECTURE
from worker.handlers.before_after import pair_of
from worker.handlers.common import Job
from worker.handlers.side_by_side import Saved, in_turns
from worker.handlers.trained import MODEL

_ORIGINAL, _FLOAT, _QUANTIZED = "original", "float", "quantized"


@dataclass(frozen=True)
class TimedGraphs:
    """Two rows a batch size: against the float graph in the same runtime, which tells what fewer
    bits gain; and against the original in PyTorch, which tells what a change of both gains. An
    original that is a graph has the first only."""

    comparable: tuple[ComparedLatency, ...]

    @property
    def graphs(self) -> tuple[QuantizedLatency, ...]:
        """Those against the float graph."""
        return tuple(
            QuantizedLatency(
                batch_size=one.batch_size,
                float_p50_ms=one.baseline_p50_ms,
                quantized_p50_ms=one.compressed_p50_ms,
                speedup=one.speedup,
                low=one.low,
                high=one.high,
            )
            for one in self.comparable
            if one.baseline_runtime == one.runtime
        )


def paired_graphs(
    job: Job, spec: QuantizeSpec, content: bytes, config: ModelConfig, original: Saved
) -> TimedGraphs:
    """All in turns, once for each batch size; `content` is the float graph. Raises `Stopped`."""
    job.observer.on_phase("measuring")
    folder = job.folder / _FLOAT
    save_graph(content, replace(config, architecture=ARCHITECTURE, options={}), folder, card="")
    saved = {_FLOAT: Saved.natural(folder), _QUANTIZED: Saved.natural(job.folder / MODEL)}
    if original.runtime == "eager":
        saved[_ORIGINAL] = original
    rows: list[ComparedLatency] = []
    for size in spec.latency_batch_sizes:
        timed = in_turns(job, saved, size)
        rows += [
            pair_of(timed[name], timed[_QUANTIZED], size, spec.seed)
            for name in (_FLOAT, _ORIGINAL)
            if name in timed
        ]
    return TimedGraphs(tuple(rows))
