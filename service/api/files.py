"""/v1/files and /v1/uploads: bytes on their way in."""

import asyncio
import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from fastapi import Path as PathParameter

from service import quotas
from service.api.arrivals import check_room, complete, keep
from service.api.content import serve_blob
from service.api.deps import After, Limit, Reader, ServicesDep, Writer, problems
from service.api.intake import declared_length, declared_sha256, receive
from service.api.openapi import BYTES
from service.api.schemas import file_read, page, upload_read
from service.contract.wire import FileRead, Page, UploadCreate, UploadRead
from service.errors import BadRequest, Clash, TooLarge
from service.services import Services
from service.store.files import FileStore
from service.store.uploads import UploadStore

router = APIRouter(prefix="/v1", tags=["files"])

FileName = Annotated[
    str,
    PathParameter(
        min_length=1,
        max_length=128,
        pattern=r"^[^\x00-\x1f\x7f/\\]+$",
        description="Its name within the project.",
    ),
]


@router.put(
    "/files/{name}",
    name="put_file",
    status_code=201,
    summary="Upload a file",
    responses={
        200: {"description": "The same bytes were there.", "model": FileRead},
        **problems(400, 409, 411, 413, 507),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": BYTES},
        }
    },
)
async def put_file(
    name: FileName, request: Request, response: Response, caller: Writer, services: ServicesDep
) -> FileRead:
    """The body is the file. `Repr-Digest: sha-256=:…:` is verified. A name is written once: the
    same bytes again are fine, others are a conflict."""
    length = declared_length(request, services.settings.max_upload_bytes)
    promised = declared_sha256(request)
    await asyncio.to_thread(check_room, services, caller.project, name, length)
    with services.blobs.staging_file() as staged:
        digest = await receive(request, staged, length)
        if promised not in (None, digest):
            raise BadRequest("the bytes are not those of Repr-Digest", code="digest_mismatch")
        read, is_new = await asyncio.to_thread(
            keep, services, caller.project, name, staged, digest, length
        )
    response.status_code = 201 if is_new else 200
    return read


@router.get("/files", name="list_files", summary="List files", responses=problems())
def list_files(
    caller: Reader, services: ServicesDep, limit: Limit = 20, after: After = None
) -> Page[FileRead]:
    """By name."""
    with services.database.read() as session:
        rows = FileStore(session).list(caller.project, limit + 1, after)
    return page([file_read(row) for row in rows], limit, [row.name for row in rows])


@router.head("/files/{name}", include_in_schema=False)
@router.get(
    "/files/{name}",
    name="get_file",
    summary="Download a file",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": BYTES}},
        206: {},
        304: {},
        307: {},
        **problems(404, 410, 416),
    },
)
def get_file(name: FileName, request: Request, caller: Reader, services: ServicesDep) -> Response:
    """The bytes as they came."""
    with services.database.read() as session:
        row = FileStore(session).get(caller.project, name)
    media_type = "application/octet-stream"
    return serve_blob(request, services.blobs, row.sha256, row.bytes, media_type, name)


@router.delete(
    "/files/{name}",
    name="delete_file",
    status_code=204,
    summary="Forget a file",
    responses=problems(404),
)
def delete_file(name: FileName, caller: Writer, services: ServicesDep) -> None:
    """What was registered from it stays."""
    with services.database.transaction() as session:
        FileStore(session).delete(caller.project, name)


@router.post(
    "/uploads",
    name="create_upload",
    status_code=201,
    summary="Begin a resumable upload",
    responses=problems(413, 507),
)
def create_upload(
    body: UploadCreate, response: Response, caller: Writer, services: ServicesDep
) -> UploadRead:
    """Then `PATCH` the bytes, in as many requests as it takes."""
    if body.bytes > services.settings.max_upload_bytes:
        raise TooLarge(f"a file may have {services.settings.max_upload_bytes} bytes")
    if any(character in body.name for character in "/\\"):
        raise BadRequest("a file's name has no slashes", code="bad_name")
    with services.database.transaction() as session:
        quotas.check_bytes(session, caller.project, services.settings, body.bytes)
        row = UploadStore(session).create(caller.project, body.name, body.bytes, body.sha256)
        read = upload_read(row)
    response.headers["Location"] = f"/v1/uploads/{read.id}"
    response.headers["Upload-Offset"] = "0"
    return read


@router.head("/uploads/{upload_id}", include_in_schema=False)
@router.get(
    "/uploads/{upload_id}",
    name="get_upload",
    summary="How far an upload is",
    responses=problems(404),
)
def get_upload(
    upload_id: str, response: Response, caller: Reader, services: ServicesDep
) -> UploadRead:
    """`Upload-Offset` says where to go on."""
    with services.database.read() as session:
        read = upload_read(UploadStore(session).get(upload_id, caller.project))
    response.headers["Upload-Offset"] = str(read.offset)
    return read


@router.patch(
    "/uploads/{upload_id}",
    name="append_upload",
    summary="Send a part",
    response_model=FileRead | UploadRead,
    responses={
        201: {"description": "Complete: the file.", "model": FileRead},
        **problems(400, 404, 409, 411, 413, 507),
    },
    openapi_extra={
        "requestBody": {
            "required": False,  # an empty part tries again to store what is there
            "content": {"application/octet-stream": BYTES},
        }
    },
)
async def append_upload(
    upload_id: str,
    request: Request,
    response: Response,
    caller: Writer,
    services: ServicesDep,
    offset: Annotated[int, Header(alias="Upload-Offset", ge=0, description="Where it begins.")],
) -> FileRead | UploadRead:
    """A part from another offset than the upload's is a conflict that says the right one. Where all
    bytes are there and storing them failed, an empty part tries again."""
    row = await asyncio.to_thread(_upload, services, upload_id, caller.project)
    path = services.settings.uploads_dir / row.id
    with _alone(path):
        row = await asyncio.to_thread(_upload, services, upload_id, caller.project)
        _expect_offset(row, offset)
        length = declared_length(request, row.bytes - offset)
        await asyncio.to_thread(_cut, path, offset)
        try:
            await receive(request, path, length, append=True)
        finally:
            # What came before a connection broke counts: that is what resuming is for.
            held = path.stat().st_size
            await asyncio.to_thread(_advance, services, upload_id, offset, held)
        response.headers["Upload-Offset"] = str(held)
        if held < row.bytes:
            return await asyncio.to_thread(_upload, services, upload_id, caller.project)
        response.status_code = 201
        return await asyncio.to_thread(complete, services, row, path, caller.project)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the parts of an upload: two requests at once would mix their bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Clash("another request is sending a part", code="upload_busy") from None
        yield


def _expect_offset(row: UploadRead, offset: int) -> None:
    if offset != row.offset:
        raise Clash(
            f"go on at {row.offset}",
            code="wrong_offset",
            headers={"Upload-Offset": str(row.offset)},
        )


def _upload(services: Services, upload_id: str, project: str) -> UploadRead:
    with services.database.read() as session:
        return upload_read(UploadStore(session).get(upload_id, project))


def _cut(path: Path, offset: int) -> None:
    """Drop what a process wrote and never counted."""
    with path.open("ab") as file:
        if file.tell() < offset:
            raise Clash("the parts are on another server, or gone: begin again", code="upload_lost")
        file.truncate(offset)


def _advance(services: Services, upload_id: str, expected: int, offset: int) -> None:
    with services.database.transaction() as session:
        if not UploadStore(session).advance(upload_id, expected, offset):
            raise Clash("another request sent this part", code="wrong_offset")
