"""Ways to begin with a kind of job: what most people want, as fields of its spec."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from service.contract.specs import JobKind


@dataclass(frozen=True)
class Preset:
    """A choice of fields under a name. Models, datasets and names are left to who starts it."""

    id: str
    title: str
    hint: str
    fields: Mapping[str, Any]


KEPT: Final = (
    "name",
    "labels",
    "model",
    "models",
    "teacher",
    "teachers",
    "student",
    "dataset",
)
"""Fields that a preset leaves as they are."""

_TRAIN: Final = (
    Preset("quick", "Quick", "5 epochs, to see whether all fits.", {"training": {"epochs": 5}}),
    Preset(
        "balanced",
        "Balanced",
        "30 epochs with a cosine schedule.",
        {"training": {"epochs": 30, "scheduler": "cosine"}},
    ),
    Preset(
        "thorough",
        "Thorough",
        "60 epochs, augmented, with three seeds: the report has mean and deviation.",
        {
            "seeds": [0, 1, 2],
            "training": {"epochs": 60, "scheduler": "cosine", "augmentation": "flip_and_crop"},
        },
    ),
)
_DISTILL: Final = (
    Preset("quick", "Quick", "5 epochs, to see whether all fits.", {"training": {"epochs": 5}}),
    Preset(
        "balanced",
        "Balanced",
        "30 epochs with a cosine schedule, beside a control that has no teacher.",
        {"control": True, "training": {"epochs": 30, "scheduler": "cosine"}},
    ),
    Preset(
        "best",
        "Best",
        "60 epochs with the recommended mix of losses, which also learns from feature maps.",
        {
            "preset": "recommended",
            "control": True,
            "training": {"epochs": 60, "scheduler": "cosine"},
        },
    ),
)
_PRUNE: Final = (
    Preset(
        "channels",
        "Half of the channels",
        "Smaller and faster everywhere, repaired by 10 epochs of training.",
        {"method": {"name": "structured", "pruning_ratio": 0.5}},
    ),
    Preset(
        "macs",
        "Half of the MACs",
        "The cut is searched for, so that at most half of the arithmetic remains.",
        {"method": {"name": "structured"}, "allocation": "global", "targets": {"macs": 0.5}},
    ),
    Preset(
        "zeros",
        "80 % zeros",
        "A smaller file in sparse form; dense kernels run no faster.",
        {"method": {"name": "unstructured", "sparsity": 0.8}, "allocation": "global"},
    ),
    Preset(
        "sweep",
        "Compare four cuts",
        "A quarter to 80 % of the channels, each repaired, in one report.",
        {"method": {"name": "structured", "pruning_ratio": [0.25, 0.5, 0.65, 0.8]}},
    ),
)
_QUANTIZE: Final = (
    Preset(
        "int8", "int8", "Weights and activations in 8 bits.", {"method": {"name": "static_int8"}}
    ),
    Preset(
        "kept",
        "int8, at most 1 point lost",
        "The layers that lose most stay in float until the target is kept.",
        {"method": {"name": "static_int8"}, "targets": {"max_accuracy_drop_points": 1.0}},
    ),
    Preset(
        "aware",
        "int8 with training",
        "The weights learn to stand the rounding: for networks that lose too much without.",
        {"method": {"name": "static_int8", "tool": "torchao"}, "finetune": {"epochs": 5}},
    ),
    Preset("fp16", "fp16", "Weights in 16 bits: half the file.", {"method": {"name": "fp16"}}),
)
_BENCHMARK: Final = (
    Preset("quick", "Quick", "As it is, one and 32 inputs at once.", {}),
    Preset(
        "runtimes",
        "All runtimes",
        "Whichever the worker has; the others are skipped with a reason.",
        {
            "runtimes": [
                "eager",
                "torch_compile",
                "aotinductor",
                "onnxruntime",
                "openvino",
                "executorch",
                "tensorrt",
            ]
        },
    ),
    Preset(
        "one-thread",
        "One thread",
        "As on a small device.",
        {"threads": 1, "batch_sizes": [1], "runtimes": ["eager", "onnxruntime", "openvino"]},
    ),
)
_EXPORT: Final = (
    Preset("onnx", "ONNX", "For ONNX Runtime and most others.", {"formats": ["onnx"]}),
    Preset(
        "all",
        "Every format",
        "Whichever the worker can write; the others are skipped with a reason.",
        {"formats": ["safetensors", "onnx", "pt2", "openvino", "executorch", "tensorrt"]},
    ),
)
PRESETS: Final[Mapping[JobKind, tuple[Preset, ...]]] = {
    "train": _TRAIN,
    "distill": _DISTILL,
    "prune": _PRUNE,
    "quantize": _QUANTIZE,
    "benchmark": _BENCHMARK,
    "export": _EXPORT,
}
