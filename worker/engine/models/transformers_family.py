"""Image classifiers of Hugging Face transformers, `transformers/<model_type>`.

Built from plain fields of a configuration, each on a list; never from a file that a configuration
names, and with no code but the library's. State dicts have the library's names.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from typing import Any, Final

from torch import Tensor, nn

from worker.engine.models.architecture import Architecture, Defaults, image_sides
from worker.engine.models.rates import check_rates


def _names(names: str) -> frozenset[str]:
    return frozenset(names.split())


_ACTIVATIONS: Final = _names(
    "gelu gelu_fast gelu_new gelu_pytorch_tanh quick_gelu hardswish leaky_relu relu relu6 selu "
    "silu swish tanh"
)
_CHOICES: Final[Mapping[str, frozenset[str]]] = {
    "hidden_act": _ACTIVATIONS,
    "layer_type": frozenset({"basic", "bottleneck", "x", "y"}),
    "pooling_type": frozenset({"mean", "max"}),
}
_RATES: Final = _names(
    "attention_probs_dropout_prob classifier_dropout_prob drop_connect_rate drop_path_rate "
    "dropout_rate hidden_dropout_prob"
)
# Layers are objects, also on the meta device.
_COUNTS: Final = frozenset({"num_hidden_layers", "depths", "num_block_repeats"})
_MOST_LAYERS: Final = 512
_LONGEST_LIST: Final = 16
_LARGEST: Final = 65_536


@dataclass(frozen=True)
class _Kind:
    """`fields` of the configuration class that may be set, besides classes and input size."""

    package: str
    prefix: str
    fields: frozenset[str]
    sized: bool = True
    """Whether the configuration has an `image_size`."""
    half: bool = False
    """Whether its published weights centre inputs on one half, and not on ImageNet's means."""


_ENCODER: Final = _names(
    "hidden_size num_hidden_layers num_attention_heads hidden_act hidden_dropout_prob "
    "attention_probs_dropout_prob initializer_range layer_norm_eps patch_size qkv_bias"
)
_VIT: Final = _ENCODER | {"intermediate_size"}
_SWIN: Final = (_ENCODER - _names("hidden_size num_hidden_layers num_attention_heads")) | _names(
    "embed_dim depths num_heads window_size mlp_ratio drop_path_rate use_absolute_embeddings"
)
_CONVNEXT: Final = _names(
    "patch_size num_stages hidden_sizes depths hidden_act initializer_range layer_norm_eps "
    "drop_path_rate"
)
_RESNET: Final = _names(
    "embedding_size hidden_sizes depths layer_type hidden_act downsample_in_first_stage"
)
_MOBILENET: Final = _names(
    "depth_multiplier min_depth hidden_act tf_padding classifier_dropout_prob initializer_range "
    "layer_norm_eps"
)
_KINDS: Final[Mapping[str, _Kind]] = {
    "beit": _Kind(
        "beit",
        "Beit",
        _VIT - {"qkv_bias"}
        | _names(
            "use_mask_token use_absolute_position_embeddings use_relative_position_bias "
            "use_shared_relative_position_bias layer_scale_init_value drop_path_rate "
            "use_mean_pooling"
        ),
        half=True,
    ),
    "convnext": _Kind("convnext", "ConvNext", _CONVNEXT | {"layer_scale_init_value"}),
    "convnextv2": _Kind("convnextv2", "ConvNextV2", _CONVNEXT),
    "deit": _Kind("deit", "DeiT", _VIT),
    "dinov2": _Kind(
        "dinov2",
        "Dinov2",
        _ENCODER
        | _names("mlp_ratio layerscale_value drop_path_rate use_swiglu_ffn use_mask_token"),
    ),
    "efficientnet": _Kind(
        "efficientnet",
        "EfficientNet",
        _names(
            "width_coefficient depth_coefficient depth_divisor kernel_sizes in_channels "
            "out_channels depthwise_padding strides num_block_repeats expand_ratios "
            "squeeze_expansion_ratio hidden_act hidden_dim pooling_type initializer_range "
            "batch_norm_eps batch_norm_momentum dropout_rate drop_connect_rate"
        ),
    ),
    "mobilenet_v1": _Kind("mobilenet_v1", "MobileNetV1", _MOBILENET, half=True),
    "mobilenet_v2": _Kind(
        "mobilenet_v2",
        "MobileNetV2",
        _MOBILENET
        | _names(
            "depth_divisible_by expand_ratio output_stride first_layer_is_expansion "
            "finegrained_output"
        ),
        half=True,
    ),
    "pvt_v2": _Kind(
        "pvt_v2",
        "PvtV2",
        _names(
            "num_encoder_blocks depths sr_ratios hidden_sizes patch_sizes strides "
            "num_attention_heads mlp_ratios hidden_act hidden_dropout_prob "
            "attention_probs_dropout_prob initializer_range drop_path_rate layer_norm_eps "
            "qkv_bias linear_attention"
        ),
    ),
    "regnet": _Kind("regnet", "RegNet", _RESNET | {"groups_width"}, sized=False),
    "resnet": _Kind("resnet", "ResNet", _RESNET | {"downsample_in_bottleneck"}, sized=False),
    "swin": _Kind("swin", "Swin", _SWIN),
    "swinv2": _Kind("swinv2", "Swinv2", _SWIN | {"pretrained_window_sizes"}),
    "vit": _Kind("vit", "ViT", _VIT, half=True),
}
_IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALF: Final = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def options_by_name() -> Mapping[str, frozenset[str]]:
    """Known without importing the library."""
    return {name: kind.fields for name, kind in _KINDS.items()}


def find(name: str) -> Architecture | None:
    """One of them."""
    kind = _KINDS.get(name)
    if kind is None:
        return None
    defaults = Defaults((3, 224, 224), _HALF if kind.half else _IMAGENET)
    return Architecture(partial(_build, kind), kind.fields, lambda: defaults, _published_names)


def _build(kind: _Kind, classes: int, input_size: tuple[int, ...], **options: Any) -> nn.Module:
    channels, height, width = image_sides(input_size)
    check_rates(options, _RATES)
    for name, value in options.items():
        _check(name, value)
    if kind.sized:
        options["image_size"] = height if height == width else [height, width]
    package = f"transformers.models.{kind.package}"
    configuration = getattr(
        import_module(f"{package}.configuration_{kind.package}"), f"{kind.prefix}Config"
    )
    config = configuration(num_channels=channels, num_labels=classes, **options)
    module: nn.Module = _giving_logits(package, kind)(config)
    return module.train()


def _published_names(module: nn.Module) -> Mapping[str, str]:
    """Files keep the names of older releases, and the library renames them when it loads."""
    from transformers import PreTrainedModel
    from transformers.core_model_loading import revert_weight_conversion

    assert isinstance(module, PreTrainedModel)
    state = module.state_dict()
    ours = {id(tensor): name for name, tensor in state.items()}
    reverted = revert_weight_conversion(module, dict(state))
    # A tensor that was not only renamed is another object; such names are left as they are.
    return {name: ours[id(tensor)] for name, tensor in reverted.items() if id(tensor) in ours}


@cache
def _giving_logits(package: str, kind: _Kind) -> type[nn.Module]:
    """The library's class with another `forward`: a module around it would rename its weights."""
    name = f"{kind.prefix}ForImageClassification"
    base: type[nn.Module] = getattr(import_module(f"{package}.modeling_{kind.package}"), name)

    def forward(self: nn.Module, pixel_values: Tensor) -> Tensor:
        """Logits [B, classes] of images [B, C, H, W]."""
        logits: Tensor = base.forward(self, pixel_values=pixel_values, return_dict=True).logits
        return logits

    return type(name, (base,), {"forward": forward, "__module__": __name__})


def _check(name: str, value: Any) -> None:
    """Raise ValueError for what could exhaust memory, or is looked up by name in the library."""
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise ValueError(f"{name} must be one of {', '.join(sorted(_CHOICES[name]))}")
        return
    numbers = value if isinstance(value, list | tuple) else [value]
    if len(numbers) > _LONGEST_LIST or not all(isinstance(each, int | float) for each in numbers):
        raise ValueError(f"{name} must be numbers, at most {_LONGEST_LIST}, got {value!r}"[:200])
    limit = _MOST_LAYERS if name in _COUNTS else _LARGEST
    if not all(math.isfinite(each) and 0 <= each <= limit for each in numbers):
        raise ValueError(f"{name} must be in [0, {limit}], got {value!r}"[:200])
