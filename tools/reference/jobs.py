"""A page for each kind of job: its spec, and what comes out."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter

from service.contract.job_errors import HINTS
from service.contract.specs import RESULTS, SPECS
from tools.reference.schema import prose, referred, section


def pages() -> Iterator[tuple[str, str]]:
    """Path and text of each page."""
    specs, results = _by_kind(SPECS), _by_kind(RESULTS)
    for kind, (name, definitions) in specs.items():
        spec = definitions[name]
        result_name, result_definitions = results[kind]
        parts = [
            f"# {kind}",
            f"{prose(spec['description'])} `POST /v1/jobs` takes it as JSON, "
            "`modelpress jobs submit` as JSON or YAML too.",
            f"```json\n{json.dumps(spec['examples'][0], indent=2)}\n```",
            section("Specification", {**spec, "description": ""}),
            *_objects(name, definitions),
            section("Result", result_definitions[result_name]),
            *_objects(result_name, result_definitions, without=referred(spec, definitions)),
        ]
        yield f"reference/jobs/{kind}.md", "\n\n".join(parts) + "\n"
    yield "reference/jobs/plan.md", _plan(*results["plan"])
    yield "reference/job-errors.md", _errors()


def _by_kind(adapter: TypeAdapter[Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Name of the model of each kind, with all definitions."""
    schema = adapter.json_schema(mode="serialization" if adapter is RESULTS else "validation")
    mapping = schema["discriminator"]["mapping"]
    return {kind: (ref.rsplit("/", 1)[-1], schema["$defs"]) for kind, ref in mapping.items()}


def _objects(name: str, definitions: dict[str, Any], without: list[str] | None = None) -> list[str]:
    names = [each for each in referred(definitions[name], definitions) if each != name]
    return [section(each, definitions[each], 3) for each in names if each not in (without or ())]


def _plan(name: str, definitions: dict[str, Any]) -> str:
    parts = ["# Plans", "With `dry_run: true` every kind of job answers with a plan and stops."]
    parts += [section("Result", definitions[name]), *_objects(name, definitions)]
    return "\n\n".join(parts) + "\n"


def _errors() -> str:
    rows = [f"| `{code}` | {hint} |" for code, hint in HINTS.items()]
    parts = [
        "# Errors of jobs",
        "`error` of a job, model or dataset that failed has a `code` of this list, a `message` "
        "that says what happened, and a `hint`. [Errors](../errors.md) says when each comes.",
        "\n".join(["| code | hint |", "|---|---|", *rows]),
    ]
    return "\n\n".join(parts) + "\n"
