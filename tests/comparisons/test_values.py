"""Which figure stands where, and what is divided by what."""

import pytest

from service.contract.before_after import BeforeAfter
from service.contract.comparisons import ComparisonCreate
from service.evidence import finished_job
from service.store.tables import JobRow
from tests.comparisons.samples import (
    FACTS,
    ROWS,
    SIMPLE,
    STUDENT,
    TEACHER,
    UPLOADED,
    WHEN,
    benchmark,
    cell,
    compare,
    finished,
    job_id,
    latency,
    measured,
    model,
    without_pairs,
)
from tests.reports import samples
from tests.reports.prune_sample import prune
from tests.reports.test_graph_reports import quantize


def test_ratios_to_the_baseline_are_those_of_the_interface() -> None:
    result = benchmark(
        measured(TEACHER, 352, latency(4.0)), measured(STUDENT, 350, latency(0.5), speedup=8.0)
    )
    values = compare(finished("A", result))
    against = model(values, STUDENT).against
    assert against is not None
    assert against.compression_ratio == pytest.approx(1_412_682 / 148_330)
    assert against.macs_ratio == pytest.approx(153_418_752 / 16_359_040)
    # parameters × 4 bytes and a header of 1,200
    assert against.size_ratio == pytest.approx(594_520 / 5_651_928)
    assert against.accuracy_retention == pytest.approx(350 / 352)
    assert against.accuracy_change_points == pytest.approx(-2 / 360 * 100)
    assert against.class_change_points[2] == pytest.approx(-2 / 360 * 100)
    assert against.class_change_points[8] is None  # a class without examples
    assert model(values, TEACHER).against is None


def test_samples_of_older_results_are_not_read() -> None:
    result = benchmark(measured(TEACHER, 352, latency(4.0)), measured(STUDENT, 350, latency(0.5)))
    kept = result.model_dump(mode="json")
    kept["models"][1]["latencies"][0]["samples_ms"] = ["not a number"] * 3
    found = finished_job(
        JobRow(id=job_id("A"), kind="benchmark", name=None, finished_at=WHEN, spec={}, result=kept)
    )
    assert found is not None
    assert found.result == result
    assert kept["models"][1]["latencies"][0]["samples_ms"]  # the row is left as it is


def test_devices_stand_apart_and_speedups_are_within_one() -> None:
    slow = benchmark(
        measured(TEACHER, 352, latency(4.0)), measured(STUDENT, 350, latency(0.5), speedup=7.5)
    )
    fast = benchmark(measured(STUDENT, 350, latency(0.1)), device="Fast GPU")
    values = compare(finished("A", slow), finished("B", fast, minutes=5))
    assert [one.name for one in values.devices] == ["Slow CPU", "Fast GPU"]
    here, there = cell(values, STUDENT), cell(values, STUDENT, "device-2")
    assert (here.p50_ms, there.p50_ms) == (0.5, 0.1)
    assert here.speedup is not None
    assert (here.speedup.value, here.speedup.low, here.speedup.high) == (7.5, 7.0, 8.0)
    assert there.speedup is None  # the baseline was timed on another device
    assert cell(values, TEACHER).speedup is None


def test_threads_make_another_device() -> None:
    two = benchmark(measured(TEACHER, 352, latency(4.0)))
    eight = latency(1.0).model_copy(update={"threads": 8})
    values = compare(finished("A", two), finished("B", benchmark(measured(TEACHER, 352, eight))))
    assert sorted(one.threads for one in values.devices) == [2, 8]


def test_without_pairs_a_speedup_is_a_ratio_of_medians_of_one_run() -> None:
    # The benchmark's baseline is another model than the comparison's.
    result = benchmark(
        measured(SIMPLE, 341, latency(1.0)),
        measured(TEACHER, 352, latency(4.0)),
        measured(STUDENT, 350, latency(0.5), speedup=2.0),
    )
    speedup = cell(compare(finished("A", result)), STUDENT).speedup
    assert speedup is not None
    assert (speedup.value, speedup.low, speedup.high) == (8.0, None, None)


def test_latencies_of_two_runs_are_not_divided() -> None:
    one = benchmark(measured(TEACHER, 352, latency(4.0)))
    other = benchmark(measured(STUDENT, 350, latency(0.5)))
    values = compare(finished("A", one), finished("B", other))
    assert cell(values, STUDENT).p50_ms == 0.5
    assert cell(values, STUDENT).speedup is None


def test_of_several_runs_the_one_with_the_baseline_speaks_then_the_newest() -> None:
    both = benchmark(
        measured(TEACHER, 352, latency(4.0)), measured(STUDENT, 350, latency(0.5), speedup=8.0)
    )
    again = benchmark(
        measured(TEACHER, 352, latency(4.4)), measured(STUDENT, 350, latency(0.4), speedup=11.0)
    )
    alone = benchmark(measured(STUDENT, 350, latency(0.3)))
    jobs = (finished("A", both), finished("B", again, minutes=1), finished("C", alone, minutes=2))
    assert cell(compare(*jobs), STUDENT).job == job_id("B")
    assert cell(compare(*jobs, named=(job_id("A"),)), STUDENT).job == job_id("A")


def test_accuracies_on_other_data_are_left_out_and_said() -> None:
    here = benchmark(measured(TEACHER, 352, latency(4.0)))
    elsewhere = benchmark(measured(STUDENT, 360, latency(0.5)), digest="e" * 64)
    values = compare(finished("A", here), finished("B", elsewhere))
    assert values.data is not None
    assert values.data.digest == "d" * 64
    assert model(values, STUDENT).test is None
    against = model(values, STUDENT).against
    assert against is not None
    assert against.accuracy_retention is None
    assert against.compression_ratio is not None
    assert [said for said in values.warnings if "#2 cnn_student was scored on other data" in said]


def test_what_nobody_measured_is_null_and_what_the_upload_says_is_kept() -> None:
    values = compare(rows=(ROWS[0], ROWS[3]))
    uploaded = model(values, UPLOADED)
    assert (uploaded.parameters, uploaded.macs, uploaded.size_bytes) == (1000, 5000, 4321)
    assert uploaded.nonzero_parameters is None
    assert uploaded.test is None
    assert uploaded.latencies == ()
    assert (values.data, values.devices, values.fronts, values.batch_size) == (None, (), (), None)


def test_a_pruning_times_both_models_in_turns() -> None:
    # original 4.2 ms, pruned 2.0 ms at batch 1; ratio 2.1 (2.0 to 2.2)
    values = compare(finished("A", without_pairs(prune()[1]), "prune"))
    speedup = cell(values, STUDENT).speedup
    assert (cell(values, TEACHER).p50_ms, cell(values, STUDENT).p50_ms) == (4.2, 2.0)
    assert speedup is not None
    assert (speedup.value, speedup.low, speedup.high) == (2.1, 2.0, 2.2)
    assert model(values, TEACHER).test == samples.evaluation(352)


def test_a_quantisation_says_how_often_both_agree() -> None:
    result = without_pairs(quantize()[1])
    assert result.kind == "quantize"
    values = compare(finished("A", result, "quantize"))
    against = model(values, STUDENT).against
    assert against is not None
    assert against.agreement == 0.995
    assert (
        cell(values, STUDENT, runtime="onnxruntime").p50_ms == result.latencies[0].quantized_p50_ms
    )


def test_before_and_after_of_one_job_count_with_their_memory() -> None:
    result = quantize()[1]
    assert result.kind == "quantize"
    process = measured(TEACHER, 352).processes[0]
    pair = {"batch_size": 1, "speedup": 6.0, "low": 5.0, "high": 7.0, "precision": "fp32"}
    pair |= {"baseline_precision": "fp32", "threads": 2, "runtime": "onnxruntime"}
    pair |= {"baseline_p50_ms": 3.0, "compressed_p50_ms": 0.5}
    compared = BeforeAfter.model_validate(
        {
            "baseline": {"facts": result.original, "stored_bytes": 1, "test": result.original_test},
            "compressed": {
                "facts": result.facts,
                "stored_bytes": 1,
                "test": result.test,
                "process": process,
            },
            **dict.fromkeys(("compression_ratio", "nonzero_compression_ratio", "size_ratio"), 1),
            **dict.fromkeys(("accuracy_retention", "accuracy_change_points", "loss_change"), 0),
            "macs_ratio": None,
            "memory_ratio": None,
            "class_change_points": (),
            "agreement": 0.9,
            # the float graph in the same runtime, and the original as it is
            "latencies": (
                {**pair, "baseline_runtime": "onnxruntime"},
                {**pair, "baseline_runtime": "eager", "baseline_p50_ms": 9.0, "speedup": 18.0},
            ),
        }
    )
    result = result.model_copy(update={"comparison": compared})
    values = compare(finished("A", result, "quantize"))
    speedup = cell(values, STUDENT, runtime="onnxruntime").speedup
    assert speedup is not None
    assert speedup.value == 6.0  # 18 would be of two runtimes
    assert cell(values, TEACHER, runtime="eager").p50_ms == 9.0
    assert cell(values, TEACHER, runtime="onnxruntime").p50_ms == 3.0
    assert [one.cold_start_s for one in model(values, STUDENT).processes] == [0.25]
    assert model(values, TEACHER).processes == ()


def test_agreement_with_another_than_the_baseline_is_not_shown() -> None:
    distilled = finished("A", without_pairs(samples.distill()[1]), "distill")
    scored = finished("B", benchmark(measured(SIMPLE, 341, latency(1.0))))
    rows = (ROWS[2], ROWS[1])
    against = model(compare(distilled, scored, rows=rows), STUDENT).against
    assert against is not None
    assert against.agreement is None
    with_teacher = model(compare(distilled), STUDENT).against
    assert with_teacher is not None
    assert with_teacher.agreement == 0.9833


def test_the_sparse_file_counts_where_it_is_smaller() -> None:
    scored = finished(
        "A", benchmark(measured(TEACHER, 352, latency(4.0)), measured(STUDENT, 350, latency(0.5)))
    )
    values = compare(scored, sparse={STUDENT: 100_000})
    assert model(values, STUDENT).smallest_bytes == 100_000
    against = model(values, STUDENT).against
    assert against is not None
    assert against.size_ratio == pytest.approx(100_000 / FACTS[TEACHER].size_bytes)


def test_memory_is_that_of_a_process_of_its_own() -> None:
    values = compare(finished("A", benchmark(measured(TEACHER, 352, latency(4.0)))))
    (process,) = model(values, TEACHER).processes
    assert (process.cold_start_s, process.peak_rss_bytes) == (0.25, 300_000_000)


def test_a_reference_comes_once_and_one_is_enough() -> None:
    with pytest.raises(ValueError, match="same thing twice"):
        ComparisonCreate(models=(TEACHER, TEACHER))
    with pytest.raises(ValueError, match="at least 1"):
        ComparisonCreate(models=())
    assert ComparisonCreate(models=(job_id("A"),)).models == (job_id("A"),)
