"""Writing the rows of a model."""

from sqlalchemy import insert
from sqlalchemy.orm import Session

from service.store.session import now
from service.store.tables import ModelFileRow, ModelRow
from service.store.types import clean_text
from service.store.values import ModelFile, NewModel


def insert_model(
    session: Session, project: str, model: NewModel, *, job_id: str | None = None
) -> None:
    """A model: ready, or an upload to be checked if it has a source."""
    session.execute(
        insert(ModelRow).values(
            id=model.id,
            project=project,
            name=clean_text(model.name),
            status="ready" if model.source_sha256 is None else "checking",
            form=model.form,
            source=model.source,
            architecture=model.architecture,
            options=dict(model.options),
            classes=model.classes,
            input_size=None if model.input_size is None else list(model.input_size),
            normalisation=None if model.normalisation is None else dict(model.normalisation),
            labels=None if model.labels is None else list(model.labels),
            notes=[],
            parameters=model.parameters,
            macs=model.macs,
            size_bytes=model.size_bytes,
            sha256=model.sha256,
            metrics=dict(model.metrics),
            parent_id=model.parent_id,
            job_id=job_id,
            source_sha256=model.source_sha256,
            check_run=0,
            check_attempts=0,
            created_at=now(session),
        )
    )
    insert_files(session, model.id, model.files)


def insert_files(session: Session, model_id: str, files: tuple[ModelFile, ...]) -> None:
    """The files of a model's folder."""
    if files:
        rows = [
            {
                "model_id": model_id,
                "name": file.name,
                "sha256": file.sha256,
                "bytes": file.bytes,
                "crc32": file.crc32,
            }
            for file in files
        ]
        session.execute(insert(ModelFileRow), rows)
