"""The API under load: 200 streams, 1,000 queued jobs, four busy workers; and next to MLflow.

Four workers time models, one thread each, at nice 10, as benchmark jobs do. Meanwhile 200 clients
listen to the stream of all jobs, and one client reads and submits jobs. MINUTES is how long; 10 for
the promise about memory. Then jobs are submitted as fast as one client can, and runs created in an
MLflow server of its own on SQLite, in turns.
"""

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2

from benchmarks.faults.cluster import Cluster
from benchmarks.faults.load import short, submit
from benchmarks.figures import Options, Report, percentile
from benchmarks.stack import api_process, rss_bytes
from service.contract.ids import new_id
from service.embedded import choose_port

_STREAMS: Final = 200
_QUEUED: Final = 1000
_WORKERS: Final = 4
_MLFLOW: Final = "3.17.2"
_CREATES: Final = 200
_ROUNDS: Final = 3


def run(options: Options) -> Report:
    """Needs both cores for itself."""
    report = Report()
    _under_load(report, 60 * options.minutes)
    _beside_mlflow(report)
    return report


def _under_load(report: Report, seconds: float) -> None:
    with Cluster("sqlite", _WORKERS) as cluster, ExitStack() as exits:
        for worker in cluster.workers.values():
            os.setpriority(os.PRIO_PROCESS, worker.pid, 10)
        model = submit(cluster.http, short(), new_id("req"))
        _wait_for(cluster, model)
        for _ in range(_QUEUED):
            submit(cluster.http, _timing(model), new_id("req"))
        listening = exits.enter_context(_streams(cluster))
        gets, posts, memory = [], [], []
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            memory.append(rss_bytes(cluster.api.pid) / 1e6)
            gets += [_timed(lambda: cluster.http.get(f"/v1/jobs/{model}")) for _ in range(20)]
            posts += [
                _timed(lambda: cluster.http.post("/v1/jobs", json=_timing(model))) for _ in range(2)
            ]
            time.sleep(0.2)
        report.at_least("streams that live", float(listening()), "", _STREAMS, "200")
    for name, times in (("GET /v1/jobs/{id}", gets), ("POST /v1/jobs", posts)):
        value = percentile(times, 99)
        report.at_most(f"{name}, p99 of {len(times)}", value, "ms", 150, "p99 ≤ 150 ms")
        report.told(f"{name}, p50", percentile(times, 50), "ms")
    quarter = max(1, len(memory) // 4)
    early, late = statistics.median(memory[:quarter]), statistics.median(memory[-quarter:])
    report.told("API memory, first quarter", early, "MB")
    report.at_most("API memory, growth to the last", late - early, "MB", 16, "flat: ≤ 16 MB")


def _timing(model: str) -> dict[str, Any]:
    return {
        "kind": "benchmark",
        "models": [model],
        "dataset": "digits",
        "batch_sizes": [1],
        "threads": 1,
        "runtimes": ["eager"],
    }


def _wait_for(cluster: Cluster, job_id: str) -> None:
    done = ("succeeded", "failed")
    cluster.wait(lambda: cluster.get(f"/v1/jobs/{job_id}")["status"] in done, 120, job_id)


@contextmanager
def _streams(cluster: Cluster) -> Iterator[Any]:
    """Two hundred listeners in a process of their own; yields how many hear still."""
    command = [sys.executable, "-m", "benchmarks.listeners", cluster.api_url, str(_STREAMS)]
    environment = {**os.environ, "LISTENER_KEY": cluster.key}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("listening")

    def still() -> int:
        process.send_signal(signal.SIGUSR1)
        assert process.stdout is not None
        return int(process.stdout.readline())

    try:
        yield still
    finally:
        process.kill()
        process.wait()


def _timed(call: Any) -> float:
    started = time.perf_counter()
    answer = call()
    took = 1e3 * (time.perf_counter() - started)
    assert answer.status_code < 300, answer.text
    return took


def _beside_mlflow(report: Report) -> None:
    with tempfile.TemporaryDirectory(prefix="mp-") as name, ExitStack() as exits:
        folder = Path(name)
        try:
            mlflow = exits.enter_context(_mlflow(folder))
        except (OSError, subprocess.SubprocessError, TimeoutError) as error:
            report.skip("submissions against MLflow", f"MLflow {_MLFLOW}: {error}"[:200])
            return
        (folder / "ours").mkdir()
        ours = exits.enter_context(api_process(folder / "ours")).client
        spec = short()
        run = {"experiment_id": "0", "run_name": "r", "start_time": 0}
        create = "/api/2.0/mlflow/runs/create"
        rates = [
            (_rate(ours, "/v1/jobs", spec), _rate(mlflow, create, run)) for _ in range(_ROUNDS)
        ]
        ratio = statistics.median(a / b for a, b in rates)
        empty = statistics.median(_empty_rate(ours) for _ in range(_ROUNDS))
    report.at_least("submissions ÷ MLflow's runs/create", ratio, "×", 5, "≥ 5×")
    report.told("submissions", statistics.median(a for a, _ in rates), "/s")
    report.told("MLflow's runs/create", statistics.median(b for _, b in rates), "/s")
    report.told("GET /livez, by the same client", empty, "/s")


def _rate(client: httpx2.Client, path: str, body: dict[str, Any]) -> float:
    started = time.perf_counter()
    for _ in range(_CREATES):
        client.post(path, json=body).raise_for_status()
    return _CREATES / (time.perf_counter() - started)


def _empty_rate(client: httpx2.Client) -> float:
    """What one client reaches where the service does nothing: no submission can be faster."""
    started = time.perf_counter()
    for _ in range(_CREATES):
        client.get("/livez").raise_for_status()
    return _CREATES / (time.perf_counter() - started)


@contextmanager
def _mlflow(folder: Path) -> Iterator[httpx2.Client]:
    """A server of MLflow in an environment of its own, kept from one run to the next."""
    home = Path(".mlflow-venv").resolve()
    if not (home / "bin" / "mlflow").exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        pip = [str(home / "bin" / "pip"), "install", "--quiet", f"mlflow=={_MLFLOW}"]
        subprocess.run(pip, check=True, timeout=900)
    port = choose_port("127.0.0.1", 0)
    command = [
        str(home / "bin" / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port),
        "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--workers", "1",
        "--default-artifact-root", str(folder / "artifacts"),
    ]  # fmt: skip
    with (folder / "mlflow.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx2.Client(base_url=url, trust_env=False, timeout=30) as client:
            deadline = time.monotonic() + 120
            while not _is_up(client):
                if time.monotonic() > deadline or process.poll() is not None:
                    raise TimeoutError("its server did not answer")
                threading.Event().wait(0.2)
            yield client
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _is_up(client: httpx2.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx2.TransportError:
        return False
