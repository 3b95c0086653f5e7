"""/v1/datasets: register and read."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header, Response

from service.api.deps import After, Limit, Reader, ServicesDep, Writer, problems
from service.api.prefer import settled, wait_seconds
from service.api.resources import name_of, uploaded
from service.api.schemas import dataset_read, page
from service.contract.datasets import DatasetCreate, DatasetRead
from service.contract.wire import Page
from service.errors import Invalid
from service.peek import check_archive
from service.services import Services
from service.store.datasets import DatasetStore
from service.store.values import NewDataset

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])


@router.post(
    "",
    name="register_dataset",
    status_code=202,
    summary="Register uploaded data",
    responses={201: {"description": "`ready` within the wait."}, **problems(404, 409, 413, 415)},
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
        )
    response.headers["Location"] = f"/v1/datasets/{read.id}"
    response.status_code = 201 if read.status == "ready" else 202
    return read


def _register(services: Services, project: str, asked: DatasetCreate) -> DatasetRead:
    if asked.file is None:
        raise Invalid.at("#/source", f"no source '{asked.source}' is declared", "unknown_source")
    with services.database.read() as session:
        file = uploaded(session, project, asked.file)
    check_archive(file.bytes, lambda start, end: services.blobs.open(file.sha256, start, end))
    dataset = NewDataset(
        name=name_of(asked.name, asked.file),
        format=asked.format,
        source_sha256=file.sha256,
        validation_share=asked.validation_share,
        image_size=asked.image_size,
        undecodable_share=asked.undecodable_share,
        seed=asked.seed,
    )
    with services.database.transaction() as session:
        return dataset_read(DatasetStore(session).add(project, dataset))


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
    return page([dataset_read(row) for row in rows], limit, [row.id for row in rows])


@router.get("/{dataset_id}", name="get_dataset", summary="Read a dataset", responses=problems(404))
def get_dataset(dataset_id: str, caller: Reader, services: ServicesDep) -> DatasetRead:
    """Classes, splits, statistics."""
    with services.database.read() as session:
        return dataset_read(DatasetStore(session).get(dataset_id, caller.project))


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
