"""Baseline against compressed, as every report of a compressing job shows it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from service.contract.before_after import BeforeAfter, ComparedLatency, ComparedModel
from service.contract.benchmark import ProcessResult
from service.contract.reports import Cell, Column, Format, Interval, Quantity, Table
from service.reports import show
from service.reports.body import class_names, class_table, table

_COLUMNS: Final = (
    Column(key="figure", title="Figure"),
    Column(key="baseline", title="Baseline", format="number"),
    Column(key="compressed", title="Compressed", format="number"),
    Column(key="change", title="Change", format="number"),
)
_CLASS_COLUMNS: Final = (
    Column(key="baseline", title="Baseline", format="percent"),
    Column(key="compressed", title="Compressed", format="percent"),
    Column(key="change", title="Change", unit="points", format="points"),
)
_WIDE: Final = 1.5  # ends of an interval that are further apart than so are mostly noise
_SMALLER: Final = ("smaller", "larger")
_FEWER: Final = ("fewer", "more")

Row = dict[str, Cell]


def before_after_table(found: BeforeAfter, names: Sequence[str]) -> Table:
    """A row a figure; `names` are of the baseline and of the compressed model."""
    before, after = found.baseline, found.compressed
    rows = [
        *_counts(before, after),
        *_scores(found),
        *(_latency(one) for one in found.latencies),
        *_memory(before.process, after.process),
    ]
    baseline, compressed = names
    return table("summary", f"{compressed} against {baseline}, the baseline", _COLUMNS, rows)


def class_changes_table(found: BeforeAfter, labels: Sequence[str] | None) -> Table:
    """The accuracy of each class, before and after."""
    changes = found.class_change_points
    rows: list[Row] = [
        {"class": name, "baseline": was, "compressed": now, "change": change}
        for name, was, now, change in zip(
            class_names(len(changes), labels),
            found.baseline.test.per_class_accuracy,
            found.compressed.test.per_class_accuracy,
            changes,
            strict=True,
        )
    ]
    return class_table("Test accuracy by class", _CLASS_COLUMNS, rows)


def of_this_job(found: BeforeAfter | None) -> BeforeAfter:
    """Results of older jobs have none; a report is made where its job ends."""
    assert found is not None
    return found


def timing_notes(found: BeforeAfter) -> tuple[str, ...]:
    """Which speed-ups are not to be trusted to the digit."""
    wide = [pair_setting(one) for one in found.latencies if one.high > _WIDE * one.low]
    if not wide:
        return ()
    return (
        "The machine was not quiet while both were timed: judge by the interval of the speed-up, "
        f"not by its middle ({'; '.join(wide)}).",
    )


def pair_setting(one: ComparedLatency) -> str:
    """What both were run by: `batch 1, eager`, or `batch 1, eager → onnxruntime`."""
    moved = one.baseline_runtime != one.runtime
    ran = f"{one.baseline_runtime} → {one.runtime}" if moved else one.runtime
    return f"batch {one.batch_size}, {ran}"


def times(ratio: float, words: tuple[str, str] = _FEWER) -> Quantity:
    """Baseline ÷ compressed as `2.00× fewer`; below one it is turned over: `1.25× more`."""
    larger = max(ratio, 1 / ratio)
    same = show.ratio(larger) == show.ratio(1)
    return Quantity(value=larger, format="ratio", unit=None if same else words[ratio < 1])


def _counts(before: ComparedModel, after: ComparedModel) -> Iterator[Row]:
    was, now = before.facts, after.facts
    yield _count("Parameters", was.parameters, now.parameters)
    if (was.nonzero_parameters, now.nonzero_parameters) != (was.parameters, now.parameters):
        yield _count("Parameters that are not zero", was.nonzero_parameters, now.nonzero_parameters)
    if was.macs and now.macs:
        yield _count("MACs of one input", was.macs, now.macs)
    yield _bytes("Size on disk", was.size_bytes, now.size_bytes)
    if (before.stored_bytes, after.stored_bytes) != (was.size_bytes, now.size_bytes):
        yield _bytes("Smallest weights file", before.stored_bytes, after.stored_bytes)


def _count(figure: str, was: int, now: int) -> Row:
    return _row(figure, was, now, "count", times(max(was, 1) / max(now, 1)))


def _bytes(figure: str, was: int, now: int) -> Row:
    return _row(figure, was, now, "bytes", times(max(was, 1) / max(now, 1), _SMALLER))


def _scores(found: BeforeAfter) -> Iterator[Row]:
    was, now = found.baseline.test, found.compressed.test
    points = Quantity(value=found.accuracy_change_points, format="points", unit="points")
    yield _row("Test accuracy", was.accuracy, now.accuracy, "percent", points)
    yield _only("Accuracy retention", found.accuracy_retention)
    yield _only("Same top prediction on the test split", found.agreement)
    way = "lower" if found.loss_change < 0 else "higher"
    loss = Quantity(value=abs(found.loss_change), format="number", unit=f"nats {way}")
    yield _row("Test loss", was.loss, now.loss, "number", loss, "nats")
    gap = 100 * (now.calibration_error - was.calibration_error)
    change = Quantity(value=gap, format="points", unit="points")
    yield _row("Calibration error", was.calibration_error, now.calibration_error, "percent", change)


def _latency(one: ComparedLatency) -> Row:
    speedup = Interval(value=one.speedup, low=one.low, high=one.high)
    return _row(
        f"p50, {pair_setting(one)}",
        one.baseline_p50_ms,
        one.compressed_p50_ms,
        "milliseconds",
        Quantity(value=speedup, format="ratio", unit="as fast"),
        "ms",
    )


def _memory(before: ProcessResult | None, after: ProcessResult | None) -> Iterator[Row]:
    """Of fresh processes; a row for each figure that either has."""
    if before is None and after is None:
        return
    yield _measured("Cold start", before, after, lambda one: one.cold_start_s, "seconds")
    yield _measured("Peak memory of a process", before, after, lambda one: one.peak_rss_bytes)
    yield _measured(
        "Of it before the model came", before, after, lambda one: one.libraries_rss_bytes
    )
    if any(one is not None and one.peak_device_bytes for one in (before, after)):
        yield _measured("Peak memory on the GPU", before, after, lambda one: one.peak_device_bytes)


def _measured(
    figure: str,
    before: ProcessResult | None,
    after: ProcessResult | None,
    read: Callable[[ProcessResult], float | None],
    form: Format = "bytes",
) -> Row:
    was, now = (None if one is None else read(one) for one in (before, after))
    words = ("shorter", "longer") if form == "seconds" else _SMALLER
    return _row(figure, was, now, form, times(was / now, words) if was and now else None)


def _row(
    figure: str,
    was: float | None,
    now: float | None,
    form: Format,
    change: Quantity | None,
    unit: str | None = None,
) -> Row:
    before, after = (
        None if value is None else Quantity(value=value, format=form, unit=unit)
        for value in (was, now)
    )
    return {"figure": figure, "baseline": before, "compressed": after, "change": change}


def _only(figure: str, share: float) -> Row:
    """A figure that only the two together have."""
    return {"figure": figure, "change": Quantity(value=share, format="percent")}
