"""The batches of an epoch: order, augmentation, layout, and what is mapped from disk."""

import json
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torchvision.transforms import v2

from worker.engine.data.augment import Augmentation, flip_and_crop, rand_augment
from worker.engine.data.batches import Batch, Batches, normalise
from worker.engine.data.canonical import load_data, save_data
from worker.engine.data.split import Data, Split
from worker.engine.errors import IncompatibleDataset
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import build
from worker.engine.seeds import seed_everything
from worker.engine.train.loop import fit

CPU = torch.device("cpu")


def same(first: Batch, second: Batch) -> bool:
    """Bit for bit, in every part."""
    parts = [(first.x, second.x), (first.y, second.y), (first.positions, second.positions)]
    if first.mix is not None and second.mix is not None:
        parts.append((first.mix.labels, second.mix.labels))
        if first.mix.share != second.mix.share:
            return False
    elif first.mix is not second.mix:
        return False
    return all(torch.equal(a, b) for a, b in parts)


def epoch(split: Split, offset: int = 0, **changes: Any) -> list[Batch]:
    options: dict[str, Any] = {"seed": 5, "epoch": 2, "shuffle": True, **changes}
    return list(Batches(split, 16, CPU, offset=offset, **options))


KINDS: list[dict[str, Any]] = [
    {"augmentation": "none"},
    {"augmentation": "flip_and_crop"},
    {"augmentation": "rand_augment"},
    {"augmentation": "flip_and_crop", "mixup_alpha": 0.2, "cutmix_alpha": 1.0},
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_an_epoch_resumed_at_an_offset_gives_the_batches_that_were_left(
    data: Data, kind: dict[str, Any]
) -> None:
    whole, rest = epoch(data.train, **kind), epoch(data.train, offset=2, **kind)
    assert [len(batch) for batch in whole] == [16, 16, 16, 12]
    assert len(rest) == 2
    assert all(same(a, b) for a, b in zip(whole[2:], rest, strict=True))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_batches_from_disk_are_those_from_memory(
    data: Data, tmp_path: Path, kind: dict[str, Any]
) -> None:
    save_data(data, tmp_path / "d.safetensors")
    small = load_data(tmp_path / "d.safetensors", memory_budget_bytes=2**30)
    large = load_data(tmp_path / "d.safetensors", memory_budget_bytes=0)
    assert (small.train.on_disk, large.train.on_disk, large.test.on_disk) == (False, True, True)
    assert small.digest == large.digest == data.digest
    for shuffle in (True, False):
        pairs = zip(
            epoch(small.train, shuffle=shuffle, **kind),
            epoch(large.train, shuffle=shuffle, **kind),
            strict=True,
        )
        assert all(same(a, b) for a, b in pairs)


def test_a_stream_that_is_left_early_leaves_no_thread_behind(data: Data) -> None:
    before = threading.active_count()
    stream = iter(Batches(replace(data.train, on_disk=True), 1, CPU))
    assert len(next(stream)) == 1
    assert threading.active_count() > before
    stream.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_an_error_while_reading_ahead_reaches_the_reader(data: Data) -> None:
    broken = Split(data.train.x[:20], data.train.y, on_disk=True)  # a file that was cut short
    with pytest.raises(IndexError):
        epoch(broken)


@pytest.mark.parametrize("augmentation", ["none", "flip_and_crop"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shuffle", [True, False])
def test_images_come_channels_last_whatever_they_were(
    data: Data, augmentation: Augmentation, layout: torch.memory_format, shuffle: bool
) -> None:
    given = Split(data.train.x.contiguous(memory_format=layout), data.train.y)
    wanted = epoch(data.train, augmentation=augmentation, shuffle=shuffle)
    for batch, other in zip(
        epoch(given, augmentation=augmentation, shuffle=shuffle), wanted, strict=True
    ):
        assert batch.x.is_contiguous(memory_format=torch.channels_last)
        assert same(batch, other)


def test_each_epoch_has_an_order_of_its_own_and_shows_everything(data: Data) -> None:
    orders = [
        torch.cat([b.positions for b in Batches(data.train, 7, CPU, epoch=e, shuffle=True)])
        for e in range(2)
    ]
    assert not torch.equal(orders[0], orders[1])
    assert all(sorted(order.tolist()) == list(range(60)) for order in orders)


def test_positions_say_where_an_example_came_from(data: Data) -> None:
    for shuffle in (True, False):
        for batch in Batches(data.train, 7, CPU, shuffle=shuffle):
            assert torch.equal(batch.x, data.train.x[batch.positions])


def test_flip_and_crop_only_mirrors_and_shifts() -> None:
    images = torch.arange(1, 129, dtype=torch.uint8).reshape(1, 2, 8, 8).repeat(400, 1, 1, 1)
    padded = torch.nn.functional.pad(images[0], (4, 4, 4, 4))
    possible = {
        tuple(view.flatten().tolist())
        for top in range(9)
        for left in range(9)
        for crop in [padded[:, top : top + 8, left : left + 8]]
        for view in (crop, crop.flip(2))
    }
    seen = flip_and_crop(images, torch.Generator().manual_seed(0))
    outcomes = {tuple(image.flatten().tolist()) for image in seen}
    assert outcomes <= possible
    assert len(possible) == 162
    # 400 draws among 162 miss one with probability e^(−400/162): 148 are expected.
    assert len(outcomes) > 130


def test_each_image_is_cropped_from_itself() -> None:
    images = torch.arange(1, 33, dtype=torch.float32)[:, None, None, None].expand(32, 3, 10, 12)
    seen = flip_and_crop(images, torch.Generator().manual_seed(0))
    assert [set(image.unique().tolist()) - {0.0} for image in seen] == [
        {float(value)} for value in range(1, 33)
    ]


def test_rand_augment_does_what_torchvisions_does_and_as_often() -> None:
    draw = torch.Generator().manual_seed(0)
    image = torch.randint(5, 250, (3, 24, 20), generator=draw, dtype=torch.uint8)
    theirs = v2.RandAugment(num_ops=1, magnitude=9)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        expected = {tuple(theirs(image).flatten().tolist()) for _ in range(400)}
    batch = image.expand(1400, -1, -1, -1)
    ours = rand_augment(batch, torch.Generator().manual_seed(2), operations=1)
    found = Counter(tuple(changed.flatten().tolist()) for changed in ours)
    assert set(found) == expected
    # Nine operations have two signs of equal odds, five have none: 1,400 ÷ 28 or ÷ 14 of each.
    counts = sorted(found.values())
    assert len(counts) == 9 * 2 + 5
    assert all(abs(count - 50) < 28 for count in counts[:18])
    assert all(abs(count - 100) < 39 for count in counts[18:])


def test_images_that_drew_differently_go_back_to_their_places() -> None:
    values = torch.arange(1, 61, dtype=torch.uint8)
    batch = values[:, None, None, None].expand(60, 3, 8, 8)
    changed = rand_augment(batch, torch.Generator().manual_seed(3))
    kept = [int(v) for v, image in zip(values, changed, strict=True) if v in image]
    # Geometry, identity, sharpness and stretching leave a constant image's value where it shows.
    assert len(kept) > 15
    others = [v for v, image in zip(values, changed, strict=True) if v not in image]
    assert len(kept) + len(others) == 60


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((4, 10), torch.uint8), ((4, 2, 8, 8), torch.uint8), ((4, 3, 8, 8), torch.float32)],
)
def test_rand_augment_says_what_it_cannot_take(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    with pytest.raises(IncompatibleDataset, match="rand_augment needs"):
        rand_augment(torch.zeros(shape, dtype=dtype), torch.Generator())


def test_normalising_divides_bytes_by_255_and_floats_not() -> None:
    pixels = torch.tensor([[[[255]]], [[[0]]]], dtype=torch.uint8)
    assert normalise(pixels, (0.5,), (0.25,)).flatten().tolist() == pytest.approx([2.0, -2.0])
    rows = torch.tensor([[3.0, 10.0]])
    assert normalise(rows, (1.0, 0.0), (2.0, 5.0)).tolist() == [[1.0, 2.0]]
    with pytest.raises(IncompatibleDataset):
        normalise(rows, (1.0,), (2.0,))


def test_normalising_is_torchvisions() -> None:
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (5, 3, 6, 7), generator=draw, dtype=torch.uint8)
    mean, std = (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)
    theirs = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)])
    for layout in (torch.contiguous_format, torch.channels_last):
        ours = normalise(images.contiguous(memory_format=layout), mean, std)
        torch.testing.assert_close(ours, theirs(images), rtol=1e-5, atol=1e-6)


def test_a_run_on_data_from_disk_ends_with_the_same_weights(
    data: Data, config: ModelConfig, tmp_path: Path
) -> None:
    save_data(data, tmp_path / "d.safetensors")
    ends = []
    for budget in (0, 2**30):
        seed_everything(0)
        model = build(config)
        given = load_data(tmp_path / "d.safetensors", memory_budget_bytes=budget)
        outcome = fit(
            model, given, mean=config.mean, std=config.std, epochs=2, batch_size=16,
            augmentation="flip_and_crop", device="cpu",
        )  # fmt: skip
        ends.append((model.state_dict(), outcome.history[-1].validation_loss))
    (mapped, mapped_loss), (copied, copied_loss) = ends
    assert mapped_loss == copied_loss
    assert all(torch.equal(tensor, copied[name]) for name, tensor in mapped.items())


def test_the_written_digest_is_believed_and_spares_a_pass(data: Data, tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    save_data(data, path)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert load_data(path).digest == data.digest


def test_a_file_without_a_digest_gets_the_same_one(data: Data, tmp_path: Path) -> None:
    tensors = {
        f"{name}_{letter}": getattr(getattr(data, name), letter)
        for name in ("train", "validation", "test")
        for letter in ("x", "y")
    }
    save_file(tensors, tmp_path / "d.safetensors")
    assert load_data(tmp_path / "d.safetensors").digest == data.digest


def test_validation_that_is_cut_late_makes_another_dataset(data: Data, tmp_path: Path) -> None:
    tensors = {
        "train_x": data.train.x, "train_y": data.train.y,
        "test_x": data.test.x, "test_y": data.test.y,
    }  # fmt: skip
    about = {"modelpress": json.dumps({"labels": None, "digest": "0" * 64})}
    save_file(tensors, tmp_path / "d.safetensors", metadata=about)
    loaded = load_data(tmp_path / "d.safetensors", memory_budget_bytes=0)
    assert len(loaded.validation) == 6
    assert not loaded.train.on_disk  # it was cut, and so copied
    assert loaded.digest != "0" * 64
