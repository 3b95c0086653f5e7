"""Judging models: which no other beats, and which keep the targets."""

from collections.abc import Iterable, Iterator, Sequence

from service.contract.comparisons import (
    Axis,
    ComparisonDevice,
    ComparisonLatency,
    ComparisonModel,
    FrontPoint,
    ParetoFront,
    TargetOutcome,
    TargetVerdict,
    Verdict,
)
from service.contract.prune import Targets
from service.reports.promises import missed_by


def fronts(
    models: Sequence[ComparisonModel],
    axes: Sequence[Axis],
    devices: Sequence[ComparisonDevice],
    batch_size: int | None,
) -> tuple[ParetoFront, ...]:
    """One for each axis; of latency one for each device, with every model in its fastest runtime.
    None where no model has both figures."""
    found = []
    for axis in axes:
        if axis == "latency_ms":
            for device in devices:
                points = _judged(_timed(models, device.key, batch_size))
                found.append(
                    ParetoFront(axis=axis, device=device.key, batch_size=batch_size, points=points)
                )
        else:
            found.append(ParetoFront(axis=axis, points=_judged(_sized(models, axis))))
    return tuple(front for front in found if front.points)


def cost(model: ComparisonModel, axis: Axis) -> int | None:
    """What a model costs, latency apart. Of two weights files the smaller counts."""
    match axis:
        case "size_bytes":
            return model.smallest_bytes
        case "macs":
            return model.macs
        case "parameters":
            return model.parameters
    return None


def _sized(models: Iterable[ComparisonModel], axis: Axis) -> Iterator[FrontPoint]:
    for model in models:
        size = cost(model, axis)
        if size is not None and model.test is not None:
            yield FrontPoint(
                model=model.model, cost=size, accuracy=model.test.accuracy, is_on_front=True
            )


def _timed(
    models: Iterable[ComparisonModel], device: str, batch_size: int | None
) -> Iterator[FrontPoint]:
    for model in models:
        one = model.fastest(device, batch_size)
        if one is not None and model.test is not None:
            yield FrontPoint(
                model=model.model,
                cost=one.p50_ms,
                accuracy=model.test.accuracy,
                is_on_front=True,
                runtime=one.runtime,
                precision=one.precision,
            )


def _judged(points: Iterable[FrontPoint]) -> tuple[FrontPoint, ...]:
    """Cheapest first. Off the front is what another beats: at least as good in both, better in
    one; so of two that are equal in both neither beats the other."""
    each = sorted(points, key=lambda point: (point.cost, -point.accuracy, point.model))
    return tuple(
        one.model_copy(update={"is_on_front": not any(_beats(other, one) for other in each)})
        for one in each
    )


def _beats(one: FrontPoint, other: FrontPoint) -> bool:
    as_good = one.cost <= other.cost and one.accuracy >= other.accuracy
    return as_good and (one.cost, one.accuracy) != (other.cost, other.accuracy)


def verdict(
    model: ComparisonModel,
    baseline: ComparisonModel,
    targets: Targets,
    devices: Sequence[ComparisonDevice],
) -> Verdict:
    """Every promise beside what was measured: what was not is neither kept nor broken."""
    found = tuple(_judgements(model, baseline, targets, devices))
    outcomes = {one.outcome for one in found}
    outcome: TargetOutcome = "met"
    if "missed" in outcomes:
        outcome = "missed"
    elif "not_measured" in outcomes:
        outcome = "not_measured"
    return Verdict(outcome=outcome, targets=found)


def _judgements(
    model: ComparisonModel,
    baseline: ComparisonModel,
    targets: Targets,
    devices: Sequence[ComparisonDevice],
) -> Iterator[TargetVerdict]:
    lost = None
    if model.test is not None and baseline.test is not None:
        lost = 100 * (baseline.test.accuracy - model.test.accuracy)
    nonzero = share(model.nonzero_parameters, baseline.nonzero_parameters)
    for name, asked, reached in (
        ("macs", targets.macs, share(model.macs, baseline.macs)),
        ("parameters", targets.parameters, nonzero),
        ("size_bytes", targets.size_bytes, model.smallest_bytes),
        ("max_accuracy_drop_points", targets.max_accuracy_drop_points, lost),
    ):
        if asked is not None:
            yield _judgement(name, asked, reached)
    keys: list[str | None] = [one.key for one in devices]
    for device in keys or [None]:
        timed = model.fastest(device, targets.batch_size)
        if targets.latency_ms is not None:
            p50_ms = None if timed is None else timed.p50_ms
            yield _judgement("latency_ms", targets.latency_ms, p50_ms, device, timed)
        if targets.min_speedup is not None:
            if model.model == baseline.model:  # over itself it is one, wherever it was timed
                speedup = None if timed is None else 1.0
            else:
                timed = _compared(model, device, targets.batch_size)
                speedup = timed.speedup.value if timed and timed.speedup else None
            yield _judgement("min_speedup", targets.min_speedup, speedup, device, timed)


def _compared(
    model: ComparisonModel, device: str | None, batch_size: int
) -> ComparisonLatency | None:
    """The fastest latency whose speed-up over the baseline is known."""
    known = tuple(one for one in model.latencies if one.speedup is not None)
    return model.model_copy(update={"latencies": known}).fastest(device, batch_size)


def _judgement(
    name: str,
    asked: float,
    reached: float | None,
    device: str | None = None,
    timed: ComparisonLatency | None = None,
) -> TargetVerdict:
    missing, outcome = None, "not_measured"
    if reached is not None:
        missing = missed_by(name, asked, reached)
        outcome = "met" if missing is None else "missed"
    return TargetVerdict.model_validate(
        {
            "name": name,
            "asked": asked,
            "outcome": outcome,
            "reached": reached,
            "missed_by": missing,
            "device": device,
            "runtime": None if timed is None else timed.runtime,
        }
    )


def share(one: float | None, other: float | None) -> float | None:
    """`one` ÷ `other`, where both are known and it can be divided."""
    return None if one is None or not other else one / other
