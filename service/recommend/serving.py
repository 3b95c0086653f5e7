"""The same model in another runtime: nothing is lost, and sometimes it is enough."""

from collections.abc import Iterator
from typing import Any, Final

from service.contract.recommendations import Expected, RecommendationEvidence
from service.evidence import Timing
from service.recommend.candidate import Candidate, between, rule
from service.recommend.subject import Subject
from service.reports import show

_PAGE: Final = "docs/how-to/benchmark.md"
_FORMATS: Final = {"onnxruntime": "onnx", "openvino": "openvino", "aotinductor": "pt2"}
_LIBRARIES: Final = {"onnxruntime": "onnxruntime", "openvino": "openvino"}

_SAME: Final = between(1.0, 1.0, rule(None, "the model stays as it is"))
_AS_IT_IS: Final = Expected(
    compression_ratio=_SAME,
    macs_ratio=_SAME,
    speedup=_SAME,  # in one runtime
    accuracy_change_points=between(0.0, 0.0, _SAME.source),
)


def serving(subject: Subject) -> Iterator[Candidate]:
    """Where latency counts: the runtime that was measured best, or a benchmark of all."""
    timed = {"latency_ms", "min_speedup"} & set(subject.targets)
    if subject.targets and not timed:
        return
    best = subject.slowest
    timed_in = {one.setting.runtime for one in subject.timings.values()}
    others = [name for name in runtimes(subject) if name not in timed_in]
    if best is not None and _is_exported(best) and subject.has("export"):
        yield _export(subject, best)
    elif others and subject.has("benchmark"):
        yield _benchmark(subject)


def _is_exported(timed: Timing) -> bool:
    """Whether an export makes what was timed: it keeps float32."""
    return timed.setting.runtime in _FORMATS and timed.setting.precision == "fp32"


def runtimes(subject: Subject) -> list[str]:
    """Those that the workers alive have and that can run the model; the first is the baseline."""
    known = subject.can.runtimes
    here = [
        name
        for name in known or ["eager", "onnxruntime"]
        if name not in _LIBRARIES or not subject.can.libraries
        or _LIBRARIES[name] in subject.can.libraries
    ]  # fmt: skip
    if subject.is_graph:
        here = [name for name in here if name in ("onnxruntime", "openvino")]
    return sorted(here, key=lambda name: name != "eager")


def _export(subject: Subject, timed: Timing) -> Candidate:
    runtime = timed.setting.runtime
    eager = subject.timings.get((timed.place.name, "eager", timed.setting.precision))
    text = (
        f"{show.significant(timed.p50_ms)} ms in {runtime} at batch size {subject.batch_size} on "
        f"{timed.place.name}"
    )
    if eager is not None and eager.job == timed.job and eager.place == timed.place:
        text += f", {show.ratio(eager.p50_ms / timed.p50_ms)} the speed of PyTorch in the same run"
    measured = RecommendationEvidence(kind="job", ref=timed.job, text=f"{text}.")
    return Candidate(
        method=f"serve:{runtime}",
        title=f"Serve it in {runtime}",
        reason="Another runtime costs no accuracy and needs no training.",
        specs=(
            {
                "kind": "export",
                "model": subject.model.model,
                "formats": [_FORMATS[runtime]],
                "dataset": subject.request.dataset,
            },
        ),
        effort=0,
        expected=_AS_IT_IS,
        shown=True,
        runtime=runtime,
        p50_ms=timed.p50_ms,
        evidence=(measured,),
        caveats=("A speed-up over another runtime is not one of the model: both can be had.",),
    )


def _benchmark(subject: Subject) -> Candidate:
    spec: dict[str, Any] = {
        "kind": "benchmark",
        "models": [subject.model.model],
        "dataset": subject.request.dataset,
        "batch_sizes": [subject.batch_size],
        "runtimes": runtimes(subject),
    }
    if subject.gpus:
        spec["precisions"] = ["fp32", "bf16"]
    text = "Each runtime gets a process of its own, all take turns; the file is the saved one."
    return Candidate(
        method="measure",
        title="Measure the model in every runtime first",
        reason="A runtime may gain what is wanted without touching the model, and later figures "
        "need a baseline.",
        specs=(spec,),
        effort=0,
        expected=_AS_IT_IS,
        evidence=(rule(_PAGE, text),),
        caveats=("It makes nothing smaller.",),
    )
