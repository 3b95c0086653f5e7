"""The file without zeros."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from worker.engine.errors import InvalidModel
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import WEIGHTS, build, load_folder, save_folder
from worker.engine.prune.masks import apply_masks, maskable, weight_masks
from worker.engine.prune.sparse_file import SPARSE_WEIGHTS, load_sparse, save_sparse


def test_values_and_a_bit_for_each_weight(tmp_path: Path) -> None:
    weight = torch.zeros(2, 5)
    weight[0, 1], weight[1, 4] = 7.0, -2.0
    path = tmp_path / SPARSE_WEIGHTS
    assert save_sparse({"w": weight, "b": torch.ones(3)}, path)
    stored = load_file(path)
    assert stored["w.values"].tolist() == [7, -2]
    assert stored["w.mask"].tolist() == [0b01000000, 0b01000000]
    assert torch.equal(stored["b"], torch.ones(3))
    read = load_sparse(path)
    assert torch.equal(read["w"], weight)
    assert set(read) == {"w", "b"}


def test_dense_tensors_make_no_file(tmp_path: Path) -> None:
    assert not save_sparse({"w": torch.ones(4, 4)}, tmp_path / SPARSE_WEIGHTS)
    assert not (tmp_path / SPARSE_WEIGHTS).exists()


def test_a_folder_without_the_dense_file_loads_the_sparse_one_bit_for_bit(tmp_path: Path) -> None:
    config = ModelConfig("cnn_student", 10, (3, 8, 8), (0.0,) * 3, (1.0,) * 3)
    net = build(config).eval()
    apply_masks(net, weight_masks(net, maskable(net), 0.9))
    save_folder(net, config, tmp_path, "")
    assert save_sparse(load_file(tmp_path / WEIGHTS), tmp_path / SPARSE_WEIGHTS)
    dense = (tmp_path / WEIGHTS).stat().st_size
    # 10 % of 4 bytes and a bit of 32: 0.131 of the dense bytes, and the headers.
    assert (tmp_path / SPARSE_WEIGHTS).stat().st_size / dense < 0.15
    (tmp_path / WEIGHTS).unlink()
    loaded = load_folder(tmp_path).module.state_dict()
    assert all(torch.equal(loaded[n], t) for n, t in net.state_dict().items())


@pytest.mark.parametrize("shape", ["[3, 5]", "[99999999, 99999999]", "[-2, -5]", '["x"]'])
def test_a_lying_shape_is_an_invalid_model(tmp_path: Path, shape: str) -> None:
    path = tmp_path / SPARSE_WEIGHTS
    tensors = {"w.values": torch.ones(2), "w.mask": torch.tensor([3, 0], dtype=torch.uint8)}
    save_file(tensors, path, metadata={"sparse": f'{{"w": {shape}}}'})
    if shape == "[3, 5]":
        assert load_sparse(path)["w"].flatten()[6:8].tolist() == [1, 1]
        return
    with pytest.raises(InvalidModel):
        load_sparse(path)


def test_a_file_that_is_none_is_an_invalid_model(tmp_path: Path) -> None:
    (tmp_path / SPARSE_WEIGHTS).write_bytes(b"no")
    with pytest.raises(InvalidModel):
        load_sparse(tmp_path / SPARSE_WEIGHTS)
