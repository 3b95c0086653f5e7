"""Datasets."""

from sqlalchemy import insert

from service.store.checked import CheckedStore
from service.store.session import now
from service.store.tables import DatasetRow
from service.store.types import clean_text
from service.store.values import AcceptedDataset, NewDataset


class DatasetStore(CheckedStore[DatasetRow]):
    """The datasets of a database, within one transaction."""

    row = DatasetRow
    bulky = (DatasetRow.labels, DatasetRow.class_counts)
    kind = "dataset"
    invalid = "invalid_dataset"

    def add(self, project: str, dataset: NewDataset) -> DatasetRow:
        """An upload, or a file of a source, to be checked."""
        self._session.execute(
            insert(DatasetRow).values(
                id=dataset.id,
                project=project,
                name=clean_text(dataset.name),
                status="checking",
                format=dataset.format,
                source_sha256=dataset.source_sha256,
                source=dataset.source,
                path=dataset.path,
                validation_share=dataset.validation_share,
                image_size=dataset.image_size,
                undecodable_share=dataset.undecodable_share,
                seed=dataset.seed,
                check_run=0,
                check_attempts=0,
                created_at=now(self._session),
            )
        )
        return self.get(dataset.id)

    def accept(
        self, dataset_id: str, check_run: int, found: AcceptedDataset
    ) -> tuple[str, ...] | None:
        """The check is passed. Returns the jobs that wait for nothing now; None: fenced out."""
        values = {
            "classes": found.classes,
            "input_size": list(found.input_size),
            "labels": None if found.labels is None else list(found.labels),
            "splits": dict(found.splits),
            "class_counts": {name: list(counts) for name, counts in found.class_counts.items()},
            "normalisation": dict(found.normalisation),
            "findings": dict(found.findings),
            "contact_sheet_sha256": found.contact_sheet_sha256,
            "digest": found.digest,
            "sha256": found.sha256,
            "bytes": found.bytes,
        }
        return self._accept(dataset_id, check_run, values)
