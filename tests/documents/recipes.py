"""The files that the how-tos for other platforms print."""

import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import yaml

from tests.documents.blocks import ROOT


def printed(page: str, language: str) -> str:
    """The one block of that language on a page."""
    text = (ROOT / "docs" / "how-to" / page).read_text("utf-8")
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert isinstance(found, str)
    return found


def github_steps() -> list[dict[str, Any]]:
    """The steps of the workflow for GitHub Actions."""
    workflow = yaml.safe_load(printed("github-actions.md", "yml"))
    steps: list[dict[str, Any]] = workflow["jobs"]["compress"]["steps"]
    return steps


def argo_template() -> dict[str, Any]:
    """The one template of the workflow for Argo."""
    [template] = yaml.safe_load(printed("argo.md", "yml"))["spec"]["templates"]
    assert isinstance(template, dict)
    return template


class AirflowFailException(Exception):
    """What fails a task without a retry."""


class Called(str):
    """What a task returned, where Airflow would hand on a reference to it."""

    def __rshift__(self, other: object) -> object:
        return other


@contextmanager
def airflow(params: dict[str, str], sensed: list[object]) -> Iterator[None]:
    """As much of Airflow as the DAG imports: tasks run where they are called, a sensor until it
    is satisfied. `sensed` gets what it said."""

    def task(**options: object) -> Callable[[Callable[..., str]], Callable[..., Called]]:
        return lambda function: lambda *arguments: Called(function(*arguments))

    def sensor(
        *, poke_interval: float, timeout: float, mode: str
    ) -> Callable[[Callable[..., bool]], Callable[..., Called]]:
        assert mode == "reschedule"

        def poked(function: Callable[..., bool], *arguments: object) -> Called:
            pause = threading.Event()
            while not sensed or sensed[-1] is not True:
                sensed.append(function(*arguments))
                pause.wait(0.2)
            return Called()

        return lambda function: lambda *arguments: poked(function, *arguments)

    task.sensor = sensor  # type: ignore[attr-defined]
    sdk = ModuleType("airflow.sdk")
    sdk.dag = lambda **options: lambda function: function  # type: ignore[attr-defined]
    sdk.task = task  # type: ignore[attr-defined]
    sdk.Param = lambda default, **schema: default  # type: ignore[attr-defined]
    sdk.get_current_context = lambda: {"params": params, "run_id": "manual__1"}  # type: ignore[attr-defined]
    exceptions = ModuleType("airflow.exceptions")
    exceptions.AirflowFailException = AirflowFailException  # type: ignore[attr-defined]
    modules = {
        "airflow": ModuleType("airflow"),
        "airflow.sdk": sdk,
        "airflow.exceptions": exceptions,
    }
    assert not modules.keys() & sys.modules.keys()
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]
