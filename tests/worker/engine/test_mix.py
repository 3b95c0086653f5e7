"""Mixup and CutMix, and the loss of what they make."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2

from worker.engine.data.batches import Batch, Batches
from worker.engine.data.mix import Mix, cutmix, mix, mixup
from worker.engine.data.split import Data, Split
from worker.engine.errors import IncompatibleDataset
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import build
from worker.engine.seeds import seed_everything
from worker.engine.train.loop import fit
from worker.engine.train.objective import hard_loss

CPU = torch.device("cpu")


def images(count: int = 6) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (count, 3, 10, 12), generator=draw, dtype=torch.uint8)
    return x, torch.arange(count) % 4


def targets(batch: Batch, classes: int) -> Tensor:
    own = torch.nn.functional.one_hot(batch.y, classes).double()
    if batch.mix is None:
        return own
    other = torch.nn.functional.one_hot(batch.mix.labels, classes).double()
    return batch.mix.share * own + (1 - batch.mix.share) * other


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.9, 1.0])
def test_mixup_is_torchvisions(share: float) -> None:
    x, y = images()
    theirs = v2.MixUp(num_classes=4)
    params = {"labels": y, "lam": share, "batch_size": len(y)}
    blend = mixup(x, share)
    torch.testing.assert_close(blend.x, theirs.transform(x.float(), params))
    assert blend.share == pytest.approx(max(share, 1 - share))
    assert blend.swapped == (share < 0.5)


def test_cutmix_shows_the_neighbour_in_one_box_and_counts_its_pixels() -> None:
    x, _ = images()
    draw = np.random.default_rng(0)
    areas = []
    for _ in range(50):
        blend = cutmix(x, float(draw.random()), draw)
        own, other = blend.x == x, blend.x == x.roll(1, 0)
        assert bool((own | other).all())
        boxes = (~own).any(1).nonzero()
        share = 1.0
        if len(boxes):
            # All images have the same box; a pixel may be equal by chance, an edge row may not.
            low, high = boxes[:, 1:].amin(0), boxes[:, 1:].amax(0) + 1
            share = 1 - int((high - low).prod()) / 120
        assert blend.share == pytest.approx(max(share, 1 - share))
        assert blend.swapped == (share < 0.5)
        areas.append(share)
    assert min(areas) < 0.4
    assert max(areas) > 0.9


@pytest.mark.parametrize(("share", "side"), [(1.0, 0), (0.75, 5), (0.0, 10)])
def test_a_box_has_the_area_that_was_drawn_where_no_edge_cuts_it(share: float, side: int) -> None:
    white = torch.zeros(2, 1, 10, 10)
    white[0] = 1
    widths = Counter(
        int(cutmix(white, share, np.random.default_rng(seed)).x[1, 0].amax(0).sum())
        for seed in range(60)
    )
    # half a side is rounded down, so an odd side loses a pixel
    assert max(widths) == 2 * (side // 2)


def test_nothing_is_mixed_without_an_alpha() -> None:
    assert mix(images()[0], 0.0, 0.0, np.random.default_rng(0)) is None


def test_with_two_alphas_one_is_drawn_with_equal_odds() -> None:
    x, _ = images(2)
    blends = [mix(x, 1.0, 1.0, np.random.default_rng(seed)) for seed in range(400)]
    kinds = Counter(blend.x.dtype for blend in blends if blend is not None)
    assert kinds[torch.float32] == pytest.approx(200, abs=40)
    assert kinds[torch.float32] + kinds[torch.uint8] == 400


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_follow_the_beta_distribution(alpha: float) -> None:
    x, _ = images(2)
    shares = []
    for seed in range(2000):
        blend = mix(x[:, :1, :1, :1], alpha, 0.0, np.random.default_rng(seed))
        assert blend is not None
        shares.append(blend.share)
    # |share − ½| is that of Beta(alpha, alpha), whose variance is 1 / (4 (2 alpha + 1)).
    spread = math.sqrt(np.mean((np.array(shares) - 0.5) ** 2))
    assert spread == pytest.approx(math.sqrt(1 / (4 * (2 * alpha + 1))), rel=0.06)


@pytest.mark.parametrize("alphas", [(1.0, 0.0), (0.0, 1.0), (0.4, 0.4)])
def test_a_batch_counts_as_the_example_that_shows_the_most(
    data: Data, alphas: tuple[float, float]
) -> None:
    batches = Batches(
        data.train, 12, CPU, shuffle=True, mixup_alpha=alphas[0], cutmix_alpha=alphas[1]
    )
    for batch in batches:
        assert batch.mix is not None
        assert 0.5 <= batch.mix.share <= 1
        own = data.train.x[batch.positions].float()
        assert torch.equal(batch.y, data.train.y[batch.positions])
        # The other one stands before it or, if the two changed places, behind it.
        gaps = [
            float((batch.x - other).abs().mean())
            for other in (own, own.roll(1, 0), own.roll(-1, 0))
        ]
        assert gaps[0] == min(gaps)


def test_the_loss_of_a_mixed_batch_is_the_cross_entropy_of_its_mixed_labels(data: Data) -> None:
    batch = next(iter(Batches(data.train, 12, CPU, shuffle=True, mixup_alpha=1.0)))
    logits = torch.randn(12, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for smoothing in (0.0, 0.1):
        expected = torch.nn.functional.cross_entropy(
            logits, targets(batch, 5), label_smoothing=smoothing
        )
        found = hard_loss(logits, batch, smoothing)
        assert found.item() == pytest.approx(expected.item(), rel=1e-6)


def test_micro_batches_hold_all_parts_of_their_batch() -> None:
    x, y = images(10)
    batch = Batch(x, y, torch.arange(10), Mix(y.roll(1), 0.7))
    parts = list(batch.chunks(4))
    assert [len(part) for part in parts] == [2, 3, 2, 3]
    assert torch.equal(torch.cat([part.x for part in parts]), x)
    assert torch.equal(torch.cat([part.y for part in parts]), y)
    labels = [part.mix.labels for part in parts if part.mix is not None]
    assert torch.equal(torch.cat(labels), y.roll(1))
    assert {part.mix.share for part in parts if part.mix is not None} == {0.7}


def test_rows_can_be_mixed_up_but_not_cut() -> None:
    rows = Split(torch.rand(8, 5), torch.arange(8) % 2)
    assert next(iter(Batches(rows, 4, CPU, mixup_alpha=1.0))).x.shape == (4, 5)
    with pytest.raises(IncompatibleDataset, match="CutMix needs images"):
        next(iter(Batches(rows, 4, CPU, cutmix_alpha=1.0)))


def test_a_model_learns_from_mixed_images(data: Data, config: ModelConfig) -> None:
    seed_everything(0)
    outcome = fit(
        build(config),
        data,
        mean=config.mean,
        std=config.std,
        epochs=12,
        batch_size=12,
        learning_rate=5e-3,
        augmentation="flip_and_crop",
        mixup_alpha=0.2,
        cutmix_alpha=1.0,
        device="cpu",
    )
    assert max(record.validation_accuracy for record in outcome.history) > 0.8
    # Labels that are mixed cannot be hit with certainty: the loss stays above that of plain ones.
    assert outcome.history[-1].losses["total"] > outcome.history[-1].validation_loss
