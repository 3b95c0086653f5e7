"""Checks of uploads, in slots of their own beside the job slots: a check never waits for a job."""

import logging
import shutil
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from service.blobs import BlobError, BlobNotFound, BlobStore
from service.config import Settings
from service.contract.datasets import DatasetFormat
from service.contract.job_errors import JobError
from service.contract.models import WEIGHTS_OF_FORM, SourceFormat
from service.contract.normalisation import Normalisation
from service.sources import SourceError, copy_file
from service.store.datasets import DatasetStore
from service.store.errors import DatabaseUnavailable
from service.store.models import ModelStore
from service.store.session import Database
from service.store.tables import DatasetRow, ModelRow
from service.store.values import AcceptedDataset, AcceptedModel
from service.wiring import s3_options
from worker.channel import ChannelError, Message
from worker.check_lease import kept
from worker.engine_host import EngineHost
from worker.order import (
    ORDER,
    CheckedDataset,
    CheckedModel,
    CheckOrder,
    DatasetCheckOrder,
    ModelCheckOrder,
)
from worker.products import store_model_folder
from worker.server_process import EngineHostError
from worker.verdict import CheckFailed, CheckLost, limits_of, verdict

log = logging.getLogger(__name__)

_POLL_S: Final = 0.25  # uploads are rare and people wait for them; one indexed read each
_DEADLINE_S: Final = 60.0  # a small file that asks for more arithmetic holds up all others
_BYTES_PER_S: Final = 2e6  # slower than any processor decodes images: large uploads get longer
_AGAIN_S: Final = 5.0  # after a check that found nothing out
_SMALL_BYTES: Final = 64 << 20
_SOURCE: Final = "source"


def sizes_of_slots(slots: int) -> list[int | None]:
    """The largest file that each slot takes. Of several, one is kept for small files."""
    return [None] if slots == 1 else [_SMALL_BYTES, *[None] * (slots - 1)]


@dataclass(frozen=True)
class Intake:
    """What the slots share. `run` on a thread for each."""

    settings: Settings
    database: Database
    blobs: BlobStore
    host: EngineHost
    worker_id: str
    nudge: Callable[[str], None]

    def run(self, stopping: threading.Event, largest_bytes: int | None = None) -> None:
        """Check what is there, until told to stop; with `largest_bytes` small files only."""
        while not stopping.is_set():
            try:
                busy = self.check_one(largest_bytes)
            except (DatabaseUnavailable, BlobError, EngineHostError, CheckLost) as error:
                log.warning("intake: %s; trying again", error)
                busy = False
            except Exception:  # a thread that dies would leave every upload unchecked
                log.exception("intake failed")
                busy = False
            if not busy:
                stopping.wait(_POLL_S)

    def check_one(self, largest_bytes: int | None = None) -> bool:
        """Check the model or dataset that waits longest. False if there is none."""
        with self.database.read() as session:
            model_id = ModelStore(session).unchecked(largest_bytes)
            dataset_id = DatasetStore(session).unchecked(largest_bytes)
        if model_id is None and dataset_id is None:
            return False
        # Behind its prefix an id is a time.
        model_first = dataset_id is None or (model_id is not None and model_id[4:] < dataset_id[4:])
        store = ModelStore if model_first else DatasetStore
        with self.database.transaction() as session:
            row = store(session).claim_check(self.worker_id, self.settings.lease_s, largest_bytes)
        if isinstance(row, ModelRow):
            self._check_model(row)
        elif row is not None:
            self._check_dataset(row)
        return row is not None

    def _check_model(self, row: ModelRow) -> None:
        order = ModelCheckOrder(
            source=_SOURCE,
            format=cast(SourceFormat, row.source),
            name=row.name,
            architecture=row.architecture,
            options=row.options,
            classes=row.classes,
            input_size=None if row.input_size is None else tuple(row.input_size),
            normalisation=None
            if row.normalisation is None
            else Normalisation.model_validate(row.normalisation),
            labels=None if row.labels is None else tuple(row.labels),
        )
        self._settle(row, order, ModelStore, self._keep_model)

    def _check_dataset(self, row: DatasetRow) -> None:
        order = DatasetCheckOrder(
            source=_SOURCE,
            format=cast(DatasetFormat, row.format),
            validation_share=row.validation_share,
            image_size=row.image_size,
            undecodable_share=row.undecodable_share,
            seed=row.seed,
        )
        self._settle(row, order, DatasetStore, self._keep_dataset)

    def _settle(
        self,
        row: ModelRow | DatasetRow,
        order: ModelCheckOrder | DatasetCheckOrder,
        store: type[ModelStore] | type[DatasetStore],
        keep: Callable[[Any, Path], Any],
    ) -> None:
        """Check, then accept or reject; jobs that waited for it alone are nudged."""
        folder = self._folder(row.id, row.check_run)
        unblocked: tuple[str, ...] | None = ()
        try:
            with self._held(row, store):
                self._fetch(row, folder / _SOURCE)
                accepted = keep(self._run(CheckOrder(check=order), folder), folder)
            with self.database.transaction() as session:
                unblocked = store(session).accept(row.id, row.check_run, accepted)
        except CheckFailed as failed:
            with self.database.transaction() as session:
                store(session).reject(row.id, row.check_run, failed.error)
        except Exception as error:
            theirs = isinstance(error, (BlobError, EngineHostError, DatabaseUnavailable))
            counts = not theirs or isinstance(error, BlobNotFound)
            with self.database.transaction() as session:
                store(session).release_check(row.id, row.check_run, _AGAIN_S, counts=counts)
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        for job_id in unblocked or ():
            self.nudge(job_id)

    def _held(
        self, row: ModelRow | DatasetRow, store: type[ModelStore] | type[DatasetStore]
    ) -> AbstractContextManager[None]:
        times = self.settings
        return kept(
            self.database,
            store,
            row.id,
            row.check_run,
            lease_s=times.lease_s,
            interval_s=times.heartbeat_s,
        )

    def _keep_model(self, checked: CheckedModel, folder: Path) -> AcceptedModel:
        files = store_model_folder(folder / checked.folder, self.blobs)
        weights = next(file for file in files if file.name == WEIGHTS_OF_FORM[checked.form])
        return AcceptedModel(
            form=checked.form,
            architecture=checked.architecture,
            options=checked.options,
            classes=checked.classes,
            input_size=tuple(checked.input_size),
            normalisation=checked.normalisation.model_dump(mode="json"),
            labels=checked.labels,
            notes=checked.notes,
            parameters=checked.parameters,
            macs=checked.macs,
            size_bytes=weights.bytes,
            sha256=weights.sha256,
            files=files,
        )

    def _keep_dataset(self, checked: CheckedDataset, folder: Path) -> AcceptedDataset:
        blob = self.blobs.put_file(folder / checked.path)
        sheet = None
        if checked.contact_sheet is not None:
            sheet = self.blobs.put_file(folder / checked.contact_sheet).sha256
        return AcceptedDataset(
            classes=checked.classes,
            input_size=tuple(checked.input_size),
            labels=checked.labels,
            splits=checked.splits,
            class_counts=checked.class_counts,
            normalisation=checked.normalisation.model_dump(mode="json"),
            findings=checked.findings.model_dump(mode="json"),
            contact_sheet_sha256=sheet,
            digest=checked.digest,
            sha256=blob.sha256,
            bytes=blob.bytes,
        )

    def _folder(self, resource_id: str, run: int) -> Path:
        folder = self.settings.scratch_dir / f"{resource_id}-{run}"
        folder.mkdir(parents=True)
        return folder

    def _fetch(self, row: ModelRow | DatasetRow, target: Path) -> None:
        if isinstance(row, DatasetRow) and row.source is not None:
            assert row.path is not None
            self._copy(row.id, row.source, row.path, target)
        else:
            assert row.source_sha256 is not None
            self.blobs.fetch(row.source_sha256, target)
        target.chmod(0o644)  # the child is nobody

    def _copy(self, dataset_id: str, source: str, path: str, target: Path) -> None:
        sources, s3 = self.settings.declared_sources, s3_options(self.settings)
        try:
            copied = copy_file(sources, source, path, target, s3)
        except SourceError as error:
            raise CheckFailed(JobError.of(error.code, str(error))) from error
        log.info(
            "intake: %s is %s of %s, %d bytes, SHA-256 %s",
            *(dataset_id, path, source, copied.bytes, copied.sha256),
        )

    def _run(self, order: CheckOrder, folder: Path) -> CheckedModel | CheckedDataset:
        (folder / ORDER).write_text(order.model_dump_json(), encoding="utf-8")
        said: Message | None = None
        source_bytes = (folder / _SOURCE).stat().st_size
        with self.host.spawn(
            folder,
            "intake",
            log_path=folder / "log",
            limits=limits_of(order, source_bytes),
            deadline_s=_DEADLINE_S + source_bytes / _BYTES_PER_S,
        ) as child:
            try:
                while (message := child.channel.receive(None)) is not None:
                    said = message
            except ChannelError as error:
                log.warning("intake: %s", error)
                child.kill()
            status = child.wait(None)
        assert status is not None
        return verdict(order, said, status, folder)
