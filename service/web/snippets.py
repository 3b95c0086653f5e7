"""A spec as one would type it: for a shell, for the SDK, for a file."""

import contextlib
import json
import pprint
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from service.contract.specs import SPECS, JobSpec
from service.reports.reproduce import asked


@dataclass(frozen=True)
class Snippet:
    """A way to ask for the same."""

    id: str
    title: str
    text: str


def snippets(spec: JobSpec, url: str) -> tuple[Snippet, ...]:
    """The spec without its defaults, in each of the ways to send it to the service at `url`."""
    whole = _json(spec.model_dump(mode="json"))
    return (*_ways(shortest(spec), url), Snippet("json", "JSON, with every default", whole))


def drafts(body: Mapping[str, Any], url: str) -> tuple[Snippet, ...]:
    """The same of a spec that may still lack something."""
    with contextlib.suppress(ValueError):
        body = shortest(SPECS.validate_python(body))
    return _ways(body, url)


def shortest(spec: JobSpec) -> dict[str, Any]:
    """What was asked for beside the defaults; all of it where that would mean something else."""
    body = asked(spec)
    for key in ("name", "labels"):
        if value := getattr(spec, key):
            body[key] = value
    return body if _means(body, spec) else spec.model_dump(mode="json")


def _ways(body: Mapping[str, Any], url: str) -> tuple[Snippet, ...]:
    return (
        Snippet("yaml", "YAML", f"# modelpress jobs submit -f job.yaml\n{_yaml(body)}"),
        Snippet("python", "Python", _python(body, url)),
        Snippet("curl", "curl", _curl(body, url)),
    )


def _means(body: Mapping[str, Any], spec: JobSpec) -> bool:
    try:
        return SPECS.validate_python(body) == spec
    except ValueError:
        return False


def _json(body: Mapping[str, Any]) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False)


def _yaml(body: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(body), sort_keys=False, allow_unicode=True, width=88)


def _python(body: Mapping[str, Any], url: str) -> str:
    spec = pprint.pformat(dict(body), sort_dicts=False, width=84)
    return (
        "from modelpress import Client\n\n"
        f"client = Client({url!r})  # the key is read from MODELPRESS_KEY\n"
        f"job = client.submit(\n    {spec.replace(chr(10), chr(10) + '    ')}\n)\n"
        "job.wait()\n"
    )


def _curl(body: Mapping[str, Any], url: str) -> str:
    return (
        f"curl -X POST {shlex.quote(url + '/v1/jobs')} \\\n"
        '  -H "Authorization: Bearer $MODELPRESS_KEY" \\\n'
        "  -H 'Content-Type: application/json' \\\n"
        f"  --data-raw {shlex.quote(_json(body))}\n"
    )
