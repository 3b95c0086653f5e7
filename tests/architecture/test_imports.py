"""What each process must not have in memory, seen from a fresh interpreter."""

import subprocess
import sys

import pytest

HEAVY = {"torch", "torchvision", "timm", "numpy", "onnxruntime"}


def _loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint('\\n'.join(m.partition('.')[0] for m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


def test_the_api_leaves_torch_out() -> None:
    assert not _loaded_by("import service.app") & HEAVY


def test_the_worker_process_leaves_torch_out() -> None:
    assert not _loaded_by("import worker.main") & HEAVY


def test_the_sdk_needs_no_server_libraries() -> None:
    loaded = _loaded_by("import modelpress; modelpress.Client")
    assert not loaded & (HEAVY | {"sqlalchemy", "fastapi", "celery", "redis"})


def test_help_is_quick_to_load() -> None:
    loaded = _loaded_by("import service.cli.main")
    assert not loaded & (HEAVY | {"sqlalchemy", "fastapi", "celery", "redis", "uvicorn"})


@pytest.mark.parametrize(
    "module",
    [
        "worker.engine.train.loop",
        "worker.engine.distill.distill",
        "worker.engine.measure.runtimes",
        "worker.engine.models.folder",
    ],
)
def test_the_engine_is_a_library(module: str) -> None:
    loaded = _loaded_by(f"import {module}")
    assert not loaded & {"celery", "sqlalchemy", "fastapi", "redis", "pydantic", "service"}
