"""The page of the Python SDK, from its signatures and docstrings."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any, Final

import modelpress
from service.client.audit import Audit
from service.client.client import Client
from service.client.comparisons import Comparison, Comparisons
from service.client.datasets import Dataset, Datasets
from service.client.jobs import Job, Jobs
from service.client.keys import Keys
from service.client.limits import Limits
from service.client.models import Model, Models
from service.client.problems import BY_CODE
from service.client.upload import Files
from service.client.webhooks import Webhooks
from tools.reference.schema import prose

_CLASSES: Final = {
    "Client": Client,
    "Job": Job,
    "Model": Model,
    "Dataset": Dataset,
    "Comparison": Comparison,
    "client.jobs": Jobs,
    "client.models": Models,
    "client.datasets": Datasets,
    "client.comparisons": Comparisons,
    "client.files": Files,
    "client.keys": Keys,
    "client.limits": Limits,
    "client.webhooks": Webhooks,
    "client.audit": Audit,
}


def page() -> str:
    """Every public class and method."""
    parts = [
        "# Python SDK",
        "`from modelpress import Client`. Answers are the [objects](schemas.md) of the HTTP "
        "interface, as frozen pydantic models.",
        "## modelpress.load",
        _signature("load", modelpress.load),
        prose(inspect.getdoc(modelpress.load) or ""),
    ]
    for name, of in _CLASSES.items():
        parts += [f"## {name}", prose(inspect.getdoc(of) or ""), *_members(name, of)]
    parts += ["## modelpress.errors", _errors()]
    return "\n\n".join(part for part in parts if part) + "\n"


def _errors() -> str:
    """The exception of every code, and the one above it."""
    head = "Exceptions, by the [code](../errors.md) of the answer. All are `ClientError`."
    rows = [
        f"| `{code}` | `{of.__name__}` | `{of.__mro__[1].__name__}` |"
        for code, of in sorted(BY_CODE.items())
    ]
    return "\n".join([head, "", "| code | exception | is a |", "|---|---|---|", *rows])


def _members(owner: str, of: type) -> Iterator[str]:
    for name, member in inspect.getmembers(of):
        if name.startswith("_") or not (inspect.isfunction(member) or isinstance(member, property)):
            continue
        function = member.fget if isinstance(member, property) else member
        yield f"### {owner}.{name}"
        if not isinstance(member, property):
            yield _signature(name, function)
        yield prose(inspect.getdoc(function) or "")


def _signature(name: str, function: Any) -> str:
    """As the source has it: short names of types, where a signature spells every union out."""
    [found] = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef)
    taken = ast.unparse(found.args).removeprefix("self").removeprefix(", ")
    returned = "" if found.returns is None else f" -> {ast.unparse(found.returns)}"
    return f"```text\n{name}({taken}){returned}\n```"
