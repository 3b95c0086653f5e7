"""Uploads whose bytes are all there when the store or the database goes away."""

from pathlib import Path

from fastapi.testclient import TestClient

from service.app import create_app
from service.blobs import Blob, StorageUnavailable
from service.blobs.local import LocalBlobs
from tests.api.conftest import Service
from tests.api.test_files import DATA
from tests.away import Away


class AwayOnce(LocalBlobs):
    """A store that does not answer the first put."""

    is_away = True

    def put_file(self, path: Path, sha256: str | None = None) -> Blob:
        if self.is_away:
            self.is_away = False
            raise StorageUnavailable("no answer")
        return super().put_file(path, sha256)


def test_an_upload_outlives_a_store_that_does_not_answer(service: Service) -> None:
    settings = service.settings
    blobs = AwayOnce(settings.data_dir / "blobs", settings.staging_dir)
    app = create_app(settings, database=service.database, blobs=blobs, relay=service.nudges)
    with TestClient(app, headers={"authorization": f"Bearer {service.key}"}) as http:
        made = http.post("/v1/uploads", json={"name": "a.bin", "bytes": len(DATA)}).json()["id"]
        path = f"/v1/uploads/{made}"
        away = http.patch(path, content=DATA, headers={"upload-offset": "0"})
        assert away.status_code == 503
        there = http.head(path).headers["upload-offset"]
        assert there == str(len(DATA))
        last = http.patch(path, content=b"", headers={"upload-offset": there})
        assert last.status_code == 201
        assert http.get("/v1/files/a.bin").content == DATA


class GoneAfterPut(LocalBlobs):
    """Stores the first file, and then the database does not answer once."""

    has_gone = False

    def __init__(self, service: Service, database: Away) -> None:
        super().__init__(service.settings.data_dir / "blobs", service.settings.staging_dir)
        self._database = database

    def put_file(self, path: Path, sha256: str | None = None) -> Blob:
        blob = super().put_file(path, sha256)
        if not self.has_gone:
            self.has_gone, self._database.refusals = True, 1
        return blob


def test_an_upload_outlives_a_database_that_goes_when_all_bytes_are_there(service: Service) -> None:
    database = Away(service.database.url)
    blobs = GoneAfterPut(service, database)
    app = create_app(service.settings, database=database, blobs=blobs, relay=service.nudges)
    with TestClient(app, headers={"authorization": f"Bearer {service.key}"}) as http:
        made = http.post("/v1/uploads", json={"name": "a.bin", "bytes": len(DATA)}).json()["id"]
        path = f"/v1/uploads/{made}"
        away = http.patch(path, content=DATA, headers={"upload-offset": "0"})
        assert (away.status_code, away.json()["code"]) == (503, "unavailable")
        last = http.patch(path, content=b"", headers={"upload-offset": str(len(DATA))})
        assert last.status_code == 201
        assert http.get("/v1/files/a.bin").content == DATA
        assert http.get(path).status_code == 404
    database.close()
