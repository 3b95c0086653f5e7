"""Models: the list, and all that is known of one."""

from collections.abc import Container
from typing import Final

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import Response

from service.api import models as api
from service.api import system
from service.api.deps import After, Reader, ServicesDep
from service.contract.models import ContentFormat, ModelRead
from service.services import Services
from service.web.card import LONGEST_BYTES, card_html
from service.web.lineage import Lineage
from service.web.page import page

router = APIRouter()

_EXPORTED: Final[dict[ContentFormat, str]] = {
    "onnx": "ONNX",
    "pt2": "PyTorch export (pt2)",
    "openvino": "OpenVINO IR",
    "executorch": "ExecuTorch",
    "tensorrt": "TensorRT engine",
}
_FORMATS: Final[dict[ContentFormat, str]] = {
    "folder": "Folder: config.json, weights, card",
    "safetensors": "Weights (safetensors)",
    "sparse": "Weights without their zeros",
    **_EXPORTED,
}


@router.get("/ui/models", name="show_models")
def show_models(
    request: Request, caller: Reader, services: ServicesDep, after: After = None
) -> Response:
    """The newest models of the project."""
    can = system.get_capabilities(caller, services)
    return page(
        request,
        "models.html",
        caller,
        models=api.list_models(caller, services, limit=50, after=after),
        architectures=sorted(can.architectures),
        after=after,
    )


@router.get("/ui/models/{model_id}", name="show_model")
def show_model(model_id: str, request: Request, caller: Reader, services: ServicesDep) -> Response:
    """What it is, where it comes from, and in which formats it can be had."""
    model = api.get_model(model_id, caller, services)
    is_ready = model.status == "ready"
    there = api.get_model_formats(model_id, caller, services).data if is_ready else {}
    can = system.get_capabilities(caller, services)
    return page(
        request,
        "model.html",
        caller,
        model=model,
        lineage=Lineage(api.get_model_lineage(model_id, caller, services)),
        formats=[(name, title, there[name]) for name, title in _FORMATS.items() if name in there],
        missing=_missing(model, there, can.exporters) if is_ready else [],
        card=_card(services, model_id, caller.project) if is_ready else None,
    )


def _card(services: Services, model_id: str, project: str) -> Markup | None:
    text = api.card_text(services, model_id, project, LONGEST_BYTES)
    return None if text is None else card_html(text)


def _missing(
    model: ModelRead, there: Container[str], exporters: tuple[str, ...]
) -> list[tuple[ContentFormat, str]]:
    """Formats that a job could make of it."""
    if model.form == "graph":
        return []
    return [
        (name, title)
        for name, title in _EXPORTED.items()
        if name not in there and name in exporters
    ]
