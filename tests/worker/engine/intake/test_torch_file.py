"""State dicts of torch.save: what is found in them, and what is refused before it can act."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from worker.engine.errors import InvalidModel
from worker.engine.intake.torch_file import read_torch


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    def save(value: Any, **options: Any) -> Path:
        torch.save(value, tmp_path / "model.pt", **options)
        return tmp_path / "model.pt"

    return save


def _rewritten(path: Path, change: Callable[[str, bytes], bytes], **extra: bytes) -> Path:
    """The archive with its members changed, stored as torch stores them."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    top = next(iter(members)).partition("/")[0]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, change(name, data))
        for name, data in extra.items():
            archive.writestr(f"{top}/{name.replace('__', '/')}", data)
    return path


def test_a_state_dict_is_read_as_it_was(saved: Callable[..., Path]) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    upload = read_torch(saved(module.state_dict()))
    assert upload.notes == ()
    for name, tensor in module.state_dict().items():
        assert torch.equal(upload.tensors[name], tensor)


def test_parameters_are_read_as_tensors(saved: Callable[..., Path]) -> None:
    upload = read_torch(saved(dict(nn.Linear(3, 2).named_parameters())))
    assert all(type(tensor) is torch.Tensor for tensor in upload.tensors.values())


def test_a_nested_state_dict_is_found_and_said(saved: Callable[..., Path]) -> None:
    weights = nn.Linear(3, 2).state_dict()
    checkpoint = {"epoch": 3, "state_dict": weights, "ema": weights, "optimizer": {"lr": 0.1}}
    upload = read_torch(saved(checkpoint))
    assert set(upload.tensors) == {"weight", "bias"}
    assert upload.notes == ("the weights were found under 'state_dict'; also there: ema",)


def test_what_is_no_tensor_is_left_out_and_listed(saved: Callable[..., Path]) -> None:
    upload = read_torch(saved({**nn.Linear(3, 2).state_dict(), "epoch": 7, "note": "good"}))
    assert set(upload.tensors) == {"weight", "bias"}
    assert upload.notes == ("ignored, since not tensors: epoch, note",)


def test_keys_that_are_no_texts_are_shown_by_their_type(saved: Callable[..., Path]) -> None:
    key: tuple[Any, ...] = ()
    for _ in range(12):  # its text doubles with each
        key = (key, key)
    value = {"w": torch.zeros(2), key: 1, 7: 2}
    assert read_torch(saved(value)).notes == (
        "ignored, since not tensors: a key of type tuple, a key of type int",
    )


def test_weights_that_are_tied_are_one_storage(saved: Callable[..., Path]) -> None:
    shared = torch.ones(1000)
    upload = read_torch(saved({"a": shared, "b": shared}))
    assert torch.equal(upload.tensors["a"], upload.tensors["b"])


def test_a_view_that_claims_more_than_the_file_holds_is_refused(
    saved: Callable[..., Path],
) -> None:
    path = saved({"w": torch.zeros(1).expand(10**6, 10**6)})
    assert path.stat().st_size < 2000
    with pytest.raises(InvalidModel, match="claim 4000000000000 bytes, the file holds 4"):
        read_torch(path)


def test_a_whole_module_is_refused_with_what_to_send(saved: Callable[..., Path]) -> None:
    with pytest.raises(InvalidModel, match=r"torch\.nn\.modules\.linear\.Linear") as refused:
        read_torch(saved(nn.Linear(3, 2)))
    assert "state_dict()" in str(refused.value.hint)


class _Reducing:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


def test_a_pickle_that_calls_something_is_named_and_not_run(
    saved: Callable[..., Path], tmp_path: Path
) -> None:
    marker = tmp_path / "ran"
    with pytest.raises(InvalidModel, match=r"holds an object that is not a tensor: __builtin__"):
        read_torch(saved({"w": torch.zeros(1), "x": _Reducing(marker)}))
    assert not marker.exists()


@pytest.mark.parametrize("protocol", [4, 5])
def test_names_taken_from_the_stack_are_refused(saved: Callable[..., Path], protocol: int) -> None:
    with pytest.raises(InvalidModel, match="uses the instruction"):
        read_torch(saved(nn.Linear(3, 2).state_dict(), pickle_protocol=protocol))


def test_the_old_format_is_refused(saved: Callable[..., Path]) -> None:
    with pytest.raises(InvalidModel, match="not the zip archive"):
        read_torch(saved(nn.Linear(3, 2).state_dict(), _use_new_zipfile_serialization=False))


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ("code__model.py", "TorchScript"),
        ("constants.pkl", "TorchScript"),
        ("extra__inner.zip", "which a state dict does not"),
        ("models__model.json", "which a state dict does not"),
    ],
)
def test_archives_of_other_kinds_are_refused(
    saved: Callable[..., Path], member: str, reason: str
) -> None:
    path = _rewritten(saved({"w": torch.zeros(1)}), lambda _, data: data, **{member: b"x"})
    with pytest.raises(InvalidModel, match=reason):
        read_torch(path)


def test_compressed_members_are_refused(saved: Callable[..., Path]) -> None:
    path = saved({"w": torch.zeros(1000)})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(InvalidModel, match="is compressed"):
        read_torch(path)


def test_a_storage_that_lies_about_its_length_is_refused(saved: Callable[..., Path]) -> None:
    def lie(name: str, data: bytes) -> bytes:
        # 1,000 elements, as a storage and as a shape: 30,000 of them.
        return data.replace(b"M\xe8\x03", b"M\x30\x75") if name.endswith("data.pkl") else data

    with pytest.raises(InvalidModel, match="torch cannot read it"):
        read_torch(_rewritten(saved({"w": torch.zeros(1000)}), lie))


@pytest.mark.parametrize("kept", [0, 3, 30, 300, 700, 1100])
def test_a_truncated_file_is_refused(saved: Callable[..., Path], kept: int) -> None:
    path = saved(nn.Linear(3, 2).state_dict())
    assert path.stat().st_size > kept
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InvalidModel):
        read_torch(path)


@pytest.mark.parametrize("value", [[torch.zeros(1)], torch.zeros(3), {"a": 1}, {}, {1: 2}])
def test_what_is_no_dict_of_tensors_is_refused(saved: Callable[..., Path], value: object) -> None:
    with pytest.raises(InvalidModel, match="dict"):
        read_torch(saved(value))


def test_sparse_tensors_are_refused(saved: Callable[..., Path]) -> None:
    with pytest.raises(InvalidModel, match="_rebuild_sparse_tensor"):
        read_torch(saved({"w": torch.eye(3).to_sparse()}))


def test_names_in_an_archive_must_be_safe(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../data.pkl", b"")
    (tmp_path / "model.pt").write_bytes(buffer.getvalue())
    with pytest.raises(InvalidModel, match="unsafe name"):
        read_torch(tmp_path / "model.pt")
