"""Comparisons: choosing what stands side by side, those that are kept, and one of them."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from service import comparisons as rules
from service.api import comparisons as api
from service.api import models
from service.api.deps import After, Reader, ServicesDep
from service.reports.pareto import front_panel, front_title
from service.web.page import page

router = APIRouter()

_OFFERED: Final = 100  # of the newest models; any other is named by its id


@router.get("/ui/compare", name="show_compare")
def show_compare(
    request: Request,
    caller: Reader,
    services: ServicesDep,
    ids: Annotated[str, Query(max_length=1024)] = "",
    after: After = None,
) -> Response:
    """What to compare. `ids` are models or jobs, the baseline first."""
    offered = [
        (model.id, model.name, model.architecture or "graph")
        for model in models.list_models(caller, services, limit=_OFFERED).data
        if model.status == "ready"
    ]
    return page(
        request,
        "compare.html",
        caller,
        offered=offered,
        names={model_id: name for model_id, name, _ in offered},
        picked=[one for one in ids.split(",") if one],
        kept=api.list_comparisons(caller, services, limit=20, after=after),
        after=after,
    )


@router.get("/ui/compare/{comparison_id}", name="show_comparison")
def show_comparison(
    comparison_id: str, request: Request, caller: Reader, services: ServicesDep
) -> Response:
    """A comparison that is kept, as everybody of the project sees it."""
    comparison = rules.read(services.database, caller.project, comparison_id)
    values = comparison.values
    fronts = [
        {
            "title": front_title(values, front),
            "spec": front_panel(values, front) | {"width": "container"},
        }
        for front in values.fronts
    ]
    return page(request, "comparison.html", caller, comparison=comparison, fronts=fronts)
