"""A job that left something of everything that MLflow is told."""

import zlib

from service.blobs import BlobStore
from service.contract.job_errors import JobError
from service.store.exports import ExportStore
from service.store.jobs import JobStore
from service.store.models import ModelStore
from service.store.session import Database
from service.store.tables import ExportRow
from service.store.values import (
    ClaimingWorker,
    Failed,
    ModelFile,
    NewArtifact,
    NewJob,
    NewModel,
    Point,
    Succeeded,
)

WORKER = ClaimingWorker("wrk_" + "0" * 26, "cpu", frozenset())
WEIGHTS = bytes(range(256)) * 4096 * 3
MODEL = {
    "README.md": b"# A student\n",
    "config.json": b'{"architecture":"cnn_student"}',
    "model.safetensors": WEIGHTS,
}
REPORT = b"<!doctype html><title>Report</title>"
SPEC = {
    "kind": "distill",
    "seed": 7,
    "loss": {"kind": "kd", "temperature": 4.0, "alpha": 0.5},
    "timeout_s": None,
    "layers": ["a", "b"],
    "note": "n" * 7000,
}


def expect(database: Database) -> None:
    """Jobs that end from now on are put down."""
    with database.transaction() as session:
        ExportStore(session).expect(3600.0)


def add(database: Database, project: str = "vision", **fields: object) -> str:
    """A job that is queued."""
    job = NewJob(project, "distill", SPEC, name="a student", **fields)  # type: ignore[arg-type]
    with database.transaction() as session:
        JobStore(session).add(job)
    return job.id


def cancelled(database: Database) -> str:
    """A job that never ran."""
    job_id = add(database)
    with database.transaction() as session:
        JobStore(session).request_cancel(job_id, "vision")
    return job_id


def failed(database: Database) -> str:
    """A job whose engine crashed."""
    job_id = add(database)
    with database.transaction() as session:
        run = JobStore(session).claim(WORKER, 60.0)
        assert run is not None
        error = JobError.of("engine_crashed", "the engine exited with 3")
        JobStore(session).finish(job_id, run.run, Failed(error))
    return job_id


def succeeded(database: Database, blobs: BlobStore) -> str:
    """A job that made a model, a report and what only later jobs of ours can use."""
    with database.transaction() as session:
        parent = ModelStore(session).add("vision", _model("teacher", ())).id
    job_id = add(database, labels={"team": "edge"})
    files = []
    for name, data in MODEL.items():
        blob = blobs.put_bytes(data)
        files.append(ModelFile(name, blob.sha256, blob.bytes, zlib.crc32(data)))
    report = blobs.put_bytes(REPORT)
    logits = blobs.put_bytes(b"logits")
    with database.transaction() as session:
        run = JobStore(session).claim(WORKER, 60.0)
        assert run is not None
        points = [Point("loss", step, 1.0 / (step + 1)) for step in range(1100)]
        JobStore(session).record(job_id, run.run, points=points)
        JobStore(session).finish(
            job_id,
            run.run,
            Succeeded(
                {"kind": "distill"},
                metrics={"test_accuracy": 0.9, "loss": 0.25},
                artifacts=(
                    NewArtifact("report.html", "report", "text/html", report.sha256, report.bytes),
                    NewArtifact("logits", "teacher_logits", "a/b", logits.sha256, logits.bytes),
                ),
                models=(_model("a/student:1", tuple(files), parent),),
            ),
        )
    return job_id


def _model(name: str, files: tuple[ModelFile, ...], parent: str | None = None) -> NewModel:
    return NewModel(
        name=name,
        architecture="cnn_student",
        options={},
        classes=10,
        input_size=(3, 32, 32),
        normalisation={"mean": [0.0], "std": [1.0]},
        sha256="a" * 64,
        parent_id=parent,
        files=files,
    )


def export_row(database: Database, job_id: str) -> ExportRow:
    """How far it is."""
    with database.read() as session:
        return session.get_one(ExportRow, job_id)
