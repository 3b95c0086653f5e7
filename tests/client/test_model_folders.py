"""A folder goes up as one file: the same bytes for the same folder."""

import zipfile
from pathlib import Path

import pytest

from service.client.folder import zip_folder


def test_only_what_says_what_a_model_is_goes_in(tmp_path: Path) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "README.md", "optimizer.pt", "train.py"):
        (folder / name).write_text(name)
    with zipfile.ZipFile(zip_folder(folder, tmp_path / "net.zip")) as archive:
        assert archive.namelist() == ["config.json", "model.safetensors"]
        assert archive.read("model.safetensors") == b"model.safetensors"
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_STORED}
    again = zip_folder(folder, tmp_path / "again.zip").read_bytes()
    assert again == (tmp_path / "net.zip").read_bytes()


def test_a_folder_without_a_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        zip_folder(tmp_path, tmp_path / "net.zip")
