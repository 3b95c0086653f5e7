"""Weights become a model: who says what, which names fit, and what is done to make them fit."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from worker.engine.errors import InvalidModel
from worker.engine.intake.fit import fit
from worker.engine.intake.settle import config_of
from worker.engine.intake.upload import Described
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import build, describe_mismatch

NOTHING = Described()
SMALL = ModelConfig(
    architecture="mlp", classes=3, input_size=(1, 4, 4), mean=(0.0,), std=(1.0,),
    options={"hidden": (8,)},
)  # fmt: skip
ASKED = Described(architecture="mlp", input_size=(1, 4, 4), options={"hidden": (8,)})


@pytest.fixture
def weights() -> Mapping[str, Tensor]:
    torch.manual_seed(0)
    return build(SMALL).state_dict()


def test_the_request_wins_over_the_file_and_the_file_over_defaults() -> None:
    said = Described(classes=5, mean=(0.1,), std=(0.2,), labels=("a", "b", "c"))
    asked = Described(architecture="mlp", classes=3, input_size=(1, 4, 4))
    config = config_of(asked, said, {})
    assert (config.classes, config.mean, config.labels) == (3, (0.1,), ("a", "b", "c"))


def test_options_of_another_architecture_are_left_out() -> None:
    said = Described(
        architecture="mlp", options={"hidden": (8,)}, compression=({"kind": "prune"},), classes=3
    )
    config = config_of(Described(architecture="cnn_simple"), said, {})
    assert (config.options, config.compression, config.classes) == ({}, (), 3)


def test_classes_are_counted_on_the_classifier(weights: Mapping[str, Tensor]) -> None:
    assert config_of(ASKED, NOTHING, weights).classes == 3


def test_classes_are_counted_behind_a_prefix_too(weights: Mapping[str, Tensor]) -> None:
    wrapped = {f"module.{name}": tensor for name, tensor in weights.items()}
    assert config_of(ASKED, NOTHING, wrapped).classes == 3


def test_labels_count_the_classes() -> None:
    asked = Described(architecture="cnn_simple", labels=("cat", "dog"))
    assert config_of(asked, NOTHING, {}).classes == 2


def test_without_an_architecture_it_says_so(weights: Mapping[str, Tensor]) -> None:
    with pytest.raises(InvalidModel, match="which architecture"):
        config_of(NOTHING, NOTHING, weights)


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "module._orig_mod."])
def test_prefixes_that_all_names_share_are_taken_off(
    weights: Mapping[str, Tensor], prefix: str
) -> None:
    module, notes = fit(SMALL, {f"{prefix}{name}": tensor for name, tensor in weights.items()})
    assert notes == (f"the prefix {prefix!r} was taken off every name",)
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, weights[name])


def test_a_prefix_that_only_some_names_have_stays(weights: Mapping[str, Tensor]) -> None:
    first, *rest = weights
    mixed = {f"module.{first}": weights[first], **{name: weights[name] for name in rest}}
    with pytest.raises(
        InvalidModel, match=rf"missing: {first} \[.*\]; unexpected: module\.{first} \["
    ):
        fit(SMALL, mixed)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_become_float32_and_it_is_said(
    weights: Mapping[str, Tensor], dtype: torch.dtype
) -> None:
    module, notes = fit(SMALL, {name: tensor.to(dtype) for name, tensor in weights.items()})
    assert all(tensor.dtype == torch.float32 for tensor in module.state_dict().values())
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, weights[name].to(dtype).float())
    assert str(dtype).removeprefix("torch.") in notes[0]


def test_counters_may_have_been_cast_with_everything_else() -> None:
    config = replace(SMALL, architecture="cnn_teacher", options={}, input_size=(3, 32, 32),
                     mean=(0.0,) * 3, std=(1.0,) * 3)  # fmt: skip
    halves = {name: tensor.half() for name, tensor in build(config).state_dict().items()}
    counters = [name for name in halves if name.endswith("num_batches_tracked")]
    module, _ = fit(config, halves)
    assert counters
    assert all(module.state_dict()[name].dtype == torch.int64 for name in counters)


def test_integers_are_no_weights(weights: Mapping[str, Tensor]) -> None:
    with pytest.raises(InvalidModel, match="holds int8, the architecture float32"):
        fit(SMALL, {name: tensor.to(torch.int8) for name, tensor in weights.items()})


def test_what_does_not_match_is_listed_by_name_and_shape(weights: Mapping[str, Tensor]) -> None:
    name = next(iter(weights))
    with pytest.raises(InvalidModel, match=rf"{name} is \[9, 16\], expected \[8, 16\]"):
        fit(SMALL, {**weights, name: torch.zeros(9, 16)})


def test_a_long_list_of_what_does_not_match_is_cut_and_counted() -> None:
    strange = {f"layer{i}.weight": torch.zeros(1) for i in range(40)}
    with pytest.raises(InvalidModel, match=r"unexpected: .* and 20 more"):
        fit(SMALL, strange)


def test_what_does_not_match_is_sorted_with_shapes_and_long_names_cut() -> None:
    found = {"b" * 200: (1,), "a\n": (2, 3), "c": (1,) * 100}
    wanted = {"z": (64, 3, 7, 7), "y": ()}
    assert describe_mismatch(found, wanted) == (
        "missing: y [], z [64, 3, 7, 7]; unexpected: a\\n [2, 3], "
        + "b" * 77
        + "... [1], c [1, 1, 1, 1, 1, 1, 1, 1 and 92 more]"
    )


def test_tensors_of_an_absurd_shape_are_never_copied() -> None:
    claimed = {name: torch.zeros(1).expand(10**6, 10**6) for name in nn.Linear(1, 1).state_dict()}
    with pytest.raises(InvalidModel, match="unexpected"):
        fit(SMALL, claimed)
