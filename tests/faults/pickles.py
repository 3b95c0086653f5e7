"""Pickles that run a command, each by another way: as files, and inside what torch.save writes."""

import functools
import importlib
import io
import operator
import os
import pickle
import runpy
import struct
import subprocess
import tarfile
import timeit
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tests.faults.seeds import torch_file, weights, zipped

Command = Callable[[str], str]
"""The shell command whose mark has this name."""


@dataclass(frozen=True)
class Call:
    """Is a call to whoever unpickles it."""

    function: Any
    arguments: tuple[Any, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.arguments

    def __call__(self) -> None:
        """Pickle wants what it calls to be callable."""


def touch(path: Path) -> str:
    """A command that leaves a mark."""
    return f"touch {path}"


def by_call(command: str) -> Mapping[str, object]:
    """Objects whose unpickling runs `command`."""
    python = f"__import__('os').system({command!r})"
    nested = pickle.dumps(Call(os.system, (command,)))
    legacy = torch_file(Call(os.system, (command,)))
    module = Call(importlib.import_module, ("os",))
    return {
        "os.system": Call(os.system, (command,)),
        "exec": Call(exec, (python,)),
        "eval": Call(eval, (python,)),
        "subprocess.Popen": Call(subprocess.Popen, (command.split(),)),
        "subprocess.check_output": Call(subprocess.check_output, (command.split(),)),
        "os.popen": Call(os.popen, (command,)),
        "timeit": Call(timeit.timeit, ("pass", python, timeit.default_timer, 1)),
        "getattr": Call(Call(getattr, (module, "system")), (command,)),
        "attrgetter": Call(Call(Call(operator.attrgetter, ("system",)), (module,)), (command,)),
        "methodcaller": Call(Call(operator.methodcaller, ("system", command)), (module,)),
        "map": Call(list, (Call(map, (os.system, [command])),)),
        "partial": Call(Call(functools.partial, (os.system, command)), ()),
        "reduce": Call(functools.reduce, (operator.call, [os.system, command])),
        "pickle.loads": Call(pickle.loads, (nested,)),
        "torch.storage": Call(torch.storage._load_from_bytes, (legacy,)),
        "runpy": Call(runpy.run_path, (command.split()[-1],)),
        "a compiled program": Call(exec, (Call(compile, (python, "x", "exec")),)),
        "a key of a dict": {Call(os.system, (command,)): torch.zeros(1)},
        "beside good weights": {**weights(), "note": Call(os.system, (command,))},
    }  # fmt: skip


def by_hand(command: str) -> Mapping[str, bytes]:
    """Pickles that no pickler would write."""
    text = command.encode()
    short = struct.pack("<I", len(text)) + text
    module = b"cposix\nsystem\n"
    return {
        "REDUCE in text": b"cposix\nsystem\n(S'" + text + b"'\ntR.",
        "INST": b"(S'" + text + b"'\niposix\nsystem\n.",
        "OBJ": b"(" + module + b"S'" + text + b"'\no.",
        "NEWOBJ": b"\x80\x02csubprocess\nPopen\nX" + short + b"\x85\x81.",
        "NEWOBJ_EX": b"\x80\x04\x8c\x05posix\x8c\x06system\x93X" + short + b"\x85}\x92.",
        "STACK_GLOBAL": b"\x80\x04\x8c\x05posix\x8c\x06system\x93X" + short + b"\x85R.",
        "STACK_GLOBAL by memo": b"\x80\x04\x8c\x06system\x94\x8c\x05posixh\x00\x93X"
        + short
        + b"\x85R.",
        "BUILD": b"\x80\x02cfunctools\npartial\ncposix\nsystem\n\x85R(cposix\nsystem\n(X"
        + short
        + b"t}}tb)R.",
        "EXT1": b"\x80\x02\x82\x01X" + short + b"\x85R.",
        "a dotted name": b"\x80\x04\x8c\x05torch\x8c\x17serialization.os.system\x93X"
        + short
        + b"\x85R.",
        "a GLOBAL with a dot": b"\x80\x02ctorch.serialization\nos.system\nX" + short + b"\x85R.",
        "an allowed name, then more": b"\x80\x02ccollections\nOrderedDict\n)R0"
        + module
        + b"X"
        + short
        + b"\x85R.",
        "a persistent id": b"\x80\x02(X\x07\x00\x00\x00storage" + module + b"X" + short + b"tQ.",
        "a call in the memo": b"\x80\x02" + module + b"q\x000h\x00X" + short + b"\x85R.",
        "two pickles in a row": b"\x80\x02}.\x80\x02" + module + b"X" + short + b"\x85R.",
        "a frame that hides it": b"\x80\x04\x95\x02\0\0\0\0\0\0\0N0" + module + b"X"
        + short + b"\x85R.",
    }  # fmt: skip


def in_torch_zip(pickled: bytes, extra: Mapping[str, bytes] | None = None) -> bytes:
    """A state dict's archive whose data.pkl is this."""
    with zipfile.ZipFile(io.BytesIO(torch_file(dict(weights())))) as good:
        members: dict[str, bytes | str] = {name: good.read(name) for name in good.namelist()}
    members["archive/data.pkl"] = pickled
    members |= {f"archive/{name}": content for name, content in (extra or {}).items()}
    return zipped(members, zipfile.ZIP_STORED)


def torch_payloads(command: Command) -> Iterator[tuple[str, bytes]]:
    """(name, file): each would run the command of its name in a `torch.load` that trusts it."""
    for name in by_call("true"):
        label = f"torch, {name}"
        yield label, torch_file(by_call(command(label))[name])
    for name in by_hand("true"):
        label = f"torch, {name}"
        yield label, in_torch_zip(by_hand(command(label))[name])


def other_payloads(command: Command) -> Iterator[tuple[str, bytes]]:
    """Pickles in other clothes."""

    def evil(label: str) -> bytes:
        return pickle.dumps(Call(os.system, (command(label),)), protocol=2)

    good = _good_pickle()
    for protocol in range(6):
        label = f"a bare pickle of protocol {protocol}"
        yield label, pickle.dumps(Call(os.system, (command(label),)), protocol=protocol)
    label = "torch before 1.6"
    yield (
        label,
        torch_file(Call(os.system, (command(label),)), _use_new_zipfile_serialization=False),
    )
    label = "a tar as of torch 0.1"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member in ("pickle", "storages", "tensors", "sys_info"):
            info = tarfile.TarInfo(member)
            info.size = len(evil(label))
            archive.addfile(info, io.BytesIO(evil(label)))
    yield label, buffer.getvalue()
    for member in ("constants.pkl", "extra/data.pkl", "data/9", "byteorder", "code/__torch__.py"):
        label = f"torch, {member} beside"
        yield label, in_torch_zip(good, {member: evil(label)})
    label = "torch, a second archive behind"
    yield label, in_torch_zip(good) + in_torch_zip(evil(label))
    label = "torch, an archive in front"
    yield label, in_torch_zip(evil(label)) + in_torch_zip(good)


def _good_pickle() -> bytes:
    with zipfile.ZipFile(io.BytesIO(torch_file(dict(weights())))) as archive:
        return next(archive.read(n) for n in archive.namelist() if n.endswith("data.pkl"))
