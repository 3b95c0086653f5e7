"""The system calls that Python has no name for. Each raises OSError where the kernel refuses."""

from __future__ import annotations

import ctypes
import os
import struct

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000

_CAPABILITY_VERSION_3 = 0x20080522
_LANDLOCK_CREATE_RULESET = 444  # the same number on every architecture, as all since 2019
_LANDLOCK_ADD_RULE = 445
_LANDLOCK_RESTRICT_SELF = 446
_LANDLOCK_VERSION = 1
_LANDLOCK_PATH_BENEATH = 1

_libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int) -> None:
    zero = ctypes.c_ulong(0)
    _check(_libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero))


def unshare(flags: int) -> None:
    _check(_libc.unshare(flags))


def mount(source: str, target: str, kind: str | None, flags: int, options: str | None) -> None:
    texts = [text.encode() if text is not None else None for text in (source, target, kind)]
    data = options.encode() if options is not None else None
    _check(_libc.mount(*texts, ctypes.c_ulong(flags), data))


def drop_capabilities() -> None:
    """Give up what root may do beyond its files, for good where no new privileges are gained."""
    this_process = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(this_process, bytes(6 * 4)))


def landlock_version() -> int:
    """What the kernel can do of it; see the table in `landlock(7)`."""
    flags = ctypes.c_uint32(_LANDLOCK_VERSION)
    return _returned(_libc.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), flags))


def landlock_ruleset(file_rights: int, scoped: int, version: int) -> int:
    """A descriptor of a new ruleset: rights that are named and not allowed are denied."""
    attributes = struct.pack("=QQQ", file_rights, 0, scoped)
    if version < 6:
        attributes = attributes[:8]  # older kernels know the beginning only
    size = ctypes.c_size_t(len(attributes))
    return _returned(_libc.syscall(_LANDLOCK_CREATE_RULESET, attributes, size, ctypes.c_uint32(0)))


def landlock_allow(ruleset: int, path_fd: int, file_rights: int) -> None:
    """Allow these rights on a file, or on all below a folder."""
    rule = struct.pack("=Qi", file_rights, path_fd)
    none = ctypes.c_uint32(0)
    _check(_libc.syscall(_LANDLOCK_ADD_RULE, ruleset, _LANDLOCK_PATH_BENEATH, rule, none))


def landlock_restrict(ruleset: int) -> None:
    """Keep the calling thread, and all it starts, to the ruleset."""
    _check(_libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, ctypes.c_uint32(0)))


def _returned(result: int) -> int:
    _check(min(result, 0))
    return result


def _check(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
