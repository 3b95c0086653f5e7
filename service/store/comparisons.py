"""Comparisons and their pages."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from service.store.errors import NotFound
from service.store.session import now
from service.store.sql import upsert
from service.store.tables import ComparisonFileRow, ComparisonRow


class ComparisonStore:
    """The comparisons of a database, within one transaction. They never change."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, comparison_id: str, project: str, body: Mapping[str, Any]) -> None:
        """Keep a comparison with all its values."""
        row = ComparisonRow(
            id=comparison_id, project=project, body=dict(body), created_at=now(self._session)
        )
        self._session.add(row)
        self._session.flush()

    def get(self, comparison_id: str, project: str) -> ComparisonRow:
        """NotFound, also for another project's."""
        row = self._session.get(ComparisonRow, comparison_id)
        if row is None or row.project != project:
            raise NotFound("comparison", comparison_id)
        return row

    def file(self, comparison_id: str, name: str) -> ComparisonFileRow | None:
        """A page or picture of it, if it was drawn already."""
        return self._session.get(ComparisonFileRow, (comparison_id, name))

    def keep_files(self, comparison_id: str, files: Mapping[str, tuple[str, int]]) -> None:
        """Name the blobs of its pages and pictures: digest and bytes by file name. Where another
        request was faster, its files stay."""
        rows = [
            {"comparison_id": comparison_id, "name": name, "sha256": sha256, "bytes": size}
            for name, (sha256, size) in files.items()
        ]
        upsert(self._session, ComparisonFileRow, rows, keep=True)
