"""Which blobs rows still name: what garbage collection asks before it deletes."""

from collections.abc import Sequence

from sqlalchemy import select, union
from sqlalchemy.orm import Session

from service.store.tables import (
    ArtifactRow,
    ComparisonFileRow,
    DatasetRow,
    FileRow,
    ModelFileRow,
    ModelRow,
)

_COLUMNS = (
    ArtifactRow.sha256,
    ModelFileRow.sha256,
    ModelRow.source_sha256,
    DatasetRow.sha256,
    DatasetRow.source_sha256,
    DatasetRow.contact_sheet_sha256,
    FileRow.sha256,
    ComparisonFileRow.sha256,
)


def blobs_in_use(session: Session, sha256s: Sequence[str]) -> set[str]:
    """Those of `sha256s` (a few hundred at a time) that some row of any project names.

    A blob that was just put may be named by a row that is not committed yet: spare young blobs.
    One statement, so that a blob whose row is copied from one table to another and then deleted
    is not looked for where it is not yet, and where it is no more.
    """
    uses = (select(column.label("sha256")).where(column.in_(sha256s)) for column in _COLUMNS)
    return {sha for sha in session.scalars(union(*uses)) if sha is not None}
