"""`distill`: spec -> engine -> result."""

from dataclasses import replace

from service.contract.distill import DistillResult, DistillSpec
from service.reports.key_figures import key_figures
from worker.engine.distill.distill import distill as run
from worker.engine.models.folder import LoadedModel
from worker.engine.train.evaluate import agreement
from worker.handlers.common import Job, Outcome, check_fits, model_facts
from worker.handlers.trained import produced, save_and_judge


def distill(job: Job, spec: DistillSpec) -> Outcome:
    """Train a student from a teacher and judge both, as saved, on the test split."""
    data = job.data(spec.dataset)
    teacher = job.load(spec.teacher)
    check_fits(teacher.config, data)
    source = job.input(spec.teacher)
    student = _marked(job.start_from(spec.student, data), spec, source.id)
    job.observer.on_phase("training")
    outcome = run(
        student.module,
        teacher.module,
        data,
        student_mean=student.config.mean,
        student_std=student.config.std,
        teacher_mean=teacher.config.mean,
        teacher_std=teacher.config.std,
        loss=spec.loss.name,
        temperature=spec.loss.temperature,
        alpha=spec.loss.alpha,
        **job.fit_options(spec.training),
    )
    trained = save_and_judge(job, student, data, spec.dataset)
    teacher_test, teacher_logits = job.evaluate(teacher, data.test)
    teacher_facts = model_facts(teacher, job.folder / source.folder, source.id, source.name)
    result = DistillResult(
        **trained.result_fields(job, outcome),
        teacher=teacher_facts,
        teacher_test=teacher_test,
        compression_ratio=teacher_facts.parameters / trained.facts.parameters,
        accuracy_retention=retention(trained.test.accuracy, teacher_test.accuracy),
        accuracy_change_points=100 * (trained.test.accuracy - teacher_test.accuracy),
        agreement=agreement(trained.test_logits, teacher_logits),
    )
    lineage = f"Distilled from {source.name} on {spec.dataset}."
    return Outcome(
        result,
        produced(job, trained, key_figures(result), source, lineage),
        student.config.labels,
    )


def _marked(student: LoadedModel, spec: DistillSpec, teacher_id: str) -> LoadedModel:
    """The student, with what is being done to it in its config.json."""
    step = {"kind": "distill", "teacher": teacher_id, "loss": spec.loss.model_dump()}
    config = replace(student.config, compression=(*student.config.compression, step))
    return LoadedModel(student.module, config)


def retention(accuracy: float, baseline: float) -> float:
    """accuracy ÷ baseline; 0 for a baseline that gets nothing right, where it is undefined."""
    return accuracy / baseline if baseline else 0.0
