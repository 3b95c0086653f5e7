"""/v1/models: register, read, download."""

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request, Response

from service import architectures, quotas
from service.api.content import Content, serve, serve_blob
from service.api.deps import After, Limit, Reader, ServicesDep, Writer, problems
from service.api.openapi import BYTES
from service.api.prefer import settled, wait_seconds
from service.api.resources import hold_upload, name_of, uploaded
from service.api.schemas import model_read, page
from service.contract.models import (
    CARD_FILE,
    EXPORT_SUFFIXES,
    ContentFormat,
    FormatsRead,
    LineageRead,
    ModelCreate,
    ModelRead,
    SourceFormat,
)
from service.contract.wire import Page
from service.errors import Clash, Impossible, Missing
from service.folder_zip import FolderZip
from service.peek import format_of
from service.services import Services
from service.store.artifacts import ArtifactStore
from service.store.models import ModelStore
from service.store.tables import ArtifactRow, ModelRow
from service.store.values import ModelFile, NewModel

router = APIRouter(prefix="/v1/models", tags=["models"])

_SUFFIXES: Final[dict[ContentFormat, str]] = {**EXPORT_SUFFIXES, "sparse": ".sparse.safetensors"}
_MEDIA_TYPE: Final = "application/octet-stream"


@router.post(
    "",
    name="register_model",
    status_code=202,
    summary="Register uploaded weights, or a graph",
    responses={
        201: {"description": "`ready` within the wait.", "model": ModelRead},
        **problems(404, 409, 413, 415, 507),
    },
)
async def register_model(
    asked: ModelCreate,
    response: Response,
    caller: Writer,
    services: ServicesDep,
    prefer: Annotated[
        str | None, Header(max_length=64, description="`wait=N`: up to 60 s for the check.")
    ] = None,
) -> ModelRead:
    """What headers show is checked at once; a worker looks inside. Jobs may name it already."""
    read = await asyncio.to_thread(_register, services, caller.project, asked)
    if wait_s := wait_seconds(prefer):
        read = await settled(
            read,
            lambda: _read_again(services, read.id),
            lambda model: model.status != "checking",
            wait_s,
            lambda: services.keyring.check(caller),
        )
    response.headers["Location"] = f"/v1/models/{read.id}"
    response.status_code = 201 if read.status == "ready" else 202
    return read


def _register(services: Services, project: str, asked: ModelCreate) -> ModelRead:
    with services.database.read() as session:
        file = uploaded(session, project, asked.file)
        if asked.architecture is not None:
            alive_s = services.settings.lease_s
            architectures.check(session, alive_s, "#", asked.architecture, asked.options)
    found = format_of(file.bytes, lambda start, end: services.blobs.open(file.sha256, start, end))
    _check_said(asked, found)
    normalisation = asked.normalisation
    model = NewModel(
        name=name_of(asked.name, asked.file),
        architecture=asked.architecture,
        options=asked.options,
        classes=asked.classes,
        input_size=None if asked.input_size is None else tuple(asked.input_size),
        normalisation=None if normalisation is None else normalisation.model_dump(mode="json"),
        labels=asked.labels,
        form="graph" if found == "onnx" else "weights",
        source=found,
        source_sha256=file.sha256,
    )
    with services.database.transaction() as session:
        quotas.check_room(session, project, services.settings)
        hold_upload(session, project, asked.file, file.sha256)
        return model_read(ModelStore(session).add(project, model))


def _check_said(asked: ModelCreate, found: SourceFormat) -> None:
    """What is missing or contradicts itself; a worker holds the rest against the content."""
    if asked.architecture is None and found in ("safetensors", "torch"):
        raise Impossible.at("#/architecture", "bare weights need the name of their architecture")
    if found == "onnx" and (asked.architecture is not None or asked.options):
        raise Impossible.at("#/architecture", "a graph is taken as it is, without an architecture")
    normalisation = asked.normalisation
    if normalisation is not None:
        channels = asked.input_size[0] if asked.input_size else len(normalisation.mean)
        if not len(normalisation.mean) == len(normalisation.std) == channels:
            raise Impossible.at("#/normalisation", f"needs {channels} values each, one per channel")
    classes = asked.classes
    if asked.labels is not None and classes is not None and len(asked.labels) != classes:
        raise Impossible.at("#/labels", f"must name all {classes} classes")


def _read_again(services: Services, model_id: str) -> ModelRead:
    with services.database.read() as session:
        return model_read(ModelStore(session).get(model_id))


@router.get("", name="list_models", summary="List models", responses=problems())
def list_models(
    caller: Reader, services: ServicesDep, limit: Limit = 20, after: After = None
) -> Page[ModelRead]:
    """Newest first."""
    with services.database.read() as session:
        rows = ModelStore(session).list(caller.project, limit + 1, after)
    return page([model_read(row, listed=True) for row in rows], limit, [row.id for row in rows])


@router.get("/{model_id}", name="get_model", summary="Read a model", responses=problems(404))
def get_model(model_id: str, caller: Reader, services: ServicesDep) -> ModelRead:
    """Its size, its metrics, where it comes from."""
    with services.database.read() as session:
        return model_read(ModelStore(session).get(model_id, caller.project))


@router.delete(
    "/{model_id}",
    name="delete_model",
    status_code=204,
    summary="Forget a model",
    responses=problems(404, 409),
)
def delete_model(model_id: str, caller: Writer, services: ServicesDep) -> None:
    """Not while a job that is not over names it."""
    with services.database.transaction() as session:
        ModelStore(session).delete(model_id, caller.project)


@router.get(
    "/{model_id}/lineage",
    name="get_model_lineage",
    summary="Where a model comes from",
    responses=problems(404),
)
def get_model_lineage(model_id: str, caller: Reader, services: ServicesDep) -> LineageRead:
    """Ancestors, nearest first, and children."""
    with services.database.read() as session:
        store = ModelStore(session)
        row = store.get(model_id, caller.project)
        return LineageRead(
            model=model_read(row),
            ancestors=tuple(model_read(each) for each in store.ancestors(row)),
            children=tuple(model_read(each) for each in store.children(model_id)),
        )


@router.get(
    "/{model_id}/formats",
    name="get_model_formats",
    summary="In which formats there is a model",
    responses=problems(404, 409),
)
def get_model_formats(model_id: str, caller: Reader, services: ServicesDep) -> FormatsRead:
    """A job of kind `export` makes those that are missing."""
    row, files = _ready(services, model_id, caller.project)
    found = _files(services, row, files, tuple(_SUFFIXES))
    sizes: dict[ContentFormat, int] = {"folder": FolderZip(files).size}
    return FormatsRead(data=sizes | {name: file.bytes for name, file in found.items()})


@router.head("/{model_id}/card", include_in_schema=False)
@router.get(
    "/{model_id}/card",
    name="get_model_card",
    summary="The card of a model",
    response_class=Response,
    responses={
        200: {"content": {"text/markdown": {"schema": {"type": "string"}}}},
        **problems(404, 409, 410, 416),
    },
)
def get_model_card(
    model_id: str, request: Request, caller: Reader, services: ServicesDep
) -> Response:
    """README.md of its folder: Markdown behind the metadata of a Hugging Face model card. What was
    uploaded has the one that came with it."""
    row, files = _ready(services, model_id, caller.project)
    card = _card(files)
    if card is None:
        raise Missing(f"{model_id} has no card")
    return serve_blob(
        request, services.blobs, card.sha256, card.bytes, "text/markdown", f"{row.name}.md"
    )


def card_text(services: Services, model_id: str, project: str, most_bytes: int) -> str | None:
    """The beginning of a model's card; None without one. Raises as the route does."""
    _, files = _ready(services, model_id, project)
    card = _card(files)
    if card is None:
        return None
    chunks = services.blobs.open(card.sha256, 0, min(most_bytes, card.bytes))
    return b"".join(chunks).decode("utf-8", "replace")


def _card(files: tuple[ModelFile, ...]) -> ModelFile | None:
    return next((file for file in files if file.name == CARD_FILE), None)


def _ready(
    services: Services, model_id: str, project: str
) -> tuple[ModelRow, tuple[ModelFile, ...]]:
    with services.database.read() as session:
        row = ModelStore(session).get(model_id, project)
        files = ModelStore(session).files(model_id)
    if row.status != "ready":
        raise Clash(f"{model_id} is {row.status}", code="not_ready")
    return row, files


@router.head("/{model_id}/content", include_in_schema=False)
@router.get(
    "/{model_id}/content",
    name="get_model_content",
    summary="Download a model",
    response_class=Response,
    responses={
        200: {"content": {"application/zip": BYTES, "application/octet-stream": BYTES}},
        206: {"description": "A range."},
        304: {"description": "As in If-None-Match."},
        307: {"description": "The object store serves it."},
        **problems(404, 409, 410, 416),
    },
)
def get_model_content(
    model_id: str,
    request: Request,
    caller: Reader,
    services: ServicesDep,
    format: Annotated[  # noqa: A002  # the name in the interface
        ContentFormat, Query(description="`folder`: a zip of config.json, weights, README.md.")
    ] = "folder",
) -> Response:
    """`modelpress.load` takes the folder. Other formats are there once a job has exported them;
    the newest counts."""
    row, files = _ready(services, model_id, caller.project)
    if format == "folder":
        return serve(request, _folder(services, row, files))
    return _one_file(request, services, row, files, format)


def _folder(services: Services, row: ModelRow, files: tuple[ModelFile, ...]) -> Content:
    archive = FolderZip(files)
    return Content(
        etag=archive.etag,
        size=archive.size,
        media_type="application/zip",
        filename=f"{row.name}.zip",
        read=lambda start, end: archive.read(start, end, services.blobs.open),
    )


def _one_file(
    request: Request,
    services: Services,
    row: ModelRow,
    files: tuple[ModelFile, ...],
    wanted: ContentFormat,
) -> Response:
    file = _files(services, row, files, (wanted,)).get(wanted)
    if file is None:
        formats = ["folder", *_files(services, row, files, tuple(_SUFFIXES))]
        raise Missing(
            f"{row.id} has no {wanted}; there is {', '.join(formats)}", code="format_not_available"
        )
    filename = f"{row.name}{_SUFFIXES[wanted]}"
    return serve_blob(request, services.blobs, file.sha256, file.bytes, _MEDIA_TYPE, filename)


def _files(
    services: Services,
    row: ModelRow,
    files: tuple[ModelFile, ...],
    formats: tuple[ContentFormat, ...],
) -> dict[ContentFormat, ModelFile | ArtifactRow]:
    """Those of the formats that there are: in the model's folder, or exported by a job."""
    there = {file.name: file for file in files}
    found: dict[ContentFormat, ModelFile | ArtifactRow] = {}
    with services.database.read() as session:
        artifacts = ArtifactStore(session)
        for name in formats:
            own = there.get(f"model{_SUFFIXES[name]}")
            exported = f"{row.id}{_SUFFIXES[name]}"
            file = own or artifacts.newest(row.project, "export", exported)
            if file is not None:
                found[name] = file
    return found
