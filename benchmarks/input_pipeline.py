"""Images a second of the input pipeline, against torchvision's transforms image by image.

A delivered batch is what a model takes: 128 images of 32x32, augmented, normalised, float32, on the
processor. The reference is the usual one: a DataLoader over a Dataset that holds the same bytes in
memory and applies torchvision's v2 transforms to each image, with no worker and with two, of which
the better one counts. Both take turns; a ratio is that of one round.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from benchmarks import real_data
from benchmarks.figures import Options, Report
from worker.engine.data.augment import Augmentation
from worker.engine.data.batches import Batches, Normalizer
from worker.engine.data.canonical import load_data, save_data
from worker.engine.data.split import Data, Split

_BATCH: Final = 128
_MEAN: Final = (0.4914, 0.4822, 0.4465)
_STD: Final = (0.2470, 0.2435, 0.2616)
_CPU: Final = torch.device("cpu")
_ROUNDS: Final = {"quick": 7, "full": 25}
_SAMPLE_S: Final = 0.5
_WORKERS: Final = (0, 2)


def run(options: Options) -> Report:
    """Needs the machine for itself."""
    report = Report()
    data, name = _data()
    report.told("data", name, "")
    rounds = _ROUNDS[options.budget]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "d.safetensors"
        save_data(data, path)
        split = load_data(path).train
        mapped = load_data(path, memory_budget_bytes=0).train
        for augmentation in ("flip_and_crop", "rand_augment"):
            ours = {
                "in memory": _ours(split, augmentation),
                "from disk": _ours(mapped, augmentation),
            }
            if augmentation == "flip_and_crop":
                ours["with Mixup"] = _ours(split, augmentation, mixup_alpha=0.2)
                ours["with CutMix"] = _ours(split, augmentation, cutmix_alpha=1.0)
            theirs = {f"{n} workers": _reference(data.train, augmentation, n) for n in _WORKERS}
            _compare(report, augmentation, _measured(ours | theirs, rounds), list(ours))
    return report


def _compare(report: Report, name: str, rates: dict[str, list[float]], ours: list[str]) -> None:
    theirs = [row for row in rates if row not in ours]
    best = max(theirs, key=lambda row: statistics.median(rates[row]))
    for row, samples in rates.items():
        who = name if row in ours else f"{name}, DataLoader"
        report.told(f"{who}, {row}", round(statistics.median(samples)), "images/s")
    for row in ours:
        ratios = [mine / other for mine, other in zip(rates[row], rates[best], strict=True)]
        figure, ratio = f"{name}, {row} ÷ DataLoader, {best}", statistics.median(ratios)
        if (name, row) == ("flip_and_crop", "in memory"):
            report.at_least(figure, ratio, "×", 10.0, "≥ 10×")
        else:
            report.told(figure, ratio, "×")
        report.told(f"{figure}: lowest and highest", f"{min(ratios):.1f} … {max(ratios):.1f}", "×")


def _measured(
    rows: dict[str, Callable[[], Iterator[float]]], rounds: int
) -> dict[str, list[float]]:
    """Images a second of each row, a sample a round, the rows in turns; all are warm."""
    running = {name: row() for name, row in rows.items()}
    for row in running.values():
        next(row)
    samples: dict[str, list[float]] = {name: [] for name in running}
    for _ in range(rounds):
        for name, row in running.items():
            samples[name].append(next(row))
    return samples


def _ours(
    split: Split, augmentation: Augmentation, mixup_alpha: float = 0.0, cutmix_alpha: float = 0.0
) -> Callable[[], Iterator[float]]:
    normalise = Normalizer.of(_MEAN, _STD, split.x, _CPU)

    def rows() -> Iterator[float]:
        for epoch in range(10**6):
            batches = Batches(
                split,
                _BATCH,
                _CPU,
                epoch=epoch,
                shuffle=True,
                augmentation=augmentation,
                mixup_alpha=mixup_alpha,
                cutmix_alpha=cutmix_alpha,
            )
            yield _rate(normalise(batch.x) for batch in batches)

    return rows


def _reference(
    split: Split, augmentation: Augmentation, workers: int
) -> Callable[[], Iterator[float]]:
    steps: list[Any] = [v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip()]
    if augmentation == "rand_augment":
        steps.append(v2.RandAugment())
    steps += [v2.ToDtype(torch.float32, scale=True), v2.Normalize(_MEAN, _STD)]
    loader = DataLoader(
        _ImageByImage(split, v2.Compose(steps)),
        _BATCH,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )

    def rows() -> Iterator[float]:
        while True:
            yield _rate(x for x, _ in loader)

    return rows


@dataclass(frozen=True)
class _ImageByImage(Dataset[tuple[Tensor, Tensor]]):
    split: Split
    transform: Callable[[Tensor], Tensor]

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.transform(self.split.x[index]), self.split.y[index]


def _rate(batches: Iterable[Tensor]) -> float:
    """Images a second, from the arrival of the first batch, for half a second or to the end."""
    images, started, now = 0, 0.0, 0.0
    for number, x in enumerate(batches):
        now = time.perf_counter()
        if number == 0:
            started = now
            continue
        images += len(x)
        if now - started > _SAMPLE_S:
            break
    return images / (now - started)


def _data() -> tuple[Data, str]:
    if real_data.there():
        train, test = real_data.cifar10()
        return Data.of(train, test, test), "CIFAR-10"
    x = torch.randint(0, 256, (50_000, 3, 32, 32), dtype=torch.uint8)
    train = Split(x, torch.arange(len(x)) % 10)
    test = Split(x[:1000], train.y[:1000])
    return Data.of(train, test, test), "noise of CIFAR-10's shape"
