"""What the children of these tests run: each an entry of its own, named in `spawn(entry=…)`."""

from __future__ import annotations

import ctypes
import errno
import importlib
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from worker.channel import Channel


def echo(channel: Channel, job_dir: Path, kind: str) -> int:
    """Says back what it hears, until the end or a message with an exit code."""
    while (message := channel.receive(None)) is not None:
        if "exit" in message:
            return int(message["exit"])
        channel.send(message)
    return 0


def segfault(channel: Channel, job_dir: Path, kind: str) -> int:
    ctypes.string_at(0)
    return 0


def crash(channel: Channel, job_dir: Path, kind: str) -> int:
    print("about to fail")
    raise RuntimeError("as it should")


def sleep(channel: Channel, job_dir: Path, kind: str) -> int:
    signal.pause()
    return 0


def heedless(channel: Channel, job_dir: Path, kind: str) -> int:
    """Ignores SIGTERM and whatever it is told."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    channel.send({"heedless": True})
    while True:
        signal.pause()


def babble(channel: Channel, job_dir: Path, kind: str) -> int:
    """Writes what is not a message, past the Channel's own care."""
    os.write(channel.fileno(), b"this is not JSON\n")
    signal.pause()
    return 0


def with_grandchildren(channel: Channel, job_dir: Path, kind: str) -> int:
    forked = os.fork()
    if forked == 0:
        signal.pause()
    run = subprocess.Popen(["sleep", "600"])
    channel.send({"pids": [forked, run.pid]})
    if channel.receive(None) == {"leave": True}:
        os._exit(3)
    return 0


def grow(channel: Channel, job_dir: Path, kind: str) -> int:
    held = []
    while True:
        held.append(b"x" * (8 << 20))
        channel.send({"held": len(held)})


def look_around(channel: Channel, job_dir: Path, kind: str) -> int:
    """Everything that isolation is about, as seen from inside."""
    descriptors = _open_fds()
    port = channel.receive(10)
    assert port is not None
    limits = {
        name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[0]
        for name in ("CORE", "CPU", "FSIZE", "NOFILE")
    }
    (job_dir / "made").write_text("by the child")
    channel.send(
        {
            "kind": kind,
            "job_dir": str(job_dir),
            "environment": dict(os.environ),
            "started_with": _started_with(),
            "descriptors": descriptors,
            "session": os.getsid(0) == os.getpid(),
            "uid": os.geteuid(),
            "groups": os.getgroups(),
            "status": Path("/proc/self/status").read_text(),
            "limits": limits,
            "host_loopback": _connects(port["port"]),
            "outside": _connects_outside(),
            "own_loopback": _own_loopback(),
        }
    )
    return 0


def list_around(channel: Channel, job_dir: Path, kind: str) -> int:
    """What is visible of the two folders above the child's own."""
    (job_dir / "made").write_text("by the child")
    above = (job_dir.parent, job_dir.parent.parent)
    beside = {str(folder): _names(folder) for folder in above}
    channel.send({"job_dir": str(job_dir), "cwd": str(Path.cwd()), "beside": beside})
    return 0


def _names(folder: Path) -> list[str] | str:
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def reach_for(channel: Channel, job_dir: Path, kind: str) -> int:
    """What becomes of attempts on files: 'done', or the reason why not."""
    asked = channel.receive(10)
    assert asked is not None
    outside, server = Path(asked["outside"]), asked["worker_pid"]
    own = job_dir / "own"
    attempts: dict[str, Callable[[], object]] = {
        "write own": lambda: own.write_text("mine"),
        "make a folder and move into it": lambda: _move(own),
        "make a temporary file": lambda: tempfile.TemporaryFile().close(),
        "write /dev/null": lambda: Path("/dev/null").write_text("x"),
        "read the data folder": (outside / "secret").read_text,
        "list the data folder": lambda: os.listdir(outside),  # noqa: PTH208
        "write beside it": lambda: (outside / "new").write_text("x"),
        "write to /tmp": lambda: Path("/tmp/never").write_text("x"),
        "remove a file": (outside / "secret").unlink,
        "read the worker's environment": Path(f"/proc/{server}/environ").read_text,
        "signal the worker": lambda: os.kill(server, signal.SIGURG),
        "lock the device": lambda: os.close(os.open(outside / "device.lock", os.O_RDWR)),
    }
    channel.send({name: _outcome(attempt) for name, attempt in attempts.items()})
    return 0


def _move(path: Path) -> None:
    (path.parent / "folder").mkdir()
    path.rename(path.parent / "folder" / path.name)


def _outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


def import_late(channel: Channel, job_dir: Path, kind: str) -> int:
    """The standard library and the interpreter are within reach after all that was shut off."""
    module = importlib.import_module("xmlrpc.client")
    run = subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, check=True)
    channel.send({"imported": module.__name__, "ran": run.stdout.decode().strip()})
    return 0


def allocate(channel: Channel, job_dir: Path, kind: str) -> int:
    """One small piece, which must fit, and one that the address space limit must refuse."""
    small = bytearray(16 << 20)
    try:
        bytearray(1 << 30)
    except MemoryError:
        channel.send({"small": len(small), "large": "refused"})
    return 0


def write_much(channel: Channel, job_dir: Path, kind: str) -> int:
    try:
        (job_dir / "much").write_bytes(bytes(2 << 20))
    except OSError as error:
        channel.send({"error": error.strerror})
    return 0


def burn(channel: Channel, job_dir: Path, kind: str) -> int:
    while True:
        pass


def multiply(channel: Channel, job_dir: Path, kind: str) -> int:
    """An OpenMP operator in two threads, and BLAS: what hangs after a careless fork."""
    import numpy
    import torch

    torch.set_num_threads(2)
    ones = torch.ones(512, 512)
    product = float((ones @ ones).sum())
    exponent = float(torch.zeros(1 << 20).exp().sum())
    matrix = numpy.ones((512, 512), dtype=numpy.float64)
    channel.send(
        {
            "product": product,
            "exponent": exponent,
            "numpy": float((matrix @ matrix).sum()),
            "threads": torch.get_num_threads(),
        }
    )
    return 0


def _open_fds() -> list[int]:
    found = []
    for fd in range(4096):
        try:
            os.fstat(fd)
        except OSError:
            continue
        found.append(fd)
    return found


def _started_with() -> str:
    try:
        return Path("/proc/self/environ").read_bytes().decode()
    except PermissionError:
        return ""


def _connects(port: int) -> bool:
    with socket.socket() as sock:
        sock.settimeout(2)
        return sock.connect_ex(("127.0.0.1", port)) == 0


def _connects_outside() -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        return sock.connect_ex(("192.0.2.1", 9)) == 0


def _own_loopback() -> bool:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: server.accept()[0].close())
        thread.start()
        reached = _connects(server.getsockname()[1])
        thread.join(5)
    return reached
