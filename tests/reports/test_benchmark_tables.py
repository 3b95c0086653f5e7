"""What a benchmark's report tells of processes, and of a change of model and runtime at once."""

from service.contract.benchmark import BenchmarkResult, SpeedupResult
from service.contract.reports import Interval
from service.reports.standing import Setting, first_setting
from tests.reports import samples
from tests.reports.before_after_sample import process


def measured() -> BenchmarkResult:
    _, result = samples.benchmark()
    models = []
    for number, model in enumerate(result.models):
        runtimes = [process(one, model.facts.size_bytes) for one in ("onnxruntime", "eager")]
        gained = SpeedupResult(
            runtime="onnxruntime", batch_size=1, speedup=2 + number, low=1.9, high=9.1
        )
        models.append(
            model.model_copy(update={"processes": tuple(runtimes), "runtime_speedups": (gained,)})
        )
    return result.model_copy(update={"models": tuple(models)})


def test_processes_are_listed_runtime_by_runtime() -> None:
    spec, _ = samples.benchmark()
    report = samples.report((spec, measured()))
    found = next(table for table in report.tables if table.id == "processes")
    assert [row["runtime"] for row in found.rows] == ["onnxruntime"] * 3 + ["eager"] * 3
    assert found.rows[0]["cold_start_s"] == 0.04 + samples.TEACHER_FACTS.size_bytes / 1e9
    assert "Peak on the GPU" not in [column.title for column in found.columns]


def test_a_change_of_model_and_runtime_is_against_the_baseline_in_the_first_runtime() -> None:
    spec, _ = samples.benchmark()
    report = samples.report((spec, measured()))
    found = next(table for table in report.tables if table.id == "runtime-speedups")
    assert found.title.startswith("Against cnn_teacher in eager")
    assert found.rows[1] == {
        "name": "cnn_student",
        "setting": "onnxruntime, batch 1",
        "speedup": Interval(value=3, low=1.9, high=9.1),
    }


def test_older_results_have_neither_table() -> None:
    report = samples.report(samples.benchmark())
    assert not {"processes", "runtime-speedups"} & {table.id for table in report.tables}


def test_the_summary_is_of_the_runtime_that_ran_most_models() -> None:
    spec, result = samples.benchmark()
    teacher, *others = result.models
    # What a graph is: it runs in ONNX Runtime only.
    graphs = [
        one.model_copy(
            update={
                "latencies": tuple(each for each in one.latencies if each.runtime != "eager"),
                "speedups": tuple(each for each in one.speedups if each.runtime != "eager"),
            }
        )
        for one in others
    ]
    assert first_setting(result) == Setting(1, "eager")
    result = result.model_copy(update={"models": (teacher, *graphs)})
    assert first_setting(result) == Setting(1, "onnxruntime")
    report = samples.report((spec, result))
    chart = next(one for one in report.charts if one.id == "speedup")
    assert not chart.description.endswith(": .")
