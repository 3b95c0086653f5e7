"""Distillation on a GPU: the speed ratios there, and CIFAR-100 pairs of the literature.

CIFAR-100 is read from `cifar100.npz` in MODELPRESS_BENCH_DATA: uint8 images `x_train`, `x_test`
[N, 32, 32, 3] and integer labels `y_train`, `y_test`. Teacher and student are trained as in the
literature (240 epochs, SGD from 0.05, divided by 10 after 150, 180 and 210, batch 64, decay 5e-4),
but the best epoch is picked on a tenth of the training images and the test images are read once.
`quick` takes an eighth of the epochs.
"""

from typing import Final

import numpy as np
import torch
from torch import nn

from benchmarks import distill_speed
from benchmarks.figures import Options, Report, bench_data
from worker.engine.data.split import Data, Split, cut
from worker.engine.distill.distill import distill
from worker.engine.distill.objective import Term
from worker.engine.distill.teachers import Teacher
from worker.engine.models.registry import ARCHITECTURES
from worker.engine.seeds import seed_everything
from worker.engine.train.evaluate import evaluate
from worker.engine.train.loop import fit
from worker.engine.train.settings import FitOptions

_TEACHER, _STUDENT = "cifar_resnet56", "cifar_resnet20"
# Alone, and taught by kd and dkd: Tian et al. 2020, Zhao et al. 2022; best epochs on test images.
_PUBLISHED: Final = {"alone": 69.06, "kd": 70.66, "dkd": 71.97}
_MEAN, _STD = (0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)
_EPOCHS: Final = {"quick": 30, "full": 240}
_MILESTONES: Final = (150, 180, 210)  # of 240
_TEMPERATURE: Final = 4.0
_ALPHA: Final = 0.1
_CUDA: Final = torch.device("cuda")


def run(options: Options) -> Report:
    """Skips what this machine does not have."""
    report = Report()
    if not torch.cuda.is_available():
        report.skip("all", "there is no CUDA device")
        return report
    report.told("card", torch.cuda.get_device_name(), "")
    distill_speed.tell_all(report, options, _CUDA)
    if (bench_data() / "cifar100.npz").exists():
        _cifar100(report, options)
    else:
        report.skip("CIFAR-100", "there is no cifar100.npz in MODELPRESS_BENCH_DATA")
    return report


def _cifar100(report: Report, options: Options) -> None:
    epochs = _EPOCHS[options.budget]
    data, fitting = _data(), _options(epochs, options.seed)
    teacher, alone = _fresh(_TEACHER, options.seed), _fresh(_STUDENT, options.seed)
    for name, module in ((f"{_TEACHER}, the teacher", teacher), ("alone", alone)):
        fit(module, data, mean=_MEAN, std=_STD, **fitting)
        _tell(report, name, module, data)
    for name in ("kd", "dkd"):
        student = _fresh(_STUDENT, options.seed)
        distill(
            student,
            [Teacher(teacher, _MEAN, _STD)],
            data,
            student_mean=_MEAN,
            student_std=_STD,
            losses=(Term(name, {"temperature": _TEMPERATURE}, weight=1 - _ALPHA),),
            hard_weight=_ALPHA,
            **fitting,
        )
        _tell(report, name, student, data)


def _tell(report: Report, name: str, module: nn.Module, data: Data) -> None:
    accuracy = 100 * evaluate(module, data.test, _MEAN, _STD, device=_CUDA).accuracy
    published = f" (published: {_PUBLISHED[name]})" if name in _PUBLISHED else ""
    report.told(f"CIFAR-100, {_STUDENT}: {name}{published}", accuracy, "%")


def _fresh(name: str, seed: int) -> nn.Module:
    seed_everything(seed, deterministic=False)
    return ARCHITECTURES[name].build(100, (3, 32, 32))


def _options(epochs: int, seed: int) -> FitOptions:
    return FitOptions(
        epochs=epochs,
        batch_size=64,
        optimizer="sgd",
        learning_rate=0.05,
        weight_decay=5e-4,
        scheduler="multistep",
        milestones=tuple(at * epochs // 240 for at in _MILESTONES),
        augmentation="flip_and_crop",
        seed=seed,
        device="cuda",
    )


def _data() -> Data:
    with np.load(bench_data() / "cifar100.npz", allow_pickle=False) as arrays:
        x, y, x_test, y_test = (
            torch.from_numpy(arrays[name]) for name in ("x_train", "y_train", "x_test", "y_test")
        )
    everything = Split(x.permute(0, 3, 1, 2).contiguous(), y.long())
    train, validation = cut(everything, 0.1, seed=0)
    return Data.of(train, validation, Split(x_test.permute(0, 3, 1, 2).contiguous(), y_test.long()))
