"""Starting a job: a form made of the contract, and the same request in other ways."""

import json
import secrets
from collections.abc import Mapping
from typing import Annotated, Any, Final, get_args

from fastapi import APIRouter, Body, Query, Request
from starlette.responses import Response

from service.api import datasets, jobs, models, system
from service.api.deps import Reader, ServicesDep, Writer
from service.auth import Caller
from service.contract.catalog import ARCHITECTURES
from service.contract.specs import JobKind
from service.errors import Invalid
from service.services import Services
from service.web.form import form
from service.web.page import page
from service.web.presets import KEPT, PRESETS
from service.web.snippets import drafts, shortest

router = APIRouter()

KINDS: Final[Mapping[JobKind, str]] = {
    "distill": "A small model learns from a large one.",
    "prune": "Channels or weights are cut out.",
    "quantize": "Weights and arithmetic in fewer bits.",
    "train": "A model from labelled data.",
    "benchmark": "Accuracy, size and speed, side by side.",
    "export": "Files for other runtimes, each checked.",
}
_MAKES_A_MODEL: Final = frozenset({"train", "distill", "prune", "quantize"})
_OVER: Final = frozenset({"succeeded", "failed", "cancelled"})
_OFFERED: Final = 100  # of the newest of each; any other is named by its id
_LONGEST_SPEC: Final = 16_384


@router.get("/ui/jobs/new", name="show_new_job")
def show_new_job(
    request: Request,
    caller: Writer,
    services: ServicesDep,
    kind: JobKind | None = None,
    spec: Annotated[str | None, Query(max_length=_LONGEST_SPEC)] = None,
    of: Annotated[str | None, Query(alias="from", max_length=64)] = None,
) -> Response:
    """The form, filled in with a spec, or with that of another job."""
    body = _asked_before(of, request, caller, services) if of else _given(spec)
    chosen = kind or body.get("kind") or "distill"
    if chosen not in get_args(JobKind):
        raise Invalid.at("#/query/spec", "the spec's `kind` is no kind of job")
    names = _models(caller, services) | _jobs(caller, services)
    built_in, registered = _datasets(caller, services)
    return page(
        request,
        "new-job.html",
        caller,
        kind=chosen,
        kinds=KINDS,
        presets=PRESETS[chosen],
        names=names,
        built_in=built_in,
        registered=registered,
        architectures=ARCHITECTURES,
        of=of,
        snippets=drafts({**body, "kind": chosen}, _url(request)),
        data={
            "kind": chosen,
            "tree": form(chosen),
            "spec": {**body, "kind": chosen},
            "presets": {one.id: one.fields for one in PRESETS[chosen]},
            "kept": KEPT,
            "names": names | registered,
            "key": secrets.token_urlsafe(24),  # of this form: whoever starts it twice starts one
        },
    )


@router.post("/ui/jobs/snippets", name="show_snippets")
def show_snippets(
    body: Annotated[dict[str, Any], Body()], request: Request, caller: Reader
) -> list[dict[str, str]]:
    """A spec, also one that still lacks something, as one would send it from elsewhere."""
    return [{"id": one.id, "text": one.text} for one in drafts(body, _url(request))]


def _url(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _given(spec: str | None) -> dict[str, Any]:
    if not spec:
        return {}
    try:
        body = json.loads(spec)
    except (ValueError, RecursionError) as error:
        raise Invalid.at("#/query/spec", f"the spec is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise Invalid.at("#/query/spec", "the spec must be a JSON object")
    return body


def _asked_before(
    job_id: str, request: Request, caller: Caller, services: Services
) -> dict[str, Any]:
    return shortest(jobs.get_job(job_id, request, Response(), caller, services).spec)


def _models(caller: Caller, services: Services) -> dict[str, str]:
    """Names of models that may be used, by id."""
    found = models.list_models(caller, services, limit=_OFFERED).data
    return {
        one.id: f"{one.name} · {one.architecture or 'graph'}"
        for one in found
        if one.status != "rejected"
    }


def _jobs(caller: Caller, services: Services) -> dict[str, str]:
    """Jobs that have yet to make their model, which may be used before it is there."""
    found = jobs.list_jobs(caller, services, limit=_OFFERED).data
    return {
        one.id: f"{one.name or one.kind} · {one.status}"
        for one in found
        if one.kind in _MAKES_A_MODEL and one.status not in _OVER
    }


def _datasets(caller: Caller, services: Services) -> tuple[tuple[str, ...], dict[str, str]]:
    """Those that workers bring along, and names of the project's own, by id."""
    found = datasets.list_datasets(caller, services, limit=_OFFERED).data
    built_in = system.get_capabilities(caller, services).datasets or ("digits",)
    return built_in, {one.id: one.name for one in found if one.status != "rejected"}
