"""Comparisons and their pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from service.store.errors import NotFound
from service.store.sql import upsert
from service.store.tables import ComparisonFileRow, ComparisonRow


@dataclass(frozen=True)
class ListedComparison:
    """What a list shows of a comparison; its values may be megabytes."""

    id: str
    title: str
    headline: str
    request: dict[str, Any]
    created_at: datetime


class ComparisonStore:
    """The comparisons of a database, within one transaction. They never change."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self, comparison_id: str, project: str, body: Mapping[str, Any], created_at: datetime
    ) -> None:
        """Keep a comparison with all its values, gathered at that moment."""
        row = ComparisonRow(
            id=comparison_id, project=project, body=dict(body), created_at=created_at
        )
        self._session.add(row)
        self._session.flush()

    def get(self, comparison_id: str, project: str) -> ComparisonRow:
        """NotFound, also for another project's."""
        row = self._session.get(ComparisonRow, comparison_id)
        if row is None or row.project != project:
            raise NotFound("comparison", comparison_id)
        return row

    def list(
        self, project: str, limit: int, after: str | None = None
    ) -> tuple[ListedComparison, ...]:
        """Newest first; `after` is the last id of the page before."""
        body = ComparisonRow.body
        query = select(
            ComparisonRow.id,
            body["title"].as_string(),
            body["headline"].as_string(),
            body[("values", "request")],
            ComparisonRow.created_at,
        ).where(ComparisonRow.project == project)
        if after is not None:
            query = query.where(ComparisonRow.id < after)
        rows = self._session.execute(query.order_by(ComparisonRow.id.desc()).limit(limit))
        return tuple(ListedComparison(*row) for row in rows)

    def delete(self, comparison_id: str, project: str) -> None:
        """Forget it and its pages. NotFound as with `get`."""
        mine = (ComparisonRow.id == comparison_id, ComparisonRow.project == project)
        gone = delete(ComparisonRow).where(*mine).returning(ComparisonRow.id)
        if self._session.scalar(gone) is None:
            raise NotFound("comparison", comparison_id)

    def file(self, comparison_id: str, name: str) -> ComparisonFileRow | None:
        """A page or picture of it, if it was drawn already."""
        return self._session.get(ComparisonFileRow, (comparison_id, name))

    def keep_files(self, comparison_id: str, files: Mapping[str, tuple[str, int]]) -> None:
        """Name the blobs of its pages and pictures: digest and bytes by file name. Where another
        request was faster, its files stay. NotFound where it was deleted while it was drawn."""
        lock = {"read": True, "key_share": True}
        if self._session.get(ComparisonRow, comparison_id, with_for_update=lock) is None:
            raise NotFound("comparison", comparison_id)
        rows = [
            {"comparison_id": comparison_id, "name": name, "sha256": sha256, "bytes": size}
            for name, (sha256, size) in files.items()
        ]
        upsert(self._session, ComparisonFileRow, rows, keep=True)
