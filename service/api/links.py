"""Links of the OpenAPI document: what one does with the thing that an answer tells of."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

_ID: Final = "$response.body#/id"
# By operation: which parameter of other operations its answer gives, and where. Every operation
# whose path takes just these is linked, a new one too.
_TOLD_BY: Final[Mapping[str, Mapping[str, str]]] = {
    "submit_job": {"job_id": _ID},
    "retry_job": {"job_id": _ID},
    "put_file": {"name": "$response.body#/name"},
    "create_upload": {"upload_id": _ID},
    "register_model": {"model_id": _ID},
    "register_dataset": {"dataset_id": _ID},
    "create_comparison": {"comparison_id": _ID},
    "create_webhook": {"webhook_id": _ID},
    "test_webhook": {"webhook_id": "$response.body#/webhook", "delivery_id": _ID},
    "create_key": {"key_id": _ID},
}


def add_links(document: dict[str, Any]) -> None:
    """Write them into the document."""
    by_name = {operation["operationId"]: operation for _, operation in _operations(document)}
    for name, told in _TOLD_BY.items():
        links = {
            target["operationId"]: {
                "operationId": target["operationId"],
                "parameters": dict(told),
                "description": target["summary"],
            }
            for path, target in _operations(document)
            if _parameters(path) == set(told)
        }
        responses = by_name[name]["responses"]
        for status in ("201", "202"):  # 200 tells of nothing new, or was only a check
            if status in responses:
                responses[status]["links"] = links


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            yield path, operation


def _parameters(path: str) -> set[str]:
    return {part[1:-1] for part in path.split("/") if part.startswith("{")}
