"""The few figures of a result that stand in lists and beside a job's name."""

from typing import Final, assert_never

from service.contract.benchmark import BenchmarkResult
from service.contract.reports import Format
from service.contract.specs import JobResult
from service.contract.training import Evaluation, ModelFacts
from service.reports import show
from service.reports.standing import contender, first_setting, latency_at, speedup_at

_FORMS: Final[dict[str, tuple[Format, str]]] = {
    "test_accuracy": ("percent", ""),
    "accuracy_retention": ("percent", ""),
    "agreement": ("percent", ""),
    "size_ratio": ("percent", ""),
    "parameters": ("count", ""),
    "nonzero_parameters": ("count", ""),
    "formats": ("count", ""),
    "size_bytes": ("bytes", ""),
    "sparse_bytes": ("bytes", ""),
    "compression_ratio": ("ratio", ""),
    "nonzero_compression_ratio": ("ratio", ""),
    "speedup": ("ratio", ""),
    "p50_ms": ("milliseconds", " ms"),
    "p95_ms": ("milliseconds", " ms"),
}


def key_figures(result: JobResult) -> dict[str, float]:
    """Key figures by name, in the units of the HTTP interface: shares are fractions. Of a
    benchmark they are those of its fastest model that is not the baseline; a plan has none."""
    match result.kind:
        case "train":
            return _model(result.facts, result.test)
        case "distill":
            figures = {
                **_model(result.facts, result.test),
                "compression_ratio": result.compression_ratio,
                "accuracy_retention": result.accuracy_retention,
            }
            if result.comparison is not None and result.comparison.latencies:
                figures["speedup"] = result.comparison.latencies[0].speedup
            return figures
        case "prune":
            figures = {
                **_model(result.facts, result.test),
                "nonzero_parameters": result.facts.nonzero_parameters,
                "compression_ratio": result.compression_ratio,
                "nonzero_compression_ratio": result.nonzero_compression_ratio,
                "accuracy_retention": result.accuracy_retention,
            }
            if result.sparse_bytes is not None:
                figures["sparse_bytes"] = result.sparse_bytes
            if result.latencies:
                figures["speedup"] = result.latencies[0].speedup
            return figures
        case "benchmark":
            return _benchmark(result)
        case "quantize":
            figures = {
                **_model(result.facts, result.test),
                "size_ratio": result.size_ratio,
                "accuracy_retention": result.accuracy_retention,
            }
            if result.latencies:
                figures["speedup"] = result.latencies[0].speedup
            return figures
        case "export":
            return {
                "parameters": result.source.parameters,
                "formats": len(result.exports),
                "agreement": min(one.parity.agreement for one in result.exports),
            }
        case "plan":
            return {}
        case _:
            assert_never(result)


def shown_figure(name: str, value: float) -> str:
    """A key figure as people read it; one of another name as a plain number."""
    form, unit = _FORMS.get(name, ("number", ""))
    return f"{show.number(value, form)}{unit}"


def _model(facts: ModelFacts, test: Evaluation) -> dict[str, float]:
    return {
        "test_accuracy": test.accuracy,
        "parameters": facts.parameters,
        "size_bytes": facts.size_bytes,
    }


def _benchmark(result: BenchmarkResult) -> dict[str, float]:
    index = contender(result)
    model = result.models[index or 0]
    figures = _model(model.facts, model.test)
    setting = first_setting(result)
    if latency := latency_at(model, setting):
        figures["p50_ms"] = latency.p50_ms
        figures["p95_ms"] = latency.p95_ms
    if index is None:
        return figures
    figures["compression_ratio"] = model.compression_ratio
    figures["accuracy_retention"] = model.accuracy_retention
    if speedup := speedup_at(model, setting):
        figures["speedup"] = speedup.speedup
    return figures
