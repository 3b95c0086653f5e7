from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.worker.starter import Starter, ended, gone, heard, until
from worker import linux
from worker.isolation import Isolation, Kind, Limits, Refusal, allowed_environment
from worker.landlock import confine

AS_ROOT = os.geteuid() == 0


def has_landlock() -> bool:
    try:
        return linux.landlock_version() >= 2
    except OSError:
        return False


def look(start: Starter, kind: Kind, **options: Any) -> dict[str, Any]:
    child = start("look_around", kind, **options)
    assert child.isolation.refused == ()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        child.channel.send({"port": listener.getsockname()[1]})
        seen = heard(child)
    assert ended(child).ok, start.logs()
    return seen


@pytest.fixture(params=["job", "intake"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return "job" if request.param == "job" else "intake"


def test_a_child_reaches_its_own_loopback_and_nothing_else(start: Starter, kind: Kind) -> None:
    seen = look(start, kind)
    assert seen["own_loopback"]
    assert not seen["host_loopback"]
    assert not seen["outside"]


def test_a_child_holds_its_streams_and_its_channel_only(start: Starter, kind: Kind) -> None:
    with socket.socket() as ours:
        os.set_inheritable(ours.fileno(), True)
        descriptors = look(start, kind)["descriptors"]
    assert descriptors[:3] == [0, 1, 2]
    assert len(descriptors) == 4


def test_a_child_sees_no_secret_in_its_environment(start: Starter, kind: Kind) -> None:
    seen = look(start, kind)
    assert seen["environment"]["HOME"] == seen["environment"]["TMPDIR"] == seen["job_dir"]
    allowed = allowed_environment(seen["environment"]).keys() | {"HOME", "TMPDIR"}
    assert seen["environment"].keys() == allowed
    started_with = [pair.partition("=")[0] for pair in seen["started_with"].split("\0") if pair]
    assert set(started_with) <= allowed


def test_the_environment_that_a_server_is_started_with_is_clean() -> None:
    given = {
        "PATH": "/bin",
        "OMP_NUM_THREADS": "2",
        "MODELPRESS_DATABASE_URL": "postgresql://user:secret@host/db",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "HTTP_PROXY": "http://user:secret@proxy",
    }
    assert allowed_environment(given) == {"PATH": "/bin", "OMP_NUM_THREADS": "2"}


def test_a_child_leads_a_session_and_cannot_gain_privileges(start: Starter, kind: Kind) -> None:
    seen = look(start, kind)
    assert seen["kind"] == kind
    assert seen["session"]
    assert re.search(r"^NoNewPrivs:\s+1$", seen["status"], re.MULTILINE)
    assert seen["limits"]["CORE"] == 0
    assert re.search(r"^CapEff:\s+0+$", seen["status"], re.MULTILINE)


@pytest.mark.skipif(not AS_ROOT, reason="only root has privileges to drop")
def test_an_intake_child_runs_as_nobody_in_a_folder_that_is_its_own(start: Starter) -> None:
    seen = look(start, "intake")
    assert (seen["uid"], seen["groups"]) == (65534, [])
    assert re.search(r"^CapEff:\s+0+$", seen["status"], re.MULTILINE)
    assert (Path(seen["job_dir"]) / "made").stat().st_uid == 65534


@pytest.mark.skipif(not AS_ROOT, reason="only root can close a folder to the dropped user")
def test_an_intake_child_works_below_folders_that_nobody_may_enter(
    start: Starter, tmp_path: Path
) -> None:
    inner = tmp_path / "data" / "scratch"
    inner.mkdir(parents=True)
    (tmp_path / "data" / "secret").write_text("a key")
    for folder in (tmp_path, tmp_path / "data"):
        folder.chmod(0o700)
    child = Starter(start.host, inner)("list_around", "intake")
    job_dir = next(path for path in inner.iterdir() if path.is_dir())
    assert heard(child) == {
        "job_dir": str(job_dir),
        "cwd": str(job_dir),
        "beside": {
            str(inner): "EACCES" if has_landlock() else [job_dir.name],
            str(inner.parent): "EACCES" if has_landlock() else ["scratch"],
        },
    }
    assert ended(child).ok
    child.close()
    assert (job_dir / "made").read_text() == "by the child"
    assert (tmp_path / "data" / "secret").read_text() == "a key"


@pytest.mark.skipif(not AS_ROOT, reason="only an intake child of root changes its user")
def test_an_intake_child_can_still_import_and_run_python(start: Starter) -> None:
    child = start("import_late", "intake")
    assert heard(child) == {"imported": "xmlrpc.client", "ran": "42"}


@pytest.mark.skipif(not has_landlock(), reason="this kernel has no Landlock")
def test_a_job_child_reaches_its_own_folder_and_no_other(start: Starter, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "secret").write_text("a key")
    child = Starter(start.host, data)("reach_for", "job")
    child.channel.send({"outside": str(data), "worker_pid": os.getpid()})
    assert heard(child) == {
        "write own": "done",
        "make a folder and move into it": "done",
        "make a temporary file": "done",
        "write /dev/null": "done",
        "read the data folder": "EACCES",
        "list the data folder": "EACCES",
        "write beside it": "EACCES",
        "write to /tmp": "EACCES",
        "remove a file": "EACCES",
        "read the worker's environment": "EACCES",
        "signal the worker": "EPERM",
        "lock the device": "done",
    }
    assert ended(child).ok
    child.close()
    assert (data / "secret").read_text() == "a key"


def test_a_kernel_whose_landlock_is_too_old_is_refused() -> None:
    with pytest.raises(OSError, match="too old"):
        confine([], {}, version=1)


def test_an_intake_child_carries_the_limits_it_was_given(start: Starter) -> None:
    limits = Limits(cpu_s=30, file_bytes=1 << 20, open_files=64)
    seen = look(start, "intake", limits=limits)
    assert seen["limits"] == {"CORE": 0, "CPU": 30, "FSIZE": 1 << 20, "NOFILE": 64}


def test_the_address_space_limit_counts_from_what_was_mapped(start: Starter) -> None:
    child = start("allocate", "intake", limits=Limits(address_space_bytes=128 << 20))
    assert heard(child) == {"small": 16 << 20, "large": "refused"}


def test_a_file_beyond_its_limit_is_an_error_in_the_child(start: Starter) -> None:
    child = start("write_much", "intake", limits=Limits(file_bytes=1 << 20))
    assert heard(child) == {"error": "File too large"}


def test_processor_time_beyond_its_limit_ends_the_child(start: Starter) -> None:
    status = ended(start("burn", "intake", limits=Limits(cpu_s=1)), timeout=30)
    assert status.signal in (signal.SIGXCPU, signal.SIGKILL)
    assert status.killed_by is None


def test_a_limit_must_be_positive() -> None:
    with pytest.raises(ValueError, match="cpu_s"):
        Limits(cpu_s=0)


def test_an_isolation_record_survives_its_message() -> None:
    record = Isolation(("session", "limits"), (Refusal("network", "Operation not permitted"),))
    assert Isolation.from_message(record.to_message()) == record
    assert not record.complete


@pytest.mark.parametrize(
    "message",
    [{}, {"isolation": 1}, {"isolation": {"done": ["magic"], "refused": []}}],
    ids=["absent", "number", "unknown step"],
)
def test_what_is_no_isolation_record_is_refused(message: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Isolation.from_message(message)


@pytest.mark.parametrize("kind_of_child", ["job", "intake"])
def test_a_killed_worker_leaves_no_process_behind(tmp_path: Path, kind_of_child: str) -> None:
    command = [sys.executable, "-m", "tests.worker.lone_worker", str(tmp_path), kind_of_child]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        pids = [int(word) for word in worker.stdout.readline().split()]
        assert len(pids) == 4  # server, child, two grandchildren
        assert not any(gone(pid) for pid in pids)
        worker.kill()
        until(lambda: all(gone(pid) for pid in pids))
