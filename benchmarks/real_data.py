"""The real data of MODELPRESS_BENCH_DATA, where it is."""

import importlib.util
from functools import cache
from types import ModuleType
from typing import Final

import torch
from torch import Tensor, nn

from benchmarks.figures import bench_data
from worker.engine.data.split import Split
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import build, load_weights

IMAGE: Final = (3, 32, 32)
# Of the ResNet-20, whose inputs were normalised as ImageNet's are.
MEAN: Final = (0.485, 0.456, 0.406)
STD: Final = (0.229, 0.224, 0.225)
MISSING: Final = "there is no data in MODELPRESS_BENCH_DATA"


def there() -> bool:
    """Whether the folder has the data."""
    return (bench_data() / "read.py").exists()


@cache
def cifar10() -> tuple[Split, Split]:
    """All 50,000 training and 10,000 test images of CIFAR-10, uint8 [N, 3, 32, 32]."""
    x, y, x_test, y_test = (torch.from_numpy(part) for part in _reader().cifar10())
    return Split(_planes(x), y), Split(_planes(x_test), y_test)


@cache
def mnist() -> tuple[Split, Split]:
    """All 60,000 training and 10,000 test images of MNIST, uint8 [N, 1, 28, 28]."""
    x, y, x_test, y_test = (torch.from_numpy(part) for part in _reader().mnist())
    return Split(x[:, None], y.long()), Split(x_test[:, None], y_test.long())


def resnet20_config(architecture: str = "cifar_resnet20") -> ModelConfig:
    """The configuration of the public ResNet-20, or of another model for the same inputs."""
    return ModelConfig(architecture, 10, IMAGE, MEAN, STD)


def resnet20() -> nn.Module:
    """A ResNet-20 for CIFAR-10 that somebody else trained, 91.73 % on the test images."""
    module = build(resnet20_config())
    load_weights(module, bench_data() / "cifar_resnet20.safetensors")
    return module.eval()


def _planes(x_NHWC: Tensor) -> Tensor:
    return x_NHWC.permute(0, 3, 1, 2).contiguous()


def _reader() -> ModuleType:
    spec = importlib.util.spec_from_file_location("modelpress_bench_data", bench_data() / "read.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
