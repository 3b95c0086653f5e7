"""A real MLflow server, from an environment of its own: its libraries are not ours."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from service.embedded import choose_port
from tests.waiting import wait_until

PROGRAM = Path(__file__).parents[2] / ".mlflow-venv" / "bin" / "mlflow"
_START_S = 120.0


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Its address. It keeps everything in `folder`, and takes files itself, as it does unless it
    is told otherwise."""
    port = choose_port("127.0.0.1", 0)
    command = [
        *(str(PROGRAM), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
    ]
    quiet = {"DO_NOT_TRACK": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            cwd=folder,
            env=os.environ | quiet,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _is_up(url, process), _START_S, "MLflow")
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _is_up(url: str, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "MLflow ended at once"
    try:
        return httpx2.get(f"{url}/health", trust_env=False).status_code == 200
    except httpx2.TransportError:
        return False
