"""Several trainings in one job: what comes out, and how it goes on after a stop."""

from statistics import fmean, stdev
from typing import Any

import pytest
from safetensors.torch import load_file

from service.contract.distill import DistillResult
from service.contract.train import TrainResult
from tests.worker.engine.recorder import Recorder
from tests.worker.handlers.conftest import MLP, TEACHERS, MakeJob
from worker.engine.errors import Stopped
from worker.handlers import handle
from worker.handlers.common import Job
from worker.handlers.distill import distill
from worker.handlers.train import train

TRAINING = {"epochs": 3, "batch_size": 16, "learning_rate": 0.01}
DISTILL: dict[str, Any] = {
    "kind": "distill", "teacher": TEACHERS[0], "student": MLP, "training": TRAINING,
    "latency_batch_sizes": [],
}  # fmt: skip


def distilled(job: Job) -> DistillResult:
    assert job.spec.kind == "distill"
    result = distill(job, job.spec).result
    assert isinstance(result, DistillResult)
    return result


def test_seeds_are_repeated_and_the_best_on_validation_is_kept(make_job: MakeJob) -> None:
    job = make_job(Recorder(), kind="train", model=MLP, training=TRAINING, seeds=[3, 1, 2])
    assert job.spec.kind == "train"
    result = train(job, job.spec).result
    assert isinstance(result, TrainResult)
    assert result.seeds is not None
    assert [run.seed for run in result.seeds.runs] == [3, 1, 2]
    accuracies = [run.test_accuracy for run in result.seeds.runs]
    assert result.seeds.n == 3
    assert result.seeds.mean == pytest.approx(fmean(accuracies))
    assert result.seeds.std == pytest.approx(stdev(accuracies))
    best = max(run.validation_accuracy for run in result.seeds.runs)
    assert result.validation.accuracy == best
    kept = next(run for run in result.seeds.runs if run.seed == result.seed)
    assert kept.test_accuracy == result.test.accuracy


def test_one_seed_of_several_trains_as_it_would_alone(make_job: MakeJob) -> None:
    alone = distilled(make_job(Recorder(), **DISTILL, seed=2))
    among = distilled(make_job(Recorder(), **DISTILL, seeds=[1, 2]))
    assert among.seeds is not None
    assert among.seeds.runs[1].test_accuracy == alone.test.accuracy
    assert among.seeds.runs[1].validation_accuracy == alone.validation.accuracy


def test_a_control_is_what_training_alone_gives(make_job: MakeJob) -> None:
    result = distilled(make_job(Recorder(), **DISTILL, control=True))
    job = make_job(Recorder(), kind="train", model=MLP, training=TRAINING)
    assert job.spec.kind == "train"
    alone = train(job, job.spec).result
    assert isinstance(alone, TrainResult)
    assert result.control is not None
    assert result.control.test_accuracy == alone.test.accuracy
    gain = 100 * (result.test.accuracy - alone.test.accuracy)
    assert result.control.gain_points == pytest.approx(gain)


def test_a_control_that_wins_is_a_warning(make_job: MakeJob) -> None:
    # an untrained teacher, and no labels: the student learns noise
    loss = {"name": "kd", "alpha": 0.0}
    training = {**TRAINING, "epochs": 12}
    spec = {**DISTILL, "training": training}
    result = distilled(make_job(Recorder(), **spec, loss=loss, control=True))
    assert result.control is not None
    assert result.control.gain_points < 0
    assert any("control won" in warning for warning in result.warnings)


def test_in_born_again_rounds_each_student_teaches_the_next(make_job: MakeJob) -> None:
    one = distilled(make_job(Recorder(), **DISTILL, rounds=1))
    two = distilled(make_job(Recorder(), **DISTILL, rounds=2))
    assert [item.round for item in two.rounds] == [1, 2]
    assert two.rounds[0].test_accuracy == one.test.accuracy
    assert two.rounds[1].test_accuracy == two.test.accuracy
    assert two.history != one.history


def test_several_teachers_are_judged_each_and_together(make_job: MakeJob) -> None:
    spec = {**DISTILL, "teacher": None, "teachers": [{"model": t, "weight": 2} for t in TEACHERS]}
    result = distilled(make_job(Recorder(), **spec))
    assert [one.facts.model for one in result.teachers] == list(TEACHERS)
    assert result.teacher == result.teachers[0].facts
    assert result.accuracy_change_points == pytest.approx(
        100 * (result.test.accuracy - result.teacher_test.accuracy)
    )


# 2 seeds of 2 rounds and a control are 6 legs of 3 epochs of 4 steps
@pytest.mark.parametrize("stop_at", [5, 14, 30, 66])
def test_a_campaign_goes_on_as_if_it_had_never_stopped(make_job: MakeJob, stop_at: int) -> None:
    spec = {**DISTILL, "seeds": [0, 1], "rounds": 2, "control": True}
    expected_job = make_job(Recorder(), **spec)
    expected = distilled(expected_job)
    recorder = Recorder(stop_at_question=stop_at)
    with pytest.raises(Stopped):
        distilled(make_job(recorder, **spec))
    found_job = make_job(Recorder(), checkpoint=recorder.checkpoints[-1], **spec)
    found = distilled(found_job)
    assert found.seeds == expected.seeds
    assert found.rounds == expected.rounds
    assert found.control == expected.control
    names = ("model/model.safetensors",)
    for name in names:
        one, other = load_file(found_job.folder / name), load_file(expected_job.folder / name)
        assert all(one[key].equal(other[key]) for key in one)


def test_the_progress_of_a_campaign_ends_where_it_said(make_job: MakeJob) -> None:
    recorder = Recorder()
    distilled(make_job(recorder, **DISTILL, seeds=[0, 1], control=True))
    steps, totals = zip(*recorder.steps, strict=True)
    assert list(steps) == sorted(steps)
    assert set(totals) == {48}  # 4 legs of 3 epochs of 4 steps
    assert steps[-1] == 48


def test_the_report_of_a_campaign_names_its_runs(make_job: MakeJob) -> None:
    job = make_job(
        Recorder(), **DISTILL, seeds=[0, 1], control=True, loss=[{"name": "kd"}, {"name": "mse"}]
    )
    product = handle(job.order, job.folder, job.observer)
    markdown = next(file for file in product.files if file.name.endswith(".md"))
    text = (job.folder / markdown.path).read_text(encoding="utf-8")
    assert "seed 1" in text
    assert "without a teacher" in text
    assert "mse is the mean squared difference" in text
