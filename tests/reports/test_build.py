import json
import shlex
import subprocess
import sys
from statistics import NormalDist

import pytest

from service.contract.distill import ControlResult
from service.contract.losses import AtLoss, KdLoss
from service.contract.reports import Chart, Interval, Report
from service.contract.specs import SPECS, JobResult, JobSpec
from service.contract.training import SeedResult, SeedsSummary
from service.reports.body import accuracy_interval
from service.reports.key_figures import key_figures
from tests.reports import samples

MADE: dict[str, tuple[JobSpec, JobResult]] = {
    "train": samples.train(),
    "distill": samples.distill(),
    "benchmark": samples.benchmark(),
    "plan": samples.plan(),
}


def training_chart(report: Report) -> Chart:
    return next(chart for chart in report.charts if chart.id == "training")


@pytest.mark.parametrize("kind", MADE)
def test_every_kind_of_report_survives_json(kind: str) -> None:
    report = samples.report(MADE[kind])
    assert report.kind == kind
    assert Report.model_validate_json(report.model_dump_json()) == report


@pytest.mark.parametrize("kind", MADE)
def test_every_column_of_every_table_finds_cells(kind: str) -> None:
    for table in samples.report(MADE[kind]).tables:
        for column in table.columns:
            assert any(row.get(column.key) is not None for row in table.rows), column.key


def test_distillation_says_what_was_kept_and_what_was_saved() -> None:
    report = samples.report(samples.distill())
    assert report.headline == (
        "cnn_student keeps 99.43 % of cnn_teacher's accuracy (97.22 % against 97.78 %) with "
        "9.52× fewer parameters (148,330 against 1,412,682)."
    )
    assert [entry.role for entry in report.provenance.lineage] == ["teacher", "student"]


def test_share_of_each_term_is_weighed_by_alpha() -> None:
    # first epoch: hard 2.22, soft 5.51, so 0.3 · 2.22 = 0.666 and 0.7 · 5.51 = 3.857 of 4.523
    chart = training_chart(samples.report(samples.distill()))
    values = chart.spec["concat"][3]["data"]["values"]
    first = {row["series"]: row["value"] for row in values if row["epoch"] == 1}
    assert first == {
        "hard": pytest.approx(0.666 / 4.523, rel=1e-5),
        "soft": pytest.approx(3.857 / 4.523, rel=1e-5),
    }


def test_benchmark_compares_the_fastest_model_with_the_baseline() -> None:
    report = samples.report(samples.benchmark())
    assert report.headline.startswith(
        "cnn_student is 7.36× as fast as cnn_teacher (eager, batch 1; "
        "95 % interval 7.10×–7.61×), takes 10.5"
    )
    baseline, student, simple = report.tables[0].rows
    assert baseline["speedup"] is None
    speedup = student["speedup"]
    assert isinstance(speedup, Interval)
    assert (speedup.value, speedup.low, speedup.high) == pytest.approx((7.36, 7.1, 7.61))
    assert simple["p50_ms"] == pytest.approx(4.21 / 5.02)
    assert len(report.tables[1].rows) == 3 * 4


def test_noisy_latencies_are_said_to_be_noisy() -> None:
    notes = " ".join(samples.report(samples.benchmark()).notes)
    assert "cnn_student (onnxruntime, batch 1, 12.00 %)" in notes
    assert "cnn_student (eager, batch 1" not in notes


def test_speed_within_its_interval_of_one_is_no_gain() -> None:
    spec, result = samples.benchmark()
    unsure = samples.benchmarked(samples.STUDENT_FACTS, 350, 1.05)  # interval 0.79 to 1.30
    changed = result.model_copy(update={"models": (result.models[0], unsure)})
    assert "neither clearly faster nor slower" in samples.report((spec, changed)).headline


def test_benchmark_of_one_model_has_no_ratios() -> None:
    report = samples.report(samples.benchmark(alone=True))
    assert report.headline == "cnn_teacher scores 97.78 % and answers in 4.21 ms (eager, batch 1)."
    assert [chart.id for chart in report.charts] == ["latency", "accuracy-latency"]


def test_models_of_one_name_are_told_apart() -> None:
    report = samples.report(samples.distill(student_name="cnn_teacher"))
    named = "cnn_teacher (6F8G02) against cnn_teacher (6F8G01), the baseline"
    assert report.tables[0].title == named


def test_pruned_models_show_their_nonzero_parameters() -> None:
    spec, result = samples.train()
    sparse = result.facts.model_copy(update={"nonzero_parameters": 706_341})
    report = samples.report((spec, result.model_copy(update={"facts": sparse})))
    assert "Non-zero" in [column.title for column in report.tables[0].columns]


def test_reproduction_submits_the_same_spec_and_runs_nothing_else() -> None:
    made = samples.train(name='it\'s $(touch /tmp/x) `x` "y"')
    command = samples.report(made).provenance.reproduce
    words = shlex.split(command)
    body = words[words.index("--data-raw") + 1]
    assert SPECS.validate_json(body) == made[0]
    assert "$MODELPRESS_KEY" in command
    # what the shell itself makes of it
    shown = subprocess.run(
        ["bash", "-c", command.replace("curl", "printf '%s\\n'", 1)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(shown.stdout.splitlines()[-1])["name"] == made[0].name


def test_accuracy_interval_is_the_root_of_the_score_equation() -> None:
    # Wilson: the ends p solve |p̂ − p| = z · √(p(1 − p)/n)
    interval = accuracy_interval(samples.evaluation(352))
    z, n, share = NormalDist().inv_cdf(0.975), 360, 352 / 360
    for end in (interval.low, interval.high):
        assert abs(share - end) == pytest.approx(z * (end * (1 - end) / n) ** 0.5, rel=1e-5)


def test_key_figures_are_fractions_and_plain_numbers() -> None:
    assert key_figures(samples.train()[1]) == {
        "test_accuracy": pytest.approx(352 / 360),
        "parameters": 1_412_682,
        "size_bytes": 5_651_928,
    }
    distilled = key_figures(samples.distill()[1])
    assert distilled["accuracy_retention"] == pytest.approx(350 / 352)
    assert distilled["speedup"] == 2.1
    measured = key_figures(samples.benchmark()[1])
    assert measured["speedup"] == pytest.approx(7.36)
    assert measured["compression_ratio"] == pytest.approx(9.5239, rel=1e-4)
    assert "speedup" not in key_figures(samples.benchmark(alone=True)[1])
    assert key_figures(samples.plan()[1]) == {}


def test_many_classes_are_cut_to_the_lowest_fifty() -> None:
    spec, result = samples.train()
    scores = tuple(i / 200 for i in range(200))
    test = result.test.model_copy(update={"per_class_accuracy": scores})
    report = samples.report((spec, result.model_copy(update={"test": test})))
    assert [row["accuracy"] for row in report.tables[2].rows] == [i / 200 for i in range(50)]


def test_reports_are_built_without_torch_numpy_or_a_database() -> None:
    code = (
        "import sys, service.reports.build, service.reports.render, service.reports.card\n"
        "bad = {'torch', 'numpy', 'sqlalchemy', 'vl_convert'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_notes_say_what_seeds_and_a_control_showed() -> None:
    spec, result = samples.distill()
    runs = tuple(
        SeedResult(seed=seed, best_epoch=3, validation_accuracy=0.9, test_accuracy=accuracy)
        for seed, accuracy in ((0, 0.90), (1, 0.94))
    )
    result = result.model_copy(
        update={
            "seeds": SeedsSummary(n=2, mean=0.92, std=0.0283, runs=runs),
            "control": ControlResult(
                validation_accuracy=0.9, test_accuracy=0.95, gain_points=-3.0, gains_points=(-3.0,)
            ),
        }
    )
    report = samples.report((spec, result))
    notes = " ".join(report.notes)
    assert "deviation of 2.83 points" in notes
    assert "by -3.00 points" in notes
    (runs_table,) = [table for table in report.tables if table.id == "runs"]
    assert [row["run"] for row in runs_table.rows] == ["seed 0", "seed 1", "without a teacher"]


def test_a_mix_is_told_loss_by_loss_and_drawn_by_term() -> None:
    spec, result = samples.distill()
    mixed = spec.model_copy(update={"loss": (KdLoss(alpha=0.3, weight=3), AtLoss())})
    history = tuple(
        record.model_copy(update={"losses": {**record.losses, "kd": 1.0, "at": 2.0}})
        for record in result.history
    )
    report = samples.report((mixed, result.model_copy(update={"history": history})))
    told = [note for note in report.notes if note.startswith("Loss")]
    assert ["kd" in told[0], "at" in told[1]] == [True, True]
    assert "75.0" in told[0]
    chart = training_chart(report)
    shares = chart.spec["concat"][3]["data"]["values"]
    # hard 3/4 · 0.3 + 1/4 · 0.5 = 0.35 of a loss, kd 3/4 · 0.7 · 1, at 1/4 · 0.5 · 2
    first = {row["series"]: row["value"] for row in shares if row["epoch"] == 1}
    hard = 0.35 * result.history[0].losses["hard"]
    whole = hard + 0.525 + 0.25
    assert first == pytest.approx(
        {"hard": hard / whole, "kd": 0.525 / whole, "at": 0.25 / whole}, rel=1e-4
    )
