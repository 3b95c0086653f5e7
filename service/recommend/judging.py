"""Targets: where the model stands, what a candidate does for each, and which cannot go together."""

from collections.abc import Iterator, Sequence
from typing import Final

from service.contract.recommendations import (
    ExpectedRange,
    Outlook,
    RecommendationEvidence,
    Standing,
    TargetOutlook,
    TargetStanding,
)
from service.contract.wire import ProblemItem
from service.errors import Invalid
from service.recommend.candidate import Candidate, is_certain
from service.recommend.subject import Subject
from service.reports import show
from service.reports.promises import worded

_WEIGHT: Final[dict[Outlook, int]] = {
    "shown": 0,
    "promised": 1,
    "likely": 1,
    "open": 2,
    "unknown": 3,
    "unlikely": 8,  # as bad as nearly three of which nothing is known
}


def standings(subject: Subject) -> tuple[TargetStanding, ...]:
    """Each target beside what the model has now."""
    return tuple(_standing(name, asked, subject) for name, asked in subject.targets.items())


def _standing(name: str, asked: float, subject: Subject) -> TargetStanding:
    now: float | None = 1.0
    state: Standing = "open"
    match name:
        case "size_bytes":
            now = subject.model.size_bytes
            text = f"The model has {show.size(now or 0)}; at most {show.size(asked)} are wanted."
            state = "kept" if now is not None and now <= asked else "open"
        case "latency_ms":
            slowest = subject.slowest
            where = f"at batch size {subject.batch_size}"
            if slowest is None:
                now, state = None, "not_measured"
                text = (
                    f"Cannot be judged: no finished job has timed the model {where} on a device "
                    "that is alive. A benchmark does."
                )
            else:
                now = slowest.p50_ms
                state = "kept" if now <= asked else "open"
                run, devices = slowest.setting, len({device for device, *_ in subject.timings})
                text = (
                    f"The median is {show.significant(now)} ms {where} in {run.runtime} "
                    f"({run.precision}) on {slowest.place.name}"
                    f"{f', the slowest of {devices} devices' if devices > 1 else ''}; at most "
                    f"{show.significant(asked)} ms are wanted."
                )
        case "min_speedup":
            text = (
                f"At least {show.ratio(asked)} of its speed at batch size {subject.batch_size} is "
                "wanted, in one runtime."
            )
        case "max_accuracy_drop_points":
            now, state = 0.0, "kept"
            text = (
                f"At most {show.significant(asked)} points may be lost. Jobs judge it on the "
                "validation split, the figures here are of the test split."
            )
        case "macs" if subject.model.macs is None:
            now, state = None, "not_measured"
            text = "Cannot be judged: the MACs of the model are not known."
        case _:
            text = f"At most {show.percent(asked)} of its {name} shall remain."
    return TargetStanding(name=name, asked=asked, now=now, state=state, text=text)


def check_together(subject: Subject) -> None:
    """Raises Invalid for targets that no network can keep together: N classes take at least N
    weights, each of at least a byte and a multiplication."""
    model = subject.model
    classes = model.classes or 1
    left = {
        "size_bytes": subject.targets.get("size_bytes"),
        "parameters": _times(subject.targets.get("parameters"), model.parameters),
        "macs": _times(subject.targets.get("macs"), model.macs),
    }
    errors = [
        ProblemItem(
            detail=f"leaves {show.significant(value)} {_UNITS[name]} for {classes} classes, which "
            "no network can do with",
            pointer=f"#/targets/{name}",
        )
        for name, value in left.items()
        if value is not None and value < classes
    ]
    for name in ("parameters", "macs"):
        if name in subject.targets and subject.is_graph and not subject.students:
            detail = (
                f"{model.model} is a graph, which cannot be cut, and no smaller network is known "
                "that it could teach"
            )
            errors.append(ProblemItem(detail=detail, pointer=f"#/targets/{name}"))
    if errors:
        raise Invalid(errors[0].detail, code="conflicting_targets", errors=errors)


_UNITS: Final = {"size_bytes": "bytes", "parameters": "parameters", "macs": "MACs"}


def _times(share: float | None, whole: int | None) -> float | None:
    return None if share is None or whole is None else share * whole


def outlooks(candidate: Candidate, subject: Subject) -> tuple[TargetOutlook, ...]:
    """What a candidate does for each target."""
    return tuple(_outlook(n, asked, candidate, subject) for n, asked in subject.targets.items())


def _outlook(name: str, asked: float, candidate: Candidate, subject: Subject) -> TargetOutlook:
    reached, source = _reached(name, candidate, subject)
    outlook: Outlook = "unknown"
    text = _UNKNOWN.get(name, "Nothing is known of it beforehand.")
    if reached is not None and source is not None:
        low, high = reached
        is_least = name == "min_speedup"
        inside = low >= asked if is_least else high <= asked
        outside = high < asked if is_least else low > asked
        measured = source.kind == "job" or is_certain(source) or name not in _TOLD_BY_JOBS_ONLY
        if measured and (inside or outside):
            outlook = "unlikely" if outside else "shown" if candidate.shown else "likely"
        else:
            outlook = "open"
        text = f"{_span(name, low, high)}: {source.text}"
    if name in candidate.promised and outlook in ("open", "unknown", "likely"):
        outlook = "promised"
        text = "Its job keeps it, or fails with what it reached."
    return TargetOutlook(name=name, asked=asked, outlook=outlook, text=text)


# What a network of another kind, or elsewhere, shows says little of these.
_TOLD_BY_JOBS_ONLY: Final = ("min_speedup", "latency_ms", "max_accuracy_drop_points")
_UNKNOWN: Final = {
    "min_speedup": "Nobody has measured it; a benchmark of both tells.",
    "latency_ms": "Nobody has measured it; a benchmark tells.",
    "max_accuracy_drop_points": "Nobody has measured it; the job's report tells.",
}


def _reached(
    name: str, candidate: Candidate, subject: Subject
) -> tuple[tuple[float, float] | None, RecommendationEvidence | None]:
    """The range that is expected in the promise's own terms, and who says so."""
    whole, now = subject.dense_bytes, subject.p50s_ms(candidate.runtime)
    if name == "latency_ms" and candidate.p50_ms is not None:
        return (candidate.p50_ms, candidate.p50_ms), candidate.evidence[0]
    one = _range_of(name, candidate)
    if one is None:
        return None, None
    reached: tuple[float, float] | None = None
    match name:
        case "size_bytes" if whole:
            reached = (one.low * whole, one.high * whole)
        case "parameters" | "macs":
            reached = (1 / one.high, 1 / one.low)
        case "min_speedup":
            reached = (one.low, one.high)
        case "latency_ms" if now:
            reached = (min(now) / one.high, max(now) / one.low)
        case "max_accuracy_drop_points":
            reached = (-one.high, -one.low)
    return reached, one.source


def _range_of(name: str, candidate: Candidate) -> ExpectedRange | None:
    """What a target is about."""
    expected = candidate.expected
    return {
        "size_bytes": expected.size_ratio,
        "parameters": expected.compression_ratio,
        "macs": expected.macs_ratio,
        "min_speedup": expected.speedup,
        "latency_ms": expected.speedup,
        "max_accuracy_drop_points": expected.accuracy_change_points,
    }[name]


def _span(name: str, low: float, high: float) -> str:
    return " to ".join(dict.fromkeys(worded(name, end) for end in (low, high)))


def ranked(
    judged: Sequence[tuple[Candidate, tuple[TargetOutlook, ...]]],
) -> list[tuple[Candidate, tuple[TargetOutlook, ...]]]:
    """Best first: what keeps the targets, then what was measured here, then what is less work."""

    def key(one: tuple[Candidate, tuple[TargetOutlook, ...]]) -> tuple[int, bool, int]:
        candidate, outlook = one
        return (sum(_WEIGHT[each.outlook] for each in outlook), not candidate.shown,
                candidate.effort)  # fmt: skip

    return sorted(judged, key=key)


def open_targets(subject: Subject) -> Iterator[tuple[str, float]]:
    """Targets that the model does not keep as it is; all of accuracy, which is never lost yet."""
    for one in standings(subject):
        if one.state != "kept" or one.name == "max_accuracy_drop_points":
            yield one.name, one.asked
