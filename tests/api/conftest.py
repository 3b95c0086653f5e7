"""A real application on SQLite and a folder of blobs; only the nudges go nowhere."""

import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from service.app import create_app
from service.auth import generate_key, new_key
from service.blobs import BlobStore, open_blobs
from service.config import Settings
from service.contract.wire import Scope
from service.store.jobs import JobStore
from service.store.keys import KeyStore
from service.store.migrate import upgrade
from service.store.models import ModelStore
from service.store.session import Database
from service.store.values import (
    ClaimedJob,
    ModelFile,
    NewModel,
)
from tests.sample_worker import WORKER, register


@dataclass
class Nudges:
    """Keeps what would wake workers."""

    sent: list[tuple[str, str]] = field(default_factory=list)

    def nudge(self, queue_name: str, job_id: str) -> None:
        self.sent.append((queue_name, job_id))


@dataclass
class Service:
    """The application and what stands behind it."""

    http: TestClient
    database: Database
    blobs: BlobStore
    nudges: Nudges
    settings: Settings
    key: str

    def key_for(self, project: str, *scopes: Scope) -> dict[str, str]:
        """Headers with a fresh key."""
        secret = generate_key()
        with self.database.transaction() as session:
            KeyStore(session).create(new_key(secret, project, "test", scopes or ("read", "write")))
        return {"authorization": f"Bearer {secret}"}

    def claim(self) -> ClaimedJob:
        """Take the next job, as a worker does."""
        with self.database.transaction() as session:
            job = JobStore(session).claim(WORKER, 60.0)
        assert job is not None
        return job

    def add_worker(self, **architectures: list[str]) -> None:
        """A worker that is alive, and that has these classifiers of timm besides."""
        register(self.database, **architectures)

    def add_model(self, project: str = "default", classes: int = 10) -> str:
        """A model that is ready, for inputs of 3×32×32."""
        contents = {
            "README.md": b"# A model\n",
            "config.json": b'{"architecture":"cnn_student"}',
            "model.safetensors": bytes(range(256)) * 8192,
        }
        files = []
        for name, data in contents.items():
            blob = self.blobs.put_bytes(data)
            files.append(ModelFile(name, blob.sha256, blob.bytes, zlib.crc32(data)))
        model = NewModel(
            name="a model",
            architecture="cnn_student",
            options={},
            classes=classes,
            input_size=(3, 32, 32),
            normalisation={"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]},
            parameters=148_330,
            size_bytes=files[2].bytes,
            sha256=hashlib.sha256(contents["model.safetensors"]).hexdigest(),
            files=tuple(files),
        )
        with self.database.transaction() as session:
            return ModelStore(session).add(project, model).id


@contextmanager
def open_service(folder: Path, **settings: Any) -> Iterator[Service]:
    """In `folder`, with a key that may do everything and these settings besides."""
    key = generate_key()
    made = Settings(data_dir=folder, bootstrap_key=SecretStr(key), sweep_s=3600.0, **settings)
    upgrade(made.database)
    database = Database(made.database)
    blobs = open_blobs(made.blobs, made.staging_dir)
    nudges = Nudges()
    app = create_app(made, database=database, blobs=blobs, relay=nudges)
    with TestClient(app, raise_server_exceptions=False) as http:
        http.headers["authorization"] = f"Bearer {key}"
        yield Service(http, database, blobs, nudges, made, key)
    database.close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with open_service(
        tmp_path,
        max_upload_bytes=1 << 22,
        max_body_bytes=1 << 16,
        sources="photos=file:///nowhere",
    ) as opened:
        yield opened


@pytest.fixture
def http(service: Service) -> TestClient:
    return service.http
