"""The tables of a comparison."""

from collections.abc import Iterator, Sequence
from typing import Final

from service.contract.comparisons import (
    ComparisonLatency,
    ComparisonModel,
    ComparisonSpeedup,
    ComparisonValues,
)
from service.contract.reports import Cell, Column, Interval, Table
from service.reports import show
from service.reports.body import (
    ACCURACY,
    COMPRESSION,
    LOSS_COLUMNS,
    RETENTION,
    class_names,
    class_table,
    score_cells,
    table,
)
from service.reports.comparison_targets import (
    NAME,
    OUTCOMES,
    device_title,
    measured,
    targets_table,
)

_BASELINE: Final = "baseline"
_MOST_MODELS: Final = 8  # with a column of their own in the table of classes
_AXIS_COLUMNS: Final = {
    "latency_ms": "latency",
    "size_bytes": "size",
    "macs": "MACs",
    "parameters": "parameters",
}


def comparison_tables(values: ComparisonValues) -> tuple[Table, ...]:
    """Those that have something to show, the summary first."""
    tables = (
        _summary(values),
        _against(values),
        _latencies(values),
        _processes(values),
        targets_table(values),
        _classes(values),
        _sources(values),
    )
    return tuple(one for one in tables if one.rows)


def _summary(values: ComparisonValues) -> Table:
    devices = values.devices
    size = f", batch {values.batch_size}" if devices else ""
    where = f" on {device_title(devices[0])}" if len(devices) == 1 else ""
    columns = [NAME]
    if values.request.targets is not None:
        columns.append(Column(key="targets", title="Targets"))
    columns += [ACCURACY, Column(key="size_bytes", title="Size on disk", format="bytes")]
    if any(one.sparse_bytes is not None for one in values.models):
        columns.append(Column(key="sparse_bytes", title="Sparse file", format="bytes"))
    for device in devices:
        on = "" if len(devices) == 1 else f" on {device.key}"
        columns += [
            Column(key=f"p50_{device.key}", title=f"p50{on}", unit="ms", format="milliseconds"),
            Column(key=f"runtime_{device.key}", title=f"Runtime{on}"),
        ]
    columns += [
        Column(key="parameters", title="Parameters", format="count"),
        Column(key="nonzero_parameters", title="Non-zero", format="count"),
        Column(key="macs", title="MACs per input", format="count"),
        *LOSS_COLUMNS,
        Column(key="front", title="On the front of"),
        Column(key="architecture", title="Architecture"),
    ]
    return measured(
        "summary",
        f"Models; the baseline is {values.reference.name}" + (f" (p50{where}{size})" * bool(size)),
        columns,
        (_summary_row(values, one) for one in values.models),
    )


def _summary_row(values: ComparisonValues, one: ComparisonModel) -> dict[str, Cell]:
    axes = dict.fromkeys(
        _AXIS_COLUMNS[front.axis] for front in values.fronts if one.model in front.on_front
    )
    row: dict[str, Cell] = {
        "name": one.name,
        "architecture": one.architecture,
        "parameters": one.parameters,
        "nonzero_parameters": one.nonzero_parameters,
        "size_bytes": one.size_bytes,
        "sparse_bytes": show.MISSING if one.sparse_bytes is None else one.sparse_bytes,
        "macs": one.macs,
        **({} if one.test is None else score_cells(one.test)),
        "front": ", ".join(axes) or show.MISSING,
        "targets": None if one.verdict is None else OUTCOMES[one.verdict.outcome],
    }
    for device in values.devices:
        timed = one.fastest(device.key, values.batch_size)
        row[f"p50_{device.key}"] = None if timed is None else timed.p50_ms
        row[f"runtime_{device.key}"] = None if timed is None else _ran(timed)
    return row


def _ran(timed: ComparisonLatency) -> str:
    precise = "" if timed.precision == "fp32" else f" in {timed.precision}"
    return f"{timed.runtime}{precise}"


def _against(values: ComparisonValues) -> Table:
    columns = [
        NAME,
        COMPRESSION,
        Column(key="nonzero", title="Non-zero compression", format="ratio"),
        Column(key="size_ratio", title="Size after ÷ before", format="percent"),
        Column(key="macs_ratio", title="MACs before ÷ after", format="ratio"),
        RETENTION,
        Column(key="change", title="Accuracy change", unit="points", format="points"),
        Column(key="loss_change", title="Loss change", unit="nats", format="number"),
        Column(key="agreement", title="Agreement", format="percent"),
    ]
    for device in values.devices:
        on = "" if len(values.devices) == 1 else f" on {device.key}"
        title = f"Speed-up{on}, batch {values.batch_size}"
        columns.append(Column(key=f"speedup_{device.key}", title=title, format="ratio"))
    rows: list[dict[str, Cell]] = []
    for one in values.models:
        if one.against is None:
            continue
        row: dict[str, Cell] = {
            "name": one.name,
            "nonzero": one.against.nonzero_compression_ratio,
            "change": one.against.accuracy_change_points,
        }
        row |= one.against.model_dump(exclude={"class_change_points"})
        for device in values.devices:
            timed = one.fastest(device.key, values.batch_size)
            row[f"speedup_{device.key}"] = None if timed is None else _speed(timed.speedup)
        rows.append(row)
    return measured("against", f"Against {values.reference.name}", columns, rows)


def _speed(speedup: ComparisonSpeedup | None) -> Cell:
    if speedup is None:
        return None
    if speedup.low is None or speedup.high is None:
        return speedup.value
    return Interval(value=speedup.value, low=speedup.low, high=speedup.high)


def _latencies(values: ComparisonValues) -> Table:
    """A row for each model in each setting, a pair of columns for each device."""
    columns = [
        Column(key="runtime", title="Runtime"),
        Column(key="batch_size", title="Batch", format="count"),
        Column(key="precision", title="Precision"),
        NAME,
    ]
    for device in values.devices:
        title = device_title(device)
        columns += [
            Column(
                key=f"p50_{device.key}", title=f"p50, {title}", unit="ms", format="milliseconds"
            ),
            Column(key=f"speedup_{device.key}", title=f"Speed-up, {title}", format="ratio"),
        ]
    rows: dict[tuple[str, int, str, int], dict[str, Cell]] = {}
    for index, model in enumerate(values.models):
        for one in model.latencies:
            key = (one.runtime, one.batch_size, one.precision, index)
            row = rows.setdefault(
                key,
                {
                    "runtime": one.runtime,
                    "batch_size": one.batch_size,
                    "precision": one.precision,
                    "name": model.name,
                },
            )
            is_baseline = model.model == values.baseline
            row[f"p50_{one.device}"] = one.p50_ms
            row[f"speedup_{one.device}"] = _BASELINE if is_baseline else _speed(one.speedup)
    title = "Latency of a forward pass, a column for each device"
    return measured("latency", title, columns, (rows[key] for key in sorted(rows)))


def _processes(values: ComparisonValues) -> Table:
    titles = {one.key: device_title(one) for one in values.devices}
    on_gpu = any(one.device == "cuda" for one in values.devices)
    columns = (
        NAME,
        Column(key="device", title="Device"),
        Column(key="runtime", title="Runtime"),
        Column(key="precision", title="Precision"),
        Column(key="cold_start_s", title="Cold start", format="seconds"),
        Column(key="peak_rss_bytes", title="Peak memory", format="bytes"),
        Column(key="libraries_rss_bytes", title="Of that libraries", format="bytes"),
        *(Column(key="peak_device_bytes", title="Peak on the GPU", format="bytes"),)[:on_gpu],
    )
    rows: list[dict[str, Cell]] = []
    for model in values.models:
        for one in model.processes:
            row: dict[str, Cell] = {"name": model.name, **one.model_dump(exclude={"job"})}
            row["device"] = titles[one.device]
            rows.append(row)
    return measured("memory", "Cold start and memory", columns, rows)


def _classes(values: ComparisonValues) -> Table:
    """Accuracy by class of the first models, and what the worst of them loses."""
    scored = [one for one in values.models if one.test is not None][:_MOST_MODELS]
    counts = [len(one.test.per_class_accuracy) for one in scored if one.test is not None]
    names = class_names(min(counts, default=0), values.labels)
    columns = [Column(key=one.model, title=one.name, format="percent") for one in scored]
    columns.append(Column(key="worst", title="Largest loss", unit="points", format="points"))
    rows: list[dict[str, Cell]] = []
    for index, name in enumerate(names):
        row: dict[str, Cell] = {"class": name}
        for one in scored:
            row[one.model] = one.test.per_class_accuracy[index] if one.test else None
        row["worst"] = min(_changes(scored, index), default=None)
        rows.append(row)
    return class_table("Test accuracy by class", columns, rows)


def _changes(models: Sequence[ComparisonModel], index: int) -> Iterator[float]:
    for one in models:
        points = one.against.class_change_points if one.against else ()
        if index < len(points) and (change := points[index]) is not None:
            yield change


def _sources(values: ComparisonValues) -> Table:
    return table(
        "sources",
        "Where the figures come from",
        (
            Column(key="job", title="Job"),
            Column(key="kind", title="Kind"),
            Column(key="name", title="Name"),
            Column(key="device", title="Device"),
            Column(key="dataset", title="Data"),
            Column(key="torch", title="torch"),
            Column(key="finished", title="Finished"),
        ),
        (
            {
                **one.model_dump(include={"job", "kind", "name", "device", "dataset"}),
                "torch": one.libraries.get("torch"),
                "finished": f"{one.finished_at:%Y-%m-%d %H:%M} UTC",
            }
            for one in values.sources
        ),
    )
