"""Runs the command `schemathesis` against a service that listens, and reads its report."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2

from tests.client.running import running_api
from tests.fuzzing.sample import fill

_ROOT: Final = Path(__file__).parents[2]
_CONFIG: Final = Path(__file__).with_name("schemathesis.toml")
# The command has one count for all phases.
_STATEFUL: Final = "\n[phases.stateful.generation]\nmax-examples = {}\n"


@dataclass(frozen=True)
class Outcome:
    """What a run has found."""

    cases: int
    failures: list[str]
    phases: dict[str, str]
    """How each ended, by name."""
    dropped: int
    """Refusals that were no failures: see hooks.py."""
    output: str
    """What it printed, with each failure as a command to repeat it."""


def run(folder: Path, *options: str, chains: int, seed: int, limit_s: float) -> Outcome:
    """Make a store in `folder`, serve it, and let Schemathesis loose on it for up to `limit_s`.
    `chains` are the sequences of requests in which one names what another's answer told of."""
    report, config = folder / "report.json", folder / "schemathesis.toml"
    config.write_text(_CONFIG.read_text() + _STATEFUL.format(chains))
    key = fill(folder / "data")
    with running_api(folder / "data", key, lease_s=3600.0, sweep_s=3600.0) as service:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)),
                *("run", f"{service.url}/openapi.json", "--no-color", "--seed", str(seed)),
                *("--report", "json", "--report-json-path", str(report), *options),
            ],
            cwd=_ROOT,
            env=os.environ
            | {
                "MODELPRESS_FUZZING_KEY": service.key,
                "MODELPRESS_FUZZING_KEY_ID": _id_of_the_key(service.url, service.key),
                "PYTHONPATH": str(_ROOT),
                "NO_PROXY": "127.0.0.1",
            },
            capture_output=True,
            text=True,
            timeout=limit_s,
        )
    output = done.stdout + done.stderr
    assert report.exists(), output
    return _read(json.loads(report.read_text()), output)


def _id_of_the_key(url: str, key: str) -> str:
    headers = {"authorization": f"Bearer {key}"}
    listed = httpx2.get(f"{url}/v1/keys", headers=headers).raise_for_status().json()["data"]
    found: str = next(one["id"] for one in listed if one["name"] == "bootstrap")
    return found


def _read(report: dict[str, object], output: str) -> Outcome:
    cases, phases = report["test_cases"], report["phases"]
    failures, errors = report["failures"], report["errors"]
    assert isinstance(cases, dict)
    assert isinstance(phases, dict)
    assert isinstance(failures, list)
    assert isinstance(errors, list)
    filtered = report["filtered"]
    assert isinstance(filtered, int)
    return Outcome(
        cases=cases["generated"],
        failures=[f"{one['title']}: {one['operations']}" for one in failures]
        + [one["title"] for one in errors],
        phases={name: phase["status"] for name, phase in phases.items()},
        dropped=filtered,
        output=output,
    )
