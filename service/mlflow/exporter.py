"""Writes jobs that ended to MLflow, from threads of its own.

In API processes, like the courier of webhooks: workers may have no way out of their network. What
it does for a job may be done twice, and is: after a process died, or when an answer got lost.
"""

import logging
import time
from collections.abc import Iterator
from typing import Final

from service.blobs import BlobError, BlobNotFound, BlobStore
from service.config import Settings
from service.errands import Errands
from service.mlflow import words
from service.mlflow.errors import MlflowError
from service.mlflow.gather import MODEL_FOLDER, File, Told, gather
from service.mlflow.server import MlflowServer, Run
from service.store.errors import DatabaseUnavailable
from service.store.exports import ClaimedExport, ExportStore
from service.store.session import Database

log = logging.getLogger(__name__)

_THREADS: Final = 2  # a model of gigabytes holds up one of them
LEASE_S: Final = 180.0  # longer than the server may take for one answer
_EXPECT_S: Final = 7 * 86_400.0
_EXPECT_EVERY_S: Final = 3600.0
_NOT_HERE: Final = "the server does not take files itself: it runs without --serve-artifacts"


def exporter_of(
    settings: Settings, database: Database, blobs: BlobStore, version: str
) -> "Exporter | None":
    """What the settings ask for; None: no server is named."""
    if settings.mlflow_tracking_uri is None:
        return None
    token, name, password = (
        settings.mlflow_token,
        settings.mlflow_username,
        settings.mlflow_password,
    )
    server = MlflowServer(
        settings.mlflow_tracking_uri,
        token=None if token is None else token.get_secret_value(),
        user=None if name is None or password is None else (name, password.get_secret_value()),
        agent=f"Modelpress/{version}",
    )
    return Exporter(database, blobs, server, settings.mlflow_experiment)


class _Lost(Exception):
    """Another process has the job now, or it was deleted, or this process ends."""


class Exporter:
    """The threads."""

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        server: MlflowServer,
        experiment: str,
        *,
        lease_s: float = LEASE_S,
    ) -> None:
        """`experiment` may name the `{project}`. Takes the server, and closes it."""
        self._lease_s = lease_s
        self._database = database
        self._blobs = blobs
        self._server = server
        self._experiment = experiment
        self._expected_at = -_EXPECT_EVERY_S
        self._errands = Errands("mlflow", self.export_one, threads=_THREADS)

    def start(self) -> None:
        """Begin, with a first look at once."""
        self._errands.start()

    def close(self) -> None:
        """Stop. What is under way is left behind, and done again by whoever comes next."""
        self._errands.close()
        self._server.close()

    def export_one(self) -> bool:
        """Write the job that is due longest. False: there is none, or it did not succeed; then a
        server in trouble is left alone for a moment."""
        self._expect()
        with self._database.read() as session:  # most of the time there is nothing to lock for
            if not ExportStore(session).is_due():
                return False
        with self._database.transaction() as session:
            claimed = ExportStore(session).claim(self._lease_s)
        return claimed is not None and self._try(claimed)

    def _expect(self) -> None:
        if time.monotonic() - self._expected_at >= _EXPECT_EVERY_S:
            with self._database.transaction() as session:
                ExportStore(session).expect(_EXPECT_S)
            self._expected_at = time.monotonic()

    def _try(self, claimed: ClaimedExport) -> bool:
        try:
            url = self._export(claimed)
        except _Lost:
            return False
        except DatabaseUnavailable:
            raise  # the lease lapses
        except (MlflowError, BlobError) as error:
            self._failed(claimed, str(error))
            return False
        except Exception as error:
            log.exception("mlflow: job %s", claimed.job_id)
            self._failed(claimed, f"{type(error).__name__}: {error}")
            return False
        with self._database.transaction() as session:
            ExportStore(session).written(claimed, url)
        log.info("mlflow: job %s is written: %s", claimed.job_id, url)
        return True

    def _failed(self, claimed: ClaimedExport, error: str) -> None:
        with self._database.transaction() as session:
            status = ExportStore(session).failed(claimed, error)
        log.warning(
            "mlflow: try %d of job %s failed (%s); now %s",
            claimed.try_,
            claimed.job_id,
            error,
            status,
        )

    def _export(self, claimed: ClaimedExport) -> str:
        with self._database.read() as session:
            told = gather(session, claimed.job_id)
        if told is None:
            raise _Lost
        server = self._server
        experiment = server.experiment(self._experiment.replace("{project}", told.project))
        run = server.run_of(experiment, told.job_id) or server.create_run(
            experiment, told.run_name, told.job_id, told.started_ms
        )
        self._keep(claimed)
        tags = told.tags if run.folder is not None else {**told.tags, **_without_files(told)}
        server.log(run, params=told.params, tags=tags, metrics=told.metrics)
        if run.folder is not None:
            for file in told.files:
                self._put(claimed, run, file)
            if told.version is not None:
                source = f"{run.artifact_uri}/{MODEL_FOLDER}"
                server.register(told.version.name, run, source, told.version.tags)
        server.end(run, told.status, told.ended_ms)
        return server.page_of(run)

    def _put(self, claimed: ClaimedExport, run: Run, file: File) -> None:
        self._keep(claimed)
        try:
            content = self._blobs.open(file.sha256)
        except BlobNotFound:  # the job was deleted meanwhile, or what it left is past its time
            log.warning("mlflow: job %s: %s is gone", claimed.job_id, file.path)
            return
        self._server.put_file(run, file.path, self._while_kept(claimed, content), file.bytes)

    def _while_kept(self, claimed: ClaimedExport, content: Iterator[bytes]) -> Iterator[bytes]:
        """The bytes; a long file outlasts the lease that it began with."""
        kept_at = time.monotonic()
        for chunk in content:
            if time.monotonic() - kept_at >= self._lease_s / 6:
                self._keep(claimed)
                kept_at = time.monotonic()
            yield chunk

    def _keep(self, claimed: ClaimedExport) -> None:
        if self._errands.stopping.is_set():
            raise _Lost
        with self._database.transaction() as session:
            if not ExportStore(session).extend(claimed, self._lease_s):
                raise _Lost


def _without_files(told: Told) -> dict[str, str]:
    return words.tags({"files_left_out": _NOT_HERE}) if told.files else {}
