"""Claims on checks: kept while one lasts, and given back where nothing was found out."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from service.blobs import BlobError, BlobNotFound, BlobStore, StorageUnavailable
from service.config import Settings
from service.store.checked import MAX_CHECKS
from service.store.migrate import upgrade
from service.store.models import ModelStore
from service.store.session import Database
from service.store.tables import ModelRow
from service.store.values import NewModel
from tests.store.samples import OTHER, WORKER
from tests.waiting import wait_until
from worker.check_lease import kept
from worker.engine_host import EngineHost
from worker.intake import Intake


@dataclass
class Failing:
    """Blobs that cannot be fetched."""

    error: BlobError

    def fetch(self, _sha256: str, _target: Path) -> None:
        raise self.error


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    upgrade(settings.database)
    opened = Database(settings.database)
    yield opened
    opened.close()


@pytest.fixture
def upload(database: Database) -> str:
    with database.transaction() as session:
        new = NewModel(
            name="x", architecture="mlp", options={}, classes=None, input_size=None,
            normalisation=None, labels=None, source="torch", source_sha256="a" * 64,
        )  # fmt: skip
        return ModelStore(session).add("p", new).id


def _row(database: Database, upload: str) -> ModelRow:
    with database.read() as session:
        return ModelStore(session).get(upload)


@pytest.mark.parametrize(
    ("error", "counted"), [(StorageUnavailable("down"), 0), (BlobNotFound("a" * 64), 1)]
)
def test_a_check_without_its_bytes_is_tried_again_in_seconds(
    settings: Settings, database: Database, upload: str, error: BlobError, counted: int
) -> None:
    host = EngineHost(settings.scratch_dir)  # never started: no check gets that far
    blobs = cast(BlobStore, Failing(error))
    intake = Intake(settings, database, blobs, host, WORKER.id, lambda _: None)
    with pytest.raises(type(error)):
        intake.check_one()
    row = _row(database, upload)
    assert (row.status, row.check_attempts) == ("checking", counted)
    assert row.check_lease_until is not None
    assert (row.check_lease_until - datetime.now(UTC)).total_seconds() <= 5
    assert list(settings.scratch_dir.iterdir()) == []
    assert counted < MAX_CHECKS


def test_a_claim_is_kept_longer_than_its_lease(database: Database, upload: str) -> None:
    with database.transaction() as session:
        claimed = ModelStore(session).claim_check(WORKER.id, 0.2)
        assert claimed is not None
        run, first_end = claimed.check_run, claimed.check_lease_until
    with kept(database, ModelStore, upload, run, lease_s=60.0, interval_s=0.02):
        assert first_end is not None
        wait_until(lambda: datetime.now(UTC) > first_end, 10, "the end of the first lease")
        wait_until(
            lambda: (_row(database, upload).check_lease_until or first_end) > first_end,
            10,
            "an extension",
        )
        with database.transaction() as session:
            assert ModelStore(session).claim_check(OTHER.id, 60.0) is None
    assert "check-lease" not in {thread.name for thread in threading.enumerate()}
