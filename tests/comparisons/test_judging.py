"""Fronts and verdicts, worked out by hand."""

import pytest

from service.comparisons.judging import fronts, verdict
from service.contract.comparisons import ComparisonDevice, ComparisonLatency, ComparisonModel
from service.contract.prune import Targets
from service.contract.training import Evaluation
from tests.comparisons.samples import job_id

CPU = ComparisonDevice(key="device-1", device="cpu", name="CPU", threads=2)
GPU = ComparisonDevice(key="device-2", device="cuda", name="GPU", threads=2)


def letters(index: int) -> str:
    return f"mdl_01JD8Z6Q5T3V9X7B2C4D6F8G0{'ABCDEFGHJK'[index]}"


def one(index: int, size: int | None, correct: int | None, **fields: object) -> ComparisonModel:
    """A model with `correct` of 1,000 right."""
    test = None
    if correct is not None:
        test = Evaluation(
            samples=1000,
            correct=correct,
            accuracy=correct / 1000,
            loss=0.1,
            per_class_accuracy=(correct / 1000,),
            calibration_error=0.0,
        )
    given = {
        "model": letters(index),
        "name": f"#{index + 1} model",
        "form": "weights",
        "architecture": None,
        "parent": None,
        "job": None,
        "made_by": None,
        "parameters": size,
        "nonzero_parameters": size,
        "macs": size,
        "size_bytes": size,
        "sparse_bytes": None,
        "sha256": None,
        "test": test,
        "latencies": (),
        "processes": (),
        "against": None,
        "verdict": None,
        **fields,
    }
    return ComparisonModel.model_validate(given)


def timed(
    p50_ms: float, runtime: str = "eager", speedup: float | None = None, **fields: object
) -> ComparisonLatency:
    given = {
        "device": "device-1",
        "runtime": runtime,
        "batch_size": 1,
        "precision": "fp32",
        "p50_ms": p50_ms,
        "job": job_id("A"),
        "speedup": None if speedup is None else {"value": speedup, "job": job_id("A")},
        **fields,
    }
    return ComparisonLatency.model_validate(given)


def test_a_front_has_what_no_other_beats() -> None:
    # bytes and accuracy:  A 100 .90   B 200 .95   C 150 .89   D 300 .95   E 400 .97   F 50 .50
    # C is beaten by A (smaller, better), D by B (smaller, as good).
    models = [
        one(i, size, correct)
        for i, (size, correct) in enumerate(
            [(100, 900), (200, 950), (150, 890), (300, 950), (400, 970), (50, 500)]
        )
    ]
    (front,) = fronts(models, ["size_bytes"], [], None)
    assert [point.model for point in front.points] == [letters(i) for i in (5, 0, 2, 1, 3, 4)]
    assert front.on_front == tuple(letters(i) for i in (5, 0, 1, 4))


def test_of_two_equals_neither_beats_the_other() -> None:
    (front,) = fronts([one(0, 100, 900), one(1, 100, 900)], ["macs"], [], None)
    assert len(front.on_front) == 2


def test_as_small_but_worse_is_beaten() -> None:
    (front,) = fronts([one(0, 100, 900), one(1, 100, 899)], ["parameters"], [], None)
    assert front.on_front == (letters(0),)


def test_a_model_that_lacks_a_figure_is_on_no_front() -> None:
    models = [one(0, 100, 900), one(1, None, 990), one(2, 10, None)]
    (front,) = fronts(models, ["size_bytes"], [], None)
    assert [point.model for point in front.points] == [letters(0)]
    assert fronts([one(0, None, None)], ["size_bytes", "macs"], [], None) == ()


def test_latency_has_a_front_for_each_device_in_the_fastest_runtime() -> None:
    models = [
        one(0, 100, 950, latencies=(timed(4.0), timed(2.0, "onnxruntime"))),
        one(1, 100, 940, latencies=(timed(3.0), timed(0.1, device="device-2"))),
    ]
    on_cpu, on_gpu = fronts(models, ["latency_ms"], [CPU, GPU], 1)
    assert [(p.model, p.cost, p.runtime) for p in on_cpu.points] == [
        (letters(0), 2.0, "onnxruntime"),
        (letters(1), 3.0, "eager"),
    ]
    assert on_cpu.on_front == (letters(0),)
    assert [(p.model, p.cost) for p in on_gpu.points] == [(letters(1), 0.1)]


def judged(model: ComparisonModel, **targets: float) -> dict[str, tuple[str, float | None]]:
    baseline = one(0, 1000, 950, latencies=(timed(4.0),))
    found = verdict(model, baseline, Targets.model_validate(targets), [CPU])
    return {each.name: (each.outcome, each.missed_by) for each in found.targets}


def test_shares_sizes_and_accuracy_are_judged_against_the_baseline() -> None:
    model = one(1, 400, 938)
    assert judged(model, macs=0.4, size_bytes=400, parameters=0.4) == {
        "macs": ("met", None),
        "size_bytes": ("met", None),
        "parameters": ("met", None),
    }
    missed = judged(model, macs=0.3, size_bytes=390, max_accuracy_drop_points=1.0)
    assert {name: outcome for name, (outcome, _) in missed.items()} == dict.fromkeys(
        ("macs", "size_bytes", "max_accuracy_drop_points"), "missed"
    )
    assert missed["macs"][1] == pytest.approx(0.1)
    assert missed["size_bytes"][1] == 10
    assert missed["max_accuracy_drop_points"][1] == pytest.approx(0.2)  # 1.2 points were lost


def test_a_drop_of_exactly_what_is_allowed_keeps_the_promise() -> None:
    # 100 · (0.95 − 0.94) is 1.0000000000000009 in floating point
    assert judged(one(1, 1, 940), max_accuracy_drop_points=1.0) == {
        "max_accuracy_drop_points": ("met", None)
    }


def test_latency_takes_the_fastest_runtime_and_speedup_the_fastest_that_has_one() -> None:
    model = one(1, 1, 950, latencies=(timed(1.0, speedup=4.0), timed(0.9, "onnxruntime")))
    assert judged(model, latency_ms=0.95, min_speedup=4.5) == {
        "latency_ms": ("met", None),
        "min_speedup": ("missed", 0.5),
    }


def test_what_was_not_measured_is_neither_kept_nor_broken() -> None:
    other_batch = one(1, 1, None, latencies=(timed(1.0, batch_size=32),))
    assert judged(other_batch, latency_ms=5, min_speedup=2, max_accuracy_drop_points=1) == {
        "max_accuracy_drop_points": ("not_measured", None),
        "latency_ms": ("not_measured", None),
        "min_speedup": ("not_measured", None),
    }


def test_a_broken_promise_outweighs_one_that_was_not_measured() -> None:
    baseline = one(0, 1000, 950)
    targets = Targets(macs=0.5, latency_ms=1.0)
    assert verdict(one(1, 600, 950), baseline, targets, []).outcome == "missed"
    assert verdict(one(1, 400, 950), baseline, targets, []).outcome == "not_measured"
    fast = one(1, 400, 950, latencies=(timed(0.5),))
    assert verdict(fast, baseline, targets, [CPU]).outcome == "met"
    assert verdict(fast, baseline, targets, [CPU, GPU]).outcome == "not_measured"
