"""Models and their lineage."""

from sqlalchemy import select

from service.store.checked import CheckedStore
from service.store.model_rows import insert_files, insert_model
from service.store.tables import ModelFileRow, ModelRow
from service.store.values import AcceptedModel, ModelFile, NewModel

_MAX_ANCESTORS = 100


class ModelStore(CheckedStore[ModelRow]):
    """The models of a database, within one transaction."""

    row = ModelRow
    bulky = (ModelRow.labels,)
    kind = "model"
    invalid = "invalid_model"

    def add(self, project: str, model: NewModel) -> ModelRow:
        """A model: ready, or an upload to be checked if it has a source."""
        insert_model(self._session, project, model)
        return self.get(model.id)

    def accept(self, model_id: str, check_run: int, found: AcceptedModel) -> tuple[str, ...] | None:
        """The check is passed. Returns the jobs that wait for nothing now; None: fenced out."""
        values = {
            "form": found.form,
            "architecture": found.architecture,
            "options": dict(found.options),
            "classes": found.classes,
            "input_size": list(found.input_size),
            "normalisation": dict(found.normalisation),
            "labels": None if found.labels is None else list(found.labels),
            "notes": list(found.notes),
            "parameters": found.parameters,
            "macs": found.macs,
            "size_bytes": found.size_bytes,
            "sha256": found.sha256,
        }
        unblocked = self._accept(model_id, check_run, values)
        if unblocked is not None:
            insert_files(self._session, model_id, found.files)
        return unblocked

    def files(self, model_id: str) -> tuple[ModelFile, ...]:
        """The files of its folder, by name."""
        rows = self._session.execute(
            select(ModelFileRow)
            .where(ModelFileRow.model_id == model_id)
            .order_by(ModelFileRow.name)
        ).scalars()
        return tuple(ModelFile(row.name, row.sha256, row.bytes, row.crc32) for row in rows)

    def ancestors(self, row: ModelRow) -> list[ModelRow]:
        """Parent, grandparent …, as far as they are still there."""
        found: list[ModelRow] = []
        parent_id = row.parent_id
        while parent_id is not None and len(found) < _MAX_ANCESTORS:
            parent = self._session.get(ModelRow, parent_id)
            if parent is None:
                break
            found.append(parent)
            parent_id = parent.parent_id
        return found

    def children(self, model_id: str, limit: int = 100) -> list[ModelRow]:
        """Models made from it, oldest first."""
        query = select(ModelRow).where(ModelRow.parent_id == model_id).order_by(ModelRow.id)
        return list(self._session.execute(query.limit(limit)).scalars())
