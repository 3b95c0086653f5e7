"""The tables of a benchmark's report on processes, and on a change of model and runtime."""

from collections.abc import Sequence
from typing import Final

from service.contract.benchmark import BenchmarkResult
from service.contract.reports import Cell, Column, Interval, Table
from service.reports.body import table
from service.reports.standing import setting_of

_SCORES: Final = (
    Column(key="scored_inputs", title="Test inputs scored", format="count"),
    Column(key="accuracy", title="Accuracy on them", format="percent"),
    Column(key="agreement", title="Same class as eager float32", format="percent"),
)


def processes_table(result: BenchmarkResult, names: Sequence[str]) -> tuple[Table, ...]:
    """Cold start and memory of every process; none in results of older jobs."""
    found = [
        (name, one)
        for name, model in zip(names, result.models, strict=True)
        for one in model.processes
    ]
    if not found:
        return ()
    runtimes = list(dict.fromkeys(one.runtime for _, one in found))
    found.sort(key=lambda pair: runtimes.index(pair[1].runtime))  # models that compare, together
    rows: list[dict[str, Cell]] = [{"name": name, **one.model_dump()} for name, one in found]
    on_gpu = any(one.peak_device_bytes is not None for _, one in found)
    columns = (
        Column(key="runtime", title="Runtime"),
        Column(key="precision", title="Precision"),
        Column(key="name", title="Model"),
        Column(key="cold_start_s", title="Cold start", format="seconds"),
        Column(key="peak_rss_bytes", title="Peak memory", format="bytes"),
        Column(key="libraries_rss_bytes", title="Of it before the model", format="bytes"),
        *(Column(key="peak_device_bytes", title="Peak on the GPU", format="bytes"),)[:on_gpu],
        Column(key="file_bytes", title="File loaded", format="bytes"),
        *_SCORES[: 3 * any(one.scored_inputs for _, one in found)],
        Column(key="max_abs_difference", title="Largest difference of logits", format="scientific"),
    )
    return (table("processes", "Cold start and memory, a process each", columns, rows),)


def runtime_speedups_table(result: BenchmarkResult, names: Sequence[str]) -> tuple[Table, ...]:
    """Against the baseline in the first runtime; none where one runtime ran."""
    rows: list[dict[str, Cell]] = [
        {
            "name": name,
            "setting": str(setting_of(one)),
            "speedup": Interval(value=one.speedup, low=one.low, high=one.high),
        }
        for name, model in zip(names, result.models, strict=True)
        for one in model.runtime_speedups
    ]
    if len({one.runtime for model in result.models for one in model.latencies}) < 2 or not rows:
        return ()
    first = result.models[0].latencies[0].runtime
    columns = (
        Column(key="name", title="Model"),
        Column(key="setting", title="Runtime and batch"),
        Column(key="speedup", title="Speed-up (95 % interval)", format="ratio"),
    )
    title = f"Against {names[0]} in {first}: what model and runtime gain together"
    return (table("runtime-speedups", title, columns, rows),)
