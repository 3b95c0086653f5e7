"""What the name of an architecture tells: its kind of layers, and its smaller relatives."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any, Final, Literal

from service.contract.catalog import ARCHITECTURES, SIZES_OF, Size

Layers = Literal["convolutions", "attention", "dense"]
"""What most of the work of a network is."""

_BY_NAME: Final[tuple[tuple[Layers, re.Pattern[str]], ...]] = (
    ("dense", re.compile(r"^(res|g)?mlp|^mixer")),
    ("attention", re.compile(r"vit|deit|swin|beit|former|dino|eva|cait|pvt")),
    (
        "convolutions",
        re.compile(r"cnn|resne|vgg|densenet|mobilenet|efficientnet|convnext|regnet|mnasnet|"
                   r"shufflenet|squeezenet|googlenet|inception|alexnet|ghostnet"),
    ),
)  # fmt: skip

# Smallest first, by parameters.
_LADDERS: Final[tuple[tuple[str, ...], ...]] = (
    tuple(f"cifar_resnet{depth}" for depth in (8, 14, 20, 32, 44, 56, 110)),
    ("cnn_simple", "cnn_student", "cnn_teacher"),
    *(
        tuple(f"{family}/{name}" for name in names)
        for family in ("timm", "torchvision")
        for names in (
            ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
            ("vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"),
            ("densenet121", "densenet169", "densenet201"),
            tuple(f"efficientnet_b{number}" for number in range(8)),
            ("convnext_tiny", "convnext_small", "convnext_base", "convnext_large"),
        )
    ),
    tuple(f"timm/vit_{size}_patch16_224" for size in ("tiny", "small", "base", "large")),
    tuple(f"timm/deit_{size}_patch16_224" for size in ("tiny", "small", "base")),
    tuple(f"timm/swin_{size}_patch4_window7_224" for size in ("tiny", "small", "base", "large")),
    tuple(f"timm/mobilenetv3_{size}" for size in ("small_050", "small_100", "large_100")),
    ("torchvision/mobilenet_v3_small", "torchvision/mobilenet_v3_large"),
    ("torchvision/swin_t", "torchvision/swin_s", "torchvision/swin_b"),
    ("torchvision/vit_b_16", "torchvision/vit_l_16"),
)
_MLP_HIDDEN: Final = (256, 128)  # the widths of `mlp` without options
_COUNTED_AT: Final = (3, 32, 32)


@dataclass(frozen=True)
class Student:
    """A fresh network that a model may teach. `size` is None where it has to be built to know."""

    name: str
    architecture: str
    options: Mapping[str, Any]
    size: Size | None

    @property
    def spec(self) -> dict[str, Any]:
        """As a distillation names it."""
        return {"architecture": self.architecture} | (
            {"options": dict(self.options)} if self.options else {}
        )


def layers_of(architecture: str | None) -> Layers | None:
    """The kind of layers that a name speaks of. None: it says nothing."""
    name = (architecture or "").rpartition("/")[2].lower()
    return next((kind for kind, pattern in _BY_NAME if pattern.search(name)), None)


def students_of(
    architecture: str | None,
    options: Mapping[str, Any],
    classes: int | None,
    input_size: Sequence[int] | None,
    known: Collection[str],
) -> list[Student]:
    """Smaller networks of the same family that are `known`, the largest first. Of a network
    without relatives: built-in ones, if its inputs are small images."""
    if architecture == "mlp":
        return list(_narrower(options, classes, input_size))
    names = next((ladder for ladder in _LADDERS if architecture in ladder), None)
    if names is not None and architecture is not None:
        smaller = list(reversed(names[: names.index(architecture)]))
    elif input_size is not None and len(input_size) == 3 and max(input_size[1:]) <= 64:
        images = (name for name in ARCHITECTURES if name != "mlp")
        smaller = sorted(images, key=lambda name: SIZES_OF[name].parameters, reverse=True)
    else:
        return []
    return [
        Student(name, name, {}, _size(name, classes, input_size))
        for name in smaller
        if name in known
    ]


def _size(name: str, classes: int | None, input_size: Sequence[int] | None) -> Size | None:
    size = SIZES_OF.get(name)
    if size is None or classes is None or input_size is None or tuple(input_size) != _COUNTED_AT:
        return None
    return size.of_classes(classes)


def _narrower(
    options: Mapping[str, Any], classes: int | None, input_size: Sequence[int] | None
) -> Iterator[Student]:
    hidden = tuple(options.get("hidden") or _MLP_HIDDEN)
    for divisor in (2, 4):
        widths = [max(1, width // divisor) for width in hidden]
        size = None
        if classes is not None and input_size is not None:
            products = [a * b for a, b in pairwise((prod(input_size), *widths, classes))]
            parameters = sum(products) + sum(widths) + classes
            size = Size(parameters=parameters, macs=sum(products), features=widths[-1])
        name = f"mlp with hidden widths {', '.join(map(str, widths))}"
        yield Student(name, "mlp", {"hidden": widths}, size)
