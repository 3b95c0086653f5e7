"""Datasets: the list, and what one holds."""

from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api import datasets as api
from service.api import system
from service.api.deps import After, Reader, ServicesDep
from service.contract.datasets import DatasetRead
from service.reports.vega import PALETTE, Spec
from service.web.page import page

router = APIRouter()

_SPLITS: Final = ("train", "validation", "test")
_BAR_PX: Final = 22
_MOST_CLASSES: Final = 40  # in a chart; of more, those at both ends are told


@router.get("/ui/datasets", name="show_datasets")
def show_datasets(
    request: Request, caller: Reader, services: ServicesDep, after: After = None
) -> Response:
    """Those of the project, and the names of those that workers bring along."""
    return page(
        request,
        "datasets.html",
        caller,
        datasets=api.list_datasets(caller, services, limit=50, after=after),
        builtin=system.get_capabilities(caller, services).datasets,
        sources=sorted(services.settings.declared_sources),
        after=after,
    )


@router.get("/ui/datasets/{dataset_id}", name="show_dataset")
def show_dataset(
    dataset_id: str, request: Request, caller: Reader, services: ServicesDep
) -> Response:
    """Its examples, how many of each class, and what stands out."""
    dataset = api.get_dataset(dataset_id, caller, services)
    return page(
        request,
        "dataset.html",
        caller,
        dataset=dataset,
        balance=balance(dataset),
        balance_rows=balance_rows(dataset),
    )


def balance_rows(dataset: DatasetRead) -> list[tuple[str, list[int]]]:
    """Examples of each class, by split; empty while they are not known."""
    if dataset.class_counts is None:
        return []
    by_split = [dataset.class_counts.get(split, ()) for split in _SPLITS]
    classes = max(map(len, by_split), default=0)
    return [
        (_label(dataset.labels, index), [counts[index] if counts else 0 for counts in by_split])
        for index in range(classes)
    ]


def _label(labels: Sequence[str] | None, index: int) -> str:
    return labels[index] if labels else f"class {index}"


def balance(dataset: DatasetRead) -> Spec | None:
    """A chart of the examples of each class; None where there are none or too many classes."""
    rows = balance_rows(dataset)
    if not 0 < len(rows) <= _MOST_CLASSES:
        return None
    values = [
        {"class": name, "split": split, "examples": count, "order": order}
        for name, counts in rows
        for order, (split, count) in enumerate(zip(_SPLITS, counts, strict=True))
    ]
    return {
        "data": {"values": values},
        "width": "container",
        "height": _BAR_PX * len(rows),
        "mark": {"type": "bar", "cornerRadiusEnd": 2},
        "encoding": {
            "y": {
                "field": "class",
                "type": "nominal",
                "sort": [name for name, _ in rows],
                "title": None,
                "axis": {"labelLimit": 140},
            },
            "x": {"field": "examples", "type": "quantitative", "title": "Examples"},
            "color": {
                "field": "split",
                "type": "nominal",
                "scale": {"domain": list(_SPLITS), "range": list(PALETTE[:3])},
                "legend": {"orient": "top", "title": None},
            },
            "order": {"field": "order"},
            "tooltip": [{"field": name} for name in ("class", "split", "examples")],
        },
    }
