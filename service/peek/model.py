"""Which format a model came in: by what the file is, never by its name."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, assert_never

from service.contract.models import SourceFormat
from service.errors import Invalid, Unsupported
from service.peek import onnx, safetensors
from service.peek.foreign import HEAD_BYTES, SAVE_WEIGHTS, foreign
from service.peek.source import Broken, ReadRange, Source
from service.peek.zip_directory import members_of

_MAX_MEMBERS: Final = 20_000
_MAX_DIRECTORY: Final = 2 << 20  # names are kept in memory
_JSON_OF_PT2: Final = ("serialized_exported_program.json", "serialized_state_dict.pt")
_TAKEN: Final = (
    "take a .safetensors, a state dict of torch.save, a zip of a Hugging Face folder, or .onnx"
)


def format_of(size: int, read: ReadRange) -> SourceFormat:
    """What the file is, once its headers are right.

    Raises Unsupported for a format that is not taken, Invalid for a file that is damaged.
    """
    source = Source(size, read)
    format_ = _seems(source)
    try:
        match format_:
            case "safetensors":
                safetensors.check(source)
            case "onnx":
                onnx.check(source)
            case "torch" | "huggingface":
                pass  # the directory told which of the two it is, and was checked on the way
            case _:
                assert_never(format_)
    except Broken as error:
        raise _invalid(f"not a whole {format_} file: {error}") from None
    return format_


def _seems(source: Source) -> SourceFormat:
    head = source.bytes_at(0, HEAD_BYTES)
    if head.startswith(b"PK"):
        try:
            return _format_of_zip(source)
        except Broken as error:
            raise _invalid(f"not a whole zip archive: {error}") from None
    if head[4:9] == b"\0\0\0\0{" or len(head) < 9:
        return "safetensors"
    if onnx.looks_like_onnx(head):
        return "onnx"
    known = foreign(head)
    if known is None:
        raise _unsupported(f"this is none of the formats that hold models; {_TAKEN}")
    raise _unsupported(str(known))


@dataclass(frozen=True)
class _Names:
    """What a zip holds, below the folder at its top if all lies in one."""

    paths: frozenset[str]

    def has(self, *paths: str) -> bool:
        return any(path in self.paths for path in paths)

    def some(self, holds: Callable[[str], bool]) -> bool:
        return any(holds(path) for path in self.paths)


def _format_of_zip(source: Source) -> SourceFormat:
    names = _Names(frozenset(_inner(_distinct(source))))
    if names.has("data.pkl") and (names.has("constants.pkl") or names.some(_is_code)):
        raise _unsupported(f"this is TorchScript, which is a program; {SAVE_WEIGHTS}")
    if names.has("archive_format", *_JSON_OF_PT2) or names.some(_is_exported_program):
        raise _unsupported(
            "this is a .pt2 of torch.export, which can run code when it is loaded; send "
            "safetensors, or ONNX: torch.onnx.export(…)"
        )
    if names.has("data.pkl"):
        return "torch"
    if names.has("model.weights.h5"):
        raise _unsupported("this is a Keras model; send ONNX, or PyTorch weights as safetensors")
    if names.has("config.json"):
        return "huggingface"
    if names.some(lambda name: name.endswith(".npy")):
        raise _unsupported("this is .npz: arrays; register it as a dataset, or send safetensors")
    if names.some(lambda name: name.endswith((".pt", ".pth", ".pkl", ".safetensors", ".onnx"))):
        raise _unsupported("this is a zip around a model; send the file that is in it")
    raise _unsupported(f"this zip holds no model; {_TAKEN}")


def _distinct(source: Source) -> list[str]:
    members = members_of(source)
    if members.count > _MAX_MEMBERS:
        raise Broken(f"it has {members.count} members, {_MAX_MEMBERS} are taken")
    if members.directory_bytes > _MAX_DIRECTORY:
        raise Broken(f"its directory has {members.directory_bytes} bytes")
    names: dict[str, None] = {}
    for member in members.first(members.count):
        if member.name in names:
            raise Broken(f"{member.name[:80]!r} is there twice")
        names[member.name] = None
    return list(names)


def _inner(names: list[str]) -> Iterable[str]:
    tops = {name.partition("/")[0] for name in names}
    if len(tops) == 1 and all("/" in name for name in names):
        return (name.partition("/")[2] for name in names)
    return names


def _is_code(name: str) -> bool:
    return name.startswith("code/")


def _is_exported_program(name: str) -> bool:
    return name.startswith("models/") and name.endswith(".json")


def _invalid(reason: str) -> Invalid:
    return Invalid.at("#/file", reason, "invalid_model")


def _unsupported(reason: str) -> Unsupported:
    return Unsupported(reason, code="unsupported_weights")
