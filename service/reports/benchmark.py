"""The report of a `benchmark` job: every model against the first."""

from typing import Final

from service.contract.benchmark import BenchmarkedModel, BenchmarkResult, SpeedupResult
from service.contract.reports import Cell, Column, Format, Highlight, Interval, LineageEntry, Table
from service.reports import show
from service.reports.benchmark_tables import processes_table, runtime_speedups_table
from service.reports.body import (
    ACCURACY,
    ARTIFACT_NOTE,
    COMPRESSION,
    LOSS_COLUMNS,
    RETENTION,
    SIZE_COLUMNS,
    Body,
    accuracy_note,
    distinct_names,
    in_ms,
    kind_columns,
    model_cells,
    score_cells,
    table,
)
from service.reports.latency import benchmark_charts
from service.reports.standing import (
    Setting,
    contender,
    first_setting,
    latency_at,
    setting_of,
    settings,
    speedup_at,
)

_NOISY: Final = 0.10
_NOT_SHOWN: Final = {"samples_ms", "quantiles_ms", "std_ms", "runtime", "threads", "energy_source"}


def benchmark_body(result: BenchmarkResult) -> Body:
    """What each model costs and scores, and how many times faster than the baseline it is."""
    names = distinct_names([model.facts for model in result.models])
    best = contender(result)
    return Body(
        subject=" against ".join([names[best], names[0]]) if best else names[0],
        headline=_headline(result, names, best),
        highlights=_highlights(result, best),
        notes=_notes(result, names),
        tables=(
            _summary(result, names),
            _latencies(result, names),
            *runtime_speedups_table(result, names),
            *processes_table(result, names),
            _quality(result, names),
        ),
        charts=benchmark_charts(result, names),
        lineage=tuple(
            LineageEntry(role="model" if i else "baseline", model=model.facts.model, name=name)
            for i, (model, name) in enumerate(zip(result.models, names, strict=True))
        ),
    )


def _headline(result: BenchmarkResult, names: list[str], best: int | None) -> str:
    setting = first_setting(result)
    if best is None:
        return _alone(result.models[0], names[0], setting)
    model = result.models[best]
    speedup = speedup_at(model, setting)
    speed = f" {_speed(speedup, names[0], setting)}," if speedup else ""
    return (
        f"{names[best]}{' is' if speedup else ''}{speed} takes "
        f"{show.percent(model.size_ratio)} of the space and keeps "
        f"{show.percent(model.accuracy_retention)} of the accuracy "
        f"({show.percent(model.test.accuracy)} against "
        f"{show.percent(result.models[0].test.accuracy)})."
    )


def _alone(model: BenchmarkedModel, name: str, setting: Setting | None) -> str:
    scored = f"scores {show.percent(model.test.accuracy)}"
    latency = latency_at(model, setting)
    if latency is None:
        return f"{name} {scored}."
    return f"{name} {scored} and answers in {show.significant(latency.p50_ms)} ms ({setting})."


def _speed(speedup: SpeedupResult, baseline: str, setting: Setting | None) -> str:
    low, high = show.ratio(speedup.low), show.ratio(speedup.high)
    interval = f"({setting}; 95 % interval {low}–{high})"
    if speedup.low > 1:
        return f"{show.ratio(speedup.speedup)} as fast as {baseline} {interval}"
    if speedup.high < 1:
        return f"slower than {baseline}, at {show.ratio(speedup.speedup)} its speed {interval}"
    return f"neither clearly faster nor slower than {baseline} {interval}"


def _highlights(result: BenchmarkResult, best: int | None) -> tuple[Highlight, ...]:
    model, setting = result.models[best or 0], first_setting(result)
    found: list[tuple[str, Cell, Format]] = []
    latency = latency_at(model, setting)
    if best is not None:
        speedup = speedup_at(model, setting)
        found += [
            (f"Speed-up ({setting})", speedup.speedup if speedup else None, "ratio"),
            ("Compression ratio", model.compression_ratio, "ratio"),
            ("Accuracy retention", model.accuracy_retention, "percent"),
        ]
    else:
        found += [("Test accuracy", model.test.accuracy, "percent")]
    found += [
        (f"p50 latency ({setting})", in_ms(latency.p50_ms) if latency else None, "milliseconds"),
        ("Size on disk", model.facts.size_bytes, "bytes"),
    ]
    return tuple(
        Highlight(label=label, value=value, format=form)
        for label, value, form in found
        if value is not None
    )


def _notes(result: BenchmarkResult, names: list[str]) -> tuple[str, ...]:
    noisy = [
        f"{name} ({setting_of(one)}, {show.percent(one.variation)})"
        for name, model in zip(names, result.models, strict=True)
        for one in model.latencies
        if one.variation > _NOISY
    ]
    best = contender(result) or 0
    return (
        *result.warnings,
        *_noise_note(noisy),
        *_skip_notes(result, names),
        "All models were timed side by side, in interleaved turns; a speed-up is the median of "
        "paired ratios, its interval a bootstrap over processes and turns.",
        accuracy_note(names[best], result.models[best].test),
        ARTIFACT_NOTE,
    )


def _skip_notes(result: BenchmarkResult, names: list[str]) -> list[str]:
    """One for each reason; a runtime that is absent is so for every model."""
    models: dict[str, list[str]] = {}
    for name, model in zip(names, result.models, strict=True):
        for one in model.skipped:
            models.setdefault(f"{one.runtime} was skipped: {one.reason}", []).append(name)
    return [
        f"{said}." if len(found) == len(names) else f"{said} ({', '.join(found)})."
        for said, found in models.items()
    ]


def _noise_note(noisy: list[str]) -> tuple[str, ...]:
    if not noisy:
        return ()
    return (
        f"The machine was not quiet: latencies vary by more than {100 * _NOISY:.0f} % of their "
        f"mean for {', '.join(noisy)}; judge by the interval of the speed-up.",
    )


def _speedup(model: BenchmarkedModel, setting: Setting | None) -> Interval | None:
    found = speedup_at(model, setting)
    if found is None:
        return None
    return Interval(value=found.speedup, low=found.low, high=found.high)


_SPEEDUP: Final = Column(key="speedup", title="Speed-up (95 % interval)", format="ratio")


def _summary(result: BenchmarkResult, names: list[str]) -> Table:
    setting = first_setting(result)
    rows: list[dict[str, Cell]] = []
    for index, (model, name) in enumerate(zip(result.models, names, strict=True)):
        latency = latency_at(model, setting)
        row: dict[str, Cell] = {**model_cells(model.facts, name), **score_cells(model.test)}
        row["p50_ms"] = latency.p50_ms if latency else None
        row["p95_ms"] = latency.p95_ms if latency else None
        if index:  # the baseline's ratios to itself say nothing
            row["accuracy_retention"] = model.accuracy_retention
            row["speedup"] = _speedup(model, setting)
        rows.append(row)
    return table(
        ident="summary",
        title="Models; the first is the baseline" + (f" (latency: {setting})" if setting else ""),
        columns=(
            *SIZE_COLUMNS,
            ACCURACY,
            RETENTION,
            Column(key="p50_ms", title="p50", unit="ms", format="milliseconds"),
            Column(key="p95_ms", title="p95", unit="ms", format="milliseconds"),
            _SPEEDUP,
        ),
        rows=tuple(rows),
    )


def _quality(result: BenchmarkResult, names: list[str]) -> Table:
    return table(
        ident="quality",
        title="Compression and quality",
        columns=(
            Column(key="name", title="Model"),
            *kind_columns([model.facts for model in result.models]),
            COMPRESSION,
            Column(key="size_ratio", title="Size against the baseline", format="percent"),
            Column(key="accuracy_change_points", title="Change", unit="points", format="points"),
            *LOSS_COLUMNS,
        ),
        rows=tuple(
            {
                **model_cells(model.facts, name),
                **score_cells(model.test),
                "compression_ratio": model.compression_ratio,
                "size_ratio": model.size_ratio,
                "accuracy_change_points": model.accuracy_change_points,
            }
            for model, name in zip(result.models, names, strict=True)
        ),
    )


def _latencies(result: BenchmarkResult, names: list[str]) -> Table:
    rows: list[dict[str, Cell]] = []
    for setting in settings(result):
        for index, (model, name) in enumerate(zip(result.models, names, strict=True)):
            if one := latency_at(model, setting):
                row: dict[str, Cell] = {"name": name, "runtime": setting.runtime}
                row |= one.model_dump(exclude=_NOT_SHOWN)
                row["speedup"] = _speedup(model, setting) if index else None
                rows.append(row)
    counted = any(one.energy_source for model in result.models for one in model.latencies)
    energy = Column(key="energy_mj_per_input", title="Energy", unit="mJ/input", format="number")
    quantiles = ("p50", "p90", "p95", "p99", "mean")
    return table(
        ident="latency",
        title="Latency by runtime and batch size",
        columns=(
            Column(key="runtime", title="Runtime"),
            Column(key="batch_size", title="Batch", format="count"),
            Column(key="name", title="Model"),
            Column(key="precision", title="Precision"),
            *(Column(key=f"{q}_ms", title=q, unit="ms", format="milliseconds") for q in quantiles),
            Column(key="variation", title="Variation", format="percent"),
            Column(key="throughput_per_s", title="Throughput", unit="inputs/s", format="count"),
            *(energy,)[:counted],
            _SPEEDUP,
        ),
        rows=tuple(rows),
    )
