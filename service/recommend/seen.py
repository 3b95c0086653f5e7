"""What past jobs measured, in the place of rules: as ranges, and as things to do again."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from service.contract.recommendations import Expected, ExpectedRange
from service.evidence import Ratio, Timing
from service.recommend.candidate import Candidate, between
from service.recommend.pasts import Past
from service.recommend.subject import Subject, kept_by_all

_RUNTIMES: Final = {"quantize": "onnxruntime"}
_EFFORT: Final = {"quantize": 0, "prune": 1, "distill": 3}

M = TypeVar("M", Ratio, Timing)


def pasts_of(method: str, subject: Subject) -> list[Past]:
    """The jobs of a method that count: those of this very model, else of its architecture."""
    alike = [past for past in subject.pasts if past.method == method]
    same = [past for past in alike if past.near == "model"]
    return same or alike


def measured(method: str, subject: Subject, otherwise: Expected) -> Expected:
    """Ranges over what jobs of the method measured; where they say nothing, `otherwise`.

    Only of methods without an amount: how much was cut is not how much would be.
    """
    pasts = pasts_of(method, subject)
    if not pasts:
        return otherwise
    ranges: dict[str, ExpectedRange | None] = {
        "size_ratio": _range(pasts, lambda past: past.size_ratio),
        "compression_ratio": _range(pasts, lambda past: past.compression_ratio),
        "macs_ratio": _range(pasts, lambda past: past.macs_ratio),
        "speedup": _range(pasts, lambda past: speedup_of(past, subject)),
        "accuracy_change_points": _range(pasts, lambda past: past.accuracy_change_points),
    }
    return otherwise.model_copy(update={k: v for k, v in ranges.items() if v is not None})


def speedup_of(past: Past, subject: Subject) -> float | None:
    """At the targets' batch size; only on a device that a worker alive has, and where there are
    several, the least."""
    alive = _where_it_would_run(past, past.ratios, subject)
    return min((one.value for one in alive), default=None)


def latency_of(past: Past, subject: Subject) -> Timing | None:
    """Of what it made, at the targets' batch size, on devices alive: in its fastest runtime."""
    return kept_by_all(_where_it_would_run(past, past.timings, subject))


def _where_it_would_run(past: Past, measured: Iterable[M], subject: Subject) -> list[M]:
    """What was measured on the device that the job names, if it was; else on any that is alive."""
    here = [
        one
        for one in measured
        if one.setting.batch_size == subject.batch_size and subject.is_alive(one.place.name)
    ]
    return [one for one in here if one.place.device == past.spec.device] or here


def _range(pasts: Sequence[Past], value: Callable[[Past], float | None]) -> ExpectedRange | None:
    found = [(figure, past) for past in pasts if (figure := value(past)) is not None]
    if not found:
        return None
    figures = [figure for figure, _ in found]
    evidence = found[0][1].evidence
    if len(found) > 1:
        text = f"{len(found)} jobs measured it; the newest: {evidence.text}"
        evidence = evidence.model_copy(update={"text": text})
    return between(min(figures), max(figures), evidence)


def repeating(subject: Subject) -> Iterator[Candidate]:
    """Each past job again, on this model: what it measured is what may be expected."""
    for past in subject.pasts:
        spec = _again(past, subject)
        if spec is not None:
            yield _candidate(past, spec, subject)


def _again(past: Past, subject: Subject) -> Mapping[str, Any] | None:
    """Its spec with the model and the dataset that were asked for; None where it cannot be."""
    whole = past.spec.model_dump(mode="json", exclude={"name", "labels"})
    usual = {name: field.get_default() for name, field in type(past.spec).model_fields.items()}
    spec = {name: v for name, v in whole.items() if name == "kind" or v != usual[name]}
    match past.spec.kind:
        case "prune":
            if subject.is_graph:
                return None
            spec["model"] = subject.model.model
        case "quantize":
            if subject.is_quantized:
                return None
            spec["model"] = subject.model.model
        case "distill":
            if past.spec.teacher is None or isinstance(past.spec.student, str):
                return None  # other models are part of it, which may not fit or not be there
            spec["teacher"] = subject.model.model
        case _:
            return None
    return spec | {"dataset": subject.request.dataset}


def _candidate(past: Past, spec: Mapping[str, Any], subject: Subject) -> Candidate:
    shown = past.near == "model" and past.dataset == subject.request.dataset
    title = f"Do again what {past.job} did"
    reason = "It was measured on a network of the same architecture."
    caveats = ["Another model of the same architecture may lose more or less."]
    if shown:
        title = f"Do again what {past.job} did to this model"
        reason = "It was measured on this very model and dataset."
        caveats = ["The result depends on the seed; on another device times are other."]
        if past.is_there:
            title = f"Take {past.made}, which {past.job} made"
            reason = "It is there, and was measured on this very model and dataset."
            caveats = ["The spec makes it once more; it need not be posted to use what is there."]
    timed = latency_of(past, subject) if shown else None
    ranges = {
        "size_ratio": past.size_ratio,
        "compression_ratio": past.compression_ratio,
        "macs_ratio": past.macs_ratio,
        "speedup": speedup_of(past, subject),
        "accuracy_change_points": past.accuracy_change_points,
    }
    figures = {
        name: between(value, value, past.evidence)
        for name, value in ranges.items()
        if value is not None
    }
    return Candidate(
        method=past.method,
        title=title,
        reason=reason,
        specs=(spec,),
        effort=_EFFORT[past.spec.kind],
        expected=Expected(**figures),
        shown=shown,
        runtime=_RUNTIMES.get(past.spec.kind, "eager"),
        p50_ms=None if timed is None else timed.p50_ms,
        evidence=(past.evidence,),
        caveats=tuple(caveats),
    )
