"""/v1/datasets: register and read."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from service import quotas
from service.api.content import serve_blob
from service.api.deps import After, Limit, Reader, ServicesDep, Writer, problems
from service.api.openapi import BYTES
from service.api.prefer import settled, wait_seconds
from service.api.resources import hold_upload, name_of, uploaded
from service.api.schemas import dataset_read, page
from service.contract.datasets import DatasetCreate, DatasetRead
from service.contract.wire import Page
from service.errors import Invalid, Missing
from service.peek import check_dataset
from service.services import Services
from service.sources import check_path
from service.store.datasets import DatasetStore
from service.store.values import NewDataset

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])


@router.post(
    "",
    name="register_dataset",
    status_code=202,
    summary="Register data",
    responses={
        201: {"description": "`ready` within the wait.", "model": DatasetRead},
        **problems(404, 409, 413, 415, 507),
    },
)
async def register_dataset(
    asked: DatasetCreate,
    response: Response,
    caller: Writer,
    services: ServicesDep,
    prefer: Annotated[
        str | None, Header(max_length=64, description="`wait=N`: up to 60 s for the check.")
    ] = None,
) -> DatasetRead:
    """What headers show is checked at once; a worker reads it and writes it anew."""
    read = await asyncio.to_thread(_register, services, caller.project, asked)
    if wait_s := wait_seconds(prefer):
        read = await settled(
            read,
            lambda: _read_again(services, read.id),
            lambda dataset: dataset.status != "checking",
            wait_s,
            lambda: services.keyring.check(caller),
        )
    response.headers["Location"] = f"/v1/datasets/{read.id}"
    response.status_code = 201 if read.status == "ready" else 202
    return read


def _register(services: Services, project: str, asked: DatasetCreate) -> DatasetRead:
    if asked.source is None:
        sha256 = _checked_upload(services, project, asked)
    else:
        _check_source(services, asked)
        sha256 = None
    dataset = NewDataset(
        name=name_of(asked.name, asked.file or asked.path or ""),
        format=asked.format,
        source_sha256=sha256,
        source=asked.source,
        path=asked.path,
        validation_share=asked.validation_share,
        image_size=asked.image_size,
        undecodable_share=asked.undecodable_share,
        seed=asked.seed,
    )
    with services.database.transaction() as session:
        quotas.check_room(session, project, services.settings)
        if asked.file is not None and sha256 is not None:
            hold_upload(session, project, asked.file, sha256)
        return dataset_read(DatasetStore(session).add(project, dataset))


def _checked_upload(services: Services, project: str, asked: DatasetCreate) -> str:
    assert asked.file is not None
    with services.database.read() as session:
        file = uploaded(session, project, asked.file)
    check_dataset(
        asked.format, file.bytes, lambda start, end: services.blobs.open(file.sha256, start, end)
    )
    return file.sha256


def _check_source(services: Services, asked: DatasetCreate) -> None:
    """What it holds, only workers look at: the API may be on a machine that cannot reach it."""
    assert asked.path is not None
    if asked.source not in services.settings.declared_sources:
        raise Invalid.at("#/source", f"no source {asked.source!r} is declared", "unknown_source")
    try:
        check_path(asked.path)
    except ValueError as error:
        raise Invalid.at("#/path", str(error), "bad_source_path") from error


def _read_again(services: Services, dataset_id: str) -> DatasetRead:
    with services.database.read() as session:
        return dataset_read(DatasetStore(session).get(dataset_id))


@router.get("", name="list_datasets", summary="List datasets", responses=problems())
def list_datasets(
    caller: Reader, services: ServicesDep, limit: Limit = 20, after: After = None
) -> Page[DatasetRead]:
    """Newest first. Built-in ones are listed by /v1/capabilities."""
    with services.database.read() as session:
        rows = DatasetStore(session).list(caller.project, limit + 1, after)
    return page([dataset_read(row, listed=True) for row in rows], limit, [row.id for row in rows])


@router.get("/{dataset_id}", name="get_dataset", summary="Read a dataset", responses=problems(404))
def get_dataset(dataset_id: str, caller: Reader, services: ServicesDep) -> DatasetRead:
    """Classes, splits, statistics."""
    with services.database.read() as session:
        return dataset_read(DatasetStore(session).get(dataset_id, caller.project))


@router.head("/{dataset_id}/contact-sheet", include_in_schema=False)
@router.get(
    "/{dataset_id}/contact-sheet",
    name="get_contact_sheet",
    summary="Look at a dataset",
    response_class=Response,
    # The second line is for generators of clients that know no PNG: they make bytes of it.
    responses={
        200: {"content": {"image/png": BYTES, "application/octet-stream": BYTES}},
        304: {},
        307: {},
        **problems(404, 410, 416),
    },
)
def get_contact_sheet(
    dataset_id: str, request: Request, caller: Reader, services: ServicesDep
) -> Response:
    """A PNG with some examples of each of the first classes. Only datasets of images have one."""
    with services.database.read() as session:
        row = DatasetStore(session).get(dataset_id, caller.project)
    if row.contact_sheet_sha256 is None:
        raise Missing(f"{dataset_id} has no contact sheet")
    size = services.blobs.size(row.contact_sheet_sha256)
    return serve_blob(
        request, services.blobs, row.contact_sheet_sha256, size, "image/png", f"{dataset_id}.png"
    )


@router.delete(
    "/{dataset_id}",
    name="delete_dataset",
    status_code=204,
    summary="Forget a dataset",
    responses=problems(404, 409),
)
def delete_dataset(dataset_id: str, caller: Writer, services: ServicesDep) -> None:
    """Not while a job that is not over names it."""
    with services.database.transaction() as session:
        DatasetStore(session).delete(dataset_id, caller.project)
