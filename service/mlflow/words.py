"""A job in MLflow's words: params, metrics and tags within the limits that a server keeps."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from service.mlflow.server import RunStatus

_KEY_CHARS: Final = 250
_PARAM_CHARS: Final = 6000
_TAG_CHARS: Final = 5000  # 8000 in MLflow 3, 5000 before
_NOT_IN_KEYS: Final = re.compile(r"[^\w\-. /]", re.ASCII)
_NOT_IN_NAMES: Final = re.compile(r"[/:\\]")
_STATUSES: Final[Mapping[str, RunStatus]] = {
    "succeeded": "FINISHED",
    "failed": "FAILED",
    "cancelled": "KILLED",
}


def run_status(job_status: str) -> RunStatus:
    """Of a job that is over."""
    return _STATUSES[job_status]


def key(text: str) -> str:
    """What a server takes as the name of a param, metric or tag."""
    return _NOT_IN_KEYS.sub("_", text)[:_KEY_CHARS]


def params(spec: Mapping[str, Any]) -> dict[str, str]:
    """The spec with its nesting in the names: `loss.temperature`. What is null is left out; a list
    is JSON."""
    return dict(_flat(spec, ""))


def _flat(value: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, item in value.items():
        path = f"{prefix}{name}"
        if isinstance(item, Mapping):
            found += _flat(item, f"{path}.")
        elif item is not None:
            text = item if isinstance(item, str) else json.dumps(item)
            found.append((key(path), text[:_PARAM_CHARS]))
    return found


def tags(values: Mapping[str, object]) -> dict[str, str]:
    """Below `modelpress.`; what is None or empty is left out, a list is JSON."""
    return {
        key(f"modelpress.{name}"): (value if isinstance(value, str) else json.dumps(value))[
            :_TAG_CHARS
        ]
        for name, value in values.items()
        if value not in (None, "", [], ())
    }


def registered_name(project: str, model: str) -> str:
    """Of the registered model: a project has names of its own, and a name has no slash or colon."""
    return _NOT_IN_NAMES.sub("-", f"{project}.{model}")[:_KEY_CHARS]
