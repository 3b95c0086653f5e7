"""State dicts that `torch.save` wrote. The one place that unpickles anything uploaded."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn
from zipfile import ZIP_STORED

import torch
from torch import Tensor

from worker.engine.errors import InvalidModel
from worker.engine.intake.archive import files, opened
from worker.engine.intake.pickle_scan import ADVICE, MAX_BYTES, check_pickle
from worker.engine.intake.upload import Upload
from worker.engine.shown import shown

# What training scripts call the weights, the plain ones before the averaged ones.
_NESTED: Final = (
    *("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights"),
    *("params", "state_dict_ema", "ema_state_dict", "model_ema", "ema", "params_ema"),
)
_RECORDS: Final = frozenset(
    {"data.pkl", "version", "byteorder", ".format_version", ".storage_alignment"}
)
_DEPTH: Final = 3
_MAX_SHARING: Final = 8  # weights that are tied count once per name
_SLACK_BYTES: Final = 1 << 20


def read_torch(path: Path) -> Upload:
    """The tensors of a state dict, as views of the file, and where in it they were.

    Nothing runs that is not on a list of names, `weights_only` or not: the instructions of the
    pickle are read before torch gets them. Raises `InvalidModel`.
    """
    stored_bytes = _check_records(path)
    try:
        # The reader that torch.load uses, so that both see the same bytes.
        scanned = torch._C.PyTorchFileReader(str(path)).get_record("data.pkl")
    except RuntimeError as error:
        _refuse(error)
    check_pickle(scanned)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except MemoryError:
        raise
    except Exception as error:  # the unpickler raises whatever it meets
        _refuse(error)
    _check_storages(loaded, stored_bytes)
    return _tensors_of(loaded)


def _check_records(path: Path) -> int:
    """How many bytes its storages have."""
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            raise InvalidModel("it is not the zip archive that torch.save writes", ADVICE)
    with opened(path) as archive:
        records = {member.filename.partition("/")[2]: member for member in files(archive)}
    if "constants.pkl" in records or any(name.startswith("code/") for name in records):
        raise InvalidModel("it is TorchScript, which holds code", ADVICE)
    for record, member in records.items():
        if not (record in _RECORDS or record.startswith((".data/", "data/"))):
            raise InvalidModel(
                f"it holds {member.filename[:120]}, which a state dict does not", ADVICE
            )
        if member.compress_type != ZIP_STORED:
            raise InvalidModel(f"{member.filename[:120]} is compressed; torch.save never does that")
        if record == "data.pkl" and member.file_size > MAX_BYTES:
            raise InvalidModel(f"its data.pkl has {member.file_size} bytes", ADVICE)
    return sum(m.file_size for record, m in records.items() if record.startswith("data/"))


def _check_storages(loaded: object, stored_bytes: int) -> None:
    """The file is mapped: a storage that is longer than its record would go on in the next one."""
    storages = (tensor.untyped_storage() for tensor in _tensors_within(loaded))
    claimed = {storage.data_ptr(): storage.nbytes() for storage in storages if storage.nbytes()}
    if sum(claimed.values()) != stored_bytes:
        raise InvalidModel(
            f"its storages claim {sum(claimed.values())} bytes, the file holds {stored_bytes}"
        )


def _tensors_within(loaded: object) -> Iterator[Tensor]:
    """Of dicts and lists however deep; some hold themselves."""
    waiting, seen = [loaded], set[int]()
    while waiting:
        found = waiting.pop()
        if isinstance(found, Tensor):
            yield found
        elif id(found) not in seen:
            seen.add(id(found))
            if isinstance(found, Mapping):
                waiting += [*found.keys(), *found.values()]
            elif isinstance(found, list | tuple | set):
                waiting += found


def _refuse(error: Exception) -> NoReturn:
    reason = str(error).strip().partition("\n")[0][:200] or type(error).__name__
    raise InvalidModel(f"torch cannot read it: {reason}", ADVICE) from error


def _tensors_of(loaded: Any) -> Upload:
    notes: list[str] = []
    found = loaded
    for _ in range(_DEPTH):
        if not isinstance(found, Mapping):
            kind = type(found).__name__
            raise InvalidModel(f"it holds a {kind}, not a dict of tensors", ADVICE)
        tensors = {k: v for k, v in found.items() if isinstance(k, str) and isinstance(v, Tensor)}
        nested = [name for name in _NESTED if isinstance(found.get(name), Mapping)]
        if not nested or len(tensors) > len(nested):
            break
        notes.append(_nested_note(nested))
        found = found[nested[0]]
    if not tensors:
        raise InvalidModel("it holds no dict of named tensors", ADVICE)
    ignored = [_key(key) for key in found if key not in tensors]
    if ignored:
        notes.append(f"ignored, since not tensors: {shown(ignored)}")
    _check_tensors(tensors)
    return Upload({n: t.detach() for n, t in tensors.items()}, notes=tuple(notes))


def _key(key: object) -> str:
    """Of other keys the type: tuples of tuples from a pickle's memo have endless texts."""
    return key if isinstance(key, str) else f"a key of type {type(key).__name__}"


def _nested_note(nested: list[str]) -> str:
    others = f"; also there: {shown(nested[1:])}" if nested[1:] else ""
    return f"the weights were found under {nested[0]!r}{others}"


def _check_tensors(tensors: Mapping[str, Tensor]) -> None:
    """They must be plain, and what they claim must be in the file: a view with strides of zero
    turns four bytes into terabytes."""
    stored = {
        t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors.values()
    }
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if claimed > _MAX_SHARING * sum(stored.values()) + _SLACK_BYTES:
        raise InvalidModel(
            f"its tensors claim {claimed} bytes, the file holds {sum(stored.values())}"
        )
    for name, tensor in tensors.items():
        plain = type(tensor) in (Tensor, torch.nn.Parameter) and not tensor.is_quantized
        if not plain or tensor.layout != torch.strided:
            raise InvalidModel(f"{name[:120]} is not a plain tensor", ADVICE)
