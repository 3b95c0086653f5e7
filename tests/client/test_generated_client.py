"""Somebody else's generator makes a client of our OpenAPI document, and it works."""

import json
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.client.running import running_api
from tests.client.service_double import JOB
from tools.reference.http import document

_BIN: Final = Path(__file__).parents[2] / ".generator-venv" / "bin"
# Runs with the generator's libraries, where `generated` lies beside it.
_PROGRAM: Final = """
import sys
from compileall import compile_dir

from generated import AuthenticatedClient
from generated.api.jobs import get_job, list_jobs, submit_job
from generated.models import ArchitectureSpec, Problem, Train

assert compile_dir("generated", quiet=1)
url, key, missing = sys.argv[1:]
with AuthenticatedClient(base_url=url, token=key, raise_on_unexpected_status=True) as client:
    spec = Train(kind="train", model=ArchitectureSpec("mlp"), dataset="digits", name="mine")
    checked = submit_job.sync(client=client, body=spec, validate_only=True)
    job = submit_job.sync(client=client, body=spec, idempotency_key="once")
    again = get_job.sync(job.id, client=client)
    listed = list_jobs.sync(client=client)
    problem = get_job.sync(missing, client=client)
    assert isinstance(problem, Problem)
    print(checked.spec.training.epochs, again.name, again.status.value)
    print(job.id == again.id, [each.id for each in listed.data] == [job.id], problem.code)
"""


@pytest.mark.skipif(
    not _BIN.exists(), reason="no generator here: type `make .generator-venv/.installed`"
)
def test_a_generated_client_submits_and_reads_a_job(tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(document()))
    paths = ("--path", "openapi.json", "--output-path", "generated")
    _run(tmp_path, "openapi-python-client", "generate", *paths, "--meta=none", "--fail-on-warning")
    with running_api(tmp_path / "data") as service:
        said = _run(tmp_path, "python", "-c", _PROGRAM, service.url, service.key, JOB)
    assert said == "30 mine queued\nTrue True not_found\n"


def _run(folder: Path, program: str, *arguments: str) -> str:
    """What it prints. Without the variables of this process: another's proxy is not asked."""
    done = subprocess.run(
        [_BIN / program, *arguments],
        cwd=folder,
        env={"PATH": f"{_BIN}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
