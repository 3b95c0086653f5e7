"""Jobs in a row: a smaller network first, fewer bits last."""

from collections.abc import Iterator
from typing import Any, Final

from service.contract.recommendations import Expected, ExpectedRange, job_of
from service.recommend.candidate import Candidate, between, rule
from service.recommend.distilling import distill_expected, distill_spec, fitting
from service.recommend.judging import open_targets
from service.recommend.pruning import prune_spec, sensitivity_evidence, structured_expected
from service.recommend.quantizing import (
    int8_evidence,
    int8_expected,
    quantize_spec,
    weighs_enough,
)
from service.recommend.subject import Subject

_PAGE: Final = "docs/how-to/quantize.md"
_STRONG: Final = 0.1
"""Share of bytes or MACs below which a cut network is taught once more on its own."""


def chaining(subject: Subject) -> Iterator[Candidate]:
    """Only for networks of convolutions, whose int8 is known to keep accuracy and to gain."""
    if subject.is_graph or subject.layers != "convolutions" or not subject.has("quantize"):
        return
    if subject.has("prune"):
        pruned = _pruned(subject)
        yield from () if pruned is None else (pruned,)
    if subject.has("distill"):
        for student in fitting(subject)[:1]:
            first = distill_spec(subject, student)
            expected = distill_expected(subject, student)
            yield _chain(subject, f"distill:{student.architecture}", f"Teach {student.name}",
                         [first], expected, frozenset(), effort=4)  # fmt: skip


def _pruned(subject: Subject) -> Candidate | None:
    targets = _left_for_pruning(subject)
    if not targets and subject.targets:
        return None  # int8 alone does what is wanted
    first = prune_spec(subject, targets)
    steps = [first]
    if _is_strong(subject) and subject.has("distill"):
        steps.append(_lesson(subject))
    return _chain(subject, "structured", "Remove channels", steps, structured_expected(targets),
                  frozenset(targets), effort=1 + len(steps))  # fmt: skip


def _left_for_pruning(subject: Subject) -> dict[str, float]:
    """Targets of the first step: half of the points, and of bytes and speed what int8 leaves."""
    targets = dict(open_targets(subject))
    int8 = int8_expected(subject)
    if "max_accuracy_drop_points" in targets:
        targets["max_accuracy_drop_points"] /= 2
    if "size_bytes" in targets and int8.size_ratio is not None:
        most = int(targets.pop("size_bytes") / int8.size_ratio.high)
        if most < (subject.dense_bytes or 0):
            targets["size_bytes"] = most
    if int8.speedup is not None and int8.speedup.low > 1:
        if "latency_ms" in targets:
            targets["latency_ms"] = round(targets["latency_ms"] * int8.speedup.low, 6)
        if "min_speedup" in targets:
            left = targets.pop("min_speedup") / int8.speedup.low
            if left > 1:
                targets["min_speedup"] = round(left, 3)
    return targets


def _is_strong(subject: Subject) -> bool:
    size = subject.targets.get("size_bytes")
    whole = subject.dense_bytes
    shares = [subject.targets.get("macs", 1.0), subject.targets.get("parameters", 1.0)]
    if size is not None and whole:
        shares.append(size / whole)
    return min(shares) <= _STRONG


def _lesson(subject: Subject) -> dict[str, Any]:
    """The cut network learns on from the original."""
    return {
        "kind": "distill",
        "teacher": subject.model.model,
        "student": job_of(1),
        "dataset": subject.request.dataset,
    }


def _chain(
    subject: Subject,
    method: str,
    title: str,
    steps: list[dict[str, Any]],
    first: Expected,
    promised: frozenset[str],
    *,
    effort: int,
) -> Candidate:
    """The steps, then int8, then a benchmark where time counts."""
    drop = subject.targets.get("max_accuracy_drop_points")
    last = len(steps)
    dataset, model = subject.request.dataset, subject.model.model
    half = None if drop is None else drop / 2
    specs = [*steps, quantize_spec("static_int8", job_of(last), dataset, half)]
    words = ["`student` of spec 2 takes the id of job 1"] if last == 2 else []
    words.append(f"`model` of spec {last + 1} takes the id of job {last}")
    if {"latency_ms", "min_speedup"} & set(subject.targets):
        specs.append(
            {
                "kind": "benchmark",
                "models": [model, job_of(last + 1)],
                "dataset": dataset,
                "batch_sizes": [subject.batch_size],
                "runtimes": ["onnxruntime"],
            }
        )
        words.append(f"the second of `models` of spec {last + 2} takes that of job {last + 1}")
    kept = promised - {"size_bytes", "latency_ms", "min_speedup"}
    int8 = int8_expected(subject)
    if drop is not None and (method != "structured" or last > 1):
        kept -= {"max_accuracy_drop_points"}  # the student's own loss is not promised
    return Candidate(
        method="+".join([method, *(["distill"] if last == 2 else []), "static_int8"]),
        title=f"{title}, {'teach what is left, ' if last == 2 else ''}then int8",
        reason="A smaller network and fewer bits add up: each byte that is left becomes a fourth "
        "of one. Bits go last, for a graph cannot be trained.",
        specs=tuple(specs),
        effort=effort,
        expected=_with_int8(first, int8, _least(subject, first)),
        promised=kept,
        runtime="onnxruntime",
        evidence=(
            *int8_evidence(subject),
            *(sensitivity_evidence(subject) if method == "structured" else ()),
            rule(_PAGE, "Quantise last: train, distil, prune, then quantise."),
        ),
        caveats=(
            "What is expected multiplies the steps, as if one did not change the other; only the "
            "benchmark of the last model says what both are worth.",
        ),
        chain=f"Post them in this order: {'; '.join(words)}.",
    )  # fmt: skip


def _with_int8(first: Expected, int8: Expected, least: float | None) -> Expected:
    """Of two steps: the products of what each is expected to do. `least` is how many parameters
    may be left: of few the bytes are not foreseen."""
    size = None
    before = first.size_ratio or _size_of(first.compression_ratio)
    if before is not None and int8.size_ratio is not None:
        if weighs_enough(least):
            size = _product(before, int8.size_ratio, "int8")
    elif int8.size_ratio is not None:
        text = f"int8 alone: {int8.size_ratio.source.text} What goes before comes on top."
        size = between(0.0, int8.size_ratio.high, rule(_PAGE, text))
    speed = int8.speedup and _product(first.speedup, int8.speedup, "int8")
    return first.model_copy(
        update={"size_ratio": size, "speedup": speed, "accuracy_change_points": None}
    )


def _least(subject: Subject, first: Expected) -> float | None:
    parameters, fewer = subject.model.parameters, first.compression_ratio
    return None if parameters is None or fewer is None else parameters / fewer.high


def _product(one: ExpectedRange | None, other: ExpectedRange, name: str) -> ExpectedRange | None:
    """As if one did not change the other; None where the first is not known."""
    if one is None:
        return None
    text = f"{one.source.text}; times what {name} makes of it: {other.source.text}"
    return between(one.low * other.low, one.high * other.high, rule(_PAGE, text))


def _size_of(compression: ExpectedRange | None) -> ExpectedRange | None:
    """Bytes go with parameters."""
    if compression is None:
        return None
    return between(1 / compression.high, 1 / compression.low, compression.source)
