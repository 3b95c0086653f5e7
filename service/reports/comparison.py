"""The words of a comparison, and its parts together."""

from collections.abc import Iterator
from datetime import datetime

from service.contract.comparisons import (
    Comparison,
    ComparisonModel,
    ComparisonValues,
)
from service.contract.reports import Cell, Format, Highlight
from service.reports import show
from service.reports.body import ARTIFACT_NOTE, accuracy_note, in_ms
from service.reports.comparison_charts import comparison_charts
from service.reports.comparison_tables import comparison_tables
from service.reports.comparison_targets import device_title


def build_comparison(values: ComparisonValues, *, id: str, created_at: datetime) -> Comparison:  # noqa: A002  # the API's word
    """The comparison with everything that is drawn from its values."""
    return Comparison(
        id=id,
        created_at=created_at,
        values=values,
        title=values.request.name or f"Comparison of {len(values.models)} models",
        headline=_headline(values),
        highlights=tuple(_highlights(values)),
        notes=tuple(_notes(values)),
        tables=comparison_tables(values),
        charts=comparison_charts(values),
    )


def _headline(values: ComparisonValues) -> str:
    told = [one for one in (_promises(values), _gain(values)) if one]
    return " ".join(told) or f"{len(values.models)} models side by side."


def _promises(values: ComparisonValues) -> str:
    """How many keep the targets."""
    if values.request.targets is None:
        return ""
    outcomes = [one.verdict.outcome for one in values.models if one.verdict is not None]
    kept = [
        one.name
        for one in values.models
        if one.verdict is not None and one.verdict.outcome == "met"
    ]
    named = f": {', '.join(kept)}" if 0 < len(kept) <= 4 else ""
    unknown = outcomes.count("not_measured")
    rest = f" For {unknown} of {len(outcomes)} a target was not measured." if unknown else ""
    count = f"{len(kept)} of {len(outcomes)} models keep" if kept else "No model is seen to keep"
    return f"{count} every target{named}.{rest}"


def _gain(values: ComparisonValues) -> str:
    """What the smallest model that is on a front saves, and what it costs."""
    front = {model for one in values.fronts for model in one.on_front}
    known = [
        (one.against.size_ratio, one, one.against.accuracy_retention)
        for one in values.models
        if one.model in front and one.against is not None
    ]
    sized = [each for each in known if each[0] is not None and each[2] is not None]
    if not sized:
        return ""
    ratio, best, retention = min(sized, key=lambda each: each[0] or 0)
    assert ratio is not None
    assert retention is not None
    return (
        f"{best.name} takes {show.percent(ratio)} of the space of {values.reference.name} and "
        f"keeps {show.percent(retention)} of its accuracy."
    )


def _highlights(values: ComparisonValues) -> Iterator[Highlight]:
    found: list[tuple[str, Cell, Format]] = [("Models", len(values.models), "count")]
    if values.request.targets is not None:
        met = sum(one.verdict is not None and one.verdict.outcome == "met" for one in values.models)
        found.append(("Keep every target", met, "count"))
    scored = [one for one in values.models if one.test is not None]
    if scored:
        best = max(scored, key=lambda one: one.test.accuracy if one.test else 0.0)
        accuracy = best.test.accuracy if best.test else None
        found.append((f"Most accurate: {best.name}", accuracy, "percent"))
    sized = [one for one in values.models if one.smallest_bytes is not None]
    if sized:
        least = min(sized, key=lambda one: one.smallest_bytes or 0)
        found.append((f"Smallest: {least.name}", least.smallest_bytes, "bytes"))
    for front in values.fronts:
        if front.axis == "latency_ms":
            first = front.points[0]
            name = next(one.name for one in values.models if one.model == first.model)
            where = "" if len(values.devices) == 1 else f" on {front.device}"
            found.append((f"Fastest{where}: {name}, p50", in_ms(first.cost), "milliseconds"))
    for label, value, form in found:
        yield Highlight(label=label, value=value, format=form)


def _notes(values: ComparisonValues) -> Iterator[str]:
    yield from values.warnings
    yield (
        "Nothing was run for this comparison: every figure comes from a finished job, named at "
        "the end. Not measured means that none of them has it."
    )
    yield from _latency_notes(values)
    if values.data is not None:
        scored = next((one for one in (values.reference, *values.models) if one.test), None)
        yield f"Accuracy and loss are of the test split of {values.data.dataset}, in float32."
        if scored is not None and scored.test is not None:
            yield accuracy_note(scored.name, scored.test)
    if values.fronts:
        yield (
            "On a front is a model that no other beats, being at least as good in both figures and "
            "better in one. Differences within the intervals of accuracy may be chance."
        )
    yield from _size_notes(values.models)
    if values.request.targets is not None:
        yield (
            f"Targets of macs and parameters are shares of {values.reference.name}, the latter of "
            "what is not zero; max_accuracy_drop_points is judged on the test split, and latency "
            "and speed-up on each device."
        )
    yield ARTIFACT_NOTE


def _latency_notes(values: ComparisonValues) -> Iterator[str]:
    if not values.devices:
        return
    yield (
        f"Summary and fronts show latency at batch {values.batch_size}, each model in the fastest "
        "runtime it was timed in; the table of latencies has every runtime."
    )
    yield (
        "A speed-up is over the baseline in the same runtime, both timed in one run of one job: "
        "the median of paired ratios with its 95 % interval or, where no interval stands, the "
        "ratio of two medians."
    )
    if len(values.devices) > 1:
        devices = "; ".join(f"{one.key} is {device_title(one)}" for one in values.devices)
        yield (f"Devices stand side by side and are never divided by each other: {devices}.")
    others = {
        point.precision
        for front in values.fronts
        for point in front.points
        if point.precision not in (None, "fp32")
    }
    if others:
        yield (
            f"Some latencies are of {', '.join(sorted(str(one) for one in others))}, while "
            "accuracies are of float32."
        )


def _size_notes(models: tuple[ComparisonModel, ...]) -> Iterator[str]:
    if any(one.sparse_bytes is not None for one in models):
        yield (
            "Where there is a file without the zeros, ratios, fronts and targets take the smaller "
            "of the two files."
        )
    if any(one.form == "graph" for one in models):
        yield "Parameters of a graph are all numbers that it stores, scales among them."
