"""What a child does to itself between the fork and its first line of work.

Each step is tried in order and says whether it was managed: where the platform refuses (a container
without user namespaces, say) the child goes on, and its worker decides if that is good enough.
Linux only. A fork server calls this in a process that still has a single thread, which is what
`unshare` of a user namespace asks for.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import signal
import socket
import struct
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from worker import linux
from worker.landlock import SHARED_FILES, confine
from worker.mounts import make_reachable

Kind = Literal["job", "intake"]
Step = Literal[
    "session",  # a process group of its own, so that one kill ends all its descendants
    "parent_death",  # it dies with the fork server
    "oom_first",  # the kernel takes it, not the worker, when memory runs out
    "descriptors",
    "environment",
    "network",
    "loopback",
    "reachable",  # intake as root only: see `worker.mounts`
    "unprivileged",  # intake as root only
    "limits",
    "no_new_privileges",
    "capabilities",  # a job's child as root only: an intake child is nobody
    "files",  # all but its own folder, programs and libraries: see `worker.landlock`
]

NOBODY = 65534  # the kernel's overflow id; a name lookup would need files we may not see
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1
_OOM_SCORE = 500  # of 1000: before any service, after what asked to go first

_ALLOWED = frozenset(
    {
        "PATH",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TZ",
        "LD_LIBRARY_PATH",
        "PYTHONPATH",
        "PYTHONHASHSEED",
        "PYTHONUTF8",
        "CUDA_VISIBLE_DEVICES",
        "CUDA_DEVICE_ORDER",
        "CUDA_HOME",
        "CUBLAS_WORKSPACE_CONFIG",
        "NVIDIA_VISIBLE_DEVICES",
        "PYTORCH_ALLOC_CONF",
        "PYTORCH_CUDA_ALLOC_CONF",
    }
)
_ALLOWED_PREFIXES = ("OMP_", "MKL_", "OPENBLAS_", "KMP_", "GOMP_", "MALLOC_")


@dataclass(frozen=True)
class Limits:
    """Resource limits of an intake child; None leaves one as it is.

    `address_space_bytes` counts from what is mapped when the child starts, because the libraries
    that the fork server has loaded map gigabytes that nobody uses. Never for CUDA, which maps
    far more than it holds.
    """

    address_space_bytes: int | None = None
    cpu_s: int | None = None
    file_bytes: int | None = None
    open_files: int | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be positive, got {value}")


@dataclass(frozen=True)
class Refusal:
    step: Step
    reason: str


@dataclass(frozen=True)
class Isolation:
    """`done` and `refused` together name every step that this kind of child takes."""

    done: tuple[Step, ...]
    refused: tuple[Refusal, ...]

    @property
    def complete(self) -> bool:
        return not self.refused

    def to_message(self) -> dict[str, Any]:
        return {"isolation": asdict(self)}

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Isolation:
        """Raises ValueError when the message is not one that `to_message` made."""
        try:
            record = message["isolation"]
            refused = tuple(Refusal(_step(r["step"]), str(r["reason"])) for r in record["refused"])
            return cls(tuple(_step(name) for name in record["done"]), refused)
        except (KeyError, TypeError) as error:
            raise ValueError("not an isolation record") from error


@dataclass(frozen=True)
class Plan:
    """What the fork server knows about the child it has just become."""

    kind: Kind
    scratch: Path
    keep: frozenset[int]  # descriptors that stay open
    server_pid: int
    limits: Limits


def allowed_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that may reach a child: how to find things and how many threads to use."""
    return {
        name: value
        for name, value in environment.items()
        if name in _ALLOWED or name.startswith(_ALLOWED_PREFIXES)
    }


def isolate(plan: Plan) -> Isolation:
    """Takes every step of the plan's kind. Ends the process at once if the server is gone."""
    done: list[Step] = []
    refused: list[Refusal] = []
    for step, take in _steps(plan.kind).items():
        try:
            take(plan)
        except (OSError, ValueError) as error:  # setrlimit says no with a ValueError
            refused.append(Refusal(step, str(error)))
        else:
            done.append(step)
    return Isolation(tuple(done), tuple(refused))


def die_with_parent(parent_pid: int, signum: signal.Signals) -> None:
    """Asks the kernel for `signum` when the *thread* that created this process ends.

    Exits at once when the parent has already gone, which the kernel would not tell.
    """
    linux.prctl(linux.PR_SET_PDEATHSIG, int(signum))
    if os.getppid() != parent_pid:
        os._exit(1)


def _steps(kind: Kind) -> dict[Step, Callable[[Plan], None]]:
    steps: dict[Step, Callable[[Plan], None]] = {
        "session": lambda _: os.setsid(),
        "parent_death": _die_with_server,
        "oom_first": lambda _: _write("/proc/self/oom_score_adj", str(_OOM_SCORE)),
        "descriptors": _close_descriptors,
        "environment": _clean_environment,
        "network": _leave_network,
        "loopback": lambda _: _raise_loopback(),
    }
    if kind == "intake" and os.geteuid() == 0:
        steps["reachable"] = _open_the_way
        steps["unprivileged"] = _become_nobody
    steps["limits"] = _set_limits
    steps["no_new_privileges"] = lambda _: linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    if kind == "job" and os.geteuid() == 0:
        # With them root looks into any process, Landlock or not: at its worker's environment
        steps["capabilities"] = lambda _: linux.drop_capabilities()
    steps["files"] = _leave_files
    return steps


def _die_with_server(plan: Plan) -> None:
    die_with_parent(plan.server_pid, signal.SIGKILL)


def _close_descriptors(plan: Plan) -> None:
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  (numbers, not paths)
        if int(name) not in plan.keep:
            try:
                os.close(int(name))
            except OSError:  # the one that listed the folder
                continue


def _clean_environment(plan: Plan) -> None:
    kept = allowed_environment(os.environ)
    os.environ.clear()
    os.environ.update(kept, HOME=str(plan.scratch), TMPDIR=str(plan.scratch))
    tempfile.tempdir = None  # the server may have asked for it, and remember its own


def _leave_network(plan: Plan) -> None:
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        with contextlib.suppress(PermissionError):
            linux.unshare(linux.CLONE_NEWNET)
            return
    # Without the right to make a network namespace, a user namespace of one's own grants it.
    linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWNET)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{uid} {uid} 1")
    _write("/proc/self/gid_map", f"{gid} {gid} 1")
    _die_with_server(plan)  # a change of credentials disarms it


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack_from("16xh", fcntl.ioctl(sock, _SIOCGIFFLAGS, request))
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def _open_the_way(plan: Plan) -> None:
    make_reachable([plan.scratch, *map(Path, {sys.prefix, sys.base_prefix, *sys.path})])
    os.chdir(plan.scratch)  # the old one is below a folder that is out of sight now


def _become_nobody(plan: Plan) -> None:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    _die_with_server(plan)  # a change of credentials disarms it


def _set_limits(plan: Plan) -> None:
    _limit(resource.RLIMIT_CORE, 0)
    if plan.limits.address_space_bytes is not None:
        _limit(resource.RLIMIT_AS, _mapped_bytes() + plan.limits.address_space_bytes)
    for which, value in (
        (resource.RLIMIT_CPU, plan.limits.cpu_s),
        (resource.RLIMIT_FSIZE, plan.limits.file_bytes),
        (resource.RLIMIT_NOFILE, plan.limits.open_files),
    ):
        if value is not None:
            _limit(which, value)


def _leave_files(plan: Plan) -> None:
    shared = [plan.scratch.parent / name for name in SHARED_FILES] if plan.kind == "job" else []
    for path in shared:
        path.touch(mode=0o600)  # a rule is for a file that is there
    confine(shared, os.environ, linux.landlock_version())


def _limit(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, value))


def _mapped_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _write(path: str, text: str) -> None:
    Path(path).write_text(text)


def _step(name: object) -> Step:
    if name not in get_args(Step):
        raise ValueError(f"no isolation step is called {name!r}")
    return cast(Step, name)
