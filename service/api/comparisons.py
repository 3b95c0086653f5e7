"""/v1/comparisons: models side by side, from what jobs have measured."""

import hashlib

from fastapi import APIRouter, Request, Response

from service import comparisons as rules
from service.api.content import Content, of_blob
from service.api.deps import After, Limit, Reader, ServicesDep, Writer, problems
from service.api.documents import MEDIA_TYPES, AskedFormat, DocumentFormat, serve_document
from service.api.schemas import page
from service.contract.comparisons import Comparison, ComparisonCreate, ComparisonListed
from service.contract.wire import Page
from service.drawing import TURNS, draw
from service.errors import Missing
from service.reports.markdown import to_markdown
from service.services import Services
from service.store.comparisons import ComparisonStore
from service.store.tables import ComparisonFileRow

router = APIRouter(prefix="/v1/comparisons", tags=["comparisons"])


@router.post(
    "",
    name="create_comparison",
    status_code=201,
    summary="Compare models",
    responses=problems(404, 409),
)
def create_comparison(
    asked: ComparisonCreate, response: Response, caller: Writer, services: ServicesDep
) -> Comparison:
    """Runs nothing: it gathers what finished jobs have measured. What is kept never changes."""
    made = rules.create(services.database, caller.project, asked)
    response.headers["Location"] = f"/v1/comparisons/{made.id}"
    return made


@router.get("", name="list_comparisons", summary="List comparisons", responses=problems())
def list_comparisons(
    caller: Reader, services: ServicesDep, limit: Limit = 20, after: After = None
) -> Page[ComparisonListed]:
    """Newest first, without their values."""
    with services.database.read() as session:
        found = ComparisonStore(session).list(caller.project, limit + 1, after)
    listed = [
        ComparisonListed(
            id=one.id,
            title=one.title,
            headline=one.headline,
            request=ComparisonCreate.model_validate(one.request, extra="ignore"),
            created_at=one.created_at,
        )
        for one in found
    ]
    return page(listed, limit, [one.id for one in listed])


@router.delete(
    "/{comparison_id}",
    name="delete_comparison",
    status_code=204,
    summary="Forget a comparison",
    responses=problems(404),
)
def delete_comparison(comparison_id: str, caller: Writer, services: ServicesDep) -> None:
    """With its pages and pictures. The jobs and models that it names stay."""
    with services.database.transaction() as session:
        ComparisonStore(session).delete(comparison_id, caller.project)


@router.head("/{comparison_id}", include_in_schema=False)
@router.get(
    "/{comparison_id}",
    name="get_comparison",
    summary="Read a comparison",
    response_model=Comparison,
    responses={
        200: {"content": {media_type: {} for media_type in MEDIA_TYPES.values()}},
        304: {"description": "As in If-None-Match."},
        **problems(404, 406, 410),
    },
)
def get_comparison(
    comparison_id: str,
    request: Request,
    caller: Reader,
    services: ServicesDep,
    chosen: AskedFormat,
) -> Response:
    """The same values as JSON, HTML, Markdown, PNG or SVG. Pages and pictures are drawn when they
    are first asked for, which takes some seconds, and kept."""
    comparison = rules.read(services.database, caller.project, comparison_id)
    match chosen:
        case "json":
            content = _of_text(comparison.model_dump_json(), chosen)
        case "md":
            content = _of_text(to_markdown(comparison), chosen)
        case _:
            media_type = MEDIA_TYPES[chosen]
            file = _kept(services, comparison.id, f"report.{chosen}")
            if file is None and request.method == "HEAD":
                return _not_drawn_yet(media_type)
            file = file or _drawn(services, comparison, f"report.{chosen}")
            content = of_blob(services.blobs, file.sha256, file.bytes, media_type, None)
    return serve_document(request, content)


def _of_text(text: str, chosen: DocumentFormat) -> Content:
    data = text.encode()
    return Content(
        etag=hashlib.sha256(data).hexdigest(),
        size=len(data),
        media_type=MEDIA_TYPES[chosen],
        filename=None,
        read=lambda start, end: [data[start:end]],
    )


def _not_drawn_yet(media_type: str) -> Response:
    """The answer to a HEAD. How long it is turns out when it is drawn, which takes a GET."""
    response = Response(media_type=media_type)
    del response.headers["Content-Length"]
    return response


def _kept(services: Services, comparison_id: str, name: str) -> ComparisonFileRow | None:
    with services.database.read() as session:
        return ComparisonStore(session).file(comparison_id, name)


def _drawn(services: Services, comparison: Comparison, name: str) -> ComparisonFileRow:
    """A page or picture, as it was drawn for whoever asked first."""
    with TURNS.of(comparison.id):
        row = _kept(services, comparison.id, name) or _draw(services, comparison, name)
    if row is None:
        raise Missing(f"{comparison.id} has nothing to show as {name}")
    return row


def _draw(services: Services, comparison: Comparison, name: str) -> ComparisonFileRow | None:
    files = {}
    for drawn, data in draw(comparison).items():
        blob = services.blobs.put_bytes(data)
        files[drawn] = (blob.sha256, blob.bytes)
    with services.database.transaction() as session:
        store = ComparisonStore(session)
        store.keep_files(comparison.id, files)
        return store.file(comparison.id, name)
