"""Model folders as zip: timm's, Hugging Face's, ours, and what does not belong in one."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models import save_for_hf

from worker.engine.errors import InvalidModel
from worker.engine.intake.archive import opened
from worker.engine.intake.fit import fit
from worker.engine.intake.folder_zip import FoundGraph, read_folder_zip
from worker.engine.intake.settle import config_of
from worker.engine.intake.upload import Described, Upload
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import build, save_folder, save_graph

NOTHING = Described()
Zip = Callable[..., Path]


@pytest.fixture
def zipped(tmp_path: Path) -> Zip:
    """A zip of a folder, or of named bytes."""

    def make(source: Path | dict[str, bytes], top: str = "") -> Path:
        if isinstance(source, Path):
            source = {path.name: path.read_bytes() for path in sorted(source.iterdir())}
        with zipfile.ZipFile(tmp_path / "upload.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in source.items():
                archive.writestr(f"{top}{name}", data)
        return tmp_path / "upload.zip"

    return make


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def _weights(tmp_path: Path) -> bytes:
    save_file({"w": torch.zeros(2)}, tmp_path / "w.safetensors")
    return (tmp_path / "w.safetensors").read_bytes()


def _read(path: Path, scratch: Path) -> Upload:
    found = read_folder_zip(path, scratch)
    assert isinstance(found, Upload)
    return found


@pytest.mark.parametrize("top", ["", "resnet/"])
def test_what_timm_saves_says_all_of_itself(
    tmp_path: Path, zipped: Zip, scratch: Path, top: str
) -> None:
    torch.manual_seed(0)
    module = timm.create_model("resnet10t", num_classes=7).eval()
    save_for_hf(module, str(tmp_path / "saved"), safe_serialization=True)
    upload = _read(zipped(tmp_path / "saved", top), scratch)
    config = config_of(NOTHING, upload.described, upload.tensors)
    assert (config.architecture, config.classes) == ("timm/resnet10t", 7)
    assert config.input_size == (3, 176, 176)
    assert config.mean == (0.485, 0.456, 0.406)
    rebuilt, _ = fit(config, upload.tensors)
    inputs = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(rebuilt(inputs), module(inputs))


def test_our_own_folder_keeps_what_was_done_to_the_model(
    tmp_path: Path, zipped: Zip, scratch: Path, config: ModelConfig
) -> None:
    config = replace(config, compression=({"kind": "distill", "loss": "kd"},), extra={"note": 1})
    save_folder(build(config), config, tmp_path / "saved", "# card")
    upload = _read(zipped(tmp_path / "saved"), scratch)
    assert config_of(NOTHING, upload.described, upload.tensors) == config
    assert upload.notes == ()


def test_our_own_graph_is_found(
    tmp_path: Path, zipped: Zip, scratch: Path, config: ModelConfig
) -> None:
    save_graph(b"a graph", replace(config, architecture="onnx"), tmp_path / "saved", "# card")
    found = read_folder_zip(zipped(tmp_path / "saved"), scratch)
    assert isinstance(found, FoundGraph)
    assert found.path.read_bytes() == b"a graph"
    assert found.described.labels == config.labels


def test_files_that_are_not_needed_are_named(
    tmp_path: Path, zipped: Zip, scratch: Path, config: ModelConfig
) -> None:
    save_folder(build(config), config, tmp_path / "saved", "# card")
    (tmp_path / "saved" / "modeling_mine.py").write_text("raise SystemExit")
    (tmp_path / "saved" / "pytorch_model.bin").write_bytes(b"\x80\x04")
    upload = _read(zipped(tmp_path / "saved"), scratch)
    assert upload.notes == ("ignored, since not needed: modeling_mine.py, pytorch_model.bin",)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"model_type": "vit", "auto_map": {"AutoModel": "mine.Model"}}, "code of its own"),
        ({"model_type": "vit", "trust_remote_code": True}, "code of its own"),
        ({"model_type": "vit", "architectures": ["ViTForMaskedLM"]}, "ForImageClassification"),
        ({"hidden_size": 3}, "names neither"),
        ({"architecture": "hf-hub:someone/something"}, "unknown architecture"),
        ({"architecture": "../../etc/passwd"}, "unknown architecture"),
        ({"architecture": "resnet10t", "model_args": {"block": "x"}}, "are not taken: block"),
        ({"architecture": "resnet10t", "num_classes": "many"}, "positive whole number"),
        ({"architecture": "resnet10t", "label_names": [1, 2]}, "list of texts"),
        ({"architecture": "resnet10t", "pretrained_cfg": {"input_size": [3, 9]}}, "three sides"),
        ({"architecture": "resnet10t", "pretrained_cfg": {"mean": "0"}}, "list of numbers"),
    ],
)
def test_configs_that_are_not_taken_have_a_reason(
    tmp_path: Path, zipped: Zip, scratch: Path, config: dict[str, Any], reason: str
) -> None:
    files = {"config.json": json.dumps(config).encode(), "model.safetensors": _weights(tmp_path)}
    with pytest.raises(InvalidModel, match=reason):
        read_folder_zip(zipped(files), scratch)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"model.safetensors": b""}, r"holds no config\.json"),
        ({"config.json": b"{}", "pytorch_model.bin": b""}, r"pytorch_model\.bin can run code"),
        ({"config.json": b"{}", "model-00001-of-00002.safetensors": b""}, "in parts"),
        ({"config.json": b"{", "model.safetensors": b""}, "is not JSON"),
        ({"config.json": b"[]", "model.safetensors": b""}, "must hold an object"),
        ({"config.json": b'{"a": 1, "a": 2}', "model.safetensors": b""}, "appears twice"),
        ({"config.json": b" " * (9 << 20), "model.safetensors": b""}, "absurd size"),
        ({"../config.json": b"{}"}, "unsafe name"),
        ({"/config.json": b"{}"}, "unsafe name"),
        ({"a\\config.json": b"{}"}, "odd characters"),
        ({"config.json": b"{}", "CONFIG.json": b"{}"}, "twice"),
    ],
)
def test_folders_that_are_not_taken_have_a_reason(
    zipped: Zip, scratch: Path, files: dict[str, bytes], reason: str
) -> None:
    with pytest.raises(InvalidModel, match=reason):
        read_folder_zip(zipped(files), scratch)


def test_a_number_that_is_out_of_range_is_no_fault_of_the_archive(
    zipped: Zip, scratch: Path, config: ModelConfig
) -> None:
    said = json.loads(config.to_json()) | {"mean": [10**400]}
    files = {"config.json": json.dumps(said).encode(), "model.safetensors": b""}
    with pytest.raises(InvalidModel, match="mean and std hold a number that is out of range"):
        read_folder_zip(zipped(files), scratch)


def test_what_the_caller_raises_passes_through_an_open_archive(zipped: Zip) -> None:
    with pytest.raises(ValueError, match="mine"), opened(zipped({"a": b""})):
        raise ValueError("mine")


def test_a_member_that_lies_nowhere_is_refused(zipped: Zip) -> None:
    path = zipped({"a": b"content"})
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 42 : entry + 46] = (len(data) + 1).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(InvalidModel, match="does not lie within"), opened(path):
        pass


def test_links_are_refused(tmp_path: Path, scratch: Path) -> None:
    link = zipfile.ZipInfo("model.safetensors")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "upload.zip", "w") as archive:
        archive.writestr("config.json", b"{}")
        archive.writestr(link, b"/etc/passwd")
    with pytest.raises(InvalidModel, match="not a plain file"):
        read_folder_zip(tmp_path / "upload.zip", scratch)


def test_a_member_whose_bytes_changed_is_refused(
    tmp_path: Path, scratch: Path, config: ModelConfig
) -> None:
    save_folder(build(config), config, tmp_path / "saved", "# card")
    with zipfile.ZipFile(tmp_path / "upload.zip", "w") as archive:
        for path in sorted((tmp_path / "saved").iterdir()):
            archive.write(path, path.name)
    content = bytearray((tmp_path / "upload.zip").read_bytes())
    content[content.index(b'"mlp"') + 1] ^= 1
    (tmp_path / "upload.zip").write_bytes(content)
    with pytest.raises(InvalidModel, match=r"config\.json in the archive is broken"):
        read_folder_zip(tmp_path / "upload.zip", scratch)
