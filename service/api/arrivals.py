"""Bytes that have come: stored first, then named."""

from pathlib import Path

from service import quotas
from service.api.schemas import file_read
from service.blobs import Blob, DigestMismatch, StorageFull, StorageUnavailable
from service.contract.wire import FileRead, UploadRead
from service.errors import BadRequest, Clash
from service.services import Services
from service.store.errors import DatabaseUnavailable, NotFound
from service.store.files import FileStore
from service.store.uploads import UploadStore


def complete(services: Services, row: UploadRead, path: Path, project: str) -> FileRead:
    """All parts of an upload are there. Where the storage or the database is away they stay."""
    try:
        blob = services.blobs.put_file(path, row.sha256)
        try:
            read, _ = _name(services, project, row.name, blob, upload_id=row.id)
        except DatabaseUnavailable:
            services.blobs.fetch(blob.sha256, path)  # the put has taken the parts
            raise
    except DigestMismatch:
        _forget(services, row, path)
        raise BadRequest("the bytes are not those announced", code="digest_mismatch") from None
    except (StorageFull, StorageUnavailable, DatabaseUnavailable):
        raise  # the parts stay: an empty one more tries again
    except Exception:
        _forget(services, row, path)
        raise
    path.unlink(missing_ok=True)
    return read


def _forget(services: Services, row: UploadRead, path: Path) -> None:
    path.unlink(missing_ok=True)
    with services.database.transaction() as session:
        UploadStore(session).delete(row.id)


def check_room(services: Services, project: str, name: str, more: int) -> None:
    """Before the bytes come; when they are there it is looked at again."""
    with services.database.read() as session:
        try:
            FileStore(session).get(project, name)
        except NotFound:
            quotas.check_bytes(session, project, services.settings, more)


def keep(
    services: Services, project: str, name: str, staged: Path, sha256: str | None, more: int
) -> tuple[FileRead, bool]:
    """Store the bytes, then the name. Returns the file, and whether it is new. `more` are bytes
    that were not counted before."""
    return _name(services, project, name, services.blobs.put_file(staged, sha256), more)


def _name(
    services: Services,
    project: str,
    name: str,
    blob: Blob,
    more: int = 0,
    upload_id: str | None = None,
) -> tuple[FileRead, bool]:
    """As `keep`, of bytes that are stored. An upload that they came by is over with it."""
    with services.database.transaction() as session:
        store = FileStore(session)
        try:
            there = store.get(project, name)
        except NotFound:
            quotas.check_bytes(session, project, services.settings, more)
            read, is_new = file_read(store.put(project, name, blob.sha256, blob.bytes)), True
        else:
            if there.sha256 != blob.sha256:
                raise Clash(
                    f"{name} is there with other bytes; delete it first, or take another name",
                    code="file_exists",
                )
            read, is_new = file_read(there), False
        if upload_id is not None:
            UploadStore(session).delete(upload_id)
    return read, is_new
